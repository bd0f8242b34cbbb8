/* fault-backing-nbd.c - a server that fails, hangs, dies and returns, as the backing store
 *
 * Whatever it does: no page is lost that was written, no read gets wrong data, pages in RAM are
 * served.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance-backing.h"
#include "far.h"
#include "filter.h"
#include "harness.h"
#include "model.h"
#include "sample.h"
#include "segment.h"
#include "work.h"

#define SIZE (8 * MIB)
#define PAGES 1000 /* with content: some ten segments of objects */
#define OBJECT_BYTES 2500
#define ONE_SEGMENT 90 /* pages */
#define DEATHS_MAX 10

/* However busy the machine is; within what run-test gives one test. */
#define PATIENCE_MS 100000
#define PATIENCE_S "100"

static struct volume *volume;
static struct model model;

static void open_volume(const char *timeout)
{
    volume = harness_open("size", "8M", "memory-limit", "64M", "compressor", "lz4",
                          "backing", far_uri, "backing-timeout", timeout, NULL);
    model_open(&model, SIZE);
}

static void close_volume(void)
{
    model_compare_all(&model, volume);
    ck_assert_uint_eq(harness_stat(volume, STAT_corrupt_objects), 0);
    harness_close(volume);
    model_close(&model);
}

static void write_page(uint64_t page, uint64_t seed)
{
    unsigned char data[PAGE];

    sample_sized(OBJECT_BYTES, seed, data);
    model_write_both(&model, volume, page * PAGE, PAGE, data);
}

static void write_pages(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        write_page(i, i + 1);
}

static void store_all(void)
{
    ck_assert_int_eq(volume_writeback(volume), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_bd_count), PAGES);
}

/* 0 or a negative errno; what is read must be right. */
static int read_page(uint64_t page)
{
    unsigned char data[PAGE];
    int r = volume_read(volume, page * PAGE, PAGE, data);

    if (r == 0)
        MUST(memcmp(data, model.bytes + page * PAGE, PAGE) == 0, "a page is wrong");
    return r;
}

/* Asks until the page is there again. */
static void wait_for_page(uint64_t page)
{
    uint64_t end = far_now_ms() + PATIENCE_MS;

    while (read_page(page) < 0)
        far_look_again(end);
}

static void raise_flag(void)
{
    int fd = open(far_flag, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(server_s_errors_are_answers)
{
    char file[128];

    far_make_disk(STORE_BYTES);
    snprintf(file, sizeof file, "error-file=%s", far_flag);
    FAR_START("--filter=error", "file", far_disk, "error=EIO", "error-rate=100%", file);
    open_volume("1000");
    /* So that the server is known, and what it begins with is written. */
    write_page(0, 1);
    ck_assert_int_eq(volume_writeback(volume), 0);
    /* One segment: with each failure in a row the next try comes later. */
    for (unsigned i = 0; i < ONE_SEGMENT; i++)
        write_page(i, i + 1);
    uint64_t start = far_now_ms();
    raise_flag();
    ck_assert_int_eq(volume_writeback(volume), -EIO);
    ck_assert_uint_gt(harness_stat(volume, STAT_failed_writebacks), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_bd_count), 0);
    model_compare_all(&model, volume);
    unlink(far_flag);
    while (harness_stat(volume, STAT_bd_count) < ONE_SEGMENT) {
        int r = volume_writeback(volume);

        ck_assert(r == 0 || r == -EIO);
        ck_assert_uint_lt(far_now_ms(), start + PATIENCE_MS);
    }
    raise_flag();
    ck_assert_int_eq(read_page(3), -EIO);
    unlink(far_flag);
    ck_assert_int_eq(read_page(3), 0);
    ck_assert_uint_lt(far_now_ms(), start + PATIENCE_MS); /* none of it by a timeout */
    close_volume();
    server_stop(&far_server);
}
END_TEST

/* -- The server dies and returns. -- */

static atomic_bool ending;

static void *write_and_read(void *opaque)
{
    uint64_t random = 1;

    (void)opaque;
    while (!ending) {
        write_page(harness_random(&random) % PAGES, harness_random(&random));
        MUST(read_page(harness_random(&random) % PAGES) == 0, "a page is lost");
    }
    return NULL;
}

static void *write_back(void *opaque)
{
    (void)opaque;
    while (!ending)
        MUST(volume_writeback(volume) == 0, "no writeback");
    return NULL;
}

static void start_slow_file(void)
{
    FAR_START("--filter=delay", "file", far_disk, "wdelay=4ms", "rdelay=1ms");
}

/* A segment takes five requests. */
static void start_slow_narrow_file(void)
{
    FAR_START("--filter=blocksize-policy", "--filter=delay", "file", far_disk,
              "wdelay=5ms", "rdelay=1ms", "blocksize-minimum=1",
              "blocksize-preferred=4096", "blocksize-maximum=61440",
              "blocksize-error-policy=error");
}

static void *run_conform(void *opaque)
{
    conform(opaque);
    ending = true;
    return NULL;
}

/* Each I/O is answered once, with what was written last, whoever has died meanwhile. */
START_TEST(server_that_dies_conforms)
{
    struct stat status = {0};
    struct timespec seen = {0};
    unsigned changes = 0, deaths = 0;
    uint64_t end = far_now_ms() + PATIENCE_MS;
    pthread_t thread;

    far_make_disk(STORE_BYTES);
    start_slow_file();
    ending = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_conform, far_open(false)), 0);
    while (!ending) {
        far_look_again(end);
        ck_assert_int_eq(stat(far_disk, &status), 0);
        if (status.st_mtim.tv_nsec != seen.tv_nsec) {
            seen = status.st_mtim;
            changes++;
        }
        if (changes < 20 || deaths == DEATHS_MAX)
            continue;
        changes = 0;
        far_end(++deaths % 3 == 0 ? SIGTERM : SIGKILL);
        start_slow_file();
    }
    pthread_join(thread, NULL);
    printf("%u servers died\n", deaths);
    ck_assert(deaths > 0 || harness_is_slow());
    far_end(SIGTERM);
}
END_TEST

static void die_over_and_over(void (*start_server)(void))
{
    pthread_t threads[2];

    far_make_disk(STORE_BYTES);
    start_server();
    open_volume(PATIENCE_S);
    write_pages();
    ending = false;
    ck_assert_int_eq(pthread_create(&threads[0], NULL, write_and_read, NULL), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, write_back, NULL), 0);
    for (unsigned round = 0; round < 8; round++) {
        uint64_t before = harness_stat(volume, STAT_bd_written_size);
        uint64_t end = far_now_ms() + PATIENCE_MS;

        /* Writes are landing, others are on their way. */
        while (harness_stat(volume, STAT_bd_written_size) < before + MIB / 8)
            far_look_again(end);
        far_end(round % 3 == 2 ? SIGTERM : SIGKILL);
        start_server();
    }
    ending = true;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_reads), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_writebacks), 0);
    close_volume();
    server_stop(&far_server);
}

START_TEST(server_that_dies_over_and_over_loses_nothing)
{
    die_over_and_over(start_slow_file);
}
END_TEST

START_TEST(server_of_small_requests_that_dies_loses_nothing)
{
    die_over_and_over(start_slow_narrow_file);
}
END_TEST

static void retry(void *opaque, struct event_base *base)
{
    (void)opaque;
    (void)base;
    ck_assert_int_eq(volume_retry(volume), 0);
}

START_TEST(server_that_is_gone_for_long_gives_eio_and_is_found_again)
{
    far_make_disk(STORE_BYTES);
    FAR_START("file", far_disk);
    open_volume("1");
    write_pages();
    store_all();
    far_end(SIGKILL);

    uint64_t start = far_now_ms();
    ck_assert_int_eq(read_page(1), -EIO);
    uint64_t took = far_now_ms() - start;
    ck_assert_uint_ge(took, 900);
    ck_assert_uint_lt(took, PATIENCE_MS);
    /* What is in RAM is served, and what is written stays there. */
    for (unsigned i = 0; i < PAGES / 2; i++)
        write_page(i, i + 7777);
    for (unsigned i = 0; i < PAGES / 2; i++)
        ck_assert_int_eq(read_page(i), 0);
    ck_assert_int_eq(read_page(PAGES - 1), -EIO);
    /* To try it at once is no use, and no harm. */
    ck_assert_int_eq(volume_call(volume, retry, NULL), 0);
    ck_assert_int_eq(read_page(PAGES - 1), -EIO);

    FAR_START("file", far_disk);
    ck_assert_int_eq(volume_call(volume, retry, NULL), 0);
    wait_for_page(PAGES - 1);
    model_compare_all(&model, volume);
    store_all();
    close_volume();
    server_stop(&far_server);
}
END_TEST

/* Everything that it had was sent, and everything is answered in the end. */
START_TEST(server_that_hangs_gives_eio_and_goes_on)
{
    far_make_disk(STORE_BYTES);
    FAR_START("file", far_disk);
    open_volume("1");
    write_pages();
    store_all();
    /* All of its threads have stopped when that is told. */
    int status;
    ck_assert_int_eq(kill(far_server.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(far_server.pid, &status, WUNTRACED), far_server.pid);
    ck_assert(WIFSTOPPED(status));
    uint64_t start = far_now_ms();
    ck_assert_int_eq(read_page(1), -EIO);
    ck_assert_uint_lt(far_now_ms() - start, PATIENCE_MS);
    for (unsigned i = 0; i < PAGES / 2; i++)
        write_page(i, i + 7777);
    ck_assert_int_eq(read_page(0), 0);
    ck_assert_int_eq(kill(far_server.pid, SIGCONT), 0);
    wait_for_page(PAGES - 1);
    store_all();
    close_volume();
    far_end(SIGTERM);
}
END_TEST

static void *write_back_until_it_fails(void *opaque)
{
    const struct filter all = {.type = FILTER_ALL, .max_bytes = UINT64_MAX};

    while (volume_writeback_some(volume, &all, opaque) == 0)
        ;
    return NULL;
}

/* In a child: what is under way stays for ever. */
static int close_while_writes_hang(void)
{
    open_volume("1000");
    write_page(0, 1);
    if (volume_writeback(volume) < 0 || kill(far_server.pid, SIGSTOP) < 0)
        return __LINE__;
    write_pages();
    pthread_t asking;
    struct work work = {0};
    if (pthread_create(&asking, NULL, write_back_until_it_fails, &work) != 0)
        return __LINE__;
    /* All that may be on its way is: nothing leaves RAM any more. */
    uint64_t end = far_now_ms() + PATIENCE_MS;
    while (harness_stat(volume, STAT_bd_used_size) < 5 * SEGMENT_BYTES)
        if (far_now_ms() > end)
            return __LINE__;
    uint64_t start = far_now_ms();
    work.cancelled = true;
    if (pthread_join(asking, NULL) != 0)
        return __LINE__;
    volume_close(volume);
    return far_now_ms() - start < PATIENCE_MS ? 0 : __LINE__;
}

START_TEST(close_ends_while_the_server_hangs)
{
    far_make_disk(STORE_BYTES);
    FAR_START("file", far_disk);
    harness_in_child(close_while_writes_hang);
    far_end(SIGKILL);
}
END_TEST

static void start_memory(void)
{
    FAR_START("memory", "16M");
}

/* Not one byte of it may be written, and none believed. */
START_TEST(other_server_at_the_same_place_is_not_ours)
{
    static unsigned char bytes[STORE_BYTES];

    start_memory();
    open_volume("1");
    write_pages();
    store_all();
    far_end(SIGKILL);
    start_memory();
    ck_assert_int_eq(read_page(1), -EIO);
    for (unsigned i = 0; i < PAGES; i++)
        write_page(i, i + 7777);
    ck_assert_uint_eq(harness_stat(volume, STAT_corrupt_objects), 0);
    model_compare_all(&model, volume);

    struct nbd_handle *nbd = server_connect(&far_server);
    NBD_OK(nbd_pread(nbd, bytes, sizeof bytes, 0, 0));
    ck_assert(conformance_is_zero(bytes, sizeof bytes));
    nbd_close(nbd);
    close_volume();
    server_stop(&far_server);
}
END_TEST

/* Writers must not wait for room that a server which is gone will not make. */
START_TEST(writers_get_enospc_soon_while_it_is_gone)
{
    char limit[32];
    unsigned char data[PAGE];
    int r = 0;

    far_make_disk(STORE_BYTES);
    FAR_START("file", far_disk);
    snprintf(limit, sizeof limit, "%llu",
             (unsigned long long)(harness_fixed_bytes("64M", "lz4") + 8 * MIB));
    volume = harness_open("size", "64M", "memory-limit", limit, "compressor", "lz4",
                          "backing", far_uri, "backing-timeout", "1", NULL);
    for (unsigned i = 0; i < 2048; i++) {
        sample_sized(OBJECT_BYTES, i, data);
        ck_assert_int_eq(volume_write(volume, i * PAGE, PAGE, data), 0);
    }
    far_end(SIGKILL);
    for (unsigned i = 0; i < 16384 && r == 0; i++) {
        sample_sized(OBJECT_BYTES, i + 5, data);
        r = volume_write(volume, i * PAGE, PAGE, data);
    }
    ck_assert_int_eq(r, -ENOSPC);
    /* By now it is known. */
    uint64_t end = far_now_ms() + PATIENCE_MS, start;
    do {
        start = far_now_ms();
        r = volume_write(volume, 63 * MIB, PAGE, data);
        if (r == 0) /* an object of the same class was free */
            break;
        ck_assert_int_eq(r, -ENOSPC);
        ck_assert_uint_lt(start, end);
    } while (far_now_ms() - start > 500);
    FAR_START("file", far_disk);
    end = far_now_ms() + PATIENCE_MS;
    do {
        far_look_again(end);
        r = volume_write(volume, 62 * MIB, PAGE, data);
    } while (r < 0);
    ck_assert_int_eq(volume_writeback(volume), 0);
    harness_close(volume);
    server_stop(&far_server);
}
END_TEST

HARNESS_MAIN_WITH("fault-backing-nbd", far_setup, far_teardown,
                  server_s_errors_are_answers, server_that_dies_conforms,
                  server_that_dies_over_and_over_loses_nothing,
                  server_of_small_requests_that_dies_loses_nothing,
                  server_that_is_gone_for_long_gives_eio_and_is_found_again,
                  server_that_hangs_gives_eio_and_goes_on,
                  close_ends_while_the_server_hangs,
                  other_server_at_the_same_place_is_not_ours,
                  writers_get_enospc_soon_while_it_is_gone)
