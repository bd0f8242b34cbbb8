/* fault-split.c - objects that go on in the next block of the backing store
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "harness.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "block-format.h"
#include "stored.h"
#include "volume-state.h"
#include "writeback-state.h"

/* Instead of what stored_setup() has: a store of so many bytes, with nothing in RAM. */
static uint64_t seed;

static void open_store(uint64_t store_bytes)
{
    stored_teardown();
    faulty = faulty_new(store_bytes);
    volume = harness_open_with(faulty_backing(faulty), "size", "64M", "compressor",
                               "lz4", NULL);
    model_open(&model, volume_size_bytes(volume));
    faulty_wait_done(faulty, BACKING_WRITE, 1);
}

static void write_one(unsigned page, uint32_t length)
{
    unsigned char data[PAGE];

    sample_sized(length, ++seed, data);
    model_write_both(&model, volume, page * PAGE, PAGE, data);
}

static void store_all(unsigned pages, uint32_t length)
{
    for (unsigned i = 0; i < pages; i++)
        write_one(i, length);
    stored_write_back();
    ck_assert_uint_eq(stored_stat(STAT_bd_count), pages);
}

/* -- What is written. -- */

START_TEST(objects_of_one_length_leave_little_of_their_blocks_unused)
{
    static const uint32_t lengths[] = {1000, 1400, 2100, 2282, 2740, 3000, 3600};

    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        open_store(64 * MIB);
        store_all(harness_is_slow() ? 6000 : 12000, lengths[i]);
        double evicted = (double)stored_stat(STAT_bd_evicted_size);
        double written = (double)stored_stat(STAT_bd_written_size);
        ck_assert_msg(written / evicted <= 1.08, "%u bytes: %.3f", lengths[i],
                      written / evicted);
    }
}
END_TEST

/* -- What comes back. -- */

static struct object_header *block_at(unsigned number)
{
    return (struct object_header *)stored_block(number);
}

/* The first block that begins with the rest of an object. */
static unsigned find_rest(void)
{
    unsigned block = 2;

    while (!block_at(block)->is_rest)
        block++;
    return block;
}

/* Where the last object of a block has its header. */
static unsigned char *find_head(unsigned block)
{
    uint32_t at = 0, last = 0;

    while (at < BLOCK_BYTES) {
        const struct object_header *header =
            (struct object_header *)(stored_block(block) + at);

        last = at;
        at += object_parts_at(at, header->length).bytes;
    }
    return stored_block(block) + last;
}

START_TEST(bit_flip_anywhere_in_a_split_object_is_eio_and_never_wrong_data)
{
    uint32_t step = harness_is_slow() ? 37 : 1;
    uint64_t flips = 0;

    open_store(32 * MIB);
    store_all(1000, 3000);
    unsigned block = find_rest();
    const struct object_header *rest = block_at(block);
    unsigned char *head = find_head(block - 1);
    unsigned char *end = (unsigned char *)rest + sizeof *rest + rest->length;

    ck_assert_uint_eq(((struct object_header *)head)->slot, rest->slot);
    ck_assert_int_eq(stored_read_page(rest->slot), 0);
    /* So that it does not go back to RAM for having been read twice. */
    harness_fail(GATE_POOL_ALLOC, 1, true, -ENOSPC);
    for (unsigned char *byte = head; byte < end; byte += step) {
        uint32_t page = ((struct object_header *)head)->slot;

        *byte ^= (unsigned char)(1u << flips % 8);
        ck_assert_msg(stored_read_page(page) == -EIO, "byte %ld", (long)(byte - head));
        *byte ^= (unsigned char)(1u << flips % 8);
        ck_assert_uint_eq(stored_stat(STAT_corrupt_objects), ++flips);
    }
    harness_fail_end();
    ck_assert_int_eq(stored_read_page(rest->slot), 0);
}
END_TEST

static const struct seal seal = {.seed = 7, .format = BACKING_FORMAT};

/* As when one of two writes is lost. */
START_TEST(rest_of_an_earlier_object_of_the_same_page_does_not_hold)
{
    static char older[2 * BLOCK_BYTES], newer[2 * BLOCK_BYTES];
    const struct object_view old = {older, older + BLOCK_BYTES, 2000};
    struct object_view new = {newer, newer + BLOCK_BYTES, 2000};
    const uint16_t length = 3000;

    /* What is compressed is often the same up to the first byte that was changed. */
    for (char head = 1; head <= 2; head++) {
        memset(older, 1, sizeof older);
        memset(newer, head, BLOCK_BYTES);
        memset(newer + BLOCK_BYTES, 2, BLOCK_BYTES);
        new.rest = newer + BLOCK_BYTES;
        object_headers_make(seal, 5, CODEC_LZ4, length, old);
        object_headers_make(seal, 5, CODEC_LZ4, length, new);
        ck_assert(object_holds(seal, 5, CODEC_LZ4, length, old));
        ck_assert(object_holds(seal, 5, CODEC_LZ4, length, new));
        new.rest = old.rest;
        ck_assert(!object_holds(seal, 5, CODEC_LZ4, length, new));
    }
}
END_TEST

/* A store from before goes on as it is. */
START_TEST(split_object_of_a_store_of_the_former_format_holds)
{
    static char blocks[2 * BLOCK_BYTES];
    const struct seal former = {.seed = 7, .format = BACKING_FORMAT_HEADS_FIRST};
    const struct object_view view = {blocks, blocks + BLOCK_BYTES, 2000};

    object_headers_make(former, 5, CODEC_LZ4, 3000, view);
    ck_assert(object_holds(former, 5, CODEC_LZ4, 3000, view));
    ck_assert(!object_holds(seal, 5, CODEC_LZ4, 3000, view));
    for (unsigned i = 0; i < 2; i++) {
        char *byte = blocks + BLOCK_BYTES - 1 + i * (sizeof(struct object_header) + 1);

        *byte ^= 1;
        ck_assert(!object_holds(former, 5, CODEC_LZ4, 3000, view));
        *byte ^= 1;
    }
    ck_assert(object_holds(former, 5, CODEC_LZ4, 3000, view));
}
END_TEST

/* As when it is both that come late: the address tells. */
START_TEST(address_of_a_split_object_is_of_all_its_bytes)
{
    static char blocks[2][2 * BLOCK_BYTES];
    const uint16_t length = 3000;
    address_t addresses[2];

    for (unsigned i = 0; i < 2; i++) {
        struct object_view view = {blocks[i], blocks[i] + BLOCK_BYTES, 2000};

        memset(view.block, 1, BLOCK_BYTES);
        memset(view.rest, 1 + (int)i, BLOCK_BYTES);
        object_headers_make(seal, 5, CODEC_LZ4, length, view);
        addresses[i] = address_make_split(
            8, 9, 2000, ((struct object_header *)(view.block + 2000))->checksum);
    }
    ck_assert(addresses[0].value != addresses[1].value);
}
END_TEST

struct expected {
    unsigned page;
    int result;
};

/* An actor's. */
static void read_and_expect(void *opaque)
{
    const struct expected *expected = opaque;
    unsigned char data[PAGE];

    ck_assert_int_eq(volume_read(volume, (uint64_t)expected->page * PAGE, PAGE, data),
                     expected->result);
}

/* -- In blocks that are no neighbours, as after a while in a store that is nearly full. -- */

static void overwrite_at_random(unsigned pages, uint32_t length, unsigned long rounds)
{
    uint64_t random = 1;

    for (unsigned long round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 100; i++)
            write_one((unsigned)(harness_random(&random) % pages), length);
        stored_write_back();
        ck_assert_uint_eq(stored_stat(STAT_compr_data_size), 0);
    }
}

/* In the smallest of stores; and then so many ROUNDS of a hundred. */
static void store_and_overwrite(unsigned pages, unsigned long rounds)
{
    open_store(SMALL_STORE);
    store_all(pages, 2100);
    overwrite_at_random(pages, 2100, rounds);
}

/* A page of the first PAGES for which two reads are needed. */
static unsigned find_apart(unsigned pages)
{
    for (unsigned page = 0; page < pages; page++) {
        unsigned before = faulty_count(faulty, BACKING_READ);

        ck_assert_int_eq(stored_read_page(page), 0);
        if (faulty_count(faulty, BACKING_READ) == before + 2)
            return page;
    }
    ck_abort_msg("all pages are in neighbours");
}

/* Until the cleaner has nothing more to do. */
static void settle(void)
{
    unsigned before, now = faulty_wait_all_done(faulty);

    do {
        before = now;
        for (unsigned turn = 0; turn < 8; turn++) {
            stored_write_back();
            now = faulty_wait_all_done(faulty);
        }
    } while (now != before);
}

/* With room enough for the cleaner to rest: the page stays where it is. */
static unsigned make_apart(void)
{
    const unsigned pages = 1400;

    store_and_overwrite(pages, 15);
    for (unsigned i = 0; i < pages; i += 4)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    settle();
    /* So that it does not go back to RAM for having been read twice. */
    harness_fail(GATE_POOL_ALLOC, 1, true, -ENOSPC);
    return find_apart(pages);
}

/* With nothing behind the start of BLOCK. */
static int read_truncated(unsigned page, unsigned block)
{
    faulty_truncate(faulty, (uint64_t)block * BLOCK_BYTES);
    int r = stored_read_page(page);

    faulty_truncate(faulty, SMALL_STORE);
    return r;
}

START_TEST(page_in_two_blocks_is_eio_while_one_of_them_cannot_be_read)
{
    unsigned page = make_apart(), found = 0;

    for (unsigned block = 2; block < SMALL_STORE / BLOCK_BYTES; block++)
        if (block_at(block)->is_rest && block_at(block)->slot == page)
            found += read_truncated(page, block) == -EIO &&
                     read_truncated(page, block + 1) == 0;
    ck_assert_uint_eq(found, 1);
    faulty_hold_fetches(faulty);
    struct actor *reader = actor_start(read_and_expect, &(struct expected){page, -EIO});
    faulty_wait_held(faulty, BACKING_READ, 2);
    faulty_release(faulty, BACKING_READ, -EIO);
    actor_go(reader);
    ck_assert_int_eq(stored_read_page(page), 0);
    harness_fail_end();
}
END_TEST

START_TEST(trim_of_a_page_while_both_its_blocks_are_read_frees_both)
{
    unsigned page = make_apart();

    faulty_hold_fetches(faulty);
    struct actor *reader = actor_start(read_and_expect, &(struct expected){page, 0});
    faulty_wait_held(faulty, BACKING_READ, 2);
    model_trim_both(&model, volume, (uint64_t)page * PAGE, PAGE);
    faulty_release(faulty, BACKING_READ, 0);
    actor_go(reader);
    ck_assert_int_eq(stored_read_page(page), 0);
    harness_fail_end();
}
END_TEST

/* -- Cleaning. -- */

START_TEST(cleaner_moves_what_is_left_of_split_objects)
{
    const unsigned pages = 1560;
    unsigned trimmed = 0;

    open_store(SMALL_STORE);
    store_all(pages, 2100);
    for (unsigned i = 0; i < pages; i += 3, trimmed++)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    for (unsigned i = 0; i < 20; i++)
        stored_write_back();
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), pages - trimmed);
    for (unsigned i = 0; i < pages; i++)
        ck_assert_int_eq(stored_read_page(i), 0);
}
END_TEST

/* Where it is damaged, an object stays in two blocks, and is EIO for ever and nothing else. */
#define DAMAGED_PAGES 1560u
#define KEPT(page) ((page) % 3 == 0)

/* Every object that is kept and split, with a bit of its rest turned; RESEALED: with headers as an earlier one of the
 * same page and length in the same place would have them. */
static struct damaged {
    unsigned page;
    unsigned char *head, *rest;
    struct object_header headers[2];
} damaged[DAMAGED_PAGES];
static unsigned damaged_count;
static bool is_damaged[DAMAGED_PAGES];

static void damage(struct damaged *one, unsigned block, bool resealed)
{
    unsigned char *before = stored_block(block - 1);
    struct object_header *head;

    *one = (struct damaged){.page = block_at(block)->slot,
                            .head = find_head(block - 1),
                            .rest = stored_block(block)};
    head = (struct object_header *)one->head;
    ck_assert_uint_eq(head->slot, one->page);
    one->headers[0] = *head;
    one->headers[1] = *block_at(block);
    one->rest[sizeof *head] ^= 1;
    if (resealed)
        object_headers_make(stored_seal(), one->page, head->codec, head->length,
                            (struct object_view){(char *)before, (char *)one->rest,
                                                 (uint32_t)(one->head - before)});
}

static void mend(const struct damaged *one)
{
    one->rest[sizeof one->headers[0]] ^= 1;
    memcpy(one->head, &one->headers[0], sizeof one->headers[0]);
    memcpy(one->rest, &one->headers[1], sizeof one->headers[1]);
}

/* They stay where they are, to say that they are lost: the cleaner's copy would get a checksum of its own. */
static void clean_among_damaged_objects(bool resealed)
{
    open_store(SMALL_STORE);
    store_all(DAMAGED_PAGES, 2100);
    damaged_count = 0;
    memset(is_damaged, 0, sizeof is_damaged);
    for (unsigned block = 2; block < SMALL_STORE / BLOCK_BYTES; block++)
        if (block_at(block)->is_rest && KEPT(block_at(block)->slot) &&
            !is_damaged[block_at(block)->slot]) {
            struct damaged *one = &damaged[damaged_count];

            damage(one, block, resealed);
            is_damaged[one->page] = stored_read_page(one->page) == -EIO;
            if (is_damaged[one->page])
                damaged_count++;
            else
                mend(one); /* what an eviction left that was not the last */
        }
    ck_assert_uint_gt(damaged_count, 100);
    for (unsigned i = 0; i < DAMAGED_PAGES; i++)
        if (!KEPT(i))
            model_trim_both(&model, volume, i * PAGE, PAGE);
    for (unsigned i = 0; i < 20; i++)
        stored_write_back();
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
    for (unsigned i = 0; i < damaged_count; i++) {
        ck_assert_int_eq(stored_read_page(damaged[i].page), -EIO);
        mend(&damaged[i]);
        ck_assert_int_eq(stored_read_page(damaged[i].page), 0);
    }
}

START_TEST(cleaner_does_not_move_a_split_object_with_a_damaged_rest)
{
    clean_among_damaged_objects(false);
}
END_TEST

/* As when a write is lost, or an elder one comes late. */
START_TEST(cleaner_does_not_move_an_earlier_split_object_of_the_same_page)
{
    clean_among_damaged_objects(true);
}
END_TEST

/* 87 % of what can be filled: some is kept for the cleaner. */
START_TEST(overwrites_of_a_store_that_is_nearly_full_find_room_and_lose_nothing)
{
    const unsigned pages = 1480;

    store_and_overwrite(pages, harness_ops(60));
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), pages);
}
END_TEST

/* It is done by objects that need not be split. */
START_TEST(cleaner_goes_on_when_what_is_written_needs_no_splitting_any_more)
{
    const unsigned pages = 1480;

    store_and_overwrite(pages, 20);
    overwrite_at_random(300, 1300, 500);
    ck_assert_uint_eq(stored_stat(STAT_bd_count), pages);
}
END_TEST

/* -- Without blocks to clean into. -- */

struct errand {
    void (*fn)(struct space *space);
    atomic_bool is_done;
};

static void run_errand(evutil_socket_t fd, short what, void *opaque)
{
    struct errand *errand = opaque;

    (void)fd;
    (void)what;
    errand->fn(&volume->parts.writeback->space);
    errand->is_done = true;
}

/* In the thread whose the account of blocks is. */
static void have_done(void (*fn)(struct space *space))
{
    static const struct timeval now;
    struct event_base *base = event_get_base(volume->parts.writeback->wake);
    struct errand errand = {.fn = fn};

    ck_assert_int_eq(event_base_once(base, -1, EV_TIMEOUT, run_errand, &errand, &now),
                     0);
    while (!errand.is_done)
        sched_yield();
}

static uint32_t held_back[SMALL_STORE / BLOCK_BYTES];
static unsigned held_back_count;

static void hold_back_all_but_one(struct space *space)
{
    bool was_free;

    ck_assert_uint_eq(volume->parts.writeback->segments.promised, 0);
    for (held_back_count = 0; space_available(space) > 1; held_back_count++)
        ck_assert_uint_eq(space_take(space, 1, &held_back[held_back_count], &was_free),
                          1);
}

static void give_back(struct space *space)
{
    while (held_back_count > 0)
        space_put_back(space, held_back[--held_back_count], 1, true);
}

static void forget_what_was_left_over(struct space *space)
{
    (void)space;
    volume->parts.writeback->segments.waste = 0;
}

/* One in a block, what is left would take more blocks than there are. */
START_TEST(cleaner_splits_what_was_split_while_evictions_do_not_split)
{
    const unsigned pages = 1560, more = 1100;

    open_store(SMALL_STORE);
    store_all(pages, 2100);
    for (unsigned i = 0; i < pages; i += 3)
        model_trim_both(&model, volume, i * PAGE, PAGE);
    have_done(forget_what_was_left_over);
    for (unsigned i = 0; i < more; i++)
        write_one(pages + i, 1000);
    stored_write_back();
    ck_assert_uint_eq(stored_stat(STAT_bd_count), pages - pages / 3 + more);
}
END_TEST

/* Of what is moved nothing can be split, in one block, and as much comes free as was taken: it went on for
 * ever, and who waited for room had no answer. */
START_TEST(writeback_is_refused_where_cleaning_makes_no_room)
{
    open_store(SMALL_STORE);
    store_all(400, 2100);
    have_done(hold_back_all_but_one);
    write_one(5000, 2100);
    ck_assert_int_eq(volume_writeback(volume), -ENOSPC);
    ck_assert_uint_gt(stored_stat(STAT_blocks_cleaned), 0);
    have_done(give_back);
    stored_write_back();
    ck_assert_uint_eq(stored_stat(STAT_bd_count), 401);
}
END_TEST

/* One object in a block would be 1.95. */
START_TEST(overwrites_of_a_store_that_is_half_full_are_written_not_much_more_than_once)
{
    const unsigned pages = 850;

    store_and_overwrite(pages, 60);
    double evicted = (double)stored_stat(STAT_bd_evicted_size);
    double written = (double)stored_stat(STAT_bd_written_size);
    ck_assert_msg(written / evicted <= 1.7, "%.3f", written / evicted);
}
END_TEST

HARNESS_MAIN_WITH(
    "fault-split", stored_setup, stored_teardown,
    objects_of_one_length_leave_little_of_their_blocks_unused,
    bit_flip_anywhere_in_a_split_object_is_eio_and_never_wrong_data,
    rest_of_an_earlier_object_of_the_same_page_does_not_hold,
    split_object_of_a_store_of_the_former_format_holds,
    address_of_a_split_object_is_of_all_its_bytes,
    page_in_two_blocks_is_eio_while_one_of_them_cannot_be_read,
    trim_of_a_page_while_both_its_blocks_are_read_frees_both,
    cleaner_moves_what_is_left_of_split_objects,
    cleaner_does_not_move_a_split_object_with_a_damaged_rest,
    cleaner_does_not_move_an_earlier_split_object_of_the_same_page,
    overwrites_of_a_store_that_is_nearly_full_find_room_and_lose_nothing,
    cleaner_goes_on_when_what_is_written_needs_no_splitting_any_more,
    cleaner_splits_what_was_split_while_evictions_do_not_split,
    writeback_is_refused_where_cleaning_makes_no_room,
    overwrites_of_a_store_that_is_half_full_are_written_not_much_more_than_once)
