/* export.h - what clients can open, by name
 *
 * Owns:    nothing; the volumes are zslotd.c's.
 * Called:  by loops; nothing changes once they run.
 * Locks:   none.
 * Never:   looks into a volume.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_EXPORT_H
#define ZSLOT_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORTS_MAX 128u
#define EXPORT_NAME_BYTES_MAX 255u

struct volume;

struct export
{
    const char *name;
    const char *description; /* or NULL */
    uint64_t bytes;
    struct volume *volume;
};

struct export_table {
    const struct export *exports;
    unsigned count; /* at least 1 */
};

/* The empty name is the first export, whatever that is called.  NULL: there is none. */
static inline const struct export *export_find(const struct export_table *table,
                                               const uint8_t *name, size_t bytes)
{
    if (bytes == 0)
        return &table->exports[0];
    for (unsigned i = 0; i < table->count; i++)
        if (strlen(table->exports[i].name) == bytes &&
            memcmp(table->exports[i].name, name, bytes) == 0)
            return &table->exports[i];
    return NULL;
}

#endif
