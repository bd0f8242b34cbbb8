/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "volumes.h"

#include <stdio.h>

#include "settings-say.h"
#include "volume.h"

/* Of several exports a sentence says which. */
static int name_it(const struct export *export, unsigned of, int r,
                   struct reason *reason)
{
    const struct reason why = *reason;

    return of > 1 ? reason_say(reason, r, "export %s: %s", export->name, why.text) : r;
}

static int open_one(struct volumes *volumes, unsigned i,
                    const struct export_settings *settings, struct reason *reason)
{
    int r = volume_open(&settings->options, &volumes->volumes[i], reason);
    if (r == 0)
        r = control_open(&settings->options, volumes->volumes[i], &volumes->controls[i],
                         reason);
    if (r < 0)
        return r;
    snprintf(volumes->descriptions[i], sizeof volumes->descriptions[i], "zslot %s",
             volume_identity(volumes->volumes[i]));
    volumes->exports[i].description = volumes->descriptions[i];
    volumes->exports[i].bytes = volume_size_bytes(volumes->volumes[i]);
    volumes->exports[i].volume = volumes->volumes[i];
    return 0;
}

int volumes_open(struct volumes *volumes, const struct settings *settings,
                 struct reason *reason)
{
    *volumes = (struct volumes){.count = 0};
    while (volumes->count < settings->export_count) {
        unsigned i = volumes->count++;

        volumes->exports[i].name = settings->exports[i].name;
        int r = open_one(volumes, i, &settings->exports[i], reason);
        if (r < 0) {
            unsigned line = settings_line_of(settings, i, reason);

            name_it(&volumes->exports[i], settings->export_count, r, reason);
            settings_say(settings, line, reason);
            return r;
        }
    }
    volumes->table = (struct export_table){volumes->exports, volumes->count};
    return 0;
}

int volumes_prepare(struct volumes *volumes, face_numbers_fn *fn, void *opaque,
                    struct reason *reason)
{
    for (unsigned i = 0; i < volumes->count; i++) {
        control_set_face(volumes->controls[i], fn, opaque);
        int r = volume_prepare(volumes->volumes[i], reason);
        if (r == 0)
            r = control_start(volumes->controls[i], reason);
        if (r < 0)
            return name_it(&volumes->exports[i], volumes->count, r, reason);
    }
    return 0;
}

void volumes_begin(struct volumes *volumes)
{
    for (unsigned i = 0; i < volumes->count; i++)
        volume_begin(volumes->volumes[i]);
}

void volumes_close_controls(struct volumes *volumes)
{
    for (unsigned i = 0; i < volumes->count; i++) {
        control_close(volumes->controls[i]);
        volumes->controls[i] = NULL;
    }
}

void volumes_close(struct volumes *volumes)
{
    volumes_close_controls(volumes);
    for (unsigned i = 0; i < volumes->count; i++) {
        volume_close(volumes->volumes[i]);
        volumes->volumes[i] = NULL;
    }
}
