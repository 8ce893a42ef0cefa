/* The io_uring engine where an accept does not wait but ends with -EAGAIN, as older kernels have it
 * on a listener with O_NONBLOCK: simulated by a flag of the kernel for that (Linux 6.10). */

#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <liburing.h>
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

int __wrap_io_uring_submit(struct io_uring *ring)
{
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

int main(int argc, char **argv)
{
    rig_choose(argc, argv);
    look_for_the_flag();
    return accept_cases();
}
