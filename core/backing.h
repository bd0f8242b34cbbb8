/* backing.h - where pages go to leave memory
 *
 * Owns:    the interface of all backing stores.
 * Called:  submit and wait by any thread; the rest by the writeback thread, or before
 *          it runs.
 * Locks:   each backing store has its own, not held while a done function runs.
 * Never:   knows slots, objects or checksums: it moves bytes.
 *
 * All I/O is asynchronous.  Who submits a backing_io keeps it and its buffer alive
 * until its done function has been called, which happens exactly once, in the writeback
 * thread; that of an urgent read also in any thread that calls backing_wait().  There is
 * no other promise of order: an I/O is ordered after another only by submitting it from
 * there.
 *
 * Offsets, lengths and buffers are multiples of BACKING_ALIGN.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BACKING_H
#define ZSLOT_BACKING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "reason.h"

#define BACKING_IDENTITY_BYTES 16u
#define BACKING_ALIGN 4096u

struct event_base;
struct backing;

enum backing_op { BACKING_READ, BACKING_WRITE, BACKING_DISCARD };

struct backing_io {
    enum backing_op op;
    uint64_t offset;
    uint32_t bytes;
    void *buffer; /* none for a discard */
    bool urgent;  /* somebody waits for it: it overtakes what nobody does */
    bool awaited; /* urgent, and who submits it calls backing_wait() next */

    /* RESULT: 0, all bytes moved; or a negative errno, -EIO for what lies behind a
     * truncation.  A discard that the store cannot do succeeds. */
    void (*done)(struct backing_io *io, int result);
    void *opaque;

    /* The backing store's own. */
    uint32_t moved;
    uint32_t again; /* times in a row that it was to be submitted again */
    bool under_way;
    struct backing_io *next;
    uint64_t since_ms; /* when it was submitted */
    int result;
    bool sent; /* at least once: a server may have it, and carry it out at any time */
};

struct backing_ops {
    const char *name; /* as in --dump-plugin */

    /* Makes the store ready for I/O, whose completions BASE's thread will run.  After a
     * fork. */
    int (*start)(struct backing *backing, struct event_base *base);

    /* It is in use from here on: what opening it has made or changed stays.  Before the first
     * write.  NULL: opening changes nothing. */
    void (*keep)(struct backing *backing);

    void (*submit)(struct backing *backing, struct backing_io *io);

    /* See backing_wait().  NULL: the writeback thread does it all. */
    bool (*wait)(struct backing *backing, struct backing_io *io,
                 const struct timespec *deadline);

    /* The first bytes at AT or behind it in which something may be, up to where nothing is.
     * False: there are none.  Before the first I/O.  NULL: wherever there is a header, the store
     * is taken to be full. */
    bool (*next_content)(struct backing *backing, uint64_t at, uint64_t *start,
                         uint64_t *end);

    /* Tries again at once to reach what it cannot reach.  In the thread of BASE.  NULL: it never
     * waits before it does. */
    void (*retry)(struct backing *backing);

    /* No I/O is under way.  Undoes what opening it has made or changed, unless it was in use.  Frees
     * BACKING. */
    void (*close)(struct backing *backing);
};

struct backing {
    const struct backing_ops *ops;
    uint64_t bytes; /* usable, a multiple of BACKING_ALIGN */

    /* How long a reader waits for an answer; the volume sets it. */
    unsigned timeout_ms;

    /* Gone for longer than that: writers need not wait for it. */
    _Atomic bool away;

    /* Whose header was on it when it was opened. */
    bool has_identity;
    unsigned char identity[BACKING_IDENTITY_BYTES];
    uint32_t format;

    /* A write may still be carried out when the process that submitted it is no more, and
     * another has opened the store. */
    bool outlives_us;
};

#define BACKING_TIMEOUT_S 30

/* The most of a store that is used: blocks have numbers of 32 bits. */
#define BACKING_BYTES_MAX (UINT64_C(16) << 40)

/* How to open one. */
struct backing_terms {
    uint64_t bytes;         /* how much of it to use; 0: all of a device or an export */
    const char *bytes_text; /* as it was typed, for sentences; NULL: not known */
    uint64_t file_bytes;    /* of a file, if BYTES is 0 */
    bool overwrite;         /* also what is not empty and not ours */
    unsigned timeout_ms;    /* of a server */
    unsigned busy_ms;       /* of a file: how long to wait for who has it */
};

/* What WHERE names: a server, if there is "://" in it, or a path.  See the two. */
int backing_open(const char *where, const struct backing_terms *terms,
                 struct backing **backing, struct reason *reason);

/* "file", "nbd" and so on; NULL after the last. */
extern const char *const backing_names[];

/* A file or a block device at PATH.  A file that does not exist is made when TERMS say how large, and
 * one that is shorter is made longer, sparse.  What is not empty and not ours is refused, unless TERMS
 * say otherwise.  On failure a negative errno and a sentence.
 *
 * What is in use is refused after busy_ms.  It is in use for as long as I/O is under way on
 * it, also when the process that submitted it was killed: the kernel keeps the open file,
 * with its lock, until the last of it has ended.  So nothing is carried out late. */
int backing_file_open(const char *path, const struct backing_terms *terms,
                      struct backing **backing, struct reason *reason);

/* An export of an NBD server.  What is not empty and not ours is refused, unless TERMS say otherwise.  Whether the server is there, and fit, is found out
 * within timeout_ms; an I/O waits so long for a server that has gone to come back.  On
 * failure a negative errno and a sentence. */
int backing_nbd_open(const char *uri, const struct backing_terms *terms,
                     struct backing **backing, struct reason *reason);

/* Of a value that was given: backing-size=VALUE, as it was typed. */
struct backing_size_text {
    char text[64];
};
struct backing_size_text backing_size_text(const struct backing_terms *terms);

/* WHERE offers only BYTES, which are fewer than the least; or so many are wanted.  -EINVAL. */
int backing_refuse_small(const char *where, const struct backing_terms *terms,
                         uint64_t bytes, struct reason *reason);

/* Something is in WHERE, which is WHAT and begins with the BYTES at START.  -EEXIST; -EINVAL: it is
 * a later zslot's. */
int backing_refuse_content(const char *where, const char *what, const void *start,
                           size_t bytes, struct reason *reason);

/* More was given than the BYTES that WHERE has.  -EINVAL. */
int backing_refuse_large(const char *where, const struct backing_terms *terms,
                         uint64_t bytes, struct reason *reason);

static inline void backing_submit(struct backing *backing, struct backing_io *io)
{
    io->moved = 0;
    io->again = 0;
    backing->ops->submit(backing, io);
}

static inline void backing_retry(struct backing *backing)
{
    if (backing->ops->retry)
        backing->ops->retry(backing);
}

/* For who waits for the urgent read IO.  True: done functions have been called that were
 * due, IO's perhaps among them, or it is DEADLINE (CLOCK_MONOTONIC); look, and call it
 * again.  False: IO's is called without the caller's help, or has been. */
static inline bool backing_wait(struct backing *backing, struct backing_io *io,
                                const struct timespec *deadline)
{
    return backing->ops->wait && backing->ops->wait(backing, io, deadline);
}

#endif
