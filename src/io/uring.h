#pragma once
/* State of the io_uring engine, shared by its files: uring.c runs the ring, uring_send.c sends,
 * uring_recv.c receives, uring_submit.c fills the submission queue, uring_again.c submits polls
 * again, uring_probe.c probes the kernel and uring_setup.c sets up the ring. */

#include "io/engine.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

/* While the kernel puts io_uring_enter off, as without memory, and nothing completes. */
struct uring_later {
    uint64_t since, told; /* ns: the first time in a row, and the last message, 0: none */
    uint64_t enters;      /* io->stats.enters at the last time */
};

struct uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buf_ring; /* NULL without IO_BUF_RING */
    struct io *io;
    uint64_t wake_count; /* buffer for the read of the eventfd */
    struct fifo backlog; /* operations that did not fit into the SQ even after submitting */
    struct fifo again;   /* polls to submit again, a share of them in each turn */
    struct owed *owed;   /* likewise what is not an operation; submitted before the backlog */
    uint32_t n_owed, owed_room;
    struct list rearm;        /* sockets whose recv is to be armed, the longest waiting first */
    struct list rearm_little; /* those of them that had read all before */
    bool little_next;         /* the next one to be armed is of these, if there is any */
    uint32_t n_rearm;
    bool one_buffer;      /* they are many: each receives one buffer, and waits again */
    uint32_t ring_target; /* number of buffers to keep in the ring */
    bool out_of_buffers;  /* a recv found no buffer in this turn */
    uint32_t n_provided;  /* buffers added to the ring in this turn, before the advance */
    uint32_t features;    /* bit per enum io_feature in use */
    bool blocked;         /* there is a backlog, or something owed: what is new has to wait */
    bool direct;          /* sockets are accepted into the direct table */
    bool no_recv_limit;   /* this kernel has none, before Linux 6.17 */
    uint32_t buf_ring_entries;
    struct io_refusal refused; /* when uring_setup failed */
    struct uring_later later;
    uint64_t no_worker_until; /* ns: calls on files are not the ring's; it had no worker for one */
};

/* An SQE that belongs to no operation: a cancel of an operation's user data, the closing of a
 * direct descriptor, or the read of the eventfd. */
enum owed_kind { OWED_CANCEL, OWED_DISCARD, OWED_WAKE };

struct owed {
    enum owed_kind kind;
    uint64_t what; /* user data, or descriptor */
};

enum { BUF_GROUP = 0 };

/* User data of SQEs without an operation; below any address. */
enum { URING_IGNORE = 0, URING_WAKE = 1 };

/* engine_bits of an operation */
enum {
    POLLING = 1,  /* a poll is in flight, not the recv (no provided buffers) or the accept */
    WAITING = 2,  /* recv is in a list to be re-armed, not in the kernel; nor is a watch */
    BACKLOG = 4,  /* in the backlog, or to be submitted again; not in the kernel */
    DRAINED = 8,  /* recv: the last one has read all that there was */
    LIMITED = 16, /* recv was armed with a limit */
    BROKEN = 32,  /* watch: the peer has reset */
    WOKEN = 64,   /* accept: its poll was, so it looks once, even if it is cancelled */
    /* of a send */
    FULL = 16,     /* the socket is: a poll for room is in flight */
    WRITABLE = 32, /* it has found room, and is being cancelled */
    REPEATED = 64, /* it is told of each change: POLLRDHUP comes unasked */
};

/* engine_bits of a socket */
enum { SOCK_DIRECT = 1 };

static inline bool uring_has(const struct uring *u, enum io_feature f)
{
    return u->features & 1u << f;
}

static inline void uring_set_fixed_file(struct io_uring_sqe *sqe, const struct io_sock *s)
{
    if (s->engine_bits & SOCK_DIRECT) sqe->flags |= IOSQE_FIXED_FILE;
}

/* The errors of io_uring_enter that pass: the kernel is short of memory, or completions have to be
 * taken first. Any other refuses the engine for good. */
static inline bool uring_may_retry(int err)
{
    return err == -EAGAIN || err == -EBUSY || err == -ENOMEM;
}

/* Puts an operation into the SQ or, if that is full, into the backlog. */
void uring_push(struct uring *u, struct io_op *op);

/* Completes an operation that was cancelled before it came (again) into the SQ. */
void uring_drop(struct uring *u, struct io_op *op);

/* ---- uring_again.c ---- */

/* Of a poll that has ended with what nobody asked for: submits it at the end of the turn, or of a
 * later one. */
void uring_push_again(struct uring *u, struct io_op *op);

/* Once per turn. */
void uring_submit_again(struct uring *u);

/* ---- uring_accept.c ---- */

void uring_prepare_accept(const struct uring *u, struct io_uring_sqe *sqe,
                          const struct io_accept *a);
void uring_accept_cqe(struct uring *u, struct io_op *op, int res, unsigned flags);

/* ---- uring_submit.c ---- */

/* After an io_uring_enter that returned a negative errno: sets io->error if it is refused for good,
 * or if completions were lost.
 * If it may succeed later and there is nothing else to do, rests for a moment. */
void uring_enter_failed(struct uring *u, int err);

/* Submits what fills the SQ. NULL if the kernel does not take it now. */
struct io_uring_sqe *uring_submit_early(struct uring *u);

static inline struct io_uring_sqe *uring_get_sqe(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    return LIKELY(sqe) ? sqe : uring_submit_early(u);
}

/* Submits something without an operation, now or as soon as the SQ has room. */
void uring_owe(struct uring *u, enum owed_kind kind, uint64_t what);

/* Submits what is owed; true if nothing is left. */
bool uring_pay(struct uring *u);

/* ---- uring_peer.c ---- */

/* See struct io_engine. */
bool uring_peer(struct io *io, const struct io_sock *s, struct sock_addr *out);

/* ---- uring_poll.c ---- */

void uring_poll_start(struct uring *u, struct io_call *c);
void uring_poll_end(struct uring *u, const struct io_call *c); /* frees what is the engine's */
void uring_prepare_poll(struct io_uring_sqe *sqe, const struct io_call *c);
void uring_poll_cqe(struct uring *u, struct io_call *c, int res, unsigned flags);

/* ---- uring_send.c ---- */

/* See struct io_engine. */
void uring_send(struct io *io, struct io_send *s);
void uring_send_file(struct io *io, struct io_send *s);

void uring_prepare_send(struct io_uring_sqe *sqe, struct io_send *s);
void uring_send_cqe(struct uring *u, struct io_send *s, int res, unsigned flags);

/* ---- uring_recv.c ---- */

void uring_prepare_recv(struct uring *u, struct io_uring_sqe *sqe, struct io_sock *s);

void uring_prepare_watch(struct io_uring_sqe *sqe, const struct io_sock *s);

void uring_into_cqe(struct uring *u, struct io_sock *s, int res);
void uring_watch_cqe(struct uring *u, struct io_sock *s, int res, unsigned flags);

/* See struct io_engine. */
void uring_recv(struct io *io, struct io_sock *s);
void uring_recv_into(struct io *io, struct io_sock *s);

void uring_prepare_into(struct io_uring_sqe *sqe, const struct io_sock *s);

void uring_recv_cqe(struct uring *u, struct io_sock *s, int res, unsigned flags);

/* Once per turn: returns buffers to the kernel, and re-arms waiting sockets, at most one per
 * available buffer. */
void uring_recycle_buffers(struct uring *u);

/* Of a recv, or watch, that is WAITING and is being cancelled. */
void uring_leave_queue(struct uring *u, struct io_sock *s);

/* The sockets just armed may have nothing to read while those still waiting do: if buffers are
 * left, the next turn must not block before it re-arms them. */
bool uring_can_arm_more(const struct uring *u);

/* ---- uring_probe.c ---- */

int uring_probe(struct io_config *config, char *why, size_t size);

/* ---- uring_explain.c ---- */

/* See io_explain. */
void uring_explain(const struct io_refusal *r, int err, char *why, size_t size);

/* What this error of the call means: with -ENOMEM it may be the mapping of a ring, of up to
 * `mapped` bytes, that has no room. */
struct io_refusal uring_refusal(const char *call, int err, size_t mapped);

/* The limit for which a ring has to be smaller, as io_refusal.limit. */
const char *uring_scarce(const struct io_refusal *r);

bool uring_not_permitted(int err);

/* ---- uring_setup.c ---- */

/* Creates and enables the ring on the calling thread, with room for `buffers` provided buffers.
 * Negative errno, and u->refused. */
int uring_setup(struct uring *u, const struct io_config *config, uint32_t buffers);

void uring_end(struct uring *u);

/* As io_uring_queue_init_params and io_uring_queue_exit, by which every ring is mapped and
 * unmapped. */
int uring_map(unsigned depth, struct io_uring *ring, struct io_uring_params *p);
void uring_unmap(struct io_uring *ring);

/* Waits a little for locked memory that is being freed; false once the patience is used up. */
enum { URING_PATIENCE = 30 };
bool uring_await_memory(int *patience);
