/* slot.h - where the content of each page is at this moment
 *
 * Owns:    the slot table; not the objects or addresses that slots refer to.
 * Called:  by request threads, by compaction and by the writeback thread, at the same
 *          time.
 * Locks:   one bit per slot; nothing else.
 * Never:   does I/O, compresses, frees, or calls the pool or the backing store.
 *
 *   state        the page is                             slot.ref
 *   EMPTY        zeroes; nothing is kept                 0
 *   SAME         one 64-bit word repeated                the word
 *   COMPRESSED   an object in the pool, compressed       handle
 *   HUGE         an object in the pool, the raw page     handle
 *   STORED       an object on the backing store          address
 *
 *   marks
 *   WRITING      its object is on its way to the backing store; the pool's is still
 *                the one
 *   FETCHING     one reader is bringing it from the backing store; other readers wait
 *   IDLE         not accessed since it was aged past the idle age, or marked so on request
 *
 *   any                --slot_put()-->          SAME COMPRESSED HUGE   a write
 *   any                --slot_clear()-->        EMPTY                  trim, zero
 *   STORED             --slot_put_if()-->       COMPRESSED HUGE        promotion
 *   COMPRESSED HUGE    --slot_move_locked()-->  the same               compaction
 *   COMPRESSED HUGE    --slot_replace()-->      COMPRESSED             recompression
 *   COMPRESSED HUGE    --slot_commit()-->       STORED                 writeback
 *
 * slot_begin_writing_locked() and slot_abort_writing(), slot_begin_fetching_locked()
 * and slot_end_fetching() put marks on and take them off; the state stays.
 *
 * Versions. Writeback, fetch and partial writes cannot keep a lock while they work.
 *   V1  Every edge that changes state or ref adds one to the version.
 *   V2  A ticket is a copy of (slot, version, state, ref).  An edge that takes one
 *       returns -ESTALE when the slot has moved on; the slot is then untouched, and
 *       what the caller wanted to put there is still the caller's.
 *   V3  An access (a read or a write) takes WRITING off: the page is warm.
 *       slot_commit() then returns -ESTALE though the version stands.
 *   V4  A ticket pins its leaf: the version it names cannot come round (leaf.h).
 *
 * Ownership. An edge stores the new content and returns the old one.  The caller now
 * owns the old object or address, and frees it after unlocking.  The new one always
 * exists first, so a failure on the way leaves the page as it was.
 *
 * Locking.
 *   L1  All fields are guarded by the slot's lock; a handle found in a slot is good
 *       only while that lock is held.
 *   L2  A thread holds at most one slot lock, never during I/O, and never while it
 *       waits for memory or for another lock.
 *   L3  Locks are short (a copy of an object): who finds one taken spins a little, then
 *       sleeps on the slot's own word (futex).  Readers of a page that is being fetched
 *       wait in fetch.c, which has the bytes for them.
 *
 * Kills.  Of a process that is killed in the middle of anything, the table may be all that
 * the next one has (state.h).
 *   K1  An edge stores the whole entry by one instruction, a move its ref.  So an entry is
 *       at every moment that of before or of after, apart from the lock and the marks.
 *   K2  A lock, a waiter, WRITING and FETCHING concern the process that was killed:
 *       slot_table_adopt() takes them off.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SLOT_H
#define ZSLOT_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "leaf.h"

/* A slot's number: the page's offset in the volume, in pages. */
typedef uint64_t slot_t;

/* Owners in the pool are 32-bit slot numbers: 16 TiB of pages. */
#define SLOTS_MAX (UINT64_C(1) << 32)

/* name, letter in a dump, marks it may have, what the page is, what ref is */
#define SLOT_STATES(S)                                                                 \
    S(EMPTY, '-', 0, "zeroes; nothing is kept", "0")                                   \
    S(SAME, 's', SLOT_IDLE, "one 64-bit word repeated", "the word")                    \
    S(COMPRESSED, 'c', SLOT_IDLE | SLOT_WRITING, "an object in the pool, compressed",  \
      "handle")                                                                        \
    S(HUGE, 'h', SLOT_IDLE | SLOT_WRITING, "an object in the pool, the raw page",      \
      "handle")                                                                        \
    S(STORED, 'w', SLOT_IDLE | SLOT_FETCHING, "an object on the backing store",        \
      "address")

/* name, bit, letter in a dump, what it says */
#define SLOT_MARKS(M)                                                                  \
    M(WRITING, 1, '>',                                                                 \
      "its object is on its way to the backing store; the pool's is "                  \
      "still the one")                                                                 \
    M(FETCHING, 2, '<',                                                                \
      "one reader is bringing it from the backing store; other "                       \
      "readers wait")                                                                  \
    M(IDLE, 4, 'i',                                                                    \
      "not accessed since it was aged past the idle age, or marked so on request")

enum slot_state {
#define S(name, letter, marks, is, ref) SLOT_##name,
    SLOT_STATES(S)
#undef S
        SLOT_STATE_COUNT
};

enum slot_mark {
#define M(name, bit, letter, says) SLOT_##name = bit,
    SLOT_MARKS(M)
#undef M
};

/* Where a page is: what an edge takes and returns. */
struct slot_content {
    uint8_t state; /* enum slot_state */
    uint8_t
        codec; /* enum codec_id (codec.h); CODEC_NONE unless COMPRESSED, or STORED as such */
    uint16_t length; /* of the object, in bytes; 0 when there is none */
    uint8_t
        units; /* its age (SLOT_UNITS_MAX) when it was looked at; ignored by edges */
    uint64_t ref;
};

struct slot_ticket {
    slot_t slot;
    uint32_t version;
    struct slot_content content;
};

struct slot_table {
    struct leaf_table leaves;
    slot_t slots;
};

/* Why a slot is locked: an access makes it warm (V3, age 0), an inspection does not.  A
 * STORED slot stays as it is until a fetch has seen whether it was warm. */
enum slot_purpose { SLOT_ACCESS, SLOT_INSPECT };

int slot_table_open(struct slot_table *table, slot_t slots, struct memory *memory,
                    bool lock_in_ram);          /* -ENOMEM */
int slot_table_start(struct slot_table *table); /* -ENOSPC, -ENOMEM */
void slot_table_close(struct slot_table *table);

/* The RAM of a table without pages. */
uint64_t slot_table_fixed_bytes(slot_t slots);

/* -- Looking. -- */

/* Locks the slot and copies its content.  False: it is EMPTY, and nothing was locked,
 * since its leaf has no RAM; *CONTENT says so too. */
bool slot_lock(struct slot_table *table, slot_t slot, enum slot_purpose purpose,
               struct slot_content *content);
void slot_unlock(struct slot_table *table, slot_t slot);

/* As slot_lock(), but always locks.  -ENOSPC, -ENOMEM: no RAM for the leaf. */
int slot_lock_made(struct slot_table *table, slot_t slot, enum slot_purpose purpose,
                   struct slot_content *content);

/* Whether SLOT is EMPTY, and how many from it on, at most COUNT, are alike in that.
 * Takes no locks: each was so at some time during the call. */
slot_t slot_run(struct slot_table *table, slot_t slot, slot_t count, bool *empty);

/* The first slot from SLOT on, below END, whose leaf has RAM; END when there is
 * none. */
slot_t slot_next_present(const struct slot_table *table, slot_t slot, slot_t end);

/* Marks of a locked slot. */
unsigned slot_marks_locked(struct slot_table *table, slot_t slot);

/* Makes a locked slot warm: age 0, not IDLE, not WRITING. */
void slot_touch_locked(struct slot_table *table, slot_t slot);

/* -- Tickets. -- */

/* For a slot that the caller has locked.  Every ticket is closed once. */
void slot_ticket_take_locked(struct slot_table *table, slot_t slot,
                             struct slot_ticket *ticket);
void slot_ticket_close(struct slot_table *table, const struct slot_ticket *ticket);

/* -- A write to come. -- */

/* Has the processor bring the slot near. */
void slot_prefetch(const struct slot_table *table, slot_t slot);

/* Pins the slot's leaf, if it is there, and tells what the slot refers to.  REF is a
 * hint: nothing is locked, so it may be out of date already. */
bool slot_try_pin(struct slot_table *table, slot_t slot, uint64_t *ref);
void slot_unpin(struct slot_table *table, slot_t slot);

/* -- Edges of the request path.  They lock, switch and unlock. -- */

/* A write.  -ENOSPC, -ENOMEM: no RAM for the leaf. */
int slot_put(struct slot_table *table, slot_t slot, const struct slot_content *new,
             struct slot_content *old);

/* The same for a slot whose leaf the caller has pinned. */
void slot_put_pinned(struct slot_table *table, slot_t slot,
                     const struct slot_content *new, struct slot_content *old);

/* A partial write, a promotion.  -ESTALE: see V2. */
int slot_put_if(struct slot_table *table, const struct slot_ticket *ticket,
                const struct slot_content *new, struct slot_content *old);

/* EMPTY takes no RAM and cannot fail. */
void slot_clear(struct slot_table *table, slot_t slot, struct slot_content *old);
int slot_clear_if(struct slot_table *table, const struct slot_ticket *ticket,
                  struct slot_content *old); /* -ESTALE */

/* Gives back the leaf of SLOT if it has no page any more.  After clearing many. */
void slot_free_leaf(struct slot_table *table, slot_t slot);

/* Gives back all leaves without a page; their number. */
uint64_t slot_free_leaves(struct slot_table *table);

/* -- Edges of compaction and writeback. -- */

/* A shorter object of the same page (recompression): age and IDLE stay.  -ESTALE: see
 * V2. */
int slot_replace(struct slot_table *table, const struct slot_ticket *ticket,
                 const struct slot_content *new, struct slot_content *old);

/* The object of a locked slot has been copied to HANDLE.  Does not unlock. */
void slot_move_locked(struct slot_table *table, slot_t slot, uint64_t handle);

/* Marks a locked slot WRITING, with a ticket for slot_commit().  -EAGAIN: its page is
 * not in the pool, or WRITING already; there is no ticket then. */
int slot_begin_writing_locked(struct slot_table *table, slot_t slot,
                              struct slot_ticket *ticket);

/* The object has landed at ADDRESS.  -ESTALE: see V2 and V3. */
int slot_commit(struct slot_table *table, const struct slot_ticket *ticket,
                uint64_t address, struct slot_content *old);

/* The object of a STORED slot has been copied to ADDRESS, also on the backing store
 * (cleaning). -ESTALE: see V2. */
int slot_relocate(struct slot_table *table, const struct slot_ticket *ticket,
                  uint64_t address, struct slot_content *old);

/* The object has not landed: takes the mark off, unless the slot has moved on.  The mark may
 * be that of a later writeback of the same content; its slot_commit() then returns -ESTALE,
 * and the page stays where it is. */
void slot_abort_writing(struct slot_table *table, const struct slot_ticket *ticket);

/* A locked STORED slot that nobody is FETCHING becomes FETCHING. */
void slot_begin_fetching_locked(struct slot_table *table, slot_t slot,
                                struct slot_ticket *ticket);

/* Takes the mark off.  -ESTALE: the page is another one by now, and
 * the bytes that were fetched must not be returned for it. */
int slot_end_fetching(struct slot_table *table, const struct slot_ticket *ticket);

/* -- Ages.  Two of them, both counted since the last access, which makes them 0. -- */

#define SLOT_VISITS_MAX 3u /* times that the hand of selection has passed (select.h) */
#define SLOT_UNITS_MAX 31u /* units of time, as the hand of time counts them (idle.h) */

struct slot_age {
    uint8_t state; /* enum slot_state; the rest is 0 for an EMPTY slot */
    uint8_t visits, units;
    uint8_t marks, codec;
    uint16_t length;
};

/* The ages as they are, and what else there is.  Takes no lock: it may be other by now. */
void slot_look(struct slot_table *table, slot_t slot, struct slot_age *age);

/* Adds a visit, and marks the slot IDLE when that makes the most there are. */
void slot_visit(struct slot_table *table, slot_t slot, struct slot_age *before);

/* Adds a unit, and marks the slot IDLE when that makes IDLE_UNITS. */
void slot_grow_older(struct slot_table *table, slot_t slot, unsigned idle_units,
                     struct slot_age *before);

/* Marks the slot IDLE if it is UNITS old or older and has content.  Whether it did. */
bool slot_mark_idle(struct slot_table *table, slot_t slot, unsigned units);

/* -- What a former process left. -- */

/* Told of each page that is not EMPTY.  A negative errno ends the walk. */
typedef int slot_found_fn(void *opaque, slot_t slot,
                          const struct slot_content *content);

/* Before slot_table_start(): changes nothing.  -EUCLEAN, and *SLOT: that entry is one
 * which the machine does not allow; others are what FN returned. */
int slot_table_survey(const struct slot_table *table, slot_found_fn *fn, void *opaque,
                      slot_t *slot);

/* After it, before anybody else is at work: the table has these pages from now on.  Errors
 * as slot_table_survey(), and -ENOSPC, -ENOMEM: no RAM for a leaf. */
int slot_table_adopt(struct slot_table *table, slot_found_fn *fn, void *opaque,
                     slot_t *slot);

/* -- Checks. -- */

/* Whether SLOT's entry is one that the machine allows: a state with its marks, length
 * and ref. -EUCLEAN if not. */
int slot_check(struct slot_table *table, slot_t slot);

char slot_state_letter(enum slot_state state);

static inline bool slot_content_is_resident(const struct slot_content *content)
{
    return content->state == SLOT_COMPRESSED || content->state == SLOT_HUGE;
}

#endif
