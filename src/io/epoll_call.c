/* The epoll engine's operations with one completion. Those of files run synchronously, as in other
 * epoll servers. */

#include "io/epoll.h"
#include "io/file.h"
#include "io/sock.h"

#include <fcntl.h>
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

static void close_sock(struct io *io, struct io_call *c)
{
    struct io_sock *s = c->sock.sock;
    list_unlink(&s->queue);
    counter_add(&io->stats.syscalls, 1);
    epoll_finish(io, &c->op, close(s->fd) < 0 ? -errno : 0);
}

static void start_poll(struct io *io, struct io_call *c, int fd, uint32_t events)
{
    int err = epoll_control(io, EPOLL_CTL_ADD, fd, events | EPOLLONESHOT, c, TAG_CALL);
    if (err < 0) epoll_finish(io, &c->op, err);
}

static void start_connect(struct io *io, struct io_call *c)
{
    int flags = fcntl(c->connect.fd, F_GETFL);
    fcntl(c->connect.fd, F_SETFL, flags | O_NONBLOCK);
    counter_add(&io->stats.syscalls, 1);
    if (connect(c->connect.fd, c->connect.addr, c->connect.len) == 0)
        epoll_finish(io, &c->op, 0);
    else if (errno != EINPROGRESS)
        epoll_finish(io, &c->op, -errno);
    else
        start_poll(io, c, c->connect.fd, EPOLLOUT);
}

void epoll_call(struct io *io, struct io_call *c)
{
    switch ((enum io_kind)c->op.kind) {
    case IO_CLOSE_SOCK: close_sock(io, c); break;
    case IO_POLL: start_poll(io, c, c->poll.fd, (uint32_t)c->poll.events); break;
    case IO_CONNECT: start_connect(io, c); break;
    default: epoll_finish(io, &c->op, call_at_once(io, c));
    }
}

void epoll_call_ready(struct io *io, struct io_call *c, uint32_t events)
{
    int fd = c->op.kind == IO_CONNECT ? c->connect.fd : c->poll.fd;
    int res = (int)events;
    epoll_control(io, EPOLL_CTL_DEL, fd, 0, NULL, 0);
    if (c->op.kind == IO_CONNECT) {
        socklen_t len = sizeof res;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &res, &len) < 0) res = errno;
        res = -res;
    }
    epoll_finish(io, &c->op, res);
}

void epoll_call_cancel(struct io *io, struct io_call *c)
{
    int fd = c->op.kind == IO_CONNECT ? c->connect.fd : c->poll.fd;
    epoll_control(io, EPOLL_CTL_DEL, fd, 0, NULL, 0);
    epoll_finish(io, &c->op, -ECANCELED);
}
