/* backed.h - a volume whose pages go to a file, for the benchmarks of writeback
 *
 * Owns:    the volume, the file while it is open, and which version of its page each slot has.
 * Called:  backed_write() by any number of threads, a slot by one at a time; the rest by one.
 * Locks:   none.
 * Never:   leaves the file behind: it has no name once the volume is open.
 *
 * The file is made in $TMPDIR, or else in /dev/shm: a file in RAM is the fastest store there is,
 * and what is measured then is zslot, not the device.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_BACKED_H
#define ZSLOT_BENCH_BACKED_H

#include <stdint.h>

#include "corpus.h"
#include "options.h"
#include "volume.h"

#define BACKED_MIB (1024.0 * 1024)

struct backed_wish {
    const struct corpus *corpus;
    const char *compressor;
    uint32_t slots;
    uint64_t memory_bytes;  /* memory-limit; 0: none */
    uint64_t backing_bytes; /* 0: no backing store */
};

struct backed {
    struct volume *volume;
    const struct corpus *corpus;
    struct codec_choice choice;
    uint32_t slots;
    uint32_t *versions; /* of each slot's page, as last written */
};

/* What memory-limit must be for OBJECT_BYTES of objects to stay in RAM, about, in a volume of SLOTS:
 * slot table, codec contexts and buffers count too. */
uint64_t backed_memory_bytes(uint32_t slots, uint64_t object_bytes);

/* A file with no name in that directory, for who measures the file system alone. */
int backed_make_file(void);

void backed_open(struct backed *backed, const struct backed_wish *wish);

/* Ends the program if the volume is not sound. */
void backed_close(struct backed *backed);

/* What is in the directory of the files: "tmpfs", or "another file system". */
const char *backed_file_system(void);

/* Writes the page that SLOT has at VERSION.  What the volume says. */
int backed_write(struct backed *backed, uint32_t slot, uint32_t version);

/* The same, for all slots in their order, by one thread; a failure ends the program. */
void backed_fill(struct backed *backed, uint32_t version);

/* The lengths of all slots' objects, wherever they are, by compressing all pages again. */
uint64_t backed_object_bytes(const struct backed *backed);

uint64_t backed_stat(const struct backed *backed, enum stat_id stat);

/* Waits until nothing is being written. */
void backed_settle(const struct backed *backed);

#endif
