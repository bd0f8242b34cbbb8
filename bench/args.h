/* args.h - what the benchmark programs take on their command line
 *
 * Owns:    nothing.
 * Called:  by main().
 * Locks:   none.
 * Never:   returns from a mistake: prints a sentence and exits with 2.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_BENCH_ARGS_H
#define ZSLOT_BENCH_ARGS_H

#include <stdint.h>

#include "corpus.h"
#include "options.h"

struct volume;

/* Ends the program with "PROGRAM: FORMAT...". */
void args_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

void args_load_corpus(const char *path, struct corpus *corpus);

/* For a program that takes [--rounds=N] CORPUS and nothing else: N, or ROUNDS if it is not there, of at
 * least LEAST; and the corpus, loaded. */
unsigned args_rounds(int argc, char **argv, unsigned rounds, unsigned least,
                     struct corpus *corpus);

/* A started volume of SIZE ("8G") with COMPRESSOR ("zstd:1"), and what that chose. */
struct volume *args_open_volume(const char *size, const char *compressor,
                                struct codec_choice *choice);

#endif
