/* unit-backing.c - core/backing.h: files and backing-faulty.c conform, and bad paths
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "backing-faulty.h"
#include "conformance-backing.h"
#include "harness.h"
#include "block-format.h"

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

static const struct backing_terms plain = {.bytes = STORE_BYTES};
static const struct backing_terms overwriting = {.bytes = STORE_BYTES,
                                                 .overwrite = true};

static struct backing *open_file(void)
{
    struct backing *backing;
    struct reason reason;

    ck_assert_msg(backing_file_open(path, &plain, &backing, &reason) == 0, "%s",
                  reason.text);
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
    struct host host;
    struct stat before, after;

    make_path(shm);
    host_start(&host, open_file());
    crowd_open(&crowd, host.backing, 0);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        memset(crowd.requests[i].buffer, 1, BLOCKS_MAX * BACKING_ALIGN);
        crowd_submit(&crowd.requests[i], BACKING_WRITE, crowd_offset(&crowd, i),
                     BLOCKS_MAX * BACKING_ALIGN);
    }
    crowd_wait(&crowd);
    ck_assert_int_eq(stat(path, &before), 0);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        crowd_submit(&crowd.requests[i], BACKING_DISCARD, crowd_offset(&crowd, i),
                     BLOCKS_MAX * BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_ge(before.st_blocks, IN_FLIGHT * BLOCKS_MAX * BACKING_ALIGN / 512);
    ck_assert_int_lt(after.st_blocks, before.st_blocks / 8);
    ck_assert_int_eq(after.st_size, STORE_BYTES);
    host_stop(&host);
    crowd_close(&crowd);
    remove_path();
}
END_TEST

/* -- Paths. -- */

/* Is refused with ERR and a sentence that names the path and says each of WORDS. */
static void refused(const char *what, uint64_t bytes, bool overwrite, int err,
                    const char *word, const char *advice)
{
    const struct backing_terms terms = {
        .bytes = bytes, .file_bytes = STORE_BYTES, .overwrite = overwrite};
    struct backing *backing = NULL;
    struct reason reason = {{0}};

    ck_assert_int_eq(backing_file_open(what, &terms, &backing, &reason), err);
    ck_assert_ptr_null(backing);
    ck_assert_msg(strstr(reason.text, what), "no path: %s", reason.text);
    ck_assert_msg(strstr(reason.text, word), "no \"%s\": %s", word, reason.text);
    ck_assert_msg(strstr(reason.text, advice), "no \"%s\": %s", advice, reason.text);
}

static void accepted(const char *what, uint64_t bytes, bool overwrite)
{
    const struct backing_terms terms = {
        .bytes = bytes, .file_bytes = STORE_BYTES, .overwrite = overwrite};
    struct backing *backing;
    struct reason reason;

    ck_assert_msg(backing_file_open(what, &terms, &backing, &reason) == 0, "%s",
                  reason.text);
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

static void make_and_use(const struct backing_terms *terms)
{
    struct backing *backing;
    struct reason reason;
    struct host host;

    ck_assert_msg(backing_file_open(path, terms, &backing, &reason) == 0, "%s",
                  reason.text);
    host_start(&host, backing);
    host_stop(&host);
}

START_TEST(missing_file_is_made_as_long_as_was_said_and_only_then)
{
    const struct backing_terms as_was_said = {.bytes = STORE_BYTES,
                                              .file_bytes = 2 * STORE_BYTES};
    struct stat status;

    path_setup();
    refused(path, 0, false, -ENOENT, "no such file", "backing-size=");
    ck_assert_int_lt(stat(path, &status), 0);
    make_and_use(&as_was_said);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, STORE_BYTES);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(status.st_blocks, 0);
    remove_path();
}
END_TEST

START_TEST(missing_device_is_not_made_a_file_of)
{
    struct stat status;

    refused("/dev/zslot-no-such", STORE_BYTES, false, -ENOENT, "no such device",
            "name one");
    ck_assert_int_lt(stat("/dev/zslot-no-such", &status), 0);
}
END_TEST

START_TEST(file_that_was_made_stays_when_it_is_used_and_only_then)
{
    struct stat status;
    struct host host;

    path_setup();
    accepted(path, STORE_BYTES, false);
    ck_assert_int_lt(stat(path, &status), 0);
    host_start(&host, open_file());
    host_stop(&host);
    ck_assert_int_eq(stat(path, &status), 0);
    accepted(path, STORE_BYTES, false);
    ck_assert_int_eq(stat(path, &status), 0); /* we did not make it */
    remove_path();
}
END_TEST

START_TEST(file_that_was_made_longer_stays_so_when_it_is_used_and_only_then)
{
    struct stat status;
    struct host host;

    path_setup();
    put_file("", 0);
    ck_assert_int_eq(truncate(path, MIB), 0);
    accepted(path, STORE_BYTES, false);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, MIB);
    accepted(path, 0, true); /* as long as the disk is */
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, MIB);
    host_start(&host, open_file());
    host_stop(&host);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, STORE_BYTES);
    remove_path();
}
END_TEST

/* The system call for a ring is refused, as by the profiles of some containers. */
static int without_io_uring(int err)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    struct backing *backing;
    struct reason reason;
    struct stat status;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return __LINE__;
    if (backing_file_open(path, &plain, &backing, &reason) != -err)
        return __LINE__;
    if (!strstr(reason.text, "io_uring") || !strstr(reason.text, path))
        return __LINE__;
    return stat(path, &status) == 0 ? __LINE__ : 0;
}

static int with_eperm(void)
{
    return without_io_uring(EPERM);
}

static int with_enosys(void)
{
    return without_io_uring(ENOSYS);
}

START_TEST(process_that_may_not_use_io_uring_is_told_so_and_makes_nothing)
{
    path_setup();
    harness_in_child(with_eperm);
    harness_in_child(with_enosys);
    remove_path();
}
END_TEST

START_TEST(missing_directory_is_refused)
{
    path_setup();
    strcat(path, "/below");
    refused(path, STORE_BYTES, false, -ENOENT, "directory does not exist",
            "make it first");
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
    int r = backing_file_open(path, &overwriting, &backing, &reason);
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

static void wait_for_file(void *opaque)
{
    static const struct backing_terms patient = {.bytes = STORE_BYTES,
                                                 .busy_ms = 10000};
    struct backing **backing = opaque;
    struct reason reason;

    ck_assert_msg(backing_file_open(path, &patient, backing, &reason) == 0, "%s",
                  reason.text);
}

/* As when its maker's start is refused: what the other one has is the file at the path, which nobody
 * takes away any more. */
START_TEST(file_that_is_taken_away_while_another_waits_for_it_is_made_anew)
{
    struct backing *second;
    struct stat status;

    path_setup();
    struct backing *first = open_file();
    struct actor *actor = actor_start(wait_for_file, &second);
    clock_t until = clock() + CLOCKS_PER_SEC / 10; /* it has looked several times */
    while (clock() < until)
        sched_yield();
    first->ops->close(first);
    actor_go(actor);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq((uint64_t)status.st_size, STORE_BYTES);
    refused(path, STORE_BYTES, true, -EBUSY, "in use", "name another");
    second->ops->close(second);
    ck_assert_int_lt(stat(path, &status), 0);
    remove_path();
}
END_TEST

START_TEST(dangling_link_is_refused_and_stays)
{
    struct stat status;

    path_setup();
    ck_assert_int_eq(symlink("no-such", path), 0);
    refused(path, STORE_BYTES, false, -EEXIST, "a link to what does not exist",
            "take the link away");
    ck_assert_int_eq(lstat(path, &status), 0);
    remove_path();
}
END_TEST

/* By a program that knows of no lock. */
START_TEST(file_that_was_made_longer_and_written_to_meanwhile_stays_so)
{
    struct stat status;

    path_setup();
    put_file("", 0);
    struct backing *backing = open_file();
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "kept", 4, STORE_BYTES / 2), 4);
    close(fd);
    backing->ops->close(backing);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq((uint64_t)status.st_size, STORE_BYTES);
    remove_path();
}
END_TEST

START_TEST(store_that_is_too_small_is_refused_and_not_made)
{
    struct stat status;

    path_setup();
    refused(path, BACKING_BYTES_MIN - 1, false, -EINVAL, "too small",
            "write at least backing-size=4M");
    ck_assert_int_lt(stat(path, &status), 0);
    /* One that was not given is not named, and one that was is as it was typed. */
    const struct backing_terms disk_is_small = {.file_bytes = MIB};
    const struct backing_terms typed = {.bytes = MIB, .bytes_text = "1024k"};
    struct backing *backing;
    struct reason reason;
    put_file("", 0);
    ck_assert_int_eq(backing_file_open(path, &disk_is_small, &backing, &reason),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(reason.text, "as large as the disk, 1M;"));
    unlink(path);
    ck_assert_int_eq(backing_file_open(path, &typed, &backing, &reason), -EINVAL);
    ck_assert_ptr_nonnull(strstr(reason.text, "backing-size=1024k: too small"));
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

START_TEST(file_of_a_later_zslot_is_refused_as_that)
{
    char page[BACKING_ALIGN] = "";
    struct backing_header header;
    char format[32];

    path_setup();
    snprintf(format, sizeof format, "of format %u,", BACKING_FORMAT + 1);
    backing_header_make(&header, NULL);
    header.format = BACKING_FORMAT + 1;
    memcpy(page, &header, sizeof header);
    put_file(page, sizeof page);
    refused(path, STORE_BYTES, false, -EINVAL, format, "backing-overwrite=true");
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
    backing_header_make(&start.header, NULL);
    put_file(&start, sizeof start);
    accepted(path, STORE_BYTES, false);
    start.bytes[20] ^= 1;
    put_file(&start, sizeof start);
    refused(path, STORE_BYTES, false, -EEXIST, "not empty", "backing-overwrite=true");
    remove_path();
}
END_TEST

HARNESS_MAIN("unit-backing",
             file_that_is_taken_away_while_another_waits_for_it_is_made_anew,
             dangling_link_is_refused_and_stays,
             file_that_was_made_longer_and_written_to_meanwhile_stays_so,
             file_on_tmpfs_conforms, file_on_disk_conforms, faulty_conforms,
             file_that_was_truncated_gives_eio, faulty_that_was_truncated_gives_eio,
             discarded_blocks_of_a_file_take_no_space,
             missing_file_is_made_as_long_as_was_said_and_only_then,
             missing_device_is_not_made_a_file_of,
             file_that_was_made_stays_when_it_is_used_and_only_then,
             file_that_was_made_longer_stays_so_when_it_is_used_and_only_then,
             process_that_may_not_use_io_uring_is_told_so_and_makes_nothing,
             missing_directory_is_refused, directory_is_refused,
             socket_fifo_and_character_device_are_refused,
             file_that_is_not_writable_is_refused, file_in_use_by_another_is_refused,
             store_that_is_too_small_is_refused_and_not_made,
             file_with_something_in_it_is_refused_unless_overwritten,
             file_of_a_later_zslot_is_refused_as_that,
             files_without_anything_in_them_are_accepted,
             our_own_header_is_accepted_and_a_damaged_one_is_not)
