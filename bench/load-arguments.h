/* load-arguments.h - what bench-load takes on its command line
 *
 * Owns:    nothing.
 * Called:  by main().
 * Locks:   none.
 * Never:   returns from a mistake: prints the usage and exits with 2.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_LOAD_ARGUMENTS_H
#define ZSLOT_BENCH_LOAD_ARGUMENTS_H

#include "load.h"

/* The path of the corpus. */
const char *load_arguments(int argc, char **argv, struct load_wish *wish);

#endif
