#include "io/readiness.h"

#include "io/by_file.h"
#include "io/file.h"
#include "io/nonblock.h"
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ready_probe(struct io_config *config, char *why, size_t size)
{
    config->features = 0;
    file_probe(config);
    if (size) why[0] = '\0';
    return 0;
}

/* ---- bytes ---- */

/* libc's recv and send are cancellation points, which cost two atomic operations per call in a
 * multithreaded program. */
ssize_t ready_recv(int fd, void *buf, size_t size, int flags)
{
    return syscall(SYS_recvfrom, fd, buf, size, flags, NULL, NULL);
}

int ready_recv_into(struct io *io, const struct io_sock *s)
{
    ssize_t n;
    do {
        counter_add(&io->stats.syscalls, 1);
        n = ready_recv(s->fd, s->recv.into, (size_t)s->recv.res, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) counter_add(&io->stats.cqes, 1);
    return n < 0 ? -errno : (int)n;
}

static ssize_t raw_send(int fd, const void *buf, size_t size, int flags)
{
    return syscall(SYS_sendto, fd, buf, size, flags, NULL, 0);
}

static ssize_t send_some(struct io_send *s, size_t most)
{
    struct io_piece p = io_send_piece(s, s->count, most);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | io_send_more(s, p);
    if (p.count == 1) return raw_send(s->sock->fd, s->iov[s->at].iov_base, p.len, flags);
    s->msg = (struct msghdr){.msg_iov = s->iov + s->at, .msg_iovlen = p.count};
    return sendmsg(s->sock->fd, &s->msg, flags);
}

static bool send_by_file(struct io *io, struct io_send *s)
{
    int err = by_file_send(io, s);
    if (err == -EAGAIN || err == -EINPROGRESS) return err == -EINPROGRESS;
    ready_finish(io, &s->op, err ? err : s->op.res);
    return false;
}

bool ready_send(struct io *io, struct io_send *s)
{
    size_t left = IO_SEND_SHARE;
    if (UNLIKELY(is_by_file(s))) return send_by_file(io, s);
    while (s->at < s->count) {
        if (UNLIKELY(left == 0)) return true;
        counter_add(&io->stats.syscalls, 1);
        bool code = io_leave_code(io);
        ssize_t n = send_some(s, left);
        io_return_to_code(io, code);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return false; /* waits until the socket is writable */
            ready_finish(io, &s->op, -errno);
            return false;
        }
        io_send_advance(s, (size_t)n);
        left -= (size_t)n;
    }
    ready_finish(io, &s->op, s->op.res);
    return false;
}

/* ---- operations with one completion ---- */

static int call_at_once(struct io *io, struct io_call *c)
{
    counter_add(&io->stats.syscalls, 1);
    switch ((enum io_kind)c->op.kind) {
    case IO_SHUTDOWN: return shutdown(c->sock.sock->fd, SHUT_WR) < 0 ? -errno : 0;
    case IO_UNACKED: return sock_unacked(c->sock.sock->fd);
    default: return file_call(io, c);
    }
}

void ready_call(struct io *io, struct io_call *c)
{
    ready_finish(io, &c->op, call_at_once(io, c));
}

bool ready_connect(struct io *io, struct io_call *c)
{
    int err = nonblock_set(c->connect.fd, true); /* it would block the core */
    counter_add(&io->stats.syscalls, 1);
    if (err == 0 && connect(c->connect.fd, c->connect.addr, c->connect.len) < 0) err = -errno;
    if (err != -EINPROGRESS) ready_finish(io, &c->op, err);
    return err == -EINPROGRESS;
}

void ready_connected(struct io *io, struct io_call *c)
{
    int err;
    socklen_t len = sizeof err;
    if (getsockopt(c->connect.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) err = errno;
    ready_finish(io, &c->op, -err);
}

bool ready_poll(struct io *io, struct io_call *c)
{
    counter_add(&io->stats.syscalls, 1);
    c->poll.watched = fcntl(c->poll.fd, F_DUPFD_CLOEXEC, 0);
    if (c->poll.watched < 0) ready_finish(io, &c->op, -errno);
    return c->poll.watched >= 0;
}

void ready_poll_end(struct io *io, struct io_call *c)
{
    counter_add(&io->stats.syscalls, 1);
    close(c->poll.watched);
}
