/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tls.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a chain of certificates, which a client may send before we know it. */
#define HANDSHAKE_BYTES_MAX 65536u

struct tls {
    gnutls_certificate_credentials_t certificates;
    gnutls_psk_server_credentials_t psk;
    bool verify_peer;
};

/* So many are received at a time: of one byte each they would be as many as there is room, and nobody else of the loop
 * has his turn meanwhile. */
#define RECORDS_MAX 64u

struct tls_session {
    gnutls_session_t gnutls;
    bool is_established;
    bool has_ended;       /* there will be no more input */
    bool is_sending;      /* a record is under way that the socket did not take */
    size_t sending_bytes; /* of data in it, if that is as much as was given */
    size_t
        proven_bytes; /* the most that a record has had, which the client may have bounded */
};

/* -- What both sides are known by. -- */

static int refuse_file(const char *directory, const char *file, const char *why,
                       struct reason *reason)
{
    return reason_say(reason, -EINVAL, "tls-certificates=%s: %s: %s", directory, file,
                      why);
}

/* DIRECTORY/FILE in PATH.  -EINVAL: it cannot be read. */
static int locate(const char *directory, const char *file, char path[PATH_MAX],
                  struct reason *reason)
{
    if (snprintf(path, PATH_MAX, "%s/%s", directory, file) >= PATH_MAX)
        return refuse_file(directory, file, strerror(ENAMETOOLONG), reason);
    if (access(path, R_OK) < 0)
        return refuse_file(directory, file, strerror(errno), reason);
    return 0;
}

static int read_certificates(struct tls *tls, const char *directory,
                             struct reason *reason)
{
    static const char ca[] = "ca-cert.pem", crl[] = "ca-crl.pem",
                      certificate[] = "server-cert.pem", key[] = "server-key.pem";
    char ca_path[PATH_MAX], crl_path[PATH_MAX], path[PATH_MAX], key_path[PATH_MAX];
    struct reason absent;

    if (locate(directory, ca, ca_path, reason) < 0 ||
        locate(directory, certificate, path, reason) < 0 ||
        locate(directory, key, key_path, reason) < 0)
        return -EINVAL;
    if (gnutls_certificate_allocate_credentials(&tls->certificates) < 0)
        return reason_say(reason, -ENOMEM, "no memory for certificates");
    int r = gnutls_certificate_set_x509_trust_file(tls->certificates, ca_path,
                                                   GNUTLS_X509_FMT_PEM);
    if (r <= 0)
        return refuse_file(directory, ca,
                           r < 0 ? gnutls_strerror(r) : "there is no certificate in it",
                           reason);
    if (locate(directory, crl, crl_path, &absent) == 0) {
        r = gnutls_certificate_set_x509_crl_file(tls->certificates, crl_path,
                                                 GNUTLS_X509_FMT_PEM);
        if (r < 0)
            return refuse_file(directory, crl, gnutls_strerror(r), reason);
    }
    r = gnutls_certificate_set_x509_key_file(tls->certificates, path, key_path,
                                             GNUTLS_X509_FMT_PEM);
    if (r < 0)
        return refuse_file(directory, "server-cert.pem and server-key.pem",
                           gnutls_strerror(r), reason);
    gnutls_certificate_set_known_dh_params(tls->certificates, GNUTLS_SEC_PARAM_MEDIUM);
    return 0;
}

/* GnuTLS reads the file for each client; here only whether there is something to be read. */
static int read_psk(struct tls *tls, const char *path, struct reason *reason)
{
    FILE *file = fopen(path, "re");
    char line[512];
    bool has_key = false;

    if (!file)
        return reason_say(reason, -errno, "tls-psk=%s: cannot read it: %s", path,
                          strerror(errno));
    while (!has_key && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');

        has_key = line[0] != '#' && colon && colon > line &&
                  strspn(colon + 1, "0123456789abcdefABCDEF") >= 2;
    }
    fclose(file);
    if (!has_key)
        return reason_say(reason, -EINVAL,
                          "tls-psk=%s: no line of it is a name, a colon and a key in "
                          "hexadecimal, as psktool makes them",
                          path);
    if (gnutls_psk_allocate_server_credentials(&tls->psk) < 0)
        return reason_say(reason, -ENOMEM, "no memory for keys");
    int r = gnutls_psk_set_server_credentials_file(tls->psk, path);
    if (r < 0)
        return reason_say(reason, -EINVAL, "tls-psk=%s: %s", path, gnutls_strerror(r));
    gnutls_psk_set_server_known_dh_params(tls->psk, GNUTLS_SEC_PARAM_MEDIUM);
    return 0;
}

int tls_open(const struct tls_settings *settings, struct tls **made,
             struct reason *reason)
{
    *made = NULL;
    if (settings->mode == TLS_OFF)
        return 0;
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return reason_say(reason, -ENOMEM, "no memory for TLS");
    tls->verify_peer = settings->verify_peer;
    int r = settings->psk ? read_psk(tls, settings->psk, reason)
                          : read_certificates(tls, settings->certificates, reason);
    if (r < 0) {
        tls_close(tls);
        return r;
    }
    *made = tls;
    return 0;
}

void tls_close(struct tls *tls)
{
    if (!tls)
        return;
    if (tls->certificates)
        gnutls_certificate_free_credentials(tls->certificates);
    if (tls->psk)
        gnutls_psk_free_server_credentials(tls->psk);
    free(tls);
}

/* -- A session. -- */

static int prepare(const struct tls *tls, gnutls_session_t gnutls)
{
    int r;

    /* The system's own policy of what is good enough, and keys that both sides know. */
    if (tls->psk) {
        r = gnutls_set_default_priority_append(gnutls, "+ECDHE-PSK:+DHE-PSK:+PSK", NULL,
                                               0);
        return r < 0 ? r : gnutls_credentials_set(gnutls, GNUTLS_CRD_PSK, tls->psk);
    }
    r = gnutls_set_default_priority(gnutls);
    if (r == 0)
        r = gnutls_credentials_set(gnutls, GNUTLS_CRD_CERTIFICATE, tls->certificates);
    if (r == 0 && tls->verify_peer) {
        gnutls_certificate_server_set_request(gnutls, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(gnutls, NULL, 0);
    }
    return r;
}

struct tls_session *tls_begin(struct tls *tls, int fd)
{
    struct tls_session *session = calloc(1, sizeof *session);

    if (!session)
        return NULL;
    if (gnutls_init(&session->gnutls,
                    GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
        free(session);
        return NULL;
    }
    if (prepare(tls, session->gnutls) < 0) {
        gnutls_deinit(session->gnutls);
        free(session);
        return NULL;
    }
    gnutls_handshake_set_max_packet_length(session->gnutls, HANDSHAKE_BYTES_MAX);
    gnutls_transport_set_int(session->gnutls, fd);
    return session;
}

void tls_end(struct tls_session *session)
{
    if (session->is_established && !session->is_sending)
        (void)gnutls_bye(session->gnutls, GNUTLS_SHUT_WR);
    gnutls_deinit(session->gnutls);
    free(session);
}

static bool is_again(ssize_t r)
{
    return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
}

int tls_handshake(struct tls_session *session)
{
    int r = gnutls_handshake(session->gnutls);

    if (r == GNUTLS_E_SUCCESS) {
        session->is_established = true;
        return 0;
    }
    /* Warnings and the like: GnuTLS wants to be called again. */
    return is_again(r) || !gnutls_error_is_fatal(r) ? -EAGAIN : -EPROTO;
}

bool tls_wants_to_send(const struct tls_session *session)
{
    return gnutls_record_get_direction(session->gnutls) == 1;
}

ssize_t tls_receive(struct tls_session *session, void *to, size_t room)
{
    size_t all = 0;

    /* A record has 16 KiB at most. Requests of as many as there are are served together. */
    for (unsigned i = 0; i < RECORDS_MAX && all < room && !session->has_ended; i++) {
        ssize_t got = gnutls_record_recv(session->gnutls, (char *)to + all, room - all);

        if (got > 0) {
            all += (size_t)got;
            continue;
        }
        if (is_again(got))
            return all > 0 ? (ssize_t)all : -EAGAIN;
        /* What was received before is worth something; the end is told the next time. */
        session->has_ended = true;
    }
    return (ssize_t)all;
}

bool tls_has_input(const struct tls_session *session)
{
    return session->has_ended || gnutls_record_check_pending(session->gnutls) > 0;
}

ssize_t tls_send(struct tls_session *session, const struct iovec *pieces, int count)
{
    const bool goes_on = session->is_sending;
    ssize_t sent;

    if (goes_on)
        sent = gnutls_record_send(session->gnutls, NULL, 0);
    else {
        const size_t most = gnutls_record_get_max_size(session->gnutls);

        while (count > 0 && pieces->iov_len == 0)
            pieces++, count--;
        assert(count > 0);
        session->sending_bytes = pieces->iov_len < most ? pieces->iov_len : most;
        sent = gnutls_record_send(session->gnutls, pieces->iov_base,
                                  session->sending_bytes);
    }
    session->is_sending = is_again(sent);
    if (session->is_sending)
        return -EAGAIN;
    /* Behind the record GnuTLS has sent the new keys that the client asked for meanwhile, and then found nothing to
     * send. */
    if (goes_on && sent == GNUTLS_E_INVALID_REQUEST &&
        session->sending_bytes <= session->proven_bytes)
        return (ssize_t)session->sending_bytes;
    if (sent > 0 && (size_t)sent > session->proven_bytes)
        session->proven_bytes = (size_t)sent;
    return sent > 0 ? sent : -EPIPE;
}
