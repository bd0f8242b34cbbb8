/* library.h - GnuTLS, loaded when somebody wants TLS
 *
 * Owns:    the library, from library_load() to the end of the process.
 * Called:  library_load() at the start; the functions by tls.c and credentials.c.
 * Locks:   nothing.
 * Never:   is loaded otherwise: it brings almost seven MiB of libraries, and a process that is locked in RAM keeps all of
 *          them there.
 *
 * So it is not needed either on a machine that does without TLS.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_LIBRARY_H
#define CLIENT_LIBRARY_H

#include <gnutls/gnutls.h>

#include "why.h"

/* All that is used of it. */
#define LIBRARY_FUNCTIONS(FUNCTION)                                                    \
    FUNCTION(gnutls_alert_get)                                                         \
    FUNCTION(gnutls_alert_get_name)                                                    \
    FUNCTION(gnutls_certificate_allocate_credentials)                                  \
    FUNCTION(gnutls_certificate_set_x509_crl_file)                                     \
    FUNCTION(gnutls_certificate_set_x509_key_file)                                     \
    FUNCTION(gnutls_certificate_set_x509_trust_file)                                   \
    FUNCTION(gnutls_certificate_verification_status_print)                             \
    FUNCTION(gnutls_credentials_set)                                                   \
    FUNCTION(gnutls_deinit)                                                            \
    FUNCTION(gnutls_error_is_fatal)                                                    \
    FUNCTION(gnutls_handshake)                                                         \
    FUNCTION(gnutls_handshake_set_max_packet_length)                                   \
    FUNCTION(gnutls_init)                                                              \
    FUNCTION(gnutls_priority_init)                                                     \
    FUNCTION(gnutls_priority_set)                                                      \
    FUNCTION(gnutls_protocol_get_version)                                              \
    FUNCTION(gnutls_psk_allocate_client_credentials)                                   \
    FUNCTION(gnutls_psk_set_client_credentials)                                        \
    FUNCTION(gnutls_record_check_pending)                                              \
    FUNCTION(gnutls_record_get_state)                                                  \
    FUNCTION(gnutls_record_recv)                                                       \
    FUNCTION(gnutls_record_send)                                                       \
    FUNCTION(gnutls_server_name_set)                                                   \
    FUNCTION(gnutls_session_get_verify_cert_status)                                    \
    FUNCTION(gnutls_session_set_verify_cert2)                                          \
    FUNCTION(gnutls_strerror)                                                          \
    FUNCTION(gnutls_transport_set_errno)                                               \
    FUNCTION(gnutls_transport_set_ptr)                                                 \
    FUNCTION(gnutls_transport_set_pull_function)                                       \
    FUNCTION(gnutls_transport_set_push_function)

struct library {
#define LIBRARY_FIELD(name) __typeof__(name) *name;
    LIBRARY_FUNCTIONS(LIBRARY_FIELD)
#undef LIBRARY_FIELD
};
extern struct library library;

int library_load(struct why *why);

#endif
