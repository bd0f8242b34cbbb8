/* unit-volume-warm.c - which pages stay in RAM when not all of them fit
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backing-faulty.h"
#include "harness.h"
#include "sample.h"
#include "writeback.h"

static struct faulty *faulty;
static struct volume *volume;

/* MEMORY_BYTES for pages beyond what is fixed. */
static void open_volume(uint64_t size, uint64_t memory_bytes)
{
    uint64_t backing_bytes = 2 * size;
    char text[32], limit[32];

    snprintf(text, sizeof text, "%" PRIu64, size);
    snprintf(limit, sizeof limit, "%" PRIu64,
             harness_fixed_bytes(text, "lz4") + writeback_bytes(backing_bytes) +
                 memory_bytes);
    faulty = faulty_new(backing_bytes);
    volume = harness_open_with(faulty_backing(faulty), "size", text, "compressor",
                               "lz4", "memory-limit", limit, NULL);
}

static void close_volume(void)
{
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_reads), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_writes), 0);
    ck_assert_uint_eq(faulty_illegal(faulty), 0);
    harness_close(volume);
}

/* Objects of many sizes, whose page says nothing of how often it is wanted. */
#define OBJECT_BYTES_MIN 500u
#define OBJECT_BYTES_MAX 3000u

static void write_page(uint64_t page, uint64_t seed)
{
    unsigned char data[PAGE];
    uint64_t random = page;
    uint32_t range = OBJECT_BYTES_MAX - OBJECT_BYTES_MIN;

    sample_sized(OBJECT_BYTES_MIN + (uint32_t)(harness_random(&random) % range),
                 seed << 32 | page, data);
    ck_assert_int_eq(volume_write(volume, page * PAGE, PAGE, data), 0);
}

static void read_page(uint64_t page)
{
    unsigned char data[PAGE];

    ck_assert_int_eq(volume_read(volume, page * PAGE, PAGE, data), 0);
}

static uint64_t pages_in_ram(void)
{
    return harness_stat(volume, STAT_orig_data_size) / PAGE -
           harness_stat(volume, STAT_bd_count);
}

/* -- Against a least-recently-used list of the same size. -- */

#define ZIPF_EXPONENT 0.99
#define WRITES_PERCENT 30

struct access {
    uint32_t page;
    bool is_write;
};

struct trace {
    uint32_t pages;
    unsigned long count, warm_up; /* accesses, of which to get into the swing */
    struct access *accesses;
};

/* Popular pages are scattered over the volume, not side by side. */
static void shuffle(uint32_t *array, uint32_t count, uint64_t *random)
{
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(harness_random(random) % (i + 1)), kept = array[i];

        array[i] = array[j];
        array[j] = kept;
    }
}

static void make_trace(struct trace *trace, uint64_t seed)
{
    double *up_to = calloc(trace->pages, sizeof *up_to), sum = 0;
    uint32_t *page_of_rank = calloc(trace->pages, sizeof *page_of_rank);

    trace->accesses = calloc(trace->count, sizeof *trace->accesses);
    ck_assert(up_to && page_of_rank && trace->accesses);
    for (uint32_t rank = 0; rank < trace->pages; rank++) {
        page_of_rank[rank] = rank;
        up_to[rank] = sum += pow(rank + 1, -ZIPF_EXPONENT);
    }
    shuffle(page_of_rank, trace->pages, &seed);
    for (unsigned long i = 0; i < trace->count; i++) {
        double at = (double)(harness_random(&seed) >> 11) / (double)(1ull << 53) * sum;
        uint32_t low = 0, high = trace->pages - 1;

        while (low < high) {
            uint32_t middle = (low + high) / 2;

            if (up_to[middle] > at)
                high = middle;
            else
                low = middle + 1;
        }
        trace->accesses[i] = (struct access){
            .page = page_of_rank[low],
            .is_write = harness_random(&seed) % 100 < WRITES_PERCENT,
        };
    }
    free(up_to);
    free(page_of_rank);
}

/* The list: page numbers, from the one used last; its ends meet at the entry behind the
 * last page's. */
struct lru {
    uint32_t *next, *before, pages;
    bool *is_in;
    uint64_t count, capacity;
};

static void lru_unlink(struct lru *lru, uint32_t page)
{
    lru->next[lru->before[page]] = lru->next[page];
    lru->before[lru->next[page]] = lru->before[page];
    lru->is_in[page] = false;
    lru->count--;
}

/* Whether it was there. */
static bool lru_access(struct lru *lru, uint32_t page)
{
    uint32_t ends = lru->pages;
    bool was_in = lru->is_in[page];

    if (was_in)
        lru_unlink(lru, page);
    else if (lru->count == lru->capacity)
        lru_unlink(lru, lru->before[ends]);
    lru->next[page] = lru->next[ends];
    lru->before[page] = ends;
    lru->before[lru->next[page]] = page;
    lru->next[ends] = page;
    lru->is_in[page] = true;
    lru->count++;
    return was_in;
}

/* The per cent of the trace's reads after the warm-up that such a list serves. */
static double lru_percent(const struct trace *trace, uint64_t capacity)
{
    struct lru lru = {.pages = trace->pages, .capacity = capacity};
    uint64_t reads = 0, hits = 0;

    lru.next = calloc(trace->pages + 1, sizeof *lru.next);
    lru.before = calloc(trace->pages + 1, sizeof *lru.before);
    lru.is_in = calloc(trace->pages, sizeof *lru.is_in);
    ck_assert(lru.next && lru.before && lru.is_in);
    lru.next[trace->pages] = lru.before[trace->pages] = trace->pages;
    for (uint32_t page = 0; page < trace->pages; page++)
        lru_access(&lru, page);
    for (unsigned long i = 0; i < trace->count; i++) {
        bool hit = lru_access(&lru, trace->accesses[i].page);

        if (i >= trace->warm_up && !trace->accesses[i].is_write) {
            reads++;
            hits += hit;
        }
    }
    free(lru.next);
    free(lru.before);
    free(lru.is_in);
    return 100.0 * (double)hits / (double)reads;
}

static void replay(const struct trace *trace, unsigned long from, unsigned long to)
{
    for (unsigned long i = from; i < to; i++)
        if (trace->accesses[i].is_write)
            write_page(trace->accesses[i].page, i + 1);
        else
            read_page(trace->accesses[i].page);
}

/* Every fourth page fits.  Both see the same: all pages written once, a warm-up, and
 * then what counts. */
START_TEST(reads_from_ram_are_within_5_points_of_an_lru)
{
    struct trace trace = {.pages = harness_is_slow() ? 4096 : 16384};
    uint64_t object_bytes = (OBJECT_BYTES_MIN + OBJECT_BYTES_MAX) / 2;

    trace.warm_up = 10ul * trace.pages;
    trace.count = 2 * trace.warm_up;
    make_trace(&trace, 1);
    open_volume((uint64_t)trace.pages * PAGE, trace.pages / 4 * object_bytes * 5 / 4);
    for (uint32_t page = 0; page < trace.pages; page++)
        write_page(page, 0);
    replay(&trace, 0, trace.warm_up);
    uint64_t capacity = pages_in_ram(), reads = harness_stat(volume, STAT_pages_read),
             fetches = harness_stat(volume, STAT_bd_reads);
    replay(&trace, trace.warm_up, trace.count);
    reads = harness_stat(volume, STAT_pages_read) - reads;
    fetches = harness_stat(volume, STAT_bd_reads) - fetches;

    double ours = 100.0 * (double)(reads - fetches) / (double)reads,
           lru = lru_percent(&trace, capacity);
    printf("%" PRIu64 " of %" PRIu32 " pages in RAM, %" PRIu64
           " at the end: %.2f %% of %" PRIu64 " reads from there, of an LRU %.2f %%\n",
           capacity, trace.pages, pages_in_ram(), ours, reads, lru);
    ck_assert_uint_gt(capacity, trace.pages / 5);
    ck_assert_uint_lt(capacity, trace.pages / 3);
    ck_assert_msg(ours >= lru - 5, "%.2f %%, an LRU %.2f %%", ours, lru);
    free(trace.accesses);
    close_volume();
}
END_TEST

/* -- Against a scan. -- */

#define SCAN_PAGES 8192u
#define WARM_PAGES 1000u /* from 0; the others are stored */

/* Fetches only: the cleaner reads too. */
static uint64_t fetches(void)
{
    return harness_stat(volume, STAT_bd_reads);
}

/* Reads WARM_PAGES; how many of them had to be fetched. */
static uint64_t fetches_of_warm_pages(void)
{
    uint64_t before = fetches();

    for (uint64_t page = 0; page < WARM_PAGES; page++)
        read_page(page);
    return fetches() - before;
}

/* All is stored, and then the warm pages are wanted twice.  There is room for them
 * and some more, and so for few of the pages that a scan sees. */
static void open_warm(void)
{
    uint64_t object_bytes = (OBJECT_BYTES_MIN + OBJECT_BYTES_MAX) / 2;

    open_volume((uint64_t)SCAN_PAGES * PAGE, WARM_PAGES * object_bytes * 2);
    for (uint64_t page = 0; page < SCAN_PAGES; page++)
        write_page(page, 0);
    ck_assert_int_eq(volume_writeback(volume), 0);
    ck_assert_uint_eq(pages_in_ram(), 0);
    (void)fetches_of_warm_pages();
    (void)fetches_of_warm_pages();
    ck_assert_uint_eq(fetches_of_warm_pages(), 0);
    ck_assert_uint_eq(pages_in_ram(), WARM_PAGES);
}

START_TEST(sequential_scan_evicts_nothing_that_is_warm)
{
    open_warm();
    uint64_t evicted = harness_stat(volume, STAT_bd_writes),
             promoted = harness_stat(volume, STAT_promotions), before = fetches();

    for (uint64_t page = WARM_PAGES; page < SCAN_PAGES; page++)
        read_page(page);
    ck_assert_uint_eq(fetches(), before + SCAN_PAGES - WARM_PAGES);
    ck_assert_uint_eq(harness_stat(volume, STAT_promotions), promoted);
    ck_assert_uint_eq(fetches_of_warm_pages(), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_bd_writes), evicted);
    ck_assert_uint_eq(pages_in_ram(), WARM_PAGES);
    close_volume();
}
END_TEST

/* Not by the page: which wants each page several times in a moment. */
START_TEST(scan_in_small_or_crooked_steps_evicts_nothing_that_is_warm)
{
    static const uint64_t steps[] = {512, 1024, 4097};

    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        static unsigned char data[2 * PAGE];
        const uint64_t end = (uint64_t)SCAN_PAGES * PAGE;

        open_warm();
        uint64_t promoted = harness_stat(volume, STAT_promotions);
        for (uint64_t at = WARM_PAGES * PAGE; at < end; at += steps[i])
            ck_assert_int_eq(volume_read(volume, at,
                                         end - at < steps[i] ? end - at : steps[i],
                                         data),
                             0);
        /* One that is stopped for seconds in the middle of a page may have it. */
        ck_assert_uint_le(harness_stat(volume, STAT_promotions), promoted + 5);
        ck_assert_uint_eq(fetches_of_warm_pages(), 0);
        close_volume();
    }
}
END_TEST

START_TEST(second_access_to_a_stored_page_brings_it_back_to_ram)
{
    open_warm();
    for (uint64_t page = SCAN_PAGES - 10; page < SCAN_PAGES; page++) {
        uint64_t before = fetches(), promoted = harness_stat(volume, STAT_promotions);

        read_page(page);
        ck_assert_uint_eq(fetches(), before + 1);
        ck_assert_uint_eq(harness_stat(volume, STAT_promotions), promoted);
        read_page(page);
        ck_assert_uint_eq(fetches(), before + 2);
        ck_assert_uint_eq(harness_stat(volume, STAT_promotions), promoted + 1);
        read_page(page);
        ck_assert_uint_eq(fetches(), before + 2);
    }
    ck_assert_uint_eq(pages_in_ram(), WARM_PAGES + 10);
    close_volume();
}
END_TEST

HARNESS_MAIN("unit-volume-warm", reads_from_ram_are_within_5_points_of_an_lru,
             sequential_scan_evicts_nothing_that_is_warm,
             scan_in_small_or_crooked_steps_evicts_nothing_that_is_warm,
             second_access_to_a_stored_page_brings_it_back_to_ram)
