/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "http.h"

#include <string.h>
#include <strings.h>

/* Bytes that belong to somebody else, with an end. */
struct text {
    const char *at;
    size_t length;
};

static bool text_is(struct text text, const char *word)
{
    return strlen(word) == text.length && strncasecmp(text.at, word, text.length) == 0;
}

/* Takes what is before the first SEPARATOR off the front of REST; all if there is none. */
static struct text cut(struct text *rest, char separator)
{
    const char *end = memchr(rest->at, separator, rest->length);
    struct text part = {rest->at, end ? (size_t)(end - rest->at) : rest->length};
    size_t taken = part.length + (end ? 1 : 0);

    rest->at += taken;
    rest->length -= taken;
    return part;
}

static struct text trim(struct text text)
{
    while (text.length > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.length--;
    }
    while (text.length > 0 &&
           (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
        text.length--;
    return text;
}

/* Whether all of it is from FIRST to LAST: what comes into a sentence of ours has to be text. */
static bool is_all(struct text text, char first, char last)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < first || text.at[i] > last)
            return false;
    return true;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX and, in a query, "+".  False: too long, or not printable ASCII. */
static bool decode(struct text text, bool plus_is_space, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];

        if (c == '%') {
            bool whole = text.length - i > 2;
            int high = whole ? digit_of(text.at[i + 1]) : -1;
            int low = whole ? digit_of(text.at[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space)
            c = ' ';
        if (c < 0x20 || c > 0x7e || n + 1 >= HTTP_TEXT_MAX)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

static int parse_query(struct text query, struct http_request *request,
                       struct reason *reason)
{
    while (query.length > 0) {
        struct text value = cut(&query, '&');
        struct text key = cut(&value, '=');
        unsigned n = request->parameter_count;

        if (n == HTTP_PARAMETERS_MAX)
            return reason_say(reason, -400, "the query has more than %u parameters",
                              HTTP_PARAMETERS_MAX);
        if (key.length == 0 || !decode(key, true, request->parameters[n].key) ||
            !decode(value, true, request->parameters[n].value))
            return reason_say(reason, -400,
                              "the query is not KEY=VALUE&KEY=VALUE with printable "
                              "characters, or one of them has more than %u",
                              HTTP_TEXT_MAX - 1);
        if (http_value(request, request->parameters[n].key))
            return reason_say(reason, -400, "%s is given more than once",
                              request->parameters[n].key);
        request->parameter_count++;
    }
    return 0;
}

static int parse_first_line(struct text line, struct http_request *request,
                            struct reason *reason)
{
    struct text method = cut(&line, ' '), target = cut(&line, ' '), version = line;

    if (method.length == 0 || method.length >= sizeof request->method ||
        !is_all(method, 'A', 'Z'))
        return reason_say(reason, -501,
                          "unknown method; those there are: GET HEAD POST");
    memcpy(request->method, method.at, method.length);
    request->method[method.length] = '\0';
    if (text_is(version, "HTTP/1.1"))
        request->keep_alive = true;
    else if (!text_is(version, "HTTP/1.0"))
        return reason_say(
            reason,
            version.length > 5 && strncmp(version.at, "HTTP/", 5) == 0 ? -505 : -400,
            "not a request of HTTP/1.0 or HTTP/1.1");
    /* A proxy's form of it, http://host/path, is not for us. */
    if (target.length == 0 || target.at[0] != '/')
        return reason_say(reason, -400, "the path does not begin with /");
    struct text path = cut(&target, '?');
    if (!decode(path, false, request->path))
        return reason_say(reason, -414,
                          "the path has more than %u characters, or others than "
                          "printable ones",
                          HTTP_TEXT_MAX - 1);
    return parse_query(target, request, reason);
}

static int parse_header(struct text line, struct http_request *request,
                        struct reason *reason)
{
    struct text value = line, name = cut(&value, ':');

    if (name.length == line.length || name.length == 0 || name.at[0] == ' ' ||
        name.at[0] == '\t' || name.at[name.length - 1] == ' ')
        return reason_say(reason, -400, "a header is not NAME: VALUE");
    value = trim(value);
    if (text_is(name, "host")) {
        if (request->host[0] || value.length == 0 || value.length >= HTTP_TEXT_MAX ||
            !is_all(value, '!', '~'))
            return reason_say(reason, -400, "the header Host is not one name");
        memcpy(request->host, value.at, value.length);
        request->host[value.length] = '\0';
    } else if (text_is(name, "origin"))
        request->has_origin = true;
    else if (text_is(name, "connection")) {
        if (text_is(value, "close"))
            request->keep_alive = false;
    } else if (text_is(name, "transfer-encoding"))
        return reason_say(reason, -501, "a request has no body here");
    else if (text_is(name, "content-length") && !text_is(value, "0"))
        return reason_say(reason, -413,
                          "a request has no body here: the bound is 0 bytes; write "
                          "parameters into the query, as in POST "
                          "/v1/writeback?type=idle");
    return 0;
}

int http_parse(const char *bytes, size_t length, struct http_request *request,
               struct reason *reason)
{
    struct text rest = {bytes, length};
    bool first = true;

    memset(request, 0, sizeof *request);
    while (rest.length > 0) {
        if (!memchr(rest.at, '\n', rest.length))
            break;
        struct text line = cut(&rest, '\n');
        if (line.length > 0 && line.at[line.length - 1] == '\r')
            line.length--;
        if (first && line.length == 0)
            return reason_say(reason, -400, "a request begins with an empty line");
        if (line.length == 0)
            return (int)(rest.at - bytes);
        int r = first ? parse_first_line(line, request, reason)
                      : parse_header(line, request, reason);
        if (r < 0)
            return r;
        first = false;
    }
    if (length >= HTTP_REQUEST_MAX)
        return reason_say(reason, -431,
                          "the request with its headers has more than %u bytes",
                          HTTP_REQUEST_MAX);
    return 0;
}

const char *http_value(const struct http_request *request, const char *key)
{
    for (unsigned i = 0; i < request->parameter_count; i++)
        if (strcmp(request->parameters[i].key, key) == 0)
            return request->parameters[i].value;
    return NULL;
}

const char *http_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } table[] = {
        {200, "OK"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status)
            return table[i].phrase;
    return "Unknown";
}
