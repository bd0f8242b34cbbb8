/* settings.h - what the configuration file and the command line say
 *
 * Owns:    nothing; values are borrowed for as long as the process lives.
 * Called:  by one thread, before serving.
 * Locks:   none.
 * Never:   opens anything.
 *
 *   settings_init()
 *   of a file:     settings_set() and settings_add_export(), by settings_read_file()
 *   settings_begin_arguments()
 *   settings_argument()...
 *   settings_complete()
 *
 * An argument takes the place of what the file says.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SETTINGS_H
#define ZSLOT_SETTINGS_H

#include <limits.h>
#include <stdbool.h>

#include "export.h"
#include "listen.h"
#include "options.h"
#include "reason.h"
#include "tls.h"

#define SETTINGS_THREADS_MAX 256
#define SETTINGS_POLL_US_MAX 10000
#define SETTINGS_CPU_LATENCY_NONE UINT_MAX

enum setting_id {
#define SETTING(name, key, value, fallback, help) SETTING_##name,
#include "settings.def"
#undef SETTING
    SETTING_COUNT
};

#define SETTINGS_LINE_OF_ARGUMENTS UINT_MAX

/* One volume. */
struct export_settings {
    const char *name;
    struct options options;
    unsigned lines[OPTION_COUNT]; /* as settings.lines */
};

struct settings {
    unsigned seen; /* a bit for each setting, of the file or of the arguments */
    unsigned file_settings; /* those of them that the file gave */
    char *file_text;
    const char *file; /* its path; NULL: none */
    unsigned line;    /* of it, that is read now, or SETTINGS_LINE_OF_ARGUMENTS */
    unsigned lines[SETTING_COUNT]; /* where each was given; 0: nowhere */
    bool are_arguments;            /* what is set now */
    bool has_sections;             /* in the file, one for each export */
    unsigned export_count;         /* at least 1 */
    struct export_settings exports[EXPORTS_MAX];
    unsigned file_seen[EXPORTS_MAX]; /* options that the file gave */

    unsigned listen_count;
    const char *listen[LISTEN_FDS_MAX];
    unsigned listen_lines[LISTEN_FDS_MAX];
    unsigned threads, poll_us, max_connections;
    unsigned cpu_latency_us; /* or SETTINGS_CPU_LATENCY_NONE */
    bool foreground;
    const char *pid_file;
    struct tls_settings tls;
};

/* What --help prints: of a volume, and of the server. */
extern const char settings_options_help[];
extern const char settings_help[];

void settings_init(struct settings *settings);

/* KEY=VALUE of a file.  -EINVAL with a sentence; here and below. */
int settings_set(struct settings *settings, const char *key, const char *value,
                 struct reason *reason);

/* Begins a section of a file: what follows is about the export NAME. */
int settings_add_export(struct settings *settings, const char *name,
                        struct reason *reason);

void settings_begin_arguments(struct settings *settings);

/* Which parameter the BYTES at KEY name: an enum option, or OPTION_COUNT and an enum setting_id more; or
 * SETTINGS_PARAMETERS if none. */
#define SETTINGS_PARAMETERS ((unsigned)OPTION_COUNT + (unsigned)SETTING_COUNT)
unsigned settings_find(const char *key, size_t bytes);

/* Whether it has the form --KEY=VALUE, or is a BOOL's --KEY. */
int settings_check_argument(const char *argument, struct reason *reason);

/* One argument of that form. */
int settings_argument(struct settings *settings, const char *argument,
                      struct reason *reason);

/* Looks at what must be there, and what goes together.  Its sentence says where (settings-say.h). */
int settings_complete(struct settings *settings, struct reason *reason);

#endif
