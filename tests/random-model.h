/* random-model.h - threads, a compaction and a trimmer against the plain array
 *
 * Owns:    the threads, the array, and what they do.
 * Called:  by race-random-model.c and race-writeback-model.c, a volume at a time.
 * Locks:   none.
 * Never:   knows where the volume keeps its pages.
 *
 * Pages belong to groups, interleaved, so that every leaf and every span has some of
 * each:
 *   own     one thread's each: compared with the array, byte by byte
 *   split   each thread has its part of every page, at odd offsets: the array again
 *           (rule S9)
 *   shared  anybody writes whole pages that say what they must be, and the trimmer
 *           trims them
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_RANDOM_MODEL_H
#define TESTS_RANDOM_MODEL_H

#include "harness.h"

#define RANDOM_MODEL_SIZE (16 * MIB)

/* OPS operations in all, as harness_ops() has them, on a volume of
 * RANDOM_MODEL_SIZE; with a backing store all of its pages are also written back now
 * and then.  Compares everything in the end.  How many writes were refused at the
 * memory limit. */
uint64_t random_model_run(struct volume *volume, unsigned long ops);

/* Trims it, checks it and closes it. */
void random_model_close(struct volume *volume);

#endif
