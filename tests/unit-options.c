/* unit-options.c - core/options.h, and what volume_open() refuses
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct options options;
static struct reason reason;

static void setup(void)
{
    options_init(&options);
    memset(&reason, 0, sizeof reason);
}

static void teardown(void)
{
}

static int set(const char *key, const char *value)
{
    return options_set(&options, key, value, &reason);
}

/* A sentence names the parameter with its value, says the bound or what is wrong, and what to
 * write; it is one line without a full stop. */
static void assert_says(const char *key, const char *value, const char *says,
                        const char *write)
{
    char given[64];

    snprintf(given, sizeof given, "%s=%s", key, value);
    ck_assert_msg(strstr(reason.text, given) == reason.text, "%s", reason.text);
    ck_assert_msg(strstr(reason.text, says) != NULL, "'%s' lacks '%s'", reason.text,
                  says);
    ck_assert_msg(strstr(reason.text, write) != NULL, "'%s' lacks '%s'", reason.text,
                  write);
    size_t length = strlen(reason.text);
    ck_assert_uint_lt(length, sizeof reason.text - 1);
    ck_assert(reason.text[length - 1] != '.' && !strchr(reason.text, '\n'));
}

START_TEST(a_refusal_names_parameter_value_bound_and_remedy)
{
    static const struct {
        const char *key, *value, *says, *write;
    } refused[] = {
        {"size", "0", "at least one page of 4096 bytes", "size=8G"},
        {"size", "-1", "at least one page of 4096 bytes", "size=8G"},
        {"size", "1000", "not a multiple of the page size, 4096", "write size=4096"},
        {"size", "8191", "not a multiple", "write size=8192"},
        {"size", "4097", "not a multiple", "write size=8192"},
        {"size", "9E", "more than", "at most size=16T"},
        {"size", "17T", "more than", "at most size=16T"},
        {"size", "17592186048512", "more than", "at most size=16T"},
        {"size", "", "not a size", "size=8G"},
        {"size", "lots", "not a size", "size=8G"},
        {"compressor", "gzip", "unknown codec", "lz4, zstd, zstd:-7 to zstd:19, none"},
        {"compressor", "", "unknown codec", "lz4"},
        {"compressor", "zst", "unknown codec", "zstd"},
        {"compressor", "zstdx", "unknown codec", "zstd"},
        {"compressor", "ZSTD", "unknown codec", "zstd"},
        {"compressor", "zstd:99", "-7 to 19", "compressor=zstd:1"},
        {"compressor", "zstd:-8", "-7 to 19", "compressor=zstd:1"},
        {"compressor", "zstd:20", "-7 to 19", "compressor=zstd:1"},
        {"compressor", "zstd:", "-7 to 19", "compressor=zstd:1"},
        {"compressor", "zstd:1x", "-7 to 19", "compressor=zstd:1"},
        {"compressor", "zstd:1:2", "-7 to 19", "compressor=zstd:1"},
        {"compressor", "lz4:5", "no levels", "write compressor=lz4"},
        {"compressor", "lz4:", "no levels", "write compressor=lz4"},
        {"compressor", "none:1", "no levels", "write compressor=none"},
        {"memory-limit", "much", "not a size", "memory-limit=2G"},
        {"memory-limit", "-1", "not a size", "memory-limit=2G"},
        {"memory-lock", "maybe", "neither yes nor no", "memory-lock=true"},
        {"memory-lock", "", "neither yes nor no", "memory-lock=true"},
        {"memory_limit", "1G", "unknown parameter", "memory-limit"},
        {"frobnicate", "1", "unknown parameter",
         "size compressor memory-limit memory-lock"},
        {"", "", "unknown parameter", "size"},
    };

    for (unsigned i = 0; i < COUNT(refused); i++) {
        setup();
        ck_assert_msg(set(refused[i].key, refused[i].value) == -EINVAL, "%s=%s",
                      refused[i].key, refused[i].value);
        assert_says(refused[i].key, refused[i].value, refused[i].says,
                    refused[i].write);
    }
}
END_TEST

START_TEST(a_very_long_value_is_refused_all_the_same)
{
    static char value[4096];

    memset(value, 'x', sizeof value - 1);
    ck_assert_int_eq(set("size", value), -EINVAL);
    ck_assert_uint_lt(strlen(reason.text), sizeof reason.text);
    ck_assert_int_eq(set("compressor", value), -EINVAL);
    ck_assert_int_eq(set(value, value), -EINVAL);
}
END_TEST

START_TEST(good_values_are_taken)
{
    ck_assert_int_eq(set("size", "16T"), 0);
    ck_assert_uint_eq(options.size, UINT64_C(16) << 40);
    ck_assert_int_eq(set("compressor", "zstd:-7"), 0);
    ck_assert_int_eq(options.compressor.id, CODEC_ZSTD);
    ck_assert_int_eq(options.compressor.level, -7);
    ck_assert_int_eq(set("memory-limit", "2G"), 0);
    ck_assert_uint_eq(options.memory_limit, UINT64_C(2) << 30);
    ck_assert_int_eq(set("memory-lock", "yes"), 0);
    ck_assert(options.memory_lock);
    ck_assert_int_eq(options_complete(&options, &reason), 0);
}
END_TEST

START_TEST(none_takes_back)
{
    ck_assert_int_eq(set("size", "1G"), 0);
    ck_assert_int_eq(set("memory-limit", "none"), 0);
    ck_assert_uint_eq(options.memory_limit, UINT64_MAX);
    ck_assert_int_eq(set("idle-age", "none"), 0);
    ck_assert_uint_eq(options.idle_age, 0);
    ck_assert_int_eq(set("writeback-limit", "none"), 0);
    ck_assert_uint_eq(options.writeback_limit, UINT64_MAX);
    ck_assert_int_eq(options_complete(&options, &reason), 0);
}
END_TEST

START_TEST(all_levels_of_all_codecs_are_taken)
{
    char value[32];

    for (int level = -7; level <= 19; level++) {
        setup();
        snprintf(value, sizeof value, "zstd:%d", level);
        ck_assert_int_eq(set("compressor", value), 0);
        ck_assert_int_eq(options.compressor.level, level);
    }
    setup();
    ck_assert_int_eq(set("compressor", "lz4"), 0);
    ck_assert_int_eq(options.compressor.id, CODEC_LZ4);
    setup();
    ck_assert_int_eq(set("compressor", "none"), 0);
    ck_assert_int_eq(options.compressor.id, CODEC_NONE);
    setup();
    ck_assert_int_eq(set("compressor", "zstd"), 0);
    ck_assert_int_eq(options.compressor.level, 1);
}
END_TEST

START_TEST(what_is_left_out_has_its_default)
{
    ck_assert_int_eq(options.compressor.id, CODEC_ZSTD);
    ck_assert_int_eq(options.compressor.level, 1);
    ck_assert_uint_eq(options.memory_limit, UINT64_MAX);
    ck_assert(!options.memory_lock);
}
END_TEST

START_TEST(a_parameter_given_twice_is_refused)
{
    static const struct {
        const char *key, *value;
    } each[] = {{"size", "1M"},
                {"compressor", "lz4"},
                {"memory-limit", "64M"},
                {"memory-lock", "no"}};

    for (unsigned i = 0; i < COUNT(each); i++) {
        setup();
        ck_assert_int_eq(set(each[i].key, each[i].value), 0);
        ck_assert_int_eq(set(each[i].key, each[i].value), -EINVAL);
        assert_says(each[i].key, each[i].value, "given before", "write it once");
    }
}
END_TEST

START_TEST(size_cannot_be_left_out)
{
    ck_assert_int_eq(options_complete(&options, &reason), -EINVAL);
    ck_assert_ptr_nonnull(strstr(reason.text, "size=SIZE is missing"));
    ck_assert_ptr_nonnull(strstr(reason.text, "size=8G"));
}
END_TEST

START_TEST(a_limit_under_what_tables_take_is_refused_with_the_least)
{
    struct volume *volume;
    unsigned long long least;
    char value[32];

    ck_assert_int_eq(set("size", "1G"), 0);
    ck_assert_int_eq(set("memory-limit", "64k"), 0);
    ck_assert_int_eq(volume_open(&options, &volume, &reason), -EINVAL);
    assert_says("memory-limit", "64k", "tables, codecs and buffers",
                "at least memory-limit=");

    /* What it says to write does. */
    const char *at = strstr(reason.text, "at least memory-limit=");
    ck_assert_int_eq(sscanf(at, "at least memory-limit=%lluk", &least), 1);
    setup();
    ck_assert_int_eq(set("size", "1G"), 0);
    snprintf(value, sizeof value, "%lluk", least);
    ck_assert_int_eq(set("memory-limit", value), 0);
    ck_assert_int_eq(volume_open(&options, &volume, &reason), 0);
    ck_assert_int_eq(volume_start(volume, &reason), 0);
    harness_close(volume);

    /* One less does not. */
    setup();
    ck_assert_int_eq(set("size", "1G"), 0);
    snprintf(value, sizeof value, "%lluk", least - 1);
    ck_assert_int_eq(set("memory-limit", value), 0);
    ck_assert_int_eq(volume_open(&options, &volume, &reason), -EINVAL);
}
END_TEST

START_TEST(help_and_keys_name_every_parameter)
{
    static const char *const keys[] = {
#define OPTION(name, key, value, fallback, help) key "=" value, " " key,
#include "options.def"
#undef OPTION
    };

    for (unsigned i = 0; i < COUNT(keys); i += 2) {
        ck_assert_ptr_nonnull(strstr(options_help, keys[i]));
        ck_assert_ptr_nonnull(strstr(options_keys, keys[i + 1]));
    }
}
END_TEST

HARNESS_MAIN_WITH("unit-options", setup, teardown,
                  a_refusal_names_parameter_value_bound_and_remedy,
                  a_very_long_value_is_refused_all_the_same, good_values_are_taken,
                  none_takes_back, all_levels_of_all_codecs_are_taken,
                  what_is_left_out_has_its_default, a_parameter_given_twice_is_refused,
                  size_cannot_be_left_out,
                  a_limit_under_what_tables_take_is_refused_with_the_least,
                  help_and_keys_name_every_parameter)
