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
    bool late; /* its time is over; it waits for its memory, which is being received into */
};

/* From so much that is left of a body with a length on, a read with a buffer of DIRECT_READ
 * receives into it. To stop the recv stream and to start it again costs as much as it saves for
 * about 20 KiB on epoll and 64 KiB on io_uring: 66 KB with a buffer of 256 KiB took 42 us of CPU
 * instead of 59, and 41 instead of 40; 132 KB took 50 instead of 103, and 45 instead of 59. It
 * saves a twentieth with a buffer of 4 KiB, and a quarter on epoll and an eighth on io_uring
 * with 8. Once the stream is stopped, buffers of DIRECT_NEXT go on, as does the last of the body.
 */
enum { DIRECT_BODY = 64 * 1024, DIRECT_READ = 8 * 1024, DIRECT_NEXT = 4 * 1024 };

/* At most so many bytes at once, as other connections wait meanwhile. */
enum { DIRECT_MOST = 256 * 1024 };

void h1_fail_body(struct h1_exchange *x, int status)
{
    request_fail_body(&x->rq, 0, (unsigned)status);
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
    if (p->state != PARSE_BODY)
        conn_set_direct(c, false); /* the next request is received as ever */
    if (p->data_bytes > x->rq.max_body) {
        p->state = PARSE_ERROR;
        conn_set_direct(c, false);
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

/* Whether the reader's memory is the engine's, until h1_received. Bytes that were received in spite
 * of a cancel are not lost: then the read succeeds. */
static bool is_receiving(const struct conn *c)
{
    return c->sock.recv.kind == IO_RECV_INTO;
}

static void reader_cancel(struct wait *w)
{
    struct h1_exchange *x = container_of(w, struct h1_reader, wait)->exchange;
    struct conn *c = x->conn;
    if (is_receiving(c))
        io_cancel(c->ctx->io, &c->sock.recv);
    else
        h1_wake_reader(x, w->scope->cancelled);
}

void h1_expire_reader(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    x->reader->late = true;
    if (is_receiving(c)) {
        io_cancel(c->ctx->io, &c->sock.recv);
        return;
    }
    counter_add(&c->ctx->stats.timeouts[TIMEOUT_BODY], 1);
    h1_fail_body(x, 408);
    h1_wake_reader(x, -ETIMEDOUT);
}

/* ---- into the reader's memory ---- */

static uint64_t body_left(const struct h1_exchange *x)
{
    return x->rq.head.content_length - x->parser.data_bytes;
}

static bool reads_directly(const struct h1_exchange *x, size_t size)
{
    if (x->rq.head.chunked) return false;
    uint64_t left = body_left(x);
    if (x->conn->direct) return size >= DIRECT_NEXT || size >= left;
    return size >= DIRECT_READ && left >= DIRECT_BODY;
}

/* Not more than is left of the body: the next request may follow it. */
slice h1_room(const struct conn *c)
{
    const struct h1_exchange *x = c->exchange;
    const struct h1_reader *r = x ? x->reader : NULL;
    if (!r) return (slice){0};
    uint64_t left = body_left(x);
    size_t n = r->size < DIRECT_MOST ? r->size : DIRECT_MOST;
    return slice_of(r->buf, n < left ? n : (size_t)left);
}

void h1_received(struct conn *c, int res)
{
    struct h1_exchange *x = c->exchange;
    struct h1_reader *r = x ? x->reader : NULL;
    if (!r) return;
    if (res > 0) {
        c->unread = slice_of(r->buf, (size_t)res);
        h1_wake_reader(x, pull(x, r->buf, (size_t)res));
    } else if (r->wait.scope->cancelled) {
        h1_wake_reader(x, r->wait.scope->cancelled);
    } else if (r->late) {
        h1_expire_reader(x);
    }
}

/* ---- how long it may take ---- */

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
    ASSERT(!x->reader);
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
    conn_set_direct(c, reads_directly(x, size));
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
    if (is_receiving(x->conn)) return;
    ssize_t n = pull(x, x->reader->buf, x->reader->size);
    if (n == -EAGAIN && x->conn->eof) {
        h1_fail_body(x, 400);
        n = -EPIPE;
    }
    if (n != -EAGAIN) h1_wake_reader(x, n);
}
