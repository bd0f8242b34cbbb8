/* unit-backing.c - core/backing.h: what every backing store must do, and bad paths
 *
 * The conformance test is one, run with each store: threads submit, the loop answers.  Each thread
 * has blocks of its own, so what it reads is what it wrote or discarded last.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "backing.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "backing-faulty.h"
#include "harness.h"
#include "segment-format.h"

#define STORE_BYTES (16 * MIB)
#define THREADS 4
#define IN_FLIGHT 48 /* per thread: more in all than a ring takes */
#define BLOCKS_MAX 8 /* of one I/O */

/* -- A store with a loop, as the writeback thread is one. -- */

struct loop {
    struct backing *backing;
    struct event_base *base;
    pthread_t thread;
};

static void *dispatch(void *opaque)
{
    event_base_loop(opaque, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void loop_start(struct loop *loop, struct backing *backing)
{
    ck_assert_int_eq(evthread_use_pthreads(), 0);
    loop->backing = backing;
    loop->base = event_base_new();
    ck_assert_ptr_nonnull(loop->base);
    ck_assert_int_eq(backing->ops->start(backing, loop->base), 0);
    ck_assert_int_eq(pthread_create(&loop->thread, NULL, dispatch, loop->base), 0);
}

static void loop_stop(struct loop *loop)
{
    event_base_loopbreak(loop->base);
    pthread_join(loop->thread, NULL);
    loop->backing->ops->close(loop->backing);
    event_base_free(loop->base);
}

/* -- I/O that counts how often it is answered. -- */

struct request {
    struct backing_io io;
    atomic_uint answers;
    int result;
    struct crowd *crowd;
    unsigned char *buffer;
};

/* The requests of one thread. */
struct crowd {
    struct backing *backing;
    uint64_t random;
    unsigned number;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned under_way;
    struct request requests[IN_FLIGHT];
};

static void on_done(struct backing_io *io, int result)
{
    struct request *request = io->opaque;
    struct crowd *crowd = request->crowd;

    pthread_mutex_lock(&crowd->lock);
    request->result = result;
    request->answers++;
    crowd->under_way--;
    pthread_cond_broadcast(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

static void crowd_open(struct crowd *crowd, struct backing *backing, unsigned number)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->backing = backing;
    crowd->number = number;
    crowd->random = number + 1;
    pthread_mutex_init(&crowd->lock, NULL);
    pthread_cond_init(&crowd->changed, NULL);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        struct request *request = &crowd->requests[i];

        request->crowd = crowd;
        request->buffer = aligned_alloc(BACKING_ALIGN, BLOCKS_MAX * BACKING_ALIGN);
        ck_assert_ptr_nonnull(request->buffer);
    }
}

static void crowd_close(struct crowd *crowd)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        free(crowd->requests[i].buffer);
    pthread_cond_destroy(&crowd->changed);
    pthread_mutex_destroy(&crowd->lock);
}

static void submit(struct request *request, enum backing_op op, uint64_t offset,
                   uint32_t bytes)
{
    struct crowd *crowd = request->crowd;

    request->answers = 0;
    request->io = (struct backing_io){
        .op = op,
        .offset = offset,
        .bytes = bytes,
        .buffer = op == BACKING_DISCARD ? NULL : request->buffer,
        .done = on_done,
        .opaque = request,
    };
    pthread_mutex_lock(&crowd->lock);
    crowd->under_way++;
    pthread_mutex_unlock(&crowd->lock);
    backing_submit(crowd->backing, &request->io);
}

static void wait_all(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    while (crowd->under_way > 0)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
}

/* Block I of the thread's own; runs of BLOCKS_MAX blocks are the threads' in turn. */
static uint64_t own_offset(const struct crowd *crowd, unsigned run)
{
    return ((uint64_t)run * THREADS + crowd->number) * BLOCKS_MAX * BACKING_ALIGN;
}

static void fill(unsigned char *buffer, uint32_t bytes, uint64_t seed)
{
    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word = harness_random(&seed);
        memcpy(buffer + at, &word, 8);
    }
}

static bool is_zero(const unsigned char *buffer, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at++)
        if (buffer[at])
            return false;
    return true;
}

/* One round: IN_FLIGHT runs are written, read, one half discarded, and read again. */
static void do_round(struct crowd *crowd, uint64_t round)
{
    static const unsigned runs = STORE_BYTES / BACKING_ALIGN / BLOCKS_MAX / THREADS;
    unsigned char should[BLOCKS_MAX * BACKING_ALIGN];
    uint64_t offset[IN_FLIGHT];
    uint32_t bytes[IN_FLIGHT];
    unsigned first = (unsigned)(harness_random(&crowd->random) % runs);

    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        uint64_t random = harness_random(&crowd->random);

        offset[i] = own_offset(crowd, (first + i) % runs);
        bytes[i] = (uint32_t)(random % BLOCKS_MAX + 1) * BACKING_ALIGN;
        fill(crowd->requests[i].buffer, bytes[i], offset[i] + round);
        submit(&crowd->requests[i], BACKING_WRITE, offset[i], bytes[i]);
    }
    for (unsigned step = 0; step < 4; step++) {
        wait_all(crowd);
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            struct request *request = &crowd->requests[i];
            bool was_discarded = step == 3 && i % 2 == 0;

            ck_assert_uint_eq(request->answers, 1);
            ck_assert_int_eq(request->result, 0);
            if (step == 1 || step == 3) {
                fill(should, bytes[i], offset[i] + round);
                if (was_discarded)
                    ck_assert(is_zero(request->buffer, bytes[i]));
                else
                    ck_assert_mem_eq(request->buffer, should, bytes[i]);
            }
            memset(request->buffer, 0xee, sizeof should);
            if (step == 0 || step == 2)
                submit(request, BACKING_READ, offset[i], bytes[i]);
            else if (step == 1 && i % 2 == 0)
                submit(request, BACKING_DISCARD, offset[i], bytes[i]);
        }
    }
}

static void *do_rounds(void *opaque)
{
    unsigned long rounds = harness_ops(40);

    for (unsigned long round = 0; round < rounds; round++)
        do_round(opaque, round);
    return NULL;
}

static void conform(struct backing *backing)
{
    static struct crowd crowds[THREADS];
    struct loop loop;

    ck_assert_uint_eq(backing->bytes, STORE_BYTES);
    loop_start(&loop, backing);
    for (unsigned i = 0; i < THREADS; i++) {
        crowd_open(&crowds[i], backing, i);
        ck_assert_int_eq(pthread_create(&crowds[i].thread, NULL, do_rounds, &crowds[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(crowds[i].thread, NULL);
    loop_stop(&loop);
    for (unsigned i = 0; i < THREADS; i++)
        crowd_close(&crowds[i]);
}

/* The first half is there, the second is not: reads that touch it fail, and only they. */
static void conform_truncated(struct backing *backing,
                              void (*truncate_to)(uint64_t bytes))
{
    static struct crowd crowd;
    struct request *const requests = crowd.requests;
    struct loop loop;

    loop_start(&loop, backing);
    crowd_open(&crowd, backing, 0);
    fill(requests[0].buffer, BLOCKS_MAX * BACKING_ALIGN, 1);
    submit(&requests[0], BACKING_WRITE, STORE_BYTES / 2, BLOCKS_MAX * BACKING_ALIGN);
    wait_all(&crowd);
    ck_assert_int_eq(requests[0].result, 0);

    truncate_to(STORE_BYTES / 2 + BACKING_ALIGN);
    submit(&requests[0], BACKING_READ, STORE_BYTES / 2, BACKING_ALIGN);
    submit(&requests[1], BACKING_READ, STORE_BYTES / 2, 2 * BACKING_ALIGN);
    submit(&requests[2], BACKING_READ, STORE_BYTES - BACKING_ALIGN, BACKING_ALIGN);
    wait_all(&crowd);
    ck_assert_int_eq(requests[0].result, 0);
    ck_assert_int_eq(requests[1].result, -EIO);
    ck_assert_int_eq(requests[2].result, -EIO);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(requests[i].answers, 1);
    loop_stop(&loop);
    crowd_close(&crowd);
}

/* -- The stores. -- */

static char directory[256], path[300];
static const char *const shm = "/dev/shm";

static void make_path(const char *where)
{
    snprintf(directory, sizeof directory, "%s/zslot-unit-backing-XXXXXX", where);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/store", directory);
}

static void remove_path(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static const char *disk(void)
{
    const char *tmpdir = getenv("TMPDIR");

    return tmpdir ? tmpdir : "/var/tmp";
}

static struct backing *open_file(void)
{
    struct backing *backing;
    struct reason reason;

    ck_assert_msg(backing_file_open(path, STORE_BYTES, 0, false, &backing, &reason) ==
                      0,
                  "%s", reason.text);
    return backing;
}

START_TEST(file_on_tmpfs_conforms)
{
    make_path(shm);
    conform(open_file());
    remove_path();
}
END_TEST

START_TEST(file_on_disk_conforms)
{
    make_path(disk());
    conform(open_file());
    remove_path();
}
END_TEST

START_TEST(faulty_conforms)
{
    conform(faulty_backing(faulty_new(STORE_BYTES)));
}
END_TEST

static void truncate_file(uint64_t bytes)
{
    ck_assert_int_eq(truncate(path, (off_t)bytes), 0);
}

static struct faulty *faulty;

static void truncate_faulty(uint64_t bytes)
{
    faulty_truncate(faulty, bytes);
}

START_TEST(file_that_was_truncated_gives_eio)
{
    make_path(shm);
    conform_truncated(open_file(), truncate_file);
    remove_path();
    make_path(disk());
    conform_truncated(open_file(), truncate_file);
    remove_path();
}
END_TEST

START_TEST(faulty_that_was_truncated_gives_eio)
{
    faulty = faulty_new(STORE_BYTES);
    conform_truncated(faulty_backing(faulty), truncate_faulty);
}
END_TEST

START_TEST(discarded_blocks_of_a_file_take_no_space)
{
    static struct crowd crowd;
    struct loop loop;
    struct stat before, after;

    make_path(shm);
    loop_start(&loop, open_file());
    crowd_open(&crowd, loop.backing, 0);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        memset(crowd.requests[i].buffer, 1, BLOCKS_MAX * BACKING_ALIGN);
        submit(&crowd.requests[i], BACKING_WRITE, own_offset(&crowd, i),
               BLOCKS_MAX * BACKING_ALIGN);
    }
    wait_all(&crowd);
    ck_assert_int_eq(stat(path, &before), 0);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        submit(&crowd.requests[i], BACKING_DISCARD, own_offset(&crowd, i),
               BLOCKS_MAX * BACKING_ALIGN);
    wait_all(&crowd);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_ge(before.st_blocks, IN_FLIGHT * BLOCKS_MAX * BACKING_ALIGN / 512);
    ck_assert_int_lt(after.st_blocks, before.st_blocks / 8);
    ck_assert_int_eq(after.st_size, STORE_BYTES);
    loop_stop(&loop);
    crowd_close(&crowd);
    remove_path();
}
END_TEST

/* -- Paths. -- */

/* Is refused with ERR and a sentence that names the path and says each of WORDS. */
static void refused(const char *what, uint64_t bytes, bool overwrite, int err,
                    const char *word, const char *advice)
{
    struct backing *backing = NULL;
    struct reason reason = {{0}};

    ck_assert_int_eq(
        backing_file_open(what, bytes, STORE_BYTES, overwrite, &backing, &reason), err);
    ck_assert_ptr_null(backing);
    ck_assert_msg(strstr(reason.text, what), "no path: %s", reason.text);
    ck_assert_msg(strstr(reason.text, word), "no \"%s\": %s", word, reason.text);
    ck_assert_msg(strstr(reason.text, advice), "no \"%s\": %s", advice, reason.text);
}

static void accepted(const char *what, uint64_t bytes, bool overwrite)
{
    struct backing *backing;
    struct reason reason;

    ck_assert_msg(
        backing_file_open(what, bytes, STORE_BYTES, overwrite, &backing, &reason) == 0,
        "%s", reason.text);
    backing->ops->close(backing);
}

static void path_setup(void)
{
    make_path(shm);
}

static void put_file(const void *bytes, size_t n)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

START_TEST(missing_file_is_made_only_with_a_size)
{
    struct stat status;

    path_setup();
    refused(path, 0, false, -ENOENT, "no such file", "backing-size=");
    ck_assert_int_lt(stat(path, &status), 0);
    accepted(path, STORE_BYTES, false);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, STORE_BYTES);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(status.st_blocks, 0);
    remove_path();
}
END_TEST

START_TEST(missing_directory_is_refused)
{
    path_setup();
    strcat(path, "/below");
    refused(path, STORE_BYTES, false, -ENOENT, "No such file", "backing=");
    snprintf(path, sizeof path, "%s/store", directory);
    remove_path();
}
END_TEST

START_TEST(directory_is_refused)
{
    path_setup();
    refused(directory, STORE_BYTES, false, -EISDIR, "directory", "name a file");
    remove_path();
}
END_TEST

START_TEST(socket_fifo_and_character_device_are_refused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    path_setup();
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    refused(path, STORE_BYTES, true, -EINVAL, "neither", "name");
    close(fd);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused(path, STORE_BYTES, true, -EINVAL, "neither", "name");
    remove_path();
    refused("/dev/null", STORE_BYTES, true, -EINVAL, "neither", "name");
}
END_TEST

static int open_as_nobody(void)
{
    struct backing *backing;
    struct reason reason;

    if (geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
        return __LINE__;
    int r = backing_file_open(path, STORE_BYTES, 0, true, &backing, &reason);
    if (r != -EACCES || !strstr(reason.text, path) ||
        !strstr(reason.text, "Permission denied") || !strstr(reason.text, "writ"))
        return __LINE__;
    return 0;
}

START_TEST(file_that_is_not_writable_is_refused)
{
    path_setup();
    put_file("", 0);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(chmod(directory, 0755), 0);
    harness_in_child(open_as_nobody);
    remove_path();
}
END_TEST

START_TEST(file_in_use_by_another_is_refused)
{
    path_setup();
    struct backing *first = open_file();
    refused(path, STORE_BYTES, true, -EBUSY, "in use", "name another");
    first->ops->close(first);
    accepted(path, STORE_BYTES, false);
    remove_path();
}
END_TEST

START_TEST(store_that_is_too_small_is_refused_and_not_made)
{
    struct stat status;

    path_setup();
    refused(path, BACKING_BYTES_MIN - 1, false, -EINVAL, "too small", "at least");
    ck_assert_int_lt(stat(path, &status), 0);
    accepted(path, BACKING_BYTES_MIN, false);
    remove_path();
}
END_TEST

START_TEST(file_with_something_in_it_is_refused_unless_overwritten)
{
    struct stat status;
    char page[BACKING_ALIGN] = "somebody's thesis";

    path_setup();
    put_file(page, 7);
    refused(path, STORE_BYTES, false, -EEXIST, "not empty", "backing-overwrite=true");
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 7);
    put_file(page, sizeof page);
    refused(path, STORE_BYTES, false, -EEXIST, "not empty", "backing-overwrite=true");

    /* Also when what is there comes after a hole. */
    put_file("", 0);
    ck_assert_int_eq(truncate(path, 8 * MIB), 0);
    int fd = open(path, O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, page, sizeof page), sizeof page);
    close(fd);
    refused(path, STORE_BYTES, false, -EEXIST, "not empty", "backing-overwrite=true");
    accepted(path, STORE_BYTES, true);
    remove_path();
}
END_TEST

START_TEST(files_without_anything_in_them_are_accepted)
{
    path_setup();
    put_file("", 0);
    accepted(path, 0, false);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(truncate(path, 20 * MIB), 0);
    accepted(path, STORE_BYTES, false);
    remove_path();
}
END_TEST

START_TEST(our_own_header_is_accepted_and_a_damaged_one_is_not)
{
    union {
        struct backing_header header;
        unsigned char bytes[BACKING_ALIGN];
    } start = {.bytes = {0}};

    path_setup();
    backing_header_make(&start.header);
    put_file(&start, sizeof start);
    accepted(path, STORE_BYTES, false);
    start.bytes[20] ^= 1;
    put_file(&start, sizeof start);
    refused(path, STORE_BYTES, false, -EEXIST, "not empty", "backing-overwrite=true");
    remove_path();
}
END_TEST

HARNESS_MAIN("unit-backing", file_on_tmpfs_conforms, file_on_disk_conforms,
             faulty_conforms, file_that_was_truncated_gives_eio,
             faulty_that_was_truncated_gives_eio,
             discarded_blocks_of_a_file_take_no_space,
             missing_file_is_made_only_with_a_size, missing_directory_is_refused,
             directory_is_refused, socket_fifo_and_character_device_are_refused,
             file_that_is_not_writable_is_refused, file_in_use_by_another_is_refused,
             store_that_is_too_small_is_refused_and_not_made,
             file_with_something_in_it_is_refused_unless_overwritten,
             files_without_anything_in_them_are_accepted,
             our_own_header_is_accepted_and_a_damaged_one_is_not)
