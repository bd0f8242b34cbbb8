/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SET "/v1/set?" /* whose keys are typed */
#define ANSWER_MAX (4u << 20)
#define ANSWER_S 30

static bool (*wants_to_end)(void);

void client_end_when(bool (*fn)(void))
{
    wants_to_end = fn;
}

static bool is_ended(void)
{
    return wants_to_end && wants_to_end();
}

/* A signal that does not end us. */
static bool is_to_be_done_again(ssize_t r)
{
    return r < 0 && errno == EINTR && !is_ended();
}

static int no_server(const char *path, const char *why)
{
    if (is_ended())
        return EXIT_NO_SERVER; /* it was not waited for */
    fprintf(stderr, "zslotctl: %s: %s\n", path, why);
    return EXIT_NO_SERVER;
}

/* Why nobody answers at PATH, and what to write. */
static int no_socket(const char *path, int err)
{
    struct stat what;
    char why[256];

    if (err == ENAMETOOLONG)
        snprintf(why, sizeof why, "the path of a socket has at most %zu bytes",
                 sizeof((struct sockaddr_un *)0)->sun_path - 1);
    else if (err == ENOENT)
        snprintf(
            why, sizeof why,
            "No such file; give a server control=SOCKET, and name that by -s SOCKET "
            "or in ZSLOT_CONTROL");
    else if (err == ECONNREFUSED && stat(path, &what) == 0 && !S_ISSOCK(what.st_mode))
        snprintf(why, sizeof why,
                 "this is no socket; name the one of the server's control=SOCKET");
    else if (err == ECONNREFUSED)
        snprintf(why, sizeof why, "nobody listens there; the server has ended");
    else
        return no_server(path, strerror(err));
    return no_server(path, why);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = ANSWER_S};

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int r;
    do
        r = connect(fd, (const struct sockaddr *)&address, sizeof address);
    while (is_to_be_done_again(r));
    if (r < 0) {
        int err = errno;

        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static int send_request(int fd, const char *method, const char *target)
{
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\nHost: zslot\r\nConnection: close\r\n\r\n",
                     method, target);

    if (n < 0 || (size_t)n >= sizeof text) {
        errno = EMSGSIZE;
        return -1;
    }
    ssize_t sent;
    do
        sent = send(fd, text, (size_t)n, MSG_NOSIGNAL);
    while (is_to_be_done_again(sent));
    return sent == n ? 0 : -1;
}

/* What a server of NBD begins with. */
static bool is_of_nbd(const char *text)
{
    static const char magic[] = "NBDMAGIC";

    return strncmp(text, magic, strlen(magic)) == 0;
}

/* All there is until the server hangs up, ended by 0; by malloc(). */
static char *receive(int fd)
{
    char *text = malloc(ANSWER_MAX + 1);
    size_t bytes = 0;
    ssize_t n = 1;

    while (text && n > 0 && bytes < ANSWER_MAX) {
        do
            n = recv(fd, text + bytes, ANSWER_MAX - bytes, 0);
        while (is_to_be_done_again(n));
        if (n > 0)
            bytes += (size_t)n;
    }
    if (!text)
        return NULL;
    text[bytes] = '\0';
    /* Who speaks NBD hangs up on a request of HTTP. */
    if (n >= 0 || is_of_nbd(text))
        return text;
    free(text);
    return NULL;
}

/* 0: it is no answer of HTTP. */
static int parse(const char *text, json_t **answer)
{
    const char *body = strstr(text, "\r\n\r\n");
    int status;

    if (!body || sscanf(text, "HTTP/1.1 %d ", &status) != 1)
        return 0;
    *answer = json_loads(body + 4, 0, NULL);
    return *answer ? status : 0;
}

/* Whether the query of TARGET has a key of BYTES that stands at TEXT. */
static bool has_key(const char *target, const char *text, size_t bytes)
{
    const char *at = strchr(target, '?');

    for (; at; at = strchr(at + 1, '&'))
        if (strncmp(at + 1, text, bytes) == 0 && at[1 + bytes] == '=')
            return true;
    return false;
}

/* The server's words are those of the query, and of KEY=VALUE nobody has typed the key. */
static void drop_keys(char *sentence, const char *target)
{
    char *to = sentence;

    for (const char *from = sentence; *from;) {
        size_t bytes = strcspn(from, "= ");

        if (from[bytes] == '=' && has_key(target, from, bytes))
            from += bytes + 1;
        bytes = strcspn(from, " ");
        bytes += from[bytes] == ' ';
        memmove(to, from, bytes);
        to += bytes;
        from += bytes;
    }
    *to = '\0';
}

static void say_refused(const char *path, const char *target, const json_t *answer)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    char *sentence = strdup(error ? error : "refused");

    if (!sentence)
        return;
    if (strncmp(target, SET, strlen(SET)) != 0)
        drop_keys(sentence, target);
    fprintf(stderr, "zslotctl: %s: %s\n", path, sentence);
    free(sentence);
}

int client_ask(const char *path, const char *method, const char *target,
               json_t **answer)
{
    int fd = connect_to(path);

    if (fd < 0)
        return no_socket(path, errno);
    char *text = send_request(fd, method, target) == 0 ? receive(fd) : NULL;
    int err = errno;
    close(fd);
    if (!text)
        return no_server(path, err == EAGAIN ? "no answer" : strerror(err));
    int status = parse(text, answer);
    bool is_nbd = is_of_nbd(text);
    free(text);
    if (is_nbd)
        return no_server(path,
                         "that is a socket for NBD; give the server control=SOCKET, "
                         "and name that one");
    if (status == 0)
        return no_server(path, "what answers there is not zslot");
    if (status < 300)
        return EXIT_DONE;
    say_refused(path, target, *answer);
    json_decref(*answer);
    *answer = NULL;
    return EXIT_REFUSED;
}

void client_add(char *target, size_t bytes, const char *key, const char *value)
{
    size_t used = strlen(target);

    used += (size_t)snprintf(target + used, bytes - used,
                             "%c%s=", strchr(target, '?') ? '&' : '?', key);
    for (; *value && used + 4 < bytes; value++)
        used += (size_t)snprintf(target + used, bytes - used, "%%%02X",
                                 (unsigned char)*value);
}

uint64_t client_number(const json_t *json, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(json, key));
}
