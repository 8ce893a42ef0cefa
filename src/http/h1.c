#include "http/h1.h"

#include "base/counter.h"
#include "base/probe.h"
#include "http/h1_account.h"
#include "http/h1_exchange.h"
#include "http/handler.h"
#include "http/observe.h"
#include "http/response.h"
#include "http/waiting.h"

#include <errno.h>

/* From this size on, a response that is queued in parts leaves before its request ends, so that the
 * request is accounted for as it really went. For a smaller one that would delay the next request;
 * the connection counts those that it loses (http_stats.lost). */
enum { LARGE_RESPONSE = 64 * 1024 };

/* ---- the life of a request ---- */

static void handler_returned(struct torc_req *rq)
{
    h1_handler_returned(rq);
}

static bool client_ended(const struct torc_req *rq)
{
    return conn_client_ended(h1_exchange_of((struct torc_req *)(uintptr_t)rq)->conn);
}

const struct exchange_ops h1_exchange_ops = {
    .read = h1_read,
    .respond = h1_respond,
    .write = h1_write,
    .write_file = h1_write_file,
    .write_ref = h1_write_ref,
    .take_back = h1_take_back,
    .write_owned = h1_write_owned,
    .interim = h1_interim,
    .end = h1_end,
    .client_ended = client_ended,
    .cancel = h1_give_up,
    .peer = h1_peer,
    .is_secure = h1_is_secure,
    .handler_returned = handler_returned,
};

/* Returns NULL without memory; then the connection is aborted. */
static struct h1_exchange *request_begin(struct conn *c)
{
    struct http_context *ctx = c->ctx;
    struct h1_exchange *x = slab_get(&ctx->exchanges);
    if (!x) {
        counter_add(&ctx->stats.rejected, 1);
        counter_add(&ctx->stats.aborted[END_SERVER], 1);
        conn_abort(c, -ENOMEM);
        return NULL;
    }
    struct torc_req *rq = &x->rq;
    request_init(rq, ctx, ctx->exchange);
    h1_parser_init(&x->parser, &rq->head, &rq->arena, rq->inline_text, sizeof rq->inline_text);
    x->conn = c;
    x->reader = NULL;
    x->state = H1_HEAD;
    x->returned = x->counted = x->begun = false;
    c->exchange = x;
    return x;
}

static inline void exchange_free(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    request_end(&x->rq);
    slab_put(&c->ctx->exchanges, x);
    c->exchange = NULL;
}

/* Ends a request that has its response (H1_DONE). */
static void exchange_end(struct h1_exchange *x, enum http_end end)
{
    struct conn *c = x->conn;
    struct http_context *ctx = c->ctx;
    struct torc_req *rq = &x->rq;
    bool close = rq->close_after_response || ctx->draining;
    /* A client that did not ask to close may have sent more. */
    bool linger = close && (x->parser.state != PARSE_DONE || c->unread.len || rq->head.keep_alive);
    h1_account(x, end);
    if (x->counted) http_count_end(ctx);
    exchange_free(x);
    c->read_deadline = ctx->io->now + ctx->limits->idle_timeout;
    if (close) conn_begin_close(c, linger);
}

/* Ends a request with its connection. */
void h1_abort(struct h1_exchange *x)
{
    if (x->state == H1_QUEUED) h1_queue_abandon(x);
    if (x->state == H1_HEAD) {
        h1_release_head(x);
        request_forget(&x->rq);
    }
    h1_account_abort(x);
    if (x->counted) http_count_end(x->conn->ctx);
    exchange_free(x);
}

/* The response was queued in parts. */
static void end_in_parts(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    const struct response *r = &x->rq.response;
    if (c->state != CONN_OPEN) return; /* h1_finish ends it */
    if (h1_end_given_up(x)) return;
    if (c->unsent.bytes && r->written >= LARGE_RESPONSE && request_gets_body(&x->rq)) {
        h1_await_sent(x);
        return;
    }
    x->state = H1_DONE;
    if (c->unsent.bytes && !r->incomplete) send_queue_end_response(&c->unsent);
    exchange_end(x, r->incomplete ? END_SERVER : END_DONE);
}

/* Of a body that the handler has not read to its end: whether the rest is to be discarded. Nothing
 * is served after one that is malformed, whether a read has found that out or not. */
COLD static bool discards_rest(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    if (x->parser.state == PARSE_ERROR) x->rq.close_after_response = true;
    if (x->rq.close_after_response || x->parser.state != PARSE_BODY) return false;
    x->state = H1_DISCARD;
    x->body_read = x->parser.data_bytes;
    conn_set_direct(c, false);
    c->read_deadline = c->ctx->io->now + c->ctx->limits->body_timeout;
    return true;
}

/* The response is complete: ends the request, unless the rest of an unread body must be discarded
 * first. */
void h1_request_done(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    if (!x->rq.response.status) {
        /* Not even an error response was possible; the next response must not be taken for this
         * one. */
        if (!h1_end_given_up(x)) conn_abort(c, -ENOMEM);
        return;
    }
    if (UNLIKELY(x->parser.state != PARSE_DONE) && discards_rest(x)) return;
    if (UNLIKELY(x->rq.response.in_parts)) {
        end_in_parts(x);
        return;
    }
    x->state = H1_DONE;
    exchange_end(x, END_DONE);
}

void h1_respond_error(struct h1_exchange *x, int status)
{
    if (!x->rq.response.status) response_error(&x->rq, status);
    if (http_observes(x->conn->ctx)) observe_unserved(&x->rq);
    x->returned = true;
    h1_request_done(x);
}

/* Has middleware run around the response of a request that no handler sees. False if there is none,
 * or no fiber for it. */
COLD static bool refuse_on_fiber(struct h1_exchange *x, int status)
{
    struct torc_req *rq = &x->rq;
    const struct route *route = router_refusal(rq->ctx->router);
    if (!route) return false;
    rq->route = route;
    rq->refused = (uint16_t)status;
    rq->match.n = 0;
    if (rq->close_after_response) rq->head.has_body = false; /* nothing after the head is read */
    x->conn->read_deadline = WHEEL_NEVER;
    x->state = H1_HANDLER;
    if (handler_start_as(rq, rq->ctx->run) == 0) {
        if (x->returned) h1_request_done(x);
        return true;
    }
    rq->route = NULL;
    return false;
}

/* Responds in place of a handler. */
COLD static void refuse(struct h1_exchange *x, int status)
{
    if (!refuse_on_fiber(x, status)) h1_respond_error(x, status);
}

/* Responds to a head that could not be parsed; nothing after it can be trusted. */
void h1_reject_head(struct h1_exchange *x, int status)
{
    struct torc_req *rq = &x->rq;
    counter_add(&x->conn->ctx->stats.bad_requests, 1);
    request_reject_head(rq, status);
    if (status == 503)
        http_warn(x->conn->ctx, WARN_NO_MEMORY, "no memory for a head (--request-memory); 503");
    rq->close_after_response = true;
    refuse(x, status);
}

static void serve(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    x->counted = true;
    c->used = true;
    http_count_begin(c->ctx, x->rq.arrived);
    PROBE(head, &x->rq, c);
    int status = UNLIKELY(c->limited) ? h1_limit(x) : 0;
    if (UNLIKELY(status)) {
        h1_respond_error(x, status);
        return;
    }
    status = request_accept(&x->rq);
    if (UNLIKELY(status)) {
        refuse(x, status);
        return;
    }
    c->read_deadline = WHEEL_NEVER;
    x->state = H1_HANDLER;
    int err = UNLIKELY(c->ctx->n_queued) ? -EAGAIN : handler_start(&x->rq);
    if (UNLIKELY(err < 0)) {
        if (err == -EAGAIN && h1_queue_add(x)) return;
        h1_count_rejected(x, err);
        h1_respond_error(x, 503);
    } else if (x->returned) {
        h1_request_done(x);
    }
}

/* ---- input: each step returns whether another may follow ---- */

/* Reads a head that the fast path does not; whether it is complete. After an error it is rejected.
 */
static bool read_any_head(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    struct h1_parser *p = &x->parser;
    c->unread = slice_skip(c->unread, h1_parse_head(p, &c->ctx->limits->head, c->unread));
    if (p->state == PARSE_ERROR) {
        h1_reject_head(x, p->status);
        return false;
    }
    return p->state != PARSE_HEAD;
}

static bool step_head(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    size_t used = h1_parse_fast(&x->parser, c->unread);
    if (UNLIKELY(!used)) {
        if (!read_any_head(x)) return true;
    } else {
        c->unread = slice_skip(c->unread, used);
    }
    if (UNLIKELY(x->rq.head.n_fields > c->ctx->limits->head.fields))
        h1_reject_head(x, 431);
    else
        serve(x);
    return true;
}

/* A client that sends requests without reading the responses is stopped here, and so is every
 * client where those of others have used up the memory (memory.h). */
static inline bool may_begin(const struct conn *c)
{
    return LIKELY(c->unsent.bytes < c->ctx->begin_below);
}

/* Continues with a head that has not come whole. A request begins with its first byte, not with the
 * empty lines before it: with these the connection stays as idle as it was. */
static bool step_rest_of_head(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    uint64_t now = c->ctx->io->now;
    if (!x->begun) x->rq.arrived = now;
    if (c->unread.len) {
        if (!may_begin(c)) return false;
        h1_release_head(x);
        return step_head(x);
    }
    if (c->eof) { /* it can no longer be completed */
        h1_abort(x);
        return true;
    }
    if (!x->begun && !h1_parser_is_blank(&x->parser)) {
        x->begun = true;
        x->head_kept = 0;
        x->rq.route = NULL; /* until request_accept: others may ask what is in progress */
        c->read_deadline =
            now + (c->ctx->draining ? DRAIN_TIMEOUT : c->ctx->limits->header_timeout);
    }
    if (x->begun) h1_keep_head(x);
    return false;
}

static bool step_idle(struct conn *c)
{
    if (UNLIKELY(c->unread.len == 0)) {
        if (c->eof) conn_begin_close(c, false);
        return false;
    }
    if (!may_begin(c)) return false;
    struct h1_exchange *x = request_begin(c);
    return x && step_head(x);
}

COLD static bool step_queued(struct h1_exchange *x)
{
    int err = h1_queue_start(x);
    if (err == -EAGAIN) return false;
    if (err < 0)
        h1_respond_error(x, 503);
    else if (x->returned)
        h1_request_done(x);
    return true;
}

static bool step_handler(struct h1_exchange *x)
{
    if (x->returned) {
        h1_request_done(x);
        return true;
    }
    if (x->reader) h1_deliver_body(x);
    if (UNLIKELY(x->rq.askers)) waiting_answer(&x->rq);
    return false;
}

static bool step_discard(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    struct h1_parser *p = &x->parser;
    if (c->unread.len) {
        size_t got;
        uint64_t before = p->data_bytes;
        c->unread = slice_skip(c->unread, h1_parse_body(p, c->unread, NULL, 0, &got));
        counter_add(&c->ctx->stats.body_in, p->data_bytes - before);
        if (p->state == PARSE_ERROR || p->data_bytes - x->body_read > DISCARD_MAX)
            x->rq.close_after_response = true;
        if (p->state != PARSE_BODY || x->rq.close_after_response) h1_request_done(x);
    } else if (c->eof) {
        x->rq.close_after_response = true;
        h1_request_done(x);
    } else {
        return false;
    }
    return true;
}

static bool step_sending(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    if (c->unsent.bytes == 0) {
        end_in_parts(x);
        return true;
    }
    if (x->rq.close_after_response && c->unread.len) {
        /* No further request is served. A client that sends all of its body before it reads the
         * response must not wait. */
        c->unread = (slice){0};
        c->linger = true;
    }
    return false;
}

static bool step(struct conn *c)
{
    struct h1_exchange *x = c->exchange;
    if (!x) return step_idle(c);
    switch ((enum h1_state)x->state) {
    case H1_HEAD: return step_rest_of_head(x);
    case H1_QUEUED: return step_queued(x);
    case H1_HANDLER: return step_handler(x);
    case H1_DISCARD: return step_discard(x);
    case H1_SENDING: return step_sending(x);
    default: return false;
    }
}

/* Processes unread input until it is used up, a handler waits, or too much output is unsent. After
 * the client's end of stream, ends requests that cannot be completed; responses are still sent, as
 * the client may have shut down its sending side only. */
static void h1_input(struct conn *c)
{
    while (c->state == CONN_OPEN && !c->close_after_response && step(c)) continue;
}

/* ---- drain, cancel ---- */

static const struct torc_req *h1_request(const struct conn *c)
{
    const struct h1_exchange *x = c->exchange;
    return h1_is_idle(x) ? NULL : &x->rq;
}

static void h1_drain(struct conn *c)
{
    struct h1_exchange *x = c->exchange;
    if (h1_is_idle(x) || x->state <= H1_QUEUED || x->state == H1_DISCARD) {
        /* No handler is running, but a request, or its rest, may be on its way. */
        uint64_t soon = h1_is_idle(x) ? conn_drain_until(c) : c->ctx->io->now + DRAIN_TIMEOUT;
        if (c->read_deadline > soon) c->read_deadline = soon;
    } else {
        waiting_answer(&x->rq);
    }
}

static void h1_cancel(struct conn *c, int err)
{
    struct h1_exchange *x = c->exchange;
    if (x) request_cancel(&x->rq, err);
}

static bool h1_finish(struct conn *c)
{
    struct h1_exchange *x = c->exchange;
    if (!x) return true;
    if (x->state == H1_HANDLER && !x->returned) return false;
    h1_abort(x);
    return true;
}

const struct protocol h1_protocol = {
    .input = h1_input,
    .room = h1_room,
    .received = h1_received,
    .timeout = h1_timeout,
    .waiting_since = h1_waiting_since,
    .retime = h1_retime,
    .request = h1_request,
    .head_kept = h1_head_kept,
    .drain = h1_drain,
    .cancel = h1_cancel,
    .finish = h1_finish,
};
