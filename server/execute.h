/* execute.h - one request, in the volume
 *
 * Owns:    nothing.
 * Called:  by loops for what does not wait, by workers for the rest.
 * Locks:   none.
 * Never:   sends, receives, or answers.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_EXECUTE_H
#define ZSLOT_EXECUTE_H

#include <stdbool.h>

#include "request.h"

struct export;

/* 0, or why the request is refused: a command or a flag that there is not, a range that is not within
 * the export, a length that is none or too much.  HAS_STATUS: block status was negotiated. */
int execute_check(const struct nbd_request *nbd, const struct export *export,
                  bool has_status);

/* Does it on the calling thread, quickly, or says -EAGAIN: it would wait, or would take long.  DATA is
 * what to write, or room for what is read or for the extents; *BYTES, for a write what is done already
 * and on -EAGAIN what is done now, for block status how much of DATA was filled. */
int execute_now(const struct nbd_request *nbd, const struct export *export, void *data,
                uint32_t *bytes);

/* Does it in full, and sets REQUEST's result and answer_bytes.  -ECANCELED: its client has gone. */
void execute_and_wait(struct request *request);

#endif
