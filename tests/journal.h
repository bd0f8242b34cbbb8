/* journal.h - what a volume was asked to keep, kept where a kill does not reach it
 *
 * Owns:    two words per page, in memory shared with children.
 * Called:  by several threads of several processes, each on groups of pages of its own.
 * Locks:   none; the words are atomic.
 * Never:   knows whether the volume is here or behind a server.
 *
 * A page's word says what both halves of it were written with, by a number each; 0: zeroes.
 * It is noted as begun before the request and as acknowledged after the answer.  When the
 * server has been killed in between, the page must be one or the other, whole.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_JOURNAL_H
#define TESTS_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Pages that have one writer. */
#define JOURNAL_GROUP 16u

struct journal_entry {
    _Atomic uint64_t begun, acked;
};

struct journal {
    uint64_t pages;
    struct journal_entry *entries;
    _Atomic uint32_t *next; /* number for a write */
};

/* What it is about, and how: 0 or a negative errno.  -ECONNRESET: it has been killed. */
struct journal_target {
    void *opaque;
    int (*read)(void *opaque, uint64_t offset, uint64_t bytes, void *out);
    int (*write)(void *opaque, uint64_t offset, uint64_t bytes, const void *data);
    int (*trim)(void *opaque, uint64_t offset, uint64_t bytes);
};

void journal_open(struct journal *journal, uint64_t pages);
void journal_close(struct journal *journal);

/* One random request within GROUP.  0; -ECONNRESET; -EUCLEAN, with a line on standard error:
 * a page was not what was acknowledged, or a request failed that must not. */
int journal_step(struct journal *journal, const struct journal_target *target,
                 uint64_t group, uint64_t *random);

/* Writes COUNT pages from FIRST on, which are of one group.  The same. */
int journal_write(struct journal *journal, const struct journal_target *target,
                  uint64_t first, unsigned count);

/* Reads everything.  From then on each page is what it was found to be. */
int journal_check(struct journal *journal, const struct journal_target *target);

#endif
