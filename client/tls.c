/* tls.c - TLS with a server, until the kernel goes on with it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "tls.h"
#include "credentials.h"
#include "deadline.h"
#include "ktls.h"
#include "library.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    HANDSHAKE_BYTES_MAX = 65536, /* of one message: a chain of certificates */
    RECORD_HEADER = 5, /* type, version, and in the last two bytes the length */
};

/* What the kernel can go on with (ktls.h), and forward secrecy. */
#define CIPHERS ":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:-RSA"
#define VERSION_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.2" CIPHERS
#define VERSION_1_3 "NORMAL:-VERS-ALL:+VERS-TLS1.3" CIPHERS
#define BY_PSK ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"

enum { VERSIONS = 2 };

struct tls {
    struct tls_settings settings;
    struct credentials credentials;
    gnutls_priority_t versions[VERSIONS];
    unsigned versions_count;
    unsigned version;        /* of the next handshake */
    bool is_version_refused; /* by the server, in the last one */
};

struct tls_session {
    gnutls_session_t gnutls;
    gnutls_typed_vdata_st
        expected[2]; /* of the certificate: looked at in the handshake */
    struct tls *tls;
    int socket;
    time_t deadline_s;
    int error;         /* errno, of the socket */
    bool has_answered; /* the server, with anything */

    /* How far receiving is in a record. */
    unsigned char header[RECORD_HEADER];
    unsigned header_bytes;
    unsigned left;
};

static int make_versions(struct tls *tls, struct why *why)
{
    const char *const priorities[2][VERSIONS] = {
        {VERSION_1_2, VERSION_1_3}, {VERSION_1_2 BY_PSK, VERSION_1_3 BY_PSK}};

    int r = 0;

    /* The system's policy may forbid one of them. */
    for (unsigned i = 0; i < VERSIONS; i++) {
        r = library.gnutls_priority_init(&tls->versions[tls->versions_count],
                                         priorities[tls->settings.psk != NULL][i],
                                         NULL);
        if (r == 0)
            tls->versions_count++;
    }
    if (tls->versions_count == 0)
        return why_set(why, "GnuTLS has not what the kernel can do: %s",
                       library.gnutls_strerror(r));
    return 0;
}

int tls_open(const struct tls_settings *settings, struct tls **opened, struct why *why)
{
    static struct tls tls;

    tls.settings = *settings;
    if (library_load(why) || make_versions(&tls, why))
        return -1;
    if (credentials_read(&tls.credentials, settings, why))
        return -1;
    *opened = &tls;
    return 0;
}

/* -- The socket, as GnuTLS sees it. -- */

/* follow: where in a record BYTES end */
static void follow(struct tls_session *session, const unsigned char *bytes,
                   size_t count)
{
    while (count > 0) {
        size_t step = count < session->left ? count : session->left;

        session->left -= step;
        if (step == 0) {
            step = 1;
            session->header[session->header_bytes++] = *bytes;
            if (session->header_bytes == RECORD_HEADER) {
                session->left = session->header[3] << 8 | session->header[4];
                session->header_bytes = 0;
            }
        }
        bytes += step;
        count -= step;
    }
}

static bool is_between_records(const struct tls_session *session)
{
    return session->left == 0 && session->header_bytes == 0;
}

static ssize_t fail(struct tls_session *session, int error)
{
    session->error = error;
    library.gnutls_transport_set_errno(session->gnutls, error);
    return -1;
}

static ssize_t pull(gnutls_transport_ptr_t opaque, void *buffer, size_t length)
{
    struct tls_session *session = opaque;

    for (;;) {
        if (deadline_is_over(session->deadline_s))
            return fail(session, ETIMEDOUT);
        const ssize_t done = recv(session->socket, buffer, length, 0);
        if (done > 0) {
            session->has_answered = true;
            follow(session, buffer, done);
        }
        if (done >= 0)
            return done;
        /* EAGAIN is the socket's timeout, and GnuTLS would ask again. */
        if (errno != EINTR)
            return fail(session, errno == EAGAIN ? ETIMEDOUT : errno);
    }
}

static ssize_t push(gnutls_transport_ptr_t opaque, const void *buffer, size_t length)
{
    struct tls_session *session = opaque;

    for (;;) {
        const ssize_t done = send(session->socket, buffer, length, MSG_NOSIGNAL);
        if (done >= 0)
            return done;
        if (errno != EINTR)
            return fail(session, errno == EAGAIN ? ETIMEDOUT : errno);
    }
}

/* -- What went wrong. -- */

/* who_we_are: where that may be what the server did not like */
static const char *who_we_are(const struct tls *tls)
{
    return tls->settings.psk ? "; has it this name and this key?" : "";
}

static int wrong_certificate(const struct tls_session *session, struct why *why)
{
    const unsigned status =
        library.gnutls_session_get_verify_cert_status(session->gnutls);
    gnutls_datum_t text = {NULL, 0};

    if ((status & ~(unsigned)GNUTLS_CERT_INVALID) == GNUTLS_CERT_UNEXPECTED_OWNER)
        return why_set(
            why,
            "the server's certificate is not for %s: if it is the right one, "
            "write its name as --tls-hostname",
            session->tls->settings.hostname);
    if (library.gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509,
                                                             &text, 0) < 0)
        return why_set(why, "the server's certificate is not good");
    /* It ends with a space. */
    why_set(why, "the server's certificate is not good: %.*s", (int)text.size - 1,
            (const char *)text.data);
    free(text.data);
    return -1;
}

/* say: what an error of GnuTLS is about */
static int say(const struct tls_session *session, ssize_t error, struct why *why)
{
    switch (error) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
        return wrong_certificate(session, why);
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return why_set(
            why, "the server refuses TLS with us: %s%s",
            library.gnutls_alert_get_name(library.gnutls_alert_get(session->gnutls)),
            who_we_are(session->tls));
    case 0:
    case GNUTLS_E_PREMATURE_TERMINATION:
        return why_set(why, "the server closed the connection in the midst of TLS%s",
                       who_we_are(session->tls));
    case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
        return why_set(why, "the server goes by %s",
                       session->tls->settings.psk
                           ? "certificates: write --tls-certificates, not --tls-psk"
                           : "keys: write --tls-psk, not --tls-certificates");
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        return why_set(why, "the server does not answer in TLS: %s",
                       strerror(session->error));
    default:
        return why_set(why, "TLS: %s", library.gnutls_strerror(error));
    }
}

/* -- A session. -- */

static int prepare(struct tls_session *session)
{
    struct tls *tls = session->tls;
    const char *hostname = tls->settings.hostname;
    unsigned char address[sizeof(struct in6_addr)];
    int r = library.gnutls_priority_set(session->gnutls, tls->versions[tls->version]);

    if (r == 0 && tls->settings.psk)
        return library.gnutls_credentials_set(session->gnutls, GNUTLS_CRD_PSK,
                                              tls->credentials.psk);
    if (r == 0)
        r = library.gnutls_credentials_set(session->gnutls, GNUTLS_CRD_CERTIFICATE,
                                           tls->credentials.certificates);
    /* The server is told a name, but no address (RFC 6066, section 3). */
    if (r == 0 && inet_pton(AF_INET, hostname, address) != 1 &&
        inet_pton(AF_INET6, hostname, address) != 1)
        r = library.gnutls_server_name_set(session->gnutls, GNUTLS_NAME_DNS, hostname,
                                           strlen(hostname));
    if (r == 0) {
        /* A client's certificate by the same authority is no server's. */
        session->expected[0] = (gnutls_typed_vdata_st){
            .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)hostname};
        session->expected[1] =
            (gnutls_typed_vdata_st){.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                    .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER};
        library.gnutls_session_set_verify_cert2(session->gnutls, session->expected, 2,
                                                0);
    }
    return r;
}

/* By functions of ours: GnuTLS may be told by its configuration to hand the keys to the kernel itself where it has the
 * descriptor. */
static void use_socket(struct tls_session *session)
{
    library.gnutls_transport_set_ptr(session->gnutls, session);
    library.gnutls_transport_set_pull_function(session->gnutls, pull);
    library.gnutls_transport_set_push_function(session->gnutls, push);
}

/* is_about_version: also if it may be: not every server says so before it closes */
static bool is_about_version(const struct tls_session *session, int error)
{
    switch (error) {
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
        return true;
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return library.gnutls_alert_get(session->gnutls) == GNUTLS_A_PROTOCOL_VERSION;
    default:
        return !session->has_answered && error == GNUTLS_E_PREMATURE_TERMINATION;
    }
}

static int shake_hands(struct tls_session *session, struct why *why)
{
    struct tls *tls = session->tls;
    int r = prepare(session);

    if (r < 0)
        return say(session, r, why);
    use_socket(session);
    library.gnutls_handshake_set_max_packet_length(session->gnutls,
                                                   HANDSHAKE_BYTES_MAX);
    do
        r = library.gnutls_handshake(session->gnutls);
    while (r < 0 && !library.gnutls_error_is_fatal(r));
    if (r == 0) {
        tls->version = 0;
        return 0;
    }
    tls->is_version_refused = is_about_version(session, r);
    return say(session, r, why);
}

int tls_start(struct tls *tls, int socket, time_t deadline_s,
              struct tls_session **started, struct why *why)
{
    struct tls_session *session = calloc(1, sizeof *session);

    *started = NULL;
    tls->is_version_refused = false;
    if (session == NULL ||
        library.gnutls_init(&session->gnutls,
                            GNUTLS_CLIENT | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL) < 0) {
        free(session);
        return why_set(why, "no memory for TLS");
    }
    session->tls = tls;
    session->socket = socket;
    session->deadline_s = deadline_s;
    if (shake_hands(session, why)) {
        tls_end(session);
        return -1;
    }
    *started = session;
    return 0;
}

/* Without a farewell: the connection goes on, or the server sees that it is over. */
void tls_end(struct tls_session *session)
{
    library.gnutls_deinit(session->gnutls);
    free(session);
}

bool tls_has_another_version(struct tls *tls)
{
    const bool has_one =
        tls->is_version_refused && tls->version + 1 < tls->versions_count;

    tls->version = has_one ? tls->version + 1 : 0;
    tls->is_version_refused = false;
    return has_one;
}

/* note_moved: what a function of GnuTLS returned, of bytes that are to go; what is not fatal it has dealt with, such as a
 * ticket that nobody wants */
static int note_moved(const struct tls_session *session, ssize_t result, size_t *moved,
                      struct why *why)
{
    if (result < 0 && !library.gnutls_error_is_fatal(result))
        return 0;
    if (result <= 0)
        return say(session, result, why);
    *moved += result;
    return 0;
}

int tls_receive(struct tls_session *session, void *buffer, size_t length,
                struct why *why)
{
    int result = 0;

    for (size_t moved = 0; moved < length && result == 0;)
        result =
            note_moved(session,
                       library.gnutls_record_recv(
                           session->gnutls, (char *)buffer + moved, length - moved),
                       &moved, why);
    return result;
}

int tls_send(struct tls_session *session, const void *buffer, size_t length,
             struct why *why)
{
    int result = 0;

    for (size_t moved = 0; moved < length && result == 0;)
        result = note_moved(session,
                            library.gnutls_record_send(session->gnutls,
                                                       (const char *)buffer + moved,
                                                       length - moved),
                            &moved, why);
    return result;
}

/* get_keys: of one direction; -1 if they are not what ktls.h takes */
static int get_keys(const struct tls_session *session, bool is_receiving,
                    struct ktls_keys *keys)
{
    gnutls_datum_t mac, iv, key;

    if (library.gnutls_record_get_state(session->gnutls, is_receiving, &mac, &iv, &key,
                                        keys->sequence) < 0)
        return -1;
    keys->is_version_1_3 =
        library.gnutls_protocol_get_version(session->gnutls) == GNUTLS_TLS1_3;
    keys->key_bytes = key.size;
    if ((key.size != 16 && key.size != 32) ||
        iv.size != KTLS_SALT + (keys->is_version_1_3 ? KTLS_NONCE : 0u))
        return -1;
    memcpy(keys->key, key.data, key.size);
    memcpy(keys->salt, iv.data, KTLS_SALT);
    /* With 1.2 GnuTLS has sent the numbers of its records along: the kernel goes on with the next, so that none
     * is used twice (RFC 5288, section 3). */
    memcpy(keys->nonce, keys->is_version_1_3 ? iv.data + KTLS_SALT : keys->sequence,
           KTLS_NONCE);
    return 0;
}

int tls_give_to_kernel(struct tls_session *session, struct why *why)
{
    struct ktls_keys sending, receiving;
    int result;

    /* What GnuTLS has received the kernel will not see. */
    if (library.gnutls_record_check_pending(session->gnutls) > 0 ||
        !is_between_records(session))
        return why_set(why, "the server has sent more than it was asked for");
    if (get_keys(session, false, &sending) || get_keys(session, true, &receiving))
        result = why_set(why, "the kernel cannot go on with this kind of TLS");
    else
        result = ktls_start(session->socket, &sending, &receiving, why);
    explicit_bzero(&sending, sizeof sending);
    explicit_bzero(&receiving, sizeof receiving);
    return result;
}
