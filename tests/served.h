/* served.h - zslotd's loops and workers in the test's own process, with a volume of the test's
 *
 * Owns:    the loops and the workers, for one test at a time.
 * Called:  by unit- and fault- tests of server/.
 * Locks:   none.
 * Never:   listens: a client gets one end of a pair of sockets.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef TESTS_SERVED_H
#define TESTS_SERVED_H

#include <stdbool.h>

#include <libnbd.h>

#include "reactor.h"
#include "volume.h"

/* For the next start, which takes the usual ones again for those after it. */
struct served_next {
    unsigned ending_ms;
    unsigned gather_ms;
    unsigned exports; /* 1: without "other" */
    struct cpu_latency *cpu_latency;
};
extern struct served_next served_next;

/* VOLUME as the exports "" and "other", by THREADS loops. */
void served_start(struct volume *volume, unsigned threads, unsigned poll_us);

/* The same with TLS by the keys of the file PSK. */
void served_start_tls(struct volume *volume, unsigned threads, enum tls_mode mode,
                      const char *psk);

/* Whether all loops ended in time; the workers are stopped then, too. */
bool served_stop(void);

/* Whether its clock goes; for the loop to stop it takes a while. */
bool served_ticks(unsigned loop);

/* What control endpoints tell of the loops as NAME. */
uint64_t served_number(const char *name);

/* Of loop number LOOP. */
pthread_t served_thread(unsigned loop);

/* Loop number LOOP stands still wherever it is, as one does that loses its processor, until it is resumed. */
void served_halt(unsigned loop);
void served_resume(void);

/* A socket with zslotd at its other end, in loop number LOOP. */
int served_connect(unsigned loop);

/* The same with everything negotiated, and libnbd's checks of requests off. */
struct nbd_handle *served_client(unsigned loop);

/* Waits until so many connections are open. */
void served_wait_connections(unsigned count);

/* -- Raw clients. -- */

/* All of BYTES, or the test fails. */
void served_send(int fd, const void *data, size_t bytes);
/* False: the server has closed. */
bool served_try_to_send(int fd, const void *data, size_t bytes);
void served_receive(int fd, void *out, size_t bytes);

/* Whether the server has closed; bytes before that are thrown away. */
bool served_is_closed(int fd);

/* Whether the server has taken all that was sent out of its socket. */
bool served_has_taken(int fd);
void served_wait_taken(int fd);

/* Reads the greeting and negotiates by EXPORT_NAME without zeroes; simple replies then.  The empty
 * name, or another. */
void served_enter(int fd);
void served_enter_export(int fd, const char *name);

/* Writes one to OUT; how many bytes. */
size_t served_make_request(uint8_t *out, uint16_t type, uint64_t cookie,
                           uint64_t offset, uint32_t bytes);
void served_request(int fd, uint16_t type, uint64_t cookie, uint64_t offset,
                    uint32_t bytes);

/* A write of page NUMBER, whose answer nobody has waited for. */
void served_send_write(int fd, uint64_t number, const void *page);

/* A client of the first loop that has written page 0. */
int served_enter_and_write(const void *page);

/* A simple reply; the error it carries. */
uint32_t served_reply(int fd, uint64_t *cookie);

#endif
