/* fault-alloc.c - each allocation in turn fails, and the page is as it was (rule S1)
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "model.h"
#include "sample.h"

#define SIZE (2 * MIB)
#define MANY 20 /* pages of a long request */

static struct volume *volume;
static struct model model;
static unsigned char data[MANY * PAGE];

/* Pages with content of each kind; page 20 on: a mix for long requests; 256 on: an absent leaf. */
static void prepare(void)
{
    unsigned char page[PAGE];

    volume = harness_open("size", "2M", "compressor", "lz4", NULL);
    model_open(&model, SIZE);
    for (unsigned kind = 0; kind < SAMPLE_COUNT; kind++) {
        sample_page(kind, 1, page);
        model_write_both(&model, volume, kind * PAGE, PAGE, page);
    }
    for (unsigned i = 0; i < MANY; i++) {
        sample_page(i % SAMPLE_COUNT, i, page);
        model_write_both(&model, volume, (20 + i) * PAGE, PAGE, page);
        sample_page((i + 2) % SAMPLE_COUNT, 90 + i, data + i * PAGE);
    }
}

/* A request: DATA, or zeroes for NULL. */
struct request {
    const char *name;
    uint64_t offset, bytes;
    enum sample kind;
    bool zero;
};

static int ask(const struct request *request)
{
    return request->zero ? volume_zero(volume, request->offset, request->bytes)
                         : volume_write(volume, request->offset, request->bytes, data);
}

static void tell_model(const struct request *request, uint64_t bytes)
{
    if (request->zero)
        model_zero(&model, request->offset, bytes);
    else
        model_write(&model, request->offset, bytes, data);
}

static uint64_t end_of_page(uint64_t offset)
{
    return (offset / PAGE + 1) * PAGE;
}

/* After a failure: pages up to some page are new, from it on they are old. */
static void tell_model_prefix(const struct request *request)
{
    unsigned char old[PAGE], page[PAGE];
    uint64_t at = request->offset, end = request->offset + request->bytes;

    while (at < end) {
        uint64_t start = at / PAGE * PAGE,
                 stop = end_of_page(at) < end ? end_of_page(at) : end;

        memcpy(old, model.bytes + start, PAGE);
        ck_assert_int_eq(volume_read(volume, start, PAGE, page), 0);
        if (memcmp(page, old, PAGE) == 0 &&
            memcmp(old + (at - start), data + (at - request->offset), stop - at) != 0)
            return;
        model_write(&model, at, stop - at, data + (at - request->offset));
        at = stop;
    }
}

static void assert_unharmed(void)
{
    model_compare_all(&model, volume);
    model_compare_extents(&model, volume, 0, SIZE);
    harness_check(volume);
}

/* One failure; whether there was an allocation to fail. */
static bool fail_once(const struct request *request, enum gate point, unsigned k,
                      bool all, int err)
{
    prepare();
    if (request->bytes <= PAGE)
        sample_page(request->kind, 50, data);

    harness_fail(point, k, all, err);
    int r = ask(request);
    bool happened = harness_fail_end();

    if (r == 0)
        tell_model(request, request->bytes);
    else {
        ck_assert_msg(r == err, "%s: %d for %d", request->name, r, err);
        ck_assert_msg(happened, "%s: %d without cause", request->name, r);
        /* Whole pages of a zero need no memory: they are done by then. */
        if (request->zero)
            model_trim(&model, request->offset, request->bytes);
        else if (request->bytes > PAGE)
            tell_model_prefix(request);
    }
    assert_unharmed();
    ck_assert_int_eq(ask(request), 0);
    tell_model(request, request->bytes);
    assert_unharmed();
    volume_compact(volume, NULL);
    assert_unharmed();
    volume_close(volume);
    model_close(&model);
    return happened;
}

static void fail_each(const struct request *requests, unsigned count)
{
    static const enum gate points[] = {GATE_MEMORY_CHARGE, GATE_POOL_ALLOC,
                                       GATE_LEAF_MAKE};
    static const int errors[] = {-ENOMEM, -ENOSPC};

    for (unsigned i = 0; i < count; i++)
        for (unsigned p = 0; p < 3; p++)
            for (unsigned e = 0; e < 2; e++)
                for (unsigned all = 0; all < 2; all++)
                    for (unsigned k = 1;
                         !(harness_is_slow() && e != all) &&
                         fail_once(&requests[i], points[p], k, all, errors[e]);)
                        /* Of many, some: each is a volume of its own. */
                        k += k < 4 ? 1 : harness_is_slow() ? 11 : 3;
}

#define FAIL_EACH(...)                                                                 \
    do {                                                                               \
        static const struct request requests[] = {__VA_ARGS__};                        \
        fail_each(requests, sizeof requests / sizeof *requests);                       \
    } while (0)

START_TEST(a_write_that_fails_leaves_any_kind_of_page)
{
    FAIL_EACH({"text over zeroes", 0, PAGE, SAMPLE_TEXT, false},
              {"text over a word", 1 * PAGE, PAGE, SAMPLE_TEXT, false},
              {"random over text", 2 * PAGE, PAGE, SAMPLE_RANDOM, false},
              {"text over random", 5 * PAGE, PAGE, SAMPLE_TEXT, false},
              {"a word over random", 5 * PAGE, PAGE, SAMPLE_SAME, false},
              {"zeroes over text", 2 * PAGE, PAGE, SAMPLE_ZERO, false});
}
END_TEST

START_TEST(a_write_into_an_absent_leaf_that_fails_leaves_zeroes)
{
    FAIL_EACH({"text", 300 * PAGE, PAGE, SAMPLE_TEXT, false},
              {"random", 300 * PAGE, PAGE, SAMPLE_RANDOM, false},
              {"a word", 300 * PAGE, PAGE, SAMPLE_SAME, false},
              {"zeroes", 300 * PAGE, PAGE, SAMPLE_ZERO, false},
              {"a part", 300 * PAGE + 7, 90, SAMPLE_RANDOM, false},
              {"a part of zeroes", 300 * PAGE + 7, 90, SAMPLE_ZERO, false});
}
END_TEST

START_TEST(a_partial_write_that_fails_leaves_any_kind_of_page)
{
    FAIL_EACH({"zeroes", 10, 50, SAMPLE_RANDOM, false},
              {"a word", 1 * PAGE + 10, 50, SAMPLE_RANDOM, false},
              {"text", 2 * PAGE + 10, 2000, SAMPLE_RANDOM, false},
              {"sparse", 3 * PAGE, PAGE - 1, SAMPLE_RANDOM, false},
              {"random", 5 * PAGE + 1, PAGE - 1, SAMPLE_TEXT, false});
}
END_TEST

START_TEST(a_zero_that_fails_leaves_the_parts_it_did_not_reach)
{
    FAIL_EACH({"a part of a word", 1 * PAGE + 10, 50, SAMPLE_ZERO, true},
              {"a part of text", 2 * PAGE + 10, 2000, SAMPLE_ZERO, true},
              {"a part of random", 5 * PAGE, 100, SAMPLE_ZERO, true},
              {"a part of nothing", 300 * PAGE + 10, 50, SAMPLE_ZERO, true},
              {"whole pages", 20 * PAGE, 5 * PAGE, SAMPLE_ZERO, true});
}
END_TEST

START_TEST(of_a_long_write_that_fails_a_beginning_is_there)
{
    FAIL_EACH(
        {"over content", 20 * PAGE, MANY * PAGE, SAMPLE_TEXT, false},
        {"into a new leaf", 250 * PAGE, MANY * PAGE, SAMPLE_TEXT, false},
        {"off pages' edges", 250 * PAGE + 11, (MANY - 1) * PAGE, SAMPLE_TEXT, false});
}
END_TEST

START_TEST(a_compaction_that_fails_leaves_all_pages)
{
    static const int errors[] = {-ENOMEM, -ENOSPC};
    static const enum gate points[] = {GATE_MEMORY_CHARGE, GATE_POOL_ALLOC};

    for (unsigned i = 0; i < 8; i += harness_is_slow() ? 3 : 1) {
        enum gate point = points[i & 1];
        int err = errors[i >> 1 & 1];
        bool all = i >> 2;
        bool happened = true;

        for (unsigned k = 1; happened && k < 60; k++) {
            prepare();
            for (unsigned page = 0; page < 80; page++) {
                sample_sized(3000, page, data);
                model_write_both(&model, volume, (400 + page) * PAGE, PAGE, data);
            }
            for (unsigned page = 0; page < 80; page++)
                if (page % 3)
                    model_trim_both(&model, volume, (400 + page) * PAGE, PAGE);
            harness_fail(point, k, all, err);
            volume_compact(volume, NULL);
            happened = harness_fail_end();
            assert_unharmed();
            volume_compact(volume, NULL);
            assert_unharmed();
            volume_close(volume);
            model_close(&model);
        }
    }
}
END_TEST

START_TEST(a_start_that_fails_can_be_closed)
{
    struct options options;
    struct reason reason;
    int r = -1;

    for (unsigned k = 1; r < 0; k++) {
        options_init(&options);
        ck_assert_int_eq(options_set(&options, "size", "1G", &reason), 0);
        ck_assert_int_eq(volume_open(&options, &volume, &reason), 0);
        harness_fail(GATE_MEMORY_CHARGE, k, false, -ENOMEM);
        reason.text[0] = '\0';
        r = volume_start(volume, &reason);
        ck_assert_int_eq(harness_fail_end(), r < 0);
        if (r < 0) {
            ck_assert_int_eq(r, -ENOMEM);
            ck_assert_ptr_nonnull(strstr(reason.text, "memory to start with"));
        }
        volume_close(volume);
    }
}
END_TEST

HARNESS_MAIN("fault-alloc", a_write_that_fails_leaves_any_kind_of_page,
             a_write_into_an_absent_leaf_that_fails_leaves_zeroes,
             a_partial_write_that_fails_leaves_any_kind_of_page,
             a_zero_that_fails_leaves_the_parts_it_did_not_reach,
             of_a_long_write_that_fails_a_beginning_is_there,
             a_compaction_that_fails_leaves_all_pages, a_start_that_fails_can_be_closed)
