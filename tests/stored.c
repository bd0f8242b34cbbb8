/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "stored.h"

#include "server.h"

#include <stdio.h>
#include <string.h>

struct faulty *faulty;
struct volume *volume;
struct model model;

void stored_setup(void)
{
    stored_setup_on(faulty_new(STORE_BYTES));
}

void stored_setup_on(struct faulty *store)
{
    unsigned char page[PAGE];

    faulty = store;
    volume = harness_open_with(faulty_backing(faulty), "size", "8M", "compressor",
                               "lz4", NULL);
    model_open(&model, SIZE);
    for (unsigned i = 0; i < PAGES; i++) {
        sample_sized(OBJECT_BYTES, i, page);
        if (i % 16 == 0)
            sample_page(SAMPLE_RANDOM, i, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
    /* The store's own header. */
    faulty_wait_done(faulty, BACKING_WRITE, 1);
}

void stored_teardown(void)
{
    if (!volume)
        return;
    ck_assert_uint_eq(faulty_illegal(faulty), 0);
    model_compare_all(&model, volume);
    harness_close(volume);
    model_close(&model);
}

uint64_t stored_stat(enum stat_id stat)
{
    return harness_stat(volume, stat);
}

void stored_write_back(void)
{
    ck_assert_int_eq(volume_writeback(volume), 0);
}

void stored_write_back_all(void)
{
    stored_write_back();
    ck_assert_uint_eq(stored_stat(STAT_bd_count), PAGES);
    ck_assert_uint_eq(stored_stat(STAT_compr_data_size), 0);
}

int stored_read_page(uint64_t page)
{
    unsigned char data[PAGE];
    int r = volume_read(volume, page * PAGE, PAGE, data);

    if (r == 0)
        ck_assert_mem_eq(data, model.bytes + page * PAGE, PAGE);
    return r;
}

void stored_open_small(const char *size, uint64_t memory_bytes)
{
    char limit[32];

    stored_teardown();
    snprintf(limit, sizeof limit, "%lu",
             (unsigned long)(harness_fixed_bytes(size, "lz4") + memory_bytes));
    faulty = faulty_new(SMALL_STORE);
    volume = harness_open_with(faulty_backing(faulty), "size", size, "compressor",
                               "lz4", "memory-limit", limit, NULL);
    model_open(&model, volume_size_bytes(volume));
}

void stored_fill_small(void)
{
    unsigned char page[PAGE];

    stored_open_small("64M", 16 * MIB);
    for (unsigned i = 0; i < SMALL_PAGES; i++) {
        sample_sized(SMALL_OBJECT_BYTES, i, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
    stored_write_back();
}

unsigned char *stored_block(unsigned number)
{
    return faulty_bytes(faulty) + (uint64_t)number * BLOCK_BYTES;
}

struct seal stored_seal(void)
{
    const struct backing_header *header = (struct backing_header *)stored_block(0);

    return backing_seal(header->identity, header->format);
}

void stored_write_anew(unsigned from, unsigned step)
{
    unsigned char page[PAGE];

    for (unsigned i = from; i < PAGES; i += step) {
        sample_sized(OBJECT_BYTES - 500, i + 1000, page);
        model_write_both(&model, volume, i * PAGE, PAGE, page);
    }
}

_Atomic bool stored_writers_end;

void stored_write_and_read(void *opaque)
{
    unsigned char page[PAGE], back[PAGE];
    uint64_t slot = 1500 + (uintptr_t)opaque; /* beyond what the model has */
    unsigned rounds = 0;

    while (!stored_writers_end || rounds < 20) {
        sample_sized(1000 + rounds % 2000, rounds, page);
        MUST(volume_write(volume, slot * PAGE, PAGE, page) == 0, "no write");
        MUST(volume_read(volume, slot * PAGE, PAGE, back) == 0, "no read");
        MUST(memcmp(page, back, PAGE) == 0, "another page");
        rounds++;
    }
    MUST(volume_trim(volume, slot * PAGE, PAGE) == 0, "no trim");
}
