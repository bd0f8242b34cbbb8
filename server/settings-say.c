/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "settings-say.h"

#include <stdio.h>
#include <string.h>

unsigned settings_line_of(const struct settings *settings, unsigned export,
                          const struct reason *reason)
{
    unsigned parameter = settings_find(reason->text, strcspn(reason->text, "=: "));

    if (parameter == SETTINGS_PARAMETERS)
        return 0;
    return parameter < OPTION_COUNT ? settings->exports[export].lines[parameter]
                                    : settings->lines[parameter - OPTION_COUNT];
}

static bool begins_a_parameter(const char *text, const char *at)
{
    size_t bytes = strspn(at, "abcdefghijklmnopqrstuvwxyz-");

    return (at == text || at[-1] == ' ') && at[bytes] == '=' &&
           settings_find(at, bytes) < SETTINGS_PARAMETERS;
}

/* As it is typed: with --. */
static void say_of_arguments(struct reason *reason)
{
    const struct reason was = *reason;
    size_t used = 0;

    for (const char *at = was.text; *at && used < sizeof reason->text; at++)
        used +=
            (size_t)snprintf(reason->text + used, sizeof reason->text - used, "%s%c",
                             begins_a_parameter(was.text, at) ? "--" : "", *at);
}

/* It has part of the file in it, and is printed at a terminal. */
static void take_controls_out(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void settings_say(const struct settings *settings, unsigned line, struct reason *reason)
{
    const struct reason was = *reason;

    if (!settings->file || line == SETTINGS_LINE_OF_ARGUMENTS)
        say_of_arguments(reason);
    else if (line > 0)
        reason_say(reason, 0, "%s:%u: %s", settings->file, line, was.text);
    else
        reason_say(reason, 0, "%s: %s", settings->file, was.text);
    take_controls_out(reason->text);
}
