/* unit-parse.c - core/parse.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "parse.h"

#include <errno.h>

#include "harness.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

START_TEST(sizes_have_units_of_1024)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"4096", 4096},
        {"007", 7},
        {"1b", 1},
        {"3k", 3072},
        {"3K", 3072},
        {"5m", 5 << 20},
        {"5M", 5 << 20},
        {"8G", UINT64_C(8) << 30},
        {"8g", UINT64_C(8) << 30},
        {"16T", UINT64_C(16) << 40},
        {"1p", UINT64_C(1) << 50},
        {"7E", UINT64_C(7) << 60},
        {"3s", 1536},
        {"3S", 1536},
        {"9223372036854775807", INT64_MAX},
    };

    for (unsigned i = 0; i < COUNT(good); i++) {
        uint64_t bytes = 42;
        ck_assert_msg(parse_size(good[i].text, &bytes) == 0, "%s", good[i].text);
        ck_assert_uint_eq(bytes, good[i].bytes);
    }
}
END_TEST

START_TEST(sizes_are_written_as_they_are_typed)
{
    static const char *const texts[] = {
        "0",     "1",     "1023",  "1k",  "1025",
        "1000k", "4M",    "4097k", "65M", "1G",
        "7T",    "7169G", "16T",   "7E",  "9223372036854775807"};

    for (unsigned i = 0; i < COUNT(texts); i++) {
        uint64_t bytes = 42;
        ck_assert_int_eq(parse_size(texts[i], &bytes), 0);
        ck_assert_str_eq(parse_text_of_size(bytes).text, texts[i]);
    }
}
END_TEST

START_TEST(what_is_no_size_is_einval)
{
    static const char *const bad[] = {
        "",     " ",  "x",  "k",  "1x",  "1 k", "1kk", "1kB", "-",  "+1", "1.5", "--",
        "0x10", " 1", "1 ", "-x", "1G ", "1,",  "1\n", "é",   "1é", "b",  "- 1"};

    for (unsigned i = 0; i < COUNT(bad); i++) {
        uint64_t bytes = 42;
        ck_assert_msg(parse_size(bad[i], &bytes) == -EINVAL, "%s", bad[i]);
        ck_assert_uint_eq(bytes, 42);
    }
}
END_TEST

START_TEST(sizes_out_of_range_are_erange)
{
    static const char *const bad[] = {"-1",
                                      "-0",
                                      "8E",
                                      "9E",
                                      "9223372036854775808",
                                      "18446744073709551616",
                                      "-8G",
                                      "99999999999999999999999999",
                                      "9007199254740992k",
                                      "17592186044416M"};

    for (unsigned i = 0; i < COUNT(bad); i++) {
        uint64_t bytes = 42;
        ck_assert_msg(parse_size(bad[i], &bytes) == -ERANGE, "%s", bad[i]);
        ck_assert_uint_eq(bytes, 42);
    }
}
END_TEST

START_TEST(yes_and_no_have_four_words_each)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "TRUE", "Yes", "oN"};
    static const char *const no[] = {"false", "no", "off", "0", "FALSE", "No", "oFF"};
    static const char *const bad[] = {"", "2", "yess", "tru", " on", "-1", "01"};
    bool value;

    for (unsigned i = 0; i < COUNT(yes); i++) {
        value = false;
        ck_assert_int_eq(parse_bool(yes[i], &value), 0);
        ck_assert(value);
    }
    for (unsigned i = 0; i < COUNT(no); i++) {
        value = true;
        ck_assert_int_eq(parse_bool(no[i], &value), 0);
        ck_assert(!value);
    }
    for (unsigned i = 0; i < COUNT(bad); i++)
        ck_assert_int_eq(parse_bool(bad[i], &value), -EINVAL);
}
END_TEST

START_TEST(integers_may_have_a_sign)
{
    int value;

    ck_assert_int_eq(parse_int("19", &value), 0);
    ck_assert_int_eq(value, 19);
    ck_assert_int_eq(parse_int("+3", &value), -EINVAL); /* as of a size */
    ck_assert_int_eq(parse_int("-7", &value), 0);
    ck_assert_int_eq(value, -7);
    ck_assert_int_eq(parse_int("2147483647", &value), 0);
    ck_assert_int_eq(value, INT32_MAX);
    ck_assert_int_eq(parse_int("2147483648", &value), -ERANGE);
    ck_assert_int_eq(parse_int("99999999999999999999", &value), -ERANGE);
    ck_assert_int_eq(parse_int("-2147483649", &value), -ERANGE);
    ck_assert_int_eq(parse_int("", &value), -EINVAL);
    ck_assert_int_eq(parse_int("-", &value), -EINVAL);
    ck_assert_int_eq(parse_int("+-1", &value), -EINVAL);
    ck_assert_int_eq(parse_int(" 1", &value), -EINVAL);
    ck_assert_int_eq(parse_int("1x", &value), -EINVAL);
    ck_assert_int_eq(parse_int("0x1", &value), -EINVAL);
}
END_TEST

HARNESS_MAIN("unit-parse", sizes_have_units_of_1024,
             sizes_are_written_as_they_are_typed, what_is_no_size_is_einval,
             sizes_out_of_range_are_erange, yes_and_no_have_four_words_each,
             integers_may_have_a_sign)
