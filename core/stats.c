/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "stats.h"

const char *stat_name(enum stat_id stat)
{
    static const char *const names[STAT_COUNT] = {
#define STAT(name, kind, unit, source, help) #name,
#include "stats.def"
#undef STAT
    };
    return names[stat];
}
