/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "settings-twice.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "same-file.h"
#include "settings-say.h"

/* A path, which may be written in several ways, and the file need not be there yet. */
struct place {
    const char *path; /* NULL: none */
    const char *name; /* behind its directory, without a slash at its end */
    size_t name_bytes;
    struct stat file, directory;
    bool has_file, has_directory;
};

static struct place place_of(const char *path)
{
    struct place place = {.path = path};
    char directory[PATH_MAX];

    if (!path)
        return place;
    size_t bytes = strlen(path), name;
    while (bytes > 0 && path[bytes - 1] == '/')
        bytes--;
    for (name = bytes; name > 0 && path[name - 1] != '/'; name--)
        ;
    place.name = path + name;
    place.name_bytes = bytes - name;
    snprintf(directory, sizeof directory, "%.*s", (int)name, path);
    place.has_file = stat(path, &place.file) == 0;
    place.has_directory = stat(name > 0 ? directory : ".", &place.directory) == 0;
    return place;
}

static bool is_same_place(const struct place *one, const struct place *other)
{
    if (!one->path || !other->path)
        return false;
    return strcmp(one->path, other->path) == 0 ||
           (one->has_file && other->has_file && same_file(&one->file, &other->file)) ||
           (one->has_directory && other->has_directory && one->name_bytes > 0 &&
            one->name_bytes == other->name_bytes &&
            same_file(&one->directory, &other->directory) &&
            strncmp(one->name, other->name, one->name_bytes) == 0);
}

/* -- Exports. -- */

static int refuse(const struct settings *settings, unsigned export, unsigned other,
                  enum option option, const char *key, const char *value,
                  struct reason *reason)
{
    reason_say(reason, 0, "export %s: %s=%s: export %s has the same; write another one",
               settings->exports[export].name, key, value,
               settings->exports[other].name);
    settings_say(settings, settings->exports[export].lines[option], reason);
    return -EINVAL;
}

static int check_paths(const struct settings *settings, enum option option,
                       const char *key,
                       const char *(*path_of)(const struct options *options),
                       struct reason *reason)
{
    struct place places[EXPORTS_MAX];

    for (unsigned i = 0; i < settings->export_count; i++) {
        places[i] = place_of(path_of(&settings->exports[i].options));
        for (unsigned j = 0; j < i; j++)
            if (is_same_place(&places[i], &places[j]))
                return refuse(settings, i, j, option, key, places[i].path, reason);
    }
    return 0;
}

static int check_ports(const struct settings *settings, struct reason *reason)
{
    const struct export_settings *exports = settings->exports;

    for (unsigned i = 0; i < settings->export_count; i++)
        for (unsigned j = 0; exports[i].options.metrics_port && j < i; j++) {
            char port[16];

            if (exports[i].options.metrics_port != exports[j].options.metrics_port)
                continue;
            snprintf(port, sizeof port, "%u", exports[i].options.metrics_port);
            return refuse(settings, i, j, OPTION_metrics_port, "metrics-port", port,
                          reason);
        }
    return 0;
}

static const char *control_of(const struct options *options)
{
    return options->control;
}

static const char *backing_of(const struct options *options)
{
    return options->backing;
}

static const char *state_of(const struct options *options)
{
    return options->state;
}

/* -- Addresses. -- */

static const char *path_of_address(const char *address)
{
    static const char prefix[] = "unix:";
    size_t bytes = strlen(prefix);

    return strncmp(address, prefix, bytes) == 0 ? address + bytes : NULL;
}

static int check_address(const struct settings *settings, unsigned i,
                         struct reason *reason)
{
    const char *address = settings->listen[i];
    struct place place = place_of(path_of_address(address));

    for (unsigned j = 0; j < i; j++) {
        struct place other = place_of(path_of_address(settings->listen[j]));

        if (strcmp(address, settings->listen[j]) == 0 || is_same_place(&place, &other))
            return reason_say(reason, -EINVAL,
                              "listen=%s: it was given before; write it once", address);
    }
    for (unsigned j = 0; j < settings->export_count; j++) {
        struct place other = place_of(settings->exports[j].options.control);

        if (is_same_place(&place, &other))
            return reason_say(reason, -EINVAL,
                              "listen=%s: control=%s has the same; write another path",
                              address, other.path);
    }
    return 0;
}

int settings_check_twice(const struct settings *settings, struct reason *reason)
{
    for (unsigned i = 0; i < settings->listen_count; i++)
        if (check_address(settings, i, reason) < 0) {
            settings_say(settings, settings->listen_lines[i], reason);
            return -EINVAL;
        }
    if (check_paths(settings, OPTION_control, "control", control_of, reason) < 0 ||
        check_paths(settings, OPTION_backing, "backing", backing_of, reason) < 0 ||
        check_paths(settings, OPTION_state, "state", state_of, reason) < 0)
        return -EINVAL;
    return check_ports(settings, reason);
}
