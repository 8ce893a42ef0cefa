#pragma once
/* What a connection has still to send: a chain of chunks, filled at the tail and sent from the
 * head, everything that is there in one send. */

#include "http/context.h"

struct send_chunk {
    struct send_chunk *next;
    struct slab *slab;  /* where it came from */
    uint32_t len, sent; /* bytes written; of these, bytes sent */
    uint32_t cap;
    const char *bytes;   /* `data`, or what was lent */
    struct io_send send; /* used in the chunk that heads a send */
    char data[];
};

enum {
    SEND_SMALL = 8 * 1024 + 64, /* a head and a small body together */
    SEND_LARGE = 64 * 1024 + 512,
    SEND_SMALL_CAP = SEND_SMALL - (int)sizeof(struct send_chunk),
    SEND_LARGE_CAP = SEND_LARGE - (int)sizeof(struct send_chunk),
};

struct send_queue {
    struct send_chunk *head, *tail;
    size_t bytes; /* not sent yet, those in flight included */
    bool pinned;  /* somebody writes to the room reserved at the tail over several turns */
};

char *send_queue_reserve_slow(struct send_queue *o, struct http_context *ctx, size_t size);

/* Room for at least `size` (<= SEND_LARGE_CAP) bytes in one piece at the tail, or NULL without
 * memory. What is then written there is added by out_commit. */
static inline char *send_queue_reserve(struct send_queue *o, struct http_context *ctx, size_t size)
{
    struct send_chunk *c = o->tail;
    if (c && c->cap - c->len >= size) return c->data + c->len;
    return send_queue_reserve_slow(o, ctx, size);
}

static inline void send_queue_commit(struct send_queue *o, size_t n)
{
    o->tail->len += (uint32_t)n;
    o->bytes += n;
}

/* Copies; 0 or -ENOMEM, and then nothing was added. */
int send_queue_append(struct send_queue *o, struct http_context *ctx, const void *data, size_t n);

/* Adds bytes that stay where they are until they are sent or the output is cleared; 0 or
 * -ENOMEM. */
int send_queue_append_ref(struct send_queue *o, struct http_context *ctx, const char *bytes,
                          size_t n);

/* Sends what there is, gathered; fn gets the completion, for which out_sent is to be called. Only
 * with something to send and no send in flight. */
void send_queue_send(struct send_queue *o, struct io *io, struct io_sock *sock, io_fn *fn);

/* Whether a send is in flight: until its completion is handed over, even where the socket has done
 * with it before. */
static inline bool send_queue_busy(const struct send_queue *o)
{
    return o->head && io_busy(&o->head->send.op);
}

/* After a send of `n` bytes has completed. */
void send_queue_sent(struct send_queue *o, size_t n);

/* Keeps the chunk of the last out_reserve in place until it is let go, as a read from a file lands
 * in it meanwhile. */
static inline void send_queue_pin(struct send_queue *o)
{
    o->pinned = true;
}

void send_queue_unpin(struct send_queue *o);

/* Frees everything; not while a send is in flight, nor pinned. */
void send_queue_clear(struct send_queue *o);
