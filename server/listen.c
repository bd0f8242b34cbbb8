/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* After sys/socket.h, which it needs. */
#include <linux/vm_sockets.h>

#include "parse.h"
#include "predecessor.h"

#define BACKLOG 64
#define ACTIVATED_FIRST 3 /* SD_LISTEN_FDS_START */
#define PORT_BYTES_MAX 16

/* UNIX_PATH is taken on success. */
static int add(struct listener *listener, int fd, char *unix_path)
{
    if (listener->count == LISTEN_FDS_MAX) {
        close(fd);
        return -EMFILE;
    }
    listener->fds[listener->count] = fd;
    if (unix_path && lstat(unix_path, &listener->made[listener->count]) < 0)
        listener->made[listener->count] = (struct stat){0};
    listener->unix_paths[listener->count++] = unix_path;
    return 0;
}

static int open_socket_once(const struct sockaddr *address, socklen_t bytes)
{
    const int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (address->sa_family == AF_INET || address->sa_family == AF_INET6)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, address, bytes) < 0 || listen(fd, BACKLOG) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

static int open_socket(const struct sockaddr *address, socklen_t bytes)
{
    struct predecessor predecessor = {0};
    int fd;

    do
        fd = open_socket_once(address, bytes);
    while (fd == -EADDRINUSE && predecessor_wait(&predecessor));
    return fd;
}

/* What bind, or something else on the way to it, has said about a path. */
static int refuse_path(const char *address, int r, struct reason *reason)
{
    if (r == -ENOENT)
        return reason_say(reason, r,
                          "listen=%s: its directory does not exist; make it first",
                          address);
    return reason_say(reason, r,
                      "listen=%s: cannot make a socket there: %s; write a path in a "
                      "directory in which this user can make files",
                      address, strerror(-r));
}

/* And about a port. */
static int refuse_port(const char *address, int r, struct reason *reason)
{
    switch (r) {
    case -EADDRINUSE:
        return reason_say(reason, r,
                          "listen=%s: another program listens there; write another "
                          "port, or stop that one",
                          address);
    case -EADDRNOTAVAIL:
        return reason_say(reason, r,
                          "listen=%s: this machine does not have that address; write "
                          "one that it has",
                          address);
    case -EACCES:
        return reason_say(reason, r,
                          "listen=%s: this user may not listen there; write a port "
                          "from 1024 on",
                          address);
    default:
        return reason_say(reason, r,
                          "listen=%s: cannot listen there: %s; write another address",
                          address, strerror(-r));
    }
}

/* -- Unix sockets. -- */

/* A socket file that nobody listens on any more is in the way: a server that was killed left it.
 * Anything else refuses connections in the same way, and stays. */
static int clear_the_way(const struct sockaddr_un *address, const char *all,
                         struct reason *reason)
{
    struct stat what;

    if (lstat(address->sun_path, &what) < 0)
        return 0; /* what else is wrong, bind tells */
    if (!S_ISSOCK(what.st_mode))
        return reason_say(
            reason, -EEXIST,
            "listen=%s: what is there is no socket, and stays; choose another path",
            all);
    int r = predecessor_wait_socket(address);
    if (r == -EADDRINUSE)
        return reason_say(
            reason, -EADDRINUSE,
            "listen=%s: another server listens there; write another path, "
            "or stop that one",
            all);
    if (r == 0)
        unlink(address->sun_path);
    return 0;
}

static int open_unix(struct listener *listener, const char *all, const char *path,
                     struct reason *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (*path == '\0' || strlen(path) >= sizeof address.sun_path)
        return reason_say(reason, -EINVAL,
                          "listen=%s: a path of 1 to %zu bytes stands after unix:; "
                          "write for example listen=unix:/run/zslot-nbd.sock",
                          all, sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    int r = clear_the_way(&address, all, reason);
    if (r < 0)
        return r;
    int fd = open_socket((struct sockaddr *)&address, sizeof address);
    if (fd < 0)
        return refuse_path(all, fd, reason);
    char *whole = realpath(path, NULL);
    r = whole ? add(listener, fd, whole) : -errno;
    if (r == 0)
        return 0;
    if (!whole)
        close(fd);
    free(whole);
    unlink(path);
    return refuse_path(all, r, reason);
}

/* -- TCP. -- */

static int refuse_tcp(const char *all, struct reason *reason)
{
    return reason_say(
        reason, -EINVAL,
        "listen=%s: not a host and a port from 1 to 65535; write for example "
        "listen=tcp:127.0.0.1:10809 or listen=tcp:[::1]:10809",
        all);
}

/* A number that there can be, or the name of a service: getaddrinfo takes the rest of a number that is too
 * large. */
static bool is_port(const char *text)
{
    int number;

    if (strspn(text, "+-0123456789") < strlen(text))
        return true;
    return *text >= '0' && *text <= '9' && parse_int(text, &number) == 0 &&
           number >= 1 && number <= UINT16_MAX;
}

/* BYTES of TEXT, with colons in them, are a host, and PORT is behind them. */
static int refuse_colons(const char *all, const char *text, size_t bytes,
                         const char *port, struct reason *reason)
{
    const char *missing = text[0] == '[' ? "the ] behind the address is missing"
                                         : "an IPv6 address stands in brackets";
    unsigned skip = text[0] == '[';

    return reason_say(reason, -EINVAL, "listen=%s: %s; write listen=tcp:[%.*s]:%s", all,
                      missing, (int)(bytes - skip), text + skip, port);
}

/* Cuts HOST:PORT, or [HOST]:PORT. */
static int cut_host(const char *all, const char *text, char *host, size_t host_bytes,
                    const char **port, struct reason *reason)
{
    const char *colon = strrchr(text, ':');
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;

    if (!colon || colon == text || !colon[1] || strlen(colon + 1) > PORT_BYTES_MAX ||
        !is_port(colon + 1) || (bracket && colon != bracket + 1))
        return refuse_tcp(all, reason);
    size_t bytes = (size_t)(colon - text);
    if (bracket) {
        text++;
        bytes -= 2;
    } else if (text[0] == '[' || memchr(text, ':', bytes))
        return refuse_colons(all, text, bytes, colon + 1, reason);
    if (bytes >= host_bytes || bytes == 0)
        return refuse_tcp(all, reason);
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    *port = colon + 1;
    return 0;
}

static int refuse_name(const char *all, const char *host, int error,
                       struct reason *reason)
{
    if (error == EAI_SERVICE)
        return refuse_tcp(all, reason);
    return reason_say(reason, -EINVAL,
                      "listen=%s: no address is found for the host %s: %s; write an "
                      "address of this machine, as in listen=tcp:127.0.0.1:10809",
                      all, host, gai_strerror(error));
}

static int open_tcp(struct listener *listener, const char *all, const char *text,
                    struct reason *reason)
{
    const char *port = NULL;
    char host[256];
    int r = cut_host(all, text, host, sizeof host, &port, reason);

    if (r < 0)
        return r;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return refuse_name(all, host, r, reason);
    for (struct addrinfo *each = found; each && r == 0; each = each->ai_next) {
        int fd = open_socket(each->ai_addr, each->ai_addrlen);

        r = fd < 0 ? fd : add(listener, fd, NULL);
    }
    freeaddrinfo(found);
    return r < 0 ? refuse_port(all, r, reason) : 0;
}

/* -- Sockets of virtual machines. -- */

static bool parse_u32(const char *text, size_t bytes, unsigned *value)
{
    char digits[16], *end;

    if (bytes == 0 || bytes >= sizeof digits || text[0] < '0' || text[0] > '9')
        return false;
    memcpy(digits, text, bytes);
    digits[bytes] = '\0';
    unsigned long number = strtoul(digits, &end, 10);
    *value = (unsigned)number;
    return *end == '\0' && number < UINT32_MAX;
}

static int open_vsock(struct listener *listener, const char *all, const char *text,
                      struct reason *reason)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
    const char *colon = strchr(text, ':'), *port = colon ? colon + 1 : text;

    if ((colon && !parse_u32(text, (size_t)(colon - text), &address.svm_cid)) ||
        !parse_u32(port, strlen(port), &address.svm_port))
        return reason_say(
            reason, -EINVAL,
            "listen=%s: not a port, or a CID and a port; write for example "
            "listen=vsock:10809",
            all);
    int fd = open_socket((struct sockaddr *)&address, sizeof address);
    if (fd >= 0)
        fd = add(listener, fd, NULL);
    return fd < 0 ? refuse_port(all, fd, reason) : 0;
}

int listen_open(struct listener *listener, const char *address, struct reason *reason)
{
    static const struct {
        const char *prefix;
        int (*open)(struct listener *listener, const char *all, const char *text,
                    struct reason *reason);
    } kinds[] = {{"unix:", open_unix}, {"tcp:", open_tcp}, {"vsock:", open_vsock}};

    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t bytes = strlen(kinds[i].prefix);

        if (strncmp(address, kinds[i].prefix, bytes) == 0)
            return kinds[i].open(listener, address, address + bytes, reason);
    }
    return reason_say(reason, -EINVAL,
                      "listen=%s: neither unix:PATH nor tcp:HOST:PORT nor vsock:PORT; "
                      "write for example listen=unix:/run/zslot-nbd.sock",
                      address);
}

/* -- Socket activation. -- */

int listen_take_activated(struct listener *listener, struct reason *reason)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int count;

    if (!pid || !fds || strtol(pid, NULL, 10) != getpid())
        return 0;
    if (parse_int(fds, &count) < 0 || count < 0 ||
        (unsigned)count > LISTEN_FDS_MAX - listener->count)
        return reason_say(reason, -EINVAL, "LISTEN_FDS=%s: not a number from 0 to %u",
                          fds, LISTEN_FDS_MAX - listener->count);
    for (int fd = ACTIVATED_FIRST; fd < ACTIVATED_FIRST + count; fd++) {
        int accepts = 0, flags = fcntl(fd, F_GETFL);
        socklen_t bytes = sizeof accepts;

        if (flags < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &bytes) < 0 || !accepts)
            return reason_say(reason, -EINVAL,
                              "LISTEN_FDS=%s: descriptor %d is no listening socket",
                              fds, fd);
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        add(listener, fd, NULL);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return count;
}

static bool is_what_was_made(const char *path, const struct stat *made)
{
    struct stat what;

    return lstat(path, &what) == 0 && what.st_dev == made->st_dev &&
           what.st_ino == made->st_ino;
}

void listen_close(struct listener *listener)
{
    for (unsigned i = 0; i < listener->count; i++) {
        const char *path = listener->unix_paths[i];

        if (path && is_what_was_made(path, &listener->made[i]))
            unlink(path);
        /* After the file: a number that is free is used again. */
        close(listener->fds[i]);
        free(listener->unix_paths[i]);
    }
    listener->count = 0;
}
