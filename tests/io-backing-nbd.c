/* io-backing-nbd.c - core/backing-nbd.c against the real nbdkit, which fails, hangs, dies and returns
 *
 * Whatever the server does: no page is lost that was written, no read gets wrong data, pages in RAM
 * are served.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance-backing.h"
#include "harness.h"
#include "model.h"
#include "sample.h"
#include "segment-format.h"
#include "server.h"

#define SIZE (8 * MIB)
#define PAGES 1000 /* with content: some ten segments of objects */
#define OBJECT_BYTES 2500
#define DEATHS_MAX 15
#define ONE_SEGMENT 90 /* pages */

static char directory[64], socket_path[96], disk[96], flag[96], uri[128];
static struct server server;

static void setup(void)
{
    char options[512];
    const char *already = getenv("ASAN_OPTIONS");

    /* The servers are not ours, and nor are their leaks.  (It is too late for this process.) */
    snprintf(options, sizeof options, "%s%sdetect_leaks=0", already ? already : "",
             already ? ":" : "");
    setenv("ASAN_OPTIONS", options, 1);

    /* A socket's path must be short. */
    snprintf(directory, sizeof directory, "/tmp/zslot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(socket_path, sizeof socket_path, "%s/socket", directory);
    snprintf(uri, sizeof uri, "nbd+unix:///?socket=%s", socket_path);
    snprintf(disk, sizeof disk, "%s/disk", directory);
    snprintf(flag, sizeof flag, "%s/flag", directory);
}

static void teardown(void)
{
    unlink(socket_path);
    unlink(disk);
    unlink(flag);
    ck_assert_int_eq(rmdir(directory), 0);
}

static void make_disk(uint64_t bytes)
{
    int fd = open(disk, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

/* By SIGNAL, however it takes it: nbdkit 1.32 may abort when clients leave it. */
static void end_server(int how)
{
    ck_assert_int_eq(kill(server.pid, how), 0);
    ck_assert_int_eq(waitpid(server.pid, NULL, 0), server.pid);
}

static struct backing *open_nbd(bool overwrite)
{
    struct backing *backing;
    struct reason reason;

    ck_assert_msg(
        backing_nbd_open(uri, STORE_BYTES, overwrite, 30000, &backing, &reason) == 0,
        "%s", reason.text);
    return backing;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Between two looks at something that must come about before END_MS. */
static void look_again(uint64_t end_ms)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    MUST(now_ms() < end_ms, "it does not come about");
    nanosleep(&moment, NULL);
}

/* -- Conformance. -- */

START_TEST(memory_conforms)
{
    SERVER_START_AT(&server, socket_path, "memory", "16M");
    conform(open_nbd(false));
    server_stop(&server);
}
END_TEST

START_TEST(file_conforms)
{
    make_disk(STORE_BYTES + 512);
    SERVER_START_AT(&server, socket_path, "file", disk);
    conform(open_nbd(false));
    /* What the file holds now is somebody's. */
    struct backing *backing;
    struct reason reason;
    ck_assert_int_eq(backing_nbd_open(uri, 0, false, 30000, &backing, &reason),
                     -EEXIST);
    ck_assert_ptr_nonnull(strstr(reason.text, "not empty"));
    conform(open_nbd(true));
    server_stop(&server);
}
END_TEST

START_TEST(file_behind_a_delay_conforms)
{
    make_disk(STORE_BYTES);
    SERVER_START_AT(&server, socket_path, "--filter=delay", "file", disk, "rdelay=2ms",
                    "wdelay=3ms");
    conform(open_nbd(false));
    server_stop(&server);
}
END_TEST

START_TEST(one_connection_conforms)
{
    SERVER_START_AT(&server, socket_path, "--filter=multi-conn", "memory", "16M",
                    "multi-conn-mode=disable");
    conform(open_nbd(false));
    server_stop(&server);
}
END_TEST

/* Each I/O of more than two blocks goes in several requests. */
START_TEST(small_requests_conform)
{
    SERVER_START_AT(&server, socket_path, "--filter=blocksize-policy", "memory", "16M",
                    "blocksize-maximum=8192", "blocksize-preferred=4096",
                    "blocksize-error-policy=error");
    conform(open_nbd(false));
    server_stop(&server);
}
END_TEST

START_TEST(tls_with_a_shared_key_conforms)
{
    char psk[160];
    FILE *keys = fopen(flag, "w");

    ck_assert_ptr_nonnull(keys);
    fprintf(keys, "alice:"
                  "9a1bb7b3a4f5a0d2c3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a\n");
    fclose(keys);
    snprintf(psk, sizeof psk, "--tls-psk=%s", flag);
    SERVER_START_AT(&server, socket_path, "--tls=require", psk, "memory", "16M");

    struct backing *backing;
    struct reason reason;
    ck_assert_int_lt(backing_nbd_open(uri, 0, false, 30000, &backing, &reason), 0);
    ck_assert_ptr_nonnull(strstr(reason.text, "cannot connect"));
    ck_assert_ptr_nonnull(strstr(reason.text, "TLS"));

    char tls_uri[300];
    snprintf(tls_uri, sizeof tls_uri, "nbds+unix://mallory@/?socket=%s&tls-psk-file=%s",
             socket_path, flag);
    ck_assert_int_lt(backing_nbd_open(tls_uri, 0, false, 30000, &backing, &reason), 0);
    ck_assert_ptr_nonnull(strstr(reason.text, "cannot connect"));

    snprintf(tls_uri, sizeof tls_uri, "nbds+unix://alice@/?socket=%s&tls-psk-file=%s",
             socket_path, flag);
    ck_assert_msg(backing_nbd_open(tls_uri, 0, false, 30000, &backing, &reason) == 0,
                  "%s", reason.text);
    conform(backing);
    server_stop(&server);
}
END_TEST

START_TEST(discard_where_there_is_no_trim_succeeds)
{
    static struct crowd crowd;
    unsigned char should[BACKING_ALIGN];
    char get_size[64], pread[256], pwrite[256];
    struct loop loop;

    make_disk(STORE_BYTES);
    snprintf(get_size, sizeof get_size, "get_size=echo %llu",
             (unsigned long long)STORE_BYTES);
    snprintf(pread, sizeof pread,
             "pread=dd if=%s skip=$4 count=$3 iflag=skip_bytes,count_bytes 2>/dev/null",
             disk);
    snprintf(pwrite, sizeof pwrite,
             "pwrite=dd of=%s seek=$4 conv=notrunc oflag=seek_bytes 2>/dev/null", disk);
    SERVER_START_AT(&server, socket_path, "eval", get_size, pread, pwrite,
                    "can_write=exit 0");
    /* It does not tell what is in it. */
    struct backing *backing = open_nbd(true);
    loop_start(&loop, backing);
    crowd_open(&crowd, backing, 1);
    struct request *request = &crowd.requests[0];
    conformance_fill(request->buffer, BACKING_ALIGN, 5);
    crowd_submit(request, BACKING_WRITE, 8 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(request->result, 0);
    crowd_submit(request, BACKING_DISCARD, 8 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(request->result, 0);
    ck_assert_uint_eq(request->answers, 1);
    memset(request->buffer, 0, BACKING_ALIGN);
    crowd_submit(request, BACKING_READ, 8 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(request->result, 0);
    conformance_fill(should, BACKING_ALIGN, 5);
    ck_assert_mem_eq(request->buffer, should, BACKING_ALIGN);
    loop_stop(&loop);
    crowd_close(&crowd);
    server_stop(&server);
}
END_TEST

/* -- A volume in front of it. -- */

static struct volume *volume;
static struct model model;

static void open_volume(const char *timeout)
{
    volume = harness_open("size", "8M", "memory-limit", "64M", "compressor", "lz4",
                          "backing", uri, "backing-timeout", timeout, NULL);
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
    uint64_t end = now_ms() + 20000;

    while (read_page(page) < 0)
        look_again(end);
}

static void raise_flag(void)
{
    int fd = open(flag, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(server_s_errors_are_answers)
{
    char file[128];

    make_disk(STORE_BYTES);
    snprintf(file, sizeof file, "error-file=%s", flag);
    SERVER_START_AT(&server, socket_path, "--filter=error", "file", disk, "error=EIO",
                    "error-rate=100%", file);
    open_volume("30");
    /* So that the server is known, and what it begins with is written. */
    write_page(0, 1);
    ck_assert_int_eq(volume_writeback(volume), 0);
    /* One segment: with each failure in a row the next try comes later. */
    for (unsigned i = 0; i < ONE_SEGMENT; i++)
        write_page(i, i + 1);
    uint64_t start = now_ms();
    raise_flag();
    ck_assert_int_eq(volume_writeback(volume), 0);
    ck_assert_uint_gt(harness_stat(volume, STAT_failed_writebacks), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_bd_count), 0);
    model_compare_all(&model, volume);
    unlink(flag);
    while (harness_stat(volume, STAT_bd_count) < ONE_SEGMENT) {
        ck_assert_int_eq(volume_writeback(volume), 0);
        ck_assert_uint_lt(now_ms(), start + 25000);
    }
    raise_flag();
    ck_assert_int_eq(read_page(3), -EIO);
    unlink(flag);
    ck_assert_int_eq(read_page(3), 0);
    ck_assert_uint_lt(now_ms(), start + 25000); /* none of it by a timeout */
    close_volume();
    server_stop(&server);
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
    SERVER_START_AT(&server, socket_path, "--filter=delay", "file", disk, "wdelay=10ms",
                    "rdelay=1ms");
}

/* A segment takes five requests. */
static void start_slow_narrow_file(void)
{
    SERVER_START_AT(&server, socket_path, "--filter=blocksize-policy", "--filter=delay",
                    "file", disk, "wdelay=5ms", "rdelay=1ms", "blocksize-minimum=1",
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
    uint64_t end = now_ms() + 50000;
    pthread_t thread;

    make_disk(STORE_BYTES);
    start_slow_file();
    ending = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_conform, open_nbd(false)), 0);
    while (!ending) {
        look_again(end);
        ck_assert_int_eq(stat(disk, &status), 0);
        if (status.st_mtim.tv_nsec != seen.tv_nsec) {
            seen = status.st_mtim;
            changes++;
        }
        if (changes < 20 || deaths == DEATHS_MAX)
            continue;
        changes = 0;
        end_server(++deaths % 3 == 0 ? SIGTERM : SIGKILL);
        start_slow_file();
    }
    pthread_join(thread, NULL);
    printf("%u servers died\n", deaths);
    ck_assert(deaths > 0 || harness_is_slow());
    end_server(SIGTERM);
}
END_TEST

static void die_over_and_over(void (*start_server)(void))
{
    pthread_t threads[2];

    make_disk(STORE_BYTES);
    start_server();
    open_volume("30");
    write_pages();
    ending = false;
    ck_assert_int_eq(pthread_create(&threads[0], NULL, write_and_read, NULL), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, write_back, NULL), 0);
    for (unsigned round = 0; round < 8; round++) {
        uint64_t before = harness_stat(volume, STAT_bd_written_size);
        uint64_t end = now_ms() + 30000;

        /* Writes are landing, others are on their way. */
        while (harness_stat(volume, STAT_bd_written_size) < before + MIB)
            look_again(end);
        end_server(round % 3 == 2 ? SIGTERM : SIGKILL);
        start_server();
    }
    ending = true;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_reads), 0);
    ck_assert_uint_eq(harness_stat(volume, STAT_failed_writebacks), 0);
    close_volume();
    server_stop(&server);
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

START_TEST(server_that_is_gone_for_long_gives_eio_and_is_found_again)
{
    make_disk(STORE_BYTES);
    SERVER_START_AT(&server, socket_path, "file", disk);
    open_volume("1");
    write_pages();
    store_all();
    end_server(SIGKILL);

    uint64_t start = now_ms();
    ck_assert_int_eq(read_page(1), -EIO);
    uint64_t took = now_ms() - start;
    ck_assert_uint_ge(took, 900);
    ck_assert_uint_lt(took, 8000);
    /* What is in RAM is served, and what is written stays there. */
    for (unsigned i = 0; i < PAGES / 2; i++)
        write_page(i, i + 7777);
    for (unsigned i = 0; i < PAGES / 2; i++)
        ck_assert_int_eq(read_page(i), 0);
    ck_assert_int_eq(read_page(PAGES - 1), -EIO);

    SERVER_START_AT(&server, socket_path, "file", disk);
    wait_for_page(PAGES - 1);
    model_compare_all(&model, volume);
    store_all();
    close_volume();
    server_stop(&server);
}
END_TEST

/* Everything that it had was sent, and everything is answered in the end. */
START_TEST(server_that_hangs_gives_eio_and_goes_on)
{
    make_disk(STORE_BYTES);
    SERVER_START_AT(&server, socket_path, "file", disk);
    open_volume("1");
    write_pages();
    store_all();
    /* All of its threads have stopped when that is told. */
    int status;
    ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(server.pid, &status, WUNTRACED), server.pid);
    ck_assert(WIFSTOPPED(status));
    uint64_t start = now_ms();
    ck_assert_int_eq(read_page(1), -EIO);
    ck_assert_uint_lt(now_ms() - start, 8000);
    for (unsigned i = 0; i < PAGES / 2; i++)
        write_page(i, i + 7777);
    ck_assert_int_eq(read_page(0), 0);
    ck_assert_int_eq(kill(server.pid, SIGCONT), 0);
    wait_for_page(PAGES - 1);
    store_all();
    close_volume();
    end_server(SIGTERM);
}
END_TEST

/* In a child: what is under way stays for ever. */
static int close_while_writes_hang(void)
{
    open_volume("30");
    write_page(0, 1);
    if (volume_writeback(volume) < 0 || kill(server.pid, SIGSTOP) < 0)
        return __LINE__;
    write_pages();
    pthread_t asking;
    ending = false;
    if (pthread_create(&asking, NULL, write_back, NULL) != 0)
        return __LINE__;
    /* All that may be on its way is: nothing leaves RAM any more. */
    uint64_t end = now_ms() + 5000;
    while (harness_stat(volume, STAT_bd_used_size) < 5 * SEGMENT_BYTES)
        if (now_ms() > end)
            return __LINE__;
    uint64_t start = now_ms();
    volume_close(volume);
    return now_ms() - start < 5200 ? 0 : __LINE__;
}

START_TEST(close_ends_while_the_server_hangs)
{
    make_disk(STORE_BYTES);
    SERVER_START_AT(&server, socket_path, "file", disk);
    harness_in_child(close_while_writes_hang);
    end_server(SIGKILL);
}
END_TEST

static void start_memory(void)
{
    SERVER_START_AT(&server, socket_path, "memory", "16M");
}

/* Not one byte of it may be written, and none believed. */
START_TEST(other_server_at_the_same_place_is_not_ours)
{
    static unsigned char bytes[STORE_BYTES];

    start_memory();
    open_volume("1");
    write_pages();
    store_all();
    end_server(SIGKILL);
    start_memory();
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(read_page(i), -EIO);
    for (unsigned i = 0; i < PAGES; i++)
        write_page(i, i + 7777);
    ck_assert_uint_eq(harness_stat(volume, STAT_corrupt_objects), 0);
    model_compare_all(&model, volume);

    struct nbd_handle *nbd = server_connect(&server);
    NBD_OK(nbd_pread(nbd, bytes, sizeof bytes, 0, 0));
    ck_assert(conformance_is_zero(bytes, sizeof bytes));
    nbd_close(nbd);
    close_volume();
    server_stop(&server);
}
END_TEST

/* Writers must not wait for room that a server which is gone will not make. */
START_TEST(writers_get_enospc_soon_while_it_is_gone)
{
    char limit[32];
    unsigned char data[PAGE];
    int r = 0;

    make_disk(STORE_BYTES);
    SERVER_START_AT(&server, socket_path, "file", disk);
    snprintf(limit, sizeof limit, "%llu",
             (unsigned long long)(harness_fixed_bytes("64M", "lz4") + 8 * MIB));
    volume = harness_open("size", "64M", "memory-limit", limit, "compressor", "lz4",
                          "backing", uri, "backing-timeout", "1", NULL);
    for (unsigned i = 0; i < 2048; i++) {
        sample_sized(OBJECT_BYTES, i, data);
        ck_assert_int_eq(volume_write(volume, i * PAGE, PAGE, data), 0);
    }
    end_server(SIGKILL);
    for (unsigned i = 0; i < 16384 && r == 0; i++) {
        sample_sized(OBJECT_BYTES, i + 5, data);
        r = volume_write(volume, i * PAGE, PAGE, data);
    }
    ck_assert_int_eq(r, -ENOSPC);
    /* By now it is known. */
    uint64_t end = now_ms() + 5000, start;
    do {
        start = now_ms();
        r = volume_write(volume, 63 * MIB, PAGE, data);
        if (r == 0) /* an object of the same class was free */
            break;
        ck_assert_int_eq(r, -ENOSPC);
        ck_assert_uint_lt(start, end);
    } while (now_ms() - start > 500);
    SERVER_START_AT(&server, socket_path, "file", disk);
    end = now_ms() + 20000;
    do {
        look_again(end);
        r = volume_write(volume, 62 * MIB, PAGE, data);
    } while (r < 0);
    ck_assert_int_eq(volume_writeback(volume), 0);
    harness_close(volume);
    server_stop(&server);
}
END_TEST

HARNESS_MAIN_WITH("io-backing-nbd", setup, teardown, memory_conforms, file_conforms,
                  file_behind_a_delay_conforms, one_connection_conforms,
                  small_requests_conform, tls_with_a_shared_key_conforms,
                  discard_where_there_is_no_trim_succeeds, server_s_errors_are_answers,
                  server_that_dies_conforms,
                  server_that_dies_over_and_over_loses_nothing,
                  server_of_small_requests_that_dies_loses_nothing,
                  server_that_is_gone_for_long_gives_eio_and_is_found_again,
                  server_that_hangs_gives_eio_and_goes_on,
                  close_ends_while_the_server_hangs,
                  other_server_at_the_same_place_is_not_ours,
                  writers_get_enospc_soon_while_it_is_gone)
