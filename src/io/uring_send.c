/* Sends on io_uring: from memory through the ring; of a file's own pages by sendfile(2), which the
 * ring does not have. Where the socket is full, a poll on the ring tells when the rest can go.
 *
 * A send of the ring's own could wait for that, too. But where the client has ended its stream, the
 * kernel finds its socket ready again and again (POLLRDHUP, as IO_POLL_UNMASK in io_uring/poll.c
 * asks for it), and after 128 tries has a worker wait: a few clients that do not read take all. */

#include "io/by_file.h"
#include "io/uring.h"

#include <errno.h>
#include <poll.h>

static void prepare_bytes(struct io_uring_sqe *sqe, struct io_send *s)
{
    struct io_piece p = io_send_piece(s, s->count, IO_SEND_SHARE);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | io_send_more(s, p);
    if (p.count == 1) {
        io_uring_prep_send(sqe, s->sock->fd, s->iov[s->at].iov_base, p.len, flags);
    } else {
        s->msg = (struct msghdr){.msg_iov = s->iov + s->at, .msg_iovlen = p.count};
        io_uring_prep_sendmsg(sqe, s->sock->fd, &s->msg, (unsigned)flags);
    }
}

static void prepare_writable(struct io_uring_sqe *sqe, const struct io_send *s)
{
    if (s->op.engine_bits & REPEATED)
        io_uring_prep_poll_multishot(sqe, s->sock->fd, POLLOUT);
    else
        io_uring_prep_poll_add(sqe, s->sock->fd, POLLOUT);
}

void uring_prepare_send(struct io_uring_sqe *sqe, struct io_send *s)
{
    if (UNLIKELY(s->op.engine_bits & FULL))
        prepare_writable(sqe, s);
    else
        prepare_bytes(sqe, s);
    uring_set_fixed_file(sqe, s->sock);
}

static void await_room(struct uring *u, struct io_send *s)
{
    s->op.engine_bits |= FULL;
    uring_push(u, &s->op);
}

/* Sends what the socket takes. */
static void send_on(struct uring *u, struct io_send *s)
{
    s->op.engine_bits &= (uint8_t)~FULL;
    if (!is_by_file(s)) {
        uring_push(u, &s->op);
        return;
    }
    s->sock->sent_in = (uint16_t)u->io->stats.turns;
    int err = by_file_send(u->io, s);
    if (err == -EAGAIN || err == -EINPROGRESS)
        await_room(u, s);
    else
        io_complete_later(u->io, &s->op, err ? err : s->op.res);
}

static void room_cqe(struct uring *u, struct io_send *s, int res, unsigned flags)
{
    uint8_t *bits = &s->op.engine_bits;
    bool found = res > 0 && res & (POLLOUT | POLLERR | POLLHUP);
    if (flags & IORING_CQE_F_MORE) {
        if (found && !(*bits & WRITABLE)) {
            *bits |= WRITABLE;
            uring_owe(u, OWED_CANCEL, (uint64_t)(uintptr_t)&s->op);
        }
    } else if (s->op.cancelling || (res < 0 && !(*bits & WRITABLE))) {
        io_complete(u->io, &s->op, res < 0 ? res : -ECANCELED, false);
    } else if (found || *bits & WRITABLE) {
        *bits &= (uint8_t)~WRITABLE;
        send_on(u, s);
    } else {
        *bits |= REPEATED;
        uring_push_again(u, &s->op);
    }
}

void uring_send_cqe(struct uring *u, struct io_send *s, int res, unsigned flags)
{
    if (UNLIKELY(s->op.engine_bits & FULL)) {
        room_cqe(u, s, res, flags);
        return;
    }
    bool is_full = res == -EAGAIN;
    if (UNLIKELY(is_full || (res > 0 && !io_send_advance(s, (size_t)res)))) {
        if (!s->op.cancelling) {
            if (is_full)
                await_room(u, s);
            else
                uring_push(u, &s->op);
            return;
        }
        res = -ECANCELED;
    }
    io_complete(u->io, &s->op, res > 0 ? s->op.res : res, false);
}

void uring_send(struct io *io, struct io_send *s)
{
    uring_push(io->state, &s->op);
}

/* A direct descriptor has no number that sendfile(2) could take. A send that completes at once
 * could be followed by others in the same turn: they go in later ones, as on epoll. */
void uring_send_file(struct io *io, struct io_send *s)
{
    if (s->sock->engine_bits & SOCK_DIRECT) {
        io_complete_later(io, &s->op, -EOPNOTSUPP);
        return;
    }
    if (s->sock->sent_in == (uint16_t)io->stats.turns)
        await_room(io->state, s);
    else
        send_on(io->state, s);
}
