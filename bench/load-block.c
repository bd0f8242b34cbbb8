/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "args.h"

/* False when the time is over. */
static bool give(struct load *load, struct io_uring *ring, int device, unsigned place)
{
    struct load_request *request = load_next(load, place, 0);

    if (!request)
        return false;
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    if (request->is_write)
        io_uring_prep_write(entry, device, request->data, load->wish.block_bytes,
                            request->offset);
    else
        io_uring_prep_read(entry, device, request->data, load->wish.block_bytes,
                           request->offset);
    io_uring_sqe_set_data(entry, request);
    return true;
}

static void answered(struct load *load, struct io_uring *ring, int device,
                     unsigned *under_way)
{
    struct io_uring_cqe *entry;

    while (io_uring_peek_cqe(ring, &entry) == 0) {
        unsigned place =
            (unsigned)((struct load_request *)io_uring_cqe_get_data(entry) -
                       load->requests);

        if (entry->res != (int)load->wish.block_bytes)
            args_die("%s: %s", load->wish.target,
                     entry->res < 0 ? strerror(-entry->res) : "a short transfer");
        io_uring_cqe_seen(ring, entry);
        load_done(load, place, load_now_ns());
        *under_way += give(load, ring, device, place);
        --*under_way;
    }
}

/* Of a device that does its work in the call, such as zram. For each request to it io_uring would wake a thread,
 * which takes ten times as long; there is no depth, since none waits for another. */
static void load_by_calls(struct load *load, int device)
{
    struct load_request *request;

    while ((request = load_next(load, 0, 0))) {
        ssize_t moved = request->is_write
                            ? pwrite(device, request->data, load->wish.block_bytes,
                                     (off_t)request->offset)
                            : pread(device, request->data, load->wish.block_bytes,
                                    (off_t)request->offset);

        if (moved != (ssize_t)load->wish.block_bytes)
            args_die("%s: %s", load->wish.target,
                     moved < 0 ? strerror(errno) : "a short transfer");
        load_done(load, 0, load_now_ns());
    }
}

static void load_by_ring(struct load *load, int device)
{
    struct io_uring ring;
    unsigned under_way = 0;
    int r = io_uring_queue_init(load->wish.depth, &ring, 0);

    if (r < 0)
        args_die("io_uring: %s", strerror(-r));
    for (unsigned i = 0; i < load->wish.depth; i++)
        under_way += give(load, &ring, device, i);
    while (under_way > 0) {
        r = io_uring_submit_and_wait(&ring, 1);
        if (r < 0 && r != -EINTR)
            args_die("io_uring: %s", strerror(-r));
        answered(load, &ring, device, &under_way);
    }
    io_uring_queue_exit(&ring);
}

/* Whether a request can be left with the device: asked by one that must not wait. */
static bool takes_without_waiting(const struct load *load, int device)
{
    const struct iovec all = {load->rooms, load->wish.block_bytes};

    return preadv2(device, &all, 1, 0, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP;
}

void load_block(struct load *load)
{
    int device = open(load->wish.target, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (device < 0)
        args_die("%s: %s", load->wish.target, strerror(errno));
    if (lseek(device, 0, SEEK_END) < (off_t)load->wish.span_bytes)
        args_die("%s: too small", load->wish.target);

    if (takes_without_waiting(load, device))
        load_by_ring(load, device);
    else
        load_by_calls(load, device);
    close(device);
}
