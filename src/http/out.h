#pragma once
/* What a connection has still to send: a chain of chunks, filled at the tail and sent from the
 * head, everything that is there in one send. */

#include "http/core.h"

struct out_chunk {
    struct out_chunk *next;
    struct slab *slab;  /* where it came from */
    uint32_t len, sent; /* bytes written; of these, bytes sent */
    uint32_t cap;
    const char *bytes;   /* `data`, or what was lent */
    struct io_send send; /* used in the chunk that heads a send */
    char data[];
};

enum {
    OUT_SMALL = 8 * 1024 + 64, /* a head and a small body together */
    OUT_LARGE = 64 * 1024 + 512,
    OUT_SMALL_CAP = OUT_SMALL - (int)sizeof(struct out_chunk),
    OUT_LARGE_CAP = OUT_LARGE - (int)sizeof(struct out_chunk),
};

struct out {
    struct out_chunk *head, *tail;
    size_t bytes; /* not sent yet, those in flight included */
    bool pinned;  /* somebody writes to the room reserved at the tail over several turns */
};

char *out_reserve_slow(struct out *o, struct http_core *core, size_t size);

/* Room for at least `size` (<= OUT_LARGE_CAP) bytes in one piece at the tail, or NULL without
 * memory. What is then written there is added by out_commit. */
static inline char *out_reserve(struct out *o, struct http_core *core, size_t size)
{
    struct out_chunk *c = o->tail;
    if (c && c->cap - c->len >= size) return c->data + c->len;
    return out_reserve_slow(o, core, size);
}

static inline void out_commit(struct out *o, size_t n)
{
    o->tail->len += (uint32_t)n;
    o->bytes += n;
}

/* Copies; 0 or -ENOMEM, and then nothing was added. */
int out_append(struct out *o, struct http_core *core, const void *data, size_t n);

/* Adds bytes that stay where they are until they are sent or the output is cleared; 0 or
 * -ENOMEM. */
int out_lend(struct out *o, struct http_core *core, const char *bytes, size_t n);

/* Sends what there is, gathered; fn gets the completion, for which out_sent is to be called. Only
 * with something to send and no send in flight. */
void out_send(struct out *o, struct io *io, struct io_sock *sock, io_fn *fn);

/* Whether a send is in flight: until its completion is handed over, even where the socket has done
 * with it before. */
static inline bool out_busy(const struct out *o)
{
    return o->head && io_busy(&o->head->send.op);
}

/* After a send of `n` bytes has completed. */
void out_sent(struct out *o, size_t n);

/* Keeps the chunk of the last out_reserve in place until it is let go, as a read from a file lands
 * in it meanwhile. */
static inline void out_pin(struct out *o)
{
    o->pinned = true;
}

void out_unpin(struct out *o);

/* Frees everything; not while a send is in flight, nor pinned. */
void out_clear(struct out *o);
