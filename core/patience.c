/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "patience.h"

#include <errno.h>

#include "parts.h"

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void patience_begin(struct patience *patience)
{
    patience->since_ms = now_ms();
}

void patience_slice(const struct patience *patience, struct timespec *until)
{
    uint64_t slice_ms =
        patience->left_ms < PATIENCE_SLICE_MS ? patience->left_ms : PATIENCE_SLICE_MS;
    uint64_t end_ms = patience->since_ms + slice_ms;

    until->tv_sec = (time_t)(end_ms / 1000);
    until->tv_nsec = (long)(end_ms % 1000) * 1000000;
}

int patience_go_on(struct patience *patience, const struct parts *parts)
{
    uint64_t now = now_ms(), gone_ms = now - patience->since_ms;

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
