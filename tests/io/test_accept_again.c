/* The io_uring engine where an accept does not wait but ends with -EAGAIN, as older kernels have it
 * on a listener with O_NONBLOCK: simulated by a flag of the kernel for that (Linux 6.10). */

#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#ifndef IORING_ACCEPT_DONTWAIT
#define IORING_ACCEPT_DONTWAIT (1U << 1)
#endif

static bool has_flag;

static void change_accepts(struct io_uring *ring)
{
    const struct io_uring_sq *sq = &ring->sq;
    for (unsigned i = sq->sqe_head; has_flag && i != sq->sqe_tail; i++) {
        struct io_uring_sqe *sqe = &sq->sqes[i & sq->ring_mask];
        if (sqe->opcode == IORING_OP_ACCEPT) sqe->ioprio |= IORING_ACCEPT_DONTWAIT;
    }
}

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);
int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned n, struct __kernel_timespec *ts,
                                            sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned n, struct __kernel_timespec *ts,
                                            sigset_t *mask);

static bool refuses; /* what does not fit into the submission queue */

int __wrap_io_uring_submit(struct io_uring *ring)
{
    if (refuses) return -EBUSY;
    change_accepts(ring);
    return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
    change_accepts(ring);
    return __real_io_uring_submit_and_get_events(ring);
}

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned n, struct __kernel_timespec *ts,
                                            sigset_t *mask)
{
    change_accepts(ring);
    return __real_io_uring_submit_and_wait_timeout(ring, cqe, n, ts, mask);
}

/* Of a kernel without the flag, the accept is refused. */
static void look_for_the_flag(void)
{
    struct io_uring ring;
    struct io_uring_cqe *cqe;
    struct sock_addr addr;
    int listener;
    rig_listen(&addr, &listener);
    if (io_uring_queue_init(4, &ring, 0) < 0) return;
    io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
    has_flag = true;
    assert_int_equal(io_uring_submit(&ring), 1);
    assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
    has_flag = cqe->res == -EAGAIN;
    io_uring_queue_exit(&ring);
    close(listener);
}

enum { POLLS = 300 };

static unsigned n_polled;
static int pipe_fds[2];

static void on_poll(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io, (void)op, (void)more;
    assert_int_equal(res, POLLOUT);
    n_polled++;
}

/* More than the submission queue takes, so that what follows waits behind it. */
static void block(struct rig *r, struct io_call polls[POLLS])
{
    refuses = true;
    n_polled = 0;
    for (int i = 0; i < POLLS; i++) {
        polls[i] =
            (struct io_call){.op.fn = on_poll, .poll = {.fd = pipe_fds[1], .events = POLLOUT}};
        io_call_start(&r->io, &polls[i], IO_POLL);
    }
}

/* The kernel wakes one of those that poll a listener. That one accepts, even if it is cancelled
 * before it can, or before it knows: nobody else would. */
static void woken_and_cancelled_while_blocked(void **state)
{
    static struct io_call polls[POLLS];
    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    for (int knows = 0; knows < 2; knows++) {
        struct rig *r = rig_open(NULL);
        io_accept_start(&r->io, &r->accept);
        for (int i = 0; i < 4; i++) rig_poll(r); /* now it polls */
        int peer = tcp_connect(&r->addr.sa, r->addr.len);
        block(r, polls);
        if (knows) rig_poll(r);
        io_cancel(&r->io, &r->accept.op);
        TURN_UNTIL(r, n_polled == POLLS && !io_busy(&r->accept.op));
        refuses = false;
        assert_int_equal(r->accept_result.res, -ECANCELED);
        assert_int_equal(r->accept_result.count, 1);
        assert_int_equal(r->n_accepted, 1);
        io_discard(&r->io, r->accepted[r->taken++]);
        close(peer);
        rig_close(r);
    }
    for (int i = 0; i < 2; i++) close(pipe_fds[i]);
}

int main(int argc, char **argv)
{
    rig_choose(argc, argv);
    look_for_the_flag();
    const struct CMUnitTest blocked[] = {cmocka_unit_test(woken_and_cancelled_while_blocked)};
    int failed = accept_cases();
    return failed + cmocka_run_group_tests_name("blocked", blocked, NULL, NULL);
}
