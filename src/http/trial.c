#include "http/trial.h"

#include "http/h1_parser.h"
#include "http/handler.h"
#include "http/response.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_PIECE = 64 * 1024 };

/* ---- text ---- */

bool trial_text_add(struct trial_text *t, const void *bytes, size_t n)
{
    if (n > t->cap - t->len) {
        size_t cap = t->cap ? t->cap : 1024;
        while (cap - t->len < n) cap *= 2;
        char *grown = realloc(t->ptr, cap);
        if (!grown) return false;
        t->ptr = grown;
        t->cap = cap;
    }
    if (n) memcpy(t->ptr + t->len, bytes, n);
    t->len += n;
    return true;
}

void trial_text_free(struct trial_text *t)
{
    free(t->ptr);
    *t = (struct trial_text){0};
}

/* ---- the exchange ---- */

static struct trial *trial_of(const struct torc_req *rq)
{
    return container_of((struct torc_req *)(uintptr_t)rq, struct trial, rq);
}

/* As a connection that cannot go on. */
static int keep(struct torc_req *rq, struct trial_text *to, const void *bytes, size_t n)
{
    if (rq->cancelled) return rq->cancelled;
    if (trial_text_add(to, bytes, n)) return 0;
    request_cancel(rq, -ENOMEM);
    return -ENOMEM;
}

static ssize_t fail_body(struct torc_req *rq, int status, int err)
{
    rq->close_after_response = true;
    return request_fail_body(rq, err, (unsigned)status);
}

/* The client has sent all that there is: less than it announced, if it announced more. */
static ssize_t read_end(struct torc_req *rq)
{
    bool is_short = !rq->head.chunked && trial_of(rq)->read < rq->head.content_length;
    return is_short ? fail_body(rq, 400, -EPIPE) : 0;
}

/* The handler waits for each piece, as it does for a client's. */
static ssize_t read_body(struct torc_req *rq, void *buf, size_t size)
{
    struct trial *d = trial_of(rq);
    if (d->body.len == 0) return read_end(rq);
    if (d->piece) {
        int err = scope_sleep(request_scope(rq), 0);
        if (err < 0) return err;
        if (size > d->piece) size = d->piece;
    }
    if (size > d->body.len) size = d->body.len;
    d->read += size;
    if (d->read > rq->max_body) return fail_body(rq, 413, -EMSGSIZE);
    memcpy(buf, d->body.ptr, size);
    d->body = slice_skip(d->body, size);
    return (ssize_t)size;
}

static int keep_line(struct torc_req *rq, const char *name, slice value)
{
    struct trial_text *to = &trial_of(rq)->lines;
    int err = keep(rq, to, name, strlen(name));
    if (err == 0) err = keep(rq, to, ": ", 2);
    if (err == 0) err = keep(rq, to, value.ptr, value.len);
    return err == 0 ? keep(rq, to, "\r\n", 2) : err;
}

static int keep_length(struct torc_req *rq)
{
    char digits[24];
    const struct response *r = &rq->response;
    if (r->length < 0 || !status_has_content(r->status)) return 0;
    int n = snprintf(digits, sizeof digits, "%lld", (long long)r->length);
    return keep_line(rq, "Content-Length", slice_of(digits, (size_t)n));
}

/* The type that was given with the response replaces the field. */
static int keep_fields(struct torc_req *rq)
{
    const struct response *r = &rq->response;
    slice old = {NULL, 0};
    int err = 0;
    if (r->type.ptr) {
        err = keep_line(rq, "Content-Type", r->type);
        old = response_find_field(r, SLICE("content-type"));
    }
    size_t before = old.len ? (size_t)(old.ptr - r->fields) : r->fields_len;
    if (err == 0) err = keep(rq, &trial_of(rq)->lines, r->fields, before);
    if (err == 0 && old.len)
        err = keep(rq, &trial_of(rq)->lines, old.ptr + old.len, r->fields_len - before - old.len);
    return err;
}

static int respond(struct torc_req *rq, slice body)
{
    struct trial *d = trial_of(rq);
    int err = keep_fields(rq);
    if (err == 0) err = keep_length(rq);
    if (err == 0 && rq->close_after_response) err = keep_line(rq, "Connection", SLICE("close"));
    if (err == 0 && request_gets_body(rq)) err = keep(rq, &d->content, body.ptr, body.len);
    if (err == 0) d->status = rq->response.status;
    return err;
}

static int write_bytes(struct torc_req *rq, const void *data, size_t size)
{
    int err = keep(rq, &trial_of(rq)->content, data, size);
    if (err == 0) rq->response.written += size;
    return err;
}

static int write_ref(struct torc_req *rq, slice bytes, const struct file_place *place)
{
    (void)place;
    return write_bytes(rq, bytes.ptr, bytes.len);
}

static int write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    char *buf = malloc(FILE_PIECE);
    int err = buf ? 0 : -ENOMEM;
    while (err == 0 && size > 0) {
        uint32_t part = size < FILE_PIECE ? (uint32_t)size : FILE_PIECE;
        struct io_call call = {.read = {fd, part, buf, offset}};
        int n = scope_call(request_scope(rq), &call, IO_READ);
        err = n > 0 ? write_bytes(rq, buf, (size_t)n) : n < 0 ? n : -EIO;
        offset += n > 0 ? (uint64_t)n : 0;
        size -= n > 0 ? (uint64_t)n : 0;
    }
    free(buf);
    /* As of a connection: where a scope was cancelled the handler may still end the response. */
    if (err < 0 && !request_scope(rq)->cancelled) request_cancel(rq, -EIO);
    return err;
}

static int write_owned(struct torc_req *rq, slice body, struct body_owner owner)
{
    int err = write_bytes(rq, body.ptr, body.len);
    body_release(owner);
    return err;
}

/* Of hints, the value of their one field. */
static int interim(struct torc_req *rq, int status, slice lines)
{
    slice name, value = lines;
    (void)status;
    slice_cut(&value, ':', &name);
    if (value.len < 3) return 0;
    int err = keep(rq, &trial_of(rq)->hints, value.ptr + 1, value.len - 3);
    return err == 0 ? keep(rq, &trial_of(rq)->hints, "\n", 1) : err;
}

static int end(struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (rq->cancelled) return rq->cancelled;
    if (request_gets_body(rq) && r->length >= 0 && r->written < (uint64_t)r->length)
        rq->response.incomplete = true;
    return r->trailers ? keep(rq, &trial_of(rq)->trailers, r->fields, r->fields_len) : 0;
}

static bool client_ended(const struct torc_req *rq)
{
    return rq->cancelled != 0;
}

static const char *client_of(const struct torc_req *rq)
{
    return visitor_client(rq->ctx, &trial_of(rq)->visitor, &rq->head);
}

static slice peer(const struct torc_req *rq)
{
    const char *text = client_of(rq);
    return text ? slice_str(text) : (slice){0};
}

static bool is_secure(const struct torc_req *rq)
{
    return visitor_is_secure(rq->ctx, &trial_of(rq)->visitor, &rq->head);
}

static void handler_returned(struct torc_req *rq)
{
    trial_of(rq)->returned = true;
}

static const struct exchange_ops trial_ops = {
    .read = read_body,
    .respond = respond,
    .write = write_bytes,
    .write_file = write_file,
    .write_ref = write_ref,
    .write_owned = write_owned,
    .interim = interim,
    .end = end,
    .client_ended = client_ended,
    .cancel = request_cancel,
    .peer = peer,
    .is_secure = is_secure,
    .handler_returned = handler_returned,
};

/* ---- a request ---- */

/* 0, or the status to respond with. */
static int accept_head(struct trial *d, slice head)
{
    struct torc_req *rq = &d->rq;
    const struct head_limits *limits = &rq->ctx->limits->head;
    struct h1_parser p;
    h1_parser_init(&p, &rq->head, &rq->arena, rq->inline_text, sizeof rq->inline_text);
    h1_parse_head(&p, limits, head);
    int status = p.state == PARSE_ERROR ? p.status : p.state == PARSE_HEAD ? 400 : 0;
    if (status) {
        request_reject_head(rq, status);
        return status;
    }
    request_forget(rq);
    return rq->head.n_fields > limits->fields ? 431 : request_accept(rq);
}

static bool start(struct torc_req *rq)
{
    return fiber_start_for(&rq->ctx->fibers, rq->ctx->run, rq, &rq->scope) == 0;
}

/* Has middleware run around a response that no handler gives; false if there is none. */
static bool refuse_on_fiber(struct torc_req *rq, int status)
{
    const struct route *route = router_refusal(rq->ctx->router);
    if (!route) return false;
    rq->route = route;
    rq->refused = (uint16_t)status;
    rq->match.n = 0;
    if (rq->close_after_response) rq->head.has_body = false;
    return start(rq);
}

void trial_begin(struct trial *d, struct http_context *ctx, slice head, slice body, size_t piece)
{
    struct torc_req *rq = &d->rq;
    request_init(rq, ctx, &trial_ops);
    http_count_begin(ctx, rq->arrived);
    d->body = body;
    d->piece = piece;
    int status = accept_head(d, head);
    bool sized = status == 0 && !rq->head.chunked; /* beyond its length there is no body */
    if (sized && body.len > rq->head.content_length) d->body.len = rq->head.content_length;
    if (status ? refuse_on_fiber(rq, status) : start(rq)) return;
    rq->route = NULL;
    response_error(rq, status ? status : 503);
    d->returned = true;
}

bool trial_is_complete(const struct trial *d)
{
    const struct response *r = &d->rq.response;
    return d->status && !d->rq.cancelled && !r->incomplete && (r->ended || !r->streamed);
}

static enum http_end reason(const struct trial *d)
{
    if (trial_is_complete(d)) return END_DONE;
    if (d->rq.response.incomplete) return END_SERVER;
    return d->rq.cancelled == -ECONNRESET  ? END_CLIENT
           : d->rq.cancelled == -ETIMEDOUT ? END_TIMEOUT
                                           : END_SERVER;
}

void trial_end(struct trial *d)
{
    struct http_context *ctx = d->rq.ctx;
    if (ctx->on_request_done)
        ctx->on_request_done(ctx, &d->rq, client_of(&d->rq), d->content.len, reason(d));
    http_count_end(ctx);
    request_end(&d->rq);
}
