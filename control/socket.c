/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "socket.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "predecessor.h"

#define BACKLOG 16

static int find_group(const char *name, gid_t *gid, struct reason *reason)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    const struct group *group = getgrnam(name);

    if (group)
        *gid = group->gr_gid;
    else if (*name >= '0' && *name <= '9' && *end == '\0' && number < UINT_MAX)
        *gid = (gid_t)number;
    else
        return reason_say(reason, -EINVAL,
                          "control-group=%s: there is no such group; write the name "
                          "or the number of one in /etc/group",
                          name);
    return 0;
}

/* With mode 0600 from the first moment on. */
static int bind_privately(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0177);
    int r =
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;

    umask(before);
    return r;
}

/* There is something at the path: may it go? */
static int take_away_stale(const struct sockaddr_un *address, struct reason *reason)
{
    const char *path = address->sun_path;
    struct stat what;

    if (lstat(path, &what) < 0)
        return errno == ENOENT ? 0
                               : reason_say(reason, -errno,
                                            "control=%s: cannot look at it: %s; write "
                                            "another path",
                                            path, strerror(errno));
    if (!S_ISSOCK(what.st_mode))
        return reason_say(reason, -EEXIST,
                          "control=%s: there is something that is not a socket; write "
                          "a path at which there is nothing",
                          path);
    if (predecessor_wait_socket(address) < 0)
        return reason_say(reason, -EADDRINUSE,
                          "control=%s: another server listens there; write another "
                          "path, or stop that one",
                          path);
    if (unlink(path) < 0 && errno != ENOENT)
        return reason_say(reason, -errno,
                          "control=%s: cannot take away the socket that a server left "
                          "behind: %s",
                          path, strerror(errno));
    return 0;
}

static int bind_at(int fd, const struct sockaddr_un *address, struct reason *reason)
{
    const char *path = address->sun_path;
    int r = bind_privately(fd, address);

    if (r == -EADDRINUSE) {
        r = take_away_stale(address, reason);
        if (r < 0)
            return r;
        r = bind_privately(fd, address);
    }
    if (r == -ENOENT)
        return reason_say(
            reason, r, "control=%s: its directory does not exist; make it first", path);
    return r < 0
               ? reason_say(reason, r,
                            "control=%s: cannot make a socket there: %s; write a path "
                            "in a directory in which this user can make files",
                            path, strerror(-r))
               : 0;
}

int socket_open(const struct options *options, struct socket_path *made,
                struct reason *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = options->control;
    gid_t gid = (gid_t)-1;
    struct stat what;
    int r;

    *made = (struct socket_path){.fd = -1};
    if (strlen(path) >= sizeof address.sun_path)
        return reason_say(reason, -ENAMETOOLONG,
                          "control=%s: a socket's path has at most %zu characters; "
                          "write a shorter one, as in control=/run/zslot.sock",
                          path, sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    if (options->control_group &&
        (r = find_group(options->control_group, &gid, reason)) < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return reason_say(reason, -errno, "control=%s: no socket to be had: %s", path,
                          strerror(errno));
    r = bind_at(fd, &address, reason);
    if (r < 0) {
        close(fd);
        return r;
    }
    if (lstat(path, &what) == 0) {
        made->device = what.st_dev;
        made->inode = what.st_ino;
    }
    made->path = path;
    made->fd = fd;
    /* Others come in last, when all is as it should be. */
    if ((gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0) ||
        chmod(path, options->control_mode) < 0) {
        r = reason_say(reason, -errno,
                       "control=%s: cannot set its mode or group: %s; write a "
                       "control-group that this user is in",
                       path, strerror(errno));
        socket_close(made);
        return r;
    }
    if (listen(fd, BACKLOG) < 0) {
        r = reason_say(reason, -errno, "control=%s: cannot listen: %s", path,
                       strerror(errno));
        socket_close(made);
        return r;
    }
    return 0;
}

void socket_close(struct socket_path *made)
{
    struct stat what;

    if (made->path && lstat(made->path, &what) == 0 && what.st_dev == made->device &&
        what.st_ino == made->inode)
        unlink(made->path);
    if (made->fd >= 0)
        close(made->fd);
    *made = (struct socket_path){.fd = -1};
}
