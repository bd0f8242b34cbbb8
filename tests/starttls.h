/* starttls.h - how a connection to zslotd comes to TLS, byte by byte, for what libnbd does not do
 *
 * Owns:    nothing: sockets and the file of keys are the caller's.
 * Called:  by tests of TLS, with what served.h has started.
 * Locks:   none.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_STARTTLS_H
#define TESTS_STARTTLS_H

#include <stddef.h>
#include <stdint.h>

#define STARTTLS_PATH_BYTES 32u

/* What "alice" is known by, in hexadecimal, into a new file, whose PATH is given back. */
#define STARTTLS_USER "alice"
#define STARTTLS_KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
void starttls_make_keys(char path[STARTTLS_PATH_BYTES]);

/* An option without data; how many bytes. */
size_t starttls_put_option(uint8_t *to, uint32_t option);

/* Flags, and STARTTLS; how many bytes. */
size_t starttls_make_hello(uint8_t *to);

void starttls_take_greeting(int fd);

/* A new connection to loop number LOOP, as far as to the first byte of the handshake. */
int starttls_begin(unsigned loop);

#endif
