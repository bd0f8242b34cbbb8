/* kept.h - a volume of 8 MiB whose memory, and perhaps backing store, outlive it; and its model
 *
 * Owns:    the directory of the state, the store's bytes and the model, for one test at a time.
 * Called:  by unit-state.c and unit-volume-begin.c.
 * Locks:   none.
 * Never:   keeps a volume open.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_KEPT_H
#define TESTS_KEPT_H

#include "harness.h"
#include "model.h"

#define KEPT_SIZE_TEXT "8M"
#define KEPT_SIZE (8 * MIB)
#define KEPT_STORE_BYTES (16 * MIB)
#define KEPT_PAGES 600

extern char kept_directory[64];
extern struct model kept_model;
extern unsigned char *kept_store; /* for faulty_new_in() */

void kept_setup(void);
void kept_teardown(void);

/* A start with KEY, VALUE, ... NULL fails with ERR; then words of the sentence, and NULL. */
void kept_refused(int err, const char *key, ...);

/* On the state alone; and with the store, too. */
struct volume *kept_open_plain(void);
struct volume *kept_open_stored(void);

/* Pages of every state that can be in RAM, from page FROM on. */
void kept_write_pages(struct volume *volume, uint64_t from, uint64_t count);

/* What a former volume has left. */
void kept_make_plain(void);
void kept_make_stored(void);

/* It has every page; closes it. */
void kept_expect_all(struct volume *volume);

#endif
