#pragma once
/* What only those see who implement the contract of io.h. */

#include "io/io.h"

struct io_engine {
    const char *name;
    bool has_ring;
    bool blocking_listener; /* wants listening sockets without O_NONBLOCK */
    /* As io_probe. */
    int (*probe)(struct io_config *config, char *why, size_t size);
    int (*open)(struct io *io, const struct io_config *config);
    void (*close)(struct io *io);
    /* Submits, waits at most until `timeout_ns` from now (WHEEL_NEVER: for ever), reads the clock
     * into io->now and runs completions. */
    void (*wait)(struct io *io, uint64_t timeout_ns);
    void (*accept)(struct io *io, struct io_accept *a);
    void (*recv)(struct io *io, struct io_sock *s);
    void (*send)(struct io *io, struct io_send *s);
    void (*call)(struct io *io, struct io_call *c);
    void (*cancel)(struct io *io, struct io_op *op);
    /* Takes over a socket; negative errno where it cannot (it is then still to be closed). */
    int (*sock_open)(struct io *io, struct io_sock *s, bool accepted);
    /* The socket's descriptor, or -1 where it has none. */
    int (*descriptor)(const struct io_sock *s);
    void (*discard)(struct io *io, int fd);
};

/* Each defined in the file of its name, where that is built in. */
extern const struct io_engine io_uring_engine;
extern const struct io_engine io_epoll_engine;

/* A final completion to be handed over later in this turn, or in the next. */
static inline void io_done(struct io *io, struct io_op *op, int res)
{
    op->res = res;
    fifo_push(&io->done, &op->done);
}

/* Hands a completion to its owner. */
static inline void io_complete(struct io *io, struct io_op *op, int res, bool more)
{
    if (!more) {
        if (op->kind == IO_SEND) container_of(op, struct io_send, op)->sock->sending = NULL;
        op->kind = IO_NONE;
        io->in_flight--;
    }
    op->fn(io, op, res, more);
}

/* `n` bytes of the send have left: moves s->at on, and the begin of its entry. True when all have.
 */
static inline bool io_send_advance(struct io_send *s, size_t n)
{
    s->op.res += (int32_t)n;
    while (s->at < s->count && n >= s->iov[s->at].iov_len) n -= s->iov[s->at++].iov_len;
    if (s->at == s->count) return true;
    s->iov[s->at].iov_base = (char *)s->iov[s->at].iov_base + n;
    s->iov[s->at].iov_len -= n;
    return false;
}

/* Fetches what surrounds an operation or a task that is next in turn. While the kernel
 * was at work for the one before, the caches have lost it, and there are hundreds. */
static inline void io_fetch(const void *p)
{
    const char *at = p;
    __builtin_prefetch(at - 64);
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
}
