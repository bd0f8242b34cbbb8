/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parse_text parse_text_of_size(uint64_t bytes)
{
    static const char units[] = "kMGTPE";
    struct parse_text made;
    unsigned unit = 0;

    while (units[unit] && bytes > 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(made.text, sizeof made.text, "%" PRIu64 "%.*s", bytes, unit > 0,
             unit > 0 ? &units[unit - 1] : "");
    return made;
}

int parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "bkmgtpe";
    bool negative = *text == '-';
    const char *digits = text + negative;
    char *end;

    if (!isdigit((unsigned char)*digits))
        return -EINVAL;
    errno = 0;
    unsigned long long number = strtoull(digits, &end, 10);
    bool overflow = errno == ERANGE;

    uint64_t scale = 1;
    if (*end) {
        const char *unit = strchr(units, tolower((unsigned char)*end));

        if (tolower((unsigned char)*end) == 's')
            scale = 512;
        else if (unit)
            scale = UINT64_C(1) << 10 * (unit - units);
        else
            return -EINVAL;
        if (end[1])
            return -EINVAL;
    }
    if (negative || overflow || number > INT64_MAX / scale)
        return -ERANGE;
    *bytes = number * scale;
    return 0;
}

int parse_bool(const char *text, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        {"true", true},   {"yes", true}, {"on", true},   {"1", true},
        {"false", false}, {"no", false}, {"off", false}, {"0", false},
    };

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return 0;
        }
    return -EINVAL;
}

int parse_int(const char *text, int *value)
{
    const char *digits = text + (*text == '-');
    char *end;

    if (!isdigit((unsigned char)*digits))
        return -EINVAL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno == ERANGE || number < INT_MIN || number > INT_MAX)
        return -ERANGE;
    *value = (int)number;
    return 0;
}
