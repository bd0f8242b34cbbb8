/* budget.h - how much may be written to the backing store
 *
 * Owns:    a token bucket.
 * Called:  by the writeback thread only.
 * Locks:   none.
 * Never:   looks at a clock: time is passed in.
 *
 * In no window of 24 hours is more than the limit spent.  A bucket that holds B and
 * refills R a day lets B + R through in the worst day, so a limit of L is made of B =
 * L/8 and R = 7L/8.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BUDGET_H
#define ZSLOT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_DAY_MS (UINT64_C(24) * 60 * 60 * 1000)

struct budget {
    uint64_t bytes_per_day; /* UINT64_MAX: no limit */
    uint64_t left_bytes;
    uint64_t refilled_ms; /* the time up to which left_bytes is right */
};

void budget_init(struct budget *budget, uint64_t bytes_per_day, uint64_t now_ms);

/* Another limit from now on.  What is left of the bucket stays, as far as it fits. */
void budget_change(struct budget *budget, uint64_t bytes_per_day, uint64_t now_ms);

/* What could be taken at this moment, in bytes; UINT64_MAX without a limit. */
uint64_t budget_left_bytes(struct budget *budget, uint64_t now_ms);

/* Takes BYTES, at submission.  False: they are not there, and nothing is taken. */
bool budget_charge(struct budget *budget, uint64_t bytes, uint64_t now_ms);

/* Gives back what was charged for a write that failed. */
void budget_refund(struct budget *budget, uint64_t bytes);

#endif
