/* server.h - the real nbdkit with the plugin, for one test
 *
 * Owns:    the nbdkit process and the socket it listens on.
 * Called:  by the test; server_connect() by several of its threads too.
 * Locks:   none.
 * Never:   makes a file, but for server_start_at(): the socket is an abstract one.  nbdkit
 *          inherits it listening, so that there is nothing to wait for.
 *
 * The server ends with the thread that started it, however that ends.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <check.h>
#include <libnbd.h>

struct server {
    pid_t pid;
    struct sockaddr_un address;
    socklen_t address_bytes;
};

/* Runs nbdkit with ARGUMENTS (ended by NULL).  Fails the test when it cannot. */
void server_start(struct server *server, const char *const *arguments);
#define SERVER_START(server, ...)                                                      \
    server_start((server), (const char *const[]){__VA_ARGS__, NULL})

/* The same with a socket at PATH, in place of what is there: for what connects by URI. */
void server_start_at(struct server *server, const char *path,
                     const char *const *arguments);
#define SERVER_START_AT(server, path, ...)                                             \
    server_start_at((server), (path), (const char *const[]){__VA_ARGS__, NULL})

/* Whether it is zslotd instead, as tests/io-zslotd.sh runs tests of the plugin. */
bool server_is_zslotd(void);

/* Ends it by SIGKILL. */
void server_kill(struct server *server);

/* Ends nbdkit by SIGTERM.  Fails the test unless it exits with 0, which it does not after a
 * sanitizer's report. */
void server_stop(struct server *server);

/* A new connection, with "base:allocation" negotiated and libnbd's own checks of requests off, so
 * that bad ones reach the server.  Fails the test when it cannot. */
struct nbd_handle *server_connect(const struct server *server);

/* A field of nbdkit's /proc/PID/status in KiB: "VmRSS", "RssShmem", ... */
uint64_t server_status_kib(const struct server *server, const char *field);

/* Fails the test unless the condition holds.  For where there are very many, or several threads:
 * each of the ck_assert() family writes to a file that it was there. */
#define MUST(condition, ...)                                                           \
    do {                                                                               \
        if (!(condition))                                                              \
            ck_abort_msg(__VA_ARGS__);                                                 \
    } while (0)

/* Fails the test unless the libnbd call succeeds. */
#define NBD_OK(call) MUST((call) != -1, "%s: %s", #call, nbd_get_error())

/* Fails the test unless the libnbd call fails with ERROR. */
#define NBD_FAILS(error, call)                                                         \
    do {                                                                               \
        MUST((call) == -1, "%s succeeds", #call);                                      \
        MUST(nbd_get_errno() == (error), "%s: %s, not %s", #call, nbd_get_error(),     \
             #error);                                                                  \
    } while (0)

#endif
