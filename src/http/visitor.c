#include "http/visitor.h"

#include "http/conn.h"

#include <stdlib.h>

bool http_limits_clients(const struct http_limits *l)
{
    return l->conns_per_client || l->rate.interval;
}

void http_limits_exempt(struct http_limits *l)
{
    l->conns_per_client = l->connection_requests = 0;
    l->connection_age = l->rate.interval = 0;
    l->shed = false;
}

bool http_limits_visitors(const struct http_limits *l)
{
    return http_limits_clients(l) || l->connection_age || l->connection_requests;
}

struct visitor *visitor_begin(struct http_context *ctx, const struct io_sock *sock)
{
    const struct http_limits *l = ctx->limits;
    struct sock_addr addr;
    struct visitor *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->came_at = ctx->io->now;
    v->limited = http_limits_visitors(l);
    bool counts = http_limits_clients(l);
    if (!(ctx->want_peer || counts) || !io_peer(ctx->io, sock, &addr)) return v;
    sock_peer_format(&addr, v->peer);
    if (!counts || addr.sa.sa_family == AF_UNIX) return v;
    v->client = clients_enter(&ctx->clients, client_key(&addr), l->conns_per_client, &v->excess);
    if (v->client) return v;
    free(v);
    return NULL;
}

struct visitor *visitor_of(struct conn *c)
{
    struct sock_addr addr;
    if (c->visitor) {
        if (c->visitor->peer[0]) return c->visitor;
    } else if (!(c->visitor = calloc(1, sizeof *c->visitor))) {
        return NULL;
    }
    if (io_peer(c->ctx->io, &c->sock, &addr)) sock_peer_format(&addr, c->visitor->peer);
    return c->visitor;
}

void visitor_end(struct http_context *ctx, struct visitor *v)
{
    if (v->client) clients_leave(&ctx->clients, v->client, v->excess, ctx->io->now);
    free(v);
}

uint64_t visitor_request(struct http_context *ctx, struct visitor *v, bool *last)
{
    const struct http_limits *l = ctx->limits;
    if (!v->limited) return 0;
    bool aged = l->connection_age && ctx->io->now - v->came_at >= l->connection_age;
    bool used_up = ++v->requests == l->connection_requests;
    if (aged || used_up)
        counter_add(aged ? &ctx->stats.retired_age : &ctx->stats.retired_requests, 1);
    *last = aged || used_up;
    uint64_t wait = v->client ? client_take(v->client, &l->rate, ctx->io->now) : 0;
    if (wait) counter_add(&ctx->stats.throttled, 1);
    return wait;
}
