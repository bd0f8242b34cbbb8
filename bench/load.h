/* load.h - the requests that a server is given, whatever the server
 *
 * Owns:    the pages that are written, the order of offsets, and the times that were taken.
 * Called:  by one thread.
 * Locks:   none.
 * Never:   talks to a server: load-nbd and load-block do, each with all requests of its kind.
 *
 * There is a request for each of depth x connections places. A place has one request under way; when it
 * is answered, load_next() says what follows there.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_LOAD_H
#define ZSLOT_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "corpus.h"
#include "histogram.h"

#define LOAD_BLOCK_MAX (1u << 20)
#define LOAD_PLACES_MAX 1024u

struct load_wish {
    const char *target; /* a socket's path, HOST:PORT, or a block device */
    const char *export;
    uint64_t span_bytes; /* requests are for the first so many of the export */
    uint32_t block_bytes;
    unsigned depth, connections;
    unsigned read_percent;
    unsigned
        compressible_percent; /* of made-up pages, for who has promised by such; 0: the corpus */
    double seconds;
    bool sequential;
    bool once;     /* every block of the span once, instead of for some seconds */
    bool shuffled; /* with ONCE: in a random order */
    uint32_t version;
};

struct load_request {
    bool is_write;
    uint64_t offset;
    unsigned char *data; /* to be written; when it is a read, room for what is read */
    uint64_t began_ns;
};

struct load {
    struct load_wish wish;
    const struct corpus *corpus;
    unsigned char *pages; /* that writes take blocks from, when not ONCE */
    uint32_t page_count;
    unsigned char *rooms; /* a block for each place */
    uint32_t *order;      /* SHUFFLED */
    uint64_t blocks, given;
    uint64_t cursors[LOAD_PLACES_MAX]; /* of each connection, when sequential */
    uint64_t random;
    uint64_t end_ns;
    struct load_request requests[LOAD_PLACES_MAX];
    struct histogram reads, writes;
    uint64_t begin_ns,
        last_ns; /* of the first request and the last answer that counts */
};

/* Ends the program when there is no memory. */
void load_begin(struct load *load, const struct load_wish *wish,
                const struct corpus *corpus);
void load_end(struct load *load);

/* What follows at PLACE, of CONNECTION; NULL when all is done or the time is over. */
struct load_request *load_next(struct load *load, unsigned place, unsigned connection);

/* The request at PLACE was answered. */
void load_done(struct load *load, unsigned place, uint64_t now_ns);

static inline uint64_t load_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Each does all requests and returns when the last one was answered; any error ends the program. */
void load_nbd(struct load *load);
void load_block(struct load *load);

#endif
