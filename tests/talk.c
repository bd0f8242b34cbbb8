/* talk.c - connects as zslot-attach does, and goes on in the place of the kernel
 *
 *   talk [-C DIRECTORY] [-H HOSTNAME] [-k PSK] [-u USERNAME] [-n TIMES] [-r] HOST:PORT
 *
 * TIMES times: negotiates, with TLS if there are credentials, takes the keys that the kernel would get, and by them alone,
 * record by record, writes a page and reads it back. Then it prints what it used, in one line, or the sentence of what did
 * not work. With -r it also prints how many page faults all that took, and by how many bytes the heap grew, after
 * reserve_memory(); both are 0 with a sanitizer, which has a heap of its own.
 *
 * In the clear it ends after the negotiation. Exit status: 0, or 1 with a sentence.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "client/dial.h"
#include "client/ktls.h"
#include "client/link.h"
#include "client/reserve.h"
#include "client/tls.h"
#include "harness.h"

#include <endian.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined HARNESS_ASAN || defined HARNESS_TSAN
#define HAS_OTHER_HEAP true
#else
#define HAS_OTHER_HEAP false
#endif

enum {
    HEADER = 5,
    TAG = 16,
    DATA = 23,
    RECORD_MAX = HEADER + KTLS_NONCE + 16384 + 256,
    READ = 0,
    WRITE = 1,
    DISC = 2,
    OFFSET = 8192,
    COOKIE = 0x5a5a,
};

struct direction {
    struct ktls_keys keys;
    gnutls_aead_cipher_hd_t cipher;
};

struct request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t bytes;
} __attribute__((packed));

struct reply {
    uint32_t magic, error;
    uint64_t cookie;
} __attribute__((packed));

static struct direction sending, receiving;
static unsigned char record[RECORD_MAX];
static unsigned char came[2 * RECORD_MAX]; /* decrypted, and not yet taken */
static size_t came_bytes;

__attribute__((noreturn)) static void end(const char *sentence)
{
    printf("%s\n", sentence);
    exit(1);
}

static void must(bool is_right, const char *sentence)
{
    if (!is_right)
        end(sentence);
}

/* -- What the kernel would be given. -- */

int ktls_check(struct why *why)
{
    (void)why;
    return 0;
}

static void take(struct direction *direction, const struct ktls_keys *keys)
{
    const gnutls_datum_t key = {(unsigned char *)keys->key, keys->key_bytes};

    direction->keys = *keys;
    if (direction->cipher)
        gnutls_aead_cipher_deinit(direction->cipher);
    must(gnutls_aead_cipher_init(&direction->cipher,
                                 keys->key_bytes == 16 ? GNUTLS_CIPHER_AES_128_GCM
                                                       : GNUTLS_CIPHER_AES_256_GCM,
                                 &key) == 0,
         "no cipher");
}

int ktls_start(int fd, const struct ktls_keys *to_send,
               const struct ktls_keys *to_receive, struct why *why)
{
    (void)fd;
    (void)why;
    take(&sending, to_send);
    take(&receiving, to_receive);
    came_bytes = 0;
    return 0;
}

/* -- Records (RFC 5288, section 3; RFC 8446, section 5). -- */

static void count(unsigned char *number)
{
    for (int i = 7; i >= 0 && ++number[i] == 0; i--)
        ;
}

static void put_header(unsigned char *header, size_t length)
{
    header[0] = DATA;
    header[1] = header[2] = 3;
    header[3] = length >> 8;
    header[4] = length;
}

/* Both: of a record of LENGTH bytes of content; how long AUTHENTICATED is. */
static size_t authenticate(const struct ktls_keys *keys, size_t length,
                           unsigned char authenticated[13])
{
    if (keys->is_version_1_3) {
        put_header(authenticated, length + 1 + TAG);
        return HEADER;
    }
    memcpy(authenticated, keys->sequence, 8);
    put_header(authenticated + 8, length);
    return 13;
}

static void make_nonce(const struct ktls_keys *keys, const unsigned char *sent_along,
                       unsigned char nonce[12])
{
    memcpy(nonce, keys->salt, KTLS_SALT);
    memcpy(nonce + KTLS_SALT, keys->is_version_1_3 ? keys->nonce : sent_along,
           KTLS_NONCE);
    if (keys->is_version_1_3)
        for (unsigned i = 0; i < 8; i++)
            nonce[KTLS_SALT + i] ^= keys->sequence[i];
}

static void send_record(int fd, const void *content, size_t length)
{
    struct ktls_keys *keys = &sending.keys;
    unsigned char plain[16385], authenticated[13], nonce[12];
    const size_t along = keys->is_version_1_3 ? 0 : KTLS_NONCE;
    size_t bytes = sizeof record - HEADER - along;

    memcpy(plain, content, length);
    plain[length] = DATA;
    const size_t inside = length + keys->is_version_1_3;
    const size_t authenticated_bytes = authenticate(keys, length, authenticated);
    make_nonce(keys, keys->nonce, nonce);
    memcpy(record + HEADER, keys->nonce, along);
    must(gnutls_aead_cipher_encrypt(sending.cipher, nonce, sizeof nonce, authenticated,
                                    authenticated_bytes, TAG, plain, inside,
                                    record + HEADER + along, &bytes) == 0,
         "not encrypted");
    put_header(record, along + bytes);
    must(send(fd, record, HEADER + along + bytes, MSG_NOSIGNAL) ==
             (ssize_t)(HEADER + along + bytes),
         "not sent");
    count(keys->sequence);
    if (!keys->is_version_1_3)
        count(keys->nonce);
}

static void receive_record(int fd)
{
    struct ktls_keys *keys = &receiving.keys;
    unsigned char authenticated[13], nonce[12];
    const size_t along = keys->is_version_1_3 ? 0 : KTLS_NONCE;

    must(recv(fd, record, HEADER, MSG_WAITALL) == HEADER, "the server has gone");
    const size_t length = record[3] << 8 | record[4];
    must(record[0] == DATA, "a record that is no data");
    must(length > along + TAG && length <= sizeof record, "a record of that length");
    must(recv(fd, record, length, MSG_WAITALL) == (ssize_t)length, "half a record");
    size_t bytes = sizeof came - came_bytes;
    const size_t authenticated_bytes =
        authenticate(keys, length - along - TAG - keys->is_version_1_3, authenticated);
    make_nonce(keys, record, nonce);
    must(gnutls_aead_cipher_decrypt(
             receiving.cipher, nonce, sizeof nonce, authenticated, authenticated_bytes,
             TAG, record + along, length - along, came + came_bytes, &bytes) == 0,
         "a record that is not by these keys");
    came_bytes += bytes - keys->is_version_1_3;
    must(!keys->is_version_1_3 || came[came_bytes] == DATA, "a record of another type");
    count(keys->sequence);
}

static void receive(int fd, void *to, size_t length)
{
    while (came_bytes < length)
        receive_record(fd);
    memcpy(to, came, length);
    memmove(came, came + length, came_bytes - length);
    came_bytes -= length;
}

/* -- A client. -- */

static void ask(int fd, uint16_t type, const void *page)
{
    unsigned char message[sizeof(struct request) + PAGE];
    const struct request request = {
        htobe32(0x25609513), 0,
        htobe16(type),       htobe64(COOKIE),
        htobe64(OFFSET),     htobe32(type == DISC ? 0 : PAGE)};

    memcpy(message, &request, sizeof request);
    if (page)
        memcpy(message + sizeof request, page, PAGE);
    send_record(fd, message, sizeof request + (page ? PAGE : 0));
}

static void take_reply(int fd)
{
    struct reply reply;

    receive(fd, &reply, sizeof reply);
    must(be32toh(reply.magic) == 0x67446698 && reply.error == 0 &&
             be64toh(reply.cookie) == COOKIE,
         "another reply");
}

static void write_and_read(int fd, unsigned turn)
{
    unsigned char page[PAGE], back[PAGE];

    memset(page, 17 + turn, sizeof page);
    ask(fd, WRITE, page);
    take_reply(fd);
    ask(fd, READ, NULL);
    take_reply(fd);
    receive(fd, back, sizeof back);
    must(memcmp(page, back, sizeof page) == 0, "another page");
    ask(fd, DISC, NULL);
}

static void once(const struct link_target *target, unsigned turn)
{
    struct export_info info;
    struct why why;
    const int fd = link_open(target, &info, &why);

    if (fd < 0)
        end(why.sentence);
    if (target->tls)
        write_and_read(fd, turn);
    close(fd);
}

static long faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void reserve(void)
{
    reserve_memory();
    must(HAS_OTHER_HEAP || mallinfo2().fordblks >= RESERVE_HEAP, "it is not reserved");
    /* Not everybody may; then what is touched stays where it is for as long as this takes. */
    if (!HAS_OTHER_HEAP)
        (void)!mlockall(MCL_CURRENT | MCL_FUTURE);
}

/* go_on: from further down the stack than the first time */
__attribute__((noinline)) static void go_on(const struct link_target *target,
                                            unsigned times)
{
    char frames[RESERVE_STACK / 4 * 3];

    explicit_bzero(frames, 1);
    for (unsigned turn = 1; turn < times; turn++)
        once(target, turn);
    explicit_bzero(frames, 1);
}

static void usage_error(void)
{
    fputs("talk [-C DIRECTORY] [-H HOSTNAME] [-k PSK] [-u USERNAME] [-n TIMES] [-r] "
          "HOST:PORT\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static struct link_target target = {.export_name = ""};
    static struct tls_settings settings;
    static char host[DIAL_HOST_MAX];
    unsigned times = 1;
    bool is_reserved = false;
    struct why why;
    int option;

    while ((option = getopt(argc, argv, "C:H:k:u:n:r")) != -1)
        switch (option) {
        case 'C':
            settings.certificates = optarg;
            break;
        case 'H':
            settings.hostname = optarg;
            break;
        case 'k':
            settings.psk = optarg;
            break;
        case 'u':
            settings.username = optarg;
            break;
        case 'n':
            times = strtoul(optarg, NULL, 10);
            break;
        case 'r':
            is_reserved = true;
            break;
        default:
            usage_error();
        }
    if (argc - optind != 1)
        usage_error();
    dial_host(argv[optind], host);
    if (settings.hostname == NULL)
        settings.hostname = host;
    if ((settings.certificates || settings.psk) &&
        tls_open(&settings, &target.tls, &why))
        end(why.sentence);
    if (dial_lookup(&target.server, argv[optind], &why))
        end(why.sentence);

    /* As zslot-attach does once before it goes into the background. */
    once(&target, 0);
    if (is_reserved)
        reserve();
    const size_t heap_before = mallinfo2().arena;
    const long faults_before = faults();
    go_on(&target, times);
    const long faults_after = faults();
    const size_t heap_after = mallinfo2().arena;

    if (target.tls)
        printf("TLS %s AES-%u-GCM\n", sending.keys.is_version_1_3 ? "1.3" : "1.2",
               sending.keys.key_bytes * 8);
    else
        puts("in the clear");
    if (is_reserved && HAS_OTHER_HEAP)
        puts("faults 0 heap 0");
    else if (is_reserved)
        printf("faults %ld heap %zu\n", faults_after - faults_before,
               heap_after - heap_before);
    return 0;
}
