/* unit-arena.c - room for the data of requests: pieces do not overlap, and all comes back
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <string.h>
#include <sys/mman.h>

#include "arena.h"
#include "harness.h"
#include "server.h"

static struct arena arena;

static void set_up(void)
{
    memset(&arena, 0, sizeof arena);
    arena.base = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(arena.base, MAP_FAILED);
}

static void tear_down(void)
{
    munmap(arena.base, ARENA_BYTES);
}

START_TEST(the_largest_request_has_room_beside_small_ones)
{
    uint8_t *small = arena_take(&arena, 1), *large = arena_take(&arena, 32u << 20);

    ck_assert_ptr_nonnull(small);
    ck_assert_ptr_nonnull(large);
    ck_assert(large >= small + ARENA_BLOCK_BYTES);
    ck_assert_ptr_null(arena_take(&arena, 2u << 20));
    arena_give(&arena, large, 32u << 20);
    ck_assert_ptr_nonnull(arena_take(&arena, 2u << 20));
}
END_TEST

START_TEST(the_lowest_place_is_taken)
{
    uint8_t *a = arena_take(&arena, 2 * ARENA_BLOCK_BYTES);
    uint8_t *b = arena_take(&arena, ARENA_BLOCK_BYTES);

    ck_assert_ptr_eq(a, arena.base);
    arena_give(&arena, a, 2 * ARENA_BLOCK_BYTES);
    ck_assert_ptr_eq(arena_take(&arena, ARENA_BLOCK_BYTES + 1), a);
    ck_assert_ptr_eq(b, arena.base + 2 * ARENA_BLOCK_BYTES);
}
END_TEST

static bool is_in_ram(const uint8_t *at)
{
    unsigned char is_there;

    ck_assert_int_eq(mincore((void *)at, PAGE, &is_there), 0);
    return is_there & 1;
}

START_TEST(what_is_given_back_leaves_ram_locked_or_not)
{
    for (unsigned locked = 0; locked < 2; locked++) {
        if (locked && mlock2(arena.base, ARENA_BYTES, MLOCK_ONFAULT) < 0)
            return; /* not permitted here */
        uint8_t *piece = arena_take(&arena, 2 * ARENA_KEPT_BYTES);

        ck_assert_ptr_nonnull(piece);
        uint8_t *last = piece + 2 * ARENA_KEPT_BYTES - ARENA_BLOCK_BYTES;
        *piece = *last = 1;
        ck_assert(is_in_ram(last));
        arena_give(&arena, piece, 2 * ARENA_KEPT_BYTES);
        ck_assert(is_in_ram(piece));
        ck_assert(!is_in_ram(last));
    }
}
END_TEST

START_TEST(random_pieces_never_overlap)
{
    struct {
        uint8_t *at;
        uint32_t bytes;
    } pieces[64] = {{NULL, 0}};
    uint64_t seed = 1;

    for (unsigned long turn = harness_ops(20000); turn > 0; turn--) {
        unsigned i = harness_random(&seed) % 64;

        if (pieces[i].at) {
            for (uint32_t at = 0; at < pieces[i].bytes; at += ARENA_BLOCK_BYTES)
                MUST(pieces[i].at[at] == i, "somebody else has written here");
            arena_give(&arena, pieces[i].at, pieces[i].bytes);
            pieces[i].at = NULL;
            continue;
        }
        pieces[i].bytes = 1 + (uint32_t)(harness_random(&seed) % (1u << 20));
        pieces[i].at = arena_take(&arena, pieces[i].bytes);
        for (uint32_t at = 0; pieces[i].at && at < pieces[i].bytes;
             at += ARENA_BLOCK_BYTES)
            pieces[i].at[at] = (uint8_t)i;
    }
    for (unsigned i = 0; i < 64; i++)
        if (pieces[i].at)
            arena_give(&arena, pieces[i].at, pieces[i].bytes);
    ck_assert_uint_eq(arena.taken_count, 0);
    ck_assert_ptr_eq(arena_take(&arena, ARENA_BYTES), arena.base);
}
END_TEST

HARNESS_MAIN_WITH("unit-arena", set_up, tear_down,
                  the_largest_request_has_room_beside_small_ones,
                  the_lowest_place_is_taken,
                  what_is_given_back_leaves_ram_locked_or_not,
                  random_pieces_never_overlap)
