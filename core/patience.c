/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "patience.h"

#include <errno.h>

#include "clock.h"
#include "parts.h"

void patience_begin(struct patience *patience)
{
    patience->since_ms = clock_now_ms();
}

void patience_slice(const struct patience *patience, struct timespec *until)
{
    uint64_t slice_ms =
        patience->left_ms < PATIENCE_SLICE_MS ? patience->left_ms : PATIENCE_SLICE_MS;

    *until = clock_timespec(patience->since_ms + slice_ms);
}

int patience_go_on(struct patience *patience, const struct parts *parts)
{
    uint64_t now = clock_now_ms(), gone_ms = now - patience->since_ms;

    patience->since_ms = now;
    patience->left_ms -= gone_ms < patience->left_ms ? gone_ms : patience->left_ms;
    if (!patience->is_hurried && parts->host.is_ending &&
        parts->host.is_ending(parts->host.opaque)) {
        patience->is_hurried = true;
        if (patience->left_ms > PATIENCE_HURRIED_MS)
            patience->left_ms = PATIENCE_HURRIED_MS;
    }
    if (patience->left_ms > 0)
        return 0;
    return patience->is_hurried ? -ESHUTDOWN : -ETIMEDOUT;
}
