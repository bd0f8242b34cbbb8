/* race-random-model.c - random-model.h on volumes whose pages are all in RAM
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "random-model.h"

START_TEST(threads_and_compaction_agree_with_the_array)
{
    struct volume *volume = harness_open("size", "16M", "compressor", "lz4", NULL);

    random_model_run(volume, 700000);
    random_model_close(volume);
}
END_TEST

START_TEST(threads_and_compaction_at_the_limit_agree_with_the_array)
{
    struct volume *volume = harness_open_limited("16M", "lz4", 2 * MIB);
    uint64_t refused = random_model_run(volume, 300000);

    if (harness_ops(300000) > 200000)
        ck_assert_uint_gt(refused, 0);
    random_model_close(volume);
}
END_TEST

START_TEST(threads_and_compaction_with_zstd_agree_with_the_array)
{
    struct volume *volume = harness_open("size", "16M", "compressor", "zstd", NULL);

    random_model_run(volume, 100000);
    random_model_close(volume);
}
END_TEST

HARNESS_MAIN("race-random-model", threads_and_compaction_agree_with_the_array,
             threads_and_compaction_at_the_limit_agree_with_the_array,
             threads_and_compaction_with_zstd_agree_with_the_array)
