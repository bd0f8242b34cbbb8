/* http.h - one HTTP/1.1 request as bytes, and as what was asked for
 *
 * Owns:    nothing.
 * Called:  by anybody.
 * Locks:   none.
 * Never:   does I/O or allocates.  Whatever the bytes are, it reads no others and says a
 *          status for what it refuses.
 *
 * Of HTTP it knows what curl, Prometheus and browsers send to read a page: GET, HEAD and
 * POST with a query and without a body.  libevent's evhttp would do as well for that, but
 * bounds neither the number of connections nor the time that a request takes (2.1).
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_HTTP_H
#define ZSLOT_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "reason.h"

/* Bytes, with all headers.  A browser sends the cookies of every server on 127.0.0.1 to each
 * of them, whatever its port. */
#define HTTP_REQUEST_MAX 8192u
#define HTTP_PARAMETERS_MAX 8u
#define HTTP_TEXT_MAX                                                                  \
    128u /* bytes of a path, a key, a value or a host, with their end */

struct http_request {
    char method[8];
    char path[HTTP_TEXT_MAX];
    struct {
        char key[HTTP_TEXT_MAX], value[HTTP_TEXT_MAX]; /* decoded */
    } parameters[HTTP_PARAMETERS_MAX];
    unsigned parameter_count;
    char host[HTTP_TEXT_MAX]; /* "" if there is none */
    bool has_origin;          /* a web page asks */
    bool keep_alive;
};

/* Reads the request that BYTES begin with.  Returns its length, or 0 when more bytes are
 * wanted; or -STATUS (400, 413, 414, 431, 501, 505) with a sentence, after which nothing
 * more can be read from where they came. */
int http_parse(const char *bytes, size_t length, struct http_request *request,
               struct reason *reason);

/* The value of a parameter; NULL: not given. */
const char *http_value(const struct http_request *request, const char *key);

/* "Not Found" and so on. */
const char *http_phrase(int status);

#endif
