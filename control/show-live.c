/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "show.h"

#define BAR 40
#define JOB_POLL_S 0.1

static void pause_for(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

static void print_bar(double part)
{
    unsigned full = part > 1 ? BAR : (unsigned)(part * BAR + 0.5);

    putchar('[');
    for (unsigned i = 0; i < BAR; i++)
        putchar(i < full ? '#' : ' ');
    putchar(']');
}

/* -- Long work. -- */

static double part_done(const json_t *job)
{
    uint64_t total = client_number(job, "total");

    return total == 0 ? 0 : (double)client_number(job, "done") / (double)total;
}

static void print_job_bar(const json_t *job)
{
    double part = part_done(job);
    double seconds = json_number_value(json_object_get(job, "seconds"));
    char rate[16];

    printf("\r");
    print_bar(part);
    show_size(seconds > 0 ? (double)client_number(job, "bytes") / seconds : 0, rate,
              sizeof rate);
    printf(" %3.0f%% %s/s ", part * 100, rate);
    if (part > 0.01)
        printf("%.0f s left   ", seconds * (1 - part) / part);
    fflush(stdout);
}

static int print_job_end(const json_t *job, bool is_terminal)
{
    const char *error = json_string_value(json_object_get(job, "error"));
    char size[16];

    if (is_terminal)
        printf("\r\033[K");
    show_size((double)client_number(job, "bytes"), size, sizeof size);
    printf("%s: %s, %" PRIu64 " pages, %s, %.1f s\n",
           json_string_value(json_object_get(job, "verb")),
           json_string_value(json_object_get(job, "state")),
           client_number(job, "pages"), size,
           json_number_value(json_object_get(job, "seconds")));
    if (!error)
        return EXIT_DONE;
    fflush(stdout);
    fprintf(stderr, "zslotctl: %s\n", error);
    return EXIT_REFUSED;
}

int show_job(const char *path, json_t *begun)
{
    bool is_terminal = isatty(STDOUT_FILENO);
    uint64_t id = client_number(json_object_get(begun, "job"), "id");

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
            r = is_ours ? print_job_end(job, is_terminal) : EXIT_DONE;
            json_decref(answer);
            return r;
        }
        if (is_terminal)
            print_job_bar(job);
        json_decref(answer);
        pause_for(JOB_POLL_S);
    }
}

/* -- Live. -- */

static void print_tiers(const json_t *stats)
{
    static const char *const tiers[] = {"same", "compressed", "huge", "stored",
                                        "empty"};
    const json_t *slots = json_object_get(stats, "slots");
    double all = (double)client_number(stats, "disk_size") / 4096;

    for (unsigned i = 0; i < sizeof tiers / sizeof *tiers; i++) {
        uint64_t pages = client_number(slots, tiers[i]);
        char size[16];

        show_size((double)pages * 4096, size, sizeof size);
        printf("%-11s ", tiers[i]);
        print_bar(all > 0 ? (double)pages / all : 0);
        printf(" %8s  %" PRIu64 " pages\n", size, pages);
    }
}

static void print_ages(const json_t *stats)
{
    const json_t *ages = json_object_get(stats, "ages"), *age;
    double unit = json_number_value(json_object_get(ages, "unit_seconds"));
    uint64_t most = 1;
    size_t i;

    if (unit == 0)
        return;
    json_array_foreach(json_object_get(ages, "pages"), i,
                       age) if ((uint64_t)json_integer_value(age) > most) most =
        (uint64_t)json_integer_value(age);
    printf("ages        ");
    json_array_foreach(json_object_get(ages, "pages"), i, age)
        putchar(" .:-=+*#@"[json_integer_value(age) * 8 / (json_int_t)most]);
    printf("  0 to %.0f s and more\n", unit * (double)(i - 1));
}

static void print_latencies(const json_t *stats)
{
    const json_t *all = json_object_get(stats, "read_latency"), *one;
    const char *source;

    printf("%-11s %10s %10s %10s  us\n", "reads", "p50", "p99", "p999");
    json_object_foreach((json_t *)all, source, one)
    {
        static const char *const quantiles[] = {"p50", "p99", "p999"};

        printf("%-11s", source);
        for (unsigned i = 0; i < 3; i++) {
            const json_t *value = json_object_get(one, quantiles[i]);

            if (json_is_number(value))
                printf(" %10.1f", json_number_value(value) * 1e6);
            else
                printf(" %10s", "-");
        }
        printf("\n");
    }
}

static void print_rates(const json_t *now, const json_t *before, double seconds)
{
    static const struct {
        const char *name, *key;
    } rates[] = {
        {"reads", "pages_read"},     {"writes", "pages_written"},
        {"trims", "pages_trimmed"},  {"fetches", "bd_reads"},
        {"evictions", "bd_writes"},  {"promotions", "promotions"},
        {"waits", "writers_waited"},
    };

    printf("per second ");
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        double change = (double)client_number(now, rates[i].key) -
                        (double)client_number(before, rates[i].key);

        printf(" %s %.0f", rates[i].name,
               before && seconds > 0 ? change / seconds : 0.0);
    }
    printf("\n");
}

static void print_top(const char *path, const json_t *now, const json_t *before,
                      double seconds)
{
    double objects = (double)client_number(now, "compr_data_size");
    double data = (double)client_number(now, "orig_data_size") -
                  4096.0 * (double)client_number(now, "bd_count");
    uint64_t limit = client_number(now, "mem_limit");
    char total[16], most[16];

    show_size((double)client_number(now, "mem_used_total"), total, sizeof total);
    show_size((double)limit, most, sizeof most);
    printf(
        "%s  %s  RAM %s of %s  ratio %.2f  backing store %s\n\n", path,
        json_string_value(json_object_get(now, "compressor")), total,
        limit ? most : "no limit", objects > 0 ? data / objects : 0.0,
        json_string_value(json_object_get(json_object_get(now, "backing"), "state")));
    print_tiers(now);
    print_ages(now);
    print_rates(now, before, seconds);
    print_latencies(now);
    fflush(stdout);
}

int show_top(const char *path, double interval_s, unsigned count)
{
    bool is_terminal = isatty(STDOUT_FILENO);
    json_t *before = NULL;
    int r = EXIT_DONE;

    for (unsigned n = 0; count == 0 || n < count; n++) {
        json_t *now;

        if (n > 0)
            pause_for(interval_s);
        r = client_ask(path, "GET", "/v1/stats", &now);
        if (r != EXIT_DONE)
            break;
        if (is_terminal)
            printf("\033[H\033[J");
        print_top(path, now, before, interval_s);
        json_decref(before);
        before = now;
    }
    json_decref(before);
    return r;
}
