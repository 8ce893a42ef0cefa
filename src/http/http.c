#include "http/http.h"

#include "http/h1.h"
#include "http/h1_exchange.h"
#include "http/tick.h"

#include <errno.h>

void http_open(struct http_context *ctx, struct io *io, const struct http_limits *limits,
               const struct router *router, unsigned index)
{
    *ctx = (struct http_context){.io = io, .limits = limits, .router = router, .index = index};
    list_init(&ctx->open);
    resolver_init(&ctx->resolver, io, NULL, resolve_system);
    fiber_pool_init(&ctx->fibers, limits->stack_size, limits->max_requests);
    slab_init(&ctx->conns, "connection", sizeof(struct conn),
              limits->max_conns + 2 * HTTP_REFUSED_MAX); /* some close, as many begin to */
    /* A connection has at most one request. */
    slab_init(&ctx->exchanges, "request", sizeof(struct h1_exchange), limits->max_conns);
    /* The unsent output of a connection is bounded by write_buffer plus what one turn adds, so
     * chunks are limited by memory rather than by a count. */
    slab_init(&ctx->small, "output", SEND_SMALL, UINT32_MAX);
    slab_init(&ctx->large, "file output", SEND_LARGE, UINT32_MAX);
}

void http_accept(struct http_context *ctx, int fd)
{
    conn_open(ctx, fd, &h1_protocol);
}

/* A send that has been under way for so long is stuck: its client does not read. */
#define STUCK_NS NS_PER_S

/* `freed`: bytes of *used that this gives back. */
static void abort_for_memory(struct conn *c, size_t *used, size_t freed)
{
    *used -= freed < *used ? freed : *used;
    counter_add(&c->ctx->stats.over_memory, 1);
    conn_abort(c, -ENOMEM);
}

/* Aborts connections whose client does not read, until the rest is within the limit. */
static void enforce_unsent(struct http_context *ctx, size_t *used)
{
    uint64_t now = ctx->io->now, timeout = ctx->limits->write_timeout;
    for (struct list *l = ctx->open.next, *next; l != &ctx->open; l = next) {
        struct conn *c = container_of(l, struct conn, link);
        next = l->next;
        if (*used <= ctx->limits->buffer_memory) return;
        if (!c->sock.sending || c->write_deadline == WHEEL_NEVER) continue;
        if (c->write_deadline > now + timeout - STUCK_NS) continue;
        abort_for_memory(c, used, c->unsent.bytes);
    }
}

/* Whether the input of the connection is as it was STUCK_NS ago: its handler waits for something
 * else. To be asked now and then. */
static bool is_unread(const struct conn *c)
{
    struct spill *s = c->spill;
    uint64_t now = c->ctx->io->now;
    if (s->seen == c->unread.ptr) return now - s->seen_at >= STUCK_NS;
    s->seen = c->unread.ptr;
    s->seen_at = now;
    return false;
}

/* Likewise those whose input nobody reads, if they have more than an equal share: what the others
 * have is within the limit. */
static void enforce_unread(struct http_context *ctx, size_t *used)
{
    size_t limit = ctx->limits->buffer_memory, share = limit / (ctx->n_open + 1);
    for (struct list *l = ctx->open.next, *next; l != &ctx->open && *used > limit; l = next) {
        struct conn *c = container_of(l, struct conn, link);
        next = l->next;
        if (c->state != CONN_OPEN || !c->unread.len || spill_cap(c->spill) <= share) continue;
        if (is_unread(c)) abort_for_memory(c, used, spill_cap(c->spill));
    }
}

static void enforce_memory(struct http_context *ctx)
{
    size_t used = http_buffered(ctx);
    enforce_unsent(ctx, &used);
    enforce_unread(ctx, &used);
}

bool http_housekeeping(struct http_context *ctx)
{
    enum { SORT_MAX = 2048 }; /* per slab: the core serves nobody meanwhile */
    struct slab *slabs[] = {&ctx->conns, &ctx->exchanges, &ctx->small, &ctx->large};
    bool more = false;
    if (http_buffered(ctx) > ctx->limits->buffer_memory) enforce_memory(ctx);
    for (size_t i = 0; i < ARRAY_LEN(slabs); i++) more |= slab_trim(slabs[i], SORT_MAX);
    return more || fiber_pool_trim(&ctx->fibers);
}

void http_each_request(const struct http_context *ctx,
                       void (*fn)(void *arg, const struct torc_req *rq, const char *peer),
                       void *arg)
{
    for (const struct list *l = ctx->open.next; l != &ctx->open; l = l->next) {
        const struct conn *c = container_of((struct list *)(uintptr_t)l, struct conn, link);
        const struct torc_req *rq = c->protocol->request(c);
        if (rq) fn(arg, rq, c->peer);
    }
    for (uint32_t i = 0; i < ctx->n_ticks; i++)
        if (ctx->ticks[i].running) fn(arg, &ctx->ticks[i].rq, NULL);
}

void http_drain(struct http_context *ctx)
{
    ctx->draining = true;
    for (struct list *l = ctx->open.next; l != &ctx->open; l = l->next)
        conn_drain(container_of(l, struct conn, link));
    ticks_drain(ctx);
}

void http_abort(struct http_context *ctx)
{
    for (struct list *l = ctx->open.next; l != &ctx->open; l = l->next)
        conn_stop(container_of(l, struct conn, link));
    ticks_abort(ctx);
}

bool http_stop(struct http_context *ctx)
{
    bool stopped = true;
    for (struct exit_hook *e = ctx->exit_hooks; e; e = e->next)
        if (e->stop && !e->stop(e)) stopped = false;
    return stopped;
}

void http_close(struct http_context *ctx)
{
    ASSERT(ctx->n_open == 0 && list_empty(&ctx->open));
    resolver_end(&ctx->resolver);
    struct exit_hook *next;
    for (struct exit_hook *e = ctx->exit_hooks; e; e = next) {
        next = e->next; /* `e` may free itself */
        e->fn(e);
    }
    fiber_pool_drain(&ctx->fibers);
    slab_drain(&ctx->conns);
    slab_drain(&ctx->exchanges);
    slab_drain(&ctx->small);
    slab_drain(&ctx->large);
}
