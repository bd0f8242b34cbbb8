/* unit-region.c - core/region.h: RAM that comes and goes, as the kernel sees it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"
#include "page.h"

#define REGION_BYTES (64 * MIB)

static struct memory memory;
static struct region region;

static void setup(void)
{
    harness_memory(&memory);
}

static void teardown(void)
{
    region_close(&region);
    ck_assert_ptr_null(region.base);
}

static void open_region(enum region_kind kind, uint64_t bytes, bool lock_in_ram)
{
    ck_assert_int_eq(region_open(&region, kind, "test", bytes, &memory, lock_in_ram),
                     0);
    ck_assert_int_eq(region_start(&region), 0);
}

/* Pages of the region that are in RAM. */
static unsigned resident(uint64_t offset, uint64_t bytes)
{
    unsigned char pages[1024];
    unsigned count = 0;

    ck_assert_uint_le(bytes / PAGE_BYTES, sizeof pages);
    ck_assert_int_eq(mincore(region.base + offset, bytes, pages), 0);
    for (unsigned i = 0; i < bytes / PAGE_BYTES; i++)
        count += pages[i] & 1;
    return count;
}

START_TEST(commit_brings_in_what_was_asked_for_and_no_more)
{
    open_region(REGION_SHARED, REGION_BYTES, false);
    ck_assert_uint_eq(resident(0, 64 * PAGE), 0);
    ck_assert_int_eq(region_commit(&region, 3 * PAGE, 5 * PAGE), 0);
    ck_assert_uint_eq(resident(3 * PAGE, 5 * PAGE), 5);
    ck_assert_uint_eq(resident(0, 3 * PAGE), 0);
    ck_assert_uint_eq(resident(8 * PAGE, 56 * PAGE), 0);
    ck_assert_uint_eq(memory_used_bytes(&memory), 5 * PAGE);
    region_release(&region, 3 * PAGE, 5 * PAGE);
    ck_assert_uint_eq(memory_used_bytes(&memory), 0);
}
END_TEST

START_TEST(release_gives_the_ram_back_to_the_system)
{
    open_region(REGION_SHARED, REGION_BYTES, false);
    uint64_t before = harness_status_bytes("RssShmem");

    ck_assert_int_eq(region_commit(&region, 0, 8 * MIB), 0);
    memset(region.base, 7, 8 * MIB);
    ck_assert_uint_ge(harness_status_bytes("RssShmem"), before + 8 * MIB);
    region_release(&region, 2 * MIB, 4 * MIB);
    ck_assert_uint_le(harness_status_bytes("RssShmem"), before + 4 * MIB + 64 * PAGE);
    ck_assert_uint_eq(resident(2 * MIB, 4 * MIB), 0);
    /* What stays has its bytes; what comes again has zeroes. */
    ck_assert_int_eq(region.base[2 * MIB - 1], 7);
    ck_assert_int_eq(region.base[6 * MIB], 7);
    ck_assert_int_eq(region_commit(&region, 2 * MIB, PAGE), 0);
    for (unsigned i = 0; i < PAGE; i++)
        ck_assert_int_eq(region.base[2 * MIB + i], 0);
}
END_TEST

START_TEST(the_memfd_has_no_blocks_that_were_released)
{
    open_region(REGION_SHARED, REGION_BYTES, false);
    ck_assert_int_eq(region_commit(&region, PAGE, 3 * PAGE), 0);
    ck_assert_int_eq(lseek(region.fd, 0, SEEK_DATA), PAGE);
    region_release(&region, PAGE, 3 * PAGE);
    ck_assert_int_eq(lseek(region.fd, 0, SEEK_DATA), -1);
    ck_assert_int_eq(errno, ENXIO);
}
END_TEST

START_TEST(a_private_region_is_released_too)
{
    open_region(REGION_PRIVATE, MIB, false);
    ck_assert_int_eq(region_commit(&region, 0, MIB), 0);
    memset(region.base, 1, MIB);
    region_release(&region, 0, MIB);
    ck_assert_uint_eq(resident(0, MIB), 0);
    ck_assert_int_eq(region.base[0], 0);
    ck_assert_uint_eq(memory_used_bytes(&memory), 0);
}
END_TEST

START_TEST(a_commit_past_the_limit_changes_nothing)
{
    memory_init(&memory, 4 * PAGE);
    open_region(REGION_SHARED, REGION_BYTES, false);
    ck_assert_int_eq(region_commit(&region, 0, 3 * PAGE), 0);
    ck_assert_int_eq(region_commit(&region, 8 * PAGE, 2 * PAGE), -ENOSPC);
    ck_assert_uint_eq(resident(8 * PAGE, 2 * PAGE), 0);
    ck_assert_uint_eq(memory_used_bytes(&memory), 3 * PAGE);
    ck_assert_int_eq(region_commit(&region, 8 * PAGE, PAGE), 0);
}
END_TEST

START_TEST(a_region_for_16_tib_costs_nothing)
{
    uint64_t before = harness_status_bytes("VmRSS");

    if (!harness_has_addresses())
        return;
    open_region(REGION_SHARED, UINT64_C(32) << 40, false);
    ck_assert_int_eq(region_commit(&region, (UINT64_C(32) << 40) - PAGE, PAGE), 0);
    region.base[(UINT64_C(32) << 40) - 1] = 1;
    ck_assert_uint_lt(harness_status_bytes("VmRSS"), before + 8 * MIB);
}
END_TEST

START_TEST(a_region_that_was_never_started_can_be_closed)
{
    ck_assert_int_eq(region_open(&region, REGION_SHARED, "test", MIB, &memory, true),
                     0);
    region_close(&region);
    memset(&region, 0, sizeof region);
    region_close(&region);
}
END_TEST

/* -- Locking in RAM.  In children, since it is the process's. -- */

/* Sanitizers leave mlock() and its kin out, and valgrind's own memory would be counted. */
#if defined HARNESS_ASAN || defined HARNESS_TSAN
#define CAN_LOCK false
#else
#define CAN_LOCK (!harness_is_slow())
#endif

#define MUST(what)                                                                     \
    do {                                                                               \
        if (!(what))                                                                   \
            return __LINE__;                                                           \
    } while (0)

static int lock_counts_granules(void)
{
    setup();
    uint64_t before = harness_status_bytes("VmLck");
    MUST(region_open(&region, REGION_SHARED, "test", REGION_BYTES, &memory, true) == 0);
    MUST(region_start(&region) == 0);
    MUST(harness_status_bytes("VmLck") == before);
    MUST(region_commit(&region, 0, PAGE) == 0);
    MUST(region_commit(&region, 2 * PAGE, PAGE) == 0);
    uint64_t one = harness_status_bytes("VmLck") - before;
    MUST(one == region.granule_bytes);
    /* Locked is not filled. */
    MUST(resident(0, region.granule_bytes) == 2);
    /* Over two granules. */
    MUST(region_commit(&region, 3 * one - PAGE, 2 * PAGE) == 0);
    MUST(harness_status_bytes("VmLck") - before == 3 * one);
    region_release(&region, 0, PAGE);
    MUST(harness_status_bytes("VmLck") - before == 3 * one);
    region_release(&region, 2 * PAGE, PAGE);
    MUST(harness_status_bytes("VmLck") - before == 2 * one);
    MUST(resident(0, one) == 0);
    region_release(&region, 3 * one - PAGE, 2 * PAGE);
    MUST(harness_status_bytes("VmLck") == before);
    MUST(memory_used_bytes(&memory) == 0);
    region_close(&region);
    return 0;
}

START_TEST(what_is_used_is_locked_and_unlocked_with_the_last_page)
{
    if (CAN_LOCK)
        harness_in_child(lock_counts_granules);
}
END_TEST

/* Becomes somebody who may lock BYTES. */
static bool become_limited(uint64_t bytes)
{
    const struct rlimit limit = {bytes, bytes};

    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
           (getuid() != 0 || setuid(65534) == 0);
}

static int lock_limit_fails_commit(void)
{
    setup();
    MUST(become_limited(128 * 1024));
    MUST(region_open(&region, REGION_SHARED, "test", REGION_BYTES, &memory, true) == 0);
    MUST(region_start(&region) == 0);
    MUST(region_commit(&region, 0, PAGE) == 0);
    MUST(region_commit(&region, region.granule_bytes, PAGE) == 0);
    /* The third granule is one too many, also as the second half of a commit. */
    MUST(region_commit(&region, 4 * region.granule_bytes, PAGE) == -ENOMEM);
    MUST(region_commit(&region, 2 * region.granule_bytes - PAGE, 2 * PAGE) == -ENOMEM);
    MUST(resident(2 * region.granule_bytes - PAGE, 2 * PAGE) == 0);
    MUST(memory_used_bytes(&memory) == 2 * PAGE);
    MUST(region.granule_pages[1] == 1 && region.granule_pages[2] == 0);
    /* What was given back can be had again. */
    region_release(&region, 0, PAGE);
    MUST(region_commit(&region, 4 * region.granule_bytes, PAGE) == 0);
    region_close(&region);
    return 0;
}

START_TEST(a_commit_past_the_lock_limit_is_enomem_and_changes_nothing)
{
    if (CAN_LOCK)
        harness_in_child(lock_limit_fails_commit);
}
END_TEST

static int mlockall_before_fills_nothing(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

    setup();
    if (setrlimit(RLIMIT_MEMLOCK, &all) < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        return 0; /* no right to: nothing to be seen here */
    MUST(region_open(&region, REGION_SHARED, "test", UINT64_C(1) << 30, &memory,
                     false) == 0);
    MUST(resident(0, 4 * MIB) == 0);
    MUST(region_start(&region) == 0);
    MUST(resident(0, 4 * MIB) == 0);
    MUST(lseek(region.fd, 0, SEEK_DATA) == -1 && errno == ENXIO);
    MUST(region_commit(&region, 0, PAGE) == 0);
    MUST(resident(0, 4 * MIB) == 1);
    region_release(&region, 0, PAGE);
    MUST(resident(0, 4 * MIB) == 0);
    MUST(harness_status_bytes("VmLck") < UINT64_C(1) << 29);
    region_close(&region);
    return 0;
}

START_TEST(mlockall_before_open_does_not_fill_the_mapping)
{
    if (CAN_LOCK)
        harness_in_child(mlockall_before_fills_nothing);
}
END_TEST

static int mlockall_between_fills_nothing(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

    setup();
    (void)setrlimit(RLIMIT_MEMLOCK, &all);
    MUST(region_open(&region, REGION_SHARED, "test", UINT64_C(1) << 30, &memory,
                     false) == 0);
    if (mlockall(MCL_CURRENT) < 0)
        return 0;
    MUST(region_start(&region) == 0);
    MUST(resident(0, 4 * MIB) == 0);
    MUST(harness_status_bytes("VmLck") < UINT64_C(1) << 29);
    region_close(&region);
    return 0;
}

START_TEST(mlockall_between_open_and_start_does_not_fill_the_mapping)
{
    if (CAN_LOCK)
        harness_in_child(mlockall_between_fills_nothing);
}
END_TEST

HARNESS_MAIN_WITH("unit-region", setup, teardown,
                  commit_brings_in_what_was_asked_for_and_no_more,
                  release_gives_the_ram_back_to_the_system,
                  the_memfd_has_no_blocks_that_were_released,
                  a_private_region_is_released_too,
                  a_commit_past_the_limit_changes_nothing,
                  a_region_for_16_tib_costs_nothing,
                  a_region_that_was_never_started_can_be_closed,
                  what_is_used_is_locked_and_unlocked_with_the_last_page,
                  a_commit_past_the_lock_limit_is_enomem_and_changes_nothing,
                  mlockall_before_open_does_not_fill_the_mapping,
                  mlockall_between_open_and_start_does_not_fill_the_mapping)
