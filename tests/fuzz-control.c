/* fuzz-control.c - whatever comes in by the control socket, for libFuzzer
 *
 * Each input is the bytes of a connection: requests one after the other, up to one that is
 * refused.  They are answered by a volume of 1 MiB without a backing store, long work
 * included; and once more for somebody who may only read, and must not have begun any.  make tests/fuzz-control builds it, in a build by clang with
 * CFLAGS="-g -O1 -fsanitize=fuzzer-no-link".
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "answer.h"

static struct answer answer;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_volume(void)
{
    static unsigned char page[VOLUME_PAGE_BYTES];
    struct options options;
    struct reason reason;

    options_init(&options);
    options_set(&options, "size", "1M", &reason);
    options_set(&options, "compressor", "lz4", &reason);
    if (volume_open(&options, &answer.volume, &reason) < 0 ||
        volume_start(answer.volume, &reason) < 0 ||
        jobs_new(answer.volume, &answer.jobs) < 0)
        abort();
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned j = 0; j < 40 * i; j++)
            page[j] = (unsigned char)(j * i + j / 7);
        if (volume_write(answer.volume, (uint64_t)i * sizeof page, sizeof page, page) <
            0)
            abort();
    }
}

static void answer_for_reader(const struct http_request *request)
{
    /* Nothing of it may be needed: there is no work to begin. */
    struct answer reader = {.volume = answer.volume, .reads_only = true};
    struct http_response response = {.status = 500};

    if (strcmp(request->path, "/v1/job") == 0 && request->parameter_count == 0)
        return; /* asks for the work that was begun last */
    answer_request(&reader, request, &response);
    if (!response.body ||
        (response.status < 300 && strcmp(request->method, "GET") != 0))
        abort();
    free(response.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!answer.volume)
        open_volume();
    while (size > 0) {
        struct http_request request;
        struct http_response response = {.status = 500};
        struct reason reason;
        size_t length = size < HTTP_REQUEST_MAX ? size : HTTP_REQUEST_MAX;
        int r = http_parse((const char *)data, length, &request, &reason);

        if (r == 0)
            return 0;
        if (r < 0)
            answer_refusal(&reason, -r, &response);
        else {
            answer_request(&answer, &request, &response);
            answer_for_reader(&request);
        }
        if (!response.body || strcmp(http_phrase(response.status), "Unknown") == 0)
            abort();
        free(response.body);
        if (r < 0)
            return 0;
        data += r;
        size -= (size_t)r;
    }
    return 0;
}
