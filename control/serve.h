/* serve.h - connections of HTTP on a listening socket
 *
 * Owns:    the listening socket, its connections and what is being sent.
 * Called:  in the thread of the event loop.
 * Locks:   none.
 * Never:   waits for a client, or knows what is asked for.
 *
 * All that a client can take is bounded: connections (those beyond wait to be accepted),
 * the bytes of a request, and the time from one answer to the end of the next.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_SERVE_H
#define ZSLOT_SERVE_H

#include "http.h"

#define SERVE_CONNECTIONS_MAX 16u
#define SERVE_REQUEST_S 10u

struct event_base;
struct serve;

struct http_response {
    int status;
    const char *type;   /* of the content */
    const char *allow;  /* methods, for 405 */
    const char *policy; /* what a page may load and run; NULL: it is none */
    char *body;         /* by malloc(); NULL: there is no memory for one */
    size_t bytes;
};

/* Answers one request. */
typedef void serve_fn(void *opaque, const struct http_request *request,
                      struct http_response *response);

/* One that was refused, for REASON. */
typedef void serve_refuse_fn(const struct reason *reason, int status,
                             struct http_response *response);

/* FD is taken.  -ENOMEM. */
int serve_new(struct event_base *base, int fd, serve_fn *answer,
              serve_refuse_fn *refuse, void *opaque, struct serve **serve);
void serve_free(struct serve *serve); /* NULL is fine */

#endif
