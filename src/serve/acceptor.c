#include "serve/acceptor.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define RETRY_NS   (100 * NS_PER_MS)
#define WARNING_NS (10 * NS_PER_S)

/* ---- starting and stopping the streams ---- */

static void listen_start(struct listener *l)
{
    struct acceptor *a = l->acceptor;
    if (a->accepting && !io_busy(&l->accept.op)) io_accept_start(a->io, &l->accept);
}

static void set_accepting(struct acceptor *a, bool on)
{
    a->accepting = on;
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listener[i];
        if (on)
            listen_start(l);
        else
            io_cancel(a->io, &l->accept.op);
    }
}

static void set_singly(struct acceptor *a, bool on)
{
    a->singly = on;
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listener[i];
        l->accept.single = on;
        if (on) io_cancel(a->io, &l->accept.op); /* it starts again when that has ended */
    }
}

/* Whether what waits in the listening queues, all of which may be taken in one go, could be more
 * than the limit leaves room for. */
static bool near_limit(const struct acceptor *a, uint32_t factor)
{
    return a->max - *a->open <= factor * a->n_listeners * (a->backlog + 1);
}

/* ---- accepting ---- */

/* Further clients than the limit allows wait in the listening queue, which the kernel bounds. */
static void admit(struct acceptor *a, int fd)
{
    if (*a->open < a->max)
        a->admit(a, fd);
    else if (a->n_early < LISTEN_MAX)
        a->early[a->n_early++] = fd;
    else
        io_discard(a->io, fd);
    if (*a->open >= a->max) {
        if (a->accepting) set_accepting(a, false);
    } else if (!a->singly && near_limit(a, 1)) {
        set_singly(a, true);
    }
}

static void on_retry(struct wheel_timer *t)
{
    listen_start(container_of(t, struct listener, retry));
}

static void retry_later(struct listener *l, int err)
{
    struct acceptor *a = l->acceptor;
    struct io *io = a->io;
    counter_add(&a->refused, 1);
    if (io->now - l->last_warning > WARNING_NS) {
        l->last_warning = io->now;
        log_line("core %u cannot accept: %s; %u connections are open (raise the descriptor limit, "
                 "ulimit -n)",
                 a->core, strerror(-err), *a->open);
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
        listen_start(l); /* room may have come meanwhile */
    else
        retry_later(l, res);
}

/* ---- from outside ---- */

void acceptor_listen(struct acceptor *a, int fd)
{
    ASSERT(a->n_listeners < LISTEN_MAX);
    struct listener *l = &a->listener[a->n_listeners++];
    l->acceptor = a;
    l->accept = (struct io_accept){.op = {.fn = on_accept}, .listener = fd};
    wheel_timer_init(&l->retry, on_retry);
}

void acceptor_start(struct acceptor *a, struct io *io, const uint32_t *open)
{
    a->io = io;
    a->open = open;
    if (near_limit(a, 1)) set_singly(a, true);
    set_accepting(a, true);
}

void acceptor_has_room(struct acceptor *a)
{
    if (a->stopped) return;
    if (a->n_early) {
        a->admit(a, a->early[--a->n_early]);
        return;
    }
    if (a->singly && !near_limit(a, 2)) set_singly(a, false);
    /* Some room first, or each single close would start and stop the accepting. */
    if (!a->accepting && *a->open <= a->max - a->max / 16) set_accepting(a, true);
}

void acceptor_stop(struct acceptor *a)
{
    if (a->stopped) return;
    set_accepting(a, false);
    a->stopped = true;
    /* Not only closed: the other cores' tables have copies of it, and it is to take no more. */
    for (uint32_t i = 0; i < a->n_listeners; i++)
        shutdown(a->listener[i].accept.listener, SHUT_RDWR);
    while (a->n_early) io_discard(a->io, a->early[--a->n_early]);
}

bool acceptor_idle(const struct acceptor *a)
{
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (io_busy(&a->listener[i].accept.op)) return false;
    return true;
}

void acceptor_close(struct acceptor *a)
{
    /* The thread's own table, with its copies of these, has ended with it. */
    for (uint32_t i = 0; i < a->n_listeners; i++) close(a->listener[i].accept.listener);
}
