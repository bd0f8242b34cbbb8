/* gather.h - lets requests gather of a client that is busy with the answers it has
 *
 * Owns:    the size of the socket's send buffer, meanwhile.
 * Called:  by the connection's loop.
 * Locks:   none.
 * Never:   makes a client by TCP, vsock or TLS wait, or any for much longer than gather_ms.
 *
 * A client with several requests under way that takes longer for an answer than the loop for a request sends the next
 * one whenever it is done with an answer.  Each would wake the loop, and be received and answered by itself, at a
 * multiple of the processor time that one of many takes.  While such a client has answers that it has not read it waits
 * for none: so the loop waits until it has read some of them, half of many, and finds as many requests then.
 *
 * That is an event: a Unix socket counts as writable while what its peer has not read is at most a quarter of
 * SO_SNDBUF (unix_writable in Linux' net/unix/af_unix.c), which is set accordingly.  The kernel counts what messages take
 * of its memory, and one of up to 36 KiB as a whole until its last byte is read; so it is noted how many answers each had.
 *
 * A client that does not read waits for something else: until all that it has to send is received, perhaps.  It is
 * received from after gather_ms, which is what that costs it, and not waited for again until it has had thousands
 * of answers.  The loop has one clock for all of them (reactor_watch()).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_GATHER_H
#define ZSLOT_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATHER_MS 20u

/* Turns with answers, until one that was not behind is asked again; and for as many after it was it is asked in each. */
#define GATHER_ASK_EACH 16u

struct connection;

/* So many are known, the newest: of more that are unread the same share is waited for. */
#define GATHER_MESSAGES 32u

/* What one call sent. */
struct gather_message {
    uint32_t bytes, answers;
};

struct gather {
    bool is_on;
    uint64_t since_ns;
    unsigned most_unread; /* bytes: then the socket is writable */
    unsigned ask_again;   /* turns, in each of which it is asked */
    unsigned not_asked, ask_each;
    int sndbuf_bytes; /* at first; 0: it is never on */
    bool has_served;  /* a request in this turn; for the connection to set */
    struct gather_message sent[GATHER_MESSAGES];
    unsigned next;   /* of sent, modulo GATHER_MESSAGES */
    unsigned unsent; /* answers */
};

void gather_init(struct connection *connection);

/* An answer is made. */
static inline void gather_note(struct gather *gather)
{
    gather->unsent++;
}

/* BYTES are sent, with all of the answers that were made. */
void gather_sent(struct gather *gather, size_t bytes);

/* How many bytes of its memory the kernel takes for a message of so many. */
uint64_t gather_room(uint32_t bytes);

/* All that had come is answered, but for a part of a request.  True: nothing is received until the socket is writable,
 * or it has been too long. */
bool gather_begin(struct connection *connection);

/* Before anything is sent.  True: it was on. */
bool gather_end(struct connection *connection);

/* Whether it is on, and for longer than gather_ms. */
bool gather_is_over(const struct connection *connection, uint64_t now_ns);

/* As gather_end(), when it has been too long: whoever has not read is not asked for a while. */
void gather_give_up(struct connection *connection);

#endif
