/* arguments.h - what zslot-attach was told to do
 *
 * Owns:    nothing; strings stay those of the command line.
 * Called:  once, at the start.
 * Locks:   nothing.
 * Never:   returns when something is wrong: it prints a sentence and exits with status 2.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_ARGUMENTS_H
#define CLIENT_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tls.h"

enum { CONNECTIONS_MAX = 16 };

struct arguments {
    const char *server; /* NULL for detach */
    const char *export_name;
    uint32_t index; /* of /dev/nbdINDEX */
    unsigned connections;
    uint64_t request_timeout_s;
    uint64_t dead_timeout_s;
    int priority;
    struct tls_settings tls; /* without certificates and psk: none */
    bool detach;
    bool swap;
    bool wait;
    bool adopt;
};

void arguments_read(struct arguments *arguments, int argc, char **argv);

#endif
