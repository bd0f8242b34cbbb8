/* credentials.h - whom we trust in TLS, and what we are known by
 *
 * Owns:    what it has read, to the end of the process.
 * Called:  by tls_open(), once; library_load() comes before.
 * Locks:   nothing.
 * Never:   is changed once it is read.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_CREDENTIALS_H
#define CLIENT_CREDENTIALS_H

#include <gnutls/gnutls.h>

#include "tls.h"

enum { CREDENTIALS_NAME_MAX = 255 };

/* One of the first two; the other is NULL. */
struct credentials {
    gnutls_certificate_credentials_t certificates;
    gnutls_psk_client_credentials_t psk;
    char username[CREDENTIALS_NAME_MAX + 1]; /* whose psk it is */
};

/* -1, and a sentence with the option, the file and what is wrong with it. */
int credentials_read(struct credentials *credentials,
                     const struct tls_settings *settings, struct why *why);

#endif
