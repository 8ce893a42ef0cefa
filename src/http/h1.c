#include "http/h1.h"

#include "base/counter.h"
#include "http/h1_response.h"

#include <errno.h>

enum {
    DISCARD_MAX = 256 * 1024
}; /* of a body that nobody reads; beyond, the connection is closed */

/* ---- request body ---- */

/* Moves body bytes from the input at hand to `buf`: a count, 0 at the end of the body, -EAGAIN when
 * more input is needed, or the error that the body came to. */
static ssize_t pull(struct conn *c, char *buf, size_t size)
{
    struct torc_req *rq = c->rq;
    struct parser *p = &rq->parser;
    size_t got = 0;
    while (p->state == PARSE_BODY && c->in.len && got == 0) {
        size_t used = parser_body(p, c->in, buf, size, &got);
        c->in = slice_skip(c->in, used);
    }
    counter_add(&c->core->stats.body_in, got);
    if (p->data_bytes > rq->core->limits->max_body) {
        rq->failed = 413;
        p->state = PARSE_ERROR;
        rq->keep_alive = false;
        return -EMSGSIZE;
    }
    if (got > 0) return (ssize_t)got; /* an error behind it is told by the next read */
    if (p->state == PARSE_ERROR) {
        rq->failed = p->status;
        rq->keep_alive = false;
        return -EBADMSG;
    }
    return p->state == PARSE_DONE ? 0 : -EAGAIN;
}

static void wake_reader(struct conn *c, ssize_t result)
{
    struct conn_reader *r = c->reader;
    c->reader = NULL;
    c->read_deadline = WHEEL_NEVER;
    wait_wake(&r->wait, (int)result);
}

static void reader_cancel(struct wait *w)
{
    struct torc_req *rq = container_of(w->scope, struct torc_req, scope);
    wake_reader(rq->conn, w->scope->cancelled);
}

/* The body will not become whole any more. */
static void cut_off(struct torc_req *rq)
{
    rq->failed = 400;
    rq->keep_alive = false;
}

static ssize_t h1_read(struct torc_req *rq, void *buf, size_t size)
{
    struct conn *c = rq->conn;
    if (rq->scope.cancelled) return rq->scope.cancelled;
    if (c->reader) return -EBUSY;
    if (size > INT32_MAX) size = INT32_MAX;
    ssize_t n = pull(c, buf, size);
    if (n != -EAGAIN) return n;
    if (c->eof) {
        cut_off(rq);
        return -ECANCELED;
    }
    if (rq->expect_continue) {
        rq->expect_continue = false;
        if (!rq->response.status)
            send_queue_append(&c->out, c->core, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    struct conn_reader r = {.buf = buf, .size = size};
    c->reader = &r;
    c->read_deadline = c->core->io->now + c->core->limits->body_timeout;
    conn_schedule(c);
    return wait_park(&rq->scope, &r.wait, reader_cancel);
}

static const struct exchange_ops h1_exchange_ops = {
    .read = h1_read,
    .respond = h1_respond,
    .write = h1_write,
    .write_file = h1_write_file,
    .write_ref = h1_write_ref,
    .end = h1_end,
};

/* ---- the requests of a connection, one after the other ---- */

/* No request after this one; what input there is, or comes, is not looked at. */
static void make_last(struct conn *c, bool linger)
{
    c->last = true;
    c->linger |= linger;
    c->in = (slice){0};
    c->read_deadline = WHEEL_NEVER;
}

static void free_request(struct conn *c)
{
    struct torc_req *rq = c->rq;
    if (rq->started) http_context_count_end(c->core, rq->arrived);
    request_end(rq);
    slab_put(&c->core->reqs, rq);
    c->rq = NULL;
}

/* The request has had its answer: what is left of it is the rest of a body that nobody read. */
static void finished(struct conn *c)
{
    struct torc_req *rq = c->rq;
    struct http_context *core = c->core;
    struct parser *p = &rq->parser;
    if (!rq->response.status) { /* not even an error could be told: the next answer must not pass
                                   for this one */
        conn_abort(c, -ENOMEM);
        return;
    }
    if (rq->keep_alive && p->state == PARSE_BODY) {
        c->discarding = true;
        c->read_deadline = core->io->now + core->limits->body_timeout;
        return;
    }
    bool last = !rq->keep_alive || core->draining;
    /* A client that did not ask for the end may have sent on. */
    bool linger = last && (p->state != PARSE_DONE || c->in.len || p->keep_alive);
    c->discarding = false;
    int status = rq->response.status;
    counter_add(&core->stats.status[LIKELY(status == 200) ? 2 : status / 100], 1);
    if (core->on_finish) core->on_finish(core, rq);
    free_request(c);
    c->read_deadline = core->io->now + core->limits->idle_timeout;
    if (last) make_last(c, linger);
}

static void run_handler(void *arg)
{
    struct torc_req *rq = arg;
    request_run(rq);
    rq->returned = true;
    if (rq->parked) conn_schedule(rq->conn);
}

static void answer(struct conn *c, int status)
{
    request_refuse(c->rq, status);
    c->rq->returned = true;
    finished(c);
}

/* A head that cannot be answered by a handler, and after which nothing is certain. */
static void refuse(struct conn *c, int status)
{
    struct torc_req *rq = c->rq;
    counter_add(&c->core->stats.bad_requests, 1);
    rq->keep_alive = false;
    if (rq->parser.has_method) rq->method = (int8_t)http_method_of(parser_method(&rq->parser));
    answer(c, status);
}

static void serve(struct conn *c)
{
    struct torc_req *rq = c->rq;
    rq->started = true;
    counter_add(&rq->core->stats.started, 1);
    int status = request_accept(rq);
    if (status) {
        answer(c, status);
        return;
    }
    c->read_deadline = WHEEL_NEVER;
    int err = fiber_start(&c->core->fibers, run_handler, rq);
    if (err < 0) {
        counter_add(&c->core->stats.rejected, 1);
        answer(c, 503);
    } else if (rq->returned) {
        finished(c);
    } else {
        rq->parked = true;
    }
}

static bool begin(struct conn *c)
{
    struct http_context *core = c->core;
    struct torc_req *rq = slab_get(&core->reqs);
    if (!rq) {
        counter_add(&core->stats.rejected, 1);
        conn_abort(c, -ENOMEM);
        return false;
    }
    request_init(rq, core, c, &h1_exchange_ops);
    c->rq = rq;
    c->read_deadline = core->io->now + core->limits->header_timeout;
    return true;
}

static void read_head(struct conn *c)
{
    struct torc_req *rq = c->rq;
    size_t used = parser_head(&rq->parser, c->in);
    c->in = slice_skip(c->in, used);
    if (rq->parser.state == PARSE_ERROR)
        refuse(c, rq->parser.status);
    else if (rq->parser.state != PARSE_HEAD)
        serve(c);
}

static void discard(struct conn *c)
{
    struct torc_req *rq = c->rq;
    struct parser *p = &rq->parser;
    size_t got;
    c->in = slice_skip(c->in, parser_body(p, c->in, NULL, 0, &got));
    if (p->state == PARSE_ERROR || p->data_bytes > DISCARD_MAX) rq->keep_alive = false;
    if (p->state != PARSE_BODY || !rq->keep_alive) finished(c);
}

/* After the client's end of stream nothing can complete what is incomplete. Answers are still sent,
 * as it may have shut its sending side only. */
static void handle_eof(struct conn *c)
{
    if (!c->eof || c->in.len || c->last) return;
    if (c->reader) {
        cut_off(c->rq);
        wake_reader(c, -ECANCELED);
    } else if (c->discarding) {
        c->rq->keep_alive = false;
        finished(c);
    } else if (!c->rq || c->rq->parser.state == PARSE_HEAD) {
        if (c->rq) h1_drop(c);
        make_last(c, false);
    }
}

static void serve_input(struct conn *c)
{
    if (c->reader) {
        ssize_t n = pull(c, c->reader->buf, c->reader->size);
        if (n != -EAGAIN) wake_reader(c, n);
        return;
    }
    while (c->in.len && c->state == CONN_OPEN && !c->last) {
        if (c->discarding) {
            discard(c);
            continue;
        }
        if (c->rq && c->rq->parser.state != PARSE_HEAD) return; /* a handler has the request */
        if (!c->rq) {
            /* A client that asks on without reading the answers waits for itself. */
            if (c->out.bytes >= c->core->limits->write_buffer) return;
            if (!begin(c)) return;
        }
        read_head(c);
    }
}

void h1_input(struct conn *c)
{
    serve_input(c);
    handle_eof(c);
}

void h1_finish(struct conn *c)
{
    finished(c);
}

void h1_timeout(struct conn *c)
{
    struct http_stats *s = &c->core->stats;
    if (c->reader) {
        counter_add(&s->timeouts[TIMEOUT_BODY], 1);
        c->rq->failed = 408;
        c->rq->keep_alive = false;
        wake_reader(c, -ETIMEDOUT);
    } else if (c->discarding) {
        counter_add(&s->timeouts[TIMEOUT_BODY], 1);
        c->rq->keep_alive = false;
        finished(c);
    } else if (c->rq && c->rq->parser.state == PARSE_HEAD) {
        counter_add(&s->timeouts[TIMEOUT_HEADER], 1);
        refuse(c, 408);
    } else if (!c->rq) {
        if (c->out.bytes) { /* not idle: the last answer is still leaving */
            c->read_deadline = c->core->io->now + c->core->limits->idle_timeout;
            return;
        }
        counter_add(&s->timeouts[TIMEOUT_IDLE], 1);
        make_last(c, false);
    }
}

void h1_drop(struct conn *c)
{
    free_request(c);
    c->discarding = false;
}
