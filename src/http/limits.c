/* New limits for a core that serves. */

#include "http/conn.h"
#include "http/http.h"

/* Some connections close while as many begin to. A connection has at most one request. */
void http_size_pools(struct http_context *ctx)
{
    uint32_t conns = ctx->limits->max_conns;
    ctx->probe_pause = conn_probe_pause(ctx->limits);
    slab_raise(&ctx->conns, conns + 2 * HTTP_REFUSED_MAX);
    slab_raise(&ctx->exchanges, conns);
    slab_raise(&ctx->clients.slab, conns + HTTP_REFUSED_MAX + CLIENTS_KEPT + 1);
    ctx->fibers.max = ctx->limits->max_requests;
}

static bool times_alike(const struct http_limits *a, const struct http_limits *b)
{
    return a->header_timeout == b->header_timeout && a->idle_timeout == b->idle_timeout &&
           a->body_timeout == b->body_timeout && a->write_timeout == b->write_timeout &&
           a->queue_timeout == b->queue_timeout && conn_probe_pause(a) == conn_probe_pause(b);
}

/* What waits goes on waiting, from when it began, with the new timeouts. A drain has given what it
 * waits to read a time of its own. */
static void retime(struct conn *c, const struct http_limits *from, const struct http_limits *to)
{
    if (c->state != CONN_OPEN) return;
    if (!c->ctx->draining) c->protocol->retime(c, from, to);
    if (c->write_deadline != WHEEL_NEVER)
        c->write_deadline += conn_probe_pause(to) - conn_probe_pause(from);
    conn_schedule(c);
}

void http_limits_changed(struct http_context *ctx, const struct http_limits *before)
{
    const struct http_limits *now = ctx->limits;
    http_size_pools(ctx);
    if (now->rate.window != before->rate.window)
        clients_retime(&ctx->clients, &now->rate, ctx->io->now);
    if (times_alike(before, now)) return;
    for (struct list *l = ctx->open.next; l != &ctx->open; l = l->next)
        retime(container_of(l, struct conn, link), before, now);
}
