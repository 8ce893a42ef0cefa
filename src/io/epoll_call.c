/* The epoll engine's operations with one completion. Those of files run synchronously, as in other
 * epoll servers. */

#include "io/epoll.h"
#include "io/file.h"
#include "io/sock.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int call_at_once(struct io *io, struct io_call *c)
{
    counter_add(&io->stats.syscalls, 1);
    switch ((enum io_kind)c->op.kind) {
    case IO_SHUTDOWN: return shutdown(c->sock.sock->fd, SHUT_WR) < 0 ? -errno : 0;
    case IO_UNACKED: return sock_unacked(c->sock.sock->fd);
    default: return file_call(io, c);
    }
}

/* To close it ends its registration only if nobody else has the socket. A process that a handler
 * forked has it, until it executes a program or ends, and what happens to the socket meanwhile
 * would be told of whatever is then where `s` was. */
static void close_sock(struct io *io, struct io_call *c)
{
    struct io_sock *s = c->sock.sock;
    list_unlink(&s->queue);
    epoll_control(io, EPOLL_CTL_DEL, s->fd, 0, NULL, 0);
    counter_add(&io->stats.syscalls, 1);
    epoll_finish(io, &c->op, close(s->fd) < 0 ? -errno : 0);
}

static int watch_call(struct io *io, struct io_call *c, int fd, uint32_t events)
{
    return epoll_control(io, EPOLL_CTL_ADD, fd, events | EPOLLONESHOT, c, TAG_CALL);
}

/* A registration belongs to a descriptor, while several polls may be of one, and a library may
 * close its own and get the same number again. So each poll watches a duplicate. */
static void unwatch_poll(struct io *io, struct io_call *c)
{
    epoll_control(io, EPOLL_CTL_DEL, c->poll.watched, 0, NULL, 0);
    counter_add(&io->stats.syscalls, 1);
    close(c->poll.watched);
}

static void start_poll(struct io *io, struct io_call *c)
{
    counter_add(&io->stats.syscalls, 1);
    c->poll.watched = fcntl(c->poll.fd, F_DUPFD_CLOEXEC, 0);
    if (c->poll.watched < 0) {
        epoll_finish(io, &c->op, -errno);
        return;
    }
    int err = watch_call(io, c, c->poll.watched, (uint16_t)c->poll.events);
    if (err == 0) return;
    close(c->poll.watched);
    if (err == -EPERM) { /* a file, which is always ready (poll(2)) */
        int ready = c->poll.events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
        err = ready ? ready : -EINVAL;
    }
    epoll_finish(io, &c->op, err);
}

static void start_connect(struct io *io, struct io_call *c)
{
    int err = sock_set_nonblock(c->connect.fd);
    counter_add(&io->stats.syscalls, 1);
    if (err < 0)
        epoll_finish(io, &c->op, err); /* it would block the core */
    else if (connect(c->connect.fd, c->connect.addr, c->connect.len) == 0)
        epoll_finish(io, &c->op, 0);
    else if (errno != EINPROGRESS)
        epoll_finish(io, &c->op, -errno);
    else if ((err = watch_call(io, c, c->connect.fd, EPOLLOUT)) < 0)
        epoll_finish(io, &c->op, err);
}

void epoll_call(struct io *io, struct io_call *c)
{
    switch ((enum io_kind)c->op.kind) {
    case IO_CLOSE_SOCK: close_sock(io, c); break;
    case IO_POLL: start_poll(io, c); break;
    case IO_CONNECT: start_connect(io, c); break;
    default: epoll_finish(io, &c->op, call_at_once(io, c));
    }
}

static void run_connect(struct io *io, struct io_call *c)
{
    int err;
    socklen_t len = sizeof err;
    epoll_control(io, EPOLL_CTL_DEL, c->connect.fd, 0, NULL, 0);
    if (getsockopt(c->connect.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) err = errno;
    epoll_finish(io, &c->op, -err);
}

void epoll_call_ready(struct io *io, struct io_call *c, uint32_t events)
{
    if (c->op.kind == IO_CONNECT) {
        run_connect(io, c);
        return;
    }
    unwatch_poll(io, c);
    epoll_finish(io, &c->op, (int)events);
}

void epoll_call_cancel(struct io *io, struct io_call *c)
{
    if (c->op.kind == IO_POLL)
        unwatch_poll(io, c);
    else
        epoll_control(io, EPOLL_CTL_DEL, c->connect.fd, 0, NULL, 0);
    epoll_finish(io, &c->op, -ECANCELED);
}
