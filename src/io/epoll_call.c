/* The epoll engine's operations with one completion. */

#include "io/epoll.h"

#include <poll.h>
#include <unistd.h>

/* To close it ends its registration only if nobody else has the socket. A process that a handler
 * forked has it, until it executes a program or ends, and what happens to the socket meanwhile
 * would be told of whatever is then where `s` was. */
static void close_sock(struct io *io, struct io_call *c)
{
    struct io_sock *s = c->sock.sock;
    list_unlink(&s->queue);
    epoll_control(io, EPOLL_CTL_DEL, s->fd, 0, NULL, 0);
    counter_add(&io->stats.syscalls, 1);
    ready_finish(io, &c->op, close(s->fd) < 0 ? -errno : 0);
}

static int watch_call(struct io *io, struct io_call *c, int fd, uint32_t events)
{
    return epoll_control(io, EPOLL_CTL_ADD, fd, events | EPOLLONESHOT, c, TAG_CALL);
}

/* A registration belongs to a descriptor, while several polls may be of one: each has its own. */
static void unwatch_poll(struct io *io, struct io_call *c)
{
    epoll_control(io, EPOLL_CTL_DEL, c->poll.watched, 0, NULL, 0);
    ready_poll_end(io, c);
}

static void start_poll(struct io *io, struct io_call *c)
{
    if (!ready_poll(io, c)) return;
    int err = watch_call(io, c, c->poll.watched, (uint16_t)c->poll.events);
    if (err == 0) return;
    ready_poll_end(io, c);
    if (err == -EPERM) { /* a file, which is always ready (poll(2)) */
        int ready = c->poll.events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
        err = ready ? ready : -EINVAL;
    }
    ready_finish(io, &c->op, err);
}

static void start_connect(struct io *io, struct io_call *c)
{
    if (!ready_connect(io, c)) return;
    int err = watch_call(io, c, c->connect.fd, EPOLLOUT);
    if (err < 0) ready_finish(io, &c->op, err);
}

void epoll_call(struct io *io, struct io_call *c)
{
    switch ((enum io_kind)c->op.kind) {
    case IO_CLOSE_SOCK: close_sock(io, c); break;
    case IO_POLL: start_poll(io, c); break;
    case IO_CONNECT: start_connect(io, c); break;
    default: ready_call(io, c);
    }
}

void epoll_call_ready(struct io *io, struct io_call *c, uint32_t events)
{
    if (c->op.kind == IO_CONNECT) {
        epoll_control(io, EPOLL_CTL_DEL, c->connect.fd, 0, NULL, 0);
        ready_connected(io, c);
        return;
    }
    unwatch_poll(io, c);
    ready_finish(io, &c->op, (int)events);
}

void epoll_call_cancel(struct io *io, struct io_call *c)
{
    if (c->op.kind == IO_POLL)
        unwatch_poll(io, c);
    else
        epoll_control(io, EPOLL_CTL_DEL, c->connect.fd, 0, NULL, 0);
    ready_finish(io, &c->op, -ECANCELED);
}
