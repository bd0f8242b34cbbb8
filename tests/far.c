/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "far.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance-backing.h"

static char directory[64];

char far_socket[96], far_disk[96], far_flag[96], far_uri[128];
struct server far_server;

void far_setup(void)
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
    snprintf(far_socket, sizeof far_socket, "%s/socket", directory);
    snprintf(far_uri, sizeof far_uri, "nbd+unix:///?socket=%s", far_socket);
    snprintf(far_disk, sizeof far_disk, "%s/disk", directory);
    snprintf(far_flag, sizeof far_flag, "%s/flag", directory);
}

void far_teardown(void)
{
    unlink(far_socket);
    unlink(far_disk);
    unlink(far_flag);
    ck_assert_int_eq(rmdir(directory), 0);
}

void far_make_disk(uint64_t bytes)
{
    int fd = open(far_disk, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

void far_end(int how)
{
    ck_assert_int_eq(kill(far_server.pid, how), 0);
    ck_assert_int_eq(waitpid(far_server.pid, NULL, 0), far_server.pid);
}

struct backing *far_open(bool overwrite)
{
    struct backing *backing;
    struct reason reason;

    ck_assert_msg(backing_nbd_open(far_uri,
                                   &(struct backing_terms){.bytes = STORE_BYTES,
                                                           .overwrite = overwrite,
                                                           .timeout_ms = 100000},
                                   &backing, &reason) == 0,
                  "%s", reason.text);
    return backing;
}

uint64_t far_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void far_look_again(uint64_t end_ms)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    MUST(far_now_ms() < end_ms, "it does not come about");
    nanosleep(&moment, NULL);
}
