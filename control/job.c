/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum job_state { STATE_NONE, STATE_RUNNING, STATE_DONE, STATE_FAILED };

struct jobs {
    struct volume *volume;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Guarded by the mutex. */
    bool ends;
    enum job_state state;
    struct job job;
    uint64_t id, begun_ms, ended_ms;
    int result;
    struct work work; /* atomic by itself */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int do_it(struct jobs *jobs, const struct job *job)
{
    switch (job->verb) {
    case JOB_IDLE:
        return volume_mark_idle(jobs->volume, job->age_s, &jobs->work);
    case JOB_WRITEBACK:
        return volume_writeback_some(jobs->volume, &job->filter, &jobs->work);
    case JOB_COMPACT:
        volume_compact(jobs->volume, &jobs->work);
        return 0;
    case JOB_RECOMPRESS:
        return volume_recompress(jobs->volume, job->codec, &job->filter, &jobs->work);
    }
    return -EINVAL;
}

static void *run(void *opaque)
{
    struct jobs *jobs = opaque;

    pthread_mutex_lock(&jobs->mutex);
    for (;;) {
        while (!jobs->ends && jobs->state != STATE_RUNNING)
            pthread_cond_wait(&jobs->changed, &jobs->mutex);
        if (jobs->ends)
            break;
        struct job job = jobs->job;
        pthread_mutex_unlock(&jobs->mutex);
        int r = do_it(jobs, &job);
        pthread_mutex_lock(&jobs->mutex);
        jobs->result = r;
        jobs->state = r < 0 ? STATE_FAILED : STATE_DONE;
        jobs->ended_ms = now_ms();
    }
    pthread_mutex_unlock(&jobs->mutex);
    return NULL;
}

int jobs_new(struct volume *volume, struct jobs **jobs)
{
    struct jobs *made = calloc(1, sizeof *made);
    sigset_t all, before;

    if (!made)
        return -ENOMEM;
    made->volume = volume;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&made->thread, NULL, run, made);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        pthread_cond_destroy(&made->changed);
        pthread_mutex_destroy(&made->mutex);
        free(made);
        return r;
    }
    *jobs = made;
    return 0;
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    jobs->work.cancelled = true;
    pthread_mutex_lock(&jobs->mutex);
    jobs->ends = true;
    pthread_cond_signal(&jobs->changed);
    pthread_mutex_unlock(&jobs->mutex);
    pthread_join(jobs->thread, NULL);
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->mutex);
    free(jobs);
}

int jobs_begin(struct jobs *jobs, const struct job *job)
{
    int r = -EBUSY;

    pthread_mutex_lock(&jobs->mutex);
    if (jobs->state != STATE_RUNNING) {
        jobs->job = *job;
        jobs->work.done = jobs->work.total = 0;
        jobs->work.pages = jobs->work.bytes = 0;
        jobs->state = STATE_RUNNING;
        jobs->id++;
        jobs->begun_ms = now_ms();
        pthread_cond_signal(&jobs->changed);
        r = 0;
    }
    pthread_mutex_unlock(&jobs->mutex);
    return r;
}

const char *filter_word(enum filter_type type)
{
    static const char *const words[FILTER_TYPE_COUNT] = {
#define T(name, word, which) word,
        FILTER_TYPES(T)
#undef T
    };
    return words[type];
}

/* Why a job did not do all of it. */
static const char *sentence(enum job_verb verb, int result)
{
    if (verb == JOB_RECOMPRESS && (result == -ENOSPC || result == -ENOMEM))
        return "no memory for the codec within memory-limit; raise it, or have pages "
               "leave or freed first";
    switch (result) {
    case -EIO:
        return "the backing store fails, or is away, as stat says; the pages stay in "
               "RAM";
    case -ENOSPC:
        return "the backing store is full";
    case -EDQUOT:
        return "writeback-limit is used up";
    case -EINVAL:
        return "there is no idle-age, so how old pages are is not known";
    case -ECANCELED:
        return "the server is ending";
    default:
        return strerror(-result);
    }
}

json_t *jobs_json(struct jobs *jobs)
{
    static const char *const verbs[] = {"idle", "writeback", "compact", "recompress"};
    static const char *const states[] = {"none", "running", "done", "failed"};
    json_t *json = json_null();

    pthread_mutex_lock(&jobs->mutex);
    if (jobs->state != STATE_NONE) {
        bool runs = jobs->state == STATE_RUNNING;
        uint64_t until_ms = runs ? now_ms() : jobs->ended_ms;

        json = json_pack(
            "{s:I, s:s, s:s?, s:s, s:I, s:I, s:I, s:I, s:f, s:s?}", "id",
            (json_int_t)jobs->id, "verb", verbs[jobs->job.verb], "type",
            jobs->job.verb == JOB_WRITEBACK || jobs->job.verb == JOB_RECOMPRESS
                ? filter_word(jobs->job.filter.type)
                : NULL,
            "state", states[jobs->state], "done", (json_int_t)jobs->work.done, "total",
            (json_int_t)jobs->work.total, "pages", (json_int_t)jobs->work.pages,
            "bytes", (json_int_t)jobs->work.bytes, "seconds",
            (double)(until_ms - jobs->begun_ms) / 1000, "error",
            jobs->state == STATE_FAILED ? sentence(jobs->job.verb, jobs->result)
                                        : NULL);
    }
    pthread_mutex_unlock(&jobs->mutex);
    return json;
}
