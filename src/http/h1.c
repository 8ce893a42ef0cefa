#include "http/h1.h"

#include "base/counter.h"
#include "base/log.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

enum {
    HEAD_ROOM = 512,            /* of a response head, without its fields and type */
    PIECE = 64 * 1024,          /* of a body that is written or read from a file */
    DISCARD_MAX = 256 * 1024,   /* of a body that nobody reads; beyond, the connection is closed */
    CHUNK_ROOM = 2 + 16 + 2,    /* around one chunk: its size and two line ends */
};

/* ---- response head ---- */

static char *put(char *p, const char *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *put_u64(char *p, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    if (LIKELY(v < 100)) {
        p[0] = (char)('0' + v / 10);
        p[v >= 10] = (char)('0' + v % 10);
        return p + 1 + (v >= 10);
    }
    do digits[sizeof digits - ++n] = (char)('0' + v % 10);
    while (v /= 10);
    return put(p, digits + sizeof digits - n, n);
}

static char *put_status(char *p, int status)
{
    slice line = http_status_line(status);
    if (line.len) return put(p, line.ptr, line.len);
    p = PUT(p, "HTTP/1.1 ");
    p = put_u64(p, (uint64_t)status);
    return PUT(p, " Unknown\r\n");
}

/* How the end of the body is told: by its length, by chunks, or by closing (RFC 9112, 6.3). */
static char *put_framing(char *p, struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (r->status == 204 || r->status == 304) return p;
    if (r->length >= 0) {
        p = PUT(p, "Content-Length: ");
        p = put_u64(p, (uint64_t)r->length);
        return PUT(p, "\r\n");
    }
    if (rq->parser.minor > 0) return PUT(p, "Transfer-Encoding: chunked\r\n");
    rq->keep_alive = false;
    return p;
}

static bool is_chunked(const struct torc_req *rq)
{
    return rq->response.length < 0 && rq->parser.minor > 0;
}

static char *put_head(char *p, struct torc_req *rq)
{
    const struct response *r = &rq->response;
    const char *head = http_core_head(rq->core);
    if (LIKELY(r->status == 200)) {
        p = put(p, head, HEAD_OK_LEN + HEAD_DATE_LEN + HEAD_TYPE_LEN);
    } else {
        p = put_status(p, r->status);
        p = put(p, head + HEAD_OK_LEN, HEAD_DATE_LEN + HEAD_TYPE_LEN);
    }
    if (r->type.ptr) {
        p = slice_copy(p, r->type.ptr, r->type.len);
        p = PUT(p, "\r\n");
    } else {
        p -= HEAD_TYPE_LEN;
    }
    p = put_framing(p, rq);
    if (r->fields_len) p = put(p, r->fields, r->fields_len);
    if (rq->core->draining) rq->keep_alive = false;
    if (!rq->keep_alive)
        p = PUT(p, "Connection: close\r\n");
    else if (rq->parser.minor == 0)
        p = PUT(p, "Connection: keep-alive\r\n");
    return PUT(p, "\r\n");
}

static int h1_respond(struct torc_req *rq, slice body)
{
    struct conn *c = rq->conn;
    if (rq->scope.cancelled) return rq->scope.cancelled;
    size_t head = HEAD_ROOM + rq->response.type.len + rq->response.fields_len;
    if (!response_has_body(rq)) body.len = 0;
    bool whole = head + body.len <= (size_t)OUT_LARGE_CAP;
    /* Whether the client sends a body that it was not asked for is its choice, once it has the answer;
     * it must not be taken for a request. */
    if (rq->expect_continue && rq->parser.state == PARSE_BODY && !rq->parser.data_bytes)
        rq->keep_alive = false;
    char *start = out_reserve(&c->out, c->core, whole ? head + body.len : head);
    if (!start) return -ENOMEM;
    char *p = put_head(start, rq);
    if (whole) p = slice_copy(p, body.ptr, body.len);
    out_commit(&c->out, (size_t)(p - start));
    if (!whole && out_append(&c->out, c->core, body.ptr, body.len) < 0) {
        conn_abort(c, -ENOMEM); /* the head has promised what cannot be kept */
        return -ENOMEM;
    }
    conn_touch(c);
    return 0;
}

/* ---- response body ---- */

static void writer_cancel(struct wait *w)
{
    struct torc_req *rq = container_of(w->scope, struct torc_req, scope);
    rq->conn->writer = NULL;
    wait_wake(w, w->scope->cancelled);
}

/* Has the output sent, and waits while there is more of it than a slow client should pin. */
static int let_leave(struct torc_req *rq)
{
    struct conn *c = rq->conn;
    conn_touch(c);
    if (rq->scope.cancelled) return rq->scope.cancelled; /* meanwhile; nothing would end the wait */
    if (c->out.bytes < c->core->limits->write_buffer) return 0;
    if (c->writer) return -EBUSY;
    struct wait w;
    c->writer = &w;
    return wait_park(&rq->scope, &w, writer_cancel);
}

static int h1_write(struct torc_req *rq, const void *data, size_t size)
{
    struct conn *c = rq->conn;
    bool chunked = is_chunked(rq);
    for (const char *at = data; size > 0;) {
        size_t part = size < PIECE ? size : PIECE;
        char line[CHUNK_ROOM];
        if (rq->scope.cancelled) return rq->scope.cancelled;
        int n = chunked ? snprintf(line, sizeof line, "%zx\r\n", part) : 0;
        if ((chunked && out_append(&c->out, c->core, line, (size_t)n) < 0) ||
            out_append(&c->out, c->core, at, part) < 0 ||
            (chunked && out_append(&c->out, c->core, "\r\n", 2) < 0)) {
            conn_abort(c, -ENOMEM);
            return -ENOMEM;
        }
        at += part;
        size -= part;
        int err = let_leave(rq);
        if (err < 0) return err;
    }
    return 0;
}

/* The kernel writes to the room at the end of the output, so that the bytes are copied just once.
 * While the first piece is read, the head waits for it, and they leave in one send; while a later
 * one is read, those before it are on their way. */
static int read_piece(struct torc_req *rq, int fd, uint64_t offset, size_t part)
{
    struct conn *c = rq->conn;
    char *room = out_reserve(&c->out, c->core, part);
    if (!room) return -ENOMEM;
    struct io_call call = {.read = {fd, room, (uint32_t)part, offset}};
    out_pin(&c->out);
    int n = scope_call(&rq->scope, &call, IO_READ);
    if (n > 0) out_commit(&c->out, (size_t)n);
    out_unpin(&c->out);
    return n;
}

static int h1_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    struct conn *c = rq->conn;
    for (c->corked = true; size > 0;) {
        int n = read_piece(rq, fd, offset, size < PIECE ? (size_t)size : PIECE);
        c->corked = false;
        if (n <= 0) {
            if (n == 0) log_line("a file became shorter while it was sent; connection closed");
            conn_abort(c, -EIO);
            return n == 0 ? -EIO : n;
        }
        offset += (uint64_t)n;
        size -= (uint64_t)n;
        int err = let_leave(rq);
        if (err < 0) return err;
    }
    return 0;
}

static int h1_end(struct torc_req *rq)
{
    struct conn *c = rq->conn;
    const struct response *r = &rq->response;
    if (rq->scope.cancelled) return rq->scope.cancelled;
    if (response_has_body(rq) && r->length >= 0 && r->written < (uint64_t)r->length) {
        /* The client must see that the body is not whole: only the end of the stream can tell. */
        log_line("a handler wrote less than it announced; connection closed");
        rq->keep_alive = false;
    } else if (response_has_body(rq) && is_chunked(rq) &&
               out_append(&c->out, c->core, "0\r\n\r\n", 5) < 0) {
        conn_abort(c, -ENOMEM);
        return -ENOMEM;
    }
    conn_touch(c);
    return 0;
}

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
        if (!rq->response.status) out_append(&c->out, c->core, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    struct conn_reader r = {.buf = buf, .size = size};
    c->reader = &r;
    c->read_deadline = c->core->io->now + c->core->limits->body_timeout;
    conn_touch(c);
    return wait_park(&rq->scope, &r.wait, reader_cancel);
}

static const struct carrier h1_carrier = {
    .read = h1_read,
    .respond = h1_respond,
    .write = h1_write,
    .write_file = h1_write_file,
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
    if (rq->started) http_core_count_end(c->core, rq->arrived);
    request_end(rq);
    slab_put(&c->core->reqs, rq);
    c->rq = NULL;
}

/* The request has had its answer: what is left of it is the rest of a body that nobody read. */
static void finished(struct conn *c)
{
    struct torc_req *rq = c->rq;
    struct http_core *core = c->core;
    struct parser *p = &rq->parser;
    if (rq->keep_alive && p->state == PARSE_BODY) {
        c->discarding = true;
        c->read_deadline = core->io->now + core->limits->body_timeout;
        return;
    }
    bool last = !rq->keep_alive || core->draining;
    /* A client that did not ask for the end may have sent on. */
    bool linger = last && (p->state != PARSE_DONE || c->in.len || p->keep_alive);
    c->discarding = false;
    if (rq->response.status) {
        int status = rq->response.status;
        counter_add(&core->stats.status[LIKELY(status == 200) ? 2 : status / 100], 1);
        if (core->on_finish) core->on_finish(core, rq);
    }
    free_request(c);
    c->read_deadline = core->io->now + core->limits->idle_timeout;
    if (last) make_last(c, linger);
}

static void run_handler(void *arg)
{
    struct torc_req *rq = arg;
    request_run(rq);
    rq->returned = true;
    if (rq->parked) conn_touch(rq->conn);
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
    struct http_core *core = c->core;
    struct torc_req *rq = slab_get(&core->reqs);
    if (!rq) {
        counter_add(&core->stats.rejected, 1);
        conn_abort(c, -ENOMEM);
        return false;
    }
    request_init(rq, core, c, &h1_carrier);
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
static void settle_eof(struct conn *c)
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
    settle_eof(c);
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
