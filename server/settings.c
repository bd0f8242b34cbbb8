/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu-latency.h"
#include "export.h"
#include "reactor.h"
#include "parse.h"
#include "settings-say.h"
#include "settings-twice.h"

#define MAX_CONNECTIONS_DEFAULT 64
#define KEY_BYTES_MAX 64

const char settings_options_help[] =
#define OPTION(name, key, value, fallback, help)                                       \
    "--" key "=" value "  (default: " fallback ")\n    " help "\n"
#include "options.def"
#undef OPTION
    ;

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
        .export_count = 1,
        .threads = processors < 1                      ? 1
                   : processors > SETTINGS_THREADS_MAX ? SETTINGS_THREADS_MAX
                                                       : (unsigned)processors,
        .max_connections = MAX_CONNECTIONS_DEFAULT,
        .cpu_latency_us = SETTINGS_CPU_LATENCY_NONE,
    };
    settings->exports[0].name = "";
    options_init(&settings->exports[0].options);
}

static struct export_settings *last_export(struct settings *settings)
{
    return &settings->exports[settings->export_count - 1];
}

/* In the background the current directory is another one.  For as long as the process lives. */
static const char *absolute(const char *path, struct reason *reason)
{
    char directory[PATH_MAX], *whole;

    if (*path == '/')
        return path;
    if (!getcwd(directory, sizeof directory) ||
        asprintf(&whole, "%s/%s", directory, path) < 0) {
        reason_say(reason, -errno, "%s: where that is cannot be found out: %s", path,
                   strerror(errno));
        return NULL;
    }
    return whole;
}

static int set_config(struct settings *settings, const char *value,
                      struct reason *reason)
{
    if (settings->are_arguments)
        return 0; /* it has been read */
    return reason_say(reason, -EINVAL,
                      "config=%s: a file cannot name another one; write what that one "
                      "says here",
                      value);
}

static int set_listen(struct settings *settings, const char *value,
                      struct reason *reason)
{
    if (settings->listen_count == LISTEN_FDS_MAX)
        return reason_say(reason, -EINVAL, "listen=%s: more than %u addresses", value,
                          LISTEN_FDS_MAX);
    settings->listen_lines[settings->listen_count] = settings->line;
    settings->listen[settings->listen_count++] = value;
    return 0;
}

static int check_export_name(const char *name, struct reason *reason)
{
    if (strlen(name) > EXPORT_NAME_BYTES_MAX)
        return reason_say(reason, -EINVAL,
                          "export=%.20s...: %zu bytes long; write a name of at most %u",
                          name, strlen(name), EXPORT_NAME_BYTES_MAX);
    return 0;
}

static int set_export(struct settings *settings, const char *value,
                      struct reason *reason)
{
    if (settings->has_sections)
        return reason_say(reason, -EINVAL,
                          "export=%s: the file has sections, which name the exports",
                          value);
    settings->exports[0].name = value;
    return check_export_name(value, reason);
}

static int set_number(const char *key, const char *value, int least, int most,
                      int example, unsigned *number, struct reason *reason)
{
    int got;

    if (parse_int(value, &got) < 0 || got < least || got > most)
        return reason_say(reason, -EINVAL,
                          "%s=%s: not a number from %d to %d; write for example %s=%d",
                          key, value, least, most, key, example);
    *number = (unsigned)got;
    return 0;
}

static int set_threads(struct settings *settings, const char *value,
                       struct reason *reason)
{
    return set_number("threads", value, 1, SETTINGS_THREADS_MAX, 4, &settings->threads,
                      reason);
}

static int set_poll(struct settings *settings, const char *value, struct reason *reason)
{
    return set_number("poll", value, 0, SETTINGS_POLL_US_MAX, 50, &settings->poll_us,
                      reason);
}

static int set_cpu_latency(struct settings *settings, const char *value,
                           struct reason *reason)
{
    if (strcmp(value, "none") == 0) {
        settings->cpu_latency_us = SETTINGS_CPU_LATENCY_NONE;
        return 0;
    }
    return set_number("cpu-latency", value, 0, CPU_LATENCY_US_MAX, 0,
                      &settings->cpu_latency_us, reason);
}

static int set_max_connections(struct settings *settings, const char *value,
                               struct reason *reason)
{
    return set_number("max-connections", value, 1, LOOP_CONNECTIONS_MAX, 4,
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
    settings->pid_file = absolute(value, reason);
    return settings->pid_file ? 0 : -EINVAL;
}

static int set_tls(struct settings *settings, const char *value, struct reason *reason)
{
    static const char *const words[] = {
        [TLS_OFF] = "off", [TLS_ON] = "on", [TLS_REQUIRE] = "require"};

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i]) == 0) {
            settings->tls.mode = (enum tls_mode)i;
            return 0;
        }
    return reason_say(reason, -EINVAL,
                      "tls=%s: neither off nor on nor require; write for example "
                      "tls=require",
                      value);
}

static int set_tls_certificates(struct settings *settings, const char *value,
                                struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "tls-certificates=: no directory; write for example "
                          "tls-certificates=/etc/pki/zslot");
    settings->tls.certificates = absolute(value, reason);
    return settings->tls.certificates ? 0 : -EINVAL;
}

static int set_tls_psk(struct settings *settings, const char *value,
                       struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "tls-psk=: no file; write for example "
                          "tls-psk=/etc/zslot/keys.psk");
    settings->tls.psk = absolute(value, reason);
    return settings->tls.psk ? 0 : -EINVAL;
}

static int set_tls_verify_peer(struct settings *settings, const char *value,
                               struct reason *reason)
{
    if (parse_bool(value, &settings->tls.verify_peer) < 0)
        return reason_say(reason, -EINVAL,
                          "tls-verify-peer=%s: neither yes nor no; write "
                          "tls-verify-peer=true or tls-verify-peer=false",
                          value);
    return 0;
}

/* Every parameter, the volume's first. */
static const struct parameter {
    const char *key, *value;
} parameters[SETTINGS_PARAMETERS] = {
#define OPTION(name, key, value, fallback, help) {key, value},
#include "options.def"
#undef OPTION
#define SETTING(name, key, value, fallback, help) {key, value},
#include "settings.def"
#undef SETTING
};

unsigned settings_find(const char *key, size_t bytes)
{
    unsigned i = 0;

    while (i < SETTINGS_PARAMETERS && (strlen(parameters[i].key) != bytes ||
                                       strncmp(parameters[i].key, key, bytes) != 0))
        i++;
    return i;
}

static int set_option(struct settings *settings, unsigned option, const char *value,
                      struct reason *reason)
{
    const char *key = parameters[option].key;

    if (settings->are_arguments && settings->export_count > 1)
        return reason_say(reason, -EINVAL,
                          "%s=%s: which of the %u exports of the file that is for "
                          "nobody can tell; write it there",
                          key, value, settings->export_count);
    if (strcmp(key, "control") == 0 && *value && !(value = absolute(value, reason)))
        return -EINVAL;
    int r = options_set(&last_export(settings)->options, key, value, reason);
    if (r == 0)
        last_export(settings)->lines[option] = settings->line;
    return r;
}

int settings_set(struct settings *settings, const char *key, const char *value,
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

    unsigned parameter = settings_find(key, strlen(key));
    if (parameter < OPTION_COUNT)
        return set_option(settings, parameter, value, reason);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(key, table[i].key) != 0)
            continue;
        if (settings->has_sections && !settings->are_arguments)
            return reason_say(reason, -EINVAL,
                              "%s=%s: that is about the server, not about one export; "
                              "write it before the first [export NAME]",
                              key, value);
        if (settings->seen & 1u << i && i != SETTING_listen)
            return reason_say(reason, -EINVAL,
                              "%s=%s: %s was given before; write it once", key, value,
                              key);
        if (i == SETTING_listen && !(settings->seen & 1u << i))
            settings->listen_count = 0; /* not those of the file */
        settings->seen |= 1u << i;
        settings->lines[i] = settings->line;
        return table[i].set(settings, value, reason);
    }
    return reason_say(reason, -EINVAL, "%s: unknown parameter; those there are:%s%s",
                      key, options_keys, settings_keys);
}

int settings_add_export(struct settings *settings, const char *name,
                        struct reason *reason)
{
    if (check_export_name(name, reason) < 0)
        return -EINVAL;
    if (!settings->has_sections && settings->exports[0].options.seen)
        return reason_say(reason, -EINVAL,
                          "[export %s]: parameters of a volume stand before it; with "
                          "sections, write each of them below its [export NAME]",
                          name);
    if (!settings->has_sections && settings->seen & 1u << SETTING_export)
        return reason_say(reason, -EINVAL,
                          "[export %s]: export= stands before it; write one of the two",
                          name);
    for (unsigned i = 0; settings->has_sections && i < settings->export_count; i++)
        if (strcmp(settings->exports[i].name, name) == 0)
            return reason_say(
                reason, -EINVAL,
                "[export %s]: there is one of that name before; write another name",
                name);
    if (settings->has_sections && settings->export_count == EXPORTS_MAX)
        return reason_say(reason, -EINVAL, "[export %s]: more than %u exports", name,
                          EXPORTS_MAX);
    settings->export_count += settings->has_sections;
    settings->has_sections = true;
    last_export(settings)->name = name;
    options_init(&last_export(settings)->options);
    return 0;
}

void settings_begin_arguments(struct settings *settings)
{
    settings->are_arguments = true;
    settings->line = SETTINGS_LINE_OF_ARGUMENTS;
    settings->file_settings = settings->seen;
    settings->seen = 0;
    for (unsigned i = 0; i < settings->export_count; i++) {
        settings->file_seen[i] = settings->exports[i].options.seen;
        settings->exports[i].options.seen = 0;
    }
}

int settings_check_argument(const char *argument, struct reason *reason)
{
    unsigned dashes = (unsigned)strspn(argument, "-");
    const char *key = argument + dashes;
    size_t bytes = strcspn(key, "=");
    unsigned parameter = settings_find(key, bytes);

    if (parameter == SETTINGS_PARAMETERS)
        return dashes == 2 && bytes > 0 && bytes < KEY_BYTES_MAX && key[bytes]
                   ? 0 /* unknown: will be told so */
                   : reason_say(
                         reason, -EINVAL,
                         "%s: not --KEY=VALUE; zslotd --help lists what there is",
                         argument);
    if (dashes == 2 && (key[bytes] || strcmp(parameters[parameter].value, "BOOL") == 0))
        return 0;
    if (key[bytes])
        return reason_say(reason, -EINVAL, "%s: write --%s", argument, key);
    return reason_say(reason, -EINVAL, "%s: write --%s=%s", argument,
                      parameters[parameter].key, parameters[parameter].value);
}

int settings_argument(struct settings *settings, const char *argument,
                      struct reason *reason)
{
    const char *equals = strchr(argument, '=');
    char key[KEY_BYTES_MAX];

    int r = settings_check_argument(argument, reason);
    if (r < 0)
        return r;
    snprintf(key, sizeof key, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    return settings_set(settings, key, equals ? equals + 1 : "true", reason);
}

/* With tls=off, said by somebody, the rest may stay where it is. */
static int complete_tls(const struct settings *settings, struct reason *reason)
{
    const struct tls_settings *tls = &settings->tls;

    if (!(settings->seen & 1u << SETTING_tls) &&
        (tls->certificates || tls->psk || tls->verify_peer))
        return reason_say(reason, -EINVAL,
                          "%s is about TLS, and nothing turns that on; write "
                          "tls=require too",
                          tls->psk            ? "tls-psk"
                          : tls->certificates ? "tls-certificates"
                                              : "tls-verify-peer");
    if (tls->mode == TLS_OFF)
        return 0;
    if (!tls->certificates == !tls->psk)
        return reason_say(
            reason, -EINVAL,
            "tls: %s; write either tls-certificates=DIRECTORY or tls-psk=FILE",
            tls->psk ? "certificates and keys cannot be used together"
                     : "nothing says by what both sides know each other");
    if (tls->verify_peer && !tls->certificates)
        return reason_say(reason, -EINVAL,
                          "tls-verify-peer is about certificates, and there are "
                          "none; leave it out, since a key is checked always");
    return 0;
}

static int complete_export(struct settings *settings, unsigned i, struct reason *reason)
{
    struct export_settings *export = &settings->exports[i];
    struct reason why;

    export->options.seen |= settings->file_seen[i];
    if (options_complete(&export->options, &why) == 0)
        return 0;
    reason_say(reason, 0, "%s%s%s%s", settings->has_sections ? "export " : "",
               settings->has_sections ? export->name : "",
               settings->has_sections ? ": " : "", why.text);
    settings_say(settings, settings_line_of(settings, i, &why), reason);
    return -EINVAL;
}

int settings_complete(struct settings *settings, struct reason *reason)
{
    settings->seen |= settings->file_settings;
    if (complete_tls(settings, reason) < 0) {
        settings_say(settings, settings_line_of(settings, 0, reason), reason);
        return -EINVAL;
    }
    for (unsigned i = 0; i < settings->export_count; i++)
        if (complete_export(settings, i, reason) < 0)
            return -EINVAL;
    return settings_check_twice(settings, reason);
}
