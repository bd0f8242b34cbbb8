/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "predecessor.h"

#include <time.h>

#define STEP_MS 20

bool predecessor_wait(struct predecessor *predecessor)
{
    static const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

    if (predecessor->waited_ms >= PREDECESSOR_MS)
        return false;
    nanosleep(&step, NULL);
    predecessor->waited_ms += STEP_MS;
    return true;
}
