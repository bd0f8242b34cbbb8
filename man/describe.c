/* describe.c - fills the lists that the code declares into a manual page
 *
 * Owns:    nothing.
 * Called:  by make, when a manual page is built; not installed.
 * Locks:   none.
 * Never:   knows a parameter, a statistic, a state or a codec by name: the .def files, the
 *          X-macros of slot.h and the table of codecs do.
 *
 * Usage: describe PAGE.pod > FILLED.pod.  Copies the page.  A line "=for zslot WHAT", which POD
 * tools skip, is replaced by
 *
 *   parameter KEY    the item for that parameter, its help and its default; what is written after
 *                    it in the page goes on from there
 *   parameters       the items of all of them, as zslotd has them
 *   settings         an item for each parameter of zslotd itself
 *   codecs           an item for each codec
 *   statistics       an item for each statistic
 *   metrics          what Prometheus calls each statistic
 *   backing          an item for each state of the backing store
 *   latencies        a table of the places that reads are timed by
 *   states, marks    a table of each
 *
 * A parameter that a page with parameters leaves out, or one that there is not, ends it with status 1.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "metrics.h"
#include "options.h"
#include "slot.h"
#include "stats.h"

static bool option_any, option_seen[OPTION_COUNT];

static void describe_fallback(const char *fallback)
{
    if (strcmp(fallback, "none; required") == 0)
        printf("This parameter is required.\n");
    else if (strcmp(fallback, "unset") == 0)
        printf("By default it is unset.\n");
    else
        printf("The default is C<%s>.\n", fallback);
}

static int describe_parameter(const char *wanted)
{
    static const struct {
        const char *key, *value, *fallback, *help;
    } table[OPTION_COUNT] = {
#define OPTION(name, key, value, fallback, help) {key, value, fallback, help},
#include "options.def"
#undef OPTION
    };

    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(wanted, table[i].key) != 0)
            continue;
        option_any = option_seen[i] = true;
        printf("=item B<%s=>I<%s>\n\n%s\n", table[i].key, table[i].value,
               table[i].help);
        describe_fallback(table[i].fallback);
        return 0;
    }
    fprintf(stderr, "describe: there is no parameter %s\n", wanted);
    return -1;
}

static void describe_long(const char *key, const char *value, const char *fallback,
                          const char *help)
{
    printf("=item B<--%s=>I<%s>\n\n%s\n", key, value, help);
    describe_fallback(fallback);
    putchar('\n');
}

static void describe_parameters(void)
{
    printf("=over 4\n\n");
#define OPTION(name, key, value, fallback, help)                                       \
    describe_long(key, value, fallback, help);                                         \
    option_seen[OPTION_##name] = true;
#include "options.def"
#undef OPTION
    printf("=back\n");
}

static void describe_settings(void)
{
    printf("=over 4\n\n");
#define SETTING(name, key, value, fallback, help)                                      \
    describe_long(key, value, fallback, help);
#include "settings.def"
#undef SETTING
    printf("=back\n");
}

static void describe_codecs(void)
{
    printf("=over 4\n\n");
    for (unsigned id = CODEC_COUNT; id-- > 0;) {
        const struct codec *codec = codecs[id];

        printf("=item B<%s>", codec->name);
        if (codec->level_min != codec->level_max)
            printf(", B<%s:%d> to B<%s:%d>", codec->name, codec->level_min, codec->name,
                   codec->level_max);
        printf("\n\n%c%s.\n\n", codec->summary[0] - 'a' + 'A', codec->summary + 1);
    }
    printf("=back\n");
}

static void describe_statistics(void)
{
    static const struct {
        const char *name, *kind, *unit, *help;
    } table[STAT_COUNT] = {
#define STAT(name, kind, unit, source, help) {#name, #kind, #unit, help},
#include "stats.def"
#undef STAT
    };

    printf("=over 4\n\n");
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        bool gauge = strcmp(table[i].kind, "GAUGE") == 0;

        printf("=item B<%s> (", table[i].name);
        for (const char *letter = table[i].unit; *letter; letter++)
            putchar(*letter - 'A' + 'a');
        printf("%s)\n\n%s\n\n", gauge ? "" : ", since the start", table[i].help);
    }
    printf("=back\n");
}

static void describe_metrics(void)
{
    printf("    %-24s %s\n\n", "in /v1/stats", "in /metrics");
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        char name[METRICS_NAME_MAX];

        metrics_name((enum stat_id)i, name);
        printf("    %-24s %s\n", stat_name((enum stat_id)i), name);
    }
}

static void describe_backing(void)
{
#define S(name, word, says)                                                            \
    printf("=item B<%s>\n\n%c%s.\n\n", word, says[0] - 32, &says[1]);
    printf("=over 4\n\n");
    BACKING_STATES(S)
    printf("=back\n");
#undef S
}

static void describe_latencies(void)
{
    for (unsigned i = 0; i < LATENCY_SOURCE_COUNT; i++) {
        static const char *const says[] = {
#define S(name, word, sample, what) what,
            LATENCY_SOURCES(S)
#undef S
        };
        enum latency_source source = (enum latency_source)i;

        printf("    %-10s one of %-3u %s\n", latency_word(source),
               latency_sample(source), says[i]);
    }
}

static void describe_states(void)
{
    printf("    %-12s %-6s %-34s %s\n\n", "state", "letter", "the page is", "ref");
#define S(name, letter, marks, is, ref)                                                \
    printf("    %-12s %-6c %-34s %s\n", #name, letter, is, ref);
    SLOT_STATES(S)
#undef S
}

/* "<" and ">" would begin and end a code of POD. */
static void print_escaped(char letter)
{
    if (letter == '<' || letter == '>')
        printf(letter == '<' ? "E<lt>" : "E<gt>");
    else
        putchar(letter);
}

static void describe_marks(void)
{
    static const struct {
        const char *name;
        unsigned allowed;
    } states[SLOT_STATE_COUNT] = {
#define S(name, letter, marks, is, ref) {#name, marks},
        SLOT_STATES(S)
#undef S
    };
    static const struct {
        const char *name, *says;
        unsigned bit;
        char letter;
    } table[] = {
#define M(name, bit, letter, says) {#name, says, bit, letter},
        SLOT_MARKS(M)
#undef M
    };

    printf("=over 4\n\n");
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        printf("=item B<%s> (", table[i].name);
        print_escaped(table[i].letter);
        printf("), on");
        for (unsigned s = 0; s < SLOT_STATE_COUNT; s++)
            if (states[s].allowed & table[i].bit)
                printf(" %s", states[s].name);
        printf("\n\n%c%s.\n\n", table[i].says[0] - 'a' + 'A', table[i].says + 1);
    }
    printf("=back\n");
}

static int describe(const char *what)
{
    if (strncmp(what, "parameter ", 10) == 0)
        return describe_parameter(what + 10);
    if (strcmp(what, "parameters") == 0)
        describe_parameters();
    else if (strcmp(what, "settings") == 0)
        describe_settings();
    else if (strcmp(what, "codecs") == 0)
        describe_codecs();
    else if (strcmp(what, "statistics") == 0)
        describe_statistics();
    else if (strcmp(what, "metrics") == 0)
        describe_metrics();
    else if (strcmp(what, "backing") == 0)
        describe_backing();
    else if (strcmp(what, "latencies") == 0)
        describe_latencies();
    else if (strcmp(what, "states") == 0)
        describe_states();
    else if (strcmp(what, "marks") == 0)
        describe_marks();
    else {
        fprintf(stderr, "describe: nothing is known of \"%s\"\n", what);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char mark[] = "=for zslot ";
    char line[1024];

    FILE *page = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!page) {
        fprintf(stderr, "usage: describe PAGE.pod\n");
        return 2;
    }
    while (fgets(line, sizeof line, page)) {
        if (strncmp(line, mark, strlen(mark)) != 0) {
            fputs(line, stdout);
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        if (describe(line + strlen(mark)) < 0)
            return 1;
    }
    fclose(page);

    for (unsigned i = 0; i < OPTION_COUNT && option_any; i++)
        if (!option_seen[i]) {
            fprintf(stderr, "describe: %s leaves out a parameter; those there are:%s\n",
                    argv[1], options_keys);
            return 1;
        }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
