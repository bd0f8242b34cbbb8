/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "sparse.h"

/* The sparsest of so many are nearly the sparsest of all, at a bounded cost: some ten
 * microseconds. */
#define CANDIDATES 4096u

/* Bytes to move for a block are told apart so far. */
#define MOVED_STEP 64u
#define MOVED_STEPS (BLOCK_BYTES / MOVED_STEP + 1)

/* With fewer dead bytes in a block cleaning moves much and frees little. */
#define DEAD_BYTES_MIN (BLOCK_BYTES / 8)

/* As many for each block of a group, beyond what its ends cost, make room for sure. */
#define DEAD_BYTES_MIN_EACH (BLOCK_BYTES / 32)

#define GROUP_MIN 4u
#define GROUP_MAX 16u

/* A block has at most one object that begins before it, and one that goes on behind it. */
#define BLOCKS_EACH 3

_Static_assert(SPARSE_MOST_MIN / BLOCKS_EACH >= GROUP_MAX, "room for one group");

/* What is dead in blocks that are cleaned together must make so many whole ones, and in a group one
 * of its own: less would be moved about for nothing. */
#define DEAD_BLOCKS_MIN 2u

/* This share of the store released, or so many blocks: it is looked at anew. */
#define LOOK_SHARE 1024
#define LOOK_BLOCKS_MIN 8u

/* Of a group, those of its blocks that can be cleaned. */
struct weight {
    uint32_t blocks, live_bytes, dead_bytes;
    uint32_t ends_bytes; /* that are moved beyond those that are live in it */
};

/* Half a split object at either end, on average, if it is live. */
static uint32_t ends_bytes(const struct space *space, const struct weight *weight)
{
    return (uint32_t)((uint64_t)space->split_bytes * weight->live_bytes /
                      (weight->live_bytes + weight->dead_bytes));
}

/* In a group a block that is full of live bytes is a raw page, or is not worth moving alone. */
static uint32_t cleanable_bytes(const struct space *space, uint32_t block,
                                uint32_t group, uint32_t *dead)
{
    uint32_t live = space_cleanable_bytes(space, block, dead);

    return group > 1 && live == BLOCK_BYTES ? 0 : live;
}

static struct weight weigh(const struct space *space, uint32_t first, uint32_t group)
{
    struct weight weight = {0};

    for (uint32_t block = first; block - first < group && block <= space->blocks;
         block++) {
        uint32_t dead, live = cleanable_bytes(space, block, group, &dead);

        if (live == 0)
            continue;
        weight.blocks++;
        weight.live_bytes += live;
        /* What was never filled can be, where objects are split. */
        weight.dead_bytes += group > 1 ? BLOCK_BYTES - live : dead;
    }
    if (weight.blocks > 0 && group > 1)
        weight.ends_bytes = ends_bytes(space, &weight);
    return weight;
}

/* How much of it has to be dead.  A group must make a whole block, or what is dead goes with
 * others that do: a block that has a little left is the cheapest of all to move, and would be found
 * each time instead of what is worth it. */
static uint32_t dead_bytes_min(const struct weight *weight, uint32_t group,
                               bool gathering)
{
    uint32_t least = weight->blocks * DEAD_BYTES_MIN_EACH + weight->ends_bytes;

    if (group == 1)
        return DEAD_BYTES_MIN;
    return least < BLOCK_BYTES && !gathering ? BLOCK_BYTES : least;
}

/* Bytes to move for a block, in steps; 0: it is not worth it. */
static unsigned step_of(const struct weight *weight, uint32_t group, bool gathering)
{
    uint32_t moved = weight->live_bytes + weight->ends_bytes;
    uint32_t least = dead_bytes_min(weight, group, gathering);

    if (weight->blocks == 0 || weight->dead_bytes < least)
        return 0;
    return (moved / weight->blocks + MOVED_STEP - 1) / MOVED_STEP;
}

static uint32_t next_group(const struct sparse *sparse, uint32_t first, uint32_t group)
{
    return sparse->space->blocks - first < group ? 1 : first + group;
}

/* How many bytes are to be moved at most for a block of the best GROUPS_MAX among the next
 * CANDIDATES groups, in steps; 0: none of them is worth it. */
static unsigned best(const struct sparse *sparse, uint32_t group, uint32_t candidates,
                     unsigned groups_max, bool gathering)
{
    unsigned counts[MOVED_STEPS] = {0}, found = 0, step;
    uint32_t first = sparse->hand;

    for (; candidates > 0; candidates--) {
        struct weight weight = weigh(sparse->space, first, group);

        counts[step_of(&weight, group, gathering)]++;
        first = next_group(sparse, first, group);
    }
    for (step = 0; step + 1 < MOVED_STEPS && found < groups_max; step++)
        found += counts[step + 1];
    return found > 0 ? step : 0;
}

/* Whether so much was released since the look at the store began that blocks it has passed may
 * be worth a look again: with less it would go on for ever while pages are overwritten. */
static bool is_outdated(const struct sparse *sparse)
{
    uint64_t much = sparse->space->blocks / LOOK_SHARE;

    if (much < LOOK_BLOCKS_MIN)
        much = LOOK_BLOCKS_MIN;
    return space_released_bytes(sparse->space) - sparse->looked_released >=
           much * BLOCK_BYTES;
}

static void look_anew(struct sparse *sparse)
{
    sparse->looked_at = 0;
    sparse->looked_released = space_released_bytes(sparse->space);
}

void sparse_init(struct sparse *sparse, const struct space *space)
{
    *sparse = (struct sparse){.space = space, .group = GROUP_MIN, .hand = 1};
}

/* Those blocks of a group that can be cleaned. */
static unsigned add_group(const struct sparse *sparse, uint32_t first, uint32_t group,
                          uint32_t *blocks)
{
    const struct space *space = sparse->space;
    unsigned count = 0;

    for (uint32_t block = first, dead; block - first < group && block <= space->blocks;
         block++)
        if (cleanable_bytes(space, block, group, &dead) > 0)
            blocks[count++] = block;
    return count;
}

/* A look at the whole store has ended, in vain, or since it is outdated or was for another way. */
static uint32_t next_size(struct sparse *sparse, bool splits)
{
    bool again = is_outdated(sparse) || splits != sparse->splits;

    sparse->splits = splits;
    if (again)
        sparse->group = GROUP_MIN;
    else if (splits && sparse->looked_at >= sparse->space->blocks &&
             sparse->group < GROUP_MAX) {
        sparse->group *= 2;
        again = true;
    }
    if (again)
        look_anew(sparse);
    return splits ? sparse->group : 1;
}

/* Of so many blocks at most, which are as dead as they must be. */
static uint32_t dead_sum_min(unsigned blocks_max)
{
    uint32_t sum = blocks_max * DEAD_BYTES_MIN;

    return sum > DEAD_BLOCKS_MIN * BLOCK_BYTES ? sum : DEAD_BLOCKS_MIN * BLOCK_BYTES;
}

unsigned sparse_find(struct sparse *sparse, const struct sparse_terms *terms,
                     uint32_t *blocks)
{
    const struct space *space = sparse->space;
    uint32_t group = next_size(sparse, terms->splits);
    uint32_t all = (uint32_t)(((uint64_t)space->blocks + group - 1) / group);
    uint32_t candidates = all < CANDIDATES / group ? all : CANDIDATES / group;
    unsigned groups_max = terms->most / group;

    if (space->split_bytes > 0)
        groups_max /= BLOCKS_EACH;
    if (groups_max == 0)
        return 0;
    unsigned groups = 0, count = 0;
    uint32_t dead_sum = 0;

    sparse->hand = (sparse->hand - 1) / group * group + 1;
    unsigned step_max = best(sparse, group, candidates, groups_max, terms->gathering);
    if (sparse->looked_at < space->blocks)
        sparse->looked_at += candidates * group;
    for (; candidates > 0; candidates--) {
        struct weight weight = weigh(space, sparse->hand, group);
        unsigned step = step_of(&weight, group, terms->gathering);

        if (step > 0 && step <= step_max && groups < groups_max) {
            count += add_group(sparse, sparse->hand, group, blocks + count);
            dead_sum += weight.dead_bytes;
            groups++;
        }
        sparse->hand = next_group(sparse, sparse->hand, group);
    }
    /* Once begun, an output takes what there is. */
    if (group == 1 && dead_sum < dead_sum_min(groups_max) && !terms->gathering)
        return 0;
    if (count > 0)
        look_anew(sparse);
    return count;
}

bool sparse_has_looked_everywhere(const struct sparse *sparse, bool splits)
{
    return sparse->looked_at >= sparse->space->blocks && !is_outdated(sparse) &&
           splits == sparse->splits && (!splits || sparse->group == GROUP_MAX);
}
