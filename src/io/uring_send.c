/* Sends on io_uring: from memory through the ring; of a file's own pages by sendfile(2), which the
 * ring does not have, paced by polls on the ring. */

#include "io/by_file.h"
#include "io/uring.h"

#include <errno.h>
#include <poll.h>

static void prepare_bytes(struct io_uring_sqe *sqe, struct io_send *s)
{
    /* Without MSG_WAITALL, a send that the socket has no room for completes in parts, which shows
     * its progress. */
    int flags = MSG_NOSIGNAL;
    if (s->at + 1 == s->count) {
        io_uring_prep_send(sqe, s->sock->fd, s->iov[s->at].iov_base, s->iov[s->at].iov_len, flags);
    } else {
        s->msg = (struct msghdr){.msg_iov = s->iov + s->at, .msg_iovlen = s->count - s->at};
        io_uring_prep_sendmsg(sqe, s->sock->fd, &s->msg, (unsigned)flags);
    }
    uring_set_fixed_file(sqe, s->sock);
}

/* For a send by reference, which is a system call of its own: the ring tells when. */
static void prepare_writable(struct io_uring_sqe *sqe, const struct io_send *s)
{
    if (s->op.engine_bits & REPEATED)
        io_uring_prep_poll_multishot(sqe, s->sock->fd, POLLOUT);
    else
        io_uring_prep_poll_add(sqe, s->sock->fd, POLLOUT);
}

void uring_prepare_send(struct io_uring_sqe *sqe, struct io_send *s)
{
    if (UNLIKELY(is_by_file(s)))
        prepare_writable(sqe, s);
    else
        prepare_bytes(sqe, s);
}

/* Sends by reference what the socket takes, and the rest when it takes more. */
static void send_by_file(struct uring *u, struct io_send *s)
{
    int err = by_file_send(u->io, s);
    if (err == -EAGAIN)
        uring_push(u, &s->op);
    else
        io_complete_later(u->io, &s->op, err ? err : s->op.res);
}

/* A poll that has ended with what nobody asked for, the client's end of stream, would do so again
 * at once: see uring_poll.c. */
static void by_file_cqe(struct uring *u, struct io_send *s, int res, unsigned flags)
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
        send_by_file(u, s);
    } else {
        *bits |= REPEATED;
        uring_push(u, &s->op);
    }
}

void uring_send_cqe(struct uring *u, struct io_send *s, int res, unsigned flags)
{
    if (UNLIKELY(is_by_file(s))) {
        by_file_cqe(u, s, res, flags);
        return;
    }
    /* A stop of the process, as by SIGSTOP or a freezer, ends what a worker waits in. */
    if (res == -EINTR || (res > 0 && !io_send_advance(s, (size_t)res))) {
        if (!s->op.cancelling) {
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

/* A direct descriptor has no number that sendfile(2) could take. */
void uring_send_file(struct io *io, struct io_send *s)
{
    if (s->sock->engine_bits & SOCK_DIRECT) {
        io_complete_later(io, &s->op, -EOPNOTSUPP);
        return;
    }
    s->op.engine_bits |= IO_BY_FILE;
    send_by_file(io->state, s);
}
