/* unit-negotiate.c - the handshake, option by option and byte by byte
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "nbd-protocol.h"
#include "negotiate.h"

static const struct export exports[] = {{"", "a disk", 8 * MIB, NULL},
                                        {"other", NULL, 4 * MIB, NULL}};
static const struct export_table table = {exports, 2};

static struct negotiation negotiation;
static enum tls_mode tls;
static uint8_t out[NEGOTIATE_OUT_BYTES];
static size_t made, used;

static void put_flags(uint32_t flags)
{
    uint8_t bytes[4];

    negotiate_begin(&negotiation, &table, tls);
    nbd_put32(bytes, flags);
    negotiate_step(&negotiation, bytes, 4, &used, out, &made);
}

static void set_up(void)
{
    put_flags(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    ck_assert_int_eq(negotiation.state, NEGOTIATE_OPTIONS);
}

/* -- An option, and its replies. -- */

static uint8_t in[NBD_OPTION_HEADER_BYTES + NEGOTIATE_OPTION_BYTES_MAX];

static size_t make_option(uint32_t option, const void *data, uint32_t bytes)
{
    nbd_put64(in, NBD_OPTION_MAGIC);
    nbd_put32(in + 8, option);
    nbd_put32(in + 12, bytes);
    if (bytes > 0)
        memcpy(in + NBD_OPTION_HEADER_BYTES, data, bytes);
    return NBD_OPTION_HEADER_BYTES + bytes;
}

/* Steps with exactly the option's bytes, from memory that ends there. */
static enum negotiate_state option(uint32_t number, const void *data, uint32_t bytes)
{
    size_t all = make_option(number, data, bytes);
    uint8_t *copy = malloc(all);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, in, all);
    enum negotiate_state state =
        negotiate_step(&negotiation, copy, all, &used, out, &made);
    free(copy);
    if (state != NEGOTIATE_CLOSE)
        ck_assert_uint_eq(used, all);
    return state;
}

/* The type of reply number N; UINT32_MAX behind the last.  All are well formed. */
static uint32_t reply(unsigned n)
{
    size_t at = 0;

    for (; at < made; n--) {
        ck_assert_uint_ge(made - at, NBD_OPTION_REPLY_HEADER_BYTES);
        ck_assert_uint_eq(nbd_get64(out + at), NBD_REPLY_MAGIC);
        if (n == 0)
            return nbd_get32(out + at + 12);
        at += NBD_OPTION_REPLY_HEADER_BYTES + nbd_get32(out + at + 16);
    }
    ck_assert_uint_eq(at, made);
    return UINT32_MAX;
}

static size_t put_string(uint8_t *to, const char *string)
{
    nbd_put32(to, (uint32_t)strlen(string));
    memcpy(to + 4, string, strlen(string));
    return 4 + strlen(string);
}

static uint32_t make_go(uint8_t *data, const char *name, uint16_t infos)
{
    size_t bytes = put_string(data, name);

    bytes += nbd_put16(data + bytes, infos);
    for (unsigned i = 0; i < infos; i++)
        bytes += nbd_put16(data + bytes, (uint16_t)i);
    return (uint32_t)bytes;
}

static uint32_t make_context(uint8_t *data, const char *name, const char *query)
{
    size_t bytes = put_string(data, name);

    bytes += nbd_put32(data + bytes, query ? 1 : 0);
    if (query)
        bytes += put_string(data + bytes, query);
    return (uint32_t)bytes;
}

/* -- Flags. -- */

START_TEST(unknown_flags_of_a_client_end_it)
{
    put_flags(1 << 2);
    ck_assert_int_eq(negotiation.state, NEGOTIATE_CLOSE);
}
END_TEST

START_TEST(the_greeting_is_that_of_the_protocol)
{
    ck_assert_uint_eq(negotiate_greet(out), 18);
    ck_assert_mem_eq(out, "NBDMAGICIHAVEOPT\0\3", 18);
}
END_TEST

/* -- Each option. -- */

START_TEST(export_name_enters_with_and_without_zeroes)
{
    ck_assert_int_eq(option(NBD_OPT_EXPORT_NAME, "other", 5), NEGOTIATE_DONE);
    ck_assert_uint_eq(made, 10);
    ck_assert_uint_eq(nbd_get64(out), 4 * MIB);
    ck_assert_ptr_eq(negotiation.export, &exports[1]);

    put_flags(NBD_FLAG_FIXED_NEWSTYLE);
    ck_assert_int_eq(option(NBD_OPT_EXPORT_NAME, NULL, 0), NEGOTIATE_DONE);
    ck_assert_uint_eq(made, 134);
    ck_assert_ptr_eq(negotiation.export, &exports[0]);
}
END_TEST

START_TEST(export_name_of_nothing_ends_it)
{
    ck_assert_int_eq(option(NBD_OPT_EXPORT_NAME, "othe", 4), NEGOTIATE_CLOSE);
    ck_assert_uint_eq(made, 0);
}
END_TEST

START_TEST(abort_is_acknowledged)
{
    ck_assert_int_eq(option(NBD_OPT_ABORT, NULL, 0), NEGOTIATE_CLOSE);
    ck_assert_uint_eq(reply(0), NBD_REP_ACK);
}
END_TEST

START_TEST(list_names_all_exports)
{
    ck_assert_int_eq(option(NBD_OPT_LIST, NULL, 0), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_SERVER);
    ck_assert_uint_eq(reply(1), NBD_REP_SERVER);
    ck_assert_uint_eq(reply(2), NBD_REP_ACK);
    ck_assert_uint_eq(reply(3), UINT32_MAX);
    ck_assert_int_eq(option(NBD_OPT_LIST, "x", 1), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
}
END_TEST

START_TEST(info_tells_and_go_enters)
{
    uint8_t data[128];

    ck_assert_int_eq(option(NBD_OPT_INFO, data, make_go(data, "other", 4)),
                     NEGOTIATE_OPTIONS);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(reply(i), NBD_REP_INFO);
    ck_assert_uint_eq(reply(3), NBD_REP_ACK);
    ck_assert_ptr_null(negotiation.export);

    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "", 0)), NEGOTIATE_DONE);
    ck_assert_uint_eq(reply(2), NBD_REP_ACK);
    ck_assert_ptr_eq(negotiation.export, &exports[0]);
}
END_TEST

START_TEST(a_description_is_told_if_asked_for_and_there)
{
    uint8_t data[128];
    uint32_t bytes = make_go(data, "", 3);

    ck_assert_int_eq(option(NBD_OPT_INFO, data, bytes), NEGOTIATE_OPTIONS);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(reply(i), NBD_REP_INFO);
    ck_assert_uint_eq(reply(4), NBD_REP_ACK);
    ck_assert_ptr_nonnull(memmem(out, made, "\0\2a disk", 8));

    ck_assert_int_eq(option(NBD_OPT_INFO, data, make_go(data, "", 2)),
                     NEGOTIATE_OPTIONS);
    ck_assert_ptr_null(memmem(out, made, "a disk", 6));
}
END_TEST

START_TEST(go_of_nothing_is_unknown_and_it_goes_on)
{
    uint8_t data[128];

    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "none", 0)),
                     NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_UNKNOWN);
    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "other", 0)),
                     NEGOTIATE_DONE);
}
END_TEST

START_TEST(lengths_that_do_not_add_up_are_invalid)
{
    uint8_t data[128], wrong[128];
    uint32_t bytes = make_go(data, "other", 2);

    for (uint32_t less = 1; less <= bytes; less++) {
        ck_assert_int_eq(option(NBD_OPT_GO, data, bytes - less), NEGOTIATE_OPTIONS);
        ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
    }
    ck_assert_int_eq(option(NBD_OPT_GO, data, bytes + 1), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);

    memcpy(wrong, data, bytes);
    nbd_put32(wrong, UINT32_MAX);
    ck_assert_int_eq(option(NBD_OPT_GO, wrong, bytes), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);

    ck_assert_int_eq(option(NBD_OPT_STRUCTURED_REPLY, NULL, 0), NEGOTIATE_OPTIONS);
    bytes = make_context(data, "other", "base:allocation");
    for (uint32_t less = 1; less <= bytes; less++) {
        ck_assert_int_eq(option(NBD_OPT_SET_META_CONTEXT, data, bytes - less),
                         NEGOTIATE_OPTIONS);
        ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
    }
    nbd_put32(data + 9, UINT32_MAX); /* so many queries */
    ck_assert_int_eq(option(NBD_OPT_SET_META_CONTEXT, data, bytes), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
}
END_TEST

START_TEST(contexts_need_structured_replies)
{
    uint8_t data[128];
    uint32_t bytes = make_context(data, "", "base:allocation");

    ck_assert_int_eq(option(NBD_OPT_SET_META_CONTEXT, data, bytes), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
    ck_assert_int_eq(option(NBD_OPT_STRUCTURED_REPLY, "x", 1), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
    ck_assert_int_eq(option(NBD_OPT_STRUCTURED_REPLY, NULL, 0), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ACK);
    ck_assert_int_eq(option(NBD_OPT_SET_META_CONTEXT, data, bytes), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_META_CONTEXT);
    ck_assert_uint_eq(reply(1), NBD_REP_ACK);
}
END_TEST

START_TEST(a_context_counts_for_the_export_it_was_set_for)
{
    uint8_t data[128];

    option(NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    option(NBD_OPT_SET_META_CONTEXT, data,
           make_context(data, "other", "base:allocation"));
    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "", 0)), NEGOTIATE_DONE);
    ck_assert(!negotiate_has_allocation(&negotiation));

    set_up();
    option(NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    option(NBD_OPT_SET_META_CONTEXT, data,
           make_context(data, "other", "base:allocation"));
    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "other", 0)),
                     NEGOTIATE_DONE);
    ck_assert(negotiate_has_allocation(&negotiation));
}
END_TEST

START_TEST(the_last_choice_of_contexts_counts)
{
    uint8_t data[128];

    option(NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    option(NBD_OPT_SET_META_CONTEXT, data, make_context(data, "", "base:allocation"));
    option(NBD_OPT_SET_META_CONTEXT, data, make_context(data, "", "x-other:thing"));
    ck_assert_uint_eq(reply(0), NBD_REP_ACK);
    option(NBD_OPT_GO, data, make_go(data, "", 0));
    ck_assert(!negotiate_has_allocation(&negotiation));
}
END_TEST

START_TEST(contexts_are_listed_and_that_sets_none)
{
    static const char *const queries[] = {NULL, "base:", "base:allocation"};
    uint8_t data[128];

    option(NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        option(NBD_OPT_LIST_META_CONTEXT, data, make_context(data, "", queries[i]));
        ck_assert_uint_eq(reply(0), NBD_REP_META_CONTEXT);
        ck_assert_uint_eq(reply(1), NBD_REP_ACK);
    }
    option(NBD_OPT_LIST_META_CONTEXT, data, make_context(data, "", "other:"));
    ck_assert_uint_eq(reply(0), NBD_REP_ACK);
    option(NBD_OPT_GO, data, make_go(data, "", 0));
    ck_assert(!negotiate_has_allocation(&negotiation));
}
END_TEST

START_TEST(unknown_options_are_unsupported_with_any_data)
{
    static const uint32_t numbers[] = {0, 4, NBD_OPT_STARTTLS, 11, 100, UINT32_MAX};

    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        ck_assert_int_eq(option(numbers[i], in + 1000, i * 100), NEGOTIATE_OPTIONS);
        ck_assert_uint_eq(reply(0), NBD_REP_ERR_UNSUP);
    }
}
END_TEST

/* -- TLS. -- */

START_TEST(starttls_is_answered_once_and_forgets_what_was_said_before)
{
    uint8_t data[128];

    tls = TLS_ON;
    set_up();
    option(NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    option(NBD_OPT_SET_META_CONTEXT, data, make_context(data, "", "base:allocation"));
    ck_assert_int_eq(option(NBD_OPT_STARTTLS, "x", 1), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
    ck_assert_int_eq(option(NBD_OPT_STARTTLS, NULL, 0), NEGOTIATE_STARTTLS);
    ck_assert_uint_eq(reply(0), NBD_REP_ACK);
    ck_assert_uint_eq(reply(1), UINT32_MAX);
    negotiate_encrypted(&negotiation);
    ck_assert_int_eq(option(NBD_OPT_STARTTLS, NULL, 0), NEGOTIATE_OPTIONS);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_INVALID);
    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "", 0)), NEGOTIATE_DONE);
    ck_assert(!negotiation.structured);
    ck_assert(!negotiate_has_allocation(&negotiation));
    tls = TLS_OFF;
}
END_TEST

START_TEST(where_tls_is_required_nothing_else_is_answered_before_it)
{
    uint8_t data[128];

    tls = TLS_REQUIRE;
    set_up();
    for (uint32_t number = 2; number < 20; number++) {
        if (number == NBD_OPT_ABORT || number == NBD_OPT_STARTTLS)
            continue;
        ck_assert_int_eq(option(number, data, make_go(data, "", 0)), NEGOTIATE_OPTIONS);
        ck_assert_uint_eq(reply(0), NBD_REP_ERR_TLS_REQD);
        ck_assert_uint_eq(reply(1), UINT32_MAX);
    }
    make_option(NBD_OPT_GO, NULL, 0);
    nbd_put32(in + 12, NEGOTIATE_OPTION_BYTES_MAX + 1);
    ck_assert_int_eq(
        negotiate_step(&negotiation, in, NBD_OPTION_HEADER_BYTES, &used, out, &made),
        NEGOTIATE_SKIP);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_TLS_REQD);

    set_up();
    ck_assert_int_eq(option(NBD_OPT_EXPORT_NAME, "", 0), NEGOTIATE_CLOSE);
    ck_assert_uint_eq(made, 0);
    set_up();
    ck_assert_int_eq(option(NBD_OPT_ABORT, NULL, 0), NEGOTIATE_CLOSE);
    ck_assert_uint_eq(reply(0), NBD_REP_ACK);
    set_up();
    ck_assert_int_eq(option(NBD_OPT_STARTTLS, NULL, 0), NEGOTIATE_STARTTLS);
    negotiate_encrypted(&negotiation);
    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "", 0)), NEGOTIATE_DONE);
    tls = TLS_OFF;
}
END_TEST

/* -- Bounds. -- */

START_TEST(a_big_option_is_skipped_and_it_goes_on)
{
    uint8_t data[128];
    size_t left = NEGOTIATE_OPTION_BYTES_MAX + 1;

    make_option(NBD_OPT_GO, NULL, 0);
    nbd_put32(in + 12, (uint32_t)left);
    ck_assert_int_eq(
        negotiate_step(&negotiation, in, NBD_OPTION_HEADER_BYTES, &used, out, &made),
        NEGOTIATE_SKIP);
    ck_assert_uint_eq(used, NBD_OPTION_HEADER_BYTES);
    ck_assert_uint_eq(reply(0), NBD_REP_ERR_TOO_BIG);
    while (negotiation.state == NEGOTIATE_SKIP) {
        size_t part = left < 1000 ? left + 3 : 1000;

        negotiate_step(&negotiation, in, part, &used, out, &made);
        ck_assert_uint_le(used, left);
        left -= used;
    }
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(option(NBD_OPT_GO, data, make_go(data, "", 0)), NEGOTIATE_DONE);
}
END_TEST

START_TEST(a_huge_option_ends_it)
{
    make_option(NBD_OPT_LIST, NULL, 0);
    nbd_put32(in + 12, NEGOTIATE_SKIP_BYTES_MAX + 1);
    ck_assert_int_eq(
        negotiate_step(&negotiation, in, NBD_OPTION_HEADER_BYTES, &used, out, &made),
        NEGOTIATE_CLOSE);
}
END_TEST

START_TEST(another_magic_number_ends_it)
{
    make_option(NBD_OPT_LIST, NULL, 0);
    in[3] ^= 1;
    ck_assert_int_eq(
        negotiate_step(&negotiation, in, NBD_OPTION_HEADER_BYTES, &used, out, &made),
        NEGOTIATE_CLOSE);
}
END_TEST

START_TEST(so_many_options_and_no_more)
{
    for (unsigned i = 0; i < NEGOTIATE_OPTIONS_MAX; i++)
        ck_assert_int_eq(option(100, NULL, 0), NEGOTIATE_OPTIONS);
    ck_assert_int_eq(option(100, NULL, 0), NEGOTIATE_CLOSE);
}
END_TEST

START_TEST(nothing_happens_before_the_last_byte)
{
    uint8_t data[128];
    size_t all = make_option(NBD_OPT_GO, data, make_go(data, "other", 3));

    for (size_t bytes = 0; bytes < all; bytes++) {
        ck_assert_int_eq(negotiate_step(&negotiation, in, bytes, &used, out, &made),
                         NEGOTIATE_OPTIONS);
        ck_assert_uint_eq(used, 0);
        ck_assert_uint_eq(made, 0);
    }
    ck_assert_int_eq(negotiate_step(&negotiation, in, all, &used, out, &made),
                     NEGOTIATE_DONE);
}
END_TEST

HARNESS_MAIN_WITH(
    "unit-negotiate", set_up, NULL,
    starttls_is_answered_once_and_forgets_what_was_said_before,
    where_tls_is_required_nothing_else_is_answered_before_it,
    unknown_flags_of_a_client_end_it, the_greeting_is_that_of_the_protocol,
    export_name_enters_with_and_without_zeroes, export_name_of_nothing_ends_it,
    abort_is_acknowledged, list_names_all_exports, info_tells_and_go_enters,
    a_description_is_told_if_asked_for_and_there,
    go_of_nothing_is_unknown_and_it_goes_on, lengths_that_do_not_add_up_are_invalid,
    contexts_need_structured_replies, a_context_counts_for_the_export_it_was_set_for,
    the_last_choice_of_contexts_counts, contexts_are_listed_and_that_sets_none,
    unknown_options_are_unsupported_with_any_data,
    a_big_option_is_skipped_and_it_goes_on, a_huge_option_ends_it,
    another_magic_number_ends_it, so_many_options_and_no_more,
    nothing_happens_before_the_last_byte)
