/* why.c - a sentence about what did not work
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "why.h"

#include <stdarg.h>
#include <stdio.h>

int why_set(struct why *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why->sentence, sizeof why->sentence, format, arguments);
    va_end(arguments);
    return -1;
}
