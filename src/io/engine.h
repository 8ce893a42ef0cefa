#pragma once
/* What an engine implements, and helpers that engines share. Only engines and src/io include it. */

#include "io/io.h"

struct io_engine {
    const char *name;
    bool has_ring;
    bool holds_thread;      /* see io_holds_thread */
    bool calls_hold;        /* see io_calls_hold */
    bool blocking_listener; /* is faster at listening sockets without O_NONBLOCK */
    bool blocking_sockets;  /* accepted sockets have no O_NONBLOCK */
    const char *wait_call;  /* the system call in which a core waits */
    /* See io_explain; NULL: there is nothing to add. */
    void (*explain)(const struct io_refusal *r, int err, char *why, size_t size);
    /* See io_probe. */
    int (*probe)(struct io_config *config, char *why, size_t size);
    /* On failure sets io->refused. */
    int (*open)(struct io *io, const struct io_config *config);
    void (*close)(struct io *io);
    /* Submits, waits at most `timeout_ns` (WHEEL_NEVER: forever), updates io->now and runs
     * completions. */
    void (*wait)(struct io *io, uint64_t timeout_ns);
    void (*accept)(struct io *io, struct io_accept *a);
    void (*recv)(struct io *io, struct io_sock *s);
    void (*recv_into)(struct io *io, struct io_sock *s); /* s->recv.into and .res: memory, size */
    void (*watch)(struct io *io, struct io_sock *s);     /* s->recv.res: whether `ends` */
    void (*send)(struct io *io, struct io_send *s);
    /* See io_send_file_start. */
    void (*send_file)(struct io *io, struct io_send *s);
    void (*call)(struct io *io, struct io_call *c);
    void (*cancel)(struct io *io, struct io_op *op);
    /* See io_sock_init. */
    int (*sock_open)(struct io *io, struct io_sock *s, bool accepted);
    /* The socket's descriptor, or -1 for a direct descriptor. */
    int (*descriptor)(const struct io_sock *s);
    void (*discard)(struct io *io, int fd);
    /* See io_peer: of a socket without a descriptor. NULL where each has one. */
    bool (*peer)(struct io *io, const struct io_sock *s, struct sock_addr *out);
};

/* Each defined in the file of its name, if it is built in. */
extern const struct io_engine io_uring_engine;
extern const struct io_engine io_epoll_engine;
extern const struct io_engine io_threads_engine;

/* The core is late, see io_is_behind. */
void io_note_late(struct io *io, uint64_t late);

/* The kernel has returned from the wait; completions run next. */
static inline void io_waited(struct io *io)
{
    uint64_t now = clock_ns(), late = io->took + (now > io->due ? now - io->due : 0);
    counter_set(&io->now, now);
    counter_set(&io->stats.woken, io->stats.turns);
    if (UNLIKELY(late >= IO_LATE_NS)) io_note_late(io, late);
}

/* Around a system call that sends or receives and may be made while request code runs, as when a
 * handler writes to another server: the call is not request code. */
static inline bool io_leave_code(struct io *io)
{
    bool runs = stopwatch_runs(&io->code);
    if (UNLIKELY(runs)) stopwatch_stop(&io->code);
    return runs;
}

static inline void io_return_to_code(struct io *io, bool ran)
{
    if (UNLIKELY(ran)) stopwatch_start(&io->code);
}

/* The engine has read from wake_fd. */
void io_woken(struct io *io);

/* Queues the final completion; it runs later in this turn or in the next. */
static inline void io_complete_later(struct io *io, struct io_op *op, int res)
{
    op->res = res;
    fifo_push(&io->done, &op->done);
}

/* Delivers a completion to the operation's owner now. */
static inline void io_complete(struct io *io, struct io_op *op, int res, bool more)
{
    if (!more) {
        if (op->kind == IO_SEND) container_of(op, struct io_send, op)->sock->sending = NULL;
        op->kind = IO_NONE;
        io->in_flight--;
    }
    op->fn(io, op, res, more);
}

/* Accounts for `n` sent bytes: advances s->at and the start of its entry. True when all bytes have
 * been sent. */
static inline bool io_send_advance(struct io_send *s, size_t n)
{
    s->op.res += (int32_t)n;
    while (s->at < s->count && n >= s->iov[s->at].iov_len) n -= s->iov[s->at++].iov_len;
    if (s->at == s->count) return true;
    s->iov[s->at].iov_base = (char *)s->iov[s->at].iov_base + n;
    s->iov[s->at].iov_len -= n;
    return false;
}

/* Bytes of one send in one turn, for fairness: to a peer that reads as fast as the core copies it
 * would go on to its end. A MiB of a file goes whole, with the head before it. */
#define IO_SEND_SHARE (((size_t)1 << 20) + (64 << 10))

/* What is sent by one call: entries from s->at on, or the beginning of that one. */
struct io_piece {
    uint32_t count;
    size_t len;
};

/* As much as has at most `most` bytes, up to entry `end`. */
static inline struct io_piece io_send_piece(struct io_send *s, uint32_t end, size_t most)
{
    while (s->at + 1 < end && s->iov[s->at].iov_len == 0) s->at++;
    struct io_piece p = {1, s->iov[s->at].iov_len};
    if (UNLIKELY(p.len > most)) return (struct io_piece){1, most};
    for (uint32_t i = s->at + 1; i < end && s->iov[i].iov_len <= most - p.len; i++) {
        p.len += s->iov[i].iov_len;
        p.count++;
    }
    return p;
}

/* For send(2): what follows goes in the same segments. */
static inline int io_send_more(const struct io_send *s, struct io_piece p)
{
    bool all = s->at + p.count == s->count && (p.count > 1 || p.len == s->iov[s->at].iov_len);
    return all ? 0 : MSG_MORE;
}

/* Prefetches the object around an operation or a task that runs next. There may be hundreds, and
 * the kernel's work for the previous one has evicted it from the cache. */
static inline void io_prefetch(const void *p)
{
    const char *at = p;
    __builtin_prefetch(at - 64);
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
}
