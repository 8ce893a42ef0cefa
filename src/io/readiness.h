#pragma once
/* What the engines have in common that do an operation by a system call of its own, once the kernel
 * says that it would not wait: epoll and threads. Operations of files run synchronously, as in
 * other servers of their kind. */

#include "io/engine.h"

#include <sys/types.h>

/* engine_bits of an operation: the final completion is queued, nothing is left to cancel. */
enum { READY_DONE = 2 };

/* Queues the final completion. */
static inline void ready_finish(struct io *io, struct io_op *op, int res)
{
    op->engine_bits |= READY_DONE;
    io_complete_later(io, op, res);
}

/* See io_probe. */
int ready_probe(struct io_config *config, char *why, size_t size);

/* As recv(2). */
ssize_t ready_recv(int fd, void *buf, size_t size, int flags);

/* Receives for IO_RECV_INTO: a count, 0, or negative errno; -EAGAIN if nothing is there yet. */
int ready_recv_into(struct io *io, const struct io_sock *s);

/* Sends what the socket takes, and finishes the send if that is all or fails. True once
 * IO_SEND_SHARE bytes have left and some have not: the socket may take more. */
bool ready_send(struct io *io, struct io_send *s);

/* An operation other than IO_CLOSE_SOCK, IO_POLL and IO_CONNECT: done when it returns. */
void ready_call(struct io *io, struct io_call *c);

/* Begins to connect. True if that takes time: the socket becomes writable once there is an outcome,
 * and ready_connected finishes the operation. */
bool ready_connect(struct io *io, struct io_call *c);
void ready_connected(struct io *io, struct io_call *c);

/* Makes c->poll.watched a duplicate of the descriptor: a library may close its own and get the same
 * number again. False if the operation has failed. ready_poll_end closes it. */
bool ready_poll(struct io *io, struct io_call *c);
void ready_poll_end(struct io *io, struct io_call *c);
