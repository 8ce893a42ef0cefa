#pragma once
/* State shared by the in-memory engine and its clients. */

#include "mem_engine.h"

#include "io/engine.h"

#include <stdlib.h>

struct piece {
    struct piece *next;
    const char *bytes;
    size_t len;
    uint64_t times; /* remaining deliveries */
    bool borrowed;
    char own[];
};

struct mem_client {
    struct io_sock *sock; /* the server's socket; NULL before init and after close */
    struct piece *first, *last;
    size_t waiting;
    char *out;
    size_t out_len, out_cap;
    size_t window; /* bytes sent per turn, if `windowed` */
    bool windowed;
    bool drop_out;
    bool end, reset; /* the client has ended its stream; has reset it */
    bool accepted, shut, closed;
};

struct mem {
    struct mem_config config;
    struct io_accept *accept;
    struct mem_client **client; /* by descriptor */
    uint32_t n_clients, cap_clients;
    struct fifo late; /* operations deferred to the next turn */
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
