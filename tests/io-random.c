/* io-random.c - random requests, many in flight on several connections, against a plain array
 *
 * Each connection has a stretch of the disk of its own; stretches begin and end within pages, so
 * that neighbours write different bytes of the same pages at the same time (rule S9). Within a
 * stretch two requests that are in flight together do not overlap, unless both read: that the
 * protocol leaves open.
 *
 * ZSLOT_TEST_SEED=NUMBER repeats or changes the choice.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "model.h"
#include "sample.h"
#include "server.h"

#define CONNECTIONS 4
#define IN_FLIGHT 16
#define REQUEST_BYTES_MAX (256u * 1024)

/* An odd number of bytes, a little more than 6 MiB. */
#define STRETCH_BYTES (6u * 1024 * 1024 + 1234567)
#define DISK_BYTES (32u * 1024 * 1024)
_Static_assert((uint64_t)STRETCH_BYTES *CONNECTIONS <= DISK_BYTES, "stretches fit");

/* Whichever comes first ends a connection's work. */
#define REQUESTS_MAX 30000
#define SECONDS_MAX 4

enum operation { READ, WRITE, TRIM, ZERO, CACHE, FLUSH };

struct request {
    bool busy;
    enum operation operation;
    uint64_t offset, bytes;
    int64_t cookie;
    unsigned char *buffer;
};

struct worker {
    const struct server *server;
    struct model *model; /* of the disk; each worker its own bytes */
    uint64_t start;      /* of the stretch */
    uint64_t state;
    struct nbd_handle *nbd;
    struct request requests[IN_FLIGHT];
    uint64_t done;
};

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static bool changes(enum operation operation)
{
    return operation == WRITE || operation == TRIM || operation == ZERO;
}

static bool is_in_the_way(const struct worker *worker, const struct request *new)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        const struct request *old = &worker->requests[i];

        if (old->busy && old->operation != FLUSH && new->operation != FLUSH &&
            (changes(old->operation) || changes(new->operation)) &&
            old->offset < new->offset + new->bytes &&new->offset <
                old->offset + old->bytes)
            return true;
    }
    return false;
}

static enum operation choose_operation(uint64_t *state)
{
    uint64_t n = harness_random(state) % 100;

    return n < 40   ? READ
           : n < 80 ? WRITE
           : n < 88 ? TRIM
           : n < 96 ? ZERO
           : n < 98 ? CACHE
                    : FLUSH;
}

static void choose_range(uint64_t *state, uint64_t *offset, uint64_t *bytes)
{
    switch (harness_random(state) % 8) {
    case 0:
        *bytes = 1 + harness_random(state) % REQUEST_BYTES_MAX;
        break;
    case 1:
    case 2:
        *bytes = PAGE;
        break;
    default:
        *bytes = 1 + harness_random(state) % (4 * PAGE);
    }
    /* One half in a small part, where requests follow each other closely. */
    uint64_t room = STRETCH_BYTES - *bytes;
    if (harness_random(state) % 2 && room > 64 * PAGE)
        room = 64 * PAGE;
    *offset = harness_random(state) % (room + 1);
    /* The borders of the stretch are of interest. */
    if (harness_random(state) % 16 == 0)
        *offset = harness_random(state) % 2 ? 0 : STRETCH_BYTES - *bytes;
}

static void model_change(struct model *model, const struct request *request)
{
    if (request->operation == WRITE)
        model_write(model, request->offset, request->bytes, request->buffer);
    if (request->operation == ZERO)
        model_zero(model, request->offset, request->bytes);
    if (request->operation == TRIM)
        model_trim(model, request->offset, request->bytes);
}

static void submit(struct worker *worker, struct request *request)
{
    const nbd_completion_callback none = NBD_NULL_COMPLETION;
    struct nbd_handle *nbd = worker->nbd;
    uint64_t offset = request->offset, bytes = request->bytes;
    uint32_t fua = harness_random(&worker->state) % 8 ? 0 : LIBNBD_CMD_FLAG_FUA;

    switch (request->operation) {
    case READ:
        request->cookie = nbd_aio_pread(nbd, request->buffer, bytes, offset, none, 0);
        break;
    case WRITE:
        sample_fill((enum sample)(harness_random(&worker->state) % SAMPLE_COUNT),
                    harness_random(&worker->state), bytes, request->buffer);
        request->cookie =
            nbd_aio_pwrite(nbd, request->buffer, bytes, offset, none, fua);
        break;
    case TRIM:
        request->cookie = nbd_aio_trim(nbd, bytes, offset, none, fua);
        break;
    case ZERO:
        if (harness_random(&worker->state) % 2)
            fua |= LIBNBD_CMD_FLAG_NO_HOLE;
        request->cookie = nbd_aio_zero(nbd, bytes, offset, none, fua);
        break;
    case CACHE:
        request->cookie = nbd_aio_cache(nbd, bytes, offset, none, 0);
        break;
    case FLUSH:
        request->cookie = nbd_aio_flush(nbd, none, 0);
        break;
    }
    NBD_OK(request->cookie);
    model_change(worker->model, request);
    request->busy = true;
}

/* A request for a place that is free; false when the one chosen would be in another's way. */
static bool submit_one(struct worker *worker, struct request *request)
{
    request->operation = choose_operation(&worker->state);
    choose_range(&worker->state, &request->offset, &request->bytes);
    request->offset += worker->start;
    if (is_in_the_way(worker, request))
        return false;
    submit(worker, request);
    return true;
}

static void complete(struct worker *worker, struct request *request)
{
    int done = nbd_aio_command_completed(worker->nbd, (uint64_t)request->cookie);

    NBD_OK(done);
    if (!done)
        return;
    request->busy = false;
    worker->done++;
    if (request->operation == READ &&
        memcmp(request->buffer, worker->model->bytes + request->offset,
               request->bytes) != 0)
        for (uint64_t i = 0; i < request->bytes; i++)
            MUST(request->buffer[i] == worker->model->bytes[request->offset + i],
                 "read of %" PRIu64 " bytes at %" PRIu64 ": byte %" PRIu64
                 " is %02x, not %02x",
                 request->bytes, request->offset, i, request->buffer[i],
                 worker->model->bytes[request->offset + i]);
}

static void *work(void *opaque)
{
    struct worker *worker = opaque;
    time_t end = now_s() + SECONDS_MAX;
    bool going_on = true;

    worker->nbd = server_connect(worker->server);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        worker->requests[i].buffer = malloc(REQUEST_BYTES_MAX);
        ck_assert_ptr_nonnull(worker->requests[i].buffer);
    }
    while (going_on || nbd_aio_in_flight(worker->nbd) > 0) {
        going_on = worker->done < REQUESTS_MAX && now_s() < end;
        for (unsigned i = 0; going_on && i < IN_FLIGHT; i++)
            if (!worker->requests[i].busy && !submit_one(worker, &worker->requests[i]))
                break;
        if (nbd_aio_in_flight(worker->nbd) > 0)
            NBD_OK(nbd_poll(worker->nbd, -1));
        for (unsigned i = 0; i < IN_FLIGHT; i++)
            if (worker->requests[i].busy)
                complete(worker, &worker->requests[i]);
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        free(worker->requests[i].buffer);
    NBD_OK(nbd_shutdown(worker->nbd, 0));
    nbd_close(worker->nbd);
    return NULL;
}

static void run(const char *compressor, uint64_t seed)
{
    struct server server;
    struct worker workers[CONNECTIONS] = {0};
    pthread_t threads[CONNECTIONS];
    struct model model;
    unsigned char *got = malloc(DISK_BYTES);
    uint64_t done = 0;

    ck_assert_ptr_nonnull(got);
    model_open(&model, DISK_BYTES);
    SERVER_START(&server, "zslot", "32M", compressor);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        workers[i] = (struct worker){.server = &server,
                                     .model = &model,
                                     .start = (uint64_t)i * STRETCH_BYTES,
                                     .state = seed * 100 + i + 1};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        pthread_join(threads[i], NULL);
        done += workers[i].done;
    }

    struct nbd_handle *nbd = server_connect(&server);
    NBD_OK(nbd_pread(nbd, got, DISK_BYTES, 0, 0));
    for (uint64_t i = 0; i < DISK_BYTES; i++)
        MUST(got[i] == model.bytes[i],
             "after %" PRIu64 " requests byte %" PRIu64 " is %02x, not %02x", done, i,
             got[i], model.bytes[i]);
    printf("%s: %" PRIu64 " requests\n", compressor, done);
    nbd_close(nbd);
    server_stop(&server);
    model_close(&model);
    free(got);
}

START_TEST(many_requests_in_flight_leave_what_the_array_has)
{
    const char *text = getenv("ZSLOT_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);

    printf("ZSLOT_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    run("compressor=zstd:1", seed);
    run("compressor=lz4", seed);
    run("compressor=none", seed);
    run("compressor=zstd:-5", seed);
}
END_TEST

HARNESS_MAIN("io-random", many_requests_in_flight_leave_what_the_array_has)
