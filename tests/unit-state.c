/* unit-state.c - what is kept in a state, and what is refused, with nothing changed
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "backing-faulty.h"
#include "harness.h"
#include "kept.h"
#include "model.h"
#include "slot.h"
#include "state.h"
#include "statedir.h"
#include "writeback.h"

/* -- Files. -- */

static int open_file(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", kept_directory, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    return fd;
}

static void read_file(const char *name, uint64_t offset, void *out, size_t bytes)
{
    int fd = open_file(name);

    ck_assert_int_eq(pread(fd, out, bytes, (off_t)offset), (ssize_t)bytes);
    close(fd);
}

static void write_file(const char *name, uint64_t offset, const void *data,
                       size_t bytes)
{
    int fd = open_file(name);

    ck_assert_int_eq(pwrite(fd, data, bytes, (off_t)offset), (ssize_t)bytes);
    close(fd);
}

static struct state_header header, changed;

static void load_header(void)
{
    read_file("zslot-header", 0, &header, sizeof header);
    changed = header;
}

static void store_changed(void)
{
    changed.checksum = XXH3_64bits(&changed, offsetof(struct state_header, checksum));
    write_file("zslot-header", 0, &changed, sizeof changed);
}

static void store_header(void)
{
    write_file("zslot-header", 0, &header, sizeof header);
}

/* -- What is kept. -- */

START_TEST(the_next_volume_has_every_page_and_every_gauge)
{
    static const enum stat_id gauges[] = {STAT_orig_data_size, STAT_compr_data_size,
                                          STAT_same_pages,     STAT_huge_pages,
                                          STAT_bd_count,       STAT_bd_live_size};
    struct stats before, after;

    kept_make_stored();
    struct volume *volume = kept_open_stored();
    volume_stats(volume, &before);
    kept_expect_all(volume);
    ck_assert_uint_gt(before.values[STAT_bd_count], 100);
    ck_assert_uint_gt(before.values[STAT_huge_pages], 10);
    ck_assert_uint_gt(before.values[STAT_same_pages], 10);
    for (unsigned i = 0; i < 3; i++) {
        volume = kept_open_stored();
        volume_stats(volume, &after);
        for (unsigned g = 0; g < sizeof gauges / sizeof *gauges; g++)
            ck_assert_uint_eq(after.values[gauges[g]], before.values[gauges[g]]);
        ck_assert_uint_eq(volume_found_pages(volume) * PAGE,
                          before.values[STAT_orig_data_size]);
        volume_close(volume);
    }
    volume = kept_open_stored();
    kept_write_pages(volume, 100, 300);
    kept_expect_all(volume);
    harness_close(kept_open_stored());
}
END_TEST

START_TEST(codecs_may_change)
{
    static const char *const codecs_then[] = {"zstd:3", "none", "lz4", "zstd"};

    kept_make_plain();
    for (unsigned i = 0; i < 4; i++) {
        struct volume *volume =
            harness_open("size", KEPT_SIZE_TEXT, "compressor", codecs_then[i], "state",
                         kept_directory, NULL);
        harness_check(volume);
        model_compare_all(&kept_model, volume);
        kept_write_pages(volume, 50 * i, 200);
        model_compare_all(&kept_model, volume);
        volume_close(volume);
    }
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(ram_that_nothing_refers_to_is_given_back)
{
    struct stat before, after;
    char zeroes[PAGE] = {1};

    kept_make_plain();
    volume_close(kept_open_plain());
    int fd = open_file("zslot-pool");
    ck_assert_int_eq(fstat(fd, &before), 0);
    /* An object that no slot came to refer to, in a span of its own and behind another's
     * last place. */
    ck_assert_int_eq(pwrite(fd, zeroes, PAGE, before.st_size / 2), PAGE);
    ck_assert_int_eq(pwrite(fd, zeroes, PAGE, lseek(fd, 0, SEEK_HOLE)), PAGE);
    close(fd);
    fd = open_file("zslot-slots"); /* and a leaf without pages */
    memset(zeroes, 0, sizeof zeroes);
    ck_assert_int_eq(pwrite(fd, zeroes, PAGE, KEPT_SIZE / PAGE * SLOT_BYTES - PAGE),
                     PAGE);
    close(fd);
    kept_expect_all(kept_open_plain());
    fd = open_file("zslot-pool");
    ck_assert_int_eq(fstat(fd, &after), 0);
    close(fd);
    ck_assert_int_le(after.st_blocks, before.st_blocks);
}
END_TEST

START_TEST(an_unfinished_first_start_is_made_anew)
{
    char path[128], junk[3 * PAGE];

    kept_make_plain();
    snprintf(path, sizeof path, "%s/zslot-header", kept_directory);
    ck_assert_int_eq(unlink(path), 0);
    memset(junk, 0xee, sizeof junk);
    write_file("zslot-slots", 0, junk, sizeof junk);
    struct volume *volume = kept_open_plain();
    ck_assert_uint_eq(volume_found_pages(volume), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_orig_data_size), 0);
    model_trim(&kept_model, 0, KEPT_SIZE);
    kept_expect_all(volume);
}
END_TEST

START_TEST(a_directory_is_made)
{
    char path[128];

    snprintf(path, sizeof path, "%s/zslot-sub", kept_directory);
    struct volume *volume = harness_open("size", "1M", "state", path, NULL);
    struct reason reason;
    ck_assert(!volume_warns(volume, &reason));
    volume_close(volume);
    statedir_remove(path);
}
END_TEST

/* -- What is refused. -- */

START_TEST(a_state_in_use_is_refused)
{
    kept_make_plain();
    struct volume *volume = kept_open_plain();
    kept_refused(-EBUSY, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "state=", kept_directory, "in use by another zslot",
                 "name another directory", NULL);
    kept_write_pages(volume, 0, 100);
    kept_expect_all(volume);
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(another_shape_is_refused)
{
    kept_make_plain();
    kept_refused(-EINVAL, "size", "16M", "state", kept_directory, NULL,
                 "state=", kept_directory, "of 8388608 bytes, not of 16777216",
                 "write size=8388608", NULL);
    kept_refused(-EINVAL, "size", "4M", "state", kept_directory, NULL, "not of 4194304",
                 NULL);
    load_header();
    changed.format = STATE_FORMAT + 1;
    store_changed();
    kept_refused(-EINVAL, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "of format 2", "knows format 1", "name another directory", NULL);
    changed = header;
    changed.page_bytes = 16384;
    store_changed();
    kept_refused(-EINVAL, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "pages of 16384 bytes, and here they have 4096", NULL);
    store_header();
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(a_damaged_header_is_refused)
{
    kept_make_plain();
    load_header();
    memset(changed.magic, 'x', sizeof changed.magic);
    store_changed();
    kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "zslot-header", "not zslot's", "delete what is in it", NULL);
    changed = header;
    changed.checksum ^= 1;
    write_file("zslot-header", 0, &changed, sizeof changed);
    kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "zslot-header", "damaged", NULL);
    store_header();
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(files_of_another_length_are_refused)
{
    struct stat status;

    kept_make_plain();
    int fd = open_file("zslot-pool");
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(ftruncate(fd, status.st_size - PAGE), 0);
    kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "damaged", "not of the length", NULL);
    ck_assert_int_eq(ftruncate(fd, status.st_size), 0);
    close(fd);
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(missing_or_empty_files_are_refused_and_not_taken_for_new_ones)
{
    static const char *const names[] = {"zslot-slots", "zslot-pool"};
    char path[128], aside[128];

    kept_make_plain();
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", kept_directory, names[i]);
        snprintf(aside, sizeof aside, "%s/aside", kept_directory);
        ck_assert_int_eq(rename(path, aside), 0);
        kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                     "damaged", names[i], "is missing or empty", NULL);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                     "damaged", names[i], "is missing or empty", NULL);
        ck_assert_int_eq(rename(aside, path), 0);
    }
    kept_expect_all(kept_open_plain());
}
END_TEST

/* Puts WORDS, the two of an entry, in the place of slot 3's; it must be refused; and puts
 * back what was there. */
static void refused_entry(uint64_t meta, uint64_t ref)
{
    uint64_t words[2] = {meta, ref}, before[2];

    read_file("zslot-slots", 3 * SLOT_BYTES, before, sizeof before);
    write_file("zslot-slots", 3 * SLOT_BYTES, words, sizeof words);
    kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "compressor", "lz4", "state",
                 kept_directory, NULL, "damaged", "slot ", "contradicts", NULL);
    write_file("zslot-slots", 3 * SLOT_BYTES, before, sizeof before);
}

START_TEST(a_damaged_table_is_refused_and_left_alone)
{
    uint64_t slots[8][2];

    kept_make_plain();
    read_file("zslot-slots", 0, slots, sizeof slots);
    refused_entry(0, 1);                              /* EMPTY with something */
    refused_entry(slots[3][0] | 7 << 2, slots[3][1]); /* no such state */
    refused_entry(slots[3][0] & ~(UINT64_C(0x1fff) << 12), slots[3][1]); /* no length */
    refused_entry(slots[3][0] | 15 << 8, slots[3][1]);           /* no such codec */
    refused_entry(slots[3][0], slots[3][1] | UINT64_C(1) << 40); /* no such span */
    refused_entry(slots[3][0],
                  slots[4][1]); /* another slot's object, of another class */
    refused_entry(slots[2][0], slots[2][1]); /* another slot's object, of the same */
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(a_limit_below_what_there_is_is_refused)
{
    char limit[32];

    kept_make_plain();
    snprintf(limit, sizeof limit, "%llu",
             (unsigned long long)(harness_fixed_bytes(KEPT_SIZE_TEXT, "lz4") + MIB));
    kept_refused(-ENOSPC, "size", KEPT_SIZE_TEXT, "compressor", "lz4", "memory-limit",
                 limit, "state", kept_directory, NULL, "memory-limit=", limit,
                 "the pages of state=", "write at least memory-limit=", NULL);
    kept_expect_all(kept_open_plain());
}
END_TEST

START_TEST(a_backing_store_left_out_is_refused)
{
    kept_make_stored();
    kept_refused(-EINVAL, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                 "state=", "on a backing store, and none is given",
                 "write backing=PATH", NULL);
    kept_expect_all(kept_open_stored());
}
END_TEST

/* As harness_open_with(), for what must be refused. */
static void backing_refused(unsigned char *bytes, uint64_t count, const char *word)
{
    struct faulty *faulty = faulty_new_in(bytes, count);
    struct backing *backing = faulty_backing(faulty);
    struct options options;
    struct volume *volume;
    struct reason reason;

    options_init(&options);
    options.backing_follows = true;
    options_set(&options, "size", KEPT_SIZE_TEXT, &reason);
    options_set(&options, "state", kept_directory, &reason);
    options_set(&options, "memory-limit", "1G", &reason);
    ck_assert_msg(volume_open(&options, &volume, &reason) == 0, "%s", reason.text);
    ck_assert_int_eq(volume_set_backing(volume, backing, &reason), -EINVAL);
    ck_assert_msg(strstr(reason.text, word) != NULL, "%s", reason.text);
    backing->ops->close(backing);
    volume_close(volume);
}

START_TEST(another_backing_store_is_refused)
{
    unsigned char *other = calloc(1, KEPT_STORE_BYTES);

    kept_make_stored();
    backing_refused(other, KEPT_STORE_BYTES, "not the one that");
    backing_header_make((struct backing_header *)(void *)other, NULL);
    backing_refused(other, KEPT_STORE_BYTES, "not the one that");
    backing_refused(kept_store, BACKING_BYTES_MIN / 16, "write at least backing-size=");
    kept_expect_all(kept_open_stored());
    free(other);
}
END_TEST

/* It may land at any moment, even when the process that wrote it is no more. */
START_TEST(a_header_that_was_begun_is_the_next_start_s_too)
{
    struct faulty *faulty = faulty_new_in(kept_store, KEPT_STORE_BYTES);
    struct state_header begun;

    faulty_fail(faulty, BACKING_WRITE, UINT32_MAX, -EIO);
    struct volume *volume =
        harness_open_with(faulty_backing(faulty), "size", KEPT_SIZE_TEXT, "compressor",
                          "lz4", "memory-limit", "1G", "state", kept_directory, NULL);
    faulty_wait_done(faulty, BACKING_WRITE, 1);
    volume_close(volume);
    read_file("zslot-header", 0, &begun, sizeof begun);
    ck_assert_uint_eq(begun.backing_is, STATE_BACKING_BEGUN);

    kept_make_stored();
    const struct backing_header *landed = (const struct backing_header *)kept_store;
    ck_assert(backing_header_is_ours(landed));
    ck_assert_mem_eq(landed->identity, begun.backing, sizeof begun.backing);

    /* Killed when it had landed, and that was not noted. */
    read_file("zslot-header", 0, &begun, sizeof begun);
    ck_assert_uint_eq(begun.backing_is, STATE_BACKING_KNOWN);
    begun.backing_is = STATE_BACKING_BEGUN;
    begun.checksum = XXH3_64bits(&begun, offsetof(struct state_header, checksum));
    write_file("zslot-header", 0, &begun, sizeof begun);
    kept_expect_all(kept_open_stored());
    read_file("zslot-header", 0, &begun, sizeof begun);
    ck_assert_uint_eq(begun.backing_is, STATE_BACKING_KNOWN);
}
END_TEST

START_TEST(another_backing_store_will_do_when_nothing_is_stored)
{
    kept_make_plain();
    struct volume *volume = kept_open_stored();
    ck_assert_int_eq(volume_writeback(volume), 0);
    ck_assert_int_eq(volume_trim(volume, 0, KEPT_SIZE), 0);
    volume_close(volume);
    model_trim(&kept_model, 0, KEPT_SIZE);
    memset(kept_store, 0, KEPT_STORE_BYTES);
    volume = kept_open_stored();
    kept_write_pages(volume, 0, KEPT_PAGES);
    ck_assert_int_eq(volume_writeback(volume), 0);
    volume_close(volume);
    kept_expect_all(kept_open_stored());
}
END_TEST

START_TEST(what_is_not_on_a_tmpfs_is_refused_after_a_new_start_of_the_system)
{
    char on_disk[] = "unit-state.XXXXXX", kept[sizeof kept_directory];
    struct state_header other_boot;
    struct state state;
    struct reason reason;

    ck_assert_ptr_nonnull(mkdtemp(on_disk));
    ck_assert_int_eq(state_open(&state, on_disk, KEPT_SIZE, &reason), 0);
    bool is_on_disk = state.is_on_disk;
    state_close(&state);
    strcpy(kept, kept_directory);
    strcpy(kept_directory, on_disk);
    kept_make_plain();
    kept_expect_all(kept_open_plain());
    read_file("zslot-header", 0, &other_boot, sizeof other_boot);
    other_boot.boot ^= 1;
    other_boot.checksum =
        XXH3_64bits(&other_boot, offsetof(struct state_header, checksum));
    write_file("zslot-header", 0, &other_boot, sizeof other_boot);
    if (is_on_disk)
        kept_refused(-EUCLEAN, "size", KEPT_SIZE_TEXT, "state", kept_directory, NULL,
                     "not on a tmpfs", "started again", NULL);
    else
        kept_expect_all(kept_open_plain());
    statedir_remove(kept_directory);
    strcpy(kept_directory, kept);
}
END_TEST

HARNESS_MAIN_WITH("unit-state", kept_setup, kept_teardown,
                  the_next_volume_has_every_page_and_every_gauge, codecs_may_change,
                  ram_that_nothing_refers_to_is_given_back,
                  an_unfinished_first_start_is_made_anew, a_directory_is_made,
                  a_state_in_use_is_refused, another_shape_is_refused,
                  a_damaged_header_is_refused, files_of_another_length_are_refused,
                  missing_or_empty_files_are_refused_and_not_taken_for_new_ones,
                  a_damaged_table_is_refused_and_left_alone,
                  a_limit_below_what_there_is_is_refused,
                  a_backing_store_left_out_is_refused, another_backing_store_is_refused,
                  another_backing_store_will_do_when_nothing_is_stored,
                  a_header_that_was_begun_is_the_next_start_s_too,
                  what_is_not_on_a_tmpfs_is_refused_after_a_new_start_of_the_system)
