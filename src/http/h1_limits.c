/* What limits a connection: those of its visitor, for each request, and the silence of its client.
 */

#include "base/decimal.h"
#include "http/h1_exchange.h"
#include "http/response.h"
#include "http/visitor.h"

/* ---- memory ---- */

void h1_keep_head(struct h1_exchange *x)
{
    uint32_t now = (uint32_t)x->rq.arena.used; /* at most some times --max-header-bytes */
    x->conn->ctx->spilled += now - x->head_kept;
    x->head_kept = now;
}

void h1_release_head(struct h1_exchange *x)
{
    if (!x->begun) return;
    x->conn->ctx->spilled -= x->head_kept;
    x->head_kept = 0;
}

size_t h1_head_kept(const struct conn *c)
{
    const struct h1_exchange *x = c->exchange;
    bool incomplete = x && x->state == H1_HEAD && x->begun;
    return incomplete && c->ctx->io->now - x->rq.arrived >= NS_PER_S ? x->head_kept : 0;
}

/* ---- visitors ---- */

/* Whole seconds (RFC 9110, 10.2.3), of which there is at least one. */
static uint64_t seconds_of(uint64_t ns)
{
    return ns / NS_PER_S + (ns % NS_PER_S > 0);
}

/* What a request is answered with instead of being served. */
struct refusal {
    int status;
    slice line; /* of the status */
    slice rest; /* the end of the head, and the body */
};

static const struct refusal too_many = {429, SLICE("HTTP/1.1 429 Too Many Requests\r\n"),
                                        SLICE("\r\n\r\n429 Too Many Requests\n")};
static const struct refusal overloaded = {503, SLICE("HTTP/1.1 503 Service Unavailable\r\n"),
                                          SLICE("\r\n\r\n503 Service Unavailable\n")};

/* The response that response_error gives as well, at a fraction of its cost, for the requests that
 * clients in a hurry make. */
static bool refuse_fast(struct h1_exchange *x, const struct refusal *r, uint64_t seconds)
{
    enum { ROOM = 256 };
    struct torc_req *rq = &x->rq;
    struct conn *c = x->conn;
    if (rq->close_after_response || c->ctx->draining || c->ctx->error_handlers) return false;
    if (c->ctx->server_line.ptr) return false;
    if (rq->head.method == HTTP_HEAD || rq->head.minor == 0) return false;
    size_t body = r->rest.len - 4;
    char *start = send_queue_reserve(&c->unsent, c->ctx, ROOM), *p = start;
    if (!start) return false;
    if (!http_head_is_current(c->ctx)) http_refresh_date(c->ctx);
#define PUT(literal) p = slice_copy(p, literal, sizeof(literal) - 1)
    p = slice_copy(p, r->line.ptr, r->line.len);
    p = slice_copy(p, c->ctx->head + HEAD_OK_LEN, HEAD_DATE_LEN);
    PUT("Content-Type: text/plain\r\nContent-Length: ");
    p = decimal_put(p, body);
    PUT("\r\nRetry-After: ");
    p = decimal_put(p, seconds);
#undef PUT
    p = slice_copy(p, r->rest.ptr, r->rest.len);
    send_queue_commit(&c->unsent, (size_t)(p - start));
    send_queue_end_response(&c->unsent);
    rq->response.status = r->status;
    rq->response.written = body;
    rq->response.ended = true;
    conn_schedule(c);
    return true;
}

/* Nobody knows whether the body of a client that expects 100 (Continue) will come; a long one is
 * not discarded. */
static bool may_send_body(const struct h1_exchange *x)
{
    if (x->parser.state != PARSE_BODY) return false;
    return h1_leaves_much(x) ||
           (!x->parser.data_bytes && head_find(&x->rq.head, SLICE("expect")).len > 0);
}

/* An empty Transfer-Encoding, which request_accept rejects. Somebody before us may have read it as
 * chunked: what follows must not be taken for a request. */
static bool is_framing_doubtful(const struct head *h)
{
    return !h->chunked && head_find(h, SLICE("transfer-encoding")).ptr;
}

/* The target has not been parsed: its path is enough for those who are told of the refusal. */
static void set_path(struct torc_req *rq)
{
    slice rest = head_target(&rq->head);
    bool origin = rest.len && rest.ptr[0] == '/';
    request_forget(rq);
    if (origin) slice_cut(&rest, '?', &rq->target.path);
}

static int refuse(struct h1_exchange *x, const struct refusal *r, uint64_t seconds)
{
    struct torc_req *rq = &x->rq;
    char text[DECIMAL_MAX];
    set_path(rq);
    rq->close_after_response =
        !rq->head.keep_alive || may_send_body(x) || is_framing_doubtful(&rq->head);
    if (refuse_fast(x, r, seconds) || r->status == 503) return r->status;
    size_t n = (size_t)(decimal_put(text, seconds) - text);
    response_field(rq, SLICE("Retry-After"), slice_of(text, n)); /* that of 503 is set anyway */
    return r->status;
}

static bool is_probe(const struct torc_req *rq)
{
    slice path = head_target(&rq->head);
    return slice_eq(path, SLICE("/healthz")) || slice_eq(path, SLICE("/readyz"));
}

/* So few connections make no queue: each waits for two others at most, or for itself. */
enum { FEW_CONNS = 3 };

static bool sheds(const struct torc_req *rq)
{
    struct http_context *ctx = rq->ctx;
    shed_begin_turn(&ctx->shed, ctx->io->now);
    bool shed = shed_request(&ctx->shed, clock_ns(), ctx->n_open <= FEW_CONNS || is_probe(rq));
    if (shed) counter_add(&ctx->stats.shed, 1);
    return shed;
}

int h1_limit(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    struct http_context *ctx = x->rq.ctx;
    bool last = false;
    uint64_t wait = c->visitor ? visitor_request(ctx, c->visitor, &x->rq.head, &last) : 0;
    if (last || c->yields) {
        x->rq.head.keep_alive = false; /* as if the client had asked for it, */
        c->linger = true;              /* but it may send more */
    }
    if (wait) return refuse(x, &too_many, seconds_of(wait));
    if (ctx->limits->shed && sheds(&x->rq)) return refuse(x, &overloaded, 1);
    return 0;
}

/* ---- silence ---- */

/* At the limit of connections: a body that comes at fewer bytes per second is no sign of life, once
 * its client has been waited for as long. */
enum { DRIP_RATE = 256 };
#define DRIP_PAUSE NS_PER_S

/* A client that sends its body in drips could otherwise never be said to be silent. The time that
 * the handler takes does not count. */
static bool drips(const struct h1_exchange *x, uint64_t since)
{
    if (x->state != H1_HANDLER || !x->reader) return false;
    uint64_t waited = x->body_waited + x->conn->ctx->io->now - since;
    return waited >= DRIP_PAUSE && x->parser.data_bytes < waited / (NS_PER_S / DRIP_RATE);
}

/* The timeout that c->read_deadline is of, unless the request is queued. */
static uint64_t timeout_of(const struct conn *c, const struct http_limits *limits)
{
    const struct h1_exchange *x = c->exchange;
    return !h1_is_idle(x) && x->state != H1_HEAD ? limits->body_timeout
           : !h1_is_idle(x) || !c->used          ? limits->header_timeout
                                                 : limits->idle_timeout;
}

void h1_retime(struct conn *c, const struct http_limits *from, const struct http_limits *to)
{
    const struct h1_exchange *x = c->exchange;
    if (c->read_deadline == WHEEL_NEVER || (x && x->reader)) return;
    if (x && x->state == H1_QUEUED)
        c->read_deadline += to->queue_timeout - from->queue_timeout;
    else
        c->read_deadline += timeout_of(c, to) - timeout_of(c, from);
}

/* In a drain the deadline is another one, and soon: until then nobody is too silent. */
uint64_t h1_waiting_since(const struct conn *c)
{
    const struct h1_exchange *x = c->exchange;
    uint64_t timeout = timeout_of(c, c->ctx->limits);
    if (c->read_deadline == WHEEL_NEVER || (x && x->state == H1_QUEUED)) return WHEEL_NEVER;
    if (c->ctx->draining && !(x && x->reader)) return WHEEL_NEVER;
    uint64_t since = x && x->reader ? x->wait_began : c->read_deadline - timeout;
    return x && drips(x, since) ? x->rq.arrived : since;
}
