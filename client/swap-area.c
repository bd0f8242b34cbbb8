/* swap-area.c - a device as swap space
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "swap-area.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/swap.h>
#include <unistd.h>
#include <linux/fs.h>

/* Of <linux/swap.h>, which is not for programs: union swap_header, and the flags for discards. */
enum { PAGE = 4096 };
#define SWAP_MAGIC "SWAPSPACE2"
#ifndef SWAP_FLAG_DISCARD
#define SWAP_FLAG_DISCARD 0x10000
#endif

struct swap_header {
    unsigned char boot_bits[1024];
    uint32_t version;
    uint32_t last_page;
    uint32_t bad_pages;
    unsigned char uuid[16];
    unsigned char label[16];
    unsigned char padding[PAGE - 1024 - 12 - 32 - 10];
    char magic[10];
};
_Static_assert(sizeof(struct swap_header) == PAGE, "the header is one page");

enum found { NOTHING, SWAP, FOREIGN, UNKNOWN };

/* probe: what is on the device; "what" is a name for it */
static enum found probe(const char *device, char *what, size_t what_bytes)
{
    blkid_probe probe = blkid_new_probe_from_filename(device);
    enum found found = UNKNOWN;
    const char *type = NULL, *table = NULL;

    if (probe == NULL)
        return UNKNOWN;
    blkid_probe_enable_partitions(probe, 1);
    const int result = blkid_do_safeprobe(probe);
    if (result == 1)
        found = NOTHING;
    if (result == 0 || result == -2) {
        found = FOREIGN;
        (void)blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
        /* Also beside a header of swap space from before, which a label may leave as it is. */
        (void)blkid_probe_lookup_value(probe, "PTTYPE", &table, NULL);
        if (table)
            type = table;
        else if (!type)
            type = "something";
        else if (result == 0 && strcmp(type, "swap") == 0)
            found = SWAP;
        strncpy(what, type, what_bytes - 1);
        what[what_bytes - 1] = '\0';
    }
    blkid_free_probe(probe);
    return found;
}

static int write_header(const char *device, struct why *why)
{
    static _Alignas(PAGE) struct swap_header header;
    uint64_t size_bytes = 0;
    const int fd = open(device, O_WRONLY | O_EXCL | O_CLOEXEC);

    if (fd < 0)
        return why_set(why, "%s: %s", device, strerror(errno));
    if (ioctl(fd, BLKGETSIZE64, &size_bytes) || size_bytes < 10 * PAGE) {
        close(fd);
        return why_set(why, "%s is too small for swap space", device);
    }
    header.version = 1;
    header.last_page = size_bytes / PAGE - 1;
    (void)!getrandom(header.uuid, sizeof header.uuid, GRND_NONBLOCK);
    header.uuid[6] = (header.uuid[6] & 0x0f) | 0x40; /* a random UUID, by RFC 4122 */
    header.uuid[8] = (header.uuid[8] & 0x3f) | 0x80;
    memcpy(header.magic, SWAP_MAGIC, sizeof header.magic);
    if (pwrite(fd, &header, sizeof header, 0) != sizeof header || fsync(fd)) {
        why_set(why, "%s: %s", device, strerror(errno));
        close(fd);
        return -1;
    }
    close(fd);
    return 0;
}

int swap_area_make(const char *device, struct why *why)
{
    char what[32];

    switch (probe(device, what, sizeof what)) {
    case NOTHING:
        return write_header(device, why);
    case SWAP:
        return 0;
    case FOREIGN:
        return why_set(
            why,
            "%s holds something (%s), which swapping would destroy; to use it "
            "all the same: wipefs --all %s",
            device, what, device);
    default:
        return why_set(why, "cannot tell what is on %s", device);
    }
}

int swap_area_on(const char *device, int priority, struct why *why)
{
    const int flags = SWAP_FLAG_PREFER | SWAP_FLAG_DISCARD |
                      (priority << SWAP_FLAG_PRIO_SHIFT & SWAP_FLAG_PRIO_MASK);

    if (swapon(device, flags))
        return why_set(why, "swapon %s: %s", device, strerror(errno));
    return 0;
}

int swap_area_off(const char *device, struct why *why)
{
    /* EINVAL: it is not in use. */
    if (swapoff(device) && errno != EINVAL)
        return why_set(why, "swapoff %s: %s", device, strerror(errno));
    return 0;
}
