/* forget-preload.c - part of the plugin in builds with a sanitizer, and only there
 *
 * nbdkit has no sanitizer, so tests/run-nbdkit gives it the runtime by LD_PRELOAD. What nbdkit
 * starts in turn (the command of --run) must not get it: a shell crashes under the thread
 * sanitizer, and its leaks would be ours under the address sanitizer. nbdkit loads its plugin
 * before it starts anything, which makes this the place to forget it.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdlib.h>

static void __attribute__((constructor)) forget_preload(void)
{
    unsetenv("LD_PRELOAD");
}
