#pragma once
/* State of the io_uring engine, shared by uring.c, which runs the ring, and uring_setup.c, which
 * probes the kernel and sets up the ring. */

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
};

enum { BUF_GROUP = 0 };

static inline bool uring_has(const struct uring *u, enum io_feature f)
{
    return u->features & 1u << f;
}

int uring_probe(struct io_config *config, char *why, size_t size);

/* Creates and enables the ring on the calling thread. Negative errno. */
int uring_setup(struct uring *u, const struct io_config *config);
