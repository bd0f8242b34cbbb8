/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "gather.h"

#include <limits.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "connection.h"
#include "reactor.h"

/* How many answers a client must be behind; with fewer it would soon have to wait for us. */
#define BEHIND_MIN 12u

/* So many are left, and half of many, when it is received from, to within a message: with eight of 16 left fio had to wait
 * now and then. */
#define LEFT_MIN 10u

/* Where messages are so large that it would be fewer than that, it is not waited for. */
#define LEFT_LEAST 5u

/* Turns until one that did not read in time is asked again. */
#define ASK_AFTER 65536u

/* What the kernel takes for a message, in buffers (unix_stream_sendmsg, alloc_skb_with_frags): its struct sk_buff; up to
 * LINEAR_MAX bytes of data with a struct skb_shared_info behind it, as a power of two; the rest in pages. */
#define BUFFER_BYTES 256u
#define SHARED_INFO_BYTES 320u
#define LINEAR_MAX (KERNEL_PAGE_BYTES - SHARED_INFO_BYTES)
#define PAGED_MAX 32768u
#define KERNEL_PAGE_BYTES 4096u /* with larger ones it is more, for all alike */

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

static bool is_to_be_asked(struct gather *gather)
{
    if (gather->ask_again == 0)
        return ++gather->not_asked % gather->ask_each == 0;
    gather->ask_again--;
    return true;
}

/* -- What is unread. -- */

/* The Ith from the end. */
static struct gather_message *message_of(struct gather *gather, unsigned i)
{
    return &gather->sent[(gather->next - 1 - i) % GATHER_MESSAGES];
}

void gather_sent(struct gather *gather, size_t bytes)
{
    /* Otherwise they are what was left of the last answer. */
    if (gather->unsent > 0) {
        gather->next++;
        *message_of(gather, 0) = (struct gather_message){0, gather->unsent};
        gather->unsent = 0;
    }
    message_of(gather, 0)->bytes += (uint32_t)bytes;
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t power = 1;

    while (power < least)
        power *= 2;
    return power;
}

static uint32_t room_of_buffer(uint32_t bytes)
{
    uint32_t paged = 0, linear = bytes;

    if (bytes > LINEAR_MAX) {
        paged = (bytes - LINEAR_MAX + KERNEL_PAGE_BYTES - 1) / KERNEL_PAGE_BYTES *
                KERNEL_PAGE_BYTES;
        linear = bytes > paged ? bytes - paged : 0;
    }
    return BUFFER_BYTES + power_of_two(linear + SHARED_INFO_BYTES) + paged;
}

uint64_t gather_room(uint32_t bytes)
{
    const uint32_t most = LINEAR_MAX + PAGED_MAX;
    const uint32_t rest = bytes % most;

    return (uint64_t)(bytes / most) * room_of_buffer(most) +
           (rest > 0 ? room_of_buffer(rest) : 0);
}

static uint64_t room_of(const struct gather_message *message)
{
    return gather_room(message->bytes);
}

/* How many messages, the last ones, are UNREAD bytes, and how many answers that is. */
static unsigned count_unread(struct gather *gather, uint64_t unread, unsigned *answers)
{
    uint64_t room = 0;
    unsigned count = 0;

    for (*answers = 0; count < GATHER_MESSAGES; count++) {
        const struct gather_message *message = message_of(gather, count);

        if (message->answers == 0 || room + room_of(message) / 2 > unread)
            break;
        room += room_of(message);
        *answers += message->answers;
    }
    return count;
}

/* Of UNREAD bytes, which are ANSWERS in COUNT messages, those that are left when enough is read; and half of a message, for
 * the kernel may count otherwise.  0: too little would be left. */
static unsigned bytes_of_rest(struct gather *gather, uint64_t unread, unsigned count,
                              unsigned answers)
{
    const unsigned enough = answers / 2 > LEFT_MIN ? answers / 2 : LEFT_MIN;
    uint64_t room = 0, all = 0;
    unsigned left = 0, i;

    for (i = 0; i + 1 < count && left < enough; i++) {
        room += room_of(message_of(gather, i));
        left += message_of(gather, i)->answers;
    }
    if (left < LEFT_LEAST)
        return 0;
    room += room_of(message_of(gather, i)) / 2;
    for (i = 0; i < count; i++)
        all += room_of(message_of(gather, i));
    return (unsigned)(unread * room / all);
}

/* By some answers, and by more than one message: of one it is not seen how much is read. */
static bool is_behind(struct connection *connection)
{
    struct gather *gather = &connection->gather;
    unsigned messages, answers;
    int unread;

    if (ioctl(connection->fd, SIOCOUTQ, &unread) < 0 || unread <= 0 ||
        unread >= gather->sndbuf_bytes || unread > INT_MAX / 4)
        return false;
    messages = count_unread(gather, (unsigned)unread, &answers);
    if (messages < 2 || answers < BEHIND_MIN)
        return false;
    gather->most_unread = bytes_of_rest(gather, (unsigned)unread, messages, answers);
    return gather->most_unread > 0;
}

/* -- Waiting. -- */

bool gather_begin(struct connection *connection)
{
    struct gather *gather = &connection->gather;
    const bool has_served = gather->has_served;

    gather->has_served = false;
    if (!has_served || !can_wait(connection) || !is_to_be_asked(gather))
        return false;
    gather->ask_each = GATHER_ASK_EACH;
    if (!is_behind(connection))
        return false;
    gather->ask_again = GATHER_ASK_EACH;
    reactor_watch(connection->loop);
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
    gather->ask_again = 0;
    gather->ask_each = ASK_AFTER;
    gather->not_asked = 0;
}
