/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "gather.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "connection.h"
#include "reactor.h"

/* Of more that came at a time there is enough to do. */
#define BATCH_MAX 8u

/* How many answers a client must be behind; with fewer it would soon have to wait for us. */
#define BEHIND_MIN 5u

/* Turns until one that did not read in time is asked again. */
#define ASK_AFTER 65536u

/* What a message takes in the kernel at most besides its data, of which it takes up to twice as much: answers that are
 * sent together are one, and there until the last of them is read.  Seen: 768. */
#define MESSAGE_BYTES 1024u

/* The kernel doubles what it is given (socket(7)). */
static void set_sndbuf(const struct connection *connection, int bytes)
{
    bytes /= 2;
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

void gather_init(struct connection *connection)
{
    struct gather *gather = &connection->gather;
    socklen_t length = sizeof gather->sndbuf_bytes;

    gather->ask_each = GATHER_ASK_EACH;
    if (!connection->is_local || getsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF,
                                            &gather->sndbuf_bytes, &length) < 0)
        gather->sndbuf_bytes = 0;
}

/* Whether it can go on sending: of a large write, also a refused one, more may be to come than the sockets hold. */
static bool can_wait(const struct connection *connection)
{
    return connection->gather.sndbuf_bytes > 0 && !connection->tls &&
           connection->state == CONNECTION_SERVING && connection->busy == 0 &&
           !connection->filling && connection->discard_bytes == 0;
}

static bool is_to_be_asked(struct gather *gather, unsigned answers)
{
    return answers > 0 && answers <= BATCH_MAX &&
           (gather->was_behind || ++gather->not_asked % gather->ask_each == 0);
}

/* By at least so many answers, in more than one message, or all of them would have to be read.  Were all as long as the
 * longest. */
static bool is_behind(const struct gather *gather, unsigned answers,
                      uint64_t unread_bytes)
{
    const uint64_t message =
        MESSAGE_BYTES + 2 * (uint64_t)answers * gather->answer_bytes;

    return unread_bytes * answers >= BEHIND_MIN * message && unread_bytes > message;
}

static bool ask(const struct connection *connection, unsigned answers, int *unread)
{
    const struct gather *gather = &connection->gather;

    return ioctl(connection->fd, SIOCOUTQ, unread) == 0 && *unread > 0 &&
           *unread < gather->sndbuf_bytes &&
           is_behind(gather, answers, (unsigned)*unread);
}

bool gather_begin(struct connection *connection)
{
    struct gather *gather = &connection->gather;
    const unsigned answers = gather->answers;
    int unread;

    gather->answers = 0;
    if (!can_wait(connection) || !is_to_be_asked(gather, answers))
        return false;
    gather->ask_each = GATHER_ASK_EACH;
    gather->was_behind = ask(connection, answers, &unread);
    if (!gather->was_behind) {
        /* Longer ones are not there for ever. */
        gather->answer_bytes /= 2;
        return false;
    }
    if (reactor_watch(connection->loop) < 0)
        return false;
    /* Half, and half a message more: of two, one is to be left. */
    gather->most_unread = ((unsigned)unread + MESSAGE_BYTES) / 2;
    set_sndbuf(connection, 4 * (int)gather->most_unread);
    gather->is_on = true;
    gather->since_ns = reactor_now_ns();
    return true;
}

bool gather_end(struct connection *connection)
{
    struct gather *gather = &connection->gather;

    if (!gather->is_on)
        return false;
    gather->is_on = false;
    set_sndbuf(connection, gather->sndbuf_bytes);
    return true;
}

bool gather_is_over(const struct connection *connection, uint64_t now_ns)
{
    return connection->gather.is_on &&
           now_ns - connection->gather.since_ns >=
               (uint64_t)connection->loop->settings->gather_ms * 1000000;
}

void gather_give_up(struct connection *connection)
{
    struct gather *gather = &connection->gather;
    int unread = 0;

    gather_end(connection);
    /* It may have read while the loop stood still. */
    if (ioctl(connection->fd, SIOCOUTQ, &unread) == 0 &&
        (unsigned)unread <= gather->most_unread)
        return;
    gather->was_behind = false;
    gather->ask_each = ASK_AFTER;
    gather->not_asked = 0;
}
