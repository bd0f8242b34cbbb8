/* slot.pml - a model of the slot and of everybody who switches it, for spin
 *
 * What is modelled: page 0, which a writer, a trimmer and two readers use; page 1, which
 * nobody uses but which is evicted, cleaned and moved all the same, so that space and handles
 * have somebody else to be reused by; a pool of objects; a backing store of SEGMENTS segments
 * with two objects each; the writeback thread with eviction, cleaner, completions and
 * discards; and compaction.
 *
 * Granularity. What the code does under a slot's lock is one step here, as is what it does
 * under the lock of the pool or of the space, and each operation on an atomic. Between any two
 * such steps everybody else may run. The writeback thread is one process, as in the code, but
 * sees to its work in any order. What only one process can see is joined to its next step.
 *
 * The device may fail any write or read as long as there are FAULTS left. A segment that is
 * being written holds garbage from the submission on, and what was written from the completion
 * on; a read takes what is there when it completes. That is no less than what could happen:
 * that nobody has a read under way when a segment is written or discarded, and that no fetch
 * begins from a segment that is not in use, is checked by itself.
 *
 * Left out: SAME (EMPTY with other bytes), HUGE (COMPRESSED with another length), codecs, ages
 * and IDLE (who is evicted or promoted is chosen freely here, so all that selection could
 * choose is covered), checksums (a second net, which nobody needs here), the memory limit, and
 * shutdown but for the segments that it abandons, as an exhausted budget does.
 *
 * How often everything happens is bounded, so that the search ends: whether cleaning or
 * retrying would go on for ever without getting anywhere is not seen here.
 *
 * Checked, by assertions on the way and by final_check():
 *   - every read returns what the page was at some time between its begin and its end, and
 *     a partial write merges with what the page is when it is switched (S2, S9);
 *   - a read fails only when the device did, and the page is still there (S3, S7);
 *   - an object of the pool is never used after it is freed, nor freed twice, nor leaked;
 *   - a segment is never written or discarded while it is read (S6), its live objects never
 *     run below zero; in the end it is in use if and only if slots refer to it;
 *   - a page used since it was copied for eviction stays in RAM (S4);
 *   - nobody waits for ever (invalid end state; S5), or runs in circles (with -DNP).
 *
 * Mutations, each of which must make spin find an error: see spin-slot.sh.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* -- How much of each. -- */
#ifndef WRITES
#define WRITES 1 /* of page 0, whole or partial */
#endif
#ifndef TRIMS
#define TRIMS 1
#endif
#ifndef READERS
#define READERS 2 /* at most 2, one read each */
#endif
#ifndef ADDS
#define ADDS 2 /* objects that eviction adds to segments */
#endif
#ifndef CLEANS
#define CLEANS 1 /* segments that the cleaner chooses */
#endif
#ifndef MOVES
#define MOVES 1 /* objects that compaction picks */
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef SEGMENTS
#define SEGMENTS 2
#endif
#ifndef FETCHES
#define FETCHES 2 /* FETCHES_MAX */
#endif
#ifndef PARTIAL
#define PARTIAL 1 /* whether writes may be partial */
#endif
#ifndef ABANDON
#define ABANDON 1 /* whether a segment may be abandoned before the end */
#endif
#ifndef START
/* 0: both pages are in the pool, 1: in segment 0, 2: page 0 there, page 1 in the pool */
#define START 2
#endif

#define BUFFERS 2 /* SEGMENTS_IN_FLIGHT + 1 */
#define PLACES 2  /* objects per segment */
#define HANDLES 8
#define NONE 255

/* -- Pages. A number stands for the bytes of a page: each write has its own. -- */
#define ZEROES 0
#define FIRST 1    /* page 0 in the beginning; writes are 2, 3, ... */
#define OTHERS 7   /* page 1 */
#define GARBAGE 15 /* of a segment that is being written or discarded */

/* -- struct entry (slot.c). A freed leaf is EMPTY with version 0. -- */
#define EMPTY 0
#define POOL 1 /* COMPRESSED, HUGE */
#define STORED 2

byte state[2], ref[2], version[2];
bit writing[2], fetching; /* page 1 is never fetched */
byte leaf_pins[2];        /* by tickets; those of a step are gone at its end (leaf.h) */

/* -- The pool: what is in each place, 0 for a free one. -- */
byte pool[HANDLES];

/* -- space.c -- */
#define FREE 0
#define FILLING 1
#define USED 2
#define RETIRED 3 /* SEGMENT_EMPTY */
byte use[SEGMENTS], live[SEGMENTS], pins[SEGMENTS];
#define SEGMENT(address) ((address) / PLACES)

bit fault_seen; /* the device has failed */

/* -- segment.c: the buffers. -- */
#define SPARE 0
#define OPEN 1 /* writeback->filling or writeback->cleaning */
#define FLYING 2
typedef object {
    byte slot, version, state, ref; /* the ticket */
    byte bytes
}
typedef segment {
    byte phase, number, objects;
    object at[PLACES]
}

/* -- fetch.c: all for page 0. -- */
#define IDLE 0 /* FETCH_FREE */
#define READING 1
#define DONE 2
#define LOST 3 /* in a mutation only */
typedef fetch_t {
    byte phase, readers, version, ref, bytes, result
}
fetch_t fetch[FETCHES];
bit fetch_lock; /* held over several steps by on_read() only */

#define OK 0
#define ESTALE 1
#define EIO 2

/* -- What must hold, and is in no real memory. -- */
byte truth;      /* what page 0 is: changes when the slot is switched */
byte allowed[2]; /* per reader: what page 0 has been since the read began, a bit each */
bit touched;     /* page 0 was used since it was last marked WRITING */
byte clients;    /* processes that have not ended, but for the writeback thread */

/* -- Mutations that an inline must see, which cannot have conditional parts. -- */
#ifdef RETIRE_PINNED
#define retire_pinned 1
#else
#define retire_pinned 0
#endif
#ifdef UNPIN_NO_RETIRE
#define unpin_no_retire 1
#else
#define unpin_no_retire 0
#endif
#ifdef NO_MARK_OFF
#define no_mark_off 1
#else
#define no_mark_off 0
#endif
#ifdef COMPACT_MOVES_WRITING
#define compact_moves_writing 1
#else
#define compact_moves_writing 0
#endif
#ifdef CLEANER_NO_CHECK
#define cleaner_no_check 1
#else
#define cleaner_no_check 0
#endif
#ifdef NO_WRITING_CHECK
#define no_writing_check 1
#else
#define no_writing_check 0
#endif
#ifdef STALE_NOT_RELEASED
#define stale_not_released 1
#else
#define stale_not_released 0
#endif
#ifdef FREE_BEFORE_COMMIT
#define free_before_commit 1
#define FREE_TOO_EARLY if :: AT.state == POOL -> d_step { pool_free(AT.ref) } :: else fi
#else
#define free_before_commit 0
#define FREE_TOO_EARLY skip
#endif
#ifdef NO_PIN
#define PIN_SEGMENT(s) skip
#else
#define PIN_SEGMENT(s) pins[s]++
#endif

/* -- slot.c: edges, each inside a step. -- */
#ifdef NO_VERSION
#define HOLDS(s, v, st, r) (state[s] == st && ref[s] == r)
#else
#define HOLDS(s, v, st, r) (version[s] == v && state[s] == st && ref[s] == r)
#endif

/* Without a trim no leaf is ever freed. */
#if defined NO_LEAF_PIN || TRIMS == 0
#define PIN_LEAF(s) skip
#define UNPIN_LEAF(s) skip
#else
#define PIN_LEAF(s) leaf_pins[s]++
#define UNPIN_LEAF(s) leaf_pins[s]--
#endif

/* switch_locked(): the marks start anew. */
inline switch_to(s, new_state, new_ref, old_state, old_ref)
{
    old_state = state[s];
    old_ref = ref[s];
    state[s] = new_state;
    ref[s] = new_ref;
    version[s]++;
    writing[s] = 0;
    if
    :: s == 0 -> fetching = 0
    :: else
    fi
}

/* An access of page 0 that is not STORED: lock_pinned() with SLOT_ACCESS. */
inline access()
{
    if
    :: state[0] == POOL ->
        writing[0] = no_mark_off && writing[0];
        touched = 1
    :: else
    fi
}

inline page_becomes(bytes)
{
    truth = bytes;
    if
    :: allowed[0] != 0 -> allowed[0] = allowed[0] | (1 << bytes)
    :: else
    fi;
    if
    :: allowed[1] != 0 -> allowed[1] = allowed[1] | (1 << bytes)
    :: else
    fi
}

/* -- pool.c: the lowest free place, so that handles come back as soon as they can. -- */
inline pool_alloc(handle, bytes)
{
    handle = 0;
    do
    :: handle < HANDLES && pool[handle] != 0 -> handle++
    :: else -> break
    od;
    assert(handle < HANDLES);
    pool[handle] = bytes
}

inline pool_free(handle)
{
    assert(pool[handle] != 0); /* not twice */
    pool[handle] = 0
}

/* -- space.c -- */

/* Under the space's lock. Live bytes of a USED segment only fall, and once they are 0 no pin can
 * be added but under this lock: so that they are read one after the other makes no difference. */
inline retire_if_empty(s)
{
    if
    :: use[s] == USED && live[s] == 0 && (pins[s] == 0 || retire_pinned) -> use[s] = RETIRED
    :: else
    fi
}

/* space_unpin(), space_release(): the atomic is one step, what follows from it another. */
inline space_unpin(s)
{
    d_step {
        assert(pins[s] > 0);
        pins[s]--;
        last = pins[s] == 0
    };
    if
    :: d_step {
        last ->
            if
            :: !unpin_no_retire -> retire_if_empty(s)
            :: else
            fi;
            last = 0
       }
    :: !last
    fi
}

inline space_release(address)
{
    d_step {
        assert(live[SEGMENT(address)] > 0);
        live[SEGMENT(address)]--;
        last = live[SEGMENT(address)] == 0
    };
    if
    :: d_step { last -> retire_if_empty(SEGMENT(address)); last = 0 }
    :: !last
    fi
}

/* The old content is ours to free. */
inline content_release(old_state, old_ref)
{
    if
    :: d_step { old_state == POOL -> pool_free(old_ref); old_state = EMPTY; old_ref = 0 }
    :: old_state == STORED -> space_release(old_ref); old_state = EMPTY; old_ref = 0
    :: old_state == EMPTY
    fi
}

/* -- fetch.c: fetch_object() for page 0. -- */

#define A_FETCH_IS_FREE (fetch[0].phase == IDLE || fetch[FETCHES - 1].phase == IDLE)

inline release_locked(f)
{
    fetch[f].readers--;
    if
    :: fetch[f].readers == 0 ->
        UNPIN_LEAF(0);
        fetch[f].phase = IDLE;
        fetch[f].version = 0;
        fetch[f].ref = 0;
        fetch[f].bytes = 0;
        fetch[f].result = 0
    :: else
    fi
}

/* f: the fetch, or NONE when the page is not stored. Who finds all fetches taken waits for one
 * to be free; the code looks again also when one is done. */
inline fetch_object(f, result)
{
    do
    :: atomic {
        fetch_lock == 0; /* join_locked(): under the table's lock and the slot's */
        if
        :: state[0] != STORED -> f = NONE; result = ESTALE
        :: state[0] == STORED && fetching ->
            f = 0; /* find_locked() */
            do
            :: f < FETCHES && (fetch[f].phase != READING || fetch[f].ref != ref[0]) -> f++
            :: else -> break
            od;
            assert(f < FETCHES);
            fetch[f].readers++
        :: state[0] == STORED && !fetching && A_FETCH_IS_FREE ->
            f = 0;
            do
            :: fetch[f].phase != IDLE -> f++
            :: else -> break
            od;
            assert(use[SEGMENT(ref[0])] == USED);
            fetching = 1; /* slot_begin_fetching_locked() */
            PIN_LEAF(0);
            fetch[f].version = version[0];
            fetch[f].ref = ref[0];
            fetch[f].readers = 1;
            fetch[f].phase = READING;
            PIN_SEGMENT(SEGMENT(ref[0]))
        :: else -> f = NONE; result = OK
        fi
       };
       if
       :: f == NONE && result == OK -> A_FETCH_IS_FREE
       :: f == NONE && result != OK -> break
       :: f != NONE ->
           atomic {
               fetch[f].phase == DONE && fetch_lock == 0;
               result = fetch[f].result;
               if
               :: result != OK -> release_locked(f); f = NONE
               :: else
               fi
           };
           break
       fi
    od
}

inline fetch_release(f)
{
    atomic {
        fetch_lock == 0;
        release_locked(f);
        f = NONE
    }
}

/* -- write.c -- */
proctype writer()
{
    byte bytes = FIRST + 1;
    byte base, f = NONE, handle, result, old_state, old_ref;
    byte ticket_version, ticket_state, ticket_ref;
    bit last;

begin:
    if
    :: true -> goto put_whole
#if PARTIAL
    :: true -> goto merge_resident
#endif
    fi;

put_whole:
    atomic { pool_alloc(handle, bytes) }; /* build() */
    d_step { /* slot_put() */
        switch_to(0, POOL, handle, old_state, old_ref);
        page_becomes(bytes);
        handle = 0
    };
    content_release(old_state, old_ref);
    goto out;

merge_resident:
    atomic { /* read_under_ticket() */
        if
        :: state[0] == STORED -> goto merge_stored
        :: else
        fi;
        access();
        if
        :: state[0] == EMPTY -> base = ZEROES
        :: else -> base = pool[ref[0]]; assert(base != 0)
        fi;
        ticket_version = version[0];
        ticket_state = state[0];
        ticket_ref = ref[0];
        PIN_LEAF(0)
    };
    goto merge;

merge_stored:
    fetch_object(f, result);
    if
    :: result == OK
    :: result == ESTALE -> result = OK; goto merge_resident
    :: result == EIO -> assert(fault_seen); result = OK; goto out
    fi;
    atomic {
        base = fetch[f].bytes;
        ticket_version = fetch[f].version;
        ticket_state = STORED;
        ticket_ref = fetch[f].ref
    };

merge:
    atomic { pool_alloc(handle, bytes) };
    d_step { /* slot_put_if() */
        if
#ifdef MERGE_NO_TICKET
        :: true ->
#else
        :: HOLDS(0, ticket_version, ticket_state, ticket_ref) ->
#endif
            assert(base == truth); /* S9: nobody's bytes are lost */
            switch_to(0, POOL, handle, old_state, old_ref);
            page_becomes(bytes);
            result = OK
        :: else -> result = ESTALE
        fi;
        base = 0;
        ticket_version = 0;
        ticket_ref = 0
    };
    if
    :: result == OK -> content_release(old_state, old_ref)
    :: else -> d_step { pool_free(handle) }
    fi;
    handle = 0;
    if
    :: f != NONE -> fetch_release(f)
    :: else -> d_step { UNPIN_LEAF(0) }
    fi;
    if
    :: result == ESTALE -> result = OK; goto merge_resident
    :: else
    fi;

out:
    bytes++;
    if
    :: bytes <= FIRST + WRITES -> goto begin
    :: d_step { bytes > FIRST + WRITES -> clients--; bytes = 0 }
    fi
}

/* -- trim.c: write_empty(), slot_free_leaf() -- */
proctype trimmer()
{
    byte trims = TRIMS, old_state, old_ref;
    bit last;

begin:
    atomic { /* slot_clear() */
        switch_to(0, EMPTY, 0, old_state, old_ref);
        page_becomes(ZEROES)
    };
    content_release(old_state, old_ref);
    d_step { /* leaf_free() */
        if
        :: state[0] == EMPTY && leaf_pins[0] == 0 -> version[0] = 0
        :: else
        fi;
        trims--;
        clients = clients - (trims == 0 -> 1 : 0)
    };
    if
    :: trims > 0 -> goto begin
    :: else
    fi
}

/* -- read.c: read_part() -- */
proctype reader(byte me)
{
    byte bytes, f = NONE, handle, result, old_state, old_ref;
    bit last;

    d_step { allowed[me] = 1 << truth };

read_resident:
    atomic {
        access();
        if
        :: state[0] == EMPTY -> bytes = ZEROES; goto got
        :: state[0] == POOL ->
            bytes = pool[ref[0]];
            assert(bytes != 0);
            goto got
        :: else
        fi
    };

    /* read_stored() */
    fetch_object(f, result);
    if
    :: result == OK
    :: result == ESTALE -> result = OK; goto read_resident
    :: result == EIO -> assert(fault_seen); result = OK; goto out
    fi;
    bytes = fetch[f].bytes;

    if
    :: true /* not wanted before: stays */
    :: true -> /* promote(), which two who share a fetch may both try */
        atomic { assert(bytes != GARBAGE); pool_alloc(handle, bytes) };
#ifdef PROMOTE_FREES_FIRST
        space_release(fetch[f].ref);
#endif
        d_step { /* slot_put_if() */
            if
#ifdef PUBLISH_STALE
            :: true ->
#else
            :: HOLDS(0, fetch[f].version, STORED, fetch[f].ref) ->
#endif
                switch_to(0, POOL, handle, old_state, old_ref);
#ifdef PROMOTE_FREES_FIRST
                old_state = EMPTY;
#endif
                touched = 0
            :: else -> pool_free(handle)
            fi;
            handle = 0
        };
        content_release(old_state, old_ref)
    fi;
    fetch_release(f);

got:
    atomic {
        assert(bytes != GARBAGE);
        assert(allowed[me] & (1 << bytes))
    };
out:
    atomic { allowed[me] = 0; clients-- }
}

/* -- compact.c: move() -- */
proctype compaction()
{
    byte moves = MOVES, from, to, owner;
    bit moved;
#ifdef COMPACT_COPIES_FIRST
    byte bytes;
#endif

begin:
    /* pool_victim_next(): one of three places, its object published, not yet, or not any more */
    atomic {
        from = 0;
        if
        :: true
        :: true -> from = 1
        :: true -> from = 2
        fi;
        if
        :: pool[from] == 0 -> goto out
        :: else
        fi;
        owner = (pool[from] == OTHERS -> 1 : 0);
        pool_alloc(to, pool[from])
    };
#ifdef COMPACT_COPIES_FIRST
    bytes = pool[from];
#endif
    d_step { /* under the slot's lock */
        if
        :: state[owner] == POOL && ref[owner] == from &&
           (!writing[owner] || compact_moves_writing) ->
            assert(pool[from] != 0);
#ifdef COMPACT_COPIES_FIRST
            pool[to] = bytes;
#else
            pool[to] = pool[from];
#endif
            ref[owner] = to; /* slot_move_locked() */
            version[owner]++;
            moved = 1
        :: else
        fi
    };
    d_step {
        if
        :: moved -> pool_free(from)
        :: else -> pool_free(to)
        fi;
        to = 0;
        moved = 0
    };
out:
    atomic { from = 0; owner = 0; moves--; clients = clients - (moves == 0 -> 1 : 0) };
    if
    :: moves > 0 -> goto begin
    :: else
    fi
}

/* -- The writeback thread. -- */

#define CLEANER_IDLE 0
#define CLEANER_READING 1
#define CLEANER_LOADED 2

/* Nobody reads what is about to be written or discarded (rule S6). */
inline check_not_read(s)
{
    assert(fetch[0].phase != READING || SEGMENT(fetch[0].ref) != s);
    assert(fetch[FETCHES - 1].phase != READING || SEGMENT(fetch[FETCHES - 1].ref) != s);
    assert(cleaner_phase != CLEANER_READING || victim != s)
}

inline spoil(s)
{
    media[(s) * PLACES] = GARBAGE;
    media[(s) * PLACES + 1] = GARBAGE
}

#if SEGMENTS > 2
#define ANY_IS(what) (use[0] == what || use[1] == what || use[2] == what)
#else
#define ANY_IS(what) (use[0] == what || use[1] == what)
#endif
#define CAN_BEGIN ((buffer[0].phase == SPARE || buffer[1].phase == SPARE) && ANY_IS(FREE))
#define ADDABLE(s) (state[s] == POOL && !writing[s])

/* segment_begin() with space_take(); CAN_BEGIN holds */
inline segment_begin(b)
{
    b = 0;
    do
    :: buffer[b].phase != SPARE -> b++
    :: else -> break
    od;
    i = 0;
    do
    :: use[i] != FREE -> i++
    :: else -> break
    od;
    use[i] = FILLING;
    buffer[b].phase = OPEN;
    buffer[b].number = i;
    i = 0
}

/* append(), with a ticket for the slot as it is now */
inline append(b, s, content)
{
    buffer[b].at[buffer[b].objects].slot = s;
    buffer[b].at[buffer[b].objects].version = version[s];
    buffer[b].at[buffer[b].objects].state = state[s];
    buffer[b].at[buffer[b].objects].ref = ref[s];
    buffer[b].at[buffer[b].objects].bytes = content;
    PIN_LEAF(s);
    buffer[b].objects++
}

#define AT buffer[b].at[i]

inline forget()
{
    AT.slot = 0;
    AT.version = 0;
    AT.state = 0;
    AT.ref = 0;
    AT.bytes = 0
}

/* segment_submit() */
inline segment_submit(b)
{
    check_not_read(buffer[b].number);
    spoil(buffer[b].number);
    buffer[b].phase = FLYING
}

/* settle(): one object of a segment that has landed. */
inline settle()
{
    FREE_TOO_EARLY;
    d_step { /* slot_commit(), slot_relocate() */
        if
        :: HOLDS(AT.slot, AT.version, AT.state, AT.ref) &&
           (AT.state == STORED || writing[AT.slot] || no_writing_check) ->
            assert(AT.state == STORED || AT.slot == 1 || !touched); /* S4 */
            s = AT.slot;
            switch_to(s, STORED, buffer[b].number * PLACES + i, old_state, old_ref);
            s = 0;
            if
            :: free_before_commit && AT.state == POOL -> old_state = EMPTY
            :: else
            fi
        :: else ->
            old_state = (stale_not_released -> EMPTY : STORED);
            old_ref = buffer[b].number * PLACES + i
        fi
    };
    content_release(old_state, old_ref);
    d_step { UNPIN_LEAF(AT.slot); forget() } /* slot_ticket_close() */
}

/* let_go(): the segment has failed, or is not to be written. */
inline let_go(b)
{
    i = 0;
    do
    :: i < buffer[b].objects ->
        d_step { /* slot_abort_writing() */
            if
            :: AT.state == POOL && HOLDS(AT.slot, AT.version, AT.state, AT.ref) ->
                writing[AT.slot] = 0
            :: else
            fi;
            UNPIN_LEAF(AT.slot);
            forget()
        };
        i++
    :: else -> break
    od;
    atomic {
        use[buffer[b].number] = FREE; /* space_put_back() */
        buffer[b].number = 0;
        buffer[b].objects = 0;
        buffer[b].phase = SPARE; /* put_buffer_back() */
        i = 0
    }
}

/* When the clients are gone and nothing is under way. */
inline final_check()
{
    /* Both pages are there. */
    assert(state[0] != EMPTY || truth == ZEROES);
    assert(state[0] != POOL || pool[ref[0]] == truth);
    assert(state[0] != STORED || media[ref[0]] == truth);
    assert(state[1] == POOL || state[1] == STORED);
    assert(state[1] != POOL || pool[ref[1]] == OTHERS);
    assert(state[1] != STORED || media[ref[1]] == OTHERS);
    /* Nobody is at work on them. */
    assert(!writing[0] && !writing[1] && !fetching);
    assert(leaf_pins[0] == 0 && leaf_pins[1] == 0);
    assert(fetch[0].phase == IDLE);
    /* The pool has their objects and no others. */
    count = 0;
    i = 0;
    do
    :: i < HANDLES -> count = count + (pool[i] != 0 -> 1 : 0); i++
    :: else -> break
    od;
    assert(count == (state[0] == POOL -> 1 : 0) + (state[1] == POOL -> 1 : 0));
    /* So has the backing store. */
    i = 0;
    do
    :: i < SEGMENTS ->
        count = (state[0] == STORED && SEGMENT(ref[0]) == i -> 1 : 0) +
                (state[1] == STORED && SEGMENT(ref[1]) == i -> 1 : 0);
        assert(live[i] == count);
        assert(pins[i] == 0);
        assert(use[i] == (count > 0 -> USED : FREE));
        i++
    :: else -> break
    od
}

#define SPARSE(s) (use[s] == USED && live[s] > 0)

proctype writeback()
{
    byte filling = NONE, cleaning = NONE; /* buffers */
    byte adds = ADDS, cleans = CLEANS, faults = FAULTS;
    segment buffer[BUFFERS];
    byte media[SEGMENTS * PLACES]; /* what is on the device */
    byte cleaner_phase, victim, place, loaded[PLACES];
    byte b, i, old_state, old_ref, s, count;
    bit last;

    media[0] = (START == 0 -> GARBAGE : FIRST);
    media[1] = (START == 1 -> OTHERS : GARBAGE);
    media[2] = GARBAGE;
    media[3] = GARBAGE;
#if SEGMENTS > 2
    media[4] = GARBAGE;
    media[5] = GARBAGE;
#endif
work:
    do
    /* segment_add(), in a new segment if need be; any page, at any time */
    :: atomic {
        adds > 0 && clients > 0 && (ADDABLE(0) || ADDABLE(1)) &&
        (filling != NONE -> buffer[filling].objects < PLACES : CAN_BEGIN) ->
            if
            :: ADDABLE(0) -> s = 0
            :: ADDABLE(1) -> s = 1
            fi;
            if
            :: filling == NONE -> segment_begin(filling)
            :: else
            fi;
            adds--;
            writing[s] = 1; /* slot_begin_writing_locked() */
            if
            :: s == 0 -> touched = 0
            :: else
            fi;
            assert(pool[ref[s]] != 0);
            append(filling, s, pool[ref[s]]);
            s = 0
       }

    /* submit(), full or not; or over budget: segment_abandon() */
    :: atomic {
        filling != NONE ->
            if
            :: segment_submit(filling); filling = NONE
#if ABANDON
            :: b = filling; filling = NONE; goto abandon
#endif
            fi
       }
    :: atomic {
        cleaning != NONE && (buffer[cleaning].objects == PLACES || cleaner_phase == CLEANER_IDLE) ->
            if
            :: segment_submit(cleaning); cleaning = NONE
#if ABANDON
            :: b = cleaning; cleaning = NONE; goto abandon
#endif
            fi
       }

    /* on_written() */
    :: atomic {
        buffer[0].phase == FLYING || buffer[1].phase == FLYING ->
            if
            :: buffer[0].phase == FLYING -> b = 0
            :: buffer[1].phase == FLYING -> b = 1
            fi;
            if
            :: faults > 0 -> faults--; fault_seen = 1; goto abandon
            :: true
            fi;
            i = 0;
            do
            :: i < buffer[b].objects ->
                media[buffer[b].number * PLACES + i] = AT.bytes;
                i++
            :: else -> break
            od;
            use[buffer[b].number] = USED; /* space_landed() */
            live[buffer[b].number] = buffer[b].objects;
            i = 0
       };
       do
       :: i < buffer[b].objects -> settle(); i++
       :: else -> break
       od;
       atomic {
           buffer[b].number = 0;
           buffer[b].objects = 0;
           buffer[b].phase = SPARE;
           i = 0;
           b = 0
       }

    /* fetch.c: on_read(). The table's lock is held from the look at the slot to the end; nobody
     * else holds it for longer than a step. */
    :: atomic {
        fetch[0].phase == READING || fetch[FETCHES - 1].phase == READING ->
            if
            :: fetch[0].phase == READING -> b = 0
#if FETCHES > 1
            :: fetch[1].phase == READING -> b = 1
#endif
            fi;
            if
            :: faults > 0 -> faults--; fault_seen = 1; fetch[b].result = EIO
            :: true -> fetch[b].result = OK; fetch[b].bytes = media[fetch[b].ref]
            fi
       };
       d_step {
           fetch_lock = 1;
           if
           :: HOLDS(0, fetch[b].version, STORED, fetch[b].ref) ->
               fetching = 0 /* slot_end_fetching() */
           :: else -> fetch[b].result = ESTALE; fetch[b].bytes = 0
           fi
       };
#ifndef NO_PIN
       space_unpin(SEGMENT(fetch[b].ref));
#endif
#ifdef STALE_NOT_TOLD
       d_step {
           fetch[b].phase = (fetch[b].result == ESTALE -> LOST : DONE);
           fetch_lock = 0;
           b = 0
       }
#else
       d_step { fetch[b].phase = DONE; fetch_lock = 0; b = 0 }
#endif

    /* discards_step(), on_discarded(), or it is used again without: the same for all others, as
     * nobody may refer to it */
    :: atomic {
        ANY_IS(RETIRED) ->
            i = 0;
            do
            :: use[i] != RETIRED -> i++
            :: else -> break
            od;
            check_not_read(i);
            spoil(i);
            use[i] = FREE; /* space_put_back() */
            i = 0
       }

    /* cleaner_begin(): any segment in use, sparse or not */
    :: atomic {
        cleaner_phase == CLEANER_IDLE && cleans > 0 && clients > 0 &&
        (SPARSE(0) || SPARSE(1) || SPARSE(SEGMENTS - 1)) ->
            if
            :: SPARSE(0) -> victim = 0
            :: SPARSE(1) -> victim = 1
#if SEGMENTS > 2
            :: SPARSE(2) -> victim = 2
#endif
            fi;
            cleans--;
#ifndef CLEANER_NO_PIN
            pins[victim]++; /* space_try_pin_segment() */
#endif
            cleaner_phase = CLEANER_READING
       }
    /* clean.c: on_read() */
    :: atomic {
        cleaner_phase == CLEANER_READING ->
            place = 0;
            if
            :: faults > 0 -> faults--; fault_seen = 1; place = PLACES
            :: true ->
                loaded[0] = media[victim * PLACES];
                loaded[1] = media[victim * PLACES + 1]
            fi;
            cleaner_phase = CLEANER_LOADED
       }
    /* cleaner_fill(): segment_add_stored() for one object */
    :: atomic {
        cleaner_phase == CLEANER_LOADED && place < PLACES &&
        (cleaning != NONE -> buffer[cleaning].objects < PLACES : 1) ->
            if
            :: loaded[place] == GARBAGE -> place = PLACES
            :: else ->
                s = (loaded[place] == OTHERS -> 1 : 0);
                if
                :: state[s] == STORED && (ref[s] == victim * PLACES + place || cleaner_no_check) ->
                    if
                    :: cleaning == NONE && CAN_BEGIN -> segment_begin(cleaning)
                    :: else
                    fi;
                    if
                    :: cleaning != NONE -> append(cleaning, s, loaded[place]); place++
                    :: else -> place = PLACES /* -ENOSPC: here it gives up, the code waits */
                    fi
                :: else -> place++
                fi;
                s = 0
            fi
       }
    /* cleaner_drop() */
    :: atomic {
        cleaner_phase == CLEANER_LOADED && place == PLACES ->
            place = 0;
            loaded[0] = 0;
            loaded[1] = 0;
            cleaner_phase = CLEANER_IDLE
       };
#ifndef CLEANER_NO_PIN
       space_unpin(victim);
#endif
       victim = 0

    /* writeback_stop(), when the clients are gone and nothing is under way */
    :: atomic {
        clients == 0 && cleaner_phase == CLEANER_IDLE && buffer[0].phase != FLYING &&
        buffer[1].phase != FLYING && !ANY_IS(RETIRED) ->
            if
            :: filling != NONE -> b = filling; filling = NONE; goto abandon
            :: filling == NONE && cleaning != NONE -> b = cleaning; cleaning = NONE; goto abandon
            :: else -> break
            fi
       }
    od;
    atomic { final_check() };
    goto out;

abandon:
    let_go(b);
    b = 0;
    goto work;

out:
    skip
}

init
{
    atomic {
        version[0] = 1;
        version[1] = 1;
        truth = FIRST;
        state[0] = (START == 0 -> POOL : STORED);
        state[1] = (START == 1 -> STORED : POOL);
        ref[1] = 1;
        pool[0] = (state[0] == POOL -> FIRST : 0);
        pool[1] = (state[1] == POOL -> OTHERS : 0);
        live[0] = (state[0] == STORED -> 1 : 0) + (state[1] == STORED -> 1 : 0);
        use[0] = (live[0] > 0 -> USED : FREE);
        run writeback();
#if WRITES
        run writer();
        clients++;
#endif
#if TRIMS
        run trimmer();
        clients++;
#endif
#if READERS > 0
        run reader(0);
        clients++;
#endif
#if READERS > 1
        run reader(1);
        clients++;
#endif
#if MOVES
        run compaction();
        clients++
#endif
    }
}
