/* told.h - what a volume is told, and asked, in the thread of its loop
 *
 * Owns:    what was said last.
 * Called:  by tests, from one thread.
 * Locks:   none.
 * Never:   checks what the volume answered.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_TOLD_H
#define TESTS_TOLD_H

#include "report.h"
#include "steer.h"
#include "volume.h"

extern struct told {
    struct volume *volume;
    struct steer_pair pairs[4];
    unsigned count;
    int result;
    struct reason reason;
    struct report report;
} told;

/* Has TOLD's volume do what its pairs say; the result. */
int told_do(void);

/* The same of one pair. */
int told_set(struct volume *volume, const char *key, const char *value);

/* Good until the next one. */
const struct report *told_report(struct volume *volume);

#endif
