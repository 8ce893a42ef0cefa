#pragma once
/* The io_uring engine's own state; shared by uring.c, which runs the ring, and uring_setup.c, which
 * probes the kernel and sets the ring up. */

#include "io/engine.h"

#include <liburing.h>

struct uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buf_ring; /* NULL without IO_BUF_RING */
    struct io *io;
    uint64_t wake_count;    /* where the read of the eventfd lands */
    struct fifo backlog;    /* operations that found the SQ full even after submitting */
    struct list no_buffers; /* sockets whose recv is to be armed, and had no buffer the last time */
    struct list fed;        /* those that had; each first come first served */
    uint32_t fill;          /* buffers that the ring holds when all are home */
    bool ran_out;           /* of buffers, in this turn */
    uint32_t published;     /* buffers published in this turn */
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
