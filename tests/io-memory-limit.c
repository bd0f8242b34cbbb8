/* io-memory-limit.c - past the limit a write is refused, and nothing else changes
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "model.h"
#include "sample.h"
#include "server.h"

#define PAGES 8192u /* 32 MiB */
#define LIMIT_KIB (8u * 1024)

static struct server server;
static struct nbd_handle *nbd;
static struct model model; /* of the disk */
static unsigned char got[64 * PAGE];

static void set_up(void)
{
    SERVER_START(&server, "zslot", "32M", "memory-limit=8M", "compressor=lz4");
    nbd = server_connect(&server);
    model_open(&model, PAGES * PAGE);
}

static void tear_down(void)
{
    uint64_t rss_kib = server_status_kib(&server, "RssShmem");

    /* The pool and the slots are all of our memory that is shared. */
    MUST(rss_kib <= LIMIT_KIB, "RssShmem is %" PRIu64 " KiB", rss_kib);
    nbd_close(nbd);
    server_stop(&server);
    model_close(&model);
}

/* Writes one page, other content for each SEED.  False: refused for want of memory. */
static bool write_page(uint64_t page, enum sample kind, uint64_t seed)
{
    unsigned char data[PAGE];

    sample_page(kind, seed, data);
    if (nbd_pwrite(nbd, data, PAGE, page * PAGE, 0) == 0) {
        model_write(&model, page * PAGE, PAGE, data);
        return true;
    }
    MUST(nbd_get_errno() == ENOSPC, "%s", nbd_get_error());
    return false;
}

/* Fills the disk from its start with incompressible pages; the first page that is refused. */
static uint64_t fill(void)
{
    for (uint64_t page = 0; page < PAGES; page++)
        if (!write_page(page, SAMPLE_RANDOM, page + 1))
            return page;
    ck_abort_msg("the limit was never reached");
    return 0;
}

static void compare(void)
{
    for (uint64_t page = 0; page < PAGES; page += sizeof got / PAGE) {
        NBD_OK(nbd_pread(nbd, got, sizeof got, page * PAGE, 0));
        MUST(memcmp(got, model.bytes + page * PAGE, sizeof got) == 0,
             "not what was written, within 64 pages from page %" PRIu64, page);
    }
}

static void trim(uint64_t page, uint64_t pages)
{
    NBD_OK(nbd_trim(nbd, pages * PAGE, page * PAGE, 0));
    model_zero(&model, page * PAGE, pages * PAGE);
}

START_TEST(a_write_past_the_limit_gets_enospc_and_reads_go_on)
{
    uint64_t full = fill();

    /* 1 MiB at least is for pages, and not more than all of it. */
    ck_assert_uint_ge(full, 256);
    ck_assert_uint_le(full * PAGE, LIMIT_KIB * 1024);
    for (uint64_t page = full; page < full + 50; page++)
        ck_assert(!write_page(page, SAMPLE_RANDOM, page + 1));
    compare();
}
END_TEST

START_TEST(a_page_whose_overwrite_is_refused_keeps_its_content)
{
    uint64_t full = fill();
    unsigned refused = 0;

    for (uint64_t page = 0; page < full; page += 7)
        refused += !write_page(page, SAMPLE_RANDOM, page + 100000);
    compare();
    /* A part of a page: the same. */
    for (uint64_t page = 0; page < full; page += 5) {
        uint64_t offset = page * PAGE + 100;

        if (nbd_pwrite(nbd, "zslot", 5, offset, 0) == 0)
            model_write(&model, offset, 5, "zslot");
        else {
            ck_assert_int_eq(nbd_get_errno(), ENOSPC);
            refused++;
        }
    }
    compare();
    printf("%u overwrites refused at the limit, of %" PRIu64 " pages\n", refused, full);
}
END_TEST

START_TEST(a_large_write_is_refused_from_one_page_on)
{
    uint64_t full = fill(), kept;

    trim(10, 20);
    /* Much more than there is room for, over pages that are there and pages that are not. */
    uint64_t first = full - 30, pages = 60;
    unsigned char *data = malloc(pages * PAGE);
    ck_assert_ptr_nonnull(data);
    sample_fill(SAMPLE_RANDOM, 4711, pages * PAGE, data);
    NBD_FAILS(ENOSPC, nbd_pwrite(nbd, data, pages * PAGE, first * PAGE, 0));

    /* Those before it are written; it and those after are as they were. */
    for (kept = 0; kept < pages; kept++) {
        NBD_OK(nbd_pread(nbd, got, PAGE, (first + kept) * PAGE, 0));
        if (memcmp(got, data + kept * PAGE, PAGE) != 0)
            break;
        model_write(&model, (first + kept) * PAGE, PAGE, data + kept * PAGE);
    }
    printf("%" PRIu64 " of %" PRIu64 " pages of a large write were taken\n", kept,
           pages);
    ck_assert_uint_lt(kept, pages);
    compare();
    free(data);
}
END_TEST

START_TEST(what_takes_no_memory_is_never_refused)
{
    uint64_t full = fill();

    for (unsigned i = 0; i < 10; i++) {
        ck_assert(
            write_page(i, SAMPLE_SAME, i + 1)); /* over a page that had an object */
        ck_assert(write_page(10 + i, SAMPLE_ZERO, 0));
    }
    NBD_OK(nbd_zero(nbd, 5 * PAGE, 30 * PAGE, 0));
    model_zero(&model, 30 * PAGE, 5 * PAGE);
    NBD_OK(nbd_zero(nbd, PAGE, (PAGES - 1) * PAGE - 17, 0)); /* where nothing is */
    NBD_OK(nbd_trim(nbd, PAGES * PAGE, 0, LIBNBD_CMD_FLAG_FUA));
    model_zero(&model, 0, PAGES * PAGE);
    compare();
    ck_assert_uint_ge(fill(), full * 9 / 10);
    compare();
}
END_TEST

START_TEST(freeing_makes_room_again)
{
    uint64_t full = fill(), state = 1;

    for (unsigned round = 0; round < 20; round++) {
        /* Pages here and there, so that no span comes free by itself. */
        unsigned trimmed = 0, written = 0;

        for (unsigned i = 0; i < 100; i++) {
            uint64_t page = harness_random(&state) % full;

            trimmed += memcmp(model.bytes + page * PAGE, (char[PAGE]){0}, PAGE) != 0;
            trim(page, 1);
        }
        /* In their place pages that shrink, which go elsewhere in the pool. */
        for (uint64_t page = 0; page < PAGES && written < trimmed; page++)
            if (memcmp(model.bytes + page * PAGE, (char[PAGE]){0}, PAGE) == 0) {
                unsigned char data[PAGE];

                sample_sized(1000 + 100 * round, page + round * PAGES, data);
                /* Some room is in spans of the other length until compaction cannot get more. */
                if (nbd_pwrite(nbd, data, PAGE, page * PAGE, 0) < 0)
                    break;
                model_write(&model, page * PAGE, PAGE, data);
                written++;
            }
        MUST(written >= trimmed * 8 / 10,
             "%u pages trimmed, and only %u smaller ones written in their place",
             trimmed, written);
    }
    compare();
}
END_TEST

START_TEST(errors_are_told_apart)
{
    uint64_t full = fill();
    unsigned char data[PAGE];

    sample_page(SAMPLE_RANDOM, 1, data);
    NBD_FAILS(ENOSPC, nbd_pwrite(nbd, data, PAGE, (full + 10) * PAGE, 0));
    NBD_FAILS(EINVAL, nbd_pread(nbd, got, PAGE, PAGES * PAGE, 0));
    NBD_FAILS(EINVAL, nbd_trim(nbd, PAGE, PAGES * PAGE, 0));
    NBD_OK(nbd_flush(nbd, 0));
    NBD_OK(nbd_pread(nbd, got, PAGE, 0, 0));
}
END_TEST

/* An error that comes from below (here a filter stands in for it) is none of the above. */
START_TEST(eio_is_eio)
{
    struct server failing;

    if (server_is_zslotd())
        return; /* it has no filters */
    SERVER_START(&failing, "--filter=error", "zslot", "1M", "error-pread=EIO",
                 "error-pread-rate=100%");
    struct nbd_handle *h = server_connect(&failing);
    NBD_OK(nbd_pwrite(h, model.bytes, PAGE, 0, 0));
    NBD_FAILS(EIO, nbd_pread(h, got, PAGE, 0, 0));
    NBD_OK(nbd_pwrite(h, model.bytes, PAGE, 0, 0));
    nbd_close(h);
    server_stop(&failing);
}
END_TEST

HARNESS_MAIN_WITH("io-memory-limit", set_up, tear_down,
                  a_write_past_the_limit_gets_enospc_and_reads_go_on,
                  a_page_whose_overwrite_is_refused_keeps_its_content,
                  a_large_write_is_refused_from_one_page_on,
                  what_takes_no_memory_is_never_refused, freeing_makes_room_again,
                  errors_are_told_apart, eio_is_eio)
