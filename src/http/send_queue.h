#pragma once
/* A connection's unsent output: a chain of chunks, filled at the tail and sent from the head. One
 * gathered send takes everything in the queue, up to IO_SEND_IOV chunks. */

#include "http/context.h"
#include "http/exchange.h"

struct send_chunk {
    struct send_chunk *next;
    struct slab *slab;  /* slab it was allocated from */
    uint32_t len, sent; /* bytes written, and bytes sent of these */
    uint32_t cap;
    uint32_t responses;  /* that were queued whole and end in it */
    const char *bytes;   /* `data`, or bytes by reference: then `cap` is their number */
    struct io_send send; /* used in the first chunk of a send */
    char data[];
};

enum {
    SEND_SMALL = 8 * 1024 + 64, /* fits a head and a small body */
    SEND_LARGE = 64 * 1024 + 512,
    SEND_SMALL_CAP = SEND_SMALL - (int)sizeof(struct send_chunk),
    SEND_LARGE_CAP = SEND_LARGE - (int)sizeof(struct send_chunk),
};

struct send_queue {
    struct send_chunk *head, *tail;
    size_t bytes;          /* unsent bytes, those in flight included */
    uint32_t pinned : 1;   /* the reserved room at the tail is written to over several turns */
    uint32_t mixed : 1;    /* some chunks may own their bytes, or be of a file */
    uint32_t stalled : 30; /* ms for which the client has taken nothing; see send_pace.c */
    uint32_t behind;       /* ms by which it is late */
};

char *send_queue_reserve_slow(struct send_queue *q, struct http_context *ctx, size_t size);

/* Returns contiguous room for at least `size` (<= SEND_LARGE_CAP) bytes at the tail, or NULL
 * without memory. send_queue_commit adds the bytes written there. For a response that is added as a
 * whole: what is large counts as such (memory.h). */
static inline char *send_queue_reserve(struct send_queue *q, struct http_context *ctx, size_t size)
{
    struct send_chunk *c = q->tail;
    if (c && c->cap - c->len >= size) return c->data + c->len;
    return send_queue_reserve_slow(q, ctx, size);
}

/* The same for a piece of a response, after which its handler waits. */
char *send_queue_reserve_piece(struct send_queue *q, struct http_context *ctx, size_t size);

/* The most bytes that such a piece should have now, its framing included. Where memory is short, it
 * takes what the last chunk has left, or else one small chunk. */
size_t send_queue_piece_max(const struct send_queue *q, const struct http_context *ctx);

/* Unsent bytes at which its handler waits then: where memory is short, all are sent before a chunk
 * is added. */
size_t send_queue_limit(const struct send_queue *q, const struct http_context *ctx);

static inline void send_queue_commit(struct send_queue *q, size_t n)
{
    q->tail->len += (uint32_t)n;
    q->bytes += n;
}

/* Takes back the last `n` bytes, unless some may have left. The queue owns none of them. */
bool send_queue_take_back(struct send_queue *q, size_t n);

/* Takes back as many of the last `n` bytes as no send in flight has; how many. */
size_t send_queue_take_back_most(struct send_queue *q, size_t n);

/* Copies `n` bytes, a piece of a response. 0, or -ENOMEM with the queue unchanged. */
int send_queue_append(struct send_queue *q, struct http_context *ctx, const void *data, size_t n);

/* Likewise, of a response that is added as a whole. */
int send_queue_append_whole(struct send_queue *q, struct http_context *ctx, const void *data,
                            size_t n);

/* Adds bytes by reference: they must stay valid until they are sent or the queue is cleared, and so
 * must the file that they are a mapping of, if `place` is not NULL. 0 or -ENOMEM. */
int send_queue_append_ref(struct send_queue *q, struct http_context *ctx, slice bytes,
                          const struct file_place *place);

/* Likewise, and the queue owns them: they are released once they are sent or the queue is cleared.
 * They count as a large response that is added as a whole (memory.h). 0; or -ENOMEM, with the queue
 * unchanged and nothing released. */
int send_queue_append_owned(struct send_queue *q, struct http_context *ctx, slice bytes,
                            struct body_owner owner);

/* Starts a gathered send; `fn` receives its completion and must call send_queue_sent. Requires
 * unsent bytes and no send in flight. */
void send_queue_send(struct send_queue *q, struct io *io, struct io_sock *sock, io_fn *fn);

/* Whether a send is in flight, until its completion has been delivered. */
static inline bool send_queue_busy(const struct send_queue *q)
{
    return q->head && io_busy(&q->head->send.op);
}

void send_queue_sent_part(struct send_queue *q, size_t n);

/* Removes `n` sent bytes; whether none is left. */
static inline bool send_queue_sent(struct send_queue *q, size_t n)
{
    ASSERT(n <= q->bytes);
    q->bytes -= n;
    if (LIKELY(q->bytes == 0 && q->head == q->tail && !(q->pinned || q->mixed))) {
        slab_put(q->head->slab, q->head);
        q->head = q->tail = NULL;
        return true;
    }
    send_queue_sent_part(q, n);
    return q->bytes == 0;
}

/* Removes what is unsent from the first bytes of a file on, which no send in flight has; its size.
 */
size_t send_queue_drop_file(struct send_queue *q);

/* The bytes that a send which failed had sent before. */
size_t send_queue_progress(const struct send_queue *q);

/* Notes that a response ends here, after the bytes that were committed last. */
static inline void send_queue_end_response(struct send_queue *q)
{
    q->tail->responses++;
}

/* Undoes the last send_queue_end_response; that response has not been sent. */
static inline void send_queue_unend_response(struct send_queue *q)
{
    q->tail->responses--;
}

/* The number of these that end in unsent chunks: at most so many have not left completely. */
uint32_t send_queue_responses(const struct send_queue *q);

/* Keeps the chunk of the last send_queue_reserve in place until send_queue_unpin, while a file read
 * writes to it. */
static inline void send_queue_pin(struct send_queue *q)
{
    q->pinned = true;
}

void send_queue_unpin(struct send_queue *q);

/* Bytes of memory that clearing it frees: chunks, and bodies that it owns. */
size_t send_queue_memory(const struct send_queue *q);

/* Frees everything. Not while a send is in flight or a chunk is pinned. */
void send_queue_clear(struct send_queue *q);
