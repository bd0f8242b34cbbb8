/* unit-volume-begin.c - starts that do not come to volume_begin(): nothing is left or changed
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backing-faulty.h"
#include "harness.h"
#include "kept.h"

static struct volume *prepare(struct backing *backing, const char *state)
{
    struct options options;
    struct volume *volume;
    struct reason reason;

    options_init(&options);
    ck_assert_int_eq(options_set(&options, "size", KEPT_SIZE_TEXT, &reason), 0);
    ck_assert_int_eq(options_set(&options, "memory-limit", "1G", &reason), 0);
    if (state)
        ck_assert_int_eq(options_set(&options, "state", state, &reason), 0);
    options.backing_follows = true;
    ck_assert_int_eq(volume_open(&options, &volume, &reason), 0);
    ck_assert_int_eq(volume_set_backing(volume, backing, &reason), 0);
    ck_assert_int_eq(volume_prepare(volume, &reason), 0);
    return volume;
}

static unsigned count_entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned entries = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries - 2;
}

START_TEST(a_start_that_does_not_begin_leaves_no_state)
{
    struct stat status;
    char path[128];

    snprintf(path, sizeof path, "%s/zslot-sub", kept_directory);
    volume_close(prepare(faulty_backing(faulty_new(KEPT_STORE_BYTES)), path));
    ck_assert_int_lt(stat(path, &status), 0);
    volume_close(prepare(faulty_backing(faulty_new(KEPT_STORE_BYTES)), kept_directory));
    ck_assert_uint_eq(count_entries(kept_directory), 0);
    kept_refused(-EISDIR, "size", KEPT_SIZE_TEXT, "state", path, "memory-limit", "1G",
                 "backing", kept_directory, NULL, "backing=", NULL);
    ck_assert_int_lt(stat(path, &status), 0);
}
END_TEST

static char sub[128];
static struct volume *second;

static void open_second(void *opaque)
{
    second = prepare(opaque, sub);
}

/* How many descriptors this process has of PATH. */
static unsigned count_descriptors(const char *path)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++) {
        char name[64], target[256];

        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(name, target, sizeof target - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        count += strcmp(target, path) == 0;
    }
    return count;
}

START_TEST(state_that_is_taken_away_while_another_waits_for_it_is_made_anew)
{
    struct stat status;

    snprintf(sub, sizeof sub, "%s/zslot-sub", kept_directory);
    struct volume *first = prepare(faulty_backing(faulty_new(KEPT_STORE_BYTES)), sub);
    struct actor *actor =
        actor_start(open_second, faulty_backing(faulty_new(KEPT_STORE_BYTES)));
    while (count_descriptors(sub) < 2) /* it waits for the lock */
        sched_yield();
    volume_close(first);
    actor_go(actor);
    ck_assert_uint_eq(count_descriptors(sub), 1);
    ck_assert_int_eq(stat(sub, &status), 0);
    volume_close(second);
    ck_assert_int_lt(stat(sub, &status), 0);
}
END_TEST

static void look(void *opaque, struct event_base *base)
{
    (void)base;
    ck_assert_int_eq(volume_retry(opaque), 0);
}

/* Neither a header nor a discard, of a start with a new state, with none, and with the one whose pages
 * they are. */
START_TEST(a_start_that_does_not_begin_leaves_the_backing_store_as_it_was)
{
    unsigned char *before = malloc(KEPT_STORE_BYTES);
    char other[128];

    ck_assert_ptr_nonnull(before);
    snprintf(other, sizeof other, "%s/zslot-sub", kept_directory);
    kept_make_stored();
    memcpy(before, kept_store, KEPT_STORE_BYTES);
    const char *const states[] = {NULL, other, kept_directory};
    for (unsigned i = 0; i < 3; i++) {
        struct volume *volume = prepare(
            faulty_backing(faulty_new_in(kept_store, KEPT_STORE_BYTES)), states[i]);

        ck_assert_int_eq(volume_call(volume, look, volume), 0);
        ck_assert_int_eq(volume_call(volume, look, volume), 0);
        volume_close(volume);
        ck_assert_int_eq(memcmp(before, kept_store, KEPT_STORE_BYTES), 0);
    }
    free(before);
    kept_expect_all(kept_open_stored());
}
END_TEST

HARNESS_MAIN_WITH("unit-volume-begin", kept_setup, kept_teardown,
                  a_start_that_does_not_begin_leaves_no_state,
                  state_that_is_taken_away_while_another_waits_for_it_is_made_anew,
                  a_start_that_does_not_begin_leaves_the_backing_store_as_it_was)
