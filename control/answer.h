/* answer.h - which request does what
 *
 * Owns:    the table of paths.
 * Called:  in the thread of the volume's loop.
 * Locks:   none.
 * Never:   does anything for a request that it refuses.
 *
 *   -- a request --
 *   path known?                    404
 *   method of that path?           405
 *   Host and Origin ours?          403
 *   only keys that are known?      400
 *   good values?                   400
 *   can it be done now?            409
 *
 * with a sentence in {"error": ...}.
 *
 * Who may only read (from a TCP port, where every program of the machine comes in) finds
 * some of the paths with GET; all other methods are 405.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_ANSWER_H
#define ZSLOT_ANSWER_H

#include "face.h"
#include "job.h"
#include "serve.h"
#include "volume.h"

struct answer {
    struct volume *volume;
    struct jobs *jobs;
    bool reads_only;
    face_numbers_fn *face; /* NULL: it has none */
    void *face_opaque;
};

void answer_request(void *answer, const struct http_request *request,
                    struct http_response *response);

/* What could not be read as a request. */
void answer_refusal(const struct reason *reason, int status,
                    struct http_response *response);

#endif
