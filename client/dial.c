/* dial.c - a server's addresses, and connections to it
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "dial.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define NBD_PORT "10809"

static int lookup_path(struct server *server, const char *path, struct why *why)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&server->addresses[0].socket;
    char here[PATH_MAX] = "", whole[2 * PATH_MAX];

    /* Whoever connects again may be in another directory. */
    if (*path != '/' && !getcwd(here, sizeof here))
        return why_set(why, "%s: cannot tell the directory: %s", path, strerror(errno));
    snprintf(whole, sizeof whole, "%s%s%s", here, *here ? "/" : "", path);
    if (strlen(whole) >= sizeof un->sun_path)
        return why_set(why, "%s: the path of a socket has at most %zu bytes", whole,
                       sizeof un->sun_path - 1);
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, whole);
    server->addresses[0].length = sizeof *un;
    server->count = 1;
    return 0;
}

/* split: HOST:PORT, [ADDRESS]:PORT, or one without a port; an IPv6 address without brackets has no
 * port */
static int split(const char *target, char *host, size_t host_bytes, const char **port)
{
    const char *begin = target;
    const char *end = target + strlen(target);
    const char *colon = strchr(target, ':');

    *port = NBD_PORT;
    if (*target == '[') {
        begin = target + 1;
        end = strchr(target, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return -1;
        if (end[1] == ':')
            *port = end + 2;
    } else if (colon && strchr(colon + 1, ':') == NULL) {
        end = colon;
        *port = colon + 1;
    }
    if (end == begin || (size_t)(end - begin) >= host_bytes || **port == '\0')
        return -1;
    memcpy(host, begin, end - begin);
    host[end - begin] = '\0';
    return 0;
}

static int check_port(const char *target, const char *port, struct why *why)
{
    char *end;
    const unsigned long number = strtoul(port, &end, 10);

    if (!isdigit((unsigned char)*port) && getservbyname(port, "tcp"))
        return 0;
    if (!isdigit((unsigned char)*port) || *end || number < 1 || number > UINT16_MAX)
        return why_set(
            why,
            "%s: %s is no port; write a number from 1 to %u, or leave it out "
            "for " NBD_PORT,
            target, port, UINT16_MAX);
    return 0;
}

static int check_path(const char *target, struct why *why)
{
    static const char prefix[] = "unix:";

    if (strstr(target, "://"))
        return why_set(why,
                       "%s: a URI is not taken; write HOST, HOST:PORT or the path of "
                       "a socket",
                       target);
    if (strncmp(target, prefix, strlen(prefix)) == 0)
        return why_set(why, "%s: write the path alone: %s", target,
                       target + strlen(prefix));
    return 0;
}

bool dial_is_path(const char *target)
{
    return strchr(target, '/') != NULL;
}

void dial_host(const char *target, char host[DIAL_HOST_MAX])
{
    const char *port;

    host[0] = '\0';
    if (!dial_is_path(target))
        split(target, host, DIAL_HOST_MAX, &port);
}

int dial_check(const char *target, struct why *why)
{
    const char *port;
    char host[DIAL_HOST_MAX];

    if (dial_is_path(target))
        return check_path(target, why);
    if (*target == '[' && !strchr(target, ']'))
        return why_set(why,
                       "%s: there is no ] to its [; write [ADDRESS] or "
                       "[ADDRESS]:PORT",
                       target);
    if (split(target, host, sizeof host, &port))
        return why_set(
            why, "%s: not HOST, HOST:PORT, [ADDRESS]:PORT or the path of a socket",
            target);
    return check_port(target, port, why);
}

int dial_lookup(struct server *server, const char *target, struct why *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    const char *port;
    char host[DIAL_HOST_MAX];

    server->count = 0;
    if (dial_check(target, why))
        return -1;
    if (dial_is_path(target))
        return lookup_path(server, target, why);
    split(target, host, sizeof host, &port);
    const int error = getaddrinfo(host, port, &hints, &list);
    if (error)
        return why_set(why, "%s: %s", target, gai_strerror(error));
    for (struct addrinfo *one = list; one && server->count < DIAL_ADDRESSES_MAX;
         one = one->ai_next) {
        struct address *address = &server->addresses[server->count++];
        memcpy(&address->socket, one->ai_addr, one->ai_addrlen);
        address->length = one->ai_addrlen;
    }
    freeaddrinfo(list);
    return 0;
}

static void set_timeouts(int fd, long seconds)
{
    const struct timeval timeout = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

/* tune: a request is not held back to be sent with the next; and a server whose machine is gone is
 * noticed in half a minute when there are no requests that would notice.
 *
 * When a request times out the kernel shuts the socket down, which leaves what it holds in its queue:
 * retransmitted later it would overwrite what has been written by another connection meanwhile. So
 * the connection must be dead, and its queue gone, before that: "unheard_ms" is below the timeout. */
static void tune(int fd, unsigned unheard_ms)
{
    const int on = 1, idle_s = 15, interval_s = 5, probes = 3;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, sizeof unheard_ms);
}

/* unheard_ms: two thirds of the requests' timeout; the kernel looks at its timers seldom. Longer than
 * keepalive takes would make that longer too. */
static unsigned unheard_ms(const struct server *server)
{
    const uint64_t ms = server->request_timeout_s * 1000 / 3 * 2;

    return server->request_timeout_s == 0 || ms > DIAL_UNHEARD_MAX_MS
               ? DIAL_UNHEARD_MAX_MS
               : ms;
}

int dial(const struct server *server, struct why *why)
{
    for (unsigned i = 0; i < server->count; i++) {
        const struct address *address = &server->addresses[i];
        const int family = address->socket.ss_family;
        const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0) {
            why_set(why, "no socket: %s", strerror(errno));
            continue;
        }
        set_timeouts(fd, DIAL_TIMEOUT_S);
        if (connect(fd, (const struct sockaddr *)&address->socket, address->length) ==
            0) {
            if (family != AF_UNIX)
                tune(fd, unheard_ms(server));
            return fd;
        }
        why_set(why, "cannot connect: %s",
                errno == EINPROGRESS ? "no answer" : strerror(errno));
        close(fd);
    }
    return -1;
}

void dial_done(int fd)
{
    set_timeouts(fd, 0);
}
