/* unit-swap-area.c - client/swap-area.h: what may be made swap space, and what may not
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "client/swap-area.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define BYTES (4u * MIB)

static char path[32];
static int fd;
static struct why why;

static void set_up(void)
{
    strcpy(path, "/tmp/zslot-swap-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, BYTES), 0);
    memset(&why, 0, sizeof why);
}

static void tear_down(void)
{
    unlink(path);
    close(fd);
}

static void put(off_t at, const void *bytes, size_t count)
{
    ck_assert_int_eq(pwrite(fd, bytes, count, at), (ssize_t)count);
}

/* As in swap_header of <linux/swap.h>: version, last page, and the magic at the end of the page. */
static void put_swap_header(void)
{
    const uint32_t numbers[] = {1, BYTES / 4096 - 1};

    put(1024, numbers, sizeof numbers);
    put(4096 - 10, "SWAPSPACE2", 10);
}

/* A DOS label with one partition of Linux, from sector 2048 on. */
static void put_label(void)
{
    static const uint8_t entry[16] = {[4] = 0x83, [9] = 0x08, [13] = 0x08};

    put(446, entry, sizeof entry);
    put(510, "\x55\xaa", 2);
}

START_TEST(swap_space_is_taken_as_it_is)
{
    put_swap_header();
    ck_assert_int_eq(swap_area_make(path, &why), 0);
}
END_TEST

START_TEST(a_label_is_left_alone)
{
    put_label();
    ck_assert_int_eq(swap_area_make(path, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, "holds something (dos)"));
}
END_TEST

/* The device was swap space before somebody partitioned it. */
START_TEST(a_label_beside_a_header_of_swap_space_is_left_alone)
{
    put_swap_header();
    put_label();
    ck_assert_int_eq(swap_area_make(path, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, "holds something (dos)"));
}
END_TEST

HARNESS_MAIN_WITH("unit-swap-area", set_up, tear_down, swap_space_is_taken_as_it_is,
                  a_label_is_left_alone,
                  a_label_beside_a_header_of_swap_space_is_left_alone)
