/* zslotd.c - the native NBD server: one volume behind event loops
 *
 * Owns:    the process: the volume, the loops, the workers, the order in which they come and go.
 * Called:  by whoever starts it.
 * Locks:   none.
 * Never:   serves; loops do.
 *
 * What can fail for the user's sake fails before it goes into the background.  Threads are made
 * after that, since a fork takes none along, and before the volume starts, which locks what the
 * process has in RAM then.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

#include "accept.h"
#include "listen.h"
#include "reactor.h"
#include "notify.h"
#include "settings.h"
#include "volume.h"
#include "workers.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 /* Linux 5.6 */
#endif

struct server {
    struct settings settings;
    struct listener listener;
    struct volume *volume;
    char description[64];
    struct export export;
    struct export_table exports;
    struct reactor_settings reactor_settings;
    struct workers workers;
    struct reactor *loops;
    unsigned loops_started;
    struct acceptor acceptor;
};

static int complain(const struct reason *reason)
{
    fprintf(stderr, "zslotd: %s\n", reason->text);
    return -1;
}

static int parse_arguments(struct settings *settings, int argc, char **argv)
{
    struct reason reason;

    settings_init(settings);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("zslotd --KEY=VALUE...: serves a compressed RAM disk over NBD\n\n"
                   "The volume:\n%s\nThe server:\n%s",
                   options_help, settings_help);
            exit(EXIT_SUCCESS);
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("zslotd %s\n", PACKAGE_VERSION);
            exit(EXIT_SUCCESS);
        }
        if (settings_set(settings, argv[i], &reason) < 0)
            return complain(&reason);
    }
    return 0;
}

/* -- Before the background. -- */

static int open_listener(struct server *server)
{
    struct settings *settings = &server->settings;
    struct reason reason;
    int activated = listen_take_activated(&server->listener, &reason);

    if (activated < 0)
        return complain(&reason);
    /* Who made the sockets for us waits for this process, not for one of its children. */
    if (activated > 0 || getenv("NOTIFY_SOCKET"))
        settings->foreground = true;
    for (unsigned i = 0; i < settings->listen_count; i++)
        if (listen_open(&server->listener, settings->listen[i], &reason) < 0)
            return complain(&reason);
    if (server->listener.count > 0)
        return 0;
    reason_say(&reason, 0,
               "listen=ADDRESS is missing, and LISTEN_FDS gives no sockets; write for "
               "example --listen=unix:/run/zslot.sock");
    return complain(&reason);
}

static int open_all(struct server *server)
{
    struct reason reason;

    /* Wrong parameters first, before anything is made. */
    if (options_complete(&server->settings.options, &reason) < 0)
        return complain(&reason);
    if (open_listener(server) < 0)
        return -1;
    if (volume_open(&server->settings.options, &server->volume, &reason) < 0)
        return complain(&reason);
    if (volume_state_is_on_disk(server->volume))
        fprintf(
            stderr,
            "zslotd: warning: state=%s: not on a tmpfs, so that the kernel writes it "
            "to a disk; name a directory on one, for example in /dev/shm\n",
            server->settings.options.state);
    return 0;
}

/* Returns in the child, with a descriptor that tells the parent how it went; the parent leaves with
 * what the child says. */
static int go_into_background(void)
{
    int pipes[2];
    char result = EXIT_FAILURE;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -1;
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child > 0) {
        close(pipes[1]);
        while (read(pipes[0], &result, 1) < 0 && errno == EINTR)
            ;
        _exit(result);
    }
    close(pipes[0]);
    setsid();
    if (chdir("/") < 0)
        return -1;
    return pipes[1];
}

static void tell_parent(int fd)
{
    const char result = EXIT_SUCCESS;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0)
        for (int std = STDIN_FILENO; std <= STDERR_FILENO; std++)
            dup2(null, std);
    if (null > STDERR_FILENO)
        close(null);
    if (write(fd, &result, 1) < 0) {
        /* It has gone, and does not want to know. */
    }
    close(fd);
}

/* -- After it. -- */

static _Atomic bool was_told_to_end;

static bool is_ending(void *opaque)
{
    (void)opaque;
    return was_told_to_end;
}

static bool is_in_background;

static void say(void *opaque, const char *sentence)
{
    (void)opaque;
    if (is_in_background)
        syslog(LOG_WARNING, "%s", sentence);
    else
        fprintf(stderr, "zslotd: %s\n", sentence);
}

static const struct volume_host host = {.is_ending = is_ending, .say = say};

static int start_threads(struct server *server)
{
    const struct settings *settings = &server->settings;

    server->reactor_settings = (struct reactor_settings){
        .exports = &server->exports,
        .workers = &server->workers,
        .poll_us = settings->poll_us,
        .lock_in_ram = settings->options.memory_lock,
    };
    int r = workers_start(&server->workers);
    server->loops = r < 0 ? NULL : calloc(settings->threads, sizeof *server->loops);
    if (!server->loops)
        return r < 0 ? r : -ENOMEM;
    for (; server->loops_started < settings->threads; server->loops_started++) {
        r = reactor_start(&server->loops[server->loops_started],
                          &server->reactor_settings);
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_pid_file(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return -errno;
    fprintf(file, "%ld\n", (long)getpid());
    return fclose(file) == 0 ? 0 : -errno;
}

static int start_all(struct server *server)
{
    const char *pid_file = server->settings.pid_file;
    struct reason reason;

    volume_set_host(server->volume, &host);
    int r = start_threads(server);
    if (r < 0) {
        fprintf(stderr, "zslotd: cannot start its threads: %s\n", strerror(-r));
        return -1;
    }
    if (volume_start(server->volume, &reason) < 0)
        return complain(&reason);
    r = accept_start(&server->acceptor, &server->listener, server->loops,
                     server->loops_started, server->settings.max_connections);
    if (r < 0) {
        fprintf(stderr, "zslotd: cannot listen: %s\n", strerror(-r));
        return -1;
    }
    if (pid_file && (r = write_pid_file(pid_file)) < 0) {
        fprintf(stderr, "zslotd: pid-file=%s: %s\n", pid_file, strerror(-r));
        return -1;
    }
    return 0;
}

/* False: some thread does not end. */
static bool stop_threads(struct server *server)
{
    accept_stop(&server->acceptor);
    for (unsigned i = 0; i < server->loops_started; i++)
        reactor_stop(&server->loops[i]);
    for (unsigned i = 0; i < server->loops_started; i++)
        if (!reactor_join(&server->loops[i]))
            return false;
    if (server->workers.started > 0)
        workers_stop(&server->workers);
    for (unsigned i = 0; i < server->loops_started; i++)
        reactor_free(&server->loops[i]);
    free(server->loops);
    return true;
}

static void wait_for_signal(const sigset_t *signals)
{
    int which;

    while (sigwait(signals, &which) != 0)
        ;
}

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGQUIT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static struct server server;
    sigset_t signals;
    int parent = -1, status = EXIT_FAILURE;

    if (parse_arguments(&server.settings, argc, argv) < 0)
        return EXIT_FAILURE;
    if (open_all(&server) < 0)
        goto close;
    snprintf(server.description, sizeof server.description, "zslot %s",
             volume_identity(server.volume));
    server.export = (struct export){
        .name = server.settings.export,
        .description = server.description,
        .bytes = volume_size_bytes(server.volume),
        .volume = server.volume,
    };
    server.exports = (struct export_table){&server.export, 1};

    if (!server.settings.foreground && (parent = go_into_background()) < 0) {
        perror("zslotd: cannot go into the background");
        goto close;
    }
    is_in_background = parent >= 0;
    openlog("zslotd", LOG_PID, LOG_DAEMON);
    /* Threads inherit both. */
    block_signals(&signals);
    (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); /* where it is permitted */
    evthread_use_pthreads();

    if (start_all(&server) == 0) {
        if (parent >= 0)
            tell_parent(parent);
        notify_send("READY=1");
        wait_for_signal(&signals);
        was_told_to_end = true;
        notify_send("STOPPING=1");
        status = EXIT_SUCCESS;
    }
    if (!stop_threads(&server)) {
        fprintf(stderr, "zslotd: a request does not come to its end; leaving it\n");
        listen_close(&server.listener);
        _exit(EXIT_FAILURE);
    }
    if (server.settings.pid_file && status == EXIT_SUCCESS)
        unlink(server.settings.pid_file);
close:
    listen_close(&server.listener);
    volume_close(server.volume);
    return status;
}
