/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "page.h"

#include <string.h>

bool page_is_same_filled(const void *data, uint64_t *word)
{
    const unsigned char *bytes = data;
    uint64_t first, here;

    memcpy(&first, bytes, sizeof first);
    /* Pages that differ mostly do so at their end, where data that grew stops: looking
     * there first makes the usual answer "no" cheap. */
    memcpy(&here, bytes + PAGE_BYTES - sizeof here, sizeof here);
    if (here != first)
        return false;

    /* Blocks of 64 bytes with one branch each, which compilers turn into vector
     * code. */
    for (unsigned at = 0; at < PAGE_BYTES; at += 64) {
        uint64_t line[8], differs = 0;

        memcpy(line, bytes + at, sizeof line);
        for (unsigned i = 0; i < 8; i++)
            differs |= line[i] ^ first;
        if (differs)
            return false;
    }
    *word = first;
    return true;
}

void page_fill(uint64_t word, uint32_t offset, uint32_t bytes, void *out)
{
    unsigned char *to = out;

    if (word == 0) {
        memset(to, 0, bytes);
        return;
    }

    unsigned skip = offset % sizeof word;
    if (skip) {
        unsigned head = sizeof word - skip;
        if (head > bytes)
            head = bytes;
        memcpy(to, (const unsigned char *)&word + skip, head);
        to += head;
        bytes -= head;
    }
    for (; bytes >= sizeof word; to += sizeof word, bytes -= sizeof word)
        memcpy(to, &word, sizeof word);
    memcpy(to, &word, bytes);
}
