/* The request body, as a handler reads it. */

#include "base/counter.h"
#include "base/rate.h"
#include "http/h1_exchange.h"

#include <errno.h>

/* A fiber that waits for body bytes; on its stack. */
struct h1_reader {
    struct wait wait;
    struct h1_exchange *exchange;
    char *buf;
    size_t size;
};

void h1_fail_body(struct h1_exchange *x, int status)
{
    x->rq.failed = status;
    x->rq.close_after_response = true;
}

/* Copies body bytes from the unread input to `buf`. Returns a count, 0 at the end of the body,
 * -EAGAIN if more input is needed, or the body's error. */
static ssize_t pull(struct h1_exchange *x, char *buf, size_t size)
{
    struct conn *c = x->conn;
    struct h1_parser *p = &x->parser;
    size_t got = 0;
    while (p->state == PARSE_BODY && c->unread.len && got == 0) {
        size_t used = h1_parse_body(p, c->unread, buf, size, &got);
        c->unread = slice_skip(c->unread, used);
    }
    counter_add(&c->ctx->stats.body_in, got);
    if (p->data_bytes > x->rq.max_body) {
        p->state = PARSE_ERROR;
        h1_fail_body(x, 413);
        return -EMSGSIZE;
    }
    if (got > 0) return (ssize_t)got; /* an error after these bytes is returned by the next read */
    if (p->state == PARSE_ERROR) {
        h1_fail_body(x, p->status);
        return -EBADMSG;
    }
    return p->state == PARSE_DONE ? 0 : -EAGAIN;
}

/* Since the reader began; what the core was late is not the client's. */
static uint64_t waited_now(const struct h1_exchange *x)
{
    const struct io *io = x->conn->ctx->io;
    uint64_t all = io->now - x->wait_began, late = io->late - x->late_before;
    return all > late ? all - late : 0;
}

void h1_wake_reader(struct h1_exchange *x, ssize_t result)
{
    struct h1_reader *r = x->reader;
    x->reader = NULL;
    x->body_waited += waited_now(x);
    x->conn->read_deadline = WHEEL_NEVER;
    wait_wake(&r->wait, (int)result);
}

static void reader_cancel(struct wait *w)
{
    h1_wake_reader(container_of(w, struct h1_reader, wait)->exchange, w->scope->cancelled);
}

/* How long a reader may wait for the next bytes: a body that comes in drips may not take longer, in
 * all, than one that comes at the least rate. The time that the handler takes does not count. */
static uint64_t patience(const struct h1_exchange *x)
{
    uint64_t timeout = x->rq.body_timeout;
    if (!x->body_rate) return timeout;
    uint64_t allowed = x->body_grace + rate_time(x->parser.data_bytes, x->body_rate);
    uint64_t left = allowed > x->body_waited ? allowed - x->body_waited : 0;
    return left < timeout ? left : timeout;
}

/* Before the first byte of the body is read, or as good as that. */
static void begin_reading(struct h1_exchange *x)
{
    const struct http_limits *l = x->conn->ctx->limits;
    x->body_waited = 0;
    x->body_rate = l->min_body_rate;
    x->body_grace = l->body_grace;
}

ssize_t h1_read(struct torc_req *rq, void *buf, size_t size)
{
    struct h1_exchange *x = h1_exchange_of(rq);
    struct conn *c = x->conn;
    if (x->reader) return -EBUSY;
    if (size > INT32_MAX) size = INT32_MAX;
    if (!x->parser.data_bytes) begin_reading(x);
    ssize_t n = pull(x, buf, size);
    if (n != -EAGAIN) return n;
    if (c->eof) {
        h1_fail_body(x, 400);
        return -EPIPE;
    }
    if (rq->expect_continue) {
        rq->expect_continue = false;
        if (!rq->response.status)
            send_queue_append(&c->unsent, c->ctx, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    struct h1_reader r = {.wait.what = "body", .exchange = x, .buf = buf, .size = size};
    x->reader = &r;
    x->wait_began = c->ctx->io->now;
    x->late_before = c->ctx->io->late;
    c->read_deadline = x->wait_began + patience(x);
    conn_schedule(c);
    return wait_park(request_scope(rq), &r.wait, reader_cancel);
}

void h1_deliver_body(struct h1_exchange *x)
{
    ssize_t n = pull(x, x->reader->buf, x->reader->size);
    if (n == -EAGAIN && x->conn->eof) {
        h1_fail_body(x, 400);
        n = -EPIPE;
    }
    if (n != -EAGAIN) h1_wake_reader(x, n);
}
