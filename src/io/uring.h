#pragma once
/* State of the io_uring engine, shared by its files: uring.c runs the ring, uring_recv.c receives,
 * and uring_setup.c probes the kernel and sets up the ring. */

#include "io/engine.h"

#include <liburing.h>

struct uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buf_ring; /* NULL without IO_BUF_RING */
    struct io *io;
    uint64_t wake_count;    /* buffer for the read of the eventfd */
    struct fifo backlog;    /* operations that did not fit into the SQ even after submitting */
    struct list no_buffers; /* sockets to re-arm that got no buffer the last time */
    struct list rearm;      /* sockets to re-arm that received bytes the last time */
    uint32_t ring_target;   /* number of buffers to keep in the ring */
    bool out_of_buffers;    /* a recv found no buffer in this turn */
    uint32_t n_provided;    /* buffers added to the ring in this turn, before the advance */
    uint32_t features;      /* bit per enum io_feature in use */
    bool direct;            /* sockets are accepted into the direct table */
    bool no_recv_limit;     /* this kernel has none, before Linux 6.17 */
};

enum { BUF_GROUP = 0 };

/* engine_bits of an operation */
enum {
    POLLING = 1,  /* no provided buffers: a poll is in flight, not the recv */
    WAITING = 2,  /* recv is in a list to be re-armed, not in the kernel */
    BACKLOG = 4,  /* in the backlog, not in the kernel */
    RECEIVED = 8, /* recv has delivered bytes since it was armed */
    LIMITED = 16, /* recv was armed with a limit */
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

/* Puts an operation into the SQ or, if that is full, into the backlog. */
void uring_push(struct uring *u, struct io_op *op);

/* ---- uring_recv.c ---- */

void uring_prepare_recv(struct uring *u, struct io_uring_sqe *sqe, struct io_sock *s);

void uring_recv_arm(struct uring *u, struct io_sock *s);

void uring_recv_cqe(struct uring *u, struct io_sock *s, int res, unsigned flags);

/* Once per turn: returns buffers to the kernel, and re-arms waiting sockets, at most one per
 * available buffer. */
void uring_recycle_buffers(struct uring *u);

/* The sockets just armed may have nothing to read while those still waiting do: if buffers are
 * left, the next turn must not block before it re-arms them. */
bool uring_can_arm_more(const struct uring *u);

/* ---- uring_setup.c ---- */

int uring_probe(struct io_config *config, char *why, size_t size);

/* Creates and enables the ring on the calling thread. Negative errno. */
int uring_setup(struct uring *u, const struct io_config *config);
