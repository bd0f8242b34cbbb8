/* fuzz-transmit.c - a connection takes any bytes for requests; for libFuzzer, see fuzz.sh
 *
 * The first byte says what was negotiated before.  A DISC follows the input, so that all is carried out.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gather.h"
#include "reactor.h"
#include "nbd-protocol.h"
#include "volume.h"
#include "workers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct volume *volume;
static struct export export;
static struct export_table table = {&export, 1};
static struct workers workers;
static struct reactor_clients clients;
static struct reactor loop;
static struct reactor_settings settings = {.exports = &table,
                                           .workers = &workers,
                                           .clients = &clients,
                                           .ending_ms = REACTOR_ENDING_MS,
                                           .gather_ms = GATHER_MS};

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct options options;
    struct reason reason;

    (void)argc;
    (void)argv;
    evthread_use_pthreads();
    options_init(&options);
    must(options_set(&options, "size", "1M", &reason) == 0);
    must(options_set(&options, "compressor", "lz4", &reason) == 0);
    must(volume_open(&options, &volume, &reason) == 0);
    must(volume_start(volume, &reason) == 0);
    export = (struct export){"", NULL, volume_size_bytes(volume), volume};
    must(workers_start(&workers, &table) == 0);
    must(reactor_start(&loop, &settings) == 0);
    return 0;
}

static size_t put_option(uint8_t *to, uint32_t option, const void *data, uint32_t bytes)
{
    size_t at = nbd_put64(to, NBD_OPTION_MAGIC);

    at += nbd_put32(to + at, option);
    at += nbd_put32(to + at, bytes);
    memcpy(to + at, data, bytes);
    return at + bytes;
}

static size_t put_handshake(uint8_t *to, bool structured)
{
    static const uint8_t go[6], context[] = "\0\0\0\0\0\0\0\1\0\0\0\017base:allocation";
    size_t at = nbd_put32(to, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

    if (structured) {
        at += put_option(to + at, NBD_OPT_STRUCTURED_REPLY, go, 0);
        at +=
            put_option(to + at, NBD_OPT_SET_META_CONTEXT, context, sizeof context - 1);
    }
    return at + put_option(to + at, NBD_OPT_GO, go, sizeof go);
}

/* Sends all, and reads what comes meanwhile, as a client does that is not to be stalled. */
static void converse(int fd, const uint8_t *data, size_t bytes)
{
    static uint8_t answers[65536];

    for (;;) {
        struct pollfd look = {.fd = fd,
                              .events = (short)(POLLIN | (bytes ? POLLOUT : 0))};

        int ready;

        /* libFuzzer looks at its clock by a signal. */
        do
            ready = poll(&look, 1, 30000);
        while (ready < 0 && errno == EINTR);
        must(ready > 0);
        if (look.revents & (POLLIN | POLLHUP | POLLERR) &&
            recv(fd, answers, sizeof answers, MSG_DONTWAIT) <= 0 &&
            look.revents & (POLLHUP | POLLERR | POLLIN))
            return;
        if (bytes > 0 && look.revents & POLLOUT) {
            ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

            if (sent > 0) {
                data += sent;
                bytes -= (size_t)sent;
                if (bytes == 0)
                    shutdown(fd, SHUT_WR);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static uint8_t all[1 << 20];
    int fds[2];

    if (bytes == 0 || bytes > sizeof all - 1024)
        return -1;
    size_t at = put_handshake(all, data[0] & 1);
    memcpy(all + at, data + 1, bytes - 1);
    at += bytes - 1;
    at += nbd_put32(all + at, NBD_REQUEST_MAGIC);
    memset(all + at, 0, 24);
    nbd_put16(all + at + 2, NBD_CMD_DISC);
    at += 24;

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    must(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    reactor_give(&loop, fds[1]);
    converse(fds[0], all, at);
    close(fds[0]);
    return 0;
}
