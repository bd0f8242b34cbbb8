/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "reason.h"

#include <stdarg.h>
#include <stdio.h>

int reason_say(struct reason *reason, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(reason->text, sizeof reason->text, format, args);
    va_end(args);
    return err;
}
