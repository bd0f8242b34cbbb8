/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "serve.h"
#include "socket.h"

struct control {
    struct volume *volume;
    struct socket_path socket;
    struct serve *serve;
    struct answer answer;
    bool started;
};

int control_open(const struct options *options, struct volume *volume,
                 struct control **control, struct reason *reason)
{
    *control = NULL;
    if (!options->control)
        return 0;
    struct control *made = calloc(1, sizeof *made);
    if (!made)
        return reason_say(reason, -ENOMEM, "no memory for the control endpoint");
    int r = socket_open(options, &made->socket, reason);
    if (r < 0) {
        free(made);
        return r;
    }
    made->volume = volume;
    made->answer.volume = volume;
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

struct start {
    struct control *control;
    int result;
};

static void start(void *opaque, struct event_base *base)
{
    struct start *call = opaque;
    struct control *control = call->control;

    call->result = serve_new(base, control->socket.fd, answer_request, answer_refusal,
                             &control->answer, &control->serve);
    if (call->result == 0)
        control->socket.fd = -1; /* it has taken it */
}

int control_start(struct control *control, struct reason *reason)
{
    struct start call = {.control = control};

    if (!control)
        return 0;
    int r = jobs_new(control->volume, &control->answer.jobs);
    if (r == 0)
        r = volume_call(control->volume, start, &call);
    if (r == 0)
        r = call.result;
    if (r < 0)
        return reason_say(reason, r, "cannot start the control endpoint: %s",
                          strerror(-r));
    control->started = true;
    return 0;
}

static void stop(void *opaque, struct event_base *base)
{
    struct control *control = opaque;

    (void)base;
    serve_free(control->serve);
    control->serve = NULL;
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
    free(control);
}
