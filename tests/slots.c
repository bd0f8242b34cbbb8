/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "slots.h"

#include "codec.h"
#include "harness.h"

struct memory slots_memory;
struct slot_table slots_table;

const struct slot_content slots_empty = {.state = SLOT_EMPTY};
const struct slot_content slots_same = {.state = SLOT_SAME, .ref = 0x5a5a};
const struct slot_content slots_compressed = {
    .state = SLOT_COMPRESSED, .codec = CODEC_LZ4, .length = 700, .ref = 0x123456};
const struct slot_content slots_huge = {
    .state = SLOT_HUGE, .codec = CODEC_NONE, .length = PAGE, .ref = 0x7654321};

void slots_setup(void)
{
    harness_memory(&slots_memory);
    ck_assert_int_eq(slot_table_open(&slots_table, SLOTS, &slots_memory, false), 0);
    ck_assert_int_eq(slot_table_start(&slots_table), 0);
}

void slots_teardown(void)
{
    struct slot_content old;

    for (slot_t slot = 0; slot < SLOTS; slot++) {
        ck_assert_int_eq(slot_check(&slots_table, slot), 0);
        slot_clear(&slots_table, slot, &old);
    }
    slot_free_leaves(&slots_table);
    /* No pin was forgotten: all leaves could go. */
    ck_assert_uint_eq(memory_used_bytes(&slots_memory), slot_table_fixed_bytes(SLOTS));
    slot_table_close(&slots_table);
}

void slots_assert_content(const struct slot_content *is,
                          const struct slot_content *should)
{
    ck_assert_int_eq(is->state, should->state);
    ck_assert_int_eq(is->codec, should->codec);
    ck_assert_int_eq(is->length, should->length);
    ck_assert_uint_eq(is->ref, should->ref);
}

void slots_assert(slot_t slot, const struct slot_content *should)
{
    struct slot_content content;

    if (slot_lock(&slots_table, slot, SLOT_INSPECT, &content))
        slot_unlock(&slots_table, slot);
    slots_assert_content(&content, should);
    ck_assert_int_eq(slot_check(&slots_table, slot), 0);
}

void slots_put(slot_t slot, const struct slot_content *new,
               const struct slot_content *before)
{
    struct slot_content old;

    ck_assert_int_eq(slot_put(&slots_table, slot, new, &old), 0);
    slots_assert_content(&old, before);
    slots_assert(slot, new);
}
