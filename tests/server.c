/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#define ARGUMENTS_MAX 30
#define ENVIRONMENT_MAX 200

/* The first descriptor of those handed over by socket activation, sd_listen_fds(3). */
#define LISTEN_FD 3

/* What the child needs, made before the fork: another thread may have held a lock then, Check's
 * or the allocator's, which nobody gives back in the child. */
struct launch {
    const char *argv[ARGUMENTS_MAX + 3];
    char *env[ENVIRONMENT_MAX + 3];
    char listen_pid[32];
    int fd;
    pid_t parent;
    sigset_t mask;
};

static void prepare(struct launch *launch, const char *const *arguments, int fd)
{
    unsigned count = 0;

    *launch = (struct launch){.fd = fd, .parent = getpid()};
    launch->argv[0] = getenv("NBDKIT");
    ck_assert_msg(launch->argv[0] != NULL,
                  "NBDKIT is not set: run this by make check, or set it to "
                  "tests/run-nbdkit of the build");
    launch->argv[1] = "-f";
    for (int i = 0; arguments[i]; i++) {
        ck_assert_int_lt(i, ARGUMENTS_MAX);
        launch->argv[2 + i] = arguments[i];
    }
    launch->env[count++] = launch->listen_pid;
    launch->env[count++] = "LISTEN_FDS=1";
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "LISTEN_", strlen("LISTEN_")) != 0) {
            ck_assert_uint_lt(count, ENVIRONMENT_MAX + 2);
            launch->env[count++] = *at;
        }
}

/* In the child, which begins with all signals blocked: Check's handlers would end the whole
 * process group. */
static void run(struct launch *launch)
{
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, &launch->mask, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != launch->parent)
        _exit(126);
    if (launch->fd == LISTEN_FD ? dup(LISTEN_FD) < 0 : dup2(launch->fd, LISTEN_FD) < 0)
        _exit(126);
    snprintf(launch->listen_pid, sizeof launch->listen_pid, "LISTEN_PID=%d",
             (int)getpid());
    execvpe(launch->argv[0], (char **)launch->argv, launch->env);
    _exit(127);
}

/* ADDRESS_BYTES: of the address that it shall have. */
static void start(struct server *server, socklen_t address_bytes,
                  const char *const *arguments)
{
    struct launch launch;
    sigset_t all;

    server->address_bytes = sizeof server->address;

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (void *)&server->address, address_bytes), 0);
    ck_assert_int_eq(listen(fd, 32), 0);
    ck_assert_int_eq(getsockname(fd, (void *)&server->address, &server->address_bytes),
                     0);

    prepare(&launch, arguments, fd);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &launch.mask);
    server->pid = fork();
    if (server->pid == 0)
        run(&launch);
    pthread_sigmask(SIG_SETMASK, &launch.mask, NULL);
    ck_assert_int_ge(server->pid, 0);
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

bool server_is_zslotd(void)
{
    const char *face = getenv("ZSLOT_FACE");

    return face && strcmp(face, "zslotd") == 0;
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
