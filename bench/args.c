/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "series.h"
#include "volume.h"

void args_die(const char *format, ...)
{
    va_list list;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(2);
}

void args_load_corpus(const char *path, struct corpus *corpus)
{
    struct reason reason;

    if (corpus_load(path, corpus, &reason) < 0)
        args_die("%s", reason.text);
}

unsigned args_rounds(int argc, char **argv, unsigned rounds, unsigned least,
                     struct corpus *corpus)
{
    const char *path = NULL;
    bool is_wrong = false;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--rounds=", 9) == 0)
            rounds = (unsigned)strtoul(argv[i] + 9, NULL, 10);
        else if (argv[i][0] == '-' || path)
            is_wrong = true;
        else
            path = argv[i];
    }
    if (is_wrong || !path || rounds < least || rounds > SERIES_MAX)
        args_die("usage: %s [--rounds=N] CORPUS", program_invocation_short_name);
    args_load_corpus(path, corpus);
    return rounds;
}

struct volume *args_open_volume(const char *size, const char *compressor,
                                struct codec_choice *choice)
{
    struct options options;
    struct reason reason;
    struct volume *volume;

    options_init(&options);
    if (options_set(&options, "size", size, &reason) < 0 ||
        options_set(&options, "compressor", compressor, &reason) < 0 ||
        volume_open(&options, &volume, &reason) < 0 ||
        volume_start(volume, &reason) < 0)
        args_die("%s", reason.text);
    *choice = options.compressor;
    return volume;
}
