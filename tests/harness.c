/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "context.h"
#include "slot.h"
#include "volume-state.h"
#include "writeback-state.h"

/* -- Programs. -- */

int harness_main(const char *name, harness_fixture *setup, harness_fixture *teardown,
                 const TTest *const *tests, unsigned count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);

    if (setup)
        tcase_add_checked_fixture(tcase, setup, teardown);
    for (unsigned i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

bool harness_is_slow(void)
{
    return getenv("ZSLOT_TEST_SLOW") != NULL;
}

bool harness_has_addresses(void)
{
    const size_t bytes = (size_t)48 << 40;
    void *base = mmap(NULL, bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return false;
    munmap(base, bytes);
    return true;
}

unsigned long harness_ops(unsigned long usual)
{
    const char *percent = getenv("ZSLOT_TEST_OPS");
    unsigned long ops = usual;

    if (percent)
        ops = (unsigned long)((double)usual * strtod(percent, NULL) / 100);
    else if (harness_is_slow())
        ops = usual / 20;
    return ops ? ops : 1;
}

uint64_t harness_random(uint64_t *state)
{
    /* splitmix64, by Sebastiano Vigna: prng.di.unimi.it/splitmix64.c */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int wait_for(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

bool harness_aborts(void (*fn)(void *opaque), void *opaque)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) /* in the child Check's lock may be taken for ever */
        ck_abort_msg("cannot fork");
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        int null = open("/dev/null", O_WRONLY);

        setrlimit(RLIMIT_CORE, &none);
        dup2(null, STDERR_FILENO);
        fn(opaque);
        _exit(0);
    }
    int status = wait_for(pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void harness_in_child(int (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        ck_abort_msg("cannot fork");
    if (pid == 0) {
        int line = fn();

        if (line)
            fprintf(stderr, "the child failed at line %d\n", line);
        _exit(line != 0);
    }
    int status = wait_for(pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the child: status %#x", (unsigned)status);
}

uint64_t harness_status_bytes(const char *field)
{
    char line[256];
    uint64_t kib = UINT64_MAX;
    size_t length = strlen(field);
    FILE *file = fopen("/proc/self/status", "re");

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            sscanf(line + length + 1, "%" SCNu64, &kib);
    fclose(file);
    ck_assert_uint_ne(kib, UINT64_MAX);
    return kib * 1024;
}

/* -- Volumes. -- */

static struct volume *open_options(const struct options *options,
                                   struct backing *backing)
{
    struct options complete = *options;
    struct volume *volume;
    struct reason reason;

    complete.backing_follows = backing != NULL;
    ck_assert_msg(volume_open(&complete, &volume, &reason) == 0, "%s", reason.text);
    if (backing)
        ck_assert_msg(volume_set_backing(volume, backing, &reason) == 0, "%s",
                      reason.text);
    ck_assert_msg(volume_start(volume, &reason) == 0, "%s", reason.text);
    return volume;
}

static void set(struct options *options, const char *key, const char *value)
{
    struct reason reason;

    ck_assert_msg(options_set(options, key, value, &reason) == 0, "%s", reason.text);
}

static void set_all(struct options *options, const char *key, va_list args)
{
    options_init(options);
    for (; key; key = va_arg(args, const char *))
        set(options, key, va_arg(args, const char *));
}

struct volume *harness_open(const char *key, ...)
{
    struct options options;
    va_list args;

    va_start(args, key);
    set_all(&options, key, args);
    va_end(args);
    return open_options(&options, NULL);
}

struct volume *harness_open_with(struct backing *backing, const char *key, ...)
{
    struct options options;
    va_list args;

    va_start(args, key);
    set_all(&options, key, args);
    va_end(args);
    return open_options(&options, backing);
}

uint64_t harness_fixed_bytes(const char *size, const char *compressor)
{
    struct options options;

    options_init(&options);
    set(&options, "size", size);
    set(&options, "compressor", compressor);
    return slot_table_fixed_bytes(options.size / PAGE) +
           context_set_bytes(context_count_default(), options.compressor);
}

struct volume *harness_open_limited(const char *size, const char *compressor,
                                    uint64_t bytes)
{
    char limit[32];

    snprintf(limit, sizeof limit, "%" PRIu64,
             harness_fixed_bytes(size, compressor) + bytes);
    return harness_open("size", size, "compressor", compressor, "memory-limit", limit,
                        NULL);
}

struct volume *harness_open_on_file(unsigned mebibytes, char path[64])
{
    char size[32], store[32], limit[32];

    snprintf(path, 64, "/dev/shm/zslot-test.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(size, sizeof size, "%uM", mebibytes);
    snprintf(store, sizeof store, "%uM", 2 * mebibytes);
    snprintf(limit, sizeof limit, "%" PRIu64,
             harness_fixed_bytes(size, "lz4") + writeback_bytes(2 * mebibytes * MIB) +
                 8 * MIB);
    return harness_open("size", size, "compressor", "lz4", "memory-limit", limit,
                        "backing", path, "backing-size", store, NULL);
}

/* How long a volume may take to come to rest; less where a test is to fail. */
static double check_s(void)
{
    const char *text = getenv("ZSLOT_TEST_CHECK_S");

    return text ? atof(text) : 100;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Pages may still be leaving RAM by themselves; an account that is wrong stays so. */
void harness_check(struct volume *volume)
{
    double end = now_s() + check_s();
    struct reason reason;

    while (volume_check(volume, &reason) < 0) {
        ck_assert_msg(now_s() < end, "%s", reason.text);
        sched_yield();
    }
}

/* Of the backing store, neither free nor empty. */
static uint64_t bytes_in_use(struct volume *volume)
{
    const struct writeback *writeback = volume->parts.writeback;

    return (uint64_t)writeback->space.blocks * BLOCK_BYTES -
           harness_stat(volume, STAT_bd_free_size);
}

/* Of a volume without pages nothing may be left, in RAM or on the backing store. */
static void check_nothing_stays(struct volume *volume)
{
    ck_assert_int_eq(volume_trim(volume, 0, volume_size_bytes(volume)), 0);
    double end = now_s() + check_s();
    /* Without a backing store, or with one that fails, there is nothing to wait for. */
    while (volume_writeback(volume) == 0 && bytes_in_use(volume) > 0)
        ck_assert_msg(now_s() < end,
                      "%" PRIu64 " bytes of the backing store stay in use",
                      bytes_in_use(volume));
    harness_check(volume);
}

void harness_close(struct volume *volume)
{
    harness_check(volume);
    check_nothing_stays(volume);
    volume_close(volume);
}

uint64_t harness_stat(struct volume *volume, enum stat_id stat)
{
    struct stats stats;

    volume_stats(volume, &stats);
    return stats.values[stat];
}

void harness_memory(struct memory *memory)
{
    memory_init(memory, UINT64_MAX);
}

/* -- Failures. -- */

static struct {
    enum gate point;
    unsigned left;
    bool all;
    int err;
    bool happened;
} failure;

/* Only the thread that asked for failures gets them. */
static __thread bool failing;

static int fail_hook(enum gate point, uint64_t slot, void *opaque)
{
    (void)slot;
    (void)opaque;
    if (!failing || point != failure.point)
        return 0;
    if (failure.left > 1) {
        failure.left--;
        return 0;
    }
    if (failure.left == 0 && !failure.all)
        return 0;
    failure.left = 0;
    failure.happened = true;
    return failure.err;
}

void harness_fail(enum gate point, unsigned k, bool all, int err)
{
    failure.point = point;
    failure.left = k;
    failure.all = all;
    failure.err = err;
    failure.happened = false;
    failing = true;
    gate_set_hook(fail_hook, NULL);
}

bool harness_fail_end(void)
{
    gate_set_hook(NULL, NULL);
    failing = false;
    return failure.happened;
}
