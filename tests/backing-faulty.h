/* backing-faulty.h - a backing store in RAM that fails, delays and lies when told to
 *
 * Owns:    its bytes, and I/O that it holds.
 * Called:  by a test, while the volume's threads submit I/O.
 * Locks:   one of its own.
 * Never:   does anything by chance or by the clock.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_BACKING_FAULTY_H
#define TESTS_BACKING_FAULTY_H

#include "backing.h"

struct faulty;

/* BYTES of zeroes.  The volume takes it, by volume_set_backing(), and frees it when it is closed. */
struct faulty *faulty_new(uint64_t bytes);

/* The same in memory that is the caller's, with what is there already. */
struct faulty *faulty_new_in(unsigned char *memory, uint64_t bytes);
struct backing *faulty_backing(struct faulty *faulty);

/* Its bytes, for bit flips and canaries. */
unsigned char *faulty_bytes(struct faulty *faulty);

/* Whether WHAT is anywhere in it; also while I/O is under way. */
bool faulty_contains(struct faulty *faulty, const void *what, size_t bytes);

/* From now on I/O of kind OP is held: neither done nor answered. */
void faulty_hold(struct faulty *faulty, enum backing_op op);

/* Of reads only those of fetches, or only the cleaner's. */
void faulty_hold_fetches(struct faulty *faulty);
void faulty_hold_cleaner(struct faulty *faulty);

/* Waits until N I/Os of kind OP are held. */
void faulty_wait_held(struct faulty *faulty, enum backing_op op, unsigned n);

/* Ends the holding, and answers what was held: with RESULT, or, when that is 0, by doing it. */
void faulty_release(struct faulty *faulty, enum backing_op op, int result);

/* The next N I/Os of kind OP fail with RESULT. */
void faulty_fail(struct faulty *faulty, enum backing_op op, unsigned n, int result);

/* The N-th I/O of kind OP from now on (from 1) kills the process: before anything of it is done,
 * when half of it is, or when all of it is and it is not answered. */
enum faulty_when { FAULTY_BEFORE, FAULTY_HALF, FAULTY_AFTER };
void faulty_kill(struct faulty *faulty, enum backing_op op, unsigned n,
                 enum faulty_when when);

/* Reads behind BYTES fail, as they do in a file that somebody truncated. */
void faulty_truncate(struct faulty *faulty, uint64_t bytes);

/* I/Os of kind OP that were submitted so far, and waiting for N of them. */
unsigned faulty_count(struct faulty *faulty, enum backing_op op);
void faulty_wait_count(struct faulty *faulty, enum backing_op op, unsigned n);

/* Waits until the done functions of N I/Os of kind OP have been called and have returned. */
void faulty_wait_done(struct faulty *faulty, enum backing_op op, unsigned n);

/* Waits until all that was submitted so far is done in this sense; how many I/Os those
 * were. */
unsigned faulty_wait_all_done(struct faulty *faulty);

/* Calls FN when the volume closes the store: the writeback thread has ended, and all
 * the rest of the volume is still there. */
void faulty_on_close(struct faulty *faulty, void (*fn)(void *opaque), void *opaque);

/* I/Os whose range is not aligned or not within the store; there must never be one. */
unsigned faulty_illegal(struct faulty *faulty);

#endif
