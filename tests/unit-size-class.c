/* unit-size-class.c - core/size-class.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "size-class.h"

#include "harness.h"

START_TEST(every_length_has_the_smallest_place_that_holds_it_and_its_owner)
{
    for (uint32_t length = 1; length <= COMPRESSED_BYTES_MAX; length++) {
        unsigned class = size_class_of(length);

        ck_assert_uint_lt(class, SIZE_CLASS_RAW);
        ck_assert_uint_le(length + 4, size_classes[class].stride_bytes);
        if (class > 0)
            ck_assert_uint_gt(length + 4, size_classes[class - 1].stride_bytes);
    }
    ck_assert_uint_eq(size_class_of(PAGE_BYTES), SIZE_CLASS_RAW);
    ck_assert_uint_eq(size_classes[SIZE_CLASS_RAW].stride_bytes, PAGE_BYTES);
}
END_TEST

START_TEST(a_place_wastes_less_than_the_spacing_of_its_class)
{
    for (uint32_t length = 28; length <= COMPRESSED_BYTES_MAX; length++) {
        uint32_t stride = size_classes[size_class_of(length)].stride_bytes;

        ck_assert_uint_lt(stride - length - 4, stride <= 2048 ? 16 : 32);
    }
}
END_TEST

START_TEST(strides_rise_and_keep_owners_aligned)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        ck_assert_uint_eq(size_classes[i].stride_bytes % 16, 0);
        if (i > 0)
            ck_assert_uint_gt(size_classes[i].stride_bytes,
                              size_classes[i - 1].stride_bytes);
    }
    ck_assert_uint_eq(size_classes[0].stride_bytes, 32);
    ck_assert_uint_eq(size_classes[SIZE_CLASS_RAW - 1].stride_bytes, 3840);
}
END_TEST

START_TEST(the_length_that_fills_a_place_belongs_to_its_class)
{
    for (unsigned i = 0; i < SIZE_CLASS_RAW; i++)
        ck_assert_uint_eq(size_class_of(size_classes[i].stride_bytes - 4u), i);
}
END_TEST

START_TEST(a_span_fits_its_window_and_wastes_little)
{
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        const struct size_class *class = &size_classes[i];
        unsigned bytes = class->pages * PAGE_BYTES;
        unsigned used = class->objects * class->stride_bytes;

        ck_assert_uint_ge(class->pages, 1);
        ck_assert_uint_le(class->pages, SPAN_PAGES_MAX);
        ck_assert_uint_ge(class->objects, 1);
        ck_assert_uint_le(class->objects, SPAN_OBJECTS_MAX);
        ck_assert_uint_le(used, bytes);
        /* 2.5 per cent at most; the pool's density rests on it. */
        ck_assert_msg((bytes - used) * 40 <= bytes, "class %u: %u of %u bytes wasted",
                      i, bytes - used, bytes);
        if (i == SIZE_CLASS_RAW)
            ck_assert_uint_eq(class->objects, class->pages);
    }
}
END_TEST

START_TEST(windows_for_a_volume_of_one_class_are_enough)
{
    /* The pool has two windows for 16 pages: no class may have spans of fewer than 8 objects. */
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        ck_assert_uint_ge(size_classes[i].objects, 8);
}
END_TEST

HARNESS_MAIN_WITH("unit-size-class", size_class_init, size_class_init,
                  every_length_has_the_smallest_place_that_holds_it_and_its_owner,
                  a_place_wastes_less_than_the_spacing_of_its_class,
                  strides_rise_and_keep_owners_aligned,
                  the_length_that_fills_a_place_belongs_to_its_class,
                  a_span_fits_its_window_and_wastes_little,
                  windows_for_a_volume_of_one_class_are_enough)
