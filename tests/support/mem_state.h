#pragma once
/* What the engine in memory and its clients share. */

#include "mem_engine.h"

#include "io/engine.h"

#include <stdlib.h>

struct piece {
    struct piece *next;
    const char *bytes;
    size_t len;
    uint64_t times; /* for which it is still to be delivered */
    bool borrowed;
    char own[];
};

struct mem_client {
    struct io_sock *sock; /* the server's; NULL before it is taken over and after it is closed */
    struct piece *first, *last;
    size_t waiting;
    char *out;
    size_t out_len, out_cap;
    size_t window; /* bytes that leave in one turn, where `windowed` */
    bool windowed;
    bool drop_out;
    bool end, reset; /* the client's stream has ended; the client is gone */
    bool accepted, shut, closed;
};

struct mem {
    struct mem_config config;
    struct io_accept *accept;
    struct mem_client **client; /* by descriptor */
    uint32_t n_clients, cap_clients;
    struct fifo late; /* operations to be done in the next turn */
    bool idle;
};

static inline struct mem *mem_of(struct io *io)
{
    return io->state;
}

static inline void mem_free_piece(struct mem_client *m)
{
    struct piece *p = m->first;
    m->first = p->next;
    if (!m->first) m->last = NULL;
    free(p);
}
