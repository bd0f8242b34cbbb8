/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

void model_open(struct model *model, uint64_t size)
{
    model->bytes = calloc(1, size);
    ck_assert_ptr_nonnull(model->bytes);
    model->size = size;
}

void model_close(struct model *model)
{
    free(model->bytes);
    model->bytes = NULL;
}

void model_write(struct model *model, uint64_t offset, uint64_t bytes, const void *data)
{
    memcpy(model->bytes + offset, data, bytes);
}

void model_zero(struct model *model, uint64_t offset, uint64_t bytes)
{
    memset(model->bytes + offset, 0, bytes);
}

void model_trim(struct model *model, uint64_t offset, uint64_t bytes)
{
    uint64_t start = (offset + PAGE - 1) / PAGE * PAGE,
             end = (offset + bytes) / PAGE * PAGE;

    if (start < end)
        model_zero(model, start, end - start);
}

void model_write_both(struct model *model, struct volume *volume, uint64_t offset,
                      uint64_t bytes, const void *data)
{
    ck_assert_int_eq(volume_write(volume, offset, bytes, data), 0);
    model_write(model, offset, bytes, data);
}

void model_trim_both(struct model *model, struct volume *volume, uint64_t offset,
                     uint64_t bytes)
{
    ck_assert_int_eq(volume_trim(volume, offset, bytes), 0);
    model_trim(model, offset, bytes);
}

void model_zero_both(struct model *model, struct volume *volume, uint64_t offset,
                     uint64_t bytes)
{
    ck_assert_int_eq(volume_zero(volume, offset, bytes), 0);
    model_zero(model, offset, bytes);
}

void model_compare(const struct model *model, struct volume *volume, uint64_t offset,
                   uint64_t bytes)
{
    unsigned char *read = malloc(bytes ? bytes : 1);

    ck_assert_ptr_nonnull(read);
    ck_assert_int_eq(volume_read(volume, offset, bytes, read), 0);
    bool same = memcmp(read, model->bytes + offset, bytes) == 0;
    for (uint64_t at = 0; !same && at < bytes; at++)
        if (read[at] != model->bytes[offset + at])
            ck_abort_msg("page %" PRIu64 " byte %" PRIu64
                         ": read %#x, the model has %#x",
                         (offset + at) / PAGE, (offset + at) % PAGE, read[at],
                         model->bytes[offset + at]);
    free(read);
}

void model_compare_all(const struct model *model, struct volume *volume)
{
    for (uint64_t at = 0; at < model->size; at += MIB)
        model_compare(model, volume, at,
                      model->size - at < MIB ? model->size - at : MIB);
}

struct walk {
    const struct model *model;
    uint64_t at, end; /* whole pages */
};

static bool is_hole(const struct model *model, uint64_t offset)
{
    static const unsigned char zeroes[PAGE];

    return memcmp(model->bytes + offset / PAGE * PAGE, zeroes, PAGE) == 0;
}

static int see_extent(void *opaque, uint64_t offset, uint64_t bytes, bool hole)
{
    struct walk *walk = opaque;
    uint64_t end = walk->at / PAGE * PAGE;

    /* The longest run of pages that are alike. */
    while (end < walk->end &&
           is_hole(walk->model, end) == is_hole(walk->model, walk->at))
        end += PAGE;
    ck_assert_uint_eq(offset, walk->at);
    ck_assert_uint_eq(offset + bytes, end);
    ck_assert_int_eq(hole, is_hole(walk->model, walk->at));
    walk->at = end;
    return 0;
}

void model_compare_extents(const struct model *model, struct volume *volume,
                           uint64_t offset, uint64_t bytes)
{
    struct walk walk = {model, offset, (offset + bytes + PAGE - 1) / PAGE * PAGE};

    ck_assert_int_eq(volume_extents(volume, offset, bytes, see_extent, &walk), 0);
    ck_assert_uint_eq(walk.at, walk.end);
}
