/* ktls.c - TLS by the kernel, on a socket whose keys are known
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "ktls.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TCP_ULP /* what glibc's header may lack */
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* tls12_crypto_info_aes_gcm_128 and _256, which differ in the length of the key alone. */
struct cipher {
    struct tls_crypto_info info;
    unsigned char rest[KTLS_NONCE + KTLS_KEY_MAX + KTLS_SALT + KTLS_SEQUENCE];
};

_Static_assert(sizeof(struct cipher) == sizeof(struct tls12_crypto_info_aes_gcm_256),
               "the kernel's structure has no gaps");
_Static_assert(sizeof(struct cipher) - 16 ==
                   sizeof(struct tls12_crypto_info_aes_gcm_128),
               "nor has the other");

static int use_tls(int fd)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls");
}

int ktls_check(struct why *why)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return why_set(why, "no socket: %s", strerror(errno));
    /* It is loaded, if need be, and then does not like that nobody is at the other end. */
    const int error = use_tls(fd) ? errno : 0;
    close(fd);
    if (error == 0 || error == ENOTCONN)
        return 0;
    return why_set(why, "the kernel has no TLS: modprobe tls");
}

static unsigned char *put(unsigned char *to, const unsigned char *bytes, unsigned count)
{
    memcpy(to, bytes, count);
    return to + count;
}

/* fill: what the kernel wants to know; how many bytes */
static socklen_t fill(struct cipher *cipher, const struct ktls_keys *keys)
{
    unsigned char *next = cipher->rest;

    cipher->info.version = keys->is_version_1_3 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
    cipher->info.cipher_type = keys->key_bytes == TLS_CIPHER_AES_GCM_128_KEY_SIZE
                                   ? TLS_CIPHER_AES_GCM_128
                                   : TLS_CIPHER_AES_GCM_256;
    next = put(next, keys->nonce, KTLS_NONCE);
    next = put(next, keys->key, keys->key_bytes);
    next = put(next, keys->salt, KTLS_SALT);
    next = put(next, keys->sequence, KTLS_SEQUENCE);
    return next - (unsigned char *)cipher;
}

static int set_keys(int fd, int direction, const struct ktls_keys *keys,
                    struct why *why)
{
    struct cipher cipher;
    const socklen_t length = fill(&cipher, keys);
    const int error = setsockopt(fd, SOL_TLS, direction, &cipher, length) ? errno : 0;

    explicit_bzero(&cipher, sizeof cipher);
    if (error)
        return why_set(why, "the kernel does not do TLS %s with AES-%u-GCM: %s",
                       keys->is_version_1_3 ? "1.3" : "1.2", keys->key_bytes * 8,
                       strerror(error));
    return 0;
}

int ktls_start(int fd, const struct ktls_keys *sending,
               const struct ktls_keys *receiving, struct why *why)
{
    if (use_tls(fd))
        return errno == ENOENT
                   ? why_set(why, "the kernel has no TLS: modprobe tls")
                   : why_set(why, "the kernel does no TLS on this socket: %s",
                             strerror(errno));
    if (set_keys(fd, TLS_TX, sending, why))
        return -1;
    return set_keys(fd, TLS_RX, receiving, why);
}
