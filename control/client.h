/* client.h - zslotctl's side of a request
 *
 * Owns:    nothing.
 * Called:  by zslotctl only.
 * Locks:   none.
 * Never:   prints anything but why a request failed.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_CLIENT_H
#define ZSLOT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes, as in zslotctl(1). */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_SERVER = 3 };

/* Asks the server at the socket PATH.  EXIT_DONE: *ANSWER is what it said, and the caller's
 * to free; or another exit code, after a line on standard error. */
int client_ask(const char *path, const char *method, const char *target,
               json_t **answer);

/* A signal that comes while an answer is waited for ends the waiting, with EXIT_NO_SERVER and no
 * line, if FN says so; without FN none does. */
void client_end_when(bool (*fn)(void));

/* Adds KEY=VALUE to the query of TARGET, encoded. */
void client_add(char *target, size_t bytes, const char *key, const char *value);

/* A number of the answer, 0 if it is not there. */
uint64_t client_number(const json_t *json, const char *key);

#endif
