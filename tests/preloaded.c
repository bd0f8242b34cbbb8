/* preloaded.c - a library which run-nbdkit loads into nbdkit before a sanitizer's plugin
 *
 * nbdkit has no sanitizer, so run-nbdkit gives it the runtime by LD_PRELOAD, and this beside it.
 * It is linked to be initialised before all other libraries (-z initfirst), because
 *
 * - the runtime initialises itself at the first malloc(), which otherwise comes from p11-kit,
 *   under a lock of the C library that the runtime then unlocks: any nbdkit that had said something
 *   went on to hang at exit;
 * - what nbdkit starts in turn (the command of --run) must not get the runtime: a shell crashes
 *   under the thread sanitizer, and under the address sanitizer its leaks would be ours.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

/* The C library passes these as to main(), and has not set environ yet, so that unsetenv would do
 * nothing. */
static void __attribute__((constructor))
before_all_others(int argc, char **argv, char **environment)
{
    void *volatile anything = malloc(1);
    char **kept = environment;

    (void)argc;
    (void)argv;
    free(anything);
    for (char **each = environment; *each; each++)
        if (strncmp(*each, "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0)
            *kept++ = *each;
    *kept = NULL;
}
