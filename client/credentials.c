/* credentials.c - whom we trust in TLS, and what we are known by
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "credentials.h"
#include "library.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int wrong_file(const char *directory, const char *file, const char *what,
                      struct why *why)
{
    return why_set(why, "--tls-certificates=%s: %s: %s", directory, file, what);
}

/* locate: DIRECTORY/FILE in PATH */
static int locate(const char *directory, const char *file, char path[PATH_MAX],
                  struct why *why)
{
    if (snprintf(path, PATH_MAX, "%s/%s", directory, file) >= PATH_MAX)
        return wrong_file(directory, file, strerror(ENAMETOOLONG), why);
    if (access(path, R_OK))
        return wrong_file(directory, file, strerror(errno), why);
    return 0;
}

static int read_authorities(struct credentials *credentials, const char *directory,
                            struct why *why)
{
    static const char ca[] = "ca-cert.pem", crl[] = "ca-crl.pem";
    char path[PATH_MAX];

    if (locate(directory, ca, path, why))
        return -1;
    int r = library.gnutls_certificate_set_x509_trust_file(credentials->certificates,
                                                           path, GNUTLS_X509_FMT_PEM);
    if (r <= 0)
        return wrong_file(
            directory, ca,
            r < 0 ? library.gnutls_strerror(r) : "there is no certificate in it", why);
    if (locate(directory, crl, path, why))
        return errno == ENOENT ? 0 : -1;
    r = library.gnutls_certificate_set_x509_crl_file(credentials->certificates, path,
                                                     GNUTLS_X509_FMT_PEM);
    return r < 0 ? wrong_file(directory, crl, library.gnutls_strerror(r), why) : 0;
}

/* Our own, for servers that want to know who we are. */
static int read_own(struct credentials *credentials, const char *directory,
                    struct why *why)
{
    static const char certificate[] = "client-cert.pem", key[] = "client-key.pem";
    char path[PATH_MAX], key_path[PATH_MAX];
    struct why absent;
    const bool has_certificate = locate(directory, certificate, path, &absent) == 0;
    const bool has_key = locate(directory, key, key_path, &absent) == 0;

    if (!has_certificate && !has_key)
        return 0;
    if (!has_certificate || !has_key)
        return wrong_file(directory, has_key ? certificate : key,
                          "it cannot be read, and the other of the two can", why);
    const int r = library.gnutls_certificate_set_x509_key_file(
        credentials->certificates, path, key_path, GNUTLS_X509_FMT_PEM);
    return r < 0 ? wrong_file(directory, "client-cert.pem and client-key.pem",
                              library.gnutls_strerror(r), why)
                 : 0;
}

static int read_certificates(struct credentials *credentials, const char *directory,
                             struct why *why)
{
    if (library.gnutls_certificate_allocate_credentials(&credentials->certificates) < 0)
        return why_set(why, "no memory for certificates");
    if (read_authorities(credentials, directory, why))
        return -1;
    return read_own(credentials, directory, why);
}

/* is_of: whether LINE is NAME:KEY, of that name or, with NULL, of any; the key, without what ends the line */
static bool is_of(char *line, const char *name, char **key)
{
    char *colon = strchr(line, ':');

    if (line[0] == '#' || colon == NULL || colon == line)
        return false;
    *colon = '\0';
    *key = colon + 1;
    (*key)[strcspn(*key, "\r\n")] = '\0';
    return (*key)[0] != '\0' && (name == NULL || strcmp(line, name) == 0);
}

/* use_key: "line" begins with the name */
static int use_key(struct credentials *credentials, const char *path, const char *line,
                   char *key, struct why *why)
{
    const gnutls_datum_t datum = {(unsigned char *)key, strlen(key)};

    if (strlen(line) > CREDENTIALS_NAME_MAX)
        return why_set(why, "--tls-psk=%s: a name has at most %d bytes", path,
                       CREDENTIALS_NAME_MAX);
    if (library.gnutls_psk_allocate_client_credentials(&credentials->psk) < 0)
        return why_set(why, "no memory for a key");
    strcpy(credentials->username, line);
    const int r = library.gnutls_psk_set_client_credentials(
        credentials->psk, credentials->username, &datum, GNUTLS_PSK_KEY_HEX);
    if (r < 0)
        return why_set(why, "--tls-psk=%s: the key of %s: %s", path,
                       credentials->username, library.gnutls_strerror(r));
    return 0;
}

static int read_psk(struct credentials *credentials, const char *path,
                    const char *username, struct why *why)
{
    FILE *file = fopen(path, "re");
    char line[1024];
    char *key;
    bool is_found = false, is_begin = true; /* of a line */

    if (file == NULL)
        return why_set(why, "--tls-psk=%s: %s", path, strerror(errno));
    while (!is_found && fgets(line, sizeof line, file)) {
        const bool is_whole = is_begin && (strchr(line, '\n') || feof(file));

        is_begin = strchr(line, '\n') != NULL;
        is_found = is_whole && is_of(line, username, &key);
    }
    const int error = ferror(file) ? errno : 0;
    fclose(file);
    if (error)
        return why_set(why, "--tls-psk=%s: %s", path, strerror(error));
    const int result =
        is_found   ? use_key(credentials, path, line, key, why)
        : username ? why_set(why, "--tls-psk=%s: it has no key for %s", path, username)
                   : why_set(why,
                             "--tls-psk=%s: no line of it is a name, a colon "
                             "and a key in hexadecimal, as psktool makes them",
                             path);
    explicit_bzero(line, sizeof line);
    return result;
}

int credentials_read(struct credentials *credentials,
                     const struct tls_settings *settings, struct why *why)
{
    if (settings->psk)
        return read_psk(credentials, settings->psk, settings->username, why);
    return read_certificates(credentials, settings->certificates, why);
}
