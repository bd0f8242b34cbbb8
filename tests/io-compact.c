/* io-compact.c - memory that trims have freed serves other writes, or returns to the system
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
#include "sample.h"
#include "server.h"

#define PAGES 65536u /* 256 MiB */
#define LIMIT_KIB (32u * 1024)

/* Two kinds of pages, whose objects never share a span. */
#define FIRST_BYTES 2000
#define SECOND_BYTES 900

static struct server server;
static struct nbd_handle *nbd;

static bool write_page(uint64_t page, size_t random_bytes)
{
    unsigned char data[PAGE];

    sample_sized(random_bytes, page + 1, data);
    if (nbd_pwrite(nbd, data, PAGE, page * PAGE, 0) == 0)
        return true;
    MUST(nbd_get_errno() == ENOSPC, "%s", nbd_get_error());
    return false;
}

static void check_page(uint64_t page, size_t random_bytes)
{
    unsigned char data[PAGE], got[PAGE];

    sample_sized(random_bytes, page + 1, data);
    NBD_OK(nbd_pread(nbd, got, PAGE, page * PAGE, 0));
    MUST(memcmp(got, data, PAGE) == 0, "page %" PRIu64 " has another content", page);
}

static uint64_t resident_kib(const char *when)
{
    uint64_t kib = server_status_kib(&server, "RssShmem");

    printf("RssShmem %6" PRIu64 " KiB %s\n", kib, when);
    MUST(kib <= LIMIT_KIB, "RssShmem is more than the limit");
    return kib;
}

/* Which pages survive the trims: one of four, at random. */
static bool survives(uint64_t page)
{
    uint64_t state = page;

    return harness_random(&state) % 4 == 0;
}

START_TEST(writes_after_trims_at_random_get_memory_by_compaction)
{
    uint64_t filled = 0, more = 0;

    SERVER_START(&server, "zslot", "256M", "memory-limit=32M", "compressor=lz4");
    nbd = server_connect(&server);

    while (filled < PAGES && write_page(filled, FIRST_BYTES))
        filled++;
    uint64_t full_kib = resident_kib("full");
    ck_assert_uint_ge(full_kib, LIMIT_KIB * 3 / 4);

    for (uint64_t page = 0; page < filled; page++)
        if (!survives(page))
            NBD_OK(nbd_trim(nbd, PAGE, page * PAGE, 0));
    resident_kib("after the trim of 3/4, at random");

    /* New pages of some half of the limit: only the spans of the old ones can make room. */
    uint64_t wanted = LIMIT_KIB / 2 * 1024 / (SECOND_BYTES + 100);
    while (more < wanted && filled + more < PAGES &&
           write_page(filled + more, SECOND_BYTES))
        more++;
    resident_kib("with other pages in their place");
    MUST(more == wanted, "%" PRIu64 " of %" PRIu64 " writes had room", more, wanted);

    for (uint64_t page = 0; page < filled; page++)
        if (survives(page))
            check_page(page, FIRST_BYTES);
    for (uint64_t page = filled; page < filled + more; page++)
        check_page(page, SECOND_BYTES);

    /* The new ones filled their spans, which go back whole; of the first ones' compaction has left
     * about what a half of the limit did not need. */
    NBD_OK(nbd_trim(nbd, more * PAGE, filled * PAGE, 0));
    uint64_t compacted_kib = resident_kib("when those are trimmed as well");
    ck_assert_uint_lt(compacted_kib, full_kib * 2 / 3);
    for (uint64_t page = 0; page < filled; page++)
        if (survives(page))
            check_page(page, FIRST_BYTES);

    NBD_OK(nbd_trim(nbd, PAGES * PAGE, 0, 0));
    ck_assert_uint_lt(resident_kib("after a trim of all"), 1024);
    nbd_close(nbd);
    server_stop(&server);
}
END_TEST

START_TEST(what_is_trimmed_in_one_piece_returns_to_the_system_at_once)
{
    SERVER_START(&server, "zslot", "256M", "memory-limit=32M", "compressor=lz4");
    nbd = server_connect(&server);
    uint64_t empty_kib = resident_kib("empty");
    for (uint64_t page = 0; page < 8192; page++)
        ck_assert(write_page(page, FIRST_BYTES));
    uint64_t full_kib = resident_kib("with 8192 pages");
    NBD_OK(nbd_trim(nbd, 6144 * PAGE, 2048 * PAGE, 0));
    ck_assert_uint_lt(resident_kib("after the trim of 3/4, in one piece"),
                      empty_kib + (full_kib - empty_kib) / 3);
    NBD_OK(nbd_zero(nbd, 2048 * PAGE, 0, 0));
    ck_assert_uint_lt(resident_kib("after the rest is zeroed"), empty_kib + 256);
    nbd_close(nbd);
    server_stop(&server);
}
END_TEST

HARNESS_MAIN("io-compact", writes_after_trims_at_random_get_memory_by_compaction,
             what_is_trimmed_in_one_piece_returns_to_the_system_at_once)
