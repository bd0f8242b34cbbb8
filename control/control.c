/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "port.h"
#include "serve.h"
#include "socket.h"

struct control {
    struct volume *volume;
    struct socket_path socket;
    int port_fd;                             /* listening; -1: none, or taken */
    struct serve *socket_serve, *port_serve; /* NULL: none */
    struct answer answer, port_answer;       /* the latter reads only */
    bool started;
};

int control_open(const struct options *options, struct volume *volume,
                 struct control **control, struct reason *reason)
{
    *control = NULL;
    if (!options->control && options->metrics_port == 0)
        return 0;
    struct control *made = calloc(1, sizeof *made);
    if (!made)
        return reason_say(reason, -ENOMEM, "no memory for the control endpoint");
    made->volume = volume;
    made->answer.volume = volume;
    made->socket.fd = made->port_fd = -1;
    int r = options->control ? socket_open(options, &made->socket, reason) : 0;
    if (r == 0 && options->metrics_port > 0) {
        made->port_fd = port_open(options->metrics_port, reason);
        r = made->port_fd < 0 ? made->port_fd : 0;
    }
    if (r < 0) {
        socket_close(&made->socket);
        free(made);
        return r;
    }
    *control = made;
    return 0;
}

void control_set_face(struct control *control, face_numbers_fn *fn, void *opaque)
{
    if (!control)
        return;
    control->answer.face = fn;
    control->answer.face_opaque = opaque;
}

/* Serves at *FD, if there is one, and takes it. */
static int start_at(struct event_base *base, int *fd, struct answer *answer,
                    struct serve **serve)
{
    if (*fd < 0)
        return 0;
    int r = serve_new(base, *fd, answer_request, answer_refusal, answer, serve);
    if (r == 0)
        *fd = -1;
    return r;
}

struct start {
    struct control *control;
    int result;
};

static void start(void *opaque, struct event_base *base)
{
    struct start *call = opaque;
    struct control *control = call->control;

    call->result =
        start_at(base, &control->socket.fd, &control->answer, &control->socket_serve);
    if (call->result == 0)
        call->result = start_at(base, &control->port_fd, &control->port_answer,
                                &control->port_serve);
}

static void stop(void *opaque, struct event_base *base)
{
    struct control *control = opaque;

    (void)base;
    serve_free(control->socket_serve);
    serve_free(control->port_serve);
    control->socket_serve = control->port_serve = NULL;
}

int control_start(struct control *control, struct reason *reason)
{
    struct start call = {.control = control};

    if (!control)
        return 0;
    int r = jobs_new(control->volume, &control->answer.jobs);
    control->port_answer = control->answer;
    control->port_answer.reads_only = true;
    if (r == 0)
        r = volume_call(control->volume, start, &call);
    control->started = r == 0; /* one of the two may be */
    if (r == 0)
        r = call.result;
    if (r < 0)
        return reason_say(reason, r, "cannot start the control endpoint: %s",
                          strerror(-r));
    return 0;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    if (control->started)
        while (volume_call(control->volume, stop, control) < 0)
            ; /* memory will come */
    jobs_free(control->answer.jobs);
    socket_close(&control->socket);
    if (control->port_fd >= 0)
        close(control->port_fd);
    free(control);
}
