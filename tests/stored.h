/* stored.h - a volume of 8 MiB, its model, and a faulty backing store under it
 *
 * Owns:    these three, for one test at a time.
 * Called:  by fault- and unit- tests.
 * Locks:   none.
 * Never:   lets anything fail by itself.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_STORED_H
#define TESTS_STORED_H

#include "backing-faulty.h"
#include "harness.h"
#include "model.h"
#include "sample.h"
#include "segment.h"

#define SIZE (8 * MIB)
#define STORE_BYTES (16 * MIB)
#define PAGES 300 /* with content: some four segments of objects */
#define OBJECT_BYTES 3000
#define OBJECTS_BYTES_MIN (PAGES * (uint64_t)OBJECT_BYTES)

extern struct faulty *faulty;
extern struct volume *volume; /* a test that closes it sets it to NULL */
extern struct model model;

void stored_setup(void); /* the first PAGES are in RAM */
void stored_setup_on(struct faulty *store);
void stored_teardown(void); /* compares all, checks and closes */

/* Another volume instead, with so much memory for pages beyond what is fixed, and the
 * smallest of stores. */
#define SMALL_STORE BACKING_BYTES_MIN
void stored_open_small(const char *size, uint64_t memory_bytes);

/* All of these stored, three in a block, which they fill, in a small store: the cleaner has something to do
 * as soon as some are trimmed. */
#define SMALL_PAGES 2300
#define SMALL_OBJECT_BYTES 1300
void stored_fill_small(void);

uint64_t stored_stat(enum stat_id stat);
void stored_write_back(void);
void stored_write_back_all(void); /* asserts that it did */

/* 0 and what the model says, or a negative errno. */
int stored_read_page(uint64_t page);

/* Writes every STEPth of the first PAGES from FROM on, another page each. */
void stored_write_anew(unsigned from, unsigned step);

/* An actor's: writes, reads back and compares a page of its own, beyond what the model has,
 * until stored_writers_end.  OPAQUE: its number. */
extern _Atomic bool stored_writers_end;
void stored_write_and_read(void *opaque);

unsigned char *stored_block(unsigned number);

/* What seals its objects. */
struct seal stored_seal(void);

#endif
