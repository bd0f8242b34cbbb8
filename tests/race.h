/* race.h - actors for tests of two requests that meet on one page
 *
 * Owns:    a volume of 4 MiB, its model, and what the actors write.
 * Called:  by race-*.c, each in its own program.
 * Locks:   none: the model is the test's thread's.
 * Never:   changes the model in an actor; a test says what the outcome must be.
 *
 * The page that is fought over is RACE_PAGE; around it are pages with objects of the same size
 * class, so that a place freed there is taken by the next one.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_RACE_H
#define TESTS_RACE_H

#include "harness.h"
#include "model.h"

#define RACE_SIZE (4 * MIB)
#define RACE_PAGE 20
#define RACE_AT (RACE_PAGE * PAGE)
#define RACE_OTHERS 40 /* pages before and after it that have content */

extern struct volume *race_volume;
extern struct model race_model;

/* What is on the page first, and what the writers put there: all objects of one size class. */
extern unsigned char race_old[PAGE], race_a[PAGE], race_b[PAGE];

/* The part that race_write_part() writes, and race_write_other_part(). */
#define RACE_PART_AT 1000
#define RACE_PART_BYTES 77
#define RACE_OTHER_AT 3000
#define RACE_OTHER_BYTES 501

void race_setup(void);
struct backing;
void race_setup_with(struct backing *backing); /* the volume takes it */
void race_teardown(void);                      /* compares all, checks and closes */

/* -- Actors; OPAQUE is not used. -- */

void race_write_a(void *opaque);
void race_write_b(void *opaque);
void race_write_word(void *opaque);
void race_write_huge(void *opaque);
void race_write_part(void *opaque);       /* of race_a */
void race_write_other_part(void *opaque); /* of race_b */
void race_zero_other_part(void *opaque);
void race_trim(void *opaque);
void race_zero(void *opaque);
void race_write_back_and_forth(void *opaque); /* b, then old again */
void race_read_old(void *opaque);             /* and must see race_old */
void race_read_a(void *opaque);
void race_read_zeroes(void *opaque);
void race_compact(void *opaque);

/* Frees the page's place for others and lets others take it: what reads the old handle now finds
 * another page's bytes. */
void race_take_the_place(void *opaque);

/* Trims every second of the pages around, so that a compaction has something to move. */
void race_make_holes(void);

/* -- Outcomes, told to the model. -- */

void race_expect(const unsigned char *page);
void race_expect_a(void);
void race_expect_nothing_new(void);
void race_expect_zeroes(void);
void race_expect_part(void);
void race_expect_other_part(void);

#endif
