/* Accept streams of the io_uring engine. */

#include "io/uring.h"

#include <errno.h>
#include <poll.h>

enum { POLL_EXCLUSIVE = 1 << 28 }; /* EPOLLEXCLUSIVE */

void uring_prepare_accept(const struct uring *u, struct io_uring_sqe *sqe,
                          const struct io_accept *a)
{
    bool multi = uring_has(u, IO_MULTISHOT) && !a->single && !a->op.cancelling;
    int listener = a->listener;
    if (a->op.engine_bits & POLLING)
        io_uring_prep_poll_add(sqe, listener, POLLIN | POLL_EXCLUSIVE);
    else if (u->direct && multi)
        io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
    else if (u->direct)
        io_uring_prep_accept_direct(sqe, listener, NULL, NULL, 0, IORING_FILE_INDEX_ALLOC);
    else if (multi)
        io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
}

/* A listener that was given is non-blocking, because other processes may have it. Older kernels end
 * an accept with -EAGAIN there, so a poll waits in its place. The kernel wakes one of those that
 * poll. So who was woken accepts once, without waiting, even if it has been cancelled meanwhile:
 * nobody else would. */
static void polled(struct uring *u, struct io_op *op, int res)
{
    op->engine_bits &= (uint8_t)~POLLING;
    if (res > 0) {
        op->engine_bits |= WOKEN;
        uring_push(u, op);
        bool later = op->engine_bits & BACKLOG; /* then its cancel comes after it, too */
        if (op->cancelling && !later) uring_owe(u, OWED_CANCEL, (uintptr_t)op);
    } else {
        io_complete(u->io, op, op->cancelling ? -ECANCELED : res, false);
    }
}

void uring_accept_cqe(struct uring *u, struct io_op *op, int res, unsigned flags)
{
    bool transient = res == -ECONNABORTED || res == -EINTR || res == -EPROTO;
    if (op->engine_bits & POLLING) {
        polled(u, op, res);
        return;
    }
    op->engine_bits &= (uint8_t)~WOKEN;
    if (res >= 0) io_complete(u->io, op, res, true);
    if (flags & IORING_CQE_F_MORE) return;
    if (op->cancelling) {
        io_complete(u->io, op, -ECANCELED, false);
    } else if (res >= 0 || transient || res == -EAGAIN) {
        if (res == -EAGAIN) op->engine_bits |= POLLING;
        counter_add(&u->io->stats.rearmed, 1);
        uring_push(u, op);
    } else {
        io_complete(u->io, op, res, false);
    }
}
