/* unit-http.c - requests of HTTP, good ones and all others
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static struct http_request request;
static struct reason reason;

/* In memory that ends where they end, so that a sanitizer sees who reads on. */
static int parse_bytes(const char *bytes, size_t length)
{
    char *exact = malloc(length ? length : 1);

    memcpy(exact, bytes, length);
    int r = http_parse(exact, length, &request, &reason);
    free(exact);
    return r;
}

static int parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

START_TEST(a_request_is_read_with_its_parameters)
{
    static const char text[] =
        "POST /v1/set?idle-age=60&compressor=zstd%3A9&a=x+y HTTP/1.1\r\n"
        "Host: localhost:80\r\nAccept: */*\r\n\r\nrest";

    ck_assert_int_eq(parse(text), (int)strlen(text) - 4);
    ck_assert_str_eq(request.method, "POST");
    ck_assert_str_eq(request.path, "/v1/set");
    ck_assert_uint_eq(request.parameter_count, 3);
    ck_assert_str_eq(http_value(&request, "idle-age"), "60");
    ck_assert_str_eq(http_value(&request, "compressor"), "zstd:9");
    ck_assert_str_eq(http_value(&request, "a"), "x y");
    ck_assert_ptr_null(http_value(&request, "b"));
    ck_assert_str_eq(request.host, "localhost:80");
    ck_assert(request.keep_alive);
    ck_assert(!request.has_origin);
}
END_TEST

START_TEST(connections_end_when_asked_to_and_with_old_clients)
{
    ck_assert_int_gt(parse("GET / HTTP/1.1\nconnection: CLOSE\n\n"), 0);
    ck_assert(!request.keep_alive);
    ck_assert_int_gt(parse("GET / HTTP/1.0\n\n"), 0);
    ck_assert(!request.keep_alive);
    ck_assert_int_gt(parse("GET / HTTP/1.1\norigin: http://evil.example\n\n"), 0);
    ck_assert(request.has_origin);
}
END_TEST

START_TEST(every_beginning_of_a_request_wants_more)
{
    static const char text[] =
        "GET /v1/slots?from=1&count=%32 HTTP/1.1\r\nHost: zslot\r\n\r\n";

    for (size_t n = 0; n + 1 < sizeof text; n++)
        ck_assert_msg(parse_bytes(text, n) == 0, "%zu bytes", n);
    ck_assert_int_eq(parse_bytes(text, sizeof text - 1), (int)sizeof text - 1);
}
END_TEST

START_TEST(what_is_no_request_has_its_status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        {400, "\r\n\r\n"},
        {400, "GET\n\n"},
        {400, "GET /\n\n"},
        {400, "GET / FTP/1.0\n\n"},
        {400, "GET http://zslot/ HTTP/1.1\n\n"},
        {400, "GET / HTTP/1.1\nno colon\n\n"},
        {400, "GET / HTTP/1.1\n: x\n\n"},
        {400, "GET / HTTP/1.1\na: b\n folded\n\n"},
        {400, "GET / HTTP/1.1\nHost: a\nHost: b\n\n"},
        {400, "GET / HTTP/1.1\nHost: a\377b\n\n"},
        {501, "\377\376 / HTTP/1.1\n\n"},
        {501, "get / HTTP/1.1\n\n"},
        {400, "GET /?a=1&a=2 HTTP/1.1\n\n"},
        {400, "GET /?=1 HTTP/1.1\n\n"},
        {400, "GET /?a=%00 HTTP/1.1\n\n"},
        {400, "GET /?a=%4 HTTP/1.1\n\n"},
        {400, "GET /?a=%zz HTTP/1.1\n\n"},
        {400, "GET /?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1 HTTP/1.1\n\n"},
        {413, "POST / HTTP/1.1\nContent-Length: 1\n\n"},
        {413, "POST / HTTP/1.1\nContent-Length: -1\n\n"},
        {414, "GET /% HTTP/1.1\n\n"},
        {501, "PROPFIND / HTTP/1.1\n\n"},
        {501, "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n"},
        {505, "GET / HTTP/2.0\n\n"},
    };

    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        int r = parse(table[i].text);

        ck_assert_msg(r == -table[i].status, "%d for: %s", r, table[i].text);
        ck_assert_uint_gt(strlen(reason.text), 0);
        ck_assert_str_ne(http_phrase(table[i].status), "Unknown");
    }
}
END_TEST

START_TEST(a_request_that_is_too_long_is_refused_with_the_bound)
{
    char text[HTTP_REQUEST_MAX];
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nX: ");

    memset(text + n, 'x', sizeof text - (size_t)n);
    ck_assert_int_eq(parse_bytes(text, sizeof text - 1), 0);
    ck_assert_int_eq(parse_bytes(text, sizeof text), -431);
    ck_assert_ptr_nonnull(strstr(reason.text, "8192"));
    n = snprintf(text, sizeof text, "GET /");
    memset(text + n, 'a', HTTP_TEXT_MAX);
    strcpy(text + n + HTTP_TEXT_MAX, " HTTP/1.1\n\n");
    ck_assert_int_eq(parse(text), -414);
}
END_TEST

START_TEST(whatever_comes_is_read_within_its_bounds)
{
    static const char seed_text[] = "GET /v1/set?a=%41&b=c HTTP/1.1\r\nHost: a\r\n\r\n";
    unsigned long ops = harness_ops(200000);
    uint64_t random = 1;

    for (unsigned long i = 0; i < ops; i++) {
        char text[sizeof seed_text];
        size_t length = harness_random(&random) % sizeof text;

        memcpy(text, seed_text, sizeof text);
        for (unsigned j = 0; j < 3; j++)
            text[harness_random(&random) % sizeof text] = (char)harness_random(&random);
        int r = parse_bytes(text, length);
        ck_assert_int_le(r, (int)length);
        ck_assert_uint_le(request.parameter_count, HTTP_PARAMETERS_MAX);
    }
}
END_TEST

HARNESS_MAIN("unit-http", a_request_is_read_with_its_parameters,
             connections_end_when_asked_to_and_with_old_clients,
             every_beginning_of_a_request_wants_more, what_is_no_request_has_its_status,
             a_request_that_is_too_long_is_refused_with_the_bound,
             whatever_comes_is_read_within_its_bounds)
