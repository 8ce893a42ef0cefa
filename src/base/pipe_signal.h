#pragma once
/* A call that may raise SIGPIPE in its thread, as sendfile(2) and write(2) do where nobody reads
 * any more, and that must not: the program around a library may have other plans for it. */

#include <signal.h>
#include <stdbool.h>

struct pipe_signal {
    sigset_t before; /* the thread's mask */
    bool pending;    /* the program's own, which stays */
};

/* Before the call. */
void pipe_signal_hold(struct pipe_signal *p);

/* After it; `raised`: it may have been raised. Leaves errno as it was. */
void pipe_signal_release(const struct pipe_signal *p, bool raised);
