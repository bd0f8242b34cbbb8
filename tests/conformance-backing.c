/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "conformance-backing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* -- The loop. -- */

void host_start(struct host *host, struct backing *backing)
{
    *host = (struct host){.backing = backing};
    ck_assert_int_eq(loop_open(&host->loop), 0);
    ck_assert_int_eq(backing->ops->start(backing, host->loop.base), 0);
    ck_assert_int_eq(loop_start(&host->loop), 0);
    if (backing->ops->keep)
        backing->ops->keep(backing);
}

void host_stop(struct host *host)
{
    loop_stop(&host->loop);
    host->backing->ops->close(host->backing);
    loop_close(&host->loop);
}

/* -- I/O that counts how often it is answered. -- */

static void on_done(struct backing_io *io, int result)
{
    struct request *request = io->opaque;
    struct crowd *crowd = request->crowd;

    pthread_mutex_lock(&crowd->lock);
    request->result = result;
    request->answers++;
    crowd->under_way--;
    pthread_cond_broadcast(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

void crowd_open(struct crowd *crowd, struct backing *backing, unsigned number)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->backing = backing;
    crowd->number = number;
    crowd->random = number + 1;
    pthread_mutex_init(&crowd->lock, NULL);
    pthread_cond_init(&crowd->changed, NULL);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        struct request *request = &crowd->requests[i];

        request->crowd = crowd;
        request->buffer = aligned_alloc(BACKING_ALIGN, BLOCKS_MAX * BACKING_ALIGN);
        ck_assert_ptr_nonnull(request->buffer);
    }
}

void crowd_close(struct crowd *crowd)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        free(crowd->requests[i].buffer);
    pthread_cond_destroy(&crowd->changed);
    pthread_mutex_destroy(&crowd->lock);
}

void crowd_submit(struct request *request, enum backing_op op, uint64_t offset,
                  uint32_t bytes)
{
    struct crowd *crowd = request->crowd;

    request->answers = 0;
    request->io = (struct backing_io){
        .op = op,
        .offset = offset,
        .bytes = bytes,
        .buffer = op == BACKING_DISCARD ? NULL : request->buffer,
        .done = on_done,
        .opaque = request,
    };
    pthread_mutex_lock(&crowd->lock);
    crowd->under_way++;
    pthread_mutex_unlock(&crowd->lock);
    backing_submit(crowd->backing, &request->io);
}

void crowd_wait(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    while (crowd->under_way > 0)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
}

uint64_t crowd_offset(const struct crowd *crowd, unsigned run)
{
    return ((uint64_t)run * THREADS + crowd->number) * BLOCKS_MAX * BACKING_ALIGN;
}

void conformance_fill(unsigned char *buffer, uint32_t bytes, uint64_t seed)
{
    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word = harness_random(&seed);
        memcpy(buffer + at, &word, 8);
    }
}

bool conformance_is_zero(const unsigned char *buffer, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at++)
        if (buffer[at])
            return false;
    return true;
}

/* One round: IN_FLIGHT runs are written, read, one half discarded, and read again. */
static void do_round(struct crowd *crowd, uint64_t round)
{
    static const unsigned runs = STORE_BYTES / BACKING_ALIGN / BLOCKS_MAX / THREADS;
    unsigned char should[BLOCKS_MAX * BACKING_ALIGN];
    uint64_t offset[IN_FLIGHT];
    uint32_t bytes[IN_FLIGHT];
    unsigned first = (unsigned)(harness_random(&crowd->random) % runs);

    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        uint64_t random = harness_random(&crowd->random);

        offset[i] = crowd_offset(crowd, (first + i) % runs);
        bytes[i] = (uint32_t)(random % BLOCKS_MAX + 1) * BACKING_ALIGN;
        conformance_fill(crowd->requests[i].buffer, bytes[i], offset[i] + round);
        crowd_submit(&crowd->requests[i], BACKING_WRITE, offset[i], bytes[i]);
    }
    for (unsigned step = 0; step < 4; step++) {
        crowd_wait(crowd);
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            struct request *request = &crowd->requests[i];
            bool was_discarded = step == 3 && i % 2 == 0;

            ck_assert_uint_eq(request->answers, 1);
            ck_assert_int_eq(request->result, 0);
            if (step == 1 || step == 3) {
                conformance_fill(should, bytes[i], offset[i] + round);
                if (was_discarded)
                    ck_assert(conformance_is_zero(request->buffer, bytes[i]));
                else
                    ck_assert_mem_eq(request->buffer, should, bytes[i]);
            }
            memset(request->buffer, 0xee, sizeof should);
            if (step == 0 || step == 2)
                crowd_submit(request, BACKING_READ, offset[i], bytes[i]);
            else if (step == 1 && i % 2 == 0)
                crowd_submit(request, BACKING_DISCARD, offset[i], bytes[i]);
        }
    }
}

static void *do_rounds(void *opaque)
{
    unsigned long rounds = harness_ops(40);

    for (unsigned long round = 0; round < rounds; round++)
        do_round(opaque, round);
    return NULL;
}

void conform(struct backing *backing)
{
    static struct crowd crowds[THREADS];
    struct host host;

    ck_assert_uint_eq(backing->bytes, STORE_BYTES);
    host_start(&host, backing);
    for (unsigned i = 0; i < THREADS; i++) {
        crowd_open(&crowds[i], backing, i);
        ck_assert_int_eq(pthread_create(&crowds[i].thread, NULL, do_rounds, &crowds[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(crowds[i].thread, NULL);
    host_stop(&host);
    for (unsigned i = 0; i < THREADS; i++)
        crowd_close(&crowds[i]);
}

void conform_truncated(struct backing *backing, void (*truncate_to)(uint64_t bytes))
{
    static struct crowd crowd;
    struct request *const requests = crowd.requests;
    struct host host;

    host_start(&host, backing);
    crowd_open(&crowd, backing, 0);
    conformance_fill(requests[0].buffer, BLOCKS_MAX * BACKING_ALIGN, 1);
    crowd_submit(&requests[0], BACKING_WRITE, STORE_BYTES / 2,
                 BLOCKS_MAX * BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(requests[0].result, 0);

    truncate_to(STORE_BYTES / 2 + BACKING_ALIGN);
    crowd_submit(&requests[0], BACKING_READ, STORE_BYTES / 2, BACKING_ALIGN);
    crowd_submit(&requests[1], BACKING_READ, STORE_BYTES / 2, 2 * BACKING_ALIGN);
    crowd_submit(&requests[2], BACKING_READ, STORE_BYTES - BACKING_ALIGN,
                 BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(requests[0].result, 0);
    ck_assert_int_eq(requests[1].result, -EIO);
    ck_assert_int_eq(requests[2].result, -EIO);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(requests[i].answers, 1);
    host_stop(&host);
    crowd_close(&crowd);
}
