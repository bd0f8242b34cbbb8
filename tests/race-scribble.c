/* race-scribble.c - the caller's bytes change while they are written (rule S8)
 *
 * What is kept then is undefined, but it is a page: it reads without an error, and nothing else
 * is touched.  A data race on the buffer is the point of this test, and the thread sanitizer is
 * right to report it: there the test is left out (the address sanitizer runs it).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "harness.h"
#include "model.h"
#include "sample.h"

#define TARGET 5 /* the page that is scribbled on; those around it must not change */
#define PAGES 11

static unsigned char buffer[PAGE];
static atomic_bool stop;

static void *scribble(void *opaque)
{
    volatile unsigned char *bytes = buffer;
    uint64_t random = 4;

    (void)opaque;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t next = harness_random(&random);

        bytes[next % PAGE] = (unsigned char)(next >> 32);
        if ((next >> 40) % 512 == 0) {
            /* From compressible to not and back, also to one word over and over. */
            unsigned start = (unsigned)(next >> 16) % (PAGE - 600);
            for (unsigned i = 0; i < 600; i++)
                bytes[start + i] = (unsigned char)(next >> 50);
        }
        if ((next >> 40) % 8192 == 0)
            for (unsigned i = 0; i < PAGE; i++)
                bytes[i] = (unsigned char)next & 1 ? 0 : (unsigned char)i;
    }
    return NULL;
}

static void write_scribbled(const char *compressor)
{
#ifdef HARNESS_TSAN
    (void)compressor;
    (void)scribble;
#else
    struct volume *volume = harness_open("size", "1M", "compressor", compressor, NULL);
    unsigned long writes = harness_ops(10000);
    struct model model;
    pthread_t thread;
    uint64_t random = 2;

    model_open(&model, MIB);
    for (unsigned i = 0; i < PAGES; i++) {
        sample_page((enum sample)(i % SAMPLE_COUNT), i, buffer);
        model_write_both(&model, volume, i * PAGE, PAGE, buffer);
    }
    sample_page(SAMPLE_TEXT, 1, buffer);
    atomic_store(&stop, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, scribble, NULL), 0);

    for (unsigned long i = 0; i < writes; i++) {
        unsigned char back[PAGE];

        ck_assert_int_eq(volume_write(volume, TARGET * PAGE, PAGE, buffer), 0);
        ck_assert_int_eq(volume_read(volume, TARGET * PAGE, PAGE, back), 0);
        if (i % 4 == 0) {
            /* A part of it: the rest of the page stays what it was. */
            uint32_t from = (uint32_t)(harness_random(&random) % PAGE);
            uint32_t bytes = (uint32_t)(harness_random(&random) % (PAGE - from)) + 1;
            unsigned char after[PAGE];

            ck_assert_int_eq(volume_write(volume, TARGET * PAGE + from, bytes, buffer),
                             0);
            ck_assert_int_eq(volume_read(volume, TARGET * PAGE, PAGE, after), 0);
            ck_assert_mem_eq(after, back, from);
            ck_assert_mem_eq(after + from + bytes, back + from + bytes,
                             PAGE - from - bytes);
        }
        if (i % 64 == 0) {
            model_compare(&model, volume, 0, TARGET * PAGE);
            model_compare(&model, volume, (TARGET + 1) * PAGE,
                          MIB - (TARGET + 1) * PAGE);
        }
    }

    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_reads), 0);
    harness_close(volume);
    model_close(&model);
#endif
}

START_TEST(buffer_scribbled_on_during_write_by_lz4_makes_a_page)
{
    write_scribbled("lz4");
}
END_TEST

START_TEST(buffer_scribbled_on_during_write_by_zstd_makes_a_page)
{
    write_scribbled("zstd");
}
END_TEST

START_TEST(buffer_scribbled_on_during_write_by_fast_zstd_makes_a_page)
{
    write_scribbled("zstd:-7");
}
END_TEST

START_TEST(buffer_scribbled_on_during_write_by_dense_zstd_makes_a_page)
{
    write_scribbled("zstd:6");
}
END_TEST

START_TEST(buffer_scribbled_on_during_write_of_raw_pages_makes_a_page)
{
    write_scribbled("none");
}
END_TEST

HARNESS_MAIN("race-scribble", buffer_scribbled_on_during_write_by_lz4_makes_a_page,
             buffer_scribbled_on_during_write_by_zstd_makes_a_page,
             buffer_scribbled_on_during_write_by_fast_zstd_makes_a_page,
             buffer_scribbled_on_during_write_by_dense_zstd_makes_a_page,
             buffer_scribbled_on_during_write_of_raw_pages_makes_a_page)
