#include "http/send_queue.h"

#include <errno.h>
#include <string.h>

static struct send_chunk *add_chunk(struct send_queue *o, struct http_context *ctx, size_t size)
{
    struct slab *slab = size <= (size_t)SEND_SMALL_CAP ? &ctx->small : &ctx->large;
    struct send_chunk *c = slab_get(slab);
    if (!c) return NULL;
    c->next = NULL;
    c->slab = slab;
    c->bytes = c->data;
    c->len = c->sent = 0;
    c->cap = (uint32_t)(slab == &ctx->small ? SEND_SMALL_CAP : SEND_LARGE_CAP);
    c->send.op.kind = IO_NONE;
    if (o->tail)
        o->tail->next = c;
    else
        o->head = c;
    o->tail = c;
    return c;
}

char *send_queue_reserve_slow(struct send_queue *o, struct http_context *ctx, size_t size)
{
    ASSERT(size <= (size_t)SEND_LARGE_CAP);
    struct send_chunk *c = add_chunk(o, ctx, size);
    return c ? c->data : NULL;
}

int send_queue_append(struct send_queue *o, struct http_context *ctx, const void *data, size_t n)
{
    struct send_chunk *tail = o->tail;
    uint32_t len = tail ? tail->len : 0;
    size_t bytes = o->bytes;
    for (const char *at = data; n > 0;) {
        struct send_chunk *c = o->tail;
        if ((!c || c->len == c->cap) && !(c = add_chunk(o, ctx, n))) {
            /* Take back what was added, so that the caller sees all or nothing. */
            struct send_chunk *extra = tail ? tail->next : o->head;
            while (extra) {
                struct send_chunk *next = extra->next;
                slab_put(extra->slab, extra);
                extra = next;
            }
            o->tail = tail;
            o->bytes = bytes;
            if (tail) {
                tail->next = NULL;
                tail->len = len;
            } else {
                o->head = NULL;
            }
            return -ENOMEM;
        }
        size_t part = c->cap - c->len < n ? c->cap - c->len : n;
        memcpy(c->data + c->len, at, part);
        send_queue_commit(o, part);
        at += part;
        n -= part;
    }
    return 0;
}

int send_queue_append_ref(struct send_queue *o, struct http_context *ctx, const char *bytes,
                          size_t n)
{
    struct send_chunk *c = add_chunk(o, ctx, 0);
    if (!c) return -ENOMEM;
    c->bytes = bytes;
    c->cap = 0; /* nothing is written behind them */
    send_queue_commit(o, n);
    return 0;
}

void send_queue_send(struct send_queue *o, struct io *io, struct io_sock *sock, io_fn *fn)
{
    struct io_send *s = &o->head->send;
    s->op.fn = fn;
    s->sock = sock;
    s->count = 0;
    for (struct send_chunk *c = o->head; c && s->count < IO_SEND_IOV; c = c->next)
        if (c->len > c->sent)
            s->iov[s->count++] =
                (struct iovec){(char *)(uintptr_t)c->bytes + c->sent, c->len - c->sent};
    io_send_start(io, s);
}

/* Frees the chunks at the head that have been sent whole. */
static void trim(struct send_queue *o)
{
    for (struct send_chunk *c; (c = o->head) && c->sent == c->len;) {
        if (c == o->tail && o->pinned) return;
        o->head = c->next;
        if (!o->head) o->tail = NULL;
        slab_put(c->slab, c);
    }
}

void send_queue_sent(struct send_queue *o, size_t n)
{
    ASSERT(n <= o->bytes);
    o->bytes -= n;
    if (LIKELY(o->bytes == 0 && o->head == o->tail && !o->pinned)) {
        slab_put(o->head->slab, o->head);
        o->head = o->tail = NULL;
        return;
    }
    for (struct send_chunk *c = o->head; n > 0; c = c->next) {
        size_t part = c->len - c->sent < n ? c->len - c->sent : n;
        c->sent += (uint32_t)part;
        n -= part;
    }
    trim(o);
}

void send_queue_unpin(struct send_queue *o)
{
    o->pinned = false;
    if (o->head && !io_busy(&o->head->send.op)) trim(o);
}

void send_queue_clear(struct send_queue *o)
{
    ASSERT(!o->pinned);
    for (struct send_chunk *c = o->head, *next; c; c = next) {
        next = c->next;
        slab_put(c->slab, c);
    }
    *o = (struct send_queue){0};
}
