/* Polls that are submitted again, because they have ended with what nobody asked for: the client's
 * end of stream, which the kernel tells unasked, and again each time. A multishot poll tells it
 * once; but if the completion queue has overflowed, it ends with that.
 *
 * While the kernel holds completions back, every completion of a multishot operation is its last
 * (io_get_cqe_overflow in io_uring/io_uring.h). To submit all such polls at once would overflow the
 * queue again and again, so a turn submits as many as leave others their room. */

#include "io/uring.h"

#include <errno.h>

void uring_push_again(struct uring *u, struct io_op *op)
{
    op->engine_bits |= BACKLOG;
    fifo_push(&u->again, &op->done);
}

/* A few of them also while the queue overflows, as it may for as long as the core is busy. */
void uring_submit_again(struct uring *u)
{
    uint32_t entries = u->ring.cq.ring_entries, left = entries > 1 ? entries / 2 : 1;
    if (io_uring_cq_has_overflow(&u->ring)) left = entries / 16;
    while (u->again.head) {
        struct io_op *op = container_of(u->again.head, struct io_op, done);
        if (!op->cancelling && left == 0) return;
        fifo_pop(&u->again);
        op->engine_bits &= (uint8_t)~BACKLOG;
        if (op->cancelling) {
            uring_drop(u, op);
        } else {
            uring_push(u, op);
            left--;
        }
    }
}
