/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "served.h"

#include <errno.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gather.h"
#include "harness.h"
#include "server.h"
#include "workers.h"

static struct export exports[2];
static struct export_table table = {exports, 2};
static struct reactor_settings settings;
static struct workers workers;
static struct reactor_clients clients;
static struct reactor *loops;
static unsigned reactor_count;

#define USUAL .ending_ms = REACTOR_ENDING_MS, .gather_ms = GATHER_MS, .exports = 2
static const struct served_next usual = {USUAL};
struct served_next served_next = {USUAL};

static void start(struct volume *volume, unsigned threads)
{
    evthread_use_pthreads();
    exports[0] = (struct export){"", NULL, volume_size_bytes(volume), volume};
    exports[1] = (struct export){"other", NULL, volume_size_bytes(volume), volume};
    table.count = served_next.exports;
    settings.exports = &table;
    settings.workers = &workers;
    settings.clients = &clients;
    settings.ending_ms = served_next.ending_ms;
    settings.gather_ms = served_next.gather_ms;
    settings.cpu_latency = served_next.cpu_latency;
    ck_assert_int_eq(workers_start(&workers, &table), 0);
    reactor_count = threads;
    loops = calloc(threads, sizeof *loops);
    ck_assert_ptr_nonnull(loops);
    for (unsigned i = 0; i < threads; i++)
        ck_assert_int_eq(reactor_start(&loops[i], &settings), 0);
    served_next = usual;
}

void served_start(struct volume *volume, unsigned threads, unsigned poll_us)
{
    settings = (struct reactor_settings){.poll_us = poll_us};
    start(volume, threads);
}

void served_start_tls(struct volume *volume, unsigned threads, enum tls_mode mode,
                      const char *psk)
{
    const struct tls_settings tls = {.mode = mode, .psk = psk};
    struct reason reason;

    settings = (struct reactor_settings){.tls_mode = mode};
    MUST(tls_open(&tls, &settings.tls, &reason) == 0, "%s", reason.text);
    start(volume, threads);
}

bool served_stop(void)
{
    for (unsigned i = 0; i < reactor_count; i++)
        reactor_stop(&loops[i]);
    if (!reactor_join(loops, reactor_count))
        return false;
    workers_stop(&workers);
    for (unsigned i = 0; i < reactor_count; i++)
        reactor_free(&loops[i]);
    free(loops);
    tls_close(settings.tls);
    settings.tls = NULL;
    return true;
}

pthread_t served_thread(unsigned loop)
{
    return loops[loop].thread;
}

static int halted[2], resumed[2];

static void stand_still(int number)
{
    char byte;

    (void)number;
    if (write(halted[1], "", 1) < 1 || read(resumed[0], &byte, 1) < 1)
        abort();
}

bool served_ticks(unsigned loop)
{
    struct itimerspec left;

    ck_assert_int_eq(timerfd_gettime(loops[loop].tick.fd, &left), 0);
    return left.it_interval.tv_nsec > 0;
}

uint64_t served_number(const char *name)
{
    struct face_number numbers[FACE_NUMBERS_MAX];
    unsigned count = reactor_numbers(loops, reactor_count, numbers);

    for (unsigned i = 0; i < count; i++)
        if (strcmp(numbers[i].name, name) == 0)
            return numbers[i].value;
    MUST(false, "there is no number %s", name);
    return 0;
}

void served_halt(unsigned loop)
{
    const struct sigaction action = {.sa_handler = stand_still, .sa_flags = SA_RESTART};
    char byte;

    if (halted[1] == 0) {
        ck_assert_int_eq(pipe(halted), 0);
        ck_assert_int_eq(pipe(resumed), 0);
    }
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pthread_kill(served_thread(loop), SIGUSR1), 0);
    ck_assert_int_eq(read(halted[0], &byte, 1), 1);
}

void served_resume(void)
{
    ck_assert_int_eq(write(resumed[1], "", 1), 1);
}

int served_connect(unsigned loop)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    reactor_give(&loops[loop], fds[1]);
    return fds[0];
}

struct nbd_handle *served_client(unsigned loop)
{
    struct nbd_handle *nbd = nbd_create();

    ck_assert_ptr_nonnull(nbd);
    NBD_OK(nbd_set_strict_mode(nbd, 0));
    NBD_OK(nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION));
    NBD_OK(nbd_connect_socket(nbd, served_connect(loop)));
    return nbd;
}

void served_wait_connections(unsigned count)
{
    for (;;) {
        unsigned sum = 0;

        for (unsigned i = 0; i < reactor_count; i++)
            sum += atomic_load(&loops[i].connection_count);
        if (sum == count)
            return;
        sched_yield();
    }
}

bool served_try_to_send(int fd, const void *data, size_t bytes)
{
    const char *from = data;

    while (bytes > 0) {
        ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        from += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

void served_send(int fd, const void *data, size_t bytes)
{
    MUST(served_try_to_send(fd, data, bytes), "cannot send to the server");
}

void served_receive(int fd, void *out, size_t bytes)
{
    MUST(bytes == 0 || recv(fd, out, bytes, MSG_WAITALL) == (ssize_t)bytes,
         "the server does not send %zu bytes", bytes);
}

bool served_has_taken(int fd)
{
    int left;

    ck_assert_int_eq(ioctl(fd, SIOCOUTQ, &left), 0);
    return left == 0;
}

void served_wait_taken(int fd)
{
    while (!served_has_taken(fd))
        sched_yield();
}

bool served_is_closed(int fd)
{
    char bytes[4096];
    ssize_t got;

    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    return got == 0 || errno == ECONNRESET;
}

void served_enter_export(int fd, const char *name)
{
    uint8_t greeting[18], hello[20] = {0}, answer[10];

    served_receive(fd, greeting, sizeof greeting);
    nbd_put32(hello, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    nbd_put64(hello + 4, NBD_OPTION_MAGIC);
    nbd_put32(hello + 12, NBD_OPT_EXPORT_NAME);
    nbd_put32(hello + 16, (uint32_t)strlen(name));
    served_send(fd, hello, sizeof hello);
    served_send(fd, name, strlen(name));
    served_receive(fd, answer, sizeof answer);
    ck_assert_uint_eq(nbd_get64(answer), exports[0].bytes);
}

void served_enter(int fd)
{
    served_enter_export(fd, "");
}

size_t served_make_request(uint8_t *out, uint16_t type, uint64_t cookie,
                           uint64_t offset, uint32_t bytes)
{
    nbd_put32(out, NBD_REQUEST_MAGIC);
    nbd_put16(out + 4, 0);
    nbd_put16(out + 6, type);
    nbd_put64(out + 8, cookie);
    nbd_put64(out + 16, offset);
    nbd_put32(out + 24, bytes);
    return NBD_REQUEST_BYTES;
}

void served_request(int fd, uint16_t type, uint64_t cookie, uint64_t offset,
                    uint32_t bytes)
{
    uint8_t request[NBD_REQUEST_BYTES];

    served_send(fd, request, served_make_request(request, type, cookie, offset, bytes));
}

uint32_t served_reply(int fd, uint64_t *cookie)
{
    uint8_t reply[NBD_SIMPLE_REPLY_BYTES];

    served_receive(fd, reply, sizeof reply);
    MUST(nbd_get32(reply) == NBD_SIMPLE_REPLY_MAGIC, "that is no reply");
    *cookie = nbd_get64(reply + 8);
    return nbd_get32(reply + 4);
}

void served_send_write(int fd, uint64_t number, const void *page)
{
    served_request(fd, NBD_CMD_WRITE, number, number * PAGE, PAGE);
    served_send(fd, page, PAGE);
}

int served_enter_and_write(const void *page)
{
    int fd = served_connect(0);
    uint64_t cookie;

    served_enter(fd);
    served_send_write(fd, 0, page);
    ck_assert_uint_eq(served_reply(fd, &cookie), 0);
    return fd;
}
