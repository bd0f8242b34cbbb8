/* in-use.c - who would lose something if a device were disconnected
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "in-use.h"

#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether SOURCE is the device, or one of its partitions: nbd0p1. */
static bool is_of_device(const char *source, uint32_t index)
{
    char device[32];
    const int length = snprintf(device, sizeof device, "/dev/nbd%u", index);

    if (strncmp(source, device, length) != 0)
        return false;
    return source[length] == '\0' ||
           (source[length] == 'p' && isdigit((unsigned char)source[length + 1]));
}

/* Of a file of sysfs; or "" if there is none. */
static void first_line(const char *path, char *line, size_t bytes)
{
    FILE *file = fopen(path, "re");

    if (!file || !fgets(line, bytes, file))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (file)
        fclose(file);
}

/* What is mounted by another name of the device, such as /dev/disk/by-label/..., has its numbers. */
static bool has_numbers(const char *numbers, uint32_t index)
{
    char pattern[96], one[32];
    bool found = false;
    glob_t files;

    /* Of the disk, and of its partitions. */
    snprintf(pattern, sizeof pattern, "/sys/block/nbd%u{,/nbd%up*}/dev", index, index);
    if (glob(pattern, GLOB_BRACE, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc && !found; i++) {
        first_line(files.gl_pathv[i], one, sizeof one); /* 43:0 */
        found = strcmp(one, numbers) == 0;
    }
    globfree(&files);
    return found;
}

int in_use_check_mounts(const char *mounts, uint32_t index, struct why *why)
{
    FILE *file = fopen(mounts, "re");
    char *line = NULL;
    size_t room = 0;
    int result = 0;

    /* Without /proc nobody can say. */
    while (file && result == 0 && getline(&line, &room, file) > 0) {
        char numbers[32], where[128], source[128];
        const char *end = strstr(line, " - ");

        if (end && sscanf(line, "%*s %*s %31s %*s %127s", numbers, where) == 2 &&
            sscanf(end, " - %*s %127s", source) == 1 &&
            (is_of_device(source, index) || has_numbers(numbers, index)))
            result = why_set(why, "/dev/nbd%u is mounted at %.100s: unmount it first",
                             index, where);
    }
    free(line);
    if (file)
        fclose(file);
    return result;
}

int in_use_check_swaps(const char *swaps, uint32_t index, struct why *why)
{
    FILE *file = fopen(swaps, "re");
    char line[512], source[128];
    int result = 0;

    while (file && result == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "%127s", source) == 1 && is_of_device(source, index))
            result =
                why_set(why, "%.100s is swap space in use: swapoff it first", source);
    if (file)
        fclose(file);
    return result;
}

/* -1 when one of the files says that the device is in use. */
typedef int check_fn(const char *file, uint32_t index, struct why *why);

static int check_files(const char *sys, const char *pattern, check_fn *check,
                       uint32_t index, struct why *why)
{
    char whole[192];
    glob_t files;
    int result = 0;

    snprintf(whole, sizeof whole, "%.100s/%.80s", sys, pattern);
    if (glob(whole, GLOB_BRACE, NULL, &files) != 0)
        return 0;
    for (size_t i = 0; i < files.gl_pathc && result == 0; i++)
        result = check(files.gl_pathv[i], index, why);
    globfree(&files);
    return result;
}

/* RAID, device mapper. */
static int check_holder(const char *file, uint32_t index, struct why *why)
{
    return why_set(why, "/dev/nbd%u is a part of /dev/%.100s: take it out first", index,
                   basename(file));
}

/* Mounted btrfs of several devices, of which mountinfo names the first only. */
static int check_btrfs(const char *file, uint32_t index, struct why *why)
{
    char device[300];

    snprintf(device, sizeof device, "/dev/%.200s", basename(file));
    return is_of_device(device, index)
               ? why_set(why,
                         "%.100s is a device of a btrfs that is mounted: unmount it "
                         "first",
                         device)
               : 0;
}

static int check_loop(const char *file, uint32_t index, struct why *why)
{
    char source[256];

    first_line(file, source, sizeof source);
    return is_of_device(source, index)
               ? why_set(why, "%.100s is under a loop device: losetup -d it first",
                         source)
               : 0;
}

int in_use_check_sysfs(const char *sys, uint32_t index, struct why *why)
{
    char holders[64];

    snprintf(holders, sizeof holders, "block/nbd%u{,/nbd%up*}/holders/*", index, index);
    return check_files(sys, holders, check_holder, index, why) ||
                   check_files(sys, "fs/btrfs/*/devices/nbd*", check_btrfs, index,
                               why) ||
                   check_files(sys, "block/loop*/loop/backing_file", check_loop, index,
                               why)
               ? -1
               : 0;
}

int in_use_check(uint32_t index, struct why *why)
{
    if (in_use_check_swaps("/proc/swaps", index, why) ||
        in_use_check_mounts("/proc/self/mountinfo", index, why))
        return -1;
    return in_use_check_sysfs("/sys", index, why);
}
