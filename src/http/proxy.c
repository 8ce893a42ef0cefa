#include "http/proxy.h"

#include "http/conn.h"
#include "http/h1.h"
#include "http/proxy_header.h"
#include "http/visitor.h"

#include <errno.h>
#include <stdlib.h>

/* A header that has not come whole: conn.exchange. */
struct partial {
    size_t len;
    char bytes[PROXY_HEADER_MAX];
};

static void forget(struct conn *c)
{
    free(c->exchange);
    c->exchange = NULL;
}

static void reject(struct conn *c)
{
    counter_add(&c->ctx->stats.bad_proxy, 1);
    conn_abort(c, -ECANCELED);
}

static void go_on(struct conn *c, const struct proxy_header *h)
{
    struct visitor *v = c->visitor;
    c->protocol = &h1_protocol;
    if (h->told) {
        v->addr = h->client;
        sock_peer_format(&v->addr, v->peer);
    }
    v->secure = h->secure;
    if (conn_admit(c)) c->protocol->input(c);
}

/* Puts what has come after what is kept. The bytes of it that belong to the header, or negative:
 * there is more to come, or it is none. */
static int add(struct conn *c, struct partial *p, struct proxy_header *out)
{
    size_t before = p->len, room = sizeof p->bytes - before;
    size_t n = c->unread.len < room ? c->unread.len : room;
    memcpy(p->bytes + before, c->unread.ptr, n);
    p->len += n;
    int used = proxy_header_read(slice_of(p->bytes, p->len), out);
    if (used < 0) return -EBADMSG;
    if (used > 0) return used - (int)before;
    return p->len < sizeof p->bytes ? -EAGAIN : -EBADMSG;
}

static int read_header(struct conn *c, struct proxy_header *out)
{
    struct partial *p = c->exchange;
    int used = p ? 0 : proxy_header_read(c->unread, out);
    if (used) return used < 0 ? -EBADMSG : used;
    if (!p) {
        p = c->exchange = malloc(sizeof *p);
        if (!p) return -ENOMEM;
        p->len = 0;
    }
    return add(c, p, out);
}

static void proxy_input(struct conn *c)
{
    struct proxy_header h;
    if (c->state != CONN_OPEN || c->close_after_response) return;
    if (c->unread.len) {
        int used = read_header(c, &h);
        if (used >= 0) {
            c->unread = slice_skip(c->unread, (size_t)used);
            forget(c);
            go_on(c, &h);
            return;
        }
        c->unread = (slice){0};
        if (used == -ENOMEM) conn_abort(c, used);
        if (used == -EBADMSG) reject(c);
    }
    if (!c->eof || c->state != CONN_OPEN) return;
    if (c->exchange)
        reject(c);
    else
        conn_begin_close(c, false); /* somebody looked whether the server is there */
}

static void proxy_timeout(struct conn *c)
{
    if (!c->ctx->draining) counter_add(&c->ctx->stats.timeouts[TIMEOUT_HEADER], 1);
    if (c->ctx->draining && !c->exchange)
        conn_close_idle(c);
    else
        conn_abort(c, -ECANCELED);
}

static uint64_t proxy_waiting_since(const struct conn *c)
{
    if (c->read_deadline == WHEEL_NEVER || c->ctx->draining) return WHEEL_NEVER;
    return c->read_deadline - c->ctx->limits->header_timeout;
}

static void proxy_retime(struct conn *c, const struct http_limits *from,
                         const struct http_limits *to)
{
    if (c->read_deadline != WHEEL_NEVER)
        c->read_deadline += to->header_timeout - from->header_timeout;
}

static const struct torc_req *no_request(const struct conn *c)
{
    (void)c;
    return NULL;
}

static size_t nothing_kept(const struct conn *c)
{
    (void)c;
    return 0;
}

static void proxy_drain(struct conn *c)
{
    uint64_t soon = conn_drain_until(c);
    if (c->read_deadline > soon) c->read_deadline = soon;
}

static void nothing_to_cancel(struct conn *c, int err)
{
    (void)c, (void)err;
}

static bool proxy_finish(struct conn *c)
{
    forget(c);
    return true;
}

static const struct protocol proxy_protocol = {
    .input = proxy_input,
    .timeout = proxy_timeout,
    .waiting_since = proxy_waiting_since,
    .retime = proxy_retime,
    .request = no_request,
    .head_kept = nothing_kept,
    .drain = proxy_drain,
    .cancel = nothing_to_cancel,
    .finish = proxy_finish,
};

void proxy_begin(struct conn *c)
{
    if (networks_have(&c->ctx->limits->proxies.trusted, &c->visitor->addr))
        c->protocol = &proxy_protocol;
    else
        reject(c);
}
