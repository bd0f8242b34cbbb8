/* zslotctl.c - asks and steers a running zslot, by its control socket
 *
 * Owns:    its command line.
 * Called:  by people and scripts.
 * Locks:   none.
 * Never:   knows what a value may be: the server says so.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "show.h"

#define SOCKET_USUAL "/run/zslot.sock"
#define SOCKETS_MAX 64u
#define TARGET_MAX 1500

static const char *sockets[SOCKETS_MAX];
static unsigned socket_count;
static struct show_style style;
static double interval_s = 1;
static unsigned times;
static bool is_given[UCHAR_MAX + 1]; /* by the letter of an option */

static void help(void)
{
    printf(
        "Usage: zslotctl [OPTION...] COMMAND [ARGUMENT...]\n"
        "\n"
        "Commands:\n"
        "  stat                   a table, a line per server\n"
        "  top                    the same and more, live\n"
        "  idle [SECONDS]         mark pages idle, all or those not accessed for so "
        "long\n"
        "  writeback TYPE [MAX]   write pages back: all, idle, huge or huge_idle ones\n"
        "  compact                move objects together\n"
        "  recompress CODEC TYPE [MAX]\n"
        "                         compress pages in RAM anew, as with zstd:9\n"
        "  retry                  try a backing store that failed or is away at once\n"
        "  set KEY=VALUE...       compressor, memory-limit, idle-age, writeback-limit\n"
        "  slots [FROM [COUNT]]   where pages are\n"
        "\n"
        "Options:\n"
        "  -s, --socket=PATH      of a server, or of several for stat; without it "
        "$ZSLOT_CONTROL,\n"
        "                         or " SOCKET_USUAL "\n"
        "  -o, --output=COLUMNS   of stat, separated by commas\n"
        "      --output-all       all columns of stat\n"
        "  -b, --bytes            sizes in bytes\n"
        "  -n, --noheadings       no line of headings\n"
        "  -r, --raw              columns separated by one space\n"
        "  -J, --json             as JSON\n"
        "  -d, --interval=SECONDS of top; 1 without it\n"
        "  -c, --count=N          of top: end after so many\n"
        "  -h, --help   -V, --version\n"
        "\n"
        "Columns of stat:\n");
    show_columns();
    printf("\nExit status: 0 done, 1 refused or failed, 2 bad usage, 3 no server\n");
}

__attribute__((format(printf, 1, 2))) static int bad_usage(const char *format, ...)
{
    va_list arguments;

    fputs("zslotctl: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("; see zslotctl --help\n", stderr);
    return EXIT_USAGE;
}

/* -- Commands. -- */

static int begin_work(char *target)
{
    json_t *answer;
    int r = client_ask(sockets[0], "POST", target, &answer);

    return r == EXIT_DONE ? show_job(sockets[0], answer) : r;
}

static int do_stat(int count, char **arguments)
{
    (void)count;
    (void)arguments;
    return show_stat(sockets, socket_count, &style);
}

static int do_top(int count, char **arguments)
{
    (void)count;
    (void)arguments;
    return show_top(sockets[0], interval_s, times);
}

static int do_idle(int count, char **arguments)
{
    char target[TARGET_MAX] = "/v1/idle";

    if (count > 0)
        client_add(target, sizeof target, "age", arguments[0]);
    return begin_work(target);
}

static int do_writeback(int count, char **arguments)
{
    char target[TARGET_MAX] = "/v1/writeback";

    client_add(target, sizeof target, "type", arguments[0]);
    if (count > 1)
        client_add(target, sizeof target, "max", arguments[1]);
    return begin_work(target);
}

static int do_compact(int count, char **arguments)
{
    char target[TARGET_MAX] = "/v1/compact";

    (void)count;
    (void)arguments;
    return begin_work(target);
}

static int do_recompress(int count, char **arguments)
{
    char target[TARGET_MAX] = "/v1/recompress";

    client_add(target, sizeof target, "codec", arguments[0]);
    client_add(target, sizeof target, "type", arguments[1]);
    if (count > 2)
        client_add(target, sizeof target, "max", arguments[2]);
    return begin_work(target);
}

static int do_retry(int count, char **arguments)
{
    json_t *answer;

    (void)count;
    (void)arguments;
    int r = client_ask(sockets[0], "POST", "/v1/retry", &answer);
    if (r == EXIT_DONE)
        json_decref(answer);
    return r;
}

static int do_set(int count, char **arguments)
{
    char target[TARGET_MAX] = "/v1/set";
    json_t *answer;

    for (int i = 0; i < count; i++) {
        char *value = strchr(arguments[i], '=');

        if (!value || value == arguments[i] ||
            strcspn(arguments[i], "?&%# ") < (size_t)(value - arguments[i]))
            return bad_usage("set: %s: not KEY=VALUE", arguments[i]);
        *value = '\0';
        client_add(target, sizeof target, arguments[i], value + 1);
    }
    int r = client_ask(sockets[0], "POST", target, &answer);
    if (r == EXIT_DONE)
        json_decref(answer);
    return r;
}

static int do_slots(int count, char **arguments)
{
    return show_slots(sockets[0], count > 0 ? arguments[0] : NULL,
                      count > 1 ? arguments[1] : NULL, &style);
}

static const struct command {
    const char *name;
    int (*run)(int count, char **arguments);
    int least, most; /* arguments */
    const char *form;
    const char *options; /* those that it heeds */
} commands[] = {
    {"stat", do_stat, 0, 0, "", "soAbnrJ"},
    {"top", do_top, 0, 0, "", "sdc"},
    {"idle", do_idle, 0, 1, " [SECONDS]", "s"},
    {"writeback", do_writeback, 1, 2, " all|idle|huge|huge_idle [MAX]", "s"},
    {"recompress", do_recompress, 2, 3, " CODEC all|idle|huge|huge_idle [MAX]", "s"},
    {"compact", do_compact, 0, 0, "", "s"},
    {"retry", do_retry, 0, 0, "", "s"},
    {"set", do_set, 1, 8, " KEY=VALUE...", "s"},
    {"slots", do_slots, 0, 2, " [FROM [COUNT]]", "snrJ"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static const struct option options[] = {
    {"socket", required_argument, NULL, 's'},
    {"output", required_argument, NULL, 'o'},
    {"output-all", no_argument, NULL, 'A'}, /* without a letter for people */
    {"bytes", no_argument, NULL, 'b'},
    {"noheadings", no_argument, NULL, 'n'},
    {"raw", no_argument, NULL, 'r'},
    {"json", no_argument, NULL, 'J'},
    {"interval", required_argument, NULL, 'd'},
    {"count", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

/* An option that the command would leave unheeded. */
static int refuse_option(const struct command *command, const struct option *option)
{
    char list[64] = "";

    for (unsigned i = 0; i < COMMANDS; i++)
        if (strchr(commands[i].options, option->val)) {
            size_t used = strlen(list);

            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                     commands[i].name);
        }
    return bad_usage("%s: there is no --%s for it, only for %s", command->name,
                     option->name, list);
}

static int check_command(const struct command *command, int count)
{
    for (const struct option *option = options; option->name; option++)
        if (is_given[option->val] && !strchr(command->options, option->val))
            return refuse_option(command, option);
    if (is_given['A'] && is_given['o'])
        return bad_usage("%s: --output-all and --output=%s; write one of the two",
                         command->name, style.columns);
    if (count < command->least || count > command->most)
        return bad_usage("%s: %s; write zslotctl %s%s", command->name,
                         count < command->least ? "something is missing"
                                                : "that is too much",
                         command->name, command->form);
    if (socket_count > 1 && command->run != do_stat)
        return bad_usage(
            "%s: one socket only; it is for stat that there can be several",
            command->name);
    return EXIT_DONE;
}

/* -- The command line. -- */

/* Below zero: go on. */
static int take_option(int option)
{
    unsigned long number;
    char *end;

    if (option >= 0 && option <= UCHAR_MAX)
        is_given[option] = true;
    switch (option) {
    case 's':
        if (*optarg == '\0')
            return bad_usage(
                "--socket=: no path; write for example --socket=" SOCKET_USUAL);
        if (socket_count == SOCKETS_MAX)
            return bad_usage("--socket=%s: more than %u sockets", optarg, SOCKETS_MAX);
        sockets[socket_count++] = optarg;
        return -1;
    case 'o':
        style.columns = optarg;
        return -1;
    case 'A':
        style.all_columns = true;
        return -1;
    case 'b':
        style.bytes = true;
        return -1;
    case 'n':
        style.no_headings = true;
        return -1;
    case 'r':
        style.raw = true;
        return -1;
    case 'J':
        style.json = true;
        return -1;
    case 'd':
        interval_s = strtod(optarg, &end);
        return *end || end == optarg || !(interval_s >= 0.1 && interval_s <= 3600)
                   ? bad_usage("--interval=%s: not seconds from 0.1 to 3600", optarg)
                   : -1;
    case 'c':
        number = strtoul(optarg, &end, 10);
        times = (unsigned)number;
        return *end || *optarg < '1' || *optarg > '9' || number > UINT_MAX
                   ? bad_usage("--count=%s: not a number from 1 to %u", optarg,
                               UINT_MAX)
                   : -1;
    case 'h':
        help();
        return EXIT_DONE;
    case 'V':
        printf("zslotctl %s\n", PACKAGE_VERSION);
        return EXIT_DONE;
    default:
        fprintf(stderr, "See zslotctl --help\n");
        return EXIT_USAGE;
    }
}

int main(int argc, char **argv)
{
    int option;

    setlocale(LC_CTYPE, ""); /* numbers stay as they are for programs */
    while ((option = getopt_long(argc, argv, "s:o:bnrJd:c:hV", options, NULL)) >= 0) {
        int r = take_option(option);

        if (r >= 0)
            return r;
    }
    if (optind == argc)
        return bad_usage("no command");
    if (socket_count == 0) {
        const char *given = getenv("ZSLOT_CONTROL");

        sockets[socket_count++] = given && *given ? given : SOCKET_USUAL;
    }
    const char *name = argv[optind++];
    for (unsigned i = 0; i < COMMANDS; i++) {
        int count = argc - optind;

        if (strcmp(name, commands[i].name) != 0)
            continue;
        int r = check_command(&commands[i], count);
        return r == EXIT_DONE ? commands[i].run(count, argv + optind) : r;
    }
    return bad_usage("%s: unknown command", name);
}
