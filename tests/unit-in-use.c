/* unit-in-use.c - client/in-use.h: lines of mountinfo
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "client/in-use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static char path[64];
static struct why why;

static void setup(void)
{
    snprintf(path, sizeof path, "/tmp/zslot-mounts-%d", (int)getpid());
    memset(&why, 0, sizeof why);
}

static void teardown(void)
{
    unlink(path);
}

static int check(uint32_t index, const char *line)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    fprintf(file, "21 1 0:19 / /proc rw,relatime shared:12 - proc proc rw\n%s", line);
    fclose(file);
    return in_use_check_mounts(path, index, &why);
}

/* Numbers that no device has. */
#define LINE(source)                                                                   \
    "36 35 4000:7 / /mnt rw,noatime shared:1 master:2 - ext4 " source " rw\n"

START_TEST(a_mounted_device_is_in_use)
{
    ck_assert_int_eq(check(0, LINE("/dev/nbd0")), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, "/dev/nbd0 is mounted at /mnt"));
    /* Without the optional fields, as in a container. */
    ck_assert_int_eq(check(12, "36 35 0:43 / /mnt rw - btrfs /dev/nbd12 rw\n"), -1);
}
END_TEST

START_TEST(so_is_one_whose_partition_is_mounted)
{
    ck_assert_int_eq(check(1, LINE("/dev/nbd1p2")), -1);
}
END_TEST

START_TEST(other_devices_are_not_it)
{
    ck_assert_int_eq(check(1, LINE("/dev/nbd12")), 0);
    ck_assert_int_eq(check(1, LINE("/dev/nbd")), 0);
    ck_assert_int_eq(check(1, LINE("/dev/nbd1p")), 0);
    ck_assert_int_eq(check(1, LINE("nbd1")), 0);
    ck_assert_int_eq(check(1, LINE("/dev/sda1")), 0);
}
END_TEST

START_TEST(swap_on_a_partition_is_in_use)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    fputs("Filename\t\tType\t\tSize\n/dev/nbd3p1   partition\t1\t0\t-2\n", file);
    fclose(file);
    ck_assert_int_eq(in_use_check_swaps(path, 3, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, "/dev/nbd3p1 is swap space"));
    ck_assert_int_eq(in_use_check_swaps(path, 1, &why), 0);
    ck_assert_int_eq(in_use_check_swaps("/nowhere", 3, &why), 0);
}
END_TEST

/* A file of a sysfs that is made for the test, with the directories above it. */
static void make_file(const char *name, const char *text)
{
    char where[256];

    snprintf(where, sizeof where, "%s/%s", path, name);
    for (char *at = where + strlen(path); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(where, 0700);
        *at = '/';
    }
    FILE *file = fopen(where, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", path);
    ck_assert_int_eq(system(command), 0);
}

/* What is made for device INDEX says WORDS of it, and nothing of OTHER. */
static void in_use_by_sysfs(uint32_t index, uint32_t other, const char *words)
{
    ck_assert_int_eq(in_use_check_sysfs(path, index, &why), -1);
    ck_assert_msg(strstr(why.sentence, words) != NULL, "%s", why.sentence);
    ck_assert_int_eq(in_use_check_sysfs(path, other, &why), 0);
    remove_all();
}

START_TEST(a_device_under_another_one_is_in_use)
{
    make_file("block/nbd0/nbd0p1/holders/dm-3", "");
    in_use_by_sysfs(0, 1, "/dev/nbd0 is a part of /dev/dm-3");
}
END_TEST

START_TEST(so_is_the_second_device_of_a_btrfs)
{
    make_file("fs/btrfs/0a1b-2c/devices/sda1", "");
    make_file("fs/btrfs/0a1b-2c/devices/nbd11p1", "");
    in_use_by_sysfs(11, 1, "/dev/nbd11p1 is a device of a btrfs");
}
END_TEST

START_TEST(so_is_one_under_a_loop_device)
{
    make_file("block/loop0/loop/backing_file", "/var/tmp/nbd2\n");
    make_file("block/loop7/loop/backing_file", "/dev/nbd2\n");
    in_use_by_sysfs(2, 0, "/dev/nbd2 is under a loop device");
}
END_TEST

START_TEST(lines_that_are_none_are_passed_over)
{
    ck_assert_int_eq(check(0, "\n - \nx - y\n1 2 3 4 5\n - ext4 /dev/nbd0 rw\n"), 0);
    ck_assert_int_eq(in_use_check_mounts("/nowhere", 0, &why), 0);
}
END_TEST

HARNESS_MAIN_WITH("unit-in-use", setup, teardown, a_mounted_device_is_in_use,
                  so_is_one_whose_partition_is_mounted, other_devices_are_not_it,
                  swap_on_a_partition_is_in_use, a_device_under_another_one_is_in_use,
                  so_is_the_second_device_of_a_btrfs, so_is_one_under_a_loop_device,
                  lines_that_are_none_are_passed_over)
