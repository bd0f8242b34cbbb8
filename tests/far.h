/* far.h - a server of nbdkit's own, far from the volume whose backing store it is
 *
 * Owns:    a directory with the server's socket, a file to serve and one to signal by.
 * Called:  by io-backing-nbd.c and fault-backing-nbd.c.
 * Locks:   none.
 * Never:   has the plugin: its leaks are not ours.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_FAR_H
#define TESTS_FAR_H

#include <stdbool.h>
#include <stdint.h>

#include "server.h"

/* What follows is good between the two, which run around each test. */
void far_setup(void);
void far_teardown(void);

extern char far_socket[96], far_uri[128];
extern char far_disk[96]; /* a file, once it was made */
extern char far_flag[96]; /* another, that nobody makes by itself */
extern struct server far_server;

/* A hole of BYTES. */
void far_make_disk(uint64_t bytes);

/* Starts it with ARGUMENT, ...; ends it by HOW, however it takes it: nbdkit 1.32 may abort when
 * clients leave it. */
#define FAR_START(...) SERVER_START_AT(&far_server, far_socket, __VA_ARGS__)
void far_end(int how);

/* STORE_BYTES of it (conformance-backing.h), with 100 s to wait. */
struct backing;
struct backing *far_open(bool overwrite);

uint64_t far_now_ms(void);

/* Between two looks at something that must come about before END_MS. */
void far_look_again(uint64_t end_ms);

#endif
