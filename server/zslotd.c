/* zslotd.c - the native NBD server: volumes behind event loops
 *
 * Owns:    the process: the volumes, the loops, the workers, the order in which they come and go.
 * Called:  by whoever starts it.
 * Locks:   none.
 * Never:   serves; loops do.
 *
 * What can fail for the user's sake fails before it goes into the background.  Threads are made
 * after that, since a fork takes none along, and before the volumes start, which lock what the
 * process has in RAM then.  volumes_begin() is last: before it a start that is refused has changed
 * nothing that was there.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "accept.h"
#include "cpu-latency.h"
#include "descriptors.h"
#include "gather.h"
#include "listen.h"
#include "reactor.h"
#include "notify.h"
#include "pid-file.h"
#include "process.h"
#include "settings-file.h"
#include "settings-say.h"
#include "settings.h"
#include "volumes.h"
#include "workers.h"

/* Whoever uses a disk that is served loses more than a process; only what the system itself cannot do
 * without comes after it. */
#define OOM_SCORE_ADJ (-900)

struct server {
    struct settings settings;
    bool is_service; /* started by who keeps services, not from a terminal */
    struct listener listener;
    struct pid_file pid_file;
    struct volumes volumes;
    struct tls *tls;
    struct cpu_latency *cpu_latency;
    struct reactor_settings reactor_settings;
    struct reactor_clients clients;
    struct workers workers;
    struct reactor *loops;
    unsigned loops_started;
    struct acceptor acceptor;
};

static const char directory_of_files[] = "/etc/zslot";

static int complain(const struct reason *reason)
{
    fprintf(stderr, "zslotd: %s\n", reason->text);
    return -1;
}

static void answer_and_leave(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            printf("zslotd [NAME] --KEY=VALUE...: serves compressed RAM disks over "
                   "NBD\n\nEach volume:\n%s\nThe server:\n%s",
                   settings_options_help, settings_help);
            exit(EXIT_SUCCESS);
        }
        if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            printf("zslotd %s\n", PACKAGE_VERSION);
            exit(EXIT_SUCCESS);
        }
    }
}

static bool is_name(const char *argument)
{
    return argument[0] != '-' && !strchr(argument, '=');
}

/* A NAME, or --config=PATH: which file, or NULL.  -1: there are two, or it is no name. */
static int find_file(int argc, char **argv, const char **path)
{
    static char made[PATH_MAX];
    static const char key[] = "--config=";
    struct reason reason;

    *path = NULL;
    for (int i = 1; i < argc; i++) {
        bool is_path = strncmp(argv[i], key, strlen(key)) == 0;

        if (!is_path && !is_name(argv[i]))
            continue;
        if (*path) {
            reason_say(&reason, 0,
                       "%s: a file is named before it; there can be one only", argv[i]);
            return complain(&reason);
        }
        if (is_path) {
            *path = argv[i] + strlen(key);
            if (**path)
                continue;
            reason_say(&reason, 0,
                       "--config=: no path; write for example --config=%s/swap.conf",
                       directory_of_files);
            return complain(&reason);
        }
        if (argv[i][0] == '.' || argv[i][0] == '\0' || strchr(argv[i], '/') ||
            strlen(argv[i]) > NAME_MAX) {
            reason_say(&reason, 0,
                       "%s: not a name, as of %s/NAME.conf; write --config=FILE for a "
                       "file elsewhere",
                       argv[i], directory_of_files);
            return complain(&reason);
        }
        snprintf(made, sizeof made, "%s/%s.conf", directory_of_files, argv[i]);
        *path = made;
    }
    return 0;
}

static int parse_arguments(struct settings *settings, int argc, char **argv)
{
    struct reason reason;
    const char *path;

    answer_and_leave(argc, argv);
    settings_init(settings);
    /* Before a VALUE that stands alone is taken for a NAME. */
    for (int i = 1; i < argc; i++)
        if (!is_name(argv[i]) && settings_check_argument(argv[i], &reason) < 0)
            return complain(&reason);
    if (find_file(argc, argv, &path) < 0)
        return -1;
    if (path && settings_read_file(settings, path, &reason) < 0)
        return complain(&reason);
    settings_begin_arguments(settings);
    for (int i = 1; i < argc; i++)
        if (!is_name(argv[i]) && settings_argument(settings, argv[i], &reason) < 0) {
            settings_say(settings, SETTINGS_LINE_OF_ARGUMENTS, &reason);
            return complain(&reason);
        }
    /* Wrong parameters first, before anything is made. */
    return settings_complete(settings, &reason) < 0 ? complain(&reason) : 0;
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
    server->is_service = activated > 0 || getenv("NOTIFY_SOCKET");
    if (server->is_service)
        settings->foreground = true;
    for (unsigned i = 0; i < settings->listen_count; i++)
        if (listen_open(&server->listener, settings->listen[i], &reason) < 0) {
            settings_say(settings, settings->listen_lines[i], &reason);
            return complain(&reason);
        }
    if (server->listener.count > 0)
        return 0;
    reason_say(&reason, 0,
               "listen=ADDRESS is missing, and LISTEN_FDS gives no sockets; write for "
               "example listen=unix:/run/zslot-nbd.sock");
    settings_say(settings, 0, &reason);
    return complain(&reason);
}

/* Says it of the arguments, or of the file and the line. */
static int complain_of(const struct settings *settings, struct reason *reason)
{
    settings_say(settings, settings_line_of(settings, 0, reason), reason);
    return complain(reason);
}

static int open_cpu_latency(struct server *server, struct reason *reason)
{
    const unsigned us = server->settings.cpu_latency_us;

    if (us == SETTINGS_CPU_LATENCY_NONE)
        return 0;
    int r = cpu_latency_open(CPU_LATENCY_DEVICE, us, &server->cpu_latency, reason);
    if (r < 0 || cpu_latency_is_heeded(CPU_LATENCY_DRIVER))
        return r;
    reason_say(
        reason, 0,
        "cpu-latency=%u: no driver of cpuidle is seen (%s), and without one processors "
        "sleep as they did",
        us, CPU_LATENCY_DRIVER);
    settings_say(&server->settings, settings_line_of(&server->settings, 0, reason),
                 reason);
    complain(reason);
    return 0;
}

static int open_all(struct server *server)
{
    const struct settings *settings = &server->settings;
    struct reason reason;

    if (tls_open(&settings->tls, &server->tls, &reason) < 0)
        return complain_of(settings, &reason);
    if (open_cpu_latency(server, &reason) < 0)
        return complain_of(settings, &reason);
    if (open_listener(server) < 0)
        return -1;
    if (settings->pid_file &&
        pid_file_open(&server->pid_file, settings->pid_file, &reason) < 0)
        return complain_of(settings, &reason);
    if (volumes_open(&server->volumes, settings, &reason) < 0)
        return complain(&reason);
    for (unsigned i = 0; i < server->volumes.count; i++)
        if (volume_warns(server->volumes.volumes[i], &reason))
            complain(&reason);
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

static bool locks_in_ram(const struct settings *settings)
{
    for (unsigned i = 0; i < settings->export_count; i++)
        if (settings->exports[i].options.memory_lock)
            return true;
    return false;
}

static int start_threads(struct server *server)
{
    const struct settings *settings = &server->settings;

    server->reactor_settings = (struct reactor_settings){
        .exports = &server->volumes.table,
        .workers = &server->workers,
        .clients = &server->clients,
        .tls = server->tls,
        .tls_mode = settings->tls.mode,
        .poll_us = settings->poll_us,
        .cpu_latency = server->cpu_latency,
        .ending_ms = REACTOR_ENDING_MS,
        .gather_ms = GATHER_MS,
        .lock_in_ram = locks_in_ram(settings),
    };
    int r = workers_start(&server->workers, &server->volumes.table);
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

static unsigned get_numbers(void *opaque, struct face_number numbers[FACE_NUMBERS_MAX])
{
    const struct server *server = opaque;

    return reactor_numbers(server->loops, server->loops_started, numbers);
}

static int start_all(struct server *server)
{
    struct reason reason;

    for (unsigned i = 0; i < server->volumes.count; i++)
        volume_set_host(server->volumes.volumes[i], &host);
    int r = start_threads(server);
    if (r < 0) {
        fprintf(stderr, "zslotd: cannot start its threads: %s\n", strerror(-r));
        return -1;
    }
    if (volumes_prepare(&server->volumes, get_numbers, server, &reason) < 0 ||
        pid_file_write(&server->pid_file, &reason) < 0)
        return complain_of(&server->settings, &reason);
    r = accept_start(&server->acceptor, &server->listener, server->loops,
                     server->loops_started, server->settings.max_connections);
    if (r < 0) {
        fprintf(stderr, "zslotd: cannot listen: %s\n", strerror(-r));
        return -1;
    }
    volumes_begin(&server->volumes);
    return 0;
}

/* False: some thread does not end. */
static bool stop_threads(struct server *server)
{
    accept_stop(&server->acceptor);
    for (unsigned i = 0; i < server->loops_started; i++)
        reactor_stop(&server->loops[i]);
    if (!reactor_join(server->loops, server->loops_started))
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

static bool is_ignored(int which)
{
    struct sigaction action;

    return sigaction(which, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* A terminal that closes ends what it started, but not under nohup; in the background, or as a
 * service, SIGHUP is not about a terminal, and there is nothing to read again. */
static void block_signals(bool has_terminal, sigset_t *signals)
{
    sigemptyset(signals);
    if (!has_terminal)
        signal(SIGHUP, SIG_IGN);
    else if (!is_ignored(SIGHUP))
        sigaddset(signals, SIGHUP);
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

    descriptors_reserve_standard();
    if (parse_arguments(&server.settings, argc, argv) < 0)
        return EXIT_FAILURE;
    if (open_all(&server) < 0)
        goto close;
    if (!server.settings.foreground && (parent = go_into_background()) < 0) {
        perror("zslotd: cannot go into the background");
        goto close;
    }
    is_in_background = parent >= 0;
    openlog("zslotd", LOG_PID, LOG_DAEMON);
    (void)process_be_spared(
        OOM_SCORE_ADJ); /* where it is permitted, as the next one is */
    /* Threads inherit both. */
    block_signals(!is_in_background && !server.is_service, &signals);
    (void)process_be_flusher();
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
    volumes_close_controls(&server.volumes); /* they tell of the loops */
    if (!stop_threads(&server)) {
        say(NULL, "a request does not come to its end; leaving it");
        pid_file_close(&server.pid_file);
        listen_close(&server.listener);
        _exit(EXIT_FAILURE);
    }
close:
    listen_close(&server.listener);
    volumes_close(&server.volumes);
    pid_file_close(&server.pid_file);
    tls_close(server.tls);
    cpu_latency_close(server.cpu_latency);
    return status;
}
