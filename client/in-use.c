/* in-use.c - who would lose something if a device were disconnected
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "in-use.h"

#include <ctype.h>
#include <glob.h>
#include <libgen.h>
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

/* RAID, device mapper. */
static int check_holders(const char *sys, uint32_t index, struct why *why)
{
    char pattern[192];
    glob_t holders;
    int result = 0;

    snprintf(pattern, sizeof pattern, "%.100s/block/nbd%u{,/nbd%up*}/holders/*", sys,
             index, index);
    if (glob(pattern, GLOB_BRACE, NULL, &holders) != 0)
        return 0;
    if (holders.gl_pathc > 0)
        result = why_set(why, "/dev/nbd%u is a part of /dev/%.100s: take it out first",
                         index, basename(holders.gl_pathv[0]));
    globfree(&holders);
    return result;
}

/* Mounted btrfs of several devices, of which mountinfo names the first only. */
static int check_btrfs(const char *sys, uint32_t index, struct why *why)
{
    char pattern[192], device[300];
    glob_t devices;
    int result = 0;

    snprintf(pattern, sizeof pattern, "%.100s/fs/btrfs/*/devices/nbd*", sys);
    if (glob(pattern, 0, NULL, &devices) != 0)
        return 0;
    for (size_t i = 0; i < devices.gl_pathc && result == 0; i++) {
        snprintf(device, sizeof device, "/dev/%.200s", basename(devices.gl_pathv[i]));
        if (is_of_device(device, index))
            result =
                why_set(why,
                        "%.100s is a device of a btrfs that is mounted: unmount it "
                        "first",
                        device);
    }
    globfree(&devices);
    return result;
}

static int check_loops(const char *sys, uint32_t index, struct why *why)
{
    char pattern[192], source[256];
    glob_t files;
    int result = 0;

    snprintf(pattern, sizeof pattern, "%.100s/block/loop*/loop/backing_file", sys);
    if (glob(pattern, 0, NULL, &files) != 0)
        return 0;
    for (size_t i = 0; i < files.gl_pathc && result == 0; i++) {
        first_line(files.gl_pathv[i], source, sizeof source);
        if (is_of_device(source, index))
            result = why_set(why, "%.100s is under a loop device: losetup -d it first",
                             source);
    }
    globfree(&files);
    return result;
}

int in_use_check_sysfs(const char *sys, uint32_t index, struct why *why)
{
    return check_holders(sys, index, why) || check_btrfs(sys, index, why) ||
                   check_loops(sys, index, why)
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
