#include "http/send_queue.h"

#include <errno.h>
#include <string.h>

static inline struct send_chunk *add_chunk(struct send_queue *q, struct slab *slab, int cap)
{
    struct send_chunk *c = slab_get(slab);
    if (!c) return NULL;
    c->next = NULL;
    c->slab = slab;
    c->bytes = c->data;
    c->len = c->sent = c->responses = 0;
    c->cap = (uint32_t)cap;
    c->send.op.kind = IO_NONE;
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
    return c;
}

static struct send_chunk *add_small(struct send_queue *q, struct http_context *ctx)
{
    return add_chunk(q, &ctx->small, SEND_SMALL_CAP);
}

/* Of a response that is added as a whole. */
__attribute__((noinline)) static struct send_chunk *add_whole(struct send_queue *q,
                                                              struct http_context *ctx)
{
    struct send_chunk *c = add_chunk(q, &ctx->whole, SEND_LARGE_CAP);
    if (http_exceeds(ctx)) http_hold(ctx);
    return c;
}

static struct send_chunk *add_piece(struct send_queue *q, struct http_context *ctx)
{
    return add_chunk(q, &ctx->pieces, SEND_LARGE_CAP);
}

static bool is_small(size_t size)
{
    return size <= (size_t)SEND_SMALL_CAP;
}

char *send_queue_reserve_slow(struct send_queue *q, struct http_context *ctx, size_t size)
{
    ASSERT(size <= (size_t)SEND_LARGE_CAP);
    struct send_chunk *c = LIKELY(is_small(size)) ? add_small(q, ctx) : add_whole(q, ctx);
    return c ? c->data : NULL;
}

/* What its last chunk has left, unless that is hardly worth a send. */
static size_t useful_room(const struct send_queue *q)
{
    enum { USEFUL = 1024 };
    size_t room = q->tail ? q->tail->cap - q->tail->len : 0;
    return room >= USEFUL ? room : 0;
}

size_t send_queue_piece_max(const struct send_queue *q, const struct http_context *ctx)
{
    if (LIKELY(!http_is_short(ctx))) return SEND_LARGE_CAP;
    size_t room = useful_room(q);
    return room ? room : SEND_SMALL_CAP;
}

size_t send_queue_limit(const struct send_queue *q, const struct http_context *ctx)
{
    size_t limit = ctx->limits->write_buffer;
    if (LIKELY(!http_is_short(ctx))) return limit;
    if (!useful_room(q)) return 1;
    return limit < SEND_SMALL_CAP ? limit : SEND_SMALL_CAP;
}

char *send_queue_reserve_piece(struct send_queue *q, struct http_context *ctx, size_t size)
{
    struct send_chunk *c = q->tail;
    ASSERT(size <= (size_t)SEND_LARGE_CAP);
    if (!c || c->cap - c->len < size) c = is_small(size) ? add_small(q, ctx) : add_piece(q, ctx);
    return c ? c->data + c->len : NULL;
}

/* ---- bytes by reference ---- */

/* A send finishes whole, and its result is an int. */
enum { OWNED_PIECE = INT32_MAX / IO_SEND_IOV };

/* In the unused room of their chunk. */
struct outside {
    struct http_context *ctx; /* NULL but in the last chunk of a body that the queue owns */
    struct body_owner owner;
    size_t size;             /* of the whole body */
    struct file_place place; /* fd -1: they are not of a file */
};

static inline bool is_outside(const struct send_chunk *c)
{
    return c->bytes != c->data;
}

static inline struct outside *outside_of(struct send_chunk *c)
{
    return (struct outside *)(void *)c->data;
}

static inline bool is_of_file(struct send_chunk *c)
{
    return is_outside(c) && outside_of(c)->place.fd >= 0;
}

static struct send_chunk *add_outside(struct send_queue *q, struct http_context *ctx,
                                      const char *bytes, size_t n)
{
    struct send_chunk *c = add_small(q, ctx);
    if (!c) return NULL;
    c->bytes = bytes;
    c->cap = (uint32_t)n; /* nothing is appended to them */
    *outside_of(c) = (struct outside){.place.fd = -1};
    send_queue_commit(q, n);
    return c;
}

static void free_chunk(struct send_chunk *c)
{
    struct outside o = is_outside(c) ? *outside_of(c) : (struct outside){0};
    slab_put(c->slab, c);
    if (!o.ctx) return;
    o.ctx->owned -= o.size;
    body_release(o.owner);
}

/* ---- adding ---- */

/* What the queue was before something was added. */
struct mark {
    struct send_chunk *tail;
    uint32_t len;
    size_t bytes;
};

static inline struct mark mark_of(const struct send_queue *q)
{
    return (struct mark){q->tail, q->tail ? q->tail->len : 0, q->bytes};
}

/* So that either all or nothing was added. */
static void undo(struct send_queue *q, const struct mark *to)
{
    struct send_chunk *extra = to->tail ? to->tail->next : q->head;
    while (extra) {
        struct send_chunk *next = extra->next;
        slab_put(extra->slab, extra);
        extra = next;
    }
    q->tail = to->tail;
    q->bytes = to->bytes;
    if (q->tail) {
        q->tail->next = NULL;
        q->tail->len = to->len;
    } else {
        q->head = NULL;
    }
}

typedef struct send_chunk *add_fn(struct send_queue *q, struct http_context *ctx);

/* `add` makes room for what does not fit a small chunk. */
static int append(struct send_queue *q, struct http_context *ctx, add_fn *add, const void *data,
                  size_t n)
{
    struct mark before = mark_of(q);
    for (const char *at = data; n > 0;) {
        struct send_chunk *c = q->tail;
        if ((!c || c->len == c->cap) && !(c = (is_small(n) ? add_small : add)(q, ctx))) {
            undo(q, &before);
            return -ENOMEM;
        }
        size_t part = c->cap - c->len < n ? c->cap - c->len : n;
        memcpy(c->data + c->len, at, part);
        send_queue_commit(q, part);
        at += part;
        n -= part;
    }
    return 0;
}

int send_queue_append(struct send_queue *q, struct http_context *ctx, const void *data, size_t n)
{
    return append(q, ctx, add_piece, data, n);
}

int send_queue_append_whole(struct send_queue *q, struct http_context *ctx, const void *data,
                            size_t n)
{
    return append(q, ctx, add_whole, data, n);
}

int send_queue_append_ref(struct send_queue *q, struct http_context *ctx, slice bytes,
                          const struct file_place *place)
{
    struct send_chunk *c = add_outside(q, ctx, bytes.ptr, bytes.len);
    if (!c) return -ENOMEM;
    if (place) outside_of(c)->place = *place;
    q->mixed |= place != NULL;
    return 0;
}

int send_queue_append_owned(struct send_queue *q, struct http_context *ctx, slice bytes,
                            struct body_owner owner)
{
    struct mark before = mark_of(q);
    size_t size = bytes.len;
    while (bytes.len) {
        size_t part = bytes.len < OWNED_PIECE ? bytes.len : OWNED_PIECE;
        if (!add_outside(q, ctx, bytes.ptr, part)) {
            undo(q, &before);
            return -ENOMEM;
        }
        bytes = slice_skip(bytes, part);
    }
    struct outside *last = outside_of(q->tail);
    last->ctx = ctx;
    last->owner = owner;
    last->size = size;
    ctx->owned += size;
    q->mixed = true;
    if (http_exceeds(ctx)) http_hold(ctx);
    return 0;
}

/* ---- sending ---- */

static inline void add_to(struct io_send *s, const struct send_chunk *c)
{
    s->iov[s->count++] = (struct iovec){(char *)(uintptr_t)c->bytes + c->sent, c->len - c->sent};
}

/* Adds the unsent bytes of chunks. */
static inline void gather(struct send_queue *q, struct io_send *s)
{
    s->count = 0;
    for (const struct send_chunk *c = q->head; c && s->count < IO_SEND_IOV; c = c->next)
        if (c->len > c->sent) add_to(s, c);
}

/* Likewise, up to the second chunk that is of a file. False if there is not even a first. */
__attribute__((noinline)) static bool send_with_file(struct send_queue *q, struct io *io,
                                                     struct io_send *s)
{
    bool of_file = false;
    s->count = 0;
    for (struct send_chunk *c = q->head; c && s->count < IO_SEND_IOV; c = c->next) {
        if (c->len == c->sent) continue;
        if (is_of_file(c)) {
            if (of_file) break;
            of_file = true;
            s->file.fd = outside_of(c)->place.fd;
            s->file.offset = outside_of(c)->place.offset + c->sent;
            s->file.at = s->count;
        }
        add_to(s, c);
    }
    if (of_file) io_send_file_start(io, s);
    return of_file;
}

void send_queue_send(struct send_queue *q, struct io *io, struct io_sock *sock, io_fn *fn)
{
    struct io_send *s = &q->head->send;
    s->op.fn = fn;
    s->sock = sock;
    if (UNLIKELY(q->mixed) && send_with_file(q, io, s)) return;
    gather(q, s);
    io_send_start(io, s);
}

/* Frees fully sent chunks at the head. */
static void trim(struct send_queue *q)
{
    for (struct send_chunk *c; (c = q->head) && c->sent == c->len;) {
        if (c == q->tail && q->pinned) return;
        q->head = c->next;
        if (!q->head) q->tail = NULL;
        free_chunk(c);
    }
    if (!q->head) q->mixed = false;
}

static struct send_chunk *last_unsent(const struct send_queue *q)
{
    struct send_chunk *last = NULL;
    for (struct send_chunk *c = q->head; c; c = c->next)
        if (c->len > c->sent) last = c;
    ASSERT(last);
    return last;
}

/* The bytes that the send in flight was given. An engine moves the start of each iovec forward; its
 * end stays. */
static size_t in_flight(const struct send_queue *q)
{
    size_t n = 0;
    if (!send_queue_busy(q)) return 0;
    const struct io_send *s = &q->head->send;
    const struct send_chunk *c = q->head;
    for (unsigned i = 0; i < s->count; c = c->next) {
        if (c->len == c->sent) continue;
        const char *end = (const char *)s->iov[i].iov_base + s->iov[i].iov_len;
        n += (size_t)(end - (c->bytes + c->sent));
        i++;
    }
    return n;
}

/* Behind them may be a chunk with room that nothing was written to. */
bool send_queue_take_back(struct send_queue *q, size_t n)
{
    if (q->bytes - in_flight(q) < n) return false;
    q->bytes -= n;
    while (n > 0) {
        struct send_chunk *last = last_unsent(q);
        uint32_t unsent = last->len - last->sent, part = n < unsent ? (uint32_t)n : unsent;
        last->len -= part;
        if (is_outside(last)) last->cap = last->len;
        n -= part;
    }
    trim(q);
    return true;
}

size_t send_queue_take_back_most(struct send_queue *q, size_t n)
{
    size_t most = q->bytes - in_flight(q);
    if (n > most) n = most;
    send_queue_take_back(q, n);
    return n;
}

void send_queue_sent_part(struct send_queue *q, size_t n)
{
    for (struct send_chunk *c = q->head; n > 0; c = c->next) {
        size_t part = c->len - c->sent < n ? c->len - c->sent : n;
        c->sent += (uint32_t)part;
        n -= part;
    }
    trim(q);
}

size_t send_queue_drop_file(struct send_queue *q)
{
    size_t n = 0;
    struct send_chunk *c = q->head;
    while (c && !(is_of_file(c) && c->len > c->sent)) c = c->next;
    for (; c; c = c->next) {
        n += c->len - c->sent;
        c->cap = c->len = c->sent;
    }
    q->bytes -= n;
    trim(q);
    return n;
}

size_t send_queue_progress(const struct send_queue *q)
{
    const struct io_send *s = &q->head->send;
    const struct send_chunk *c = q->head;
    size_t n = 0;
    for (unsigned i = 0; i < s->count && i <= s->at; c = c->next) {
        if (c->len == c->sent) continue;
        const char *from = c->bytes + c->sent, *at = s->iov[i].iov_base;
        n += (size_t)(at - from) + (i < s->at ? s->iov[i].iov_len : 0);
        i++;
    }
    return n;
}

uint32_t send_queue_responses(const struct send_queue *q)
{
    uint32_t n = 0;
    for (const struct send_chunk *c = q->head; c; c = c->next)
        if (c->len > c->sent) n += c->responses;
    return n;
}

size_t send_queue_memory(const struct send_queue *q)
{
    size_t n = 0;
    for (struct send_chunk *c = q->head; c; c = c->next) {
        n += c->slab->size;
        if (is_outside(c) && outside_of(c)->ctx) n += outside_of(c)->size;
    }
    return n;
}

void send_queue_unpin(struct send_queue *q)
{
    q->pinned = false;
    if (q->head && !io_busy(&q->head->send.op)) trim(q);
}

void send_queue_clear(struct send_queue *q)
{
    ASSERT(!q->pinned);
    for (struct send_chunk *c = q->head, *next; c; c = next) {
        next = c->next;
        free_chunk(c);
    }
    *q = (struct send_queue){0};
}
