/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "told.h"

#include "harness.h"

struct told told;

static void tell(void *opaque, struct event_base *base)
{
    (void)opaque;
    (void)base;
    told.result = volume_set(told.volume, told.pairs, told.count, &told.reason);
}

static void ask(void *opaque, struct event_base *base)
{
    (void)opaque;
    (void)base;
    volume_report(told.volume, &told.report);
}

int told_do(void)
{
    ck_assert_int_eq(volume_call(told.volume, tell, NULL), 0);
    return told.result;
}

int told_set(struct volume *volume, const char *key, const char *value)
{
    told = (struct told){.volume = volume, .pairs = {{key, value}}, .count = 1};
    return told_do();
}

const struct report *told_report(struct volume *volume)
{
    told.volume = volume;
    ck_assert_int_eq(volume_call(volume, ask, NULL), 0);
    return &told.report;
}
