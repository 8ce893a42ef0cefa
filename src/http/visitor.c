#include "http/visitor.h"

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
    l->proxies = (struct proxies){0};
}

bool http_limits_visitors(const struct http_limits *l)
{
    return http_limits_clients(l) || l->connection_age || l->connection_requests;
}

/* ---- a connection ---- */

static bool is_trusted(const struct http_context *ctx, const struct visitor *v)
{
    return v->peer[0] && networks_have(&ctx->limits->proxies.trusted, &v->addr);
}

static void learn_peer(struct http_context *ctx, const struct io_sock *sock, struct visitor *v)
{
    if (io_peer(ctx->io, sock, &v->addr)) sock_peer_format(&v->addr, v->peer);
}

struct visitor *visitor_begin(struct http_context *ctx, const struct io_sock *sock)
{
    const struct http_limits *l = ctx->limits;
    struct visitor *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->came_at = ctx->io->now;
    v->limited = http_limits_visitors(l);
    if (ctx->want_peer || http_limits_clients(l) || l->proxies.protocol) learn_peer(ctx, sock, v);
    return v;
}

bool visitor_enter(struct http_context *ctx, struct visitor *v)
{
    const struct http_limits *l = ctx->limits;
    if (!http_limits_clients(l) || !v->peer[0] || v->addr.sa.sa_family == AF_UNIX) return true;
    if (is_trusted(ctx, v)) return true; /* its connections are of many clients */
    v->client = clients_enter(&ctx->clients, client_key(&v->addr), l->conns_per_client, &v->excess);
    return v->client;
}

struct visitor *visitor_of(struct http_context *ctx, const struct io_sock *sock,
                           struct visitor **at)
{
    if (!*at) *at = calloc(1, sizeof **at);
    if (*at && !(*at)->peer[0]) learn_peer(ctx, sock, *at);
    return *at;
}

void visitor_end(struct http_context *ctx, struct visitor *v)
{
    if (v->client) clients_leave(&ctx->clients, v->client, v->excess, ctx->io->now);
    free(v);
}

/* ---- a request ---- */

static void read_forwarded(const struct http_context *ctx, const struct visitor *v,
                           const struct head *h, struct forwarded *out)
{
    if (is_trusted(ctx, v))
        forwarded_read(h, &ctx->limits->proxies, out);
    else
        *out = (struct forwarded){0};
}

const char *visitor_client(const struct http_context *ctx, struct visitor *v, const struct head *h)
{
    struct forwarded f;
    if (!v || !v->peer[0]) return NULL;
    read_forwarded(ctx, v, h, &f);
    if (!f.told) return v->peer;
    sock_peer_format(&f.client, v->forwarded);
    return v->forwarded;
}

bool visitor_is_secure(const struct http_context *ctx, const struct visitor *v,
                       const struct head *h)
{
    struct forwarded f;
    if (!is_trusted(ctx, v)) return v->secure;
    read_forwarded(ctx, v, h, &f);
    return f.secure || v->secure;
}

/* The rate is that of whom the request comes from, who has no connection here. Without memory for
 * that it passes. */
static uint64_t take_apart(struct http_context *ctx, const struct visitor *v, const struct head *h)
{
    const struct http_limits *l = ctx->limits;
    struct forwarded f;
    bool excess;
    if (!l->rate.interval || !v->peer[0]) return 0;
    read_forwarded(ctx, v, h, &f);
    const struct sock_addr *from = f.told ? &f.client : &v->addr;
    if (from->sa.sa_family == AF_UNIX) return 0;
    struct client *c = clients_enter(&ctx->clients, client_key(from), 0, &excess);
    if (!c) return 0;
    uint64_t wait = client_take(c, &l->rate, ctx->io->now);
    clients_leave(&ctx->clients, c, false, ctx->io->now);
    return wait;
}

uint64_t visitor_request(struct http_context *ctx, struct visitor *v, const struct head *h,
                         bool *last)
{
    const struct http_limits *l = ctx->limits;
    if (!v->limited) return 0;
    bool aged = l->connection_age && ctx->io->now - v->came_at >= l->connection_age;
    bool used_up = ++v->requests >= l->connection_requests && l->connection_requests;
    if (aged || used_up)
        counter_add(aged ? &ctx->stats.retired_age : &ctx->stats.retired_requests, 1);
    *last = aged || used_up;
    uint64_t wait =
        v->client ? client_take(v->client, &l->rate, ctx->io->now) : take_apart(ctx, v, h);
    if (wait) counter_add(&ctx->stats.throttled, 1);
    return wait;
}
