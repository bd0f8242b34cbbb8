/* model.h - the plain array that a volume is compared with
 *
 * Owns:    the array.
 * Called:  by tests; by several threads when each keeps to bytes of its own.
 * Locks:   none.
 * Never:   calls a volume but to compare.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdint.h>

#include "volume.h"

struct model {
    unsigned char *bytes;
    uint64_t size;
};

void model_open(struct model *model, uint64_t size);
void model_close(struct model *model);

void model_write(struct model *model, uint64_t offset, uint64_t bytes,
                 const void *data);
void model_zero(struct model *model, uint64_t offset, uint64_t bytes);

/* Whole pages only, as a trim does. */
void model_trim(struct model *model, uint64_t offset, uint64_t bytes);

/* The same on both, and the volume's must succeed. */
void model_write_both(struct model *model, struct volume *volume, uint64_t offset,
                      uint64_t bytes, const void *data);
void model_trim_both(struct model *model, struct volume *volume, uint64_t offset,
                     uint64_t bytes);
void model_zero_both(struct model *model, struct volume *volume, uint64_t offset,
                     uint64_t bytes);

/* Whether the volume reads as the model says: asserted, with the page that differs. */
void model_compare(const struct model *model, struct volume *volume, uint64_t offset,
                   uint64_t bytes);
void model_compare_all(const struct model *model, struct volume *volume);

/* The volume's extents of the range are the model's runs of pages with and without content. */
void model_compare_extents(const struct model *model, struct volume *volume,
                           uint64_t offset, uint64_t bytes);

#endif
