#include "http/http.h"

#include "base/probe.h"
#include "http/events.h"
#include "http/h1.h"
#include "http/h1_exchange.h"
#include "http/handler.h"
#include "http/memory.h"
#include "http/observe.h"
#include "http/off_core.h"
#include "http/proxy.h"
#include "http/tick.h"
#include "http/visitor.h"

#include <errno.h>

void http_open(struct http_context *ctx, struct io *io, const struct http_limits *limits,
               const struct router *router, unsigned index)
{
    *ctx = (struct http_context){.io = io, .limits = limits, .router = router, .index = index};
    ctx->exchange = &h1_exchange_ops;
    ctx->run = ctx->run_late = handler_run;
    ctx->on_sent = conn_on_sent;
    list_init(&ctx->open);
    shed_init(&ctx->shed, io->now);
    list_init(&ctx->queue);
    list_init(&ctx->error_calls);
    off_core_open(ctx);
    clients_init(&ctx->clients, limits->max_conns + HTTP_REFUSED_MAX);
    resolver_init(&ctx->resolver, io, NULL, resolve_system);
    fiber_pool_init(&ctx->fibers, limits->stack_size, limits->max_requests);
    slab_init(&ctx->conns, "connection", sizeof(struct conn), 0);
    slab_init(&ctx->exchanges, "request", sizeof(struct h1_exchange), 0);
    http_size_pools(ctx);
    /* The unsent output of a connection is bounded by write_buffer, or a response that is added as
     * a whole, so chunks are limited by memory rather than by a count. */
    slab_init(&ctx->small, "output", SEND_SMALL, UINT32_MAX);
    slab_init(&ctx->whole, "large output", SEND_LARGE, UINT32_MAX);
    slab_init(&ctx->pieces, "output in pieces", SEND_LARGE, UINT32_MAX);
    memory_open(ctx);
}

void http_accept(struct http_context *ctx, int fd)
{
    struct conn *c = conn_open(ctx, fd, &h1_protocol);
    if (!c) return;
    PROBE(accept, c, fd);
    if (ctx->recorder.records) event_of_conn(&ctx->recorder, EVENT_ACCEPTED, c);
    if (ctx->draining) conn_drain(c);
    bool visitors = http_limits_visitors(ctx->limits);
    c->limited = visitors || ctx->limits->shed;
    bool announced = ctx->limits->proxies.protocol;
    if (LIKELY(!(visitors || ctx->want_peer || announced))) return;
    c->visitor = visitor_begin(ctx, &c->sock);
    if (!c->visitor)
        conn_abort(c, -ENOMEM);
    else if (announced)
        proxy_begin(c);
    else
        conn_admit(c);
}

bool http_housekeeping(struct http_context *ctx)
{
    enum { SORT_MAX = 2048 }; /* per slab: the core serves nobody meanwhile */
    enum { KEEP = 4 << 20 };  /* bytes per slab; threads with a connection each are many */
    size_t keep = ctx->io->config.one_connection ? 0 : KEEP;
    struct slab *slabs[] = {&ctx->conns, &ctx->exchanges, &ctx->small,
                            &ctx->whole, &ctx->pieces,    &ctx->clients.slab};
    bool more = false;
    memory_enforce(ctx);
    http_watch(ctx);
    for (size_t i = 0; i < ARRAY_LEN(slabs); i++) more |= slab_trim(slabs[i], keep, SORT_MAX);
    return more || fiber_pool_trim(&ctx->fibers);
}

void http_each_request(const struct http_context *ctx,
                       void (*fn)(void *arg, const struct torc_req *rq, const char *peer),
                       void *arg)
{
    for (const struct list *l = ctx->open.next; l != &ctx->open; l = l->next) {
        const struct conn *c = container_of((struct list *)(uintptr_t)l, struct conn, link);
        const struct torc_req *rq = c->protocol->request(c);
        if (rq) fn(arg, rq, visitor_client(ctx, c->visitor, &rq->head));
    }
    for (uint32_t i = 0; i < ctx->n_ticks; i++)
        if (ctx->ticks[i].errand.running) fn(arg, &ctx->ticks[i].errand.rq, NULL);
}

void http_drain(struct http_context *ctx)
{
    ctx->draining = true;
    ctx->first_until = ctx->io->now + http_first_wait(ctx->limits);
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
    wheel_clear(&ctx->io->wheel, &ctx->hold);
    resolver_end(&ctx->resolver);
    struct exit_hook *next;
    for (struct exit_hook *e = ctx->exit_hooks; e; e = next) {
        next = e->next; /* `e` may free itself */
        e->fn(e);
    }
    warnings_end(&ctx->warnings);
    fiber_pool_drain(&ctx->fibers);
    clients_end(&ctx->clients);
    slab_drain(&ctx->conns);
    slab_drain(&ctx->exchanges);
    slab_drain(&ctx->small);
    slab_drain(&ctx->whole);
    slab_drain(&ctx->pieces);
}
