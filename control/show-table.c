/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "show.h"

void show_size(double bytes, char *text, size_t room)
{
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;

    while (bytes >= 1023.95 && units[unit + 1]) {
        bytes /= 1024;
        unit++;
    }
    /* One decimal, unless it is 0 or there are digits enough. */
    double tenths = (double)(uint64_t)(bytes * 10 + 0.5);
    bool whole = unit == 0 || bytes >= 99.95 || (uint64_t)tenths % 10 == 0;
    snprintf(text, room, whole ? "%.0f%c" : "%.1f%c", bytes, units[unit]);
}

/* -- Columns of stat. -- */

enum form { SIZE, LIMIT, COUNT, TEXT, RATIO, BACKING, NAME };

static const struct column {
    const char *name;
    enum form form;
    const char *key; /* of /v1/stats */
    bool usual;
    const char *says;
} columns[] = {
    {"NAME", NAME, NULL, true, "control socket"},
    {"ALGORITHM", TEXT, "compressor", true, "codec in use"},
    {"DISKSIZE", SIZE, "disk_size", true, "logical size"},
    {"DATA", SIZE, "orig_data_size", true, "pages with content, uncompressed"},
    {"COMPR", SIZE, "compr_data_size", true, "objects in RAM"},
    {"TOTAL", SIZE, "mem_used_total", true, "all RAM of the volume"},
    {"LIMIT", LIMIT, "mem_limit", true, "memory-limit"},
    {"STORED", SIZE, "bd_live_size", true, "objects on the backing store"},
    {"RATIO", RATIO, NULL, true, "pages in RAM, uncompressed, to objects in RAM"},
    {"BACKING", BACKING, NULL, true, "state of the backing store"},
    {"MEM-USED", SIZE, "mem_used_max", false, "the most TOTAL ever was"},
    {"FREE", SIZE, "pool_free_size", false, "free places between objects"},
    {"SAME", COUNT, "same_pages", false, "same-filled pages"},
    {"HUGE", COUNT, "huge_pages", false, "incompressible pages"},
    {"MIGRATED", COUNT, "pages_compacted", false, "objects moved by compaction"},
    {"BD-COUNT", COUNT, "bd_count", false, "pages on the backing store"},
    {"BD-READS", COUNT, "bd_reads", false, "pages fetched"},
    {"BD-WRITES", COUNT, "bd_writes", false, "pages written back"},
    {"BD-FREE", SIZE, "bd_free_size", false, "what the backing store still takes"},
    {"SEGMENTS", COUNT, "segments_in_use", false, "segments being filled or written"},
    {"PROMOTIONS", COUNT, "promotions", false, "stored pages that went back to RAM"},
};

#define COLUMNS (sizeof columns / sizeof *columns)

/* As zramctl(8) calls them. */
static const struct {
    const char *theirs, *ours;
} other_names[] = {{"MEM-LIMIT", "LIMIT"}, {"COMP-RATIO", "RATIO"}};

void show_columns(void)
{
    for (unsigned i = 0; i < COLUMNS; i++)
        printf("  %-11s %s%s\n", columns[i].name, columns[i].says,
               columns[i].usual ? "" : " (with --output)");
}

static bool is_number(enum form form)
{
    return form != NAME && form != TEXT && form != BACKING;
}

static void format(const struct column *column, const char *path, const json_t *stats,
                   const struct show_style *style, char *text, size_t room)
{
    uint64_t number = column->key ? client_number(stats, column->key) : 0;
    double data = (double)client_number(stats, "orig_data_size") -
                  4096.0 * (double)client_number(stats, "bd_count");
    double objects = (double)client_number(stats, "compr_data_size");
    const char *word = NULL;

    *text = '\0';
    switch (column->form) {
    case NAME:
        word = path;
        break;
    case TEXT:
        word = json_string_value(json_object_get(stats, column->key));
        break;
    case BACKING:
        word = json_string_value(
            json_object_get(json_object_get(stats, "backing"), "state"));
        break;
    case LIMIT:
        if (number == 0)
            return;
        /* fall through */
    case SIZE:
        if (!style->bytes) {
            show_size((double)number, text, room);
            return;
        }
        /* fall through */
    case COUNT:
        snprintf(text, room, "%" PRIu64, number);
        return;
    case RATIO:
        if (objects > 0)
            snprintf(text, room, "%.2f", data / objects);
        return;
    }
    snprintf(text, room, "%s", word ? word : "");
}

/* -- Tables. -- */

static struct libscols_table *new_table(const char *name,
                                        const struct show_style *style)
{
    scols_init_debug(0);
    struct libscols_table *table = scols_new_table();

    if (!table)
        return NULL;
    scols_table_set_name(table, name);
    scols_table_enable_json(table, style->json);
    scols_table_enable_noheadings(table, style->no_headings);
    scols_table_enable_raw(table, style->raw);
    return table;
}

static int add_column(struct libscols_table *table, const char *name, bool is_right,
                      bool is_json_number)
{
    struct libscols_column *column =
        scols_table_new_column(table, name, 0, is_right ? SCOLS_FL_RIGHT : 0);

    if (!column)
        return -1;
    return is_json_number ? scols_column_set_json_type(column, SCOLS_JSON_NUMBER) : 0;
}

static bool is_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && strncasecmp(name, text, length) == 0;
}

/* COLUMNS: there is none. */
static unsigned find_column(const char *text, size_t length)
{
    unsigned i = 0;

    for (unsigned j = 0; j < sizeof other_names / sizeof *other_names; j++)
        if (is_name(other_names[j].theirs, text, length)) {
            text = other_names[j].ours;
            length = strlen(text);
            break;
        }
    while (i < COLUMNS && !is_name(columns[i].name, text, length))
        i++;
    return i;
}

/* Fills CHOSEN with indexes of columns; how many, or -1 after a line on standard error. */
static int choose(const struct show_style *style, unsigned chosen[COLUMNS])
{
    const char *names = style->columns;
    int n = 0;

    for (unsigned i = 0; !names && i < COLUMNS; i++)
        if (columns[i].usual || style->all_columns)
            chosen[n++] = i;
    while (names && *names) {
        size_t length = strcspn(names, ",");
        unsigned i = find_column(names, length);

        if (i == COLUMNS || n == (int)COLUMNS) {
            fprintf(stderr, "zslotctl: --output: %.*s: %s; those there are:\n",
                    (int)length, names,
                    i == COLUMNS ? "unknown column" : "too many columns");
            for (i = 0; i < COLUMNS; i++)
                fprintf(stderr, "%s%s", columns[i].name, i + 1 < COLUMNS ? "," : "\n");
            return -1;
        }
        chosen[n++] = i;
        names += length + (names[length] == ',');
    }
    return n;
}

static int no_memory(void)
{
    fprintf(stderr, "zslotctl: no memory\n");
    return EXIT_REFUSED;
}

int show_stat(const char *const *paths, unsigned count, const struct show_style *style)
{
    unsigned chosen[COLUMNS];
    int n = choose(style, chosen), status = EXIT_DONE;

    if (n == 0)
        fprintf(stderr, "zslotctl: --output: no column\n");
    if (n <= 0)
        return EXIT_USAGE;
    struct libscols_table *table = new_table("zslot", style);
    if (!table)
        return no_memory();
    for (int i = 0; i < n; i++) {
        const struct column *column = &columns[chosen[i]];
        bool number = is_number(column->form);

        if (add_column(table, column->name, number,
                       number && (column->form == COUNT || column->form == RATIO ||
                                  style->bytes)) < 0)
            return no_memory();
    }
    for (unsigned p = 0; p < count; p++) {
        json_t *stats;
        int r = client_ask(paths[p], "GET", "/v1/stats", &stats);

        if (r != EXIT_DONE) {
            status = r;
            continue;
        }
        struct libscols_line *line = scols_table_new_line(table, NULL);
        for (int i = 0; line && i < n; i++) {
            char text[256];

            format(&columns[chosen[i]], paths[p], stats, style, text, sizeof text);
            if (*text || !style->json)
                scols_line_set_data(line, (size_t)i, text);
        }
        json_decref(stats);
    }
    if (scols_table_get_nlines(table) > 0)
        scols_print_table(table);
    scols_unref_table(table);
    return status;
}

int show_slots(const char *path, const char *from, const char *count,
               const struct show_style *style)
{
    static const struct {
        const char *name, *key;
        bool number;
    } slot_columns[] = {
        {"SLOT", "slot", true}, {"STATE", "state", false},  {"MARKS", "marks", false},
        {"AGE", "age", true},   {"LENGTH", "length", true}, {"CODEC", "codec", false},
    };
    const unsigned n = sizeof slot_columns / sizeof *slot_columns;
    char target[256] = "/v1/slots";
    json_t *answer, *slot;
    size_t i;

    if (from)
        client_add(target, sizeof target, "from", from);
    if (count)
        client_add(target, sizeof target, "count", count);
    int r = client_ask(path, "GET", target, &answer);
    if (r != EXIT_DONE)
        return r;
    struct libscols_table *table = new_table("slots", style);
    if (!table)
        return no_memory();
    for (unsigned c = 0; c < n; c++)
        if (add_column(table, slot_columns[c].name, slot_columns[c].number,
                       slot_columns[c].number) < 0)
            return no_memory();
    json_array_foreach(json_object_get(answer, "slots"), i, slot)
    {
        struct libscols_line *line = scols_table_new_line(table, NULL);

        for (unsigned c = 0; line && c < n; c++) {
            const json_t *value = json_object_get(slot, slot_columns[c].key);
            char text[64];

            if (json_is_integer(value))
                snprintf(text, sizeof text, "%" PRId64,
                         (int64_t)json_integer_value(value));
            else
                snprintf(text, sizeof text, "%s",
                         json_is_string(value) ? json_string_value(value) : "");
            scols_line_set_data(line, c, text);
        }
    }
    scols_print_table(table);
    scols_unref_table(table);
    json_decref(answer);
    return EXIT_DONE;
}
