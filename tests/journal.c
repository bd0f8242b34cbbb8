/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "journal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"

#define HALF (PAGE / 2)

static size_t map_bytes(uint64_t pages)
{
    return sizeof(uint64_t) + pages * sizeof(struct journal_entry);
}

void journal_open(struct journal *journal, uint64_t pages)
{
    char *map = mmap(NULL, map_bytes(pages), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert(map != MAP_FAILED && pages % JOURNAL_GROUP == 0);
    journal->pages = pages;
    journal->next = (_Atomic uint32_t *)map;
    journal->entries = (struct journal_entry *)(map + sizeof(uint64_t));
}

void journal_close(struct journal *journal)
{
    munmap((void *)journal->next, map_bytes(journal->pages));
}

/* Everything from one word to what does not compress. */
static void fill_half(uint64_t page, uint32_t number, unsigned char *out)
{
    uint64_t random = page << 32 | number, word = harness_random(&random);
    size_t bytes = 0;

    if (number == 0) {
        memset(out, 0, HALF);
        return;
    }
    if (word % 8 > 0)
        bytes = word % 8 < 3 ? HALF : HALF / 4 + word / 8 % (HALF / 2);
    for (size_t at = 0; at < HALF; at += sizeof word) {
        if (at < bytes)
            word = harness_random(&random);
        memcpy(out + at, &word, sizeof word);
    }
}

static void fill_page(uint64_t page, uint64_t word, unsigned char *out)
{
    fill_half(page, (uint32_t)(word >> 32), out);
    fill_half(page, (uint32_t)word, out + HALF);
}

static bool is_page(uint64_t page, uint64_t word, const unsigned char *data)
{
    unsigned char expected[PAGE];

    fill_page(page, word, expected);
    return memcmp(expected, data, PAGE) == 0;
}

static int complain(uint64_t page, const char *what, uint64_t begun, uint64_t acked)
{
    fprintf(stderr,
            "page %" PRIu64 ": %s (begun %#" PRIx64 ", acknowledged %#" PRIx64 ")\n",
            page, what, begun, acked);
    return -EUCLEAN;
}

static int check_page(struct journal *journal, uint64_t page, const unsigned char *data)
{
    struct journal_entry *entry = &journal->entries[page];
    uint64_t begun = entry->begun, acked = entry->acked;

    if (is_page(page, acked, data))
        entry->begun = acked;
    else if (is_page(page, begun, data))
        entry->acked = begun;
    else
        return complain(page, "is neither of what it may be", begun, acked);
    return 0;
}

static int read_pages(struct journal *journal, const struct journal_target *target,
                      uint64_t first, unsigned count)
{
    unsigned char data[JOURNAL_GROUP * PAGE];
    int r = target->read(target->opaque, first * PAGE, count * PAGE, data);

    if (r == -ECONNRESET)
        return r;
    if (r < 0)
        return complain(first, strerror(-r), 0, 0);
    for (unsigned i = 0; i < count; i++)
        if (check_page(journal, first + i, data + i * PAGE) < 0)
            return -EUCLEAN;
    return 0;
}

/* After a failure for want of room some pages are written and some are not: a read will
 * say. */
static int note(struct journal *journal, uint64_t first, unsigned count, int r)
{
    if (r == -ENOSPC || r == -ECONNRESET)
        return r == -ENOSPC ? 0 : r;
    if (r < 0)
        return complain(first, strerror(-r), 0, 0);
    for (unsigned i = 0; i < count; i++)
        journal->entries[first + i].acked = journal->entries[first + i].begun;
    return 0;
}

/* Only from a state that is known can another one be begun. */
static bool is_known(const struct journal *journal, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (journal->entries[first + i].begun != journal->entries[first + i].acked)
            return false;
    return true;
}

int journal_write(struct journal *journal, const struct journal_target *target,
                  uint64_t first, unsigned count)
{
    unsigned char data[JOURNAL_GROUP * PAGE];

    for (unsigned i = 0; i < count; i++) {
        uint64_t number = ++*journal->next, word = number << 32 | number;

        fill_page(first + i, word, data + i * PAGE);
        journal->entries[first + i].begun = word;
    }
    return note(journal, first, count,
                target->write(target->opaque, first * PAGE, count * PAGE, data));
}

static int write_half(struct journal *journal, const struct journal_target *target,
                      uint64_t page, unsigned half)
{
    unsigned char data[HALF];
    uint64_t number = ++*journal->next, word = journal->entries[page].acked;

    word = half ? (word & ~(uint64_t)UINT32_MAX) | number
                : (word & UINT32_MAX) | number << 32;
    fill_half(page, (uint32_t)number, data);
    journal->entries[page].begun = word;
    return note(journal, page, 1,
                target->write(target->opaque, page * PAGE + half * HALF, HALF, data));
}

static int trim_pages(struct journal *journal, const struct journal_target *target,
                      uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        journal->entries[first + i].begun = 0;
    return note(journal, first, count,
                target->trim(target->opaque, first * PAGE, count * PAGE));
}

int journal_step(struct journal *journal, const struct journal_target *target,
                 uint64_t group, uint64_t *random)
{
    uint64_t r = harness_random(random);
    unsigned from = r % JOURNAL_GROUP, what = r / 16 % 16;
    unsigned count = r / 256 % 2 ? 1 : 1 + r / 512 % (JOURNAL_GROUP - from);
    uint64_t first = group * JOURNAL_GROUP + from;

    if (what < 6 || !is_known(journal, first, count))
        return read_pages(journal, target, first, count);
    if (what < 12)
        return journal_write(journal, target, first, count);
    if (what < 15)
        return write_half(journal, target, first, r >> 63);
    return trim_pages(journal, target, first, count);
}

int journal_check(struct journal *journal, const struct journal_target *target)
{
    for (uint64_t page = 0; page < journal->pages; page += JOURNAL_GROUP) {
        int r = read_pages(journal, target, page, JOURNAL_GROUP);
        if (r < 0)
            return r;
    }
    return 0;
}
