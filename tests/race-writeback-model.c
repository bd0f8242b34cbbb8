/* race-writeback-model.c - random-model.h on volumes whose pages come and go
 *
 * The volume is several times what its memory-limit holds, and the backing store little
 * larger than the volume: eviction, fetches, promotion, cleaning and compaction all go
 * on all the time.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "backing-faulty.h"
#include "random-model.h"
#include "writeback.h"

static struct faulty *faulty;
static uint64_t cleaned;

/* MEMORY_BYTES for pages beyond what is fixed, BACKING_BYTES for those that leave. */
static struct volume *open_small(const char *compressor, uint64_t memory_bytes,
                                 uint64_t backing_bytes)
{
    char limit[32];

    faulty = faulty_new(backing_bytes);
    snprintf(limit, sizeof limit, "%" PRIu64,
             harness_fixed_bytes("16M", compressor) + writeback_bytes(backing_bytes) +
                 memory_bytes);
    return harness_open_with(faulty_backing(faulty), "size", "16M", "compressor",
                             compressor, "memory-limit", limit, NULL);
}

static void run(struct volume *volume, unsigned long ops)
{
    uint64_t refused = random_model_run(volume, ops);
    struct stats stats;

    volume_stats(volume, &stats);
    printf("refused %" PRIu64 ", evicted %" PRIu64 ", fetched %" PRIu64
           ", promoted %" PRIu64 ", cleaned %" PRIu64 "\n",
           refused, stats.values[STAT_bd_writes], stats.values[STAT_bd_reads],
           stats.values[STAT_promotions], stats.values[STAT_blocks_cleaned]);
    cleaned = stats.values[STAT_blocks_cleaned];
    if (!harness_is_slow()) {
        ck_assert_uint_gt(stats.values[STAT_bd_writes], 0);
        ck_assert_uint_gt(stats.values[STAT_bd_reads], 0);
        ck_assert_uint_gt(stats.values[STAT_promotions], 0);
    }
    ck_assert_uint_eq(faulty_illegal(faulty), 0);
    random_model_close(volume);
}

START_TEST(threads_and_eviction_agree_with_the_array)
{
    run(open_small("lz4", 2 * MIB, 64 * MIB), 120000);
}
END_TEST

START_TEST(threads_and_the_cleaner_in_a_small_store_agree_with_the_array)
{
    run(open_small("lz4", 2 * MIB, 5 * MIB), 120000);
    ck_assert(harness_is_slow() || cleaned > 0);
}
END_TEST

START_TEST(threads_and_eviction_with_zstd_agree_with_the_array)
{
    run(open_small("zstd", 2 * MIB, 5 * MIB), 40000);
}
END_TEST

/* Now and then a write fails; no request may notice. */
START_TEST(threads_and_writes_that_fail_agree_with_the_array)
{
    struct volume *volume = open_small("lz4", 2 * MIB, 64 * MIB);

    faulty_fail(faulty, BACKING_WRITE, 3, -EIO);
    run(volume, 60000);
}
END_TEST

HARNESS_MAIN("race-writeback-model", threads_and_eviction_agree_with_the_array,
             threads_and_the_cleaner_in_a_small_store_agree_with_the_array,
             threads_and_eviction_with_zstd_agree_with_the_array,
             threads_and_writes_that_fail_agree_with_the_array)
