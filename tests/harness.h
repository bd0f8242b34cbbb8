/* harness.h - what the tests of core share
 *
 * Owns:    the hook of the gates (core/gate.h) while a test has something armed there.
 * Called:  by tests.
 * Locks:   one mutex for all actors that are stopped.
 * Never:   sleeps to wait.
 *
 * Races. An actor is a thread that stops at a gate, once, and stays there until it is told to go
 * on; what happens in between is up to the test.  Contexts are few (core/context.h): a test that
 * stops more than four actors at a time waits for itself.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

/* Tests are linked with the copy of core that has the gates. */
#ifndef ZSLOT_GATES
#define ZSLOT_GATES 1
#endif

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "gate.h"
#include "memory.h"
#include "volume.h"

#if defined __SANITIZE_THREAD__
#define HARNESS_TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define HARNESS_TSAN 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__
#define HARNESS_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define HARNESS_ASAN 1
#endif
#endif

#define PAGE VOLUME_PAGE_BYTES
#define MIB (UINT64_C(1) << 20)

/* -- Programs. -- */

typedef void harness_fixture(void);

int harness_main(const char *name, harness_fixture *setup, harness_fixture *teardown,
                 const TTest *const *tests, unsigned count);

/* The main() of a test program; setup and teardown run around each test. */
#define HARNESS_MAIN_WITH(name, setup, teardown, ...)                                  \
    int main(void)                                                                     \
    {                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__};                                    \
        return harness_main(name, setup, teardown, tests,                              \
                            sizeof tests / sizeof *tests);                             \
    }
#define HARNESS_MAIN(name, ...) HARNESS_MAIN_WITH(name, NULL, NULL, __VA_ARGS__)

/* How often a random test does its thing: ZSLOT_TEST_OPS per cent of USUAL, and without that
 * all of it, or a twentieth where everything is slow (valgrind, sanitizers). */
unsigned long harness_ops(unsigned long usual);

bool harness_is_slow(void);

/* Whether there is address space for a volume of 16T: the thread sanitizer and valgrind leave a
 * program less. */
bool harness_has_addresses(void);

/* The next of a sequence of random numbers; *STATE is the seed. */
uint64_t harness_random(uint64_t *state);

/* Runs FN in a child.  Whether it ended by abort(), which is how assert() says no. */
bool harness_aborts(void (*fn)(void *opaque), void *opaque);

/* Runs FN in a child that may do as it likes to its limits and rights; FN returns 0 when all is
 * well, or its line number. */
void harness_in_child(int (*fn)(void));

/* A field of /proc/self/status, in bytes. */
uint64_t harness_status_bytes(const char *field);

/* -- Volumes. -- */

/* Opens and starts a volume with KEY, VALUE, ... NULL. */
struct volume *harness_open(const char *key, ...) __attribute__((sentinel));

/* With BACKING (backing.h), which is taken, or none for NULL. */
struct backing;
struct volume *harness_open_with(struct backing *backing, const char *key, ...)
    __attribute__((sentinel));

/* Checks it, trims it, checks that nothing of it is left in RAM or on the backing
 * store, and closes it.  The end of every test that has a volume. */
void harness_close(struct volume *volume);

void harness_check(struct volume *volume);
uint64_t harness_stat(struct volume *volume, enum stat_id stat);

/* An account without a limit, for tests of one module. */
void harness_memory(struct memory *memory);

/* The RAM that a volume's tables and contexts take before there is a page in it, as the least
 * memory-limit says it: what a test adds to is what pages may use. */
uint64_t harness_fixed_bytes(const char *size, const char *compressor);

/* Opens one that may use BYTES for its pages beyond what is fixed. */
struct volume *harness_open_limited(const char *size, const char *compressor,
                                    uint64_t bytes);

/* One with lz4, room for 8 MiB of pages, and a file twice its size, which it makes at PATH, as
 * the backing store: in real threads pages leave and are fetched.  The caller unlinks it. */
struct volume *harness_open_on_file(unsigned mebibytes, char path[64]);

/* -- Failures. -- */

/* From now on this thread's K-th arrival at POINT (from 1) fails with ERR, a negative errno, and
 * with ALL every later one. */
void harness_fail(enum gate point, unsigned k, bool all, int err);

/* Ends it.  Whether anything failed. */
bool harness_fail_end(void);

/* -- Actors. -- */

struct actor;
typedef void actor_fn(void *opaque);

/* Runs FN in a thread until it is at POINT.  The test fails when it does not get there. */
struct actor *actor_stop(enum gate point, actor_fn *fn, void *opaque);

/* The slot that the gate named. */
uint64_t actor_slot(const struct actor *actor);

/* Lets it go on, and waits until it has ended. */
void actor_go(struct actor *actor);

/* Runs FN in a thread that stops nowhere; actor_go() waits for its end. */
struct actor *actor_start(actor_fn *fn, void *opaque);

/* From now on the next thread that comes to POINT with SLOT, whoever it is, stops there.  One halt
 * at a time.  For the volume's own threads, which are nobody's actors. */
#define HALT_ANY_SLOT UINT64_MAX
void halt_at(enum gate point, uint64_t slot);
void halt_wait(void); /* until somebody has stopped there */
void halt_go(void);   /* lets it go on; nobody stops any more */

/* Counts arrivals at POINT with SLOT from now on, and waits until there have been N. */
void watch_from(enum gate point, uint64_t slot);
void watch_wait(unsigned n);
void watch_end(void);

/* FIRST stops at POINT, SECOND runs to its end, FIRST goes on to its end. */
void actor_race(enum gate point, actor_fn *first, actor_fn *second, void *opaque);

#endif
