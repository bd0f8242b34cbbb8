/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "kept.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "backing-faulty.h"
#include "sample.h"
#include "statedir.h"

char kept_directory[64];
struct model kept_model;
unsigned char *kept_store;

void kept_setup(void)
{
    statedir_make(kept_directory, sizeof kept_directory);
    model_open(&kept_model, KEPT_SIZE);
    kept_store = calloc(1, KEPT_STORE_BYTES);
    ck_assert_ptr_nonnull(kept_store);
}

void kept_teardown(void)
{
    free(kept_store);
    model_close(&kept_model);
    statedir_remove(kept_directory);
}

/* -- Opening, refused or not. -- */

static int try_options(const struct options *options, struct reason *reason)
{
    struct volume *volume;
    int r = volume_open(options, &volume, reason);

    if (r < 0)
        return r;
    r = volume_start(volume, reason);
    volume_close(volume);
    return r;
}

/* KEY, VALUE, ... NULL; then words of the sentence, and NULL. */
void kept_refused(int err, const char *key, ...)
{
    struct options options;
    struct reason reason;
    const char *word;
    va_list args;

    options_init(&options);
    va_start(args, key);
    for (; key; key = va_arg(args, const char *))
        ck_assert_int_eq(
            options_set(&options, key, va_arg(args, const char *), &reason), 0);
    reason.text[0] = '\0';
    ck_assert_int_eq(try_options(&options, &reason), err);
    while ((word = va_arg(args, const char *)))
        ck_assert_msg(strstr(reason.text, word) != NULL, "no \"%s\" in: %s", word,
                      reason.text);
    va_end(args);
}

struct volume *kept_open_plain(void)
{
    return harness_open("size", KEPT_SIZE_TEXT, "compressor", "lz4", "state",
                        kept_directory, NULL);
}

struct volume *kept_open_stored(void)
{
    struct faulty *faulty = faulty_new_in(kept_store, KEPT_STORE_BYTES);

    return harness_open_with(faulty_backing(faulty), "size", KEPT_SIZE_TEXT,
                             "compressor", "lz4", "memory-limit", "1G", "state",
                             kept_directory, NULL);
}

/* Pages of every state that can be in RAM, from PAGE FROM on. */
void kept_write_pages(struct volume *volume, uint64_t from, uint64_t count)
{
    unsigned char data[PAGE];

    for (uint64_t page = from; page < from + count; page++) {
        if (page % 7 == 0)
            memset(data, (int)page % 255 + 1, PAGE);
        else if (page % 7 == 1)
            sample_sized(PAGE, page, data);
        else
            sample_sized(100 + (uint32_t)(page * 37 % 3000), page, data);
        model_write_both(&kept_model, volume, page * PAGE, PAGE, data);
    }
    model_trim_both(&kept_model, volume, (from + count / 2) * PAGE, 5 * PAGE);
}

void kept_make_plain(void)
{
    struct volume *volume = kept_open_plain();

    kept_write_pages(volume, 0, KEPT_PAGES);
    volume_close(volume);
}

void kept_make_stored(void)
{
    struct volume *volume = kept_open_stored();

    kept_write_pages(volume, 0, KEPT_PAGES);
    ck_assert_int_eq(volume_writeback(volume), 0);
    kept_write_pages(volume, KEPT_PAGES / 2, KEPT_PAGES);
    volume_close(volume);
}

void kept_expect_all(struct volume *volume)
{
    harness_check(volume);
    model_compare_all(&kept_model, volume);
    model_compare_extents(&kept_model, volume, 0, KEPT_SIZE);
    volume_close(volume);
}
