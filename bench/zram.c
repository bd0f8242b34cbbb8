/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "zram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "page.h"

/* Device 0, which is there when the module is.  Others would have to be made by hot_add. */
#define DEVICE "/dev/zram0"
#define ATTRIBUTES "/sys/block/zram0/"

static int device = -1;
static volatile sig_atomic_t is_ours;
static char *buffer; /* direct I/O wants it aligned */
static char algorithm_before[32];

static int put_text(const char *attribute, const char *text)
{
    int fd = open(attribute, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static int get_text(const char *attribute, char *text, size_t room)
{
    int fd = open(attribute, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, room - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? 0 : -EIO;
}

/* Only calls that a signal handler may make. */
static void reset(void)
{
    if (!is_ours)
        return;
    is_ours = 0;
    if (device >= 0)
        close(device);
    device = -1;
    put_text(ATTRIBUTES "reset", "1");
    if (algorithm_before[0])
        put_text(ATTRIBUTES "comp_algorithm", algorithm_before);
}

static void on_signal(int number)
{
    reset();
    _exit(128 + number);
}

/* "lzo [lz4] zstd": the one in brackets. */
static void remember_algorithm(void)
{
    char all[256];

    if (get_text(ATTRIBUTES "comp_algorithm", all, sizeof all) == 0)
        sscanf(strchr(all, '[') ? strchr(all, '[') : "", "[%31[^]]", algorithm_before);
}

int zram_open(uint64_t bytes, const char *algorithm, struct reason *reason)
{
    char text[64];

    if (access(ATTRIBUTES "disksize", F_OK) < 0)
        return reason_say(reason, -ENODEV, "there is no " DEVICE " (modprobe zram)");
    if (geteuid() != 0)
        return reason_say(reason, -EPERM, DEVICE " can only be set up by root");
    if (get_text(ATTRIBUTES "disksize", text, sizeof text) < 0 ||
        strtoull(text, NULL, 10) != 0)
        return reason_say(reason, -EBUSY, DEVICE " is in use");

    remember_algorithm();
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], on_signal);
    atexit(reset);

    snprintf(text, sizeof text, "%" PRIu64, bytes);
    int r = put_text(ATTRIBUTES "comp_algorithm", algorithm);
    if (r < 0)
        return reason_say(reason, r, "zram here does not know %s", algorithm);
    /* Refused with EBUSY when somebody else has just set it up: from here on it is ours. */
    r = put_text(ATTRIBUTES "disksize", text);
    if (r < 0)
        return reason_say(reason, r, DEVICE ": disksize: %s", strerror(-r));
    is_ours = 1;

    buffer = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
    device = open(DEVICE, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);
    if (!buffer || device < 0) {
        r = -errno;
        zram_close();
        return reason_say(reason, r, DEVICE ": %s", strerror(-r));
    }
    return 0;
}

void zram_close(void)
{
    reset();
    free(buffer);
    buffer = NULL;
}

int zram_write(uint64_t slot, const void *page)
{
    memcpy(buffer, page, PAGE_BYTES);
    ssize_t n = pwrite(device, buffer, PAGE_BYTES, (off_t)(slot * PAGE_BYTES));

    return n == PAGE_BYTES ? 0 : n < 0 ? -errno : -EIO;
}

uint64_t zram_used_bytes(void)
{
    char text[256];
    uint64_t original, compressed, used;

    if (get_text(ATTRIBUTES "mm_stat", text, sizeof text) < 0 ||
        sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &original, &compressed,
               &used) != 3)
        return 0;
    return used;
}

int zram_compact(void)
{
    return put_text(ATTRIBUTES "compact", "1");
}
