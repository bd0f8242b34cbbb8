/* show.h - what zslotctl prints
 *
 * Owns:    nothing.
 * Called:  by zslotctl only.
 * Locks:   none.
 * Never:   asks a server for more than what it shows.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SHOW_H
#define ZSLOT_SHOW_H

#include <jansson.h>
#include <stdbool.h>

/* How a table is to look, as lsblk(8) has it. */
struct show_style {
    bool json, no_headings, raw, bytes;
    bool all_columns;
    const char *columns; /* names with commas; NULL: the usual ones */
};

/* A line per server of PATHS.  An exit code. */
int show_stat(const char *const *paths, unsigned count, const struct show_style *style);

/* The names of all columns and what they are, for --help. */
void show_columns(void);

/* COUNT slots from FROM on.  An exit code. */
int show_slots(const char *path, const char *from, const char *count,
               const struct show_style *style);

/* Waits until the work that JOB says has been begun is done: a bar on a terminal, else a
 * line every few seconds.  An exit code. */
int show_job(const char *path, json_t *job);

/* Statistics that are shown anew every INTERVAL_S, COUNT times, 0 for ever.  An exit
 * code. */
int show_top(const char *path, double interval_s, unsigned count);

/* BYTES as people read it, as in 1.5G. */
void show_size(double bytes, char *text, size_t room);

#endif
