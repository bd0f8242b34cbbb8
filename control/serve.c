/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "serve.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 1024

struct connection {
    struct serve *serve;
    int fd; /* -1: free */
    struct event *readable, *writable;
    uint64_t since_ms; /* accepted, or its last answer begun */
    char in[HTTP_REQUEST_MAX];
    size_t in_bytes;
    char *out; /* NULL: nothing to send */
    size_t out_bytes, out_sent;
    bool ends; /* after what is being sent */
};

struct serve {
    struct event_base *base;
    int fd;
    struct event *acceptable, *tick;
    serve_fn *answer;
    serve_refuse_fn *refuse;
    void *opaque;
    unsigned count;
    struct connection connections[SERVE_CONNECTIONS_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void hang_up(struct connection *connection)
{
    struct serve *serve = connection->serve;

    event_free(connection->readable);
    event_free(connection->writable);
    close(connection->fd);
    free(connection->out);
    connection->fd = -1;
    connection->out = NULL;
    serve->count--;
    event_add(serve->acceptable, NULL);
}

/* Puts head and body together.  False: no memory. */
static bool set_out(struct connection *connection, struct http_response *response,
                    bool head_only)
{
    char head[HEAD_MAX];
    int n = snprintf(
        head, sizeof head,
        "HTTP/1.1 %d %s\r\n"
        "Content-Type: %s\r\n"
        "Content-Length: %zu\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\n"
        "%s%s%s"
        "%s%s%s"
        "Connection: %s\r\n\r\n",
        response->status, http_phrase(response->status), response->type,
        response->bytes, response->allow ? "Allow: " : "",
        response->allow ? response->allow : "", response->allow ? "\r\n" : "",
        response->policy ? "Content-Security-Policy: " : "",
        response->policy ? response->policy : "", response->policy ? "\r\n" : "",
        connection->ends ? "close" : "keep-alive");
    size_t body_bytes = head_only ? 0 : response->bytes;

    connection->out = response->body ? malloc((size_t)n + body_bytes) : NULL;
    if (connection->out) {
        memcpy(connection->out, head, (size_t)n);
        memcpy(connection->out + n, response->body, body_bytes);
        connection->out_bytes = (size_t)n + body_bytes;
        connection->out_sent = 0;
    }
    free(response->body);
    return connection->out;
}

/* False: the connection is gone, or waits to be writable. */
static bool send_out(struct connection *connection)
{
    while (connection->out_sent < connection->out_bytes) {
        ssize_t n = send(connection->fd, connection->out + connection->out_sent,
                         connection->out_bytes - connection->out_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_del(connection->readable);
            event_add(connection->writable, NULL);
            return false;
        }
        if (n < 0) {
            hang_up(connection);
            return false;
        }
        connection->out_sent += (size_t)n;
    }
    free(connection->out);
    connection->out = NULL;
    connection->out_bytes = connection->out_sent = 0;
    if (connection->ends) {
        hang_up(connection);
        return false;
    }
    return true;
}

/* Answers the first request of what has come in. */
static void go_on(struct connection *connection)
{
    struct serve *serve = connection->serve;

    struct http_request request;
    struct http_response response = {.status = 500, .type = "text/plain"};
    struct reason reason;
    int r = http_parse(connection->in, connection->in_bytes, &request, &reason);

    if (r == 0)
        return;
    if (r < 0) {
        connection->ends = true;
        serve->refuse(&reason, -r, &response);
    } else {
        connection->ends = !request.keep_alive;
        serve->answer(serve->opaque, &request, &response);
        connection->in_bytes -= (size_t)r;
        memmove(connection->in, connection->in + r, connection->in_bytes);
    }
    connection->since_ms = now_ms();
    bool head_only = r > 0 && strcmp(request.method, "HEAD") == 0;
    if (!set_out(connection, &response, head_only)) {
        hang_up(connection);
        return;
    }
    /* What came after it has its turn when others had theirs. */
    if (send_out(connection) && connection->in_bytes > 0)
        event_active(connection->writable, EV_WRITE, 0);
}

static void on_readable(evutil_socket_t fd, short what, void *opaque)
{
    struct connection *connection = opaque;

    (void)what;
    ssize_t n = recv(fd, connection->in + connection->in_bytes,
                     sizeof connection->in - connection->in_bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(connection);
        return;
    }
    connection->in_bytes += (size_t)n;
    go_on(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *opaque)
{
    struct connection *connection = opaque;

    (void)fd;
    (void)what;
    if (!send_out(connection))
        return;
    event_add(connection->readable, NULL);
    go_on(connection); /* what came after the request */
}

static struct connection *free_connection(struct serve *serve)
{
    for (unsigned i = 0; i < SERVE_CONNECTIONS_MAX; i++)
        if (serve->connections[i].fd < 0)
            return &serve->connections[i];
    return NULL;
}

static void on_acceptable(evutil_socket_t fd, short what, void *opaque)
{
    struct serve *serve = opaque;
    struct connection *connection = free_connection(serve);

    (void)what;
    if (!connection) {
        event_del(serve->acceptable);
        return;
    }
    int taken = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (taken < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            event_del(serve->acceptable); /* until the next tick */
        return;
    }
    connection->readable =
        event_new(serve->base, taken, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable =
        event_new(serve->base, taken, EV_WRITE, on_writable, connection);
    if (!connection->readable || !connection->writable ||
        event_add(connection->readable, NULL) < 0) {
        if (connection->readable)
            event_free(connection->readable);
        if (connection->writable)
            event_free(connection->writable);
        close(taken);
        return;
    }
    connection->fd = taken;
    connection->since_ms = now_ms();
    connection->in_bytes = 0;
    connection->ends = false;
    serve->count++;
}

/* Those that are too slow, or that nobody uses. */
static void on_tick(evutil_socket_t fd, short what, void *opaque)
{
    struct serve *serve = opaque;
    uint64_t now = now_ms();

    (void)fd;
    (void)what;
    for (unsigned i = 0; i < SERVE_CONNECTIONS_MAX; i++) {
        struct connection *connection = &serve->connections[i];

        if (connection->fd >= 0 && now - connection->since_ms >= SERVE_REQUEST_S * 1000)
            hang_up(connection);
    }
    event_add(serve->acceptable, NULL); /* when no descriptor was to be had */
}

int serve_new(struct event_base *base, int fd, serve_fn *answer,
              serve_refuse_fn *refuse, void *opaque, struct serve **serve)
{
    static const struct timeval second = {.tv_sec = 1};
    struct serve *made = calloc(1, sizeof *made);

    if (!made)
        return -ENOMEM;
    for (unsigned i = 0; i < SERVE_CONNECTIONS_MAX; i++) {
        made->connections[i].serve = made;
        made->connections[i].fd = -1;
    }
    made->base = base;
    made->fd = -1;
    made->answer = answer;
    made->refuse = refuse;
    made->opaque = opaque;
    made->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, made);
    made->tick = event_new(base, -1, EV_PERSIST, on_tick, made);
    if (!made->acceptable || !made->tick || event_add(made->acceptable, NULL) < 0 ||
        event_add(made->tick, &second) < 0) {
        serve_free(made);
        return -ENOMEM;
    }
    made->fd = fd;
    *serve = made;
    return 0;
}

void serve_free(struct serve *serve)
{
    if (!serve)
        return;
    for (unsigned i = 0; i < SERVE_CONNECTIONS_MAX; i++)
        if (serve->connections[i].fd >= 0)
            hang_up(&serve->connections[i]);
    if (serve->acceptable)
        event_free(serve->acceptable);
    if (serve->tick)
        event_free(serve->tick);
    if (serve->fd >= 0)
        close(serve->fd);
    free(serve);
}
