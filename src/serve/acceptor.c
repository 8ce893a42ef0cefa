#include "serve/acceptor.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define RETRY_NS   (100 * NS_PER_MS)
#define WARNING_NS (10 * NS_PER_S)

/* ---- starting and pausing ---- */

static void start_listener(struct listener *l)
{
    struct acceptor *a = l->acceptor;
    if (a->accepting && !io_busy(&l->accept.op)) io_accept_start(a->io, &l->accept);
}

static void start_accepting(struct acceptor *a)
{
    a->accepting = true;
    for (uint32_t i = 0; i < a->n_listeners; i++) start_listener(&a->listener[i]);
}

static void pause_accepting(struct acceptor *a)
{
    a->accepting = false;
    for (uint32_t i = 0; i < a->n_listeners; i++) io_cancel(a->io, &a->listener[i].accept.op);
}

static void set_single(struct acceptor *a, bool single)
{
    a->single = single;
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listener[i];
        l->accept.single = single;
        if (single) io_cancel(a->io, &l->accept.op); /* on_accept restarts it in the new mode */
    }
}

/* Whether `factor` full accept queues per listener would exceed the limit. One batch can take all
 * connections of a queue. */
static bool is_near_limit(const struct acceptor *a, uint32_t factor)
{
    return a->max_conns - *a->n_open <= factor * a->n_listeners * (a->backlog + 1);
}

/* ---- accepting ---- */

static void admit(struct acceptor *a, int fd)
{
    if (*a->n_open < a->max_conns)
        a->admit(a, fd);
    else if (a->n_over_limit < LISTEN_MAX)
        a->over_limit[a->n_over_limit++] = fd;
    else
        io_discard(a->io, fd);
    if (*a->n_open >= a->max_conns) {
        if (a->accepting) pause_accepting(a);
    } else if (!a->single && is_near_limit(a, 1)) {
        set_single(a, true);
    }
}

static void on_retry(struct wheel_timer *t)
{
    start_listener(container_of(t, struct listener, retry));
}

static void schedule_retry(struct listener *l, int err)
{
    struct acceptor *a = l->acceptor;
    struct io *io = a->io;
    counter_add(&a->failures, 1);
    if (io->now - l->last_warning > WARNING_NS) {
        l->last_warning = io->now;
        bool descriptors = err == -EMFILE || err == -ENFILE;
        log_line("core %u cannot accept: %s; %u connections are open%s", a->core, strerror(-err),
                 *a->n_open, descriptors ? " (raise the descriptor limit with ulimit -n)" : "");
    }
    wheel_set(&io->wheel, &l->retry, io->now + RETRY_NS);
}

static void on_accept(struct io *io, struct io_op *op, int res, bool more)
{
    struct listener *l =
        container_of(container_of(op, struct io_accept, op), struct listener, accept);
    struct acceptor *a = l->acceptor;
    if (res >= 0) {
        if (a->stopped)
            io_discard(io, res);
        else
            admit(a, res);
        return;
    }
    if (more || a->stopped) return;
    if (res == -ECANCELED)
        start_listener(l); /* paused and already resumed, or switching to single mode */
    else
        schedule_retry(l, res);
}

/* ---- interface ---- */

void acceptor_add_listener(struct acceptor *a, int fd)
{
    ASSERT(a->n_listeners < LISTEN_MAX);
    struct listener *l = &a->listener[a->n_listeners++];
    l->acceptor = a;
    l->accept = (struct io_accept){.op = {.fn = on_accept}, .listener = fd};
    wheel_timer_init(&l->retry, on_retry);
}

void acceptor_start(struct acceptor *a, struct io *io, const uint32_t *n_open)
{
    a->io = io;
    a->n_open = n_open;
    if (is_near_limit(a, 1)) set_single(a, true);
    start_accepting(a);
}

void acceptor_conn_closed(struct acceptor *a)
{
    if (a->stopped) return;
    if (a->n_over_limit) {
        a->admit(a, a->over_limit[--a->n_over_limit]);
        return;
    }
    if (a->single && !is_near_limit(a, 2)) set_single(a, false);
    /* Not at the first close, or every close at the limit would start and pause the accepts. */
    if (!a->accepting && *a->n_open <= a->max_conns - a->max_conns / 16) start_accepting(a);
}

void acceptor_stop(struct acceptor *a)
{
    if (a->stopped) return;
    pause_accepting(a);
    a->stopped = true;
    /* Closing is not enough where each core has its own descriptor table, with copies of the
     * sockets. */
    for (uint32_t i = 0; i < a->n_listeners; i++)
        shutdown(a->listener[i].accept.listener, SHUT_RDWR);
    while (a->n_over_limit) io_discard(a->io, a->over_limit[--a->n_over_limit]);
}

bool acceptor_idle(const struct acceptor *a)
{
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (io_busy(&a->listener[i].accept.op)) return false;
    return true;
}

void acceptor_close(struct acceptor *a)
{
    /* Copies in a table of the core were closed when its thread ended. */
    for (uint32_t i = 0; i < a->n_listeners; i++) close(a->listener[i].accept.listener);
}
