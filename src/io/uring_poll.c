/* IO_POLL on io_uring, whose polls report POLLRDHUP unasked (io_uring/poll.c, IO_POLL_UNMASK). */

#include "io/uring.h"

#include <poll.h>

static int asked(const struct io_call *c)
{
    return (uint16_t)c->poll.events | POLLERR | POLLHUP | POLLNVAL;
}

/* A poll that has ended with what nobody asked for would do so again at once. A multishot one is
 * told of each change. */
void uring_prepare_poll(struct io_uring_sqe *sqe, const struct io_call *c)
{
    unsigned events = (uint16_t)c->poll.events;
    if (c->poll.repeated)
        io_uring_prep_poll_multishot(sqe, c->poll.fd, events);
    else
        io_uring_prep_poll_add(sqe, c->poll.fd, events);
}

void uring_poll_cqe(struct uring *u, struct io_call *c, int res, unsigned flags)
{
    bool is_last = !(flags & IORING_CQE_F_MORE);
    int found = res > 0 ? res & asked(c) : 0;
    if (found && !c->poll.found) {
        c->poll.found = found;
        if (!is_last) uring_owe(u, OWED_CANCEL, (uint64_t)(uintptr_t)&c->op);
    }
    if (!is_last) return;
    if (c->poll.found) {
        io_complete(u->io, &c->op, c->poll.found, false);
    } else if (res <= 0 || c->op.cancelling) {
        io_complete(u->io, &c->op, res <= 0 ? res : -ECANCELED, false);
    } else {
        c->poll.repeated = true;
        uring_push(u, &c->op);
    }
}
