/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "negotiate.h"

#include <string.h>

#include "request.h"
#include "nbd-protocol.h"

_Static_assert(
    EXPORTS_MAX *(NBD_OPTION_REPLY_HEADER_BYTES + 4 + EXPORT_NAME_BYTES_MAX) + 1024 <=
        NEGOTIATE_OUT_BYTES,
    "a list of all exports fits");

static const char context_name[] = "base:allocation";
enum { CONTEXT_ID = 1 };

/* The data of an option, cut from the front. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool take32(struct cursor *cursor, uint32_t *value)
{
    if (cursor->left < 4)
        return false;
    *value = nbd_get32(cursor->at);
    cursor->at += 4;
    cursor->left -= 4;
    return true;
}

static bool take16(struct cursor *cursor, uint16_t *value)
{
    if (cursor->left < 2)
        return false;
    *value = nbd_get16(cursor->at);
    cursor->at += 2;
    cursor->left -= 2;
    return true;
}

/* A length and as many bytes. */
static bool take_string(struct cursor *cursor, struct cursor *string)
{
    uint32_t bytes;

    if (!take32(cursor, &bytes) || bytes > cursor->left || bytes > NBD_STRING_BYTES_MAX)
        return false;
    *string = (struct cursor){cursor->at, bytes};
    cursor->at += bytes;
    cursor->left -= bytes;
    return true;
}

void negotiate_begin(struct negotiation *negotiation,
                     const struct export_table *exports, enum tls_mode tls)
{
    *negotiation = (struct negotiation){
        .exports = exports,
        .tls = tls,
        .state = NEGOTIATE_FLAGS,
    };
}

void negotiate_encrypted(struct negotiation *negotiation)
{
    negotiation->is_encrypted = true;
    negotiation->structured = false;
    negotiation->with_allocation = NULL;
    negotiation->state = NEGOTIATE_OPTIONS;
}

static bool must_encrypt(const struct negotiation *negotiation)
{
    return negotiation->tls == TLS_REQUIRE && !negotiation->is_encrypted;
}

size_t negotiate_greet(uint8_t *out)
{
    nbd_put64(out, NBD_MAGIC);
    nbd_put64(out + 8, NBD_OPTION_MAGIC);
    nbd_put16(out + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    return 18;
}

static uint16_t export_flags(const struct negotiation *negotiation)
{
    return NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
           NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_CAN_MULTI_CONN |
           NBD_FLAG_SEND_CACHE | NBD_FLAG_SEND_FAST_ZERO |
           (negotiation->structured ? NBD_FLAG_SEND_DF : 0);
}

static enum negotiate_state answer(uint32_t option, uint32_t reply, uint8_t *out,
                                   size_t *made)
{
    *made += nbd_encode_option_reply(out + *made, option, reply, 0);
    return NEGOTIATE_OPTIONS;
}

/* Has no reply but the export itself, so what is wrong can only be answered by leaving. */
static enum negotiate_state export_name(struct negotiation *negotiation,
                                        struct cursor name, uint8_t *out, size_t *made)
{
    negotiation->export = export_find(negotiation->exports, name.at, name.left);
    if (!negotiation->export)
        return NEGOTIATE_CLOSE;
    *made += nbd_put64(out + *made, negotiation->export->bytes);
    *made += nbd_put16(out + *made, export_flags(negotiation));
    if (!negotiation->no_zeroes) {
        memset(out + *made, 0, 124);
        *made += 124;
    }
    return NEGOTIATE_DONE;
}

static enum negotiate_state list(struct negotiation *negotiation, struct cursor data,
                                 uint8_t *out, size_t *made)
{
    const struct export_table *exports = negotiation->exports;

    if (data.left > 0)
        return answer(NBD_OPT_LIST, NBD_REP_ERR_INVALID, out, made);
    for (unsigned i = 0; i < exports->count; i++) {
        uint32_t bytes = (uint32_t)strlen(exports->exports[i].name);

        *made += nbd_encode_option_reply(out + *made, NBD_OPT_LIST, NBD_REP_SERVER,
                                         4 + bytes);
        *made += nbd_put32(out + *made, bytes);
        memcpy(out + *made, exports->exports[i].name, bytes);
        *made += bytes;
    }
    return answer(NBD_OPT_LIST, NBD_REP_ACK, out, made);
}

static void put_text(uint32_t option, enum nbd_info info, const char *text,
                     uint8_t *out, size_t *made)
{
    uint32_t bytes = (uint32_t)strlen(text);

    *made += nbd_encode_option_reply(out + *made, option, NBD_REP_INFO, 2 + bytes);
    *made += nbd_put16(out + *made, (uint16_t)info);
    memcpy(out + *made, text, bytes);
    *made += bytes;
}

/* The export and the block sizes always, since no client may rely on a server's guess at them;
 * name and description if they were asked for. */
static void put_info(const struct negotiation *negotiation, uint32_t option,
                     const struct export *export, const bool *wanted, uint8_t *out,
                     size_t *made)
{
    *made += nbd_encode_option_reply(out + *made, option, NBD_REP_INFO, 12);
    *made += nbd_put16(out + *made, NBD_INFO_EXPORT);
    *made += nbd_put64(out + *made, export->bytes);
    *made += nbd_put16(out + *made, export_flags(negotiation));

    *made += nbd_encode_option_reply(out + *made, option, NBD_REP_INFO, 14);
    *made += nbd_put16(out + *made, NBD_INFO_BLOCK_SIZE);
    *made += nbd_put32(out + *made, 1);
    *made += nbd_put32(out + *made, PREFERRED_BYTES);
    *made += nbd_put32(out + *made, REQUEST_BYTES_MAX);

    if (wanted[NBD_INFO_NAME])
        put_text(option, NBD_INFO_NAME, export->name, out, made);
    if (wanted[NBD_INFO_DESCRIPTION] && export->description)
        put_text(option, NBD_INFO_DESCRIPTION, export->description, out, made);
}

static enum negotiate_state info_or_go(struct negotiation *negotiation, uint32_t option,
                                       struct cursor data, uint8_t *out, size_t *made)
{
    struct cursor name;
    uint16_t count, info;
    bool wanted[NBD_INFO_COUNT] = {false};

    if (!take_string(&data, &name) || !take16(&data, &count) || data.left != 2u * count)
        return answer(option, NBD_REP_ERR_INVALID, out, made);
    while (take16(&data, &info))
        if (info < NBD_INFO_COUNT)
            wanted[info] = true;

    const struct export *export = export_find(negotiation->exports, name.at, name.left);
    if (!export)
        return answer(option, NBD_REP_ERR_UNKNOWN, out, made);
    put_info(negotiation, option, export, wanted, out, made);
    answer(option, NBD_REP_ACK, out, made);
    if (option == NBD_OPT_INFO)
        return NEGOTIATE_OPTIONS;
    negotiation->export = export;
    return NEGOTIATE_DONE;
}

/* "base:" is what a client may list, too; an empty list of queries lists all there is. */
static bool query_matches(struct cursor query, bool only_lists)
{
    size_t whole = strlen(context_name), prefix = strlen("base:");

    return (query.left == whole && memcmp(query.at, context_name, whole) == 0) ||
           (only_lists && query.left == prefix &&
            memcmp(query.at, context_name, prefix) == 0);
}

static enum negotiate_state meta_context(struct negotiation *negotiation,
                                         uint32_t option, struct cursor data,
                                         uint8_t *out, size_t *made)
{
    bool only_lists = option == NBD_OPT_LIST_META_CONTEXT, found = false;
    struct cursor name, query;
    uint32_t count;

    /* Whatever becomes of this one, an earlier choice is void. */
    if (!only_lists)
        negotiation->with_allocation = NULL;
    if (!negotiation->structured || !take_string(&data, &name) ||
        !take32(&data, &count))
        return answer(option, NBD_REP_ERR_INVALID, out, made);

    const struct export *export = export_find(negotiation->exports, name.at, name.left);
    if (!export)
        return answer(option, NBD_REP_ERR_UNKNOWN, out, made);
    found = only_lists && count == 0;
    for (; count > 0; count--) { /* ends with the data at the latest */
        if (!take_string(&data, &query))
            return answer(option, NBD_REP_ERR_INVALID, out, made);
        found |= query_matches(query, only_lists);
    }
    if (data.left > 0)
        return answer(option, NBD_REP_ERR_INVALID, out, made);

    if (found) {
        uint32_t bytes = (uint32_t)strlen(context_name);

        *made += nbd_encode_option_reply(out + *made, option, NBD_REP_META_CONTEXT,
                                         4 + bytes);
        *made += nbd_put32(out + *made, only_lists ? 0 : CONTEXT_ID);
        memcpy(out + *made, context_name, bytes);
        *made += bytes;
        if (!only_lists)
            negotiation->with_allocation = export;
    }
    return answer(option, NBD_REP_ACK, out, made);
}

static enum negotiate_state structured_reply(struct negotiation *negotiation,
                                             struct cursor data, uint8_t *out,
                                             size_t *made)
{
    if (data.left > 0)
        return answer(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID, out, made);
    negotiation->structured = true;
    return answer(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, out, made);
}

static enum negotiate_state start_tls(struct negotiation *negotiation,
                                      struct cursor data, uint8_t *out, size_t *made)
{
    if (negotiation->tls == TLS_OFF)
        return answer(NBD_OPT_STARTTLS, NBD_REP_ERR_UNSUP, out, made);
    if (negotiation->is_encrypted || data.left > 0)
        return answer(NBD_OPT_STARTTLS, NBD_REP_ERR_INVALID, out, made);
    answer(NBD_OPT_STARTTLS, NBD_REP_ACK, out, made);
    return NEGOTIATE_STARTTLS;
}

static enum negotiate_state handle_option(struct negotiation *negotiation,
                                          uint32_t option, struct cursor data,
                                          uint8_t *out, size_t *made)
{
    if (must_encrypt(negotiation) && option != NBD_OPT_STARTTLS &&
        option != NBD_OPT_ABORT)
        return option == NBD_OPT_EXPORT_NAME
                   ? NEGOTIATE_CLOSE
                   : answer(option, NBD_REP_ERR_TLS_REQD, out, made);
    switch (option) {
    case NBD_OPT_STARTTLS:
        return start_tls(negotiation, data, out, made);
    case NBD_OPT_EXPORT_NAME:
        return export_name(negotiation, data, out, made);
    case NBD_OPT_ABORT:
        answer(option, NBD_REP_ACK, out, made);
        return NEGOTIATE_CLOSE;
    case NBD_OPT_LIST:
        return list(negotiation, data, out, made);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return info_or_go(negotiation, option, data, out, made);
    case NBD_OPT_STRUCTURED_REPLY:
        return structured_reply(negotiation, data, out, made);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return meta_context(negotiation, option, data, out, made);
    default:
        return answer(option, NBD_REP_ERR_UNSUP, out, made);
    }
}

static enum negotiate_state step_flags(struct negotiation *negotiation,
                                       const uint8_t *in, size_t in_bytes, size_t *used)
{
    const uint32_t known = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES;

    if (in_bytes < 4)
        return NEGOTIATE_FLAGS;
    uint32_t flags = nbd_get32(in);
    *used = 4;
    /* Without FIXED_NEWSTYLE an old client may send EXPORT_NAME only; it gets what it asks for. */
    if (flags & ~known)
        return NEGOTIATE_CLOSE;
    negotiation->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
    return NEGOTIATE_OPTIONS;
}

static enum negotiate_state step_option(struct negotiation *negotiation,
                                        const uint8_t *in, size_t in_bytes,
                                        size_t *used, uint8_t *out, size_t *made)
{
    if (in_bytes < NBD_OPTION_HEADER_BYTES)
        return NEGOTIATE_OPTIONS;
    uint32_t option = nbd_get32(in + 8), bytes = nbd_get32(in + 12);

    if (nbd_get64(in) != NBD_OPTION_MAGIC || bytes > NEGOTIATE_SKIP_BYTES_MAX ||
        negotiation->options == NEGOTIATE_OPTIONS_MAX)
        return NEGOTIATE_CLOSE;
    if (bytes > NEGOTIATE_OPTION_BYTES_MAX) {
        if (option == NBD_OPT_EXPORT_NAME)
            return NEGOTIATE_CLOSE;
        negotiation->options++;
        negotiation->skip_bytes = bytes;
        *used = NBD_OPTION_HEADER_BYTES;
        answer(option,
               must_encrypt(negotiation) ? NBD_REP_ERR_TLS_REQD : NBD_REP_ERR_TOO_BIG,
               out, made);
        return NEGOTIATE_SKIP;
    }
    if (in_bytes - NBD_OPTION_HEADER_BYTES < bytes)
        return NEGOTIATE_OPTIONS;
    negotiation->options++;
    *used = NBD_OPTION_HEADER_BYTES + bytes;
    return handle_option(negotiation, option,
                         (struct cursor){in + NBD_OPTION_HEADER_BYTES, bytes}, out,
                         made);
}

static enum negotiate_state step_skip(struct negotiation *negotiation, size_t in_bytes,
                                      size_t *used)
{
    *used = in_bytes < negotiation->skip_bytes ? in_bytes : negotiation->skip_bytes;
    negotiation->skip_bytes -= (uint32_t)*used;
    return negotiation->skip_bytes > 0 ? NEGOTIATE_SKIP : NEGOTIATE_OPTIONS;
}

enum negotiate_state negotiate_step(struct negotiation *negotiation, const uint8_t *in,
                                    size_t in_bytes, size_t *used, uint8_t *out,
                                    size_t *made)
{
    *used = *made = 0;
    switch (negotiation->state) {
    case NEGOTIATE_FLAGS:
        negotiation->state = step_flags(negotiation, in, in_bytes, used);
        break;
    case NEGOTIATE_OPTIONS:
        negotiation->state = step_option(negotiation, in, in_bytes, used, out, made);
        break;
    case NEGOTIATE_SKIP:
        negotiation->state = step_skip(negotiation, in_bytes, used);
        break;
    case NEGOTIATE_STARTTLS:
    case NEGOTIATE_DONE:
    case NEGOTIATE_CLOSE:
        break;
    }
    return negotiation->state;
}

bool negotiate_has_allocation(const struct negotiation *negotiation)
{
    return negotiation->export && negotiation->with_allocation == negotiation->export;
}
