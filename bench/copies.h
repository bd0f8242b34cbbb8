/* copies.h - what an eviction cannot do without, with nothing of ours: a copy, a write, RAM given back
 *
 * Owns:    the objects of a volume once more, a file of the backing store's kind, and memory of the
 *          pool's kind.
 * Called:  by one thread.
 * Locks:   none.
 * Never:   looks at the volume again: its objects are compressed anew.
 *
 * Times are microseconds for all objects.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_COPIES_H
#define ZSLOT_BENCH_COPIES_H

#include <stdint.h>

#include "backed.h"

struct copies_object {
    uint64_t offset;
    uint32_t length;
};

struct copies {
    uint32_t count;
    struct copies_object *objects; /* in a random order */
    char *arena; /* one behind the other, in the same kind of memory as a pool's */
    uint64_t bytes;
    char *buffer; /* as large as a segment's */
    int file;     /* of the same kind as the backing store */
    int memory;   /* of the same kind as a pool's, as large as all objects */
    char *mapped;
    uint64_t mapped_bytes;
};

/* The objects of all slots of BACKED. */
void copies_open(struct copies *copies, const struct backed *backed);
void copies_close(struct copies *copies);

/* Each into the buffer, which is filled over and over. */
double copies_copy_us(struct copies *copies);

/* The same, and each bufferful is written to the file, over what was written before. */
double copies_copy_and_write_us(struct copies *copies);

/* As many bytes to the file, over what was written before, from the buffer as it is. */
double copies_write_us(struct copies *copies);

/* Gives the RAM back that as many bytes take, by pieces as large as a pool's spans. */
double copies_give_back_us(struct copies *copies);

#endif
