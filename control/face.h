/* face.h - numbers that a face has of itself
 *
 * Owns:    nothing.
 * Called:  in the thread of the volume's loop.
 * Locks:   none.
 * Never:   knows which face that is.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_FACE_H
#define ZSLOT_FACE_H

#include <stdbool.h>
#include <stdint.h>

#define FACE_NUMBERS_MAX 16u

struct face_number {
    const char *name, *says;
    uint64_t value;
    bool is_ns; /* a time, which only grows; told in seconds, as all times */
};

typedef unsigned face_numbers_fn(void *opaque,
                                 struct face_number numbers[FACE_NUMBERS_MAX]);

#endif
