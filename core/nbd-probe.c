/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "nbd-probe.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "block-format.h"
#include "clock.h"

/* Asked about, or read, at a time. */
#define STATUS_BYTES (UINT64_C(1) << 31)
#define LOOK_BYTES (UINT64_C(1) << 20)

static const char *const schemes[] = {
    "nbd://", "nbds://", "nbd+unix://", "nbds+unix://", "nbd+vsock://", "nbds+vsock://",
};

struct asking {
    const char *uri;
    struct nbd_handle *handle;
    uint64_t timeout_ms; /* of each step */
    struct reason *reason;
};

/* What libnbd said, without the name of the function that said it, on one line. */
static int refuse(const struct asking *asking, const char *doing)
{
    const char *said = nbd_get_error(), *colon;
    int err = nbd_get_errno() > 0 ? nbd_get_errno() : EIO;
    char text[256];

    if (!said)
        said = strerror(err);
    if (strncmp(said, "nbd_", 4) == 0 && (colon = strstr(said, ": ")))
        said = colon + 2;
    snprintf(text, sizeof text, "%s", said);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return reason_say(
        asking->reason, -err,
        "backing=%s: cannot %s: %s; see that the server runs and that the "
        "URI is its own",
        asking->uri, doing, text);
}

static int refuse_slow(const struct asking *asking, const char *doing)
{
    return reason_say(asking->reason, -ETIMEDOUT,
                      "backing=%s: cannot %s: no answer for %" PRIu64
                      " seconds; see that the server runs, or give it longer with "
                      "backing-timeout=SECONDS",
                      asking->uri, doing, asking->timeout_ms / 1000);
}

/* Lets libnbd work until COOKIE is done, or with 0 until it has connected. */
static int wait_for(const struct asking *asking, int64_t cookie, const char *doing)
{
    struct nbd_handle *handle = asking->handle;
    uint64_t end = clock_now_ms() + asking->timeout_ms, now;

    for (;;) {
        int r = cookie ? nbd_aio_command_completed(handle, (uint64_t)cookie)
                       : nbd_aio_is_ready(handle);
        if (r > 0)
            return 0;
        if (r < 0 || nbd_aio_is_dead(handle))
            return refuse(asking, doing);
        if (nbd_aio_is_closed(handle))
            return reason_say(
                asking->reason, -ECONNRESET,
                "backing=%s: cannot %s: the server closed the connection; "
                "see what it says",
                asking->uri, doing);
        now = clock_now_ms();
        if (now >= end)
            return refuse_slow(asking, doing);
        if (nbd_poll(handle, (int)(end - now)) < 0)
            return refuse(asking, doing);
    }
}

static int read_at(const struct asking *asking, uint64_t offset, void *to,
                   uint32_t bytes)
{
    int64_t cookie =
        nbd_aio_pread(asking->handle, to, bytes, offset, NBD_NULL_COMPLETION, 0);

    return cookie < 0 ? refuse(asking, "read it") : wait_for(asking, cookie, "read it");
}

/* -- What is there. -- */

struct status {
    bool has_data;
    uint64_t bytes; /* told about */
};

static int on_extents(void *opaque, const char *context, uint64_t offset,
                      uint32_t *entries, size_t count, int *err)
{
    struct status *status = opaque;

    (void)offset;
    (void)err;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    for (size_t i = 0; i + 1 < count; i += 2) {
        status->bytes += entries[i];
        status->has_data |= !(entries[i + 1] & LIBNBD_STATE_ZERO);
    }
    return 0;
}

/* Whether any of the export is data, as the server tells it. */
static int ask_status(const struct asking *asking, uint64_t bytes, bool *has_data)
{
    uint64_t offset = 0;

    *has_data = false;
    while (offset < bytes && !*has_data) {
        uint64_t left = bytes - offset;
        struct status status = {.has_data = false};
        int64_t cookie = nbd_aio_block_status(
            asking->handle, left < STATUS_BYTES ? left : STATUS_BYTES, offset,
            (nbd_extent_callback){.callback = on_extents, .user_data = &status},
            NBD_NULL_COMPLETION, 0);
        if (cookie < 0)
            return refuse(asking, "ask what is in it");
        int r = wait_for(asking, cookie, "ask what is in it");
        if (r < 0)
            return r;
        *has_data = status.has_data || status.bytes == 0;
        offset += status.bytes;
    }
    return 0;
}

static bool is_zero(const unsigned char *bytes, size_t n)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/* The same, where the server does not tell: by the first of it. */
static int look_for_data(const struct asking *asking, uint64_t bytes, bool *has_data)
{
    uint64_t most = bytes < LOOK_BYTES ? bytes : LOOK_BYTES;
    unsigned char block[BACKING_ALIGN];

    *has_data = false;
    for (uint64_t offset = 0; offset < most && !*has_data; offset += sizeof block) {
        int r = read_at(asking, offset, block, sizeof block);
        if (r < 0)
            return r;
        *has_data = !is_zero(block, sizeof block);
    }
    return 0;
}

static int check_content(const struct asking *asking, const struct probe *probe)
{
    struct backing_header header;
    uint64_t bytes = probe->export.bytes / BACKING_ALIGN * BACKING_ALIGN;
    bool has_data = true;
    int r = 0;

    memcpy(&header, probe->start, sizeof header);
    if (backing_header_is_ours(&header))
        return 0;
    if (is_zero(probe->start, sizeof probe->start))
        r = nbd_can_meta_context(asking->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0
                ? ask_status(asking, bytes, &has_data)
                : look_for_data(asking, bytes, &has_data);
    if (r == 0 && has_data)
        r = backing_refuse_content(asking->uri, "the export", probe->start,
                                   sizeof probe->start, asking->reason);
    return r;
}

/* -- What it is. -- */

static int check_export(const struct asking *asking, const struct backing_terms *terms,
                        const struct link_export *export)
{
    uint64_t bytes = terms->bytes ? terms->bytes : export->bytes;
    struct reason *reason = asking->reason;
    const char *uri = asking->uri;

    if (export->is_read_only)
        return reason_say(reason, -EROFS,
                          "backing=%s: the export is read-only; have the server let it "
                          "be written, or name another",
                          uri);
    if (bytes > export->bytes)
        return backing_refuse_large(uri, terms, export->bytes, reason);
    if (bytes < BACKING_BYTES_MIN)
        return backing_refuse_small(uri, terms, bytes, reason);
    if (export->minimum_bytes > BACKING_ALIGN)
        return reason_say(reason, -EINVAL,
                          "backing=%s: the server takes no requests of less than "
                          "%" PRIu32 " bytes, and zslot's are multiples of %u; name "
                          "another, or put nbdkit's filter blocksize before it",
                          uri, export->minimum_bytes, BACKING_ALIGN);
    if (export->piece_bytes == 0)
        return reason_say(reason, -EINVAL,
                          "backing=%s: the server takes no requests as large as %u "
                          "bytes; name another, or put nbdkit's filter blocksize "
                          "before it",
                          uri, BACKING_ALIGN);
    return 0;
}

static int connect_to(const struct asking *asking)
{
    bool is_known = false;

    for (unsigned i = 0; i < sizeof schemes / sizeof *schemes; i++)
        is_known |= strncmp(asking->uri, schemes[i], strlen(schemes[i])) == 0;
    if (!is_known)
        return reason_say(
            asking->reason, -EINVAL,
            "backing=%s: not a URI of an NBD server; write one that begins "
            "with nbd://, nbds://, nbd+unix://, nbds+unix://, nbd+vsock:// "
            "or nbds+vsock://, or a path",
            asking->uri);
    if (nbd_add_meta_context(asking->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        nbd_aio_connect_uri(asking->handle, asking->uri) < 0)
        return refuse(asking, "connect");
    return wait_for(asking, 0, "connect");
}

/* Once the server is in the background it is in another directory, and connects again from
 * there.  NULL: no path of the URI begins here; or what says it. */
static const char *relative_path(const char *uri)
{
    static const char *const keys[] = {"socket=", "tls-psk-file=", "tls-certificates="};

    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        for (const char *at = uri; (at = strstr(at, keys[i])); at++) {
            const char *value = at + strlen(keys[i]);

            if (at > uri && (at[-1] == '?' || at[-1] == '&') && *value != '/' &&
                strncasecmp(value, "%2f", 3) != 0)
                return keys[i];
        }
    return NULL;
}

int probe_server(const char *uri, const struct backing_terms *terms,
                 struct probe *probe, struct reason *reason)
{
    struct asking asking = {
        .uri = uri,
        .handle = link_handle_new(),
        .timeout_ms = terms->timeout_ms,
        .reason = reason,
    };
    int r;

    const char *key = relative_path(uri);
    if (key) {
        nbd_close(asking.handle);
        return reason_say(reason, -EINVAL,
                          "backing=%s: what %s names is looked for again later, from "
                          "another directory; write the whole path, from / on",
                          uri, key);
    }
    if (!asking.handle)
        return reason_say(reason, -ENOMEM, "backing=%s: no memory to connect", uri);
    r = connect_to(&asking);
    if (r == 0 && link_look(asking.handle, &probe->export) < 0)
        r = refuse(&asking, "find its size");
    if (r == 0)
        r = check_export(&asking, terms, &probe->export);
    if (r == 0)
        r = read_at(&asking, 0, probe->start, sizeof probe->start);
    if (r == 0 && !terms->overwrite)
        r = check_content(&asking, probe);
    if (nbd_aio_is_ready(asking.handle) > 0)
        (void)nbd_aio_disconnect(asking.handle, 0);
    nbd_close(asking.handle);
    return r;
}
