/* handshake.c - what is said on a connection before its socket is handed to the kernel
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "handshake.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define NBDMAGIC 0x4e42444d41474943ull
#define IHAVEOPT 0x49484156454f5054ull
#define OLDSTYLE 0x00420281861253ull
#define REPLY_MAGIC 0x3e889045565a9ull

enum {
    FIXED_NEWSTYLE = 1, /* flags of the handshake */
    NO_ZEROES = 2,

    OPT_EXPORT_NAME = 1,
    OPT_STARTTLS = 5,
    OPT_GO = 7,

    REP_ACK = 1,
    REP_INFO = 3,
    REP_ERROR = 1u << 31,
    REP_UNSUPPORTED = REP_ERROR + 1,
    REP_POLICY = REP_ERROR + 2,
    REP_TLS_REQUIRED = REP_ERROR + 5,
    REP_UNKNOWN = REP_ERROR + 6,
    REP_SHUTDOWN = REP_ERROR + 7,

    INFO_EXPORT = 0,
    INFO_NAME = 1,
    INFO_DESCRIPTION = 2,
    INFO_BLOCK_SIZE = 3,

    TRANSMISSION_READ_ONLY = 2,
    TRANSMISSION_FEATURES = 1 << 2 | 1 << 3 | 1 << 5 |
                            1 << 6 | /* flush FUA trim zeroes */
                            HANDSHAKE_MULTI_CONN,

    REPLIES_MAX = 32,
    DEVICE_BLOCK = 4096, /* what the kernel's requests are multiples of */

    PAYLOAD_MAX =
        8192, /* two bytes and a string of 4096 are the most a server may say */
};

struct option_header {
    uint64_t magic;
    uint32_t option;
    uint32_t length;
} __attribute__((packed));

struct reply_header {
    uint64_t magic;
    uint32_t option;
    uint32_t type;
    uint32_t length;
} __attribute__((packed));

static unsigned char payload[PAYLOAD_MAX]; /* of a reply */

static uint16_t get16(const unsigned char *from)
{
    return from[0] << 8 | from[1];
}

static uint32_t get32(const unsigned char *from)
{
    return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static uint64_t get64(const unsigned char *from)
{
    return (uint64_t)get32(from) << 32 | get32(from + 4);
}

/* begin: the greeting, both ways; tells the flags that both have */
static int begin(struct stream *stream, unsigned *flags, struct why *why)
{
    struct {
        uint64_t magic;
        uint64_t style;
        uint16_t flags;
    } __attribute__((packed)) greeting;

    if (stream_receive(stream, &greeting, sizeof greeting, why))
        return -1;
    if (be64toh(greeting.magic) != NBDMAGIC)
        return why_set(why, "this is not an NBD server");
    if (be64toh(greeting.style) == OLDSTYLE)
        return why_set(why, "the server speaks the old protocol, without negotiation");
    if (be64toh(greeting.style) != IHAVEOPT)
        return why_set(why, "this is not an NBD server");
    *flags = be16toh(greeting.flags) & (FIXED_NEWSTYLE | NO_ZEROES);

    const uint32_t answer = htobe32(*flags);
    return stream_send(stream, &answer, sizeof answer, why);
}

/* send_option: "data" may be NULL when it has no length */
static int send_option(struct stream *stream, uint32_t option, const void *data,
                       size_t length, struct why *why)
{
    const struct option_header header = {htobe64(IHAVEOPT), htobe32(option),
                                         htobe32(length)};

    if (stream_send(stream, &header, sizeof header, why))
        return -1;
    return stream_send(stream, data, length, why);
}

/* With servers that know nothing else. An export that they do not have ends the connection. */
static int ask_by_export_name(struct stream *stream, const char *name, unsigned flags,
                              struct export_info *info, struct why *why)
{
    unsigned char answer[10 + 124];

    if (send_option(stream, OPT_EXPORT_NAME, name, strlen(name), why))
        return -1;
    if (stream_receive(stream, answer, flags & NO_ZEROES ? 10 : sizeof answer, why))
        return -1;
    info->size_bytes = get64(answer);
    info->flags = get16(answer + 8);
    return 0;
}

static int send_go(struct stream *stream, const char *name, struct why *why)
{
    static const uint16_t wanted[] = {INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE};
    static unsigned char data[4 + HANDSHAKE_NAME_MAX + 2 + sizeof wanted];
    const uint32_t length = strlen(name);
    unsigned char *next = data;

    *next++ = length >> 24;
    *next++ = length >> 16;
    *next++ = length >> 8;
    *next++ = length;
    memcpy(next, name, length);
    next += length;
    *next++ = 0;
    *next++ = sizeof wanted / sizeof *wanted;
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *next++ = 0;
        *next++ = wanted[i];
    }
    return send_option(stream, OPT_GO, data, next - data, why);
}

static void keep_text(char *to, const unsigned char *text, size_t length)
{
    if (length > HANDSHAKE_IDENTITY_MAX - 1)
        length = HANDSHAKE_IDENTITY_MAX - 1;
    memcpy(to, text, length);
    to[length] = '\0';
}

/* take_info: one of the things that were asked for, or any other that the server likes to tell */
static void take_info(const unsigned char *said, size_t length,
                      struct export_info *info, bool *has_size)
{
    if (length < 2)
        return;
    switch (get16(said)) {
    case INFO_EXPORT:
        if (length == 12) {
            info->size_bytes = get64(said + 2);
            info->flags = get16(said + 10);
            *has_size = true;
        }
        break;
    case INFO_NAME:
        keep_text(info->name, said + 2, length - 2);
        break;
    case INFO_DESCRIPTION:
        keep_text(info->description, said + 2, length - 2);
        break;
    case INFO_BLOCK_SIZE:
        if (length == 14)
            info->minimum_block_bytes = get32(said + 2);
        break;
    }
}

static int refused(uint32_t type, const unsigned char *text, size_t length,
                   struct why *why)
{
    const char *what = "the server refuses";

    switch (type) {
    case REP_POLICY:
        what = "the server does not let us";
        break;
    case REP_TLS_REQUIRED:
        what = "the server wants TLS: write --tls-certificates or --tls-psk";
        break;
    case REP_UNKNOWN:
        what = "the server has no such export";
        break;
    case REP_SHUTDOWN:
        what = "the server is ending";
        break;
    }
    return why_set(why, "%s%s%.*s", what, length ? ": " : "",
                   (int)(length < 160 ? length : 160), (const char *)text);
}

/* receive_reply: to that option; what it carries, in "payload" */
static int receive_reply(struct stream *stream, uint32_t option, uint32_t *type,
                         uint32_t *length, struct why *why)
{
    struct reply_header header;

    if (stream_receive(stream, &header, sizeof header, why))
        return -1;
    *type = be32toh(header.type);
    *length = be32toh(header.length);
    if (be64toh(header.magic) != REPLY_MAGIC || be32toh(header.option) != option ||
        *length > sizeof payload)
        return why_set(why, "the server does not keep to the protocol");
    return stream_receive(stream, payload, *length, why);
}

/* ask_by_go: 0, -1, or 1 if the server does not know this option */
static int ask_by_go(struct stream *stream, const char *name, struct export_info *info,
                     struct why *why)
{
    uint32_t type, length;
    bool has_size = false;

    if (send_go(stream, name, why))
        return -1;
    for (unsigned replies = 0; replies < REPLIES_MAX; replies++) {
        if (receive_reply(stream, OPT_GO, &type, &length, why))
            return -1;
        if (type == REP_UNSUPPORTED)
            return 1;
        if (type & REP_ERROR)
            return refused(type, payload, length, why);
        if (type == REP_INFO)
            take_info(payload, length, info, &has_size);
        if (type == REP_ACK)
            return has_size ? 0 : why_set(why, "the server does not tell the size");
    }
    return why_set(
        why, "the server does not keep to the protocol: it does not come to an end");
}

/* ask_for_tls: nothing that was said before it counts */
static int ask_for_tls(struct stream *stream, struct tls *tls, struct why *why)
{
    uint32_t type, length;

    if (send_option(stream, OPT_STARTTLS, NULL, 0, why) ||
        receive_reply(stream, OPT_STARTTLS, &type, &length, why))
        return -1;
    if (type == REP_UNSUPPORTED || type == REP_POLICY)
        return why_set(why, "the server does not do TLS");
    if (type != REP_ACK)
        return refused(type, payload, length, why);
    return stream_start_tls(stream, tls, why);
}

int handshake(struct stream *stream, struct tls *tls, const char *name,
              struct export_info *info, struct why *why)
{
    unsigned flags = 0;
    int result = 1;

    memset(info, 0, sizeof *info);
    info->minimum_block_bytes = 1;
    info->by_tls = tls != NULL;
    if (begin(stream, &flags, why))
        return -1;
    if (tls && !(flags & FIXED_NEWSTYLE))
        return why_set(why, "the server does not do TLS: it knows no such option");
    if (tls && ask_for_tls(stream, tls, why))
        return -1;
    if (flags & FIXED_NEWSTYLE)
        result = ask_by_go(stream, name, info, why);
    if (result == 1)
        result = ask_by_export_name(stream, name, flags, info, why);
    return result;
}

int handshake_is_same(const struct export_info *before, const struct export_info *now,
                      struct why *why)
{
    if (before->by_tls && !now->by_tls)
        return why_set(why, "it was by TLS: write --tls-certificates or --tls-psk");
    if (now->size_bytes != before->size_bytes)
        return why_set(why, "the export has another size: %llu bytes, and had %llu",
                       (unsigned long long)now->size_bytes,
                       (unsigned long long)before->size_bytes);
    if ((now->flags ^ before->flags) & TRANSMISSION_READ_ONLY)
        return why_set(why, "the export is %s now",
                       now->flags & TRANSMISSION_READ_ONLY ? "read-only" : "writable");
    /* The kernel goes on to ask for what it was told at the start. */
    if (before->flags & ~now->flags & TRANSMISSION_FEATURES)
        return why_set(
            why, "the server does not do what it did: its flags are %#x, and were %#x",
            now->flags, before->flags);
    if (now->minimum_block_bytes > DEVICE_BLOCK)
        return why_set(why, "the server wants requests of %u bytes and more now",
                       now->minimum_block_bytes);
    if (strcmp(now->name, before->name))
        return why_set(why, "it is another export: \"%.80s\", and was \"%.80s\"",
                       now->name, before->name);
    if (strcmp(now->description, before->description))
        return why_set(why,
                       "it is another export: it says \"%.80s\", and said \"%.80s\"",
                       now->description, before->description);
    return 0;
}
