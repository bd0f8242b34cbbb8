/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "notice.h"

#include <inttypes.h>
#include <string.h>

static const char *const state_sentences[BACKING_STATE_COUNT] = {
    [BACKING_OK] = "the backing store is well again",
    [BACKING_FULL] = "the backing store is full: pages stay in RAM, and writes past "
                     "memory-limit get ENOSPC; use a larger one",
    [BACKING_OVER_BUDGET] =
        "writeback-limit is used up: pages stay in RAM until it refills, "
        "and writes past memory-limit get ENOSPC",
    [BACKING_AWAY] =
        "the NBD server behind this one does not answer: reads of stored pages "
        "wait for backing-timeout and are then EIO, pages in RAM stay there, and "
        "writes past memory-limit get ENOSPC",
    [BACKING_FAILED] =
        "the backing store fails again and again: pages stay in RAM, and writes "
        "past memory-limit get ENOSPC",
};

static bool is_due(uint64_t said_ms, uint64_t every_ms, uint64_t now_ms)
{
    return said_ms == 0 || now_ms - said_ms >= every_ms;
}

static bool failures_are_due(struct notice_said *said,
                             const struct notice_failures *failures, uint64_t now_ms)
{
    if (failures->count == said->count ||
        !is_due(said->at_ms, NOTICE_FAILURES_MS, now_ms))
        return false;
    said->at_ms = now_ms;
    return true;
}

/* What was counted since it was said last. */
static uint64_t take_new(struct notice_said *said,
                         const struct notice_failures *failures)
{
    uint64_t count = failures->count - said->count;

    said->count = failures->count;
    return count;
}

bool notice_look(struct notice *notice, const struct notice_view *view, uint64_t now_ms,
                 struct reason *sentence)
{
    if (view->state != notice->state &&
        is_due(notice->state_ms, NOTICE_STATE_MS, now_ms)) {
        notice->state = view->state;
        notice->state_ms = now_ms;
        reason_say(sentence, 0, "%s", state_sentences[view->state]);
        return true;
    }
    if (failures_are_due(&notice->writes, &view->writes, now_ms)) {
        reason_say(
            sentence, 0,
            "writing to the backing store failed (%" PRIu64
            " since the last such line): %s; the pages stay in RAM, and it is tried "
            "again",
            take_new(&notice->writes, &view->writes), strerror(view->writes.err));
        return true;
    }
    if (failures_are_due(&notice->reads, &view->reads, now_ms)) {
        reason_say(sentence, 0,
                   "reading from the backing store failed (%" PRIu64
                   " since the last such line): %s",
                   take_new(&notice->reads, &view->reads), strerror(view->reads.err));
        return true;
    }
    if (failures_are_due(&notice->checksums, &view->checksums, now_ms)) {
        reason_say(sentence, 0,
                   "%" PRIu64
                   " pages came back from the backing store other than they were "
                   "written: it is bad, or somebody else writes to it",
                   take_new(&notice->checksums, &view->checksums));
        return true;
    }
    return false;
}
