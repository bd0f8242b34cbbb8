/* job.h - long work that a request has asked for, one at a time
 *
 * Owns:    a thread.
 * Called:  in the thread of the volume's loop; new and free by the face's.
 * Locks:   a mutex of its own, never while the work is being done.
 * Never:   makes a request wait: it is answered when the work has begun.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_JOB_H
#define ZSLOT_JOB_H

#include <jansson.h>

#include "volume.h"

struct jobs;

enum job_verb { JOB_IDLE, JOB_WRITEBACK, JOB_COMPACT, JOB_RECOMPRESS };

struct job {
    enum job_verb verb;
    uint32_t age_s;            /* JOB_IDLE */
    struct filter filter;      /* JOB_WRITEBACK, JOB_RECOMPRESS */
    struct codec_choice codec; /* JOB_RECOMPRESS */
};

/* VOLUME is borrowed.  A negative errno. */
int jobs_new(struct volume *volume, struct jobs **jobs);

/* Ends what is being done.  NULL is fine. */
void jobs_free(struct jobs *jobs);

/* -EBUSY: another one is not done yet. */
int jobs_begin(struct jobs *jobs, const struct job *job);

/* The last job that was begun, and how far it is; null when there was none.  NULL: no
 * memory. */
json_t *jobs_json(struct jobs *jobs);

const char *filter_word(enum filter_type type);

#endif
