/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "show.h"
#include "terminal.h"

#define PAGE 4096.0
#define BESIDE_THE_BAR 46u
#define BAR_MAX 72u

/* Colours of SGR, as on the live page. */
enum {
    USUAL = 0,
    BOLD = 1,
    DIM = 2,
    RED = 31,
    GREEN = 32,
    YELLOW = 33,
    BLUE = 34,
    MAGENTA = 35,
    CYAN = 36
};

/* What was asked for, and when. */
struct picture {
    json_t *stats;
    double at_s;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const char *backing_word(const json_t *stats, const char *key)
{
    return json_string_value(json_object_get(json_object_get(stats, "backing"), key));
}

static unsigned bar_cells(void)
{
    unsigned columns = terminal_columns();
    unsigned cells = columns > BESIDE_THE_BAR + 8 ? columns - BESIDE_THE_BAR : 8;

    return cells < BAR_MAX ? cells : BAR_MAX;
}

static void put_bar(FILE *out, double part, unsigned color)
{
    fputc('[', out);
    terminal_color(out, color);
    terminal_bar(out, part, bar_cells());
    terminal_color(out, USUAL);
    fputc(']', out);
}

static void put_label(FILE *out, const char *label)
{
    terminal_color(out, DIM);
    fprintf(out, "%-11s", label);
    terminal_color(out, USUAL);
}

static void put_head(FILE *out, const char *path, const json_t *stats)
{
    const char *state = backing_word(stats, "state"),
               *kind = backing_word(stats, "kind");
    char size[16];

    show_size((double)client_number(stats, "disk_size"), size, sizeof size);
    terminal_color(out, BOLD);
    fprintf(out, "%s", path);
    terminal_color(out, USUAL);
    fprintf(out, "  %s  %s  backing store ", size,
            json_string_value(json_object_get(stats, "compressor")));
    bool good = strcmp(state, "ok") == 0 || strcmp(state, "none") == 0;
    terminal_color(out, good ? GREEN : RED);
    fprintf(out, "%s", state);
    terminal_color(out, USUAL);
    fprintf(out, "%s%s%s\n\n", kind ? " (" : "", kind ? kind : "", kind ? ")" : "");
}

static void put_ram(FILE *out, const json_t *stats)
{
    double objects = (double)client_number(stats, "compr_data_size");
    double data = (double)client_number(stats, "orig_data_size") -
                  PAGE * (double)client_number(stats, "bd_count");
    double used = (double)client_number(stats, "mem_used_total");
    double limit = (double)client_number(stats, "mem_limit");
    char used_text[16], limit_text[16];

    show_size(used, used_text, sizeof used_text);
    show_size(limit, limit_text, sizeof limit_text);
    put_label(out, "RAM");
    if (limit > 0) {
        put_bar(out, used / limit, BLUE);
        fprintf(out, " %s of %s", used_text, limit_text);
    } else
        fprintf(out, "%s, no limit", used_text);
    if (objects > 0)
        fprintf(out, "  ratio %.2f", data / objects);
    fputs("\n\n", out);
}

/* Parts of what has content; the rest of the disk is a number. */
static void put_tiers(FILE *out, const json_t *stats)
{
    static const struct {
        const char *name;
        unsigned color;
    } tiers[] = {
        {"compressed", BLUE}, {"same", GREEN}, {"huge", YELLOW}, {"stored", MAGENTA}};
    const json_t *slots = json_object_get(stats, "slots");
    double content = (double)client_number(stats, "orig_data_size") / PAGE;
    char size[16];

    for (unsigned i = 0; i < sizeof tiers / sizeof *tiers; i++) {
        uint64_t pages = client_number(slots, tiers[i].name);
        double part = content > 0 ? (double)pages / content : 0;

        show_size((double)pages * PAGE, size, sizeof size);
        put_label(out, tiers[i].name);
        put_bar(out, part, tiers[i].color);
        fprintf(out, " %7s %3.0f %%  %" PRIu64 " pages\n", size, part * 100, pages);
    }
    uint64_t empty = client_number(slots, "empty");
    show_size((double)empty * PAGE, size, sizeof size);
    put_label(out, "empty");
    fprintf(out, "%s, %" PRIu64 " pages\n", size, empty);
}

static void put_backing(FILE *out, const json_t *stats)
{
    double live = (double)client_number(stats, "bd_live_size");
    double all = (double)client_number(json_object_get(stats, "backing"), "size");
    uint64_t in_use = client_number(stats, "segments_in_use");
    char live_text[16], all_text[16], free_text[16];

    if (all == 0)
        return;
    show_size(live, live_text, sizeof live_text);
    show_size(all, all_text, sizeof all_text);
    show_size((double)client_number(stats, "bd_free_size"), free_text,
              sizeof free_text);
    put_label(out, "backing");
    put_bar(out, live / all, MAGENTA);
    fprintf(out, " %s of %s\n", live_text, all_text);
    put_label(out, "");
    fprintf(out, "%s can be filled, %" PRIu64 " of %" PRIu64 " segments under way\n",
            free_text, in_use, in_use + client_number(stats, "segments_free"));
}

static void put_ages(FILE *out, const json_t *stats)
{
    const json_t *ages = json_object_get(stats, "ages");
    const json_t *pages = json_object_get(ages, "pages"), *age;
    double unit = json_number_value(json_object_get(ages, "unit_seconds"));
    json_int_t most = 1;
    size_t i;

    if (unit == 0)
        return;
    json_array_foreach(pages, i, age)
    {
        if (json_integer_value(age) > most)
            most = json_integer_value(age);
    }
    put_label(out, "ages");
    fputc('[', out);
    terminal_color(out, BLUE);
    json_array_foreach(pages, i, age)
    {
        json_int_t count = json_integer_value(age);
        /* A few are not none. */
        terminal_level(out, count == 0 ? 0 : (unsigned)(1 + count * 7 / most));
    }
    terminal_color(out, USUAL);
    fprintf(out, "] 0 to %.0f s and more\n", unit * (double)(i - 1));
}

static void put_rates(FILE *out, const struct picture *now,
                      const struct picture *before)
{
    static const struct {
        const char *name, *key;
    } rates[] = {
        {"reads", "pages_read"},     {"writes", "pages_written"},
        {"trims", "pages_trimmed"},  {"fetches", "bd_reads"},
        {"writebacks", "bd_writes"}, {"promotions", "promotions"},
        {"waits", "writers_waited"}, {"failed", "failed_writes"},
    };
    const unsigned count = sizeof rates / sizeof *rates, a_line = 4;

    for (unsigned i = 0; i < count; i++) {
        double change = 0;

        if (i % a_line == 0)
            put_label(out, i == 0 ? "a second" : "");
        if (before->stats)
            change = ((double)client_number(now->stats, rates[i].key) -
                      (double)client_number(before->stats, rates[i].key)) /
                     (now->at_s - before->at_s);
        /* (another server may have begun to count) */
        bool ends_line = i % a_line == a_line - 1 || i + 1 == count;
        fprintf(out, ends_line ? "%-10s %.0f\n" : "%-10s %-7.0f", rates[i].name,
                change > 0 ? change : 0);
    }
}

static void put_latencies(FILE *out, const json_t *stats)
{
    static const char *const quantiles[] = {"p50", "p90", "p99", "p999"};
    const json_t *all = json_object_get(stats, "read_latency"), *one;
    const char *source;

    put_label(out, "reads, us");
    terminal_color(out, DIM);
    fprintf(out, "%10s %10s %10s %10s\n", "p50", "p90", "p99", "p99.9");
    terminal_color(out, USUAL);
    json_object_foreach((json_t *)all, source, one)
    {
        put_label(out, source);
        for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
            const json_t *value = json_object_get(one, quantiles[i]);
            double us = json_number_value(value) * 1e6;

            if (json_is_number(value))
                fprintf(out, us < 1000 ? " %9.1f" : " %9.0f", us);
            else
                fprintf(out, " %9s", "-");
            fputc(i + 1 < sizeof quantiles / sizeof *quantiles ? ' ' : '\n', out);
        }
    }
}

/* By malloc(); NULL: no memory. */
static char *make_text(const char *path, const struct picture *now,
                       const struct picture *before)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (!out)
        return NULL;
    put_head(out, path, now->stats);
    put_ram(out, now->stats);
    put_tiers(out, now->stats);
    fputc('\n', out);
    put_backing(out, now->stats);
    put_ages(out, now->stats);
    fputc('\n', out);
    put_rates(out, now, before);
    fputc('\n', out);
    put_latencies(out, now->stats);
    fclose(out);
    return text;
}

/* In the place of the picture before: line by line, so that nothing flickers. */
static void draw(const char *text)
{
    unsigned rows = terminal_rows();

    fputs("\033[H", stdout);
    for (unsigned row = 1; *text; row++) {
        size_t length = strcspn(text, "\n");

        printf("%.*s\033[K", (int)length, text);
        text += length + (text[length] == '\n');
        if (row == rows)
            break;
        if (*text)
            putchar('\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

int show_top(const char *path, double interval_s, unsigned count)
{
    bool on_terminal = terminal_is_there();
    struct picture before = {0}, now;
    char *text = NULL;
    int r = EXIT_DONE;

    client_end_when(terminal_wants_to_end);
    for (unsigned n = 0; count == 0 || n < count; n++) {
        if (n > 0 && !terminal_pause(interval_s))
            break;
        r = client_ask(path, "GET", "/v1/stats", &now.stats);
        if (r != EXIT_DONE) {
            if (terminal_wants_to_end())
                r = EXIT_DONE;
            break;
        }
        now.at_s = now_s();
        free(text);
        text = make_text(path, &now, &before);
        if (n == 0 && on_terminal)
            terminal_enter();
        if (on_terminal && text)
            draw(text);
        else
            printf("%s%s", n > 0 ? "\n" : "", text ? text : "");
        fflush(stdout);
        json_decref(before.stats);
        before = now;
    }
    if (on_terminal && before.stats) {
        terminal_leave();
        printf("%s", text ? text : ""); /* what was seen last stays */
        fflush(stdout);
        if (r != EXIT_DONE) /* why was said on the other screen */
            fprintf(stderr, "zslotctl: %s: no answer any more\n", path);
    }
    json_decref(before.stats);
    free(text);
    return r;
}
