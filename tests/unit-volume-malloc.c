/* unit-volume-malloc.c - requests allocate nothing
 *
 * A request that swaps pages out must not need memory from the system to free memory.  With an NBD server as the backing
 * store libnbd does allocate; the manual says so.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counted-malloc.h"
#include "harness.h"
#include "sample.h"

#ifdef HAS_COUNTED_MALLOC

#define MEBIBYTES 32u
#define PAGES (MEBIBYTES * MIB / PAGE)

static struct volume *volume;
static char path[64];

static void setup(void)
{
    volume = harness_open_on_file(MEBIBYTES, path);
}

static void teardown(void)
{
    harness_close(volume);
    ck_assert_int_eq(unlink(path), 0);
}

static int extent(void *opaque, uint64_t offset, uint64_t bytes, bool hole)
{
    (void)opaque;
    (void)offset;
    (void)bytes;
    (void)hole;
    return 0;
}

/* Every kind of request, with writeback, fetches, promotion, cleaning and compaction. */
static int work(unsigned turns)
{
    static unsigned char data[16 * PAGE];
    uint64_t random = 7;
    int failed = 0;

    for (unsigned turn = 0; turn < turns; turn++)
        for (uint64_t i = 0; i < PAGES; i++) {
            uint64_t r = harness_random(&random), page = r % (PAGES - 16);

            sample_sized(500 + (uint32_t)(r / PAGES % 3000), r, data);
            failed += volume_write(volume, page * PAGE, PAGE, data) < 0;
            if (i % 4 == 0)
                failed += volume_write(volume, page * PAGE + 100, 1000, data) < 0;
            if (i % 8 == 0)
                failed += volume_read(volume, (page ^ 1) * PAGE, 16 * PAGE, data) < 0;
            if (i % 64 == 0) {
                failed += volume_trim(volume, page * PAGE, 8 * PAGE) < 0;
                failed += volume_zero(volume, page * PAGE + 5, 2 * PAGE) < 0;
                failed += volume_cache(volume, page * PAGE, 16 * PAGE) < 0;
                failed += volume_extents(volume, 0, MIB, extent, NULL) < 0;
            }
        }
    return failed;
}

START_TEST(no_request_allocates)
{
    if (harness_is_slow()) /* valgrind: it would take minutes to get pages stored */
        return;
    /* The event loop grows its tables once. */
    ck_assert_int_eq(work(1), 0);
    unsigned long before = allocations;
    int failed = work(2);
    unsigned long after = allocations;
    ck_assert_int_eq(failed, 0);
    ck_assert_uint_eq(after, before);
    ck_assert_uint_gt(harness_stat(volume, STAT_bd_writes), 1000);
    ck_assert_uint_gt(harness_stat(volume, STAT_bd_reads), 1000);
}
END_TEST

START_TEST(the_counter_counts)
{
    unsigned long before = allocations;
    void *volatile memory = malloc(1);
    free(memory);
    ck_assert_uint_gt(allocations, before);
}
END_TEST

HARNESS_MAIN_WITH("unit-volume-malloc", setup, teardown, no_request_allocates,
                  the_counter_counts)

#else

int main(void)
{
    return 77; /* skipped: a sanitizer has a malloc() of its own */
}

#endif
