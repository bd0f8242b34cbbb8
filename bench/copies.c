/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "args.h"
#include "bare.h"
#include "segment.h"
#include "series.h"
#include "span.h"

static void compress_all(struct copies *copies, const struct backed *backed)
{
    unsigned char page[PAGE_BYTES];
    struct bare bare;
    uint64_t random = 1;
    uint32_t *order = calloc(copies->count, sizeof *order);

    if (!order || bare_open(&bare, backed->choice) < 0)
        args_die("no memory for the baseline's objects");
    corpus_shuffle(order, copies->count, &random);
    for (uint32_t slot = 0; slot < copies->count; slot++) {
        corpus_page(backed->corpus, slot, backed->versions[slot], page);
        uint32_t length = bare_compress(&bare, page);

        memcpy(copies->arena + copies->bytes, length ? bare.object : page,
               length ? length : PAGE_BYTES);
        length = length ? length : PAGE_BYTES;
        copies->objects[order[slot]] = (struct copies_object){copies->bytes, length};
        copies->bytes += length;
    }
    bare_close(&bare);
    free(order);
}

static void *map(uint64_t bytes, int fd)
{
    void *mapped =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

    if (mapped == MAP_FAILED)
        args_die("no memory for the baseline's objects");
    return mapped;
}

void copies_open(struct copies *copies, const struct backed *backed)
{
    *copies = (struct copies){
        .count = backed->slots,
        .objects = calloc(backed->slots, sizeof *copies->objects),
        .arena = map((uint64_t)backed->slots * PAGE_BYTES, -1),
        .buffer = aligned_alloc(PAGE_BYTES, SEGMENT_BYTES),
        .file = backed_make_file(),
        .memory = memfd_create("zslot-bench", MFD_CLOEXEC),
    };
    if (!copies->objects || !copies->buffer)
        args_die("no memory for the baseline's objects");
    memset(copies->buffer, 1, SEGMENT_BYTES);
    compress_all(copies, backed);

    copies->mapped_bytes = (copies->bytes + SPAN_BYTES - 1) / SPAN_BYTES * SPAN_BYTES;
    if (copies->memory < 0 ||
        ftruncate(copies->memory, (off_t)copies->mapped_bytes) < 0)
        args_die("no memory to give back: %s", strerror(errno));
    copies->mapped = map(copies->mapped_bytes, copies->memory);
    madvise(copies->mapped, copies->mapped_bytes, MADV_NOHUGEPAGE);
    copies_write_us(copies); /* so that there is something to write over */
}

void copies_close(struct copies *copies)
{
    munmap(copies->mapped, copies->mapped_bytes);
    munmap(copies->arena, (size_t)copies->count * PAGE_BYTES);
    free(copies->objects);
    free(copies->buffer);
    close(copies->file);
    close(copies->memory);
}

static void write_buffer(const struct copies *copies, off_t *offset)
{
    if (pwrite(copies->file, copies->buffer, SEGMENT_BYTES, *offset) != SEGMENT_BYTES)
        args_die("a write to a file failed: %s", strerror(errno));
    *offset += SEGMENT_BYTES;
}

static double copy_us(struct copies *copies, bool writes)
{
    uint32_t at = 0;
    off_t offset = 0;
    double start = series_now_us();

    for (uint32_t i = 0; i < copies->count; i++) {
        const struct copies_object *object = &copies->objects[i];

        if (at + object->length > SEGMENT_BYTES) {
            if (writes)
                write_buffer(copies, &offset);
            at = 0;
        }
        memcpy(copies->buffer + at, copies->arena + object->offset, object->length);
        at += object->length;
    }
    /* So that the compiler believes in the copies. */
    __asm__ volatile("" ::"r"(copies->buffer) : "memory");
    return series_now_us() - start;
}

double copies_copy_us(struct copies *copies)
{
    return copy_us(copies, false);
}

double copies_copy_and_write_us(struct copies *copies)
{
    return copy_us(copies, true);
}

double copies_write_us(struct copies *copies)
{
    double start = series_now_us();

    for (off_t offset = 0; (uint64_t)offset + SEGMENT_BYTES <= copies->bytes;)
        write_buffer(copies, &offset);
    return series_now_us() - start;
}

double copies_give_back_us(struct copies *copies)
{
    /* As the pool's comes in; what was given back the last time is touched again. */
    for (uint64_t at = 0; at < copies->mapped_bytes; at += PAGE_BYTES)
        copies->mapped[at] = 1;
    double start = series_now_us();

    for (uint64_t at = 0; at < copies->mapped_bytes; at += SPAN_BYTES)
        if (fallocate(copies->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      (off_t)at, SPAN_BYTES) < 0)
            args_die("RAM cannot be given back: %s", strerror(errno));
    return series_now_us() - start;
}
