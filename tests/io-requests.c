/* io-requests.c - every request of every offset and length does what it does to a plain array
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "model.h"
#include "sample.h"
#include "server.h"

#define GIB (1024 * MIB)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Room for a request of 32 MiB at an odd offset. */
#define DISK_BYTES (40 * MIB)

static struct server server;
static struct nbd_handle *nbd;
static struct model model;
static unsigned char *got;

static void set_up(void)
{
    SERVER_START(&server, "zslot", "40M");
    nbd = server_connect(&server);
    model_open(&model, DISK_BYTES);
    got = malloc(DISK_BYTES);
    ck_assert_ptr_nonnull(got);
}

static void tear_down(void)
{
    nbd_close(nbd);
    server_stop(&server);
    model_close(&model);
    free(got);
}

/* -- The model. -- */

static bool model_page_is_zero(uint64_t page)
{
    static const unsigned char zeroes[PAGE];

    return memcmp(model.bytes + page * PAGE, zeroes, PAGE) == 0;
}

static void compare(uint64_t offset, uint64_t bytes, const char *after)
{
    NBD_OK(nbd_pread(nbd, got, bytes, offset, 0));
    if (memcmp(got, model.bytes + offset, bytes) == 0)
        return;
    for (uint64_t i = 0; i < bytes; i++)
        MUST(got[i] == model.bytes[offset + i],
             "byte %" PRIu64 " is %02x, not %02x, after %s", offset + i, got[i],
             model.bytes[offset + i], after);
}

/* -- Offsets and lengths. -- */

enum change {
    WRITE,
    WRITE_FUA,
    TRIM,
    TRIM_FUA,
    ZERO,
    ZERO_NO_HOLE,
    ZERO_FAST,
    ZERO_ALL,
    CHANGES
};

static const char *const change_names[CHANGES] = {
    "write",          "write with FUA", "trim",       "trim with FUA",
    "zero, may trim", "zero, no hole",  "zero, fast", "zero, fast, no hole, FUA",
};

static void apply(enum change change, uint64_t offset, uint64_t bytes, enum sample kind,
                  uint64_t seed)
{
    static const uint32_t flags[CHANGES] = {
        [WRITE_FUA] = LIBNBD_CMD_FLAG_FUA,
        [TRIM_FUA] = LIBNBD_CMD_FLAG_FUA,
        [ZERO_NO_HOLE] = LIBNBD_CMD_FLAG_NO_HOLE,
        [ZERO_FAST] = LIBNBD_CMD_FLAG_FAST_ZERO,
        [ZERO_ALL] =
            LIBNBD_CMD_FLAG_FAST_ZERO | LIBNBD_CMD_FLAG_NO_HOLE | LIBNBD_CMD_FLAG_FUA,
    };

    switch (change) {
    case WRITE:
    case WRITE_FUA:
        sample_fill(kind, seed, bytes, model.bytes + offset);
        NBD_OK(nbd_pwrite(nbd, model.bytes + offset, bytes, offset, flags[change]));
        break;
    case TRIM:
    case TRIM_FUA:
        model_trim(&model, offset, bytes);
        NBD_OK(nbd_trim(nbd, bytes, offset, flags[change]));
        break;
    default:
        model_zero(&model, offset, bytes);
        NBD_OK(nbd_zero(nbd, bytes, offset, flags[change]));
    }
}

/* Around the borders of bytes, words, sectors and pages. */
static const uint32_t edges[] = {0,   1,    2,    7,    8,    9,    511,  512,
                                 513, 4088, 4095, 4096, 4097, 8191, 8192, 8193};

START_TEST(each_change_at_each_border_is_what_the_array_has)
{
    const uint64_t base = 1 * MIB;
    uint64_t seed = 1;

    for (enum change change = 0; change < CHANGES; change++)
        for (unsigned o = 0; o < COUNT(edges); o++)
            for (unsigned l = 1; l < COUNT(edges); l++) {
                char after[100];
                uint64_t offset = base + edges[o], bytes = edges[l];

                /* What is there before: each pattern in turn. */
                apply(WRITE, base, 6 * PAGE, (enum sample)((o + l) % SAMPLE_COUNT),
                      seed++);
                apply(change, offset, bytes, (enum sample)(o % SAMPLE_COUNT), seed++);
                snprintf(after, sizeof after, "%s of %" PRIu64 " bytes at %" PRIu64,
                         change_names[change], bytes, offset);
                compare(base - PAGE, 8 * PAGE, after);
            }
}
END_TEST

START_TEST(reads_of_each_offset_and_length_are_what_the_array_has)
{
    sample_fill(SAMPLE_MIXED, 77, DISK_BYTES, model.bytes);
    NBD_OK(nbd_pwrite(nbd, model.bytes, 4 * PAGE, 0, 0));
    for (unsigned o = 0; o < COUNT(edges) - 3; o++)
        for (unsigned l = 1; l < COUNT(edges) - 3; l++)
            compare(edges[o], edges[l], "one write");
    for (uint32_t offset = 4000; offset < 4200; offset++)
        compare(offset, 1, "one write");
}
END_TEST

START_TEST(requests_of_32_mib_at_an_odd_offset)
{
    const uint64_t offset = 3 * MIB + 1, bytes = 32 * MIB;

    apply(WRITE, offset, bytes, SAMPLE_MIXED, 5);
    compare(0, DISK_BYTES / 2, "a large write");
    compare(offset, bytes, "a large write");
    apply(TRIM, offset + 2 * MIB, bytes - 5, SAMPLE_ZERO, 0);
    compare(offset, bytes, "a large trim");
    apply(WRITE, offset, bytes, SAMPLE_SAME, 6);
    apply(ZERO, offset + 1, bytes - 2, SAMPLE_ZERO, 0);
    compare(offset, bytes, "a large zero");
}
END_TEST

START_TEST(the_last_byte_of_the_disk_is_a_byte_like_others)
{
    const uint64_t last = DISK_BYTES - 1;

    apply(WRITE, last, 1, SAMPLE_RANDOM, 9);
    compare(last - PAGE, PAGE + 1, "a write of the last byte");
    apply(WRITE, last - PAGE, PAGE + 1, SAMPLE_RANDOM, 10);
    apply(TRIM, last, 1, SAMPLE_ZERO, 0);
    compare(last - PAGE, PAGE + 1, "a trim of the last byte, which keeps it");
    apply(ZERO_FAST, last, 1, SAMPLE_ZERO, 0);
    compare(last - PAGE, PAGE + 1, "a zero of the last byte");
    apply(TRIM, last - PAGE - 10, PAGE + 11, SAMPLE_ZERO, 0);
    compare(last - PAGE, PAGE + 1, "a trim up to the end");
}
END_TEST

START_TEST(flush_and_cache_change_nothing)
{
    apply(WRITE, 12345, 54321, SAMPLE_MIXED, 3);
    NBD_OK(nbd_cache(nbd, 54321, 12345, 0));
    NBD_OK(nbd_cache(nbd, DISK_BYTES, 0, 0));
    NBD_OK(nbd_cache(nbd, 1, DISK_BYTES - 1, 0));
    NBD_OK(nbd_flush(nbd, 0));
    compare(0, MIB, "cache and flush");
}
END_TEST

/* -- Block status. -- */

struct status {
    uint64_t at, end;
    unsigned extents;
};

static int compare_extents(void *opaque, const char *context, uint64_t offset,
                           uint32_t *entries, size_t count, int *error)
{
    struct status *status = opaque;

    ck_assert_int_eq(*error, 0);
    ck_assert_str_eq(context, LIBNBD_CONTEXT_BASE_ALLOCATION);
    ck_assert_uint_eq(offset, status->at);
    for (size_t i = 0; i + 1 < count; i += 2) {
        bool hole = entries[i + 1] == (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO);

        MUST(hole || entries[i + 1] == 0, "extent of type %" PRIu32, entries[i + 1]);
        ck_assert_uint_gt(entries[i], 0);
        for (uint64_t page = status->at / PAGE; page * PAGE < status->at + entries[i];
             page++)
            if (page * PAGE < DISK_BYTES)
                MUST(hole == model_page_is_zero(page),
                     "page %" PRIu64 " is said to be %s", page,
                     hole ? "a hole" : "data");
        status->at += entries[i];
        status->extents++;
    }
    return 0;
}

/* Asks until all of the range is known; the number of extents. */
static unsigned ask_status(uint64_t offset, uint64_t bytes, uint32_t flags)
{
    struct status status = {.at = offset, .end = offset + bytes};

    while (status.at < status.end) {
        unsigned before = status.extents;

        NBD_OK(nbd_block_status(
            nbd, status.end - status.at, status.at,
            (nbd_extent_callback){.callback = compare_extents, .user_data = &status},
            flags));
        ck_assert_uint_gt(status.extents, before);
        if (flags & LIBNBD_CMD_FLAG_REQ_ONE) {
            ck_assert_uint_eq(status.extents, before + 1);
            ck_assert_uint_le(status.at, status.end);
        }
    }
    return status.extents;
}

START_TEST(block_status_says_which_pages_take_no_memory)
{
    ck_assert_uint_eq(ask_status(0, DISK_BYTES, 0), 1);

    apply(WRITE, 0, 1, SAMPLE_RANDOM, 1);
    apply(WRITE, 10 * PAGE, 3 * PAGE, SAMPLE_SAME, 2);
    apply(WRITE, 20 * PAGE + 1, 2 * PAGE, SAMPLE_RANDOM, 3);
    apply(WRITE, DISK_BYTES - 1, 1, SAMPLE_RANDOM, 4);
    /* 0, hole, 10-12, hole, 20-22, hole, the last */
    ck_assert_uint_eq(ask_status(0, DISK_BYTES, 0), 7);
    ask_status(0, DISK_BYTES, LIBNBD_CMD_FLAG_REQ_ONE);
    ask_status(PAGE - 1, 20 * PAGE, 0);
    ask_status(10 * PAGE + 1, 1, LIBNBD_CMD_FLAG_REQ_ONE);
    ask_status(DISK_BYTES - 1, 1, 0);

    apply(TRIM, 11 * PAGE, PAGE, SAMPLE_ZERO, 0);
    apply(WRITE, 21 * PAGE, PAGE, SAMPLE_ZERO, 0);
    apply(ZERO_NO_HOLE, 20 * PAGE, PAGE, SAMPLE_ZERO, 0);
    apply(ZERO, 0, 1, SAMPLE_ZERO, 0);
    ask_status(0, DISK_BYTES, 0);
    compare(0, MIB, "block status");
}
END_TEST

/* Every other page, over many leaves of the slot table: as many extents as there can be. */
START_TEST(block_status_of_many_small_extents)
{
    for (uint64_t page = 0; page < 2048; page += 2)
        apply(WRITE, page * PAGE, 8, SAMPLE_RANDOM, page);
    ck_assert_uint_ge(ask_status(0, DISK_BYTES, 0), 2048);
}
END_TEST

/* -- Several connections. -- */

START_TEST(two_connections_see_each_others_writes_at_once)
{
    struct nbd_handle *pair[2] = {nbd, server_connect(&server)};

    ck_assert_int_eq(nbd_can_multi_conn(pair[1]), 1);
    for (unsigned i = 0; i < 500; i++) {
        uint64_t offset = i * 1777, bytes = 1 + i % 9000;

        sample_fill((enum sample)(i % SAMPLE_COUNT), i, bytes, model.bytes + offset);
        NBD_OK(nbd_pwrite(pair[i % 2], model.bytes + offset, bytes, offset, 0));
        NBD_OK(nbd_pread(pair[1 - i % 2], got, bytes, offset, 0));
        ck_assert_mem_eq(got, model.bytes + offset, bytes);
    }
    NBD_OK(nbd_zero(pair[1], 100, 50, 0));
    model_zero(&model, 50, 100);
    NBD_OK(nbd_shutdown(pair[1], 0));
    nbd_close(pair[1]);
    compare(0, 2 * MIB, "the other connection has ended");
}
END_TEST

START_TEST(the_export_says_what_it_can)
{
    ck_assert_int_eq(nbd_get_size(nbd), DISK_BYTES);
    ck_assert_int_eq(nbd_is_read_only(nbd), 0);
    ck_assert_int_eq(nbd_is_rotational(nbd), 0);
    ck_assert_int_eq(nbd_can_flush(nbd), 1);
    ck_assert_int_eq(nbd_can_fua(nbd), 1);
    ck_assert_int_eq(nbd_can_trim(nbd), 1);
    ck_assert_int_eq(nbd_can_zero(nbd), 1);
    ck_assert_int_eq(nbd_can_fast_zero(nbd), 1);
    ck_assert_int_eq(nbd_can_cache(nbd), 1);
    ck_assert_int_eq(nbd_can_multi_conn(nbd), 1);
    ck_assert_int_eq(nbd_can_df(nbd), 1);
    ck_assert_int_eq(nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION), 1);
    ck_assert_int_eq(nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM), 1);
    ck_assert_int_eq(nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED), PAGE);
    ck_assert_int_eq(nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM),
                     server_is_zslotd() ? 32 * MIB : UINT32_MAX);
}
END_TEST

/* -- Bad requests. -- */

static int no_extent(void *opaque, const char *context, uint64_t offset,
                     uint32_t *entries, size_t count, int *error)
{
    (void)opaque, (void)context, (void)offset, (void)entries, (void)count, (void)error;
    return 0;
}

START_TEST(a_request_out_of_range_fails_and_the_connection_goes_on)
{
    /* Past the end a write gets ENOSPC, as a write to a full file does (the protocol's choice for
     * nbdkit); all others EINVAL. */
    static const struct {
        uint64_t offset, bytes;
    } bad[] = {
        {DISK_BYTES, 1},    {DISK_BYTES - 1, 2}, {DISK_BYTES - PAGE, 2 * PAGE},
        {1ull << 62, PAGE}, {UINT64_MAX, 1},     {UINT64_MAX - PAGE + 1, PAGE},
    };
    const nbd_extent_callback nothing = {.callback = no_extent};

    apply(WRITE, DISK_BYTES - 3 * PAGE, 3 * PAGE, SAMPLE_MIXED, 1);
    for (unsigned i = 0; i < COUNT(bad); i++) {
        uint64_t offset = bad[i].offset, bytes = bad[i].bytes;

        NBD_FAILS(EINVAL, nbd_pread(nbd, got, bytes, offset, 0));
        NBD_FAILS(ENOSPC, nbd_pwrite(nbd, got, bytes, offset, 0));
        NBD_FAILS(EINVAL, nbd_trim(nbd, bytes, offset, 0));
        NBD_FAILS(ENOSPC, nbd_zero(nbd, bytes, offset, 0));
        NBD_FAILS(EINVAL, nbd_cache(nbd, bytes, offset, 0));
        NBD_FAILS(EINVAL, nbd_block_status(nbd, bytes, offset, nothing, 0));
        compare(DISK_BYTES - 4 * PAGE, 4 * PAGE, "a bad request");
    }
    NBD_FAILS(EINVAL, nbd_trim(nbd, UINT32_MAX, 1, 0));
    NBD_FAILS(ENOSPC, nbd_zero(nbd, UINT32_MAX, 1, 0));
    compare(DISK_BYTES - 4 * PAGE, 4 * PAGE, "a bad request");
}
END_TEST

START_TEST(a_request_with_a_flag_it_cannot_have_fails_and_the_connection_goes_on)
{
    apply(WRITE, 0, 3 * PAGE, SAMPLE_MIXED, 1);
    NBD_FAILS(EINVAL, nbd_pwrite(nbd, got, PAGE, 0, LIBNBD_CMD_FLAG_FAST_ZERO));
    compare(0, 4 * PAGE, "a bad flag");
}
END_TEST

START_TEST(a_read_only_server_refuses_each_change)
{
    struct server readonly;

    if (server_is_zslotd())
        return; /* it has no read-only exports */
    SERVER_START(&readonly, "-r", "zslot", "1M");
    struct nbd_handle *h = server_connect(&readonly);
    ck_assert_int_eq(nbd_is_read_only(h), 1);
    NBD_FAILS(EPERM, nbd_pwrite(h, model.bytes, PAGE, 0, 0));
    NBD_FAILS(EPERM, nbd_trim(h, PAGE, 0, 0));
    NBD_FAILS(EPERM, nbd_zero(h, PAGE, 0, 0));
    NBD_OK(nbd_pread(h, got, PAGE, 0, 0));
    nbd_close(h);
    server_stop(&readonly);
}
END_TEST

/* -- Very large changes. -- */

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A connection that writes and reads pages within the range that others zero, and beside it. */
struct neighbour {
    const struct server *server;
    uint64_t disk_bytes;
    atomic_bool stop;
    atomic_uint requests;
    double worst_s; /* read when the thread has ended */
};

static void *go_on(void *opaque)
{
    struct neighbour *self = opaque;
    struct nbd_handle *h = server_connect(self->server);
    unsigned char out[PAGE], in[PAGE];
    const unsigned char zeroes[PAGE] = {0};
    uint64_t state = 4;

    while (!self->stop) {
        /* The last 2 GiB are mine; the rest may be zeroed at any moment.  The first half of each
         * GiB is where the test itself writes. */
        bool mine = self->requests % 2;
        uint64_t place = harness_random(&state);
        uint64_t page =
            mine ? (self->disk_bytes - GIB * 2) / PAGE + place % 9999
                 : (place % 4 * GIB + GIB / 2) / PAGE + place / 4 % (GIB / 2 / PAGE);
        double start = now_s();

        sample_page(SAMPLE_MIXED, page, out);
        NBD_OK(nbd_pwrite(h, out, PAGE, page * PAGE, 0));
        double middle = now_s();
        NBD_OK(nbd_pread(h, in, PAGE, page * PAGE, 0));
        double end = now_s();

        if (middle - start > self->worst_s)
            self->worst_s = middle - start;
        if (end - middle > self->worst_s)
            self->worst_s = end - middle;
        bool same = memcmp(in, out, PAGE) == 0;
        MUST(same || (!mine && memcmp(in, zeroes, PAGE) == 0),
             "page %" PRIu64 " is neither what was written nor zeroes", page);
        self->requests++;
    }
    nbd_close(h);
    return NULL;
}

START_TEST(zero_and_trim_of_4_gib_do_not_hold_up_others)
{
    const unsigned rounds = harness_is_slow() ? 2 : 6;
    const uint64_t filled = (harness_is_slow() ? 64 : 256) * (uint64_t)MIB;
    struct server large;
    struct neighbour neighbour = {.server = &large, .disk_bytes = 8 * GIB};
    pthread_t thread;
    unsigned during = 0;
    double longest_s = 0;

    SERVER_START(&large, "zslot", "8G", "compressor=lz4");
    struct nbd_handle *h = server_connect(&large);
    ck_assert_int_eq(pthread_create(&thread, NULL, go_on, &neighbour), 0);

    for (unsigned i = 0; i < rounds; i++) {
        /* Same-filled pages in four places: much to clear, and no memory needed. */
        sample_fill(SAMPLE_SAME, i + 1, 16 * MIB, model.bytes);
        for (uint64_t done = 0; done < filled; done += 16 * MIB)
            NBD_OK(nbd_pwrite(h, model.bytes, 16 * MIB,
                              (done / (16 * MIB) % 4) * GIB + done / 4 / MIB * MIB, 0));

        unsigned before = neighbour.requests;
        double start = now_s();
        if (i % 2)
            NBD_OK(nbd_trim(h, UINT32_MAX, PAGE, 0));
        else
            NBD_OK(nbd_zero(h, UINT32_MAX, 1, LIBNBD_CMD_FLAG_FAST_ZERO));
        double took_s = now_s() - start;
        during += neighbour.requests - before;
        if (took_s > longest_s)
            longest_s = took_s;
    }
    neighbour.stop = true;
    pthread_join(thread, NULL);
    printf(
        "4 GiB less one byte took at most %.0f ms; %u requests of another connection "
        "meanwhile, %u in all, the slowest %.1f ms\n",
        longest_s * 1e3, during, (unsigned)neighbour.requests, neighbour.worst_s * 1e3);
    MUST(neighbour.requests > 0, "the other connection did nothing");
    ck_assert_double_lt(neighbour.worst_s, harness_is_slow() ? 10.0 : 2.0);

    /* Nobody writes there any more. */
    NBD_OK(nbd_zero(h, UINT32_MAX, 1, 0));
    NBD_OK(nbd_pread(h, got, 16 * MIB, 3 * GIB, 0));
    model_zero(&model, 0, 16 * MIB);
    ck_assert_mem_eq(got, model.bytes, 16 * MIB);
    nbd_close(h);
    server_stop(&large);
}
END_TEST

HARNESS_MAIN_WITH(
    "io-requests", set_up, tear_down, each_change_at_each_border_is_what_the_array_has,
    reads_of_each_offset_and_length_are_what_the_array_has,
    requests_of_32_mib_at_an_odd_offset,
    the_last_byte_of_the_disk_is_a_byte_like_others, flush_and_cache_change_nothing,
    block_status_says_which_pages_take_no_memory, block_status_of_many_small_extents,
    two_connections_see_each_others_writes_at_once, the_export_says_what_it_can,
    a_request_out_of_range_fails_and_the_connection_goes_on,
    a_request_with_a_flag_it_cannot_have_fails_and_the_connection_goes_on,
    a_read_only_server_refuses_each_change,
    zero_and_trim_of_4_gib_do_not_hold_up_others)
