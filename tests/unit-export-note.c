/* unit-export-note.c - client/export-note.h
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "client/export-note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

static char directory[32];
static struct export_info info;
static struct why why;
static bool is_there;

static const struct export_info noted = {.size_bytes = 1 << 30,
                                         .minimum_block_bytes = 1,
                                         .flags = 0x16d,
                                         .name = "a name",
                                         .description = "zslot 1234"};

static void setup(void)
{
    strcpy(directory, "/tmp/zslot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    export_note_directory = directory;
    memset(&why, 0, sizeof why);
}

static void teardown(void)
{
    export_note_remove(3);
    ck_assert_int_eq(rmdir(directory), 0);
}

static void write_file(const void *content, size_t bytes)
{
    char path[64];

    snprintf(path, sizeof path, "%s/zslot-attach-nbd3.export", directory);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content, 1, bytes, file), bytes);
    fclose(file);
}

START_TEST(what_was_noted_is_found_until_it_is_removed)
{
    ck_assert_int_eq(export_note_write(3, &noted, &why), 0);
    ck_assert_int_eq(export_note_read(3, &is_there, &info, &why), 0);
    ck_assert(is_there);
    ck_assert_int_eq(handshake_is_same(&noted, &info, &why), 0);
    ck_assert_uint_eq(info.flags, noted.flags);
    export_note_remove(3);
    ck_assert_int_eq(export_note_read(3, &is_there, &info, &why), 0);
    ck_assert(!is_there);
}
END_TEST

START_TEST(a_device_has_its_own)
{
    ck_assert_int_eq(export_note_write(3, &noted, &why), 0);
    ck_assert_int_eq(export_note_read(31, &is_there, &info, &why), 0);
    ck_assert(!is_there);
}
END_TEST

START_TEST(what_is_no_note_is_an_error_and_names_the_file)
{
    char odd[sizeof(struct export_info) + 8] = "zslotex2";

    for (size_t bytes = 0; bytes < sizeof odd; bytes += 7) {
        write_file(odd, bytes);
        ck_assert_int_eq(export_note_read(3, &is_there, &info, &why), -1);
        ck_assert_ptr_nonnull(strstr(why.sentence, "zslot-attach-nbd3.export"));
    }
    write_file(odd, sizeof odd);
    ck_assert_int_eq(export_note_read(3, &is_there, &info, &why), 0);
    odd[7] = '1'; /* an earlier one */
    write_file(odd, sizeof odd);
    ck_assert_int_eq(export_note_read(3, &is_there, &info, &why), -1);
}
END_TEST

START_TEST(texts_end)
{
    char odd[sizeof(struct export_info) + 8];

    memset(odd, 'x', sizeof odd);
    memcpy(odd, "zslotex2", 8);
    write_file(odd, sizeof odd);
    ck_assert_int_eq(export_note_read(3, &is_there, &info, &why), 0);
    ck_assert_uint_eq(strlen(info.name), sizeof info.name - 1);
    ck_assert_uint_eq(strlen(info.description), sizeof info.description - 1);
}
END_TEST

START_TEST(where_nothing_can_be_written_is_told)
{
    export_note_directory = "/tmp/zslot-there-is-no-such-directory";
    ck_assert_int_eq(export_note_write(3, &noted, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.sentence, export_note_directory));
    export_note_directory = directory;
}
END_TEST

HARNESS_MAIN_WITH("unit-export-note", setup, teardown,
                  what_was_noted_is_found_until_it_is_removed, a_device_has_its_own,
                  what_is_no_note_is_an_error_and_names_the_file, texts_end,
                  where_nothing_can_be_written_is_told)
