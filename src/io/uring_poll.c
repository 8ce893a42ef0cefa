/* IO_POLL on io_uring, whose polls report POLLRDHUP unasked (io_uring/poll.c, IO_POLL_UNMASK). The
 * kernel finds the file when it takes the submission. Where the number may be another file's by
 * then, a descriptor of the poll's own stands for it. */

#include "io/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int asked(const struct io_call *c)
{
    return (uint16_t)c->poll.events | POLLERR | POLLHUP | POLLNVAL;
}

/* ---- its own descriptor ---- */

static bool has_own(const struct io_call *c)
{
    return c->poll.watched != c->poll.fd;
}

/* Where there is none, the poll ends with the error that `watched` is. */
static void take_own(struct uring *u, struct io_call *c)
{
    counter_add(&u->io->stats.syscalls, 1);
    int fd = fcntl(c->poll.fd, F_DUPFD_CLOEXEC, 0);
    c->poll.watched = fd < 0 ? -errno : fd;
}

void uring_poll_end(struct uring *u, const struct io_call *c)
{
    if (!has_own(c) || c->poll.watched < 0) return;
    counter_add(&u->io->stats.syscalls, 1);
    close(c->poll.watched);
}

/* A poll that may be told only what nobody asked for is submitted again, at any time. With what is
 * read, the end of the stream is ready, too. */
static bool may_be_repeated(const struct io_call *c)
{
    return !(c->poll.events & (POLLIN | POLLRDNORM | POLLRDHUP));
}

/* The kernel may have refused the submission for now, or taken only those before it. */
static void submit_now(struct uring *u, struct io_call *c)
{
    counter_add(&u->io->stats.syscalls, 1);
    int err = io_uring_submit(&u->ring);
    if (err < 0 && !uring_may_retry(err)) uring_enter_failed(u, err);
    bool waits = c->op.engine_bits & BACKLOG;
    if (!waits && io_uring_sq_ready(&u->ring) == 0) return;
    take_own(u, c);
    const struct io_uring_sq *sq = &u->ring.sq;
    if (!waits) sq->sqes[(sq->sqe_tail - 1) & sq->ring_mask].fd = c->poll.watched;
}

void uring_poll_start(struct uring *u, struct io_call *c)
{
    c->poll.found = 0;
    c->poll.repeated = false;
    c->poll.watched = c->poll.fd;
    bool own = c->poll.at_once && may_be_repeated(c);
    if (own) take_own(u, c);
    uring_push(u, &c->op);
    if (c->poll.at_once && !own) submit_now(u, c);
}

/* ---- submitting and completing ---- */

/* A poll that has ended with what nobody asked for would do so again at once. A multishot one is
 * told of each change. */
void uring_prepare_poll(struct io_uring_sqe *sqe, const struct io_call *c)
{
    unsigned events = (uint16_t)c->poll.events;
    if (c->poll.repeated)
        io_uring_prep_poll_multishot(sqe, c->poll.watched, events);
    else
        io_uring_prep_poll_add(sqe, c->poll.watched, events);
}

static void complete(struct uring *u, struct io_call *c, int res)
{
    if (has_own(c) && c->poll.watched < 0) res = c->poll.watched;
    uring_poll_end(u, c);
    io_complete(u->io, &c->op, res, false);
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
        complete(u, c, c->poll.found);
    } else if (res <= 0 || c->op.cancelling) {
        complete(u, c, res <= 0 ? res : -ECANCELED);
    } else {
        c->poll.repeated = true;
        uring_push_again(u, &c->op);
    }
}
