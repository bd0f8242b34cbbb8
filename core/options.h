/* options.h - the parameters of a volume, as people type them
 *
 * Owns:    struct options.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   opens, allocates or prints anything; what it refuses, it says in a reason.
 *
 * options.def declares each parameter once; the enum, the parser, --help, --dump-plugin
 * and the manual's list come from there.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_OPTIONS_H
#define ZSLOT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "reason.h"

enum option {
#define OPTION(name, key, value, fallback, help) OPTION_##name,
#include "options.def"
#undef OPTION
    OPTION_COUNT
};

#define OPTIONS_IDLE_AUTO UINT32_MAX

struct options {
    uint64_t size; /* bytes */
    struct codec_choice compressor;
    uint64_t memory_limit;         /* bytes; UINT64_MAX: none */
    const char *memory_limit_text; /* as it was typed; borrowed */
    bool memory_lock;
    const char *state;     /* borrowed as the next one; NULL: none */
    const char *backing;   /* borrowed from who called options_set(); NULL: none */
    uint64_t backing_size; /* bytes; 0: not given */
    const char *backing_size_text; /* as it was typed; borrowed */
    bool backing_overwrite;
    uint32_t backing_timeout; /* seconds */
    uint32_t idle_age;        /* seconds; 0: none; OPTIONS_IDLE_AUTO */
    uint64_t writeback_limit; /* bytes a day; UINT64_MAX: none */
    const char *control;      /* borrowed; NULL: none */
    unsigned control_mode;
    const char *control_group; /* borrowed; NULL: the process's */
    unsigned metrics_port;     /* 0: none */
    unsigned seen;             /* a bit per option that was given */
    bool backing_follows;      /* volume_set_backing() will be called */
};

void options_init(struct options *options);

/* Takes one KEY=VALUE.  -EINVAL with a sentence: unknown, given twice, or a bad
 * value. */
int options_set(struct options *options, const char *key, const char *value,
                struct reason *reason);

/* Looks at what must be there.  -EINVAL with a sentence. */
int options_complete(const struct options *options, struct reason *reason);

/* The list for --help, two lines per parameter. */
extern const char options_help[];

/* The keys, each after a space. */
extern const char options_keys[];

#endif
