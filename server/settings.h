/* settings.h - what the command line says
 *
 * Owns:    nothing; values are borrowed.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   opens anything.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SETTINGS_H
#define ZSLOT_SETTINGS_H

#include <stdbool.h>

#include "listen.h"
#include "options.h"
#include "reason.h"

#define SETTINGS_THREADS_MAX 256
#define SETTINGS_POLL_US_MAX 10000

enum setting_id {
#define SETTING(name, key, value, fallback, help) SETTING_##name,
#include "settings.def"
#undef SETTING
    SETTING_COUNT
};

struct settings {
    struct options options; /* of the volume */
    unsigned seen;          /* a bit for each setting */
    unsigned listen_count;
    const char *listen[LISTEN_FDS_MAX];
    const char *export;
    unsigned threads, poll_us, max_connections;
    bool foreground;
    const char *pid_file;
};

/* What --help prints, after the volume's own. */
extern const char settings_help[];

void settings_init(struct settings *settings);

/* One argument, --KEY=VALUE. -EINVAL with a sentence. */
int settings_set(struct settings *settings, const char *argument,
                 struct reason *reason);

#endif
