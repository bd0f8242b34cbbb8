/* fuzz-negotiate.c - the handshake takes any bytes; for libFuzzer, see fuzz.sh
 *
 * The first byte says in what portions the others come.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void negotiate(enum tls_mode tls, const uint8_t *data, size_t bytes)
{
    static const struct export exports[] = {{"", "a disk", 1 << 20, NULL},
                                            {"b", NULL, 1 << 21, NULL}};
    static const struct export_table table = {exports, 2};
    static uint8_t out[NEGOTIATE_OUT_BYTES];
    struct negotiation negotiation;
    enum negotiate_state state = NEGOTIATE_FLAGS;
    size_t portion = bytes > 0 && data[0] ? data[0] : SIZE_MAX, used, made;
    size_t start = bytes > 0, end = start;

    negotiate_begin(&negotiation, &table, tls);
    while (state < NEGOTIATE_DONE && end < bytes) {
        end = bytes - end < portion ? bytes : end + portion;
        do {
            /* A copy that ends where the input does, so that reading on is noticed. */
            uint8_t *in = malloc(end - start ? end - start : 1);

            must(in != NULL);
            memcpy(in, data + start, end - start);
            state = negotiate_step(&negotiation, in, end - start, &used, out, &made);
            free(in);
            must(used <= end - start && made <= sizeof out);
            start += used;
            if (state == NEGOTIATE_STARTTLS) {
                negotiate_encrypted(&negotiation);
                state = negotiation.state;
            }
        } while (used > 0 && state < NEGOTIATE_DONE);
    }
    must(state != NEGOTIATE_DONE || negotiation.export);
    must(state != NEGOTIATE_DONE || tls != TLS_REQUIRE || negotiation.is_encrypted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    negotiate(TLS_OFF, data, bytes);
    negotiate(TLS_ON, data, bytes);
    negotiate(TLS_REQUIRE, data, bytes);
    return 0;
}
