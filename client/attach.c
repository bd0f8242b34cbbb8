/* attach.c - zslot-attach: holds a kernel's NBD device to a server, through restarts
 *
 * The order of things: connect the device; a child becomes the resident process, which keeps it
 * connected; then, with the device looked after, this process makes it swap space, and ends. What
 * does not work is undone, and said in one line.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "arguments.h"
#include "descriptors.h"
#include "dial.h"
#include "export-note.h"
#include "keep.h"
#include "kernel.h"
#include "in-use.h"
#include "ktls.h"
#include "link.h"
#include "reserve.h"
#include "resident.h"
#include "swap-area.h"
#include "tls.h"
#include "why.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK = 4096,       /* each request is whole pages */
    WAIT_MS = 1000,     /* between attempts, with --wait */
    SETTLE_TRIES = 100, /* of 50 ms, for the kernel to have done what it was asked */
};

static struct arguments arguments;
static char device[32];

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static int say(const struct why *why)
{
    fprintf(stderr, "zslot-attach: %s\n", why->sentence);
    return 1;
}

static int open_kernel(struct kernel *kernel, struct why *why)
{
    if (!kernel_has_device(arguments.index))
        return why_set(why, "there is no %s: modprobe nbd", device);
    return kernel_open(kernel, why);
}

/* open_tls: *TLS stays NULL without it */
static int open_tls(struct tls **tls, struct why *why)
{
    static char host[DIAL_HOST_MAX];
    struct tls_settings settings = arguments.tls;

    if (settings.certificates == NULL && settings.psk == NULL)
        return 0;
    if (settings.hostname == NULL) {
        dial_host(arguments.server, host);
        settings.hostname = host;
    }
    return tls_open(&settings, tls, why);
}

/* first_dial: with --wait, as often as it takes */
static int first_dial(struct link_target *target, struct export_info *info,
                      struct why *why)
{
    struct why said = {""};

    for (;;) {
        int fd = dial_lookup(&target->server, arguments.server, why);
        if (fd == 0)
            fd = link_open(target, info, why);
        if (fd >= 0 || !arguments.wait)
            return fd;
        if (strcmp(why->sentence, said.sentence))
            fprintf(stderr, "zslot-attach: %s: waiting\n", why->sentence);
        said = *why;
        sleep_ms(WAIT_MS);
    }
}

static int check_export(struct export_info *info, struct why *why)
{
    if (info->size_bytes < BLOCK)
        return why_set(why, "the export has %llu bytes; it takes at least %d",
                       (unsigned long long)info->size_bytes, BLOCK);
    if (info->minimum_block_bytes > BLOCK)
        return why_set(why, "the server wants requests of %u bytes and more",
                       info->minimum_block_bytes);
    if (!(info->flags & HANDSHAKE_MULTI_CONN))
        arguments.connections = 1;
    if (arguments.connections == 1 && !arguments.adopt)
        info->flags &= ~HANDSHAKE_MULTI_CONN;
    return 0;
}

/* connect_device: "first" is a connection to the server, which is closed here */
static int connect_device(struct kernel *kernel, struct keep *keep, int first,
                          struct why *why)
{
    const struct device_settings settings = {
        .size_bytes = keep->export_info.size_bytes / BLOCK * BLOCK,
        .flags = keep->export_info.flags,
        .block_bytes = BLOCK,
        .request_timeout_s = arguments.request_timeout_s,
        .dead_timeout_s = arguments.dead_timeout_s,
    };
    struct export_info info;
    int sockets[CONNECTIONS_MAX] = {first};
    unsigned count = 1;
    int result = 0;

    while (result == 0 && count < arguments.connections) {
        const int fd = link_open(keep->target, &info, why);
        if (fd < 0) {
            result = -1;
            break;
        }
        sockets[count++] = fd;
        result = handshake_is_same(&keep->export_info, &info, why);
    }
    if (result == 0)
        result =
            kernel_connect(kernel, arguments.index, &settings, sockets, count, why);
    while (count > 0)
        close(sockets[--count]);
    return result;
}

/* adopt_device: "first" only told what the export is now */
static int adopt_device(struct keep *keep, int first, struct why *why)
{
    const uint64_t size_bytes = kernel_size_bytes(arguments.index);
    struct export_info before;
    bool is_noted;

    close(first);
    if (!kernel_is_connected(arguments.index))
        return why_set(why, "%s is not connected: leave --adopt out", device);
    if (size_bytes != keep->export_info.size_bytes / BLOCK * BLOCK)
        return why_set(why, "%s has %llu bytes and the export %llu: it is another one",
                       device, (unsigned long long)size_bytes,
                       (unsigned long long)keep->export_info.size_bytes);
    if (export_note_read(arguments.index, &is_noted, &before, why))
        return -1;
    /* Nobody can say how many it had. */
    if (!is_noted && arguments.connections == 1)
        keep->export_info.flags &= ~HANDSHAKE_MULTI_CONN;
    if (is_noted) {
        if (handshake_is_same(&before, &keep->export_info, why))
            return -1;
        /* It goes on as what it was, also if this server can do more; but by TLS from now on. */
        before.by_tls = keep->export_info.by_tls;
        keep->export_info = before;
    }
    /* Links may have died while nobody looked. */
    keep->dead = keep->connections;
    return 0;
}

/* start_resident: a child that keeps the device connected; returns when it is ready */
static pid_t start_resident(struct keep *keep, int lock, struct why *why)
{
    int ready[2];
    char c;

    if (pipe(ready))
        return why_set(why, "no pipe");
    const pid_t pid = fork();
    if (pid < 0)
        return why_set(why, "cannot fork");
    if (pid == 0) {
        close(ready[0]);
        if (keep->target->tls)
            reserve_memory();
        resident_become(arguments.index);
        resident_sign(lock);
        (void)!write(ready[1], "", 1);
        close(ready[1]);
        keep_run(keep);
        export_note_remove(arguments.index);
        _exit(0);
    }
    close(ready[1]);
    const ssize_t length = read(ready[0], &c, 1);
    close(ready[0]);
    return length == 1 ? pid : why_set(why, "the resident process has died");
}

static int wait_until(bool connected, struct why *why)
{
    for (int i = 0; i < SETTLE_TRIES; i++) {
        if (kernel_is_connected(arguments.index) == connected)
            return 0;
        sleep_ms(50);
    }
    return why_set(why, "%s is %s connected", device, connected ? "not" : "still");
}

static int make_swap(struct why *why)
{
    if (swap_area_make(device, why))
        return -1;
    return swap_area_on(device, arguments.priority, why);
}

/* is_used_meanwhile: somebody has begun to use the new device, such as a manager of the system that found its name in a
 * table, and would lose it */
static bool is_used_meanwhile(bool is_looked_after, struct why *why)
{
    const struct why first = *why;
    struct why used;

    if (in_use_check(arguments.index, &used) == 0)
        return false;
    why_set(why, "%.100s; it stays connected: %.100s%s", first.sentence, used.sentence,
            is_looked_after ? "" : "; look after it with --adopt");
    return true;
}

static int attach(struct why *why)
{
    struct link_target target = {
        .server = {.request_timeout_s = arguments.request_timeout_s},
        .export_name = arguments.export_name};
    struct kernel kernel;
    struct keep keep = {.kernel = &kernel, .target = &target, .index = arguments.index};

    if (open_tls(&target.tls, why))
        return -1;
    if (open_kernel(&kernel, why))
        return -1;
    if (target.tls && ktls_check(why))
        return -1;
    const int lock = resident_lock(arguments.index, why);
    if (lock < 0)
        return -1;
    const int first = first_dial(&target, &keep.export_info, why);
    if (first < 0)
        return -1;
    if (check_export(&keep.export_info, why))
        return -1;
    keep.connections = arguments.connections;
    if (arguments.adopt ? adopt_device(&keep, first, why)
                        : connect_device(&kernel, &keep, first, why))
        return -1;
    keep.connection = wait_until(true, why) ? 0 : kernel_connection(arguments.index);
    if (keep.connection == 0)
        why_set(why, "%s is not connected", device);
    /* Before anybody may have to adopt it. */
    const bool is_noted =
        keep.connection > 0 &&
        export_note_write(arguments.index, &keep.export_info, why) == 0;
    const pid_t resident = is_noted ? start_resident(&keep, lock, why) : -1;
    if (resident > 0 && (!arguments.swap || arguments.adopt || make_swap(why) == 0))
        return 0;
    struct why ignored;
    if (!arguments.adopt && is_used_meanwhile(resident > 0, why))
        return -1;
    /* It has the same netlink sockets: it must be gone. */
    if (resident > 0 && kill(resident, SIGTERM) == 0)
        waitpid(resident, NULL, 0);
    if (!arguments.adopt) {
        kernel_disconnect(&kernel, arguments.index, &ignored);
        export_note_remove(arguments.index);
    }
    return -1;
}

/* The resident process last but one: swapoff may need a server that is just coming back. */
static int detach(struct why *why)
{
    struct kernel kernel;
    struct why used;

    if (open_kernel(&kernel, why))
        return -1;
    if (!kernel_is_connected(arguments.index))
        return why_set(why, "%s is not connected", device);
    if (swap_area_off(device, why))
        return -1;
    if (in_use_check(arguments.index, why))
        return -1;
    if (resident_end(arguments.index, why))
        return -1;
    /* A zslot-attach that was not done yet may have made it swap space, before that has ended. */
    if (in_use_check(arguments.index, &used))
        return why_set(why, "%.150s; look after it with --adopt", used.sentence);
    if (kernel_disconnect(&kernel, arguments.index, why))
        return -1;
    export_note_remove(arguments.index);
    return wait_until(false, why);
}

int main(int argc, char **argv)
{
    struct why why = {""};

    descriptors_reserve_standard();
    arguments_read(&arguments, argc, argv);
    snprintf(device, sizeof device, "/dev/nbd%u", arguments.index);
    if (arguments.detach ? detach(&why) : attach(&why))
        return say(&why);
    return 0;
}
