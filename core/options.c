/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backing.h"
#include "block-format.h"
#include "page.h"
#include "parse.h"
#include "slot.h"

#define BACKING_TIMEOUT_MAX_S 3600
#define IDLE_SECONDS_MAX (30 * 24 * 60 * 60)

/* Less would not let a segment through at a time (budget.h). */
#define WRITEBACK_LIMIT_MIN (16u << 20)

const char options_help[] =
#define OPTION(name, key, value, fallback, help)                                       \
    key "=" value "  (default: " fallback ")\n    " help "\n"
#include "options.def"
#undef OPTION
    ;

const char options_keys[] =
#define OPTION(name, key, value, fallback, help) " " key
#include "options.def"
#undef OPTION
    ;

void options_init(struct options *options)
{
    *options = (struct options){
        .compressor = {.id = CODEC_ZSTD, .level = codec_zstd.level_default},
        .memory_limit = UINT64_MAX,
        .backing_timeout = BACKING_TIMEOUT_S,
        .writeback_limit = UINT64_MAX,
        .control_mode = 0600,
    };
}

static int set_size(struct options *options, const char *value, struct reason *reason)
{
    const uint64_t most = SLOTS_MAX * PAGE_BYTES;
    uint64_t bytes;
    int r = parse_size(value, &bytes);

    if (r == -EINVAL)
        return reason_say(
            reason, -EINVAL,
            "size=%s: not a size; write a number and perhaps a unit, as in "
            "size=8G (k, M, G, T)",
            value);
    if (value[0] == '-' || (r == 0 && bytes == 0))
        return reason_say(
            reason, -EINVAL,
            "size=%s: a disk has at least one page of %u bytes; write for "
            "example size=8G",
            value, PAGE_BYTES);
    if (r == -ERANGE || bytes > most)
        return reason_say(
            reason, -EINVAL,
            "size=%s: more than a volume can hold; write at most size=%lluT", value,
            (unsigned long long)(most >> 40));
    if (bytes % PAGE_BYTES)
        return reason_say(reason, -EINVAL,
                          "size=%s: not a multiple of the page size, %u bytes; write "
                          "size=%llu",
                          value, PAGE_BYTES,
                          (unsigned long long)(bytes / PAGE_BYTES + 1) * PAGE_BYTES);
    options->size = bytes;
    return 0;
}

static int set_compressor(struct options *options, const char *value,
                          struct reason *reason)
{
    const char *colon = strchr(value, ':');
    size_t name_length = colon ? (size_t)(colon - value) : strlen(value);

    for (unsigned id = 0; id < CODEC_COUNT; id++) {
        const struct codec *codec = codecs[id];

        if (strlen(codec->name) != name_length ||
            strncmp(value, codec->name, name_length) != 0)
            continue;

        bool has_levels = codec->level_min != codec->level_max;
        int level = codec->level_default;
        if (colon && !has_levels)
            return reason_say(reason, -EINVAL,
                              "compressor=%s: %s has no levels; write compressor=%s",
                              value, codec->name, codec->name);
        if (colon && (parse_int(colon + 1, &level) < 0 || level < codec->level_min ||
                      level > codec->level_max))
            return reason_say(
                reason, -EINVAL,
                "compressor=%s: the level of %s is a number from %d to %d; "
                "write for example compressor=%s:%d",
                value, codec->name, codec->level_min, codec->level_max, codec->name,
                codec->level_default);
        options->compressor =
            (struct codec_choice){.id = (enum codec_id)id, .level = level};
        return 0;
    }
    return reason_say(
        reason, -EINVAL,
        "compressor=%s: unknown codec; write one of lz4, zstd, zstd:%d to "
        "zstd:%d, none",
        value, codec_zstd.level_min, codec_zstd.level_max);
}

/* Takes back what else was said, of a file or before. */
static bool is_none(const char *value)
{
    return strcmp(value, "none") == 0;
}

static int set_memory_limit(struct options *options, const char *value,
                            struct reason *reason)
{
    uint64_t bytes;

    if (is_none(value)) {
        options->memory_limit = UINT64_MAX;
        return 0;
    }
    int r = parse_size(value, &bytes);
    if (r < 0)
        return reason_say(
            reason, -EINVAL,
            "memory-limit=%s: %s; write for example memory-limit=2G, or "
            "memory-limit=none",
            value, r == -ERANGE ? "not a size that memory can have" : "not a size");
    /* The least there must be depends on the size and the codec: volume_open() knows. */
    options->memory_limit_text = value;
    options->memory_limit = bytes;
    return 0;
}

static int set_memory_lock(struct options *options, const char *value,
                           struct reason *reason)
{
    if (parse_bool(value, &options->memory_lock) < 0)
        return reason_say(
            reason, -EINVAL,
            "memory-lock=%s: neither yes nor no; write memory-lock=true or "
            "memory-lock=false",
            value);
    return 0;
}

static int set_state(struct options *options, const char *value, struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "state=: not a directory; write for example "
                          "state=/dev/shm/zslot, or leave it out for none");
    options->state = value;
    return 0;
}

static int set_backing(struct options *options, const char *value,
                       struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "backing=: neither a path nor a URI; write for example "
                          "backing=/var/lib/zslot.img, or leave it out for none");
    options->backing = value;
    return 0;
}

static int set_backing_size(struct options *options, const char *value,
                            struct reason *reason)
{
    uint64_t bytes;
    int r = parse_size(value, &bytes);

    if (r == -EINVAL)
        return reason_say(
            reason, -EINVAL,
            "backing-size=%s: not a size; write a number and perhaps a unit, as in "
            "backing-size=16G (k, M, G, T)",
            value);
    if (r < 0 || bytes == 0 || bytes > BACKING_BYTES_MAX)
        return reason_say(
            reason, -EINVAL,
            "backing-size=%s: not a size from %s to %s; write for example "
            "backing-size=16G",
            value, parse_text_of_size(BACKING_BYTES_MIN).text,
            parse_text_of_size(BACKING_BYTES_MAX).text);
    options->backing_size = bytes;
    options->backing_size_text = value;
    return 0;
}

static int set_backing_overwrite(struct options *options, const char *value,
                                 struct reason *reason)
{
    if (parse_bool(value, &options->backing_overwrite) < 0)
        return reason_say(reason, -EINVAL,
                          "backing-overwrite=%s: neither yes nor no; write "
                          "backing-overwrite=true or backing-overwrite=false",
                          value);
    return 0;
}

static int set_backing_timeout(struct options *options, const char *value,
                               struct reason *reason)
{
    int seconds;

    if (parse_int(value, &seconds) < 0 || seconds < 1 ||
        seconds > BACKING_TIMEOUT_MAX_S)
        return reason_say(reason, -EINVAL,
                          "backing-timeout=%s: not seconds from 1 to %d; write for "
                          "example backing-timeout=%d",
                          value, BACKING_TIMEOUT_MAX_S, BACKING_TIMEOUT_S);
    options->backing_timeout = (uint32_t)seconds;
    return 0;
}

static int set_idle_age(struct options *options, const char *value,
                        struct reason *reason)
{
    int seconds;

    if (strcmp(value, "auto") == 0 || is_none(value)) {
        options->idle_age = is_none(value) ? 0 : OPTIONS_IDLE_AUTO;
        return 0;
    }
    if (parse_int(value, &seconds) < 0 || seconds < 1 || seconds > IDLE_SECONDS_MAX)
        return reason_say(
            reason, -EINVAL,
            "idle-age=%s: neither seconds from 1 to %d nor auto nor none; write "
            "for example idle-age=600",
            value, IDLE_SECONDS_MAX);
    options->idle_age = (uint32_t)seconds;
    return 0;
}

static int set_writeback_limit(struct options *options, const char *value,
                               struct reason *reason)
{
    const char *slash = strchr(value, '/');
    char size[32];
    uint64_t bytes;

    if (is_none(value)) {
        options->writeback_limit = UINT64_MAX;
        return 0;
    }
    if (!slash || strcmp(slash, "/day") != 0 || (size_t)(slash - value) >= sizeof size)
        goto refuse;
    memcpy(size, value, (size_t)(slash - value));
    size[slash - value] = '\0';
    if (parse_size(size, &bytes) < 0 || bytes < WRITEBACK_LIMIT_MIN)
        goto refuse;
    options->writeback_limit = bytes;
    return 0;

refuse:
    return reason_say(reason, -EINVAL,
                      "writeback-limit=%s: not SIZE/day with a size from %uM on, and "
                      "less than 8E; write for example writeback-limit=20G/day, or "
                      "writeback-limit=none",
                      value, WRITEBACK_LIMIT_MIN >> 20);
}

static int set_control(struct options *options, const char *value,
                       struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "control=: not a path; write for example "
                          "control=/run/zslot.sock, or leave it out for none");
    options->control = value;
    return 0;
}

static int set_control_mode(struct options *options, const char *value,
                            struct reason *reason)
{
    char *end;
    unsigned long mode = strtoul(value, &end, 8);

    if (*value < '0' || *value > '7' || *end != '\0' || mode > 0777)
        return reason_say(reason, -EINVAL,
                          "control-mode=%s: not an octal number up to 0777; write for "
                          "example control-mode=0660",
                          value);
    options->control_mode = (unsigned)mode;
    return 0;
}

static int set_control_group(struct options *options, const char *value,
                             struct reason *reason)
{
    if (*value == '\0')
        return reason_say(reason, -EINVAL,
                          "control-group=: not a group; write for example "
                          "control-group=disk");
    options->control_group = value;
    return 0;
}

static int set_metrics_port(struct options *options, const char *value,
                            struct reason *reason)
{
    int port;

    if (parse_int(value, &port) < 0 || port < 1 || port > 65535)
        return reason_say(reason, -EINVAL,
                          "metrics-port=%s: not a port from 1 to 65535; write for "
                          "example metrics-port=9810",
                          value);
    options->metrics_port = (unsigned)port;
    return 0;
}

static bool is_key(const char *word)
{
    static const char *const keys[OPTION_COUNT] = {
#define OPTION(name, key, value, fallback, help) key,
#include "options.def"
#undef OPTION
    };

    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (strcmp(word, keys[i]) == 0)
            return true;
    return false;
}

int options_set(struct options *options, const char *key, const char *value,
                struct reason *reason)
{
    static const struct {
        const char *key;
        int (*set)(struct options *options, const char *value, struct reason *reason);
    } table[OPTION_COUNT] = {
#define OPTION(name, key, value, fallback, help) {key, set_##name},
#include "options.def"
#undef OPTION
    };

    /* nbdkit takes a word alone for the size. */
    if (strcmp(key, "size") == 0 && is_key(value))
        return reason_say(reason, -EINVAL, "%s: there is no value; write %s=VALUE",
                          value, value);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(key, table[i].key) != 0)
            continue;
        if (options->seen & 1u << i)
            return reason_say(reason, -EINVAL,
                              "%s=%s: %s was given before; write it once", key, value,
                              key);
        options->seen |= 1u << i;
        return table[i].set(options, value, reason);
    }
    return reason_say(reason, -EINVAL, "%s=%s: unknown parameter; those there are:%s",
                      key, value, options_keys);
}

int options_complete(const struct options *options, struct reason *reason)
{
    static const struct {
        const char *key, *value, *fallback;
    } table[OPTION_COUNT] = {
#define OPTION(name, key, value, fallback, help) {key, value, fallback},
#include "options.def"
#undef OPTION
    };

    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (strcmp(table[i].fallback, "none; required") == 0 &&
            !(options->seen & 1u << i))
            return reason_say(reason, -EINVAL,
                              "%s=%s is missing; write for example size=8G",
                              table[i].key, table[i].value);

    unsigned needs_backing = 1u << OPTION_backing_size |
                             1u << OPTION_backing_overwrite |
                             1u << OPTION_backing_timeout;
    if (options->idle_age)
        needs_backing |= 1u << OPTION_idle_age;
    if (options->writeback_limit != UINT64_MAX)
        needs_backing |= 1u << OPTION_writeback_limit;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (!options->backing && !options->backing_follows &&
            options->seen & needs_backing & 1u << i)
            return reason_say(reason, -EINVAL,
                              "%s is about a backing store, and there is none; write "
                              "backing=PATH too, or leave it out",
                              table[i].key);
    const unsigned needs_control =
        1u << OPTION_control_mode | 1u << OPTION_control_group;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (!options->control && options->seen & needs_control & 1u << i)
            return reason_say(
                reason, -EINVAL,
                "%s is about the control socket, and there is none; write "
                "control=SOCKET too, or leave it out",
                table[i].key);
    if (options->backing && options->memory_limit == UINT64_MAX && !options->idle_age)
        return reason_say(
            reason, -EINVAL,
            "backing=%s: nothing says when pages go there; write for example "
            "memory-limit=1G or idle-age=600 too",
            options->backing);
    return 0;
}
