/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#define ARGUMENTS_MAX 30

/* The first descriptor of those handed over by socket activation, sd_listen_fds(3). */
#define LISTEN_FD 3

/* In the child. */
static void run(const char *nbdkit, const char *const *arguments, int fd, pid_t parent)
{
    const char *argv[ARGUMENTS_MAX + 3] = {nbdkit, "-f"};
    char text[16];

    for (int i = 0; arguments[i]; i++) {
        if (i == ARGUMENTS_MAX)
            _exit(126);
        argv[2 + i] = arguments[i];
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(126);
    if (fd == LISTEN_FD ? dup(fd) < 0 : dup2(fd, LISTEN_FD) < 0)
        _exit(126);
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", "1", 1);
    execvp(nbdkit, (char **)argv);
    fprintf(stderr, "%s: %s\n", nbdkit, strerror(errno));
    _exit(127);
}

/* ADDRESS_BYTES: of the address that it shall have. */
static void start(struct server *server, socklen_t address_bytes,
                  const char *const *arguments)
{
    const char *nbdkit = getenv("NBDKIT");

    ck_assert_msg(nbdkit != NULL,
                  "NBDKIT is not set: run this by make check, or set it to "
                  "tests/run-nbdkit of the build");
    server->address_bytes = sizeof server->address;

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (void *)&server->address, address_bytes), 0);
    ck_assert_int_eq(listen(fd, 32), 0);
    ck_assert_int_eq(getsockname(fd, (void *)&server->address, &server->address_bytes),
                     0);

    pid_t parent = getpid();
    server->pid = fork();
    ck_assert_int_ge(server->pid, 0);
    if (server->pid == 0)
        run(nbdkit, arguments, fd, parent);
    close(fd);
}

void server_start(struct server *server, const char *const *arguments)
{
    *server = (struct server){.address.sun_family = AF_UNIX};
    /* An address of only a family: the kernel chooses an abstract name (unix(7), autobind). */
    start(server, sizeof(sa_family_t), arguments);
}

void server_start_at(struct server *server, const char *path,
                     const char *const *arguments)
{
    *server = (struct server){.address.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(path), sizeof server->address.sun_path);
    strcpy(server->address.sun_path, path);
    unlink(path);
    start(server, sizeof server->address, arguments);
}

void server_kill(struct server *server)
{
    int status;

    ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(server->pid, &status, 0), server->pid);
    ck_assert(WIFSIGNALED(status));
}

void server_stop(struct server *server)
{
    int status;

    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(server->pid, &status, 0), server->pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "nbdkit ended with wait status 0x%x", status);
}

struct nbd_handle *server_connect(const struct server *server)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_msg(connect(fd, (const void *)&server->address, server->address_bytes) ==
                      0,
                  "nbdkit does not listen, it may have refused its parameters: %s",
                  strerror(errno));

    struct nbd_handle *nbd = nbd_create();
    ck_assert_ptr_nonnull(nbd);
    NBD_OK(nbd_set_strict_mode(nbd, 0));
    NBD_OK(nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION));
    NBD_OK(nbd_connect_socket(nbd, fd));
    return nbd;
}

uint64_t server_status_kib(const struct server *server, const char *field)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    size_t length = strlen(field);
    int found = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)server->pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            found = sscanf(line + length + 1, "%llu", &kib);
    fclose(file);
    ck_assert_msg(found == 1, "%s has no %s", path, field);
    return kib;
}
