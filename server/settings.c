/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "reactor.h"
#include "parse.h"

#define MAX_CONNECTIONS_DEFAULT 64
#define KEY_BYTES_MAX 64

const char settings_help[] =
#define SETTING(name, key, value, fallback, help)                                      \
    "--" key "=" value "  (default: " fallback ")\n    " help "\n"
#include "settings.def"
#undef SETTING
    ;

static const char settings_keys[] =
#define SETTING(name, key, value, fallback, help) " " key
#include "settings.def"
#undef SETTING
    ;

void settings_init(struct settings *settings)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    *settings = (struct settings){
        .export = "",
        .threads = processors < 1                      ? 1
                   : processors > SETTINGS_THREADS_MAX ? SETTINGS_THREADS_MAX
                                                       : (unsigned)processors,
        .max_connections = MAX_CONNECTIONS_DEFAULT,
    };
    options_init(&settings->options);
}

static int set_listen(struct settings *settings, const char *value,
                      struct reason *reason)
{
    if (settings->listen_count == LISTEN_FDS_MAX)
        return reason_say(reason, -EINVAL, "listen=%s: more than %u addresses", value,
                          LISTEN_FDS_MAX);
    settings->listen[settings->listen_count++] = value;
    return 0;
}

static int set_export(struct settings *settings, const char *value,
                      struct reason *reason)
{
    if (strlen(value) > EXPORT_NAME_BYTES_MAX)
        return reason_say(reason, -EINVAL,
                          "export=%s: %zu bytes long; write a name of at most %u",
                          value, strlen(value), EXPORT_NAME_BYTES_MAX);
    settings->export = value;
    return 0;
}

static int set_number(const char *key, const char *value, int least, int most,
                      unsigned *number, struct reason *reason)
{
    int got;

    if (parse_int(value, &got) < 0 || got < least || got > most)
        return reason_say(reason, -EINVAL,
                          "%s=%s: not a number from %d to %d; write for example %s=%d",
                          key, value, least, most, key, least > 0 ? 4 : 50);
    *number = (unsigned)got;
    return 0;
}

static int set_threads(struct settings *settings, const char *value,
                       struct reason *reason)
{
    return set_number("threads", value, 1, SETTINGS_THREADS_MAX, &settings->threads,
                      reason);
}

static int set_poll(struct settings *settings, const char *value, struct reason *reason)
{
    return set_number("poll", value, 0, SETTINGS_POLL_US_MAX, &settings->poll_us,
                      reason);
}

static int set_max_connections(struct settings *settings, const char *value,
                               struct reason *reason)
{
    return set_number("max-connections", value, 1, LOOP_CONNECTIONS_MAX,
                      &settings->max_connections, reason);
}

static int set_foreground(struct settings *settings, const char *value,
                          struct reason *reason)
{
    if (parse_bool(value, &settings->foreground) < 0)
        return reason_say(reason, -EINVAL,
                          "foreground=%s: neither yes nor no; write foreground=true or "
                          "foreground=false",
                          value);
    return 0;
}

static int set_pid_file(struct settings *settings, const char *value,
                        struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "pid-file=: no path; write for example "
                          "pid-file=/run/zslotd.pid, or leave it out");
    settings->pid_file = value;
    return 0;
}

static bool is_option(const char *key)
{
    static const char *const keys[] = {
#define OPTION(name, key, value, fallback, help) key,
#include "options.def"
#undef OPTION
    };

    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static int set(struct settings *settings, const char *key, const char *value,
               struct reason *reason)
{
    static const struct {
        const char *key;
        int (*set)(struct settings *settings, const char *value, struct reason *reason);
    } table[SETTING_COUNT] = {
#define SETTING(name, key, value, fallback, help) {key, set_##name},
#include "settings.def"
#undef SETTING
    };

    if (is_option(key))
        return options_set(&settings->options, key, value, reason);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(key, table[i].key) != 0)
            continue;
        if (settings->seen & 1u << i && i != SETTING_listen)
            return reason_say(reason, -EINVAL,
                              "%s=%s: %s was given before; write it once", key, value,
                              key);
        settings->seen |= 1u << i;
        return table[i].set(settings, value, reason);
    }
    return reason_say(reason, -EINVAL, "--%s: unknown parameter; those there are:%s%s",
                      key, options_keys, settings_keys);
}

int settings_set(struct settings *settings, const char *argument, struct reason *reason)
{
    const char *equals = strchr(argument, '=');
    char key[KEY_BYTES_MAX];

    /* Alone it can only mean one thing. */
    if (strcmp(argument, "--foreground") == 0)
        return set(settings, "foreground", "true", reason);
    if (strncmp(argument, "--", 2) != 0 || !equals ||
        (size_t)(equals - argument - 2) >= sizeof key)
        return reason_say(reason, -EINVAL,
                          "%s: not --KEY=VALUE; zslotd --help lists what there is",
                          argument);
    memcpy(key, argument + 2, (size_t)(equals - argument - 2));
    key[equals - argument - 2] = '\0';
    return set(settings, key, equals + 1, reason);
}
