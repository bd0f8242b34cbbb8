/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "settings-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "settings-say.h"

static const char blanks[] = " \t\r";
static const char byte_order_mark[] = "\xef\xbb\xbf";

/* Cuts off blanks at both ends of what lies between FROM and END, and ends it with a 0. */
static char *trim(char *from, char *end)
{
    from += strspn(from, blanks);
    while (end > from && strchr(blanks, end[-1]))
        end--;
    *end = '\0';
    return from;
}

static int read_section(struct settings *settings, char *line, struct reason *reason)
{
    static const char word[] = "[export";
    size_t bytes = strlen(line);

    if (strncmp(line, word, strlen(word)) != 0 || !strchr(" \t", line[strlen(word)]) ||
        line[bytes - 1] != ']')
        return reason_say(reason, -EINVAL, "%s: not a section; write [export NAME]",
                          line);
    char *name = trim(line + strlen(word), line + bytes - 1);
    if (*name == '\0')
        return reason_say(reason, -EINVAL, "[export]: no name; write [export NAME]");
    return settings_add_export(settings, name, reason);
}

static int read_line(struct settings *settings, char *line, struct reason *reason)
{
    if (*line == '\0' || *line == '#')
        return 0;
    if (*line == '[')
        return read_section(settings, line, reason);

    char *equals = strchr(line, '=');
    if (!equals || equals == line)
        return reason_say(reason, -EINVAL,
                          "%s: neither KEY=VALUE nor [export NAME] nor # a comment",
                          line);
    char *value = trim(equals + 1, line + strlen(line));
    char *key = trim(line, equals);
    if (*value == '"' || *value == '\'')
        return reason_say(reason, -EINVAL,
                          "%s=%s: a value has no quotes here; leave them out", key,
                          value);
    if (strstr(value, " #") || strstr(value, "\t#"))
        return reason_say(reason, -EINVAL,
                          "%s=%s: a comment stands on a line of its own", key, value);
    if (strncmp(key, "--", 2) == 0)
        return reason_say(reason, -EINVAL, "%s=%s: write it without the --", key,
                          value);
    return settings_set(settings, key, value, reason);
}

int settings_read_text(struct settings *settings, const char *path, char *text,
                       size_t bytes, struct reason *reason)
{
    char *line = text;

    settings->file = path;
    if (strncmp(text, byte_order_mark, strlen(byte_order_mark)) == 0)
        return reason_say(reason, -EINVAL,
                          "%s:1: a byte order mark; save it as UTF-8 without one",
                          path);
    for (unsigned number = 1; line < text + bytes; number++) {
        char *end = line + strcspn(line, "\n");

        if (*end == '\0' && end < text + bytes)
            return reason_say(reason, -EINVAL,
                              "%s:%u: a byte of value zero; this is "
                              "no text",
                              path, number);
        char *next = end + 1;
        settings->line = number;
        int r = read_line(settings, trim(line, end), reason);
        if (r < 0) {
            settings_say(settings, number, reason);
            return r;
        }
        line = next;
    }
    return 0;
}

/* All of it, and a 0 behind; *BYTES is without that. */
static char *read_all(int fd, size_t *bytes)
{
    char *text = malloc(SETTINGS_FILE_BYTES_MAX + 1);
    ssize_t got;

    *bytes = 0;
    if (!text)
        return NULL;
    while (*bytes < SETTINGS_FILE_BYTES_MAX &&
           (got = read(fd, text + *bytes, SETTINGS_FILE_BYTES_MAX - *bytes)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            return NULL;
        }
        *bytes += (size_t)got;
    }
    text[*bytes] = '\0';
    return text;
}

int settings_read_file(struct settings *settings, const char *path,
                       struct reason *reason)
{
    size_t bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd < 0 ? NULL : read_all(fd, &bytes);
    int r = text ? 0 : -errno;

    if (fd >= 0)
        close(fd);
    if (r < 0)
        return reason_say(
            reason, r,
            "%s: cannot read it: %s; name a file of parameters, or give them as "
            "--size=SIZE --listen=ADDRESS",
            path, strerror(-r));
    if (bytes == SETTINGS_FILE_BYTES_MAX) {
        free(text);
        return reason_say(reason, -EFBIG,
                          "%s: %u bytes or more; this is no "
                          "configuration file",
                          path, SETTINGS_FILE_BYTES_MAX);
    }
    /* What is set points into it. */
    settings->file_text = text;
    return settings_read_text(settings, path, text, bytes, reason);
}
