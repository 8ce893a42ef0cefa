#include "http/h1_exchange.h"

#include "base/decimal.h"
#include "base/probe.h"
#include "http/pages.h"
#include "http/response.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

enum {
    HEAD_ROOM = 512,         /* bytes of a response head without its fields and type */
    PIECE = 32 * 1024,       /* bytes of a body that are added at once; two fit a large chunk */
    CHUNK_ROOM = 2 + 16 + 2, /* bytes around a chunk: its size and two line ends */
    CHUNK_LINE = 4 + 2,      /* of a piece of a file: its size has four digits, zeros in front */
};

static_assert(HEAD_ROOM + RESPONSE_FIELDS_MAX + RESPONSE_TYPE_MAX <= SEND_LARGE_CAP,
              "the largest head fits one chunk");

/* ---- response head ---- */

static char *put(char *p, const char *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}

#define PUT_TEXT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *put_status(char *p, int status)
{
    slice line = http_status_line(status);
    if (line.len) return put(p, line.ptr, line.len);
    p = PUT_TEXT(p, "HTTP/1.1 ");
    p = decimal_put(p, (uint64_t)status);
    return PUT_TEXT(p, " Unknown\r\n");
}

/* The body ends by its length, by chunks, or by closing the connection (RFC 9112, 6.3). */
static char *put_framing(char *p, struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (UNLIKELY(!status_has_content(r->status)))
        return r->status == 205 ? PUT_TEXT(p, "Content-Length: 0\r\n") : p;
    if (r->length >= 0) {
        p = PUT_TEXT(p, "Content-Length: ");
        p = decimal_put(p, (uint64_t)r->length);
        return PUT_TEXT(p, "\r\n");
    }
    if (rq->head.minor > 0) return PUT_TEXT(p, "Transfer-Encoding: chunked\r\n");
    rq->close_after_response = true;
    return p;
}

static bool is_chunked(const struct torc_req *rq)
{
    return rq->response.length < 0 && rq->head.minor > 0;
}

/* The type given with the response replaces one that was added as a field. */
__attribute__((noinline)) static char *put_fields(char *p, const struct response *r)
{
    slice type = {NULL, 0};
    if (r->type.ptr && r->type_field) type = response_find_field(r, SLICE("content-type"));
    size_t before = type.len ? (size_t)(type.ptr - r->fields) : r->fields_len;
    p = put(p, r->fields, before);
    return type.len ? put(p, type.ptr + type.len, r->fields_len - before - type.len) : p;
}

/* For a server with a name of its own. */
__attribute__((noinline)) static char *put_named_start(char *p, struct torc_req *rq)
{
    const struct response *r = &rq->response;
    slice server = http_server_line(rq->ctx), date = http_date_line(rq->ctx);
    p = put_status(p, r->status);
    p = put(p, server.ptr, server.len);
    p = put(p, date.ptr, date.len);
    if (!r->type.ptr) return p;
    p = PUT_TEXT(p, HEAD_TYPE);
    p = put(p, r->type.ptr, r->type.len);
    return PUT_TEXT(p, "\r\n");
}

/* From the status to the Content-Type. */
__attribute__((always_inline)) static inline char *put_start(char *p, struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (UNLIKELY(!http_head_is_current(rq->ctx))) {
        if (rq->ctx->server_line.ptr) return put_named_start(p, rq);
        http_refresh_date(rq->ctx);
    }
    const char *head = rq->ctx->head;
    if (LIKELY(r->status == 200)) {
        p = put(p, head, HEAD_OK_LEN + HEAD_DATE_LEN + HEAD_TYPE_LEN);
    } else {
        p = put_status(p, r->status);
        p = put(p, head + HEAD_OK_LEN, HEAD_DATE_LEN + HEAD_TYPE_LEN);
    }
    if (r->type.ptr) {
        p = slice_copy(p, r->type.ptr, r->type.len);
        p = PUT_TEXT(p, "\r\n");
    } else {
        p -= HEAD_TYPE_LEN;
    }
    return p;
}

static char *put_head(char *p, struct torc_req *rq)
{
    const struct response *r = &rq->response;
    p = put_start(p, rq);
    p = put_framing(p, rq);
    if (r->fields_len) p = put_fields(p, r);
    if (rq->ctx->draining) rq->close_after_response = true;
    if (rq->close_after_response)
        p = PUT_TEXT(p, "Connection: close\r\n");
    else if (rq->head.minor == 0)
        p = PUT_TEXT(p, "Connection: keep-alive\r\n");
    return PUT_TEXT(p, "\r\n");
}

/* After a final response, a client that expected 100 (Continue) may or may not send its body (RFC
 * 9110, 10.1.1). The body must not be taken for a request, so the connection is closed. So it is
 * where too much of it is left to be discarded, and the client is told: not where a handler begins
 * to write, which may read on. */
COLD static void settle_unread(struct torc_req *rq)
{
    const struct h1_exchange *x = h1_exchange_of(rq);
    bool reads_done = rq->response.ended || rq->response.reads_done;
    if ((rq->expect_continue && !x->parser.data_bytes) || (reads_done && h1_leaves_much(x)))
        rq->close_after_response = true;
}

int h1_respond(struct torc_req *rq, slice body)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    if (rq->cancelled) return rq->cancelled;
    PROBE(reply, rq, rq->response.status);
    size_t head = HEAD_ROOM + rq->response.type.len + rq->response.fields_len;
    if (!request_gets_body(rq)) body.len = 0;
    bool whole = head + body.len <= (size_t)SEND_LARGE_CAP;
    if (UNLIKELY(h1_exchange_of(rq)->parser.state == PARSE_BODY)) settle_unread(rq);
    char *start = send_queue_reserve(&c->unsent, c->ctx, whole ? head + body.len : head);
    if (!start) return -ENOMEM;
    char *p = put_head(start, rq);
    if (whole) p = slice_copy(p, body.ptr, body.len);
    send_queue_commit(&c->unsent, (size_t)(p - start));
    if (!whole) {
        rq->response.in_parts = true;
        if (send_queue_append_whole(&c->unsent, c->ctx, body.ptr, body.len) < 0) {
            conn_abort(c, -ENOMEM); /* the head announced a body that cannot be sent */
            return -ENOMEM;
        }
    }
    if (LIKELY(!rq->response.in_parts))
        send_queue_end_response(&c->unsent);
    else
        h1_exchange_of(rq)->framing = (uint64_t)(p - start);
    conn_schedule(c);
    return 0;
}

/* ---- response body ---- */

/* Schedules sending, and waits while more is unsent than a slow client may hold in memory. */
static int flush_and_wait(struct torc_req *rq)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    conn_schedule(c);
    size_t limit = send_queue_limit(&c->unsent, c->ctx);
    if (c->unsent.bytes < limit) return rq->cancelled;
    return conn_wait_sent(c, request_scope(rq), limit, NULL);
}

/* Bytes of a body, of which `rest` are left, that are added at once. */
static size_t piece_of(const struct conn *c, uint64_t rest)
{
    size_t most = send_queue_piece_max(&c->unsent, c->ctx) - CHUNK_ROOM;
    if (most > PIECE) most = PIECE;
    return rest < most ? (size_t)rest : most;
}

/* Whether a fiber must not write: another waits until what it wrote is sent. */
static int refuses_write(const struct torc_req *rq, const struct conn *c)
{
    if (rq->cancelled) return rq->cancelled;
    return conn_is_written(c) ? -EBUSY : 0;
}

static int append_piece(struct torc_req *rq, const char *data, size_t size)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    bool chunked = is_chunked(rq);
    char line[CHUNK_ROOM];
    int refused = refuses_write(rq, c);
    if (refused) return refused;
    int n = chunked ? snprintf(line, sizeof line, "%zx\r\n", size) : 0;
    if ((chunked && send_queue_append(&c->unsent, c->ctx, line, (size_t)n) < 0) ||
        send_queue_append(&c->unsent, c->ctx, data, size) < 0 ||
        (chunked && send_queue_append(&c->unsent, c->ctx, "\r\n", 2) < 0)) {
        conn_abort(c, -ENOMEM);
        return -ENOMEM;
    }
    rq->response.written += size;
    if (chunked) h1_exchange_of(rq)->framing += (unsigned)n + 2;
    return 0;
}

int h1_write(struct torc_req *rq, const void *data, size_t size)
{
    int err = 0;
    for (const char *at = data; size > 0 && err == 0;) {
        size_t part = piece_of(h1_exchange_of(rq)->conn, size);
        err = append_piece(rq, at, part);
        at += part;
        size -= part;
        if (err == 0) err = flush_and_wait(rq);
    }
    return err;
}

/* Around `n` bytes that are at `room` + CHUNK_LINE already. Returns the size of the whole. */
static size_t frame_chunk(char *room, size_t n)
{
    char line[CHUNK_ROOM];
    snprintf(line, sizeof line, "%04zx\r\n", n);
    memcpy(room, line, CHUNK_LINE);
    memcpy(room + CHUNK_LINE + n, "\r\n", 2);
    return CHUNK_LINE + n + 2;
}

/* Whether more is to follow `n` bytes of these. Of a response that is one call, it may be another
 * part. */
static bool has_more(const struct response *r, uint64_t n, uint64_t rest)
{
    return n < rest || (r->revocable && r->written + n < (uint64_t)r->length);
}

/* The kernel reads the file into the room at the tail of the send queue, so the bytes are copied
 * once. While the first piece is read, the head is held back, so that both leave in one send; while
 * a later piece is read, earlier ones are being sent. */
static int read_piece(struct torc_req *rq, struct pages_ahead *ahead, int fd, uint64_t offset,
                      uint64_t rest)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    size_t part = piece_of(c, rest);
    size_t line = is_chunked(rq) ? CHUNK_LINE : 0;
    struct scope *scope = request_scope(rq);
    char *room = send_queue_reserve_piece(&c->unsent, c->ctx, line ? line + part + 2 : part);
    if (!room) return -ENOMEM;
    send_queue_pin(&c->unsent);
    int n = pages_read(rq, ahead, fd, room + line, (uint32_t)part, offset, rest);
    int refused = n > 0 && has_more(&rq->response, (uint64_t)n, rest) ? scope_refuses(scope) : 0;
    if (refused) n = refused;             /* what follows would not be sent */
    if (rq->cancelled) n = rq->cancelled; /* nor was what is before */
    if (n > 0) {
        size_t framed = line ? frame_chunk(room, (size_t)n) : (size_t)n;
        send_queue_commit(&c->unsent, framed);
        rq->response.written += (uint64_t)n;
        h1_exchange_of(rq)->framing += framed - (size_t)n;
    }
    send_queue_unpin(&c->unsent);
    return n;
}

void h1_take_back(struct torc_req *rq, int err)
{
    struct h1_exchange *x = h1_exchange_of(rq);
    if (rq->cancelled || !request_scope(rq)->cancelled) return;
    if (!request_gets_body(rq) || is_chunked(rq)) return;
    uint64_t all = x->framing + rq->response.written;
    if (!send_queue_take_back(&x->conn->unsent, all)) return;
    response_undo(rq, err);
    conn_took_back(x->conn);
}

/* No piece was read. Where a scope was cancelled the handler may still end the response. */
static int fail_file(struct torc_req *rq, int err)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    conn_schedule(c);
    if (err < 0 && request_scope(rq)->cancelled) return err;
    pages_tell(c->ctx, err);
    h1_give_up(rq, -EIO);
    return err == 0 ? -EIO : err;
}

static int write_pieces(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    struct pages_ahead ahead = {0};
    for (c->corked = true; size > 0;) {
        int n = read_piece(rq, &ahead, fd, offset, size);
        c->corked = false;
        if (n <= 0) return fail_file(rq, n);
        offset += (uint64_t)n;
        size -= (uint64_t)n;
        int err = flush_and_wait(rq);
        if (err < 0) return err;
    }
    return 0;
}

int h1_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    int refused = scope_refuses(request_scope(rq));
    if (!refused) refused = refuses_write(rq, c);
    if (refused) return refused;
    return write_pieces(rq, fd, offset, size);
}

/* Reads what is to be copied behind them; nothing is sent meanwhile. Positive, or what failed: 0 at
 * the end of the file, or negative errno. */
static int append_copied(struct torc_req *rq, const struct file_place *place, uint64_t offset)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    struct pages_ahead ahead = {0};
    int n = 1;
    c->corked = place->copied > 0;
    for (uint64_t left = place->copied; left > 0 && n > 0; left -= n > 0 ? (uint64_t)n : 0) {
        n = read_piece(rq, &ahead, place->fd, offset, left);
        offset += n > 0 ? (uint64_t)n : 0;
    }
    c->corked = false;
    int refused = n > 0 ? scope_refuses(request_scope(rq)) : 0; /* it may have waited */
    return refused ? refused : n;
}

/* None of them has left, and their owner may free them. */
static int take_back_ref(struct torc_req *rq, int err)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    rq->response.written -= send_queue_drop_file(&c->unsent);
    conn_took_back(c);
    return fail_file(rq, err);
}

static int append_ref(struct torc_req *rq, slice bytes, const struct file_place *place)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    if (place) bytes.len -= place->copied;
    if (send_queue_append_ref(&c->unsent, c->ctx, bytes, place) < 0) {
        conn_abort(c, -ENOMEM);
        return -ENOMEM;
    }
    rq->response.written += bytes.len;
    int n = place ? append_copied(rq, place, place->offset + bytes.len) : 1;
    return n > 0 ? 0 : take_back_ref(rq, n);
}

int h1_write_ref(struct torc_req *rq, slice bytes, const struct file_place *place)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    int err = scope_refuses(request_scope(rq)); /* or it would not be waited for */
    if (!err) err = refuses_write(rq, c);
    if (err) return err;
    ASSERT(!is_chunked(rq));
    uint64_t before = rq->response.written;
    err = append_ref(rq, bytes, place);
    if (err < 0) return err;
    conn_schedule(c);
    size_t all = rq->response.written - before, kept = all;
    err = conn_wait_sent(c, request_scope(rq), 1, &kept);
    rq->response.written -= all - kept;
    if (err == -EFAULT) h1_give_up(rq, -EIO);
    if (err > 0) rq->response.written -= (unsigned)err;
    return err;
}

/* And the trailers after it (RFC 9112, 7.1.2). */
static int append_last_chunk(struct torc_req *rq, struct conn *c)
{
    const struct response *r = &rq->response;
    if (LIKELY(!r->trailers)) return send_queue_append(&c->unsent, c->ctx, "0\r\n\r\n", 5);
    if (send_queue_append(&c->unsent, c->ctx, "0\r\n", 3) < 0 ||
        send_queue_append(&c->unsent, c->ctx, r->fields, r->fields_len) < 0)
        return -ENOMEM;
    return send_queue_append(&c->unsent, c->ctx, "\r\n", 2);
}

int h1_end(struct torc_req *rq)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    const struct response *r = &rq->response;
    if (rq->cancelled) return rq->cancelled;
    if (request_gets_body(rq) && r->length >= 0 && r->written < (uint64_t)r->length) {
        /* The client must see that the body is incomplete: only the end of the stream can show
         * it. */
        char route[REQUEST_ROUTE];
        request_route(rq, route);
        http_warn(c->ctx, WARN_SHORT_BODY,
                  "%s: the handler wrote %s than it announced; connection closed", route,
                  rq->response.excess ? "more, which was refused," : "less");
        rq->close_after_response = true;
        rq->response.incomplete = true;
    } else if (request_gets_body(rq) && is_chunked(rq) && append_last_chunk(rq, c) < 0) {
        conn_abort(c, -ENOMEM);
        return -ENOMEM;
    }
    rq->response.whole = !rq->response.incomplete;
    conn_schedule(c);
    return 0;
}
