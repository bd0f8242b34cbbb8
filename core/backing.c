/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "backing.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "block-format.h"
#include "parse.h"

const char *const backing_names[] = {"file", "nbd", NULL};

int backing_open(const char *where, const struct backing_terms *terms,
                 struct backing **backing, struct reason *reason)
{
    if (strstr(where, "://"))
        return backing_nbd_open(where, terms, backing, reason);
    return backing_file_open(where, terms, backing, reason);
}

struct backing_size_text backing_size_text(const struct backing_terms *terms)
{
    struct backing_size_text made;

    snprintf(made.text, sizeof made.text, "backing-size=%s",
             terms->bytes_text ? terms->bytes_text
                               : parse_text_of_size(terms->bytes).text);
    return made;
}

int backing_refuse_small(const char *where, const struct backing_terms *terms,
                         uint64_t bytes, struct reason *reason)
{
    const struct parse_text least = parse_text_of_size(BACKING_BYTES_MIN);

    if (terms->bytes > 0)
        return reason_say(reason, -EINVAL,
                          "%s: too small; %s must offer at least %s; write at least "
                          "backing-size=%s",
                          backing_size_text(terms).text, where, least.text, least.text);
    return reason_say(reason, -EINVAL,
                      "backing=%s: too small with %s; name one that offers at least %s",
                      where, parse_text_of_size(bytes).text, least.text);
}

int backing_refuse_content(const char *where, const char *what, const void *start,
                           size_t bytes, struct reason *reason)
{
    uint32_t later = backing_later_format(start, bytes);

    if (later)
        return reason_say(reason, -EINVAL,
                          "backing=%s: of format %" PRIu32
                          ", and this zslot knows format %u; start it with the zslot "
                          "that made it, or add backing-overwrite=true to lose what is "
                          "in it",
                          where, later, BACKING_FORMAT);
    return reason_say(
        reason, -EEXIST,
        "backing=%s: %s is not empty and not zslot's; name another, or add "
        "backing-overwrite=true to lose what is in it",
        where, what);
}

int backing_refuse_large(const char *where, const struct backing_terms *terms,
                         uint64_t bytes, struct reason *reason)
{
    return reason_say(
        reason, -EINVAL,
        "%s: %s has only %s; write less, or leave it out to use all of it",
        backing_size_text(terms).text, where, parse_text_of_size(bytes).text);
}
