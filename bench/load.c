/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "load.h"

#include <stdlib.h>
#include <string.h>

#include "args.h"

/* 4 MiB: more than a processor knows by heart, and made before any time is taken. */
#define PAGES 1024u

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(PAGE_BYTES, bytes);

    if (!memory)
        args_die("no memory for %zu bytes", bytes);
    memset(memory, 0, bytes);
    return memory;
}

/* Of each 512 bytes some at random, and zeroes, as fio's buffer_compress_percentage has them. */
static void make_up_page(struct load *load, unsigned char *page)
{
    unsigned at_random = 512 * (100 - load->wish.compressible_percent) / 100;

    for (unsigned at = 0; at < PAGE_BYTES; at++)
        page[at] = at % 512 < at_random
                       ? (unsigned char)(corpus_random(&load->random) >> 32)
                       : 0;
}

/* Some of the corpus' pages from all over it: neighbours are alike. */
static void make_pages(struct load *load)
{
    uint32_t step = load->corpus->count > PAGES ? load->corpus->count / PAGES : 1;

    load->page_count = PAGES;
    load->pages = aligned((size_t)PAGES * PAGE_BYTES);
    for (uint32_t i = 0; i < PAGES; i++)
        if (load->wish.compressible_percent)
            make_up_page(load, load->pages + (size_t)i * PAGE_BYTES);
        else
            corpus_page(load->corpus, (uint64_t)i * step, 0,
                        load->pages + (size_t)i * PAGE_BYTES);
}

static void make_order(struct load *load)
{
    uint64_t state = load->wish.version;

    load->order = malloc(load->blocks * sizeof *load->order);
    if (!load->order)
        args_die("no memory for an order of %llu blocks",
                 (unsigned long long)load->blocks);
    corpus_shuffle(load->order, (uint32_t)load->blocks, &state);
}

void load_begin(struct load *load, const struct load_wish *wish,
                const struct corpus *corpus)
{
    unsigned places = wish->depth * wish->connections;

    memset(load, 0, sizeof *load);
    load->wish = *wish;
    load->corpus = corpus;
    load->blocks = wish->span_bytes / wish->block_bytes;
    load->random = 1;
    load->rooms = aligned((size_t)places * wish->block_bytes);
    if (!wish->once && wish->read_percent < 100)
        make_pages(load);
    if (wish->once && wish->shuffled)
        make_order(load);
    for (unsigned i = 0; i < wish->connections; i++)
        load->cursors[i] = load->blocks / wish->connections * i;
    load->begin_ns = load->last_ns = load_now_ns();
    load->end_ns = load->begin_ns + (uint64_t)(wish->seconds * 1e9);
}

void load_end(struct load *load)
{
    free(load->pages);
    free(load->rooms);
    free(load->order);
}

static void fill_block(struct load *load, uint64_t block, unsigned char *room)
{
    uint64_t pages = load->wish.block_bytes / PAGE_BYTES;

    for (uint64_t i = 0; i < pages; i++)
        if (load->wish.compressible_percent)
            make_up_page(load, room + i * PAGE_BYTES);
        else
            corpus_page(load->corpus, block * pages + i, load->wish.version,
                        room + i * PAGE_BYTES);
}

static uint64_t choose_block(struct load *load, unsigned connection)
{
    if (load->wish.once)
        return load->order ? load->order[load->given] : load->given;
    if (load->wish.sequential)
        return load->cursors[connection]++ % load->blocks;
    return corpus_random(&load->random) % load->blocks;
}

struct load_request *load_next(struct load *load, unsigned place, unsigned connection)
{
    struct load_request *request = &load->requests[place];
    const struct load_wish *wish = &load->wish;

    if (wish->once ? load->given == load->blocks : load->last_ns >= load->end_ns)
        return NULL;

    uint64_t block = choose_block(load, connection);
    load->given++;
    request->offset = block * wish->block_bytes;
    request->is_write = corpus_random(&load->random) % 100 >= wish->read_percent;
    request->data = load->rooms + (size_t)place * wish->block_bytes;
    if (request->is_write && wish->once)
        fill_block(load, block, request->data);
    else if (request->is_write) {
        uint32_t pages = wish->block_bytes / PAGE_BYTES;
        uint64_t at = corpus_random(&load->random) % (load->page_count / pages) * pages;

        request->data = load->pages + at * PAGE_BYTES;
    }
    request->began_ns = load_now_ns();
    return request;
}

void load_done(struct load *load, unsigned place, uint64_t now_ns)
{
    const struct load_request *request = &load->requests[place];

    /* What comes after the end is still waited for, but as others had stopped by then. */
    if (!load->wish.once && now_ns > load->end_ns) {
        load->last_ns = load->end_ns;
        return;
    }
    load->last_ns = now_ns;
    histogram_add(request->is_write ? &load->writes : &load->reads,
                  now_ns - request->began_ns);
}
