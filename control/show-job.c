/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "show.h"
#include "terminal.h"

#define POLL_S 0.1
#define LINE_EVERY_S 5.0 /* without a terminal */
#define BESIDE_THE_BAR 46u
#define BAR_MAX 60u

static double seconds_of(const json_t *job)
{
    return json_number_value(json_object_get(job, "seconds"));
}

static double part_done(const json_t *job)
{
    uint64_t total = client_number(job, "total");

    return total == 0 ? 0 : (double)client_number(job, "done") / (double)total;
}

/* " 45 %  12.3M/s  3 min left" */
static void print_progress(const json_t *job)
{
    double part = part_done(job), seconds = seconds_of(job);
    char rate[16];

    show_size(seconds > 0 ? (double)client_number(job, "bytes") / seconds : 0, rate,
              sizeof rate);
    printf("%3.0f %%  %s/s", part * 100, rate);
    if (part > 0.01 && seconds > 0.5) {
        double left = seconds * (1 - part) / part;

        printf(left < 100 ? "  %.0f s left" : "  %.0f min left",
               left < 100 ? left : left / 60);
    }
}

static void print_bar(const json_t *job)
{
    const char *verb = json_string_value(json_object_get(job, "verb"));
    unsigned columns = terminal_columns();
    unsigned cells = columns > BESIDE_THE_BAR + 4 ? columns - BESIDE_THE_BAR : 4;

    /* Cut at the edge: a line that wraps would be left behind each time. */
    printf("\r\033[?7l%s ", verb ? verb : "");
    putchar('[');
    terminal_bar(stdout, part_done(job), cells < BAR_MAX ? cells : BAR_MAX);
    printf("] ");
    print_progress(job);
    printf("\033[K\033[?7h");
    fflush(stdout);
}

static void print_line(const json_t *job)
{
    printf("%s: ", json_string_value(json_object_get(job, "verb")));
    print_progress(job);
    printf("\n");
    fflush(stdout);
}

static int print_end(const json_t *job)
{
    const char *error = json_string_value(json_object_get(job, "error"));
    uint64_t pages = client_number(job, "pages");
    char size[16];

    if (terminal_is_there())
        printf("\r\033[K");
    show_size((double)client_number(job, "bytes"), size, sizeof size);
    printf("%s: %s, %" PRIu64 " page%s, %s, %.1f s\n",
           json_string_value(json_object_get(job, "verb")),
           json_string_value(json_object_get(job, "state")), pages,
           pages == 1 ? "" : "s", size, seconds_of(job));
    if (!error)
        return EXIT_DONE;
    fflush(stdout);
    fprintf(stderr, "zslotctl: %s\n", error);
    return EXIT_REFUSED;
}

int show_job(const char *path, json_t *begun)
{
    uint64_t id = client_number(json_object_get(begun, "job"), "id");
    double next_line_s = LINE_EVERY_S;

    json_decref(begun);
    for (;;) {
        json_t *answer;
        int r = client_ask(path, "GET", "/v1/job", &answer);

        if (r != EXIT_DONE)
            return r;
        const json_t *job = json_object_get(answer, "job");
        const char *state = json_string_value(json_object_get(job, "state"));
        bool is_ours = client_number(job, "id") == id;
        if (!is_ours || !state || strcmp(state, "running") != 0) {
            if (is_ours)
                r = print_end(job);
            else {
                fprintf(stderr,
                        "zslotctl: %s: it has ended, how is not known: other "
                        "work was begun since\n",
                        path);
                r = EXIT_REFUSED;
            }
            json_decref(answer);
            return r;
        }
        if (terminal_is_there())
            print_bar(job);
        else if (seconds_of(job) >= next_line_s) {
            print_line(job);
            next_line_s += LINE_EVERY_S;
        }
        json_decref(answer);
        if (!terminal_pause(POLL_S))
            return EXIT_REFUSED;
    }
}
