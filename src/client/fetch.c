#include "client/fetch.h"

#include "base/list.h"
#include "http/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_FIRST = 4096,        /* bytes of memory for a whole body, at first */
    TOGETHER_MAX = 64 * 1024, /* of a request's body that is sent with its head */
    BODY_MAX = 1 << 20,       /* options.max_body by default */
    DISCARD_READS = 4,        /* of the body of a redirect; then its connection is closed */
    CHUNK_LINE = 20,
};

/* ---- what the parser finds ---- */

static struct fetch *fetch_of(struct response_parser *p)
{
    return container_of(p, struct fetch, parser);
}

static void on_name(struct response_parser *p, slice piece)
{
    field_list_add_name(&fetch_of(p)->fields, piece);
}

static void on_value(struct response_parser *p, slice piece)
{
    field_list_add_value(&fetch_of(p)->fields, piece);
}

static void on_interim(struct response_parser *p)
{
    field_list_clear(&fetch_of(p)->fields);
}

/* Nobody may chunk a body twice (RFC 9112, 6.1): where this one ends is in doubt. Other codings
 * need a TE that was not sent (RFC 9110, 10.1.4); what is in them is not the body. */
static bool accepts_head(struct response_parser *p)
{
    const struct field_list *l = &fetch_of(p)->fields;
    unsigned chunked = 0, others = 0;
    for (size_t i = 0; i < l->n; i++) {
        slice rest = field_list_value(l, i), coding;
        if (!slice_ieq(field_list_name(l, i), SLICE("transfer-encoding"))) continue;
        while (slice_cut(&rest, ',', &coding)) {
            coding = slice_trim(coding);
            bool known = slice_ieq(coding, SLICE("chunked"));
            chunked += known;
            others += !known && coding.len > 0;
        }
    }
    return chunked <= 1 && others == 0;
}

/* The body goes over the bytes that have been parsed, which are more. */
static void on_body(struct response_parser *p, slice piece)
{
    struct fetch *f = fetch_of(p);
    memmove(f->sink + f->sink_len, piece.ptr, piece.len);
    f->sink_len += piece.len;
}

static void begin_response(struct fetch *f)
{
    f->parser.on_body = on_body;
    f->parser.on_field_name = on_name;
    f->parser.on_field_value = on_value;
    f->parser.on_interim = on_interim;
    f->parser.accepts_head = accepts_head;
    response_parser_begin(&f->parser, slice_eq(f->method, SLICE("HEAD")));
    field_list_clear(&f->fields);
    f->head_bytes = f->early_at = f->early_len = 0;
    f->cut = false;
}

/* ---- the connection ---- */

/* The response is complete, or nobody wants it any more. */
static void end_sender(struct fetch *f)
{
    f->sending = false;
    scope_cancel(&f->sender.scope, -ECANCELED);
    if (group_join(&f->sender) < 0) f->cut = true;
}

static void give_back(struct fetch *f, bool keep)
{
    if (f->sending) end_sender(f);
    struct pool_conn *c = f->conn;
    f->conn = NULL;
    if (c) pool_give(c, keep && !f->cut);
}

static int fail(struct fetch *f, int err)
{
    give_back(f, false);
    f->state = FETCH_FAILED;
    f->error = err;
    return err;
}

static bool has_come(const struct fetch *f)
{
    return f->head_bytes || f->conn->stream->unread_len;
}

/* The request was refused with -EPIPE. What the peer has sent before may still be in the socket, so
 * it is read, whatever has come so far; unless nobody knows whether that read would end. */
static bool may_have_responded(const struct fetch *f)
{
    return has_come(f) || stream_has_ended(f->conn->stream);
}

/* Whether to send the request once more, where its connection was dead when it was taken. */
static bool repeat(struct fetch *f, const struct scope *scope)
{
    if (scope->cancelled || !f->reused || f->repeated || !fetch_is_repeatable(f)) return false;
    f->repeated = true;
    counter_add(&f->pool->stats->upstream_repeated, 1);
    give_back(f, false);
    return true;
}

static bool repeats(struct fetch *f, const struct scope *scope, int err)
{
    if (err == -ENOMEM || err == -EBUSY || !f->conn || has_come(f)) return false;
    return repeat(f, scope);
}

/* Some servers say so where they close an idle connection; the request has crossed that on its way
 * (RFC 9110, 15.5.9). */
static bool repeats_after_timeout(struct fetch *f, const struct scope *scope)
{
    return f->parser.status == 408 && repeat(f, scope);
}

/* ---- receiving ---- */

/* Parses n bytes at `at`, and leaves there what is of the body. */
static int feed(struct fetch *f, char *at, size_t n)
{
    f->sink = at;
    f->sink_len = 0;
    size_t used = response_parser_parse(&f->parser, slice_of(at, n));
    if (f->parser.is_excessive) return -EMSGSIZE;
    if (f->parser.state == RESPONSE_ERROR) return -EBADMSG;
    if (f->parser.state == RESPONSE_DONE) give_back(f, f->parser.keep_alive && used == n);
    return 0;
}

/* The peer has ended its stream. */
static int feed_end(struct fetch *f)
{
    response_parser_end(&f->parser);
    if (f->parser.state != RESPONSE_DONE) return -EPIPE;
    give_back(f, false);
    return 0;
}

/* No more than the head may have is read before it is complete, however it comes. */
static int read_head(struct fetch *f, struct scope *scope)
{
    while (f->parser.state == RESPONSE_HEAD) {
        size_t left = f->max_head - f->head_bytes, size = sizeof f->in;
        if (left == 0) return -E2BIG;
        ssize_t n = stream_read(scope, f->conn->stream, f->in, left < size ? left : size);
        if (n <= 0) return n < 0 ? (int)n : -EPIPE;
        f->head_bytes += (size_t)n;
        int err = feed(f, f->in, (size_t)n);
        if (err < 0) return err;
        if (f->fields.failed) return -ENOMEM;
        f->early_len = f->sink_len;
    }
    return 0;
}

static ssize_t read_body(struct fetch *f, struct scope *scope, char *buf, size_t size)
{
    if (f->early_at < f->early_len) {
        size_t left = f->early_len - f->early_at, n = left < size ? left : size;
        memcpy(buf, f->in + f->early_at, n);
        f->early_at += n;
        return (ssize_t)n;
    }
    while (f->parser.state == RESPONSE_BODY && size > 0) {
        ssize_t n = stream_read(scope, f->conn->stream, buf, size);
        if (n < 0) return n;
        int err = n ? feed(f, buf, (size_t)n) : feed_end(f);
        if (err < 0) return err;
        if (n && f->sink_len) return (ssize_t)f->sink_len;
    }
    return 0;
}

/* ---- sending ---- */

static int send_body(void *ctx, void *arg)
{
    struct fetch *f = ctx;
    slice body = f->options.body;
    (void)arg;
    return stream_write(&f->sender.scope, f->conn->stream, body.ptr, body.len);
}

/* A server may respond while it reads: if nobody read the response, neither side could go on.
 * Whether a fiber could be started for that. */
static bool send_concurrently(struct fetch *f, struct scope *scope)
{
    group_init(&f->sender, scope);
    f->sending = group_spawn(&f->sender, send_body, f, NULL) == 0;
    return f->sending;
}

static int send_request(struct fetch *f, struct scope *scope)
{
    struct stream *s = f->conn->stream;
    slice body = f->without_body ? SLICE("") : f->options.body;
    bool together = body.len <= TOGETHER_MAX;
    struct iovec part[] = {{f->out.text, f->out.len},
                           {(void *)(uintptr_t)body.ptr, together ? body.len : 0}};
    counter_add(&f->pool->stats->upstream_requests, 1);
    int err = stream_send(scope, s, part, 2);
    if (err < 0 || together || (f->whole && send_concurrently(f, scope))) return err;
    return stream_write(scope, s, body.ptr, body.len);
}

static int take(struct fetch *f, struct scope *scope)
{
    char to[URL_HOST_MAX + 4];
    const char *instead = f->options.connect_to;
    if (!instead) url_address(f->url.host, to);
    int err = pool_take(f->pool, scope, instead ? instead : to, f->repeated, &f->conn);
    f->reused = err == 0 && f->conn->reused;
    return err;
}

/* A server may respond, and close, before it has read the whole request: then the response
 * counts. */
static int send_anew(struct fetch *f, struct scope *scope)
{
    int err;
    do {
        err = take(f, scope);
        if (err < 0) return err;
        begin_response(f);
        err = send_request(f, scope);
        f->cut |= err < 0;
        if (err == -EPIPE && may_have_responded(f)) err = read_head(f, scope);
    } while (err < 0 && repeats(f, scope, err));
    return err;
}

int fetch_prepare(struct fetch *f)
{
    const torc_fetch_options *o = &f->options;
    f->method = slice_str(o->method ? o->method : "GET");
    if (!o->body.ptr) f->options.body.len = 0;
    if (!o->url) return -EINVAL;
    int err = url_parse(slice_str(o->url), &f->url);
    return err < 0 ? err : fetch_check(f);
}

int fetch_start(struct fetch *f, struct scope *scope)
{
    int err = fetch_put_head(f);
    if (err == 0) err = send_anew(f, scope);
    if (err < 0) return fail(f, err);
    f->state = f->options.streamed ? FETCH_STREAMING : FETCH_SENT;
    if (f->options.streamed && f->options.length > 0) f->body_left = (uint64_t)f->options.length;
    return 0;
}

/* ---- a streamed body ---- */

static bool is_chunked(const struct fetch *f)
{
    return f->options.length < 0;
}

static int send_piece(struct fetch *f, struct scope *scope, const void *data, size_t size)
{
    char line[CHUNK_LINE];
    if (!is_chunked(f)) return stream_write(scope, f->conn->stream, data, size);
    int n = snprintf(line, sizeof line, "%zx\r\n", size);
    struct iovec part[] = {
        {line, (size_t)n}, {(void *)(uintptr_t)data, size}, {(void *)(uintptr_t) "\r\n", 2}};
    return stream_send(scope, f->conn->stream, part, 3);
}

int fetch_write(struct fetch *f, struct scope *scope, const void *data, size_t size)
{
    enum { PIECE = 1 << 30 };
    const char *at = data;
    if (f->state == FETCH_FAILED) return f->error;
    if (f->state != FETCH_STREAMING) return -EINVAL;
    if (f->cut) return -EPIPE;
    if (!is_chunked(f) && size > f->body_left) return -EINVAL;
    while (size > 0) {
        size_t n = size < PIECE ? size : PIECE;
        int err = send_piece(f, scope, at, n);
        f->cut |= err < 0;
        if (err < 0) return err == -EPIPE ? err : fail(f, err);
        if (!is_chunked(f)) f->body_left -= n;
        at += n;
        size -= n;
    }
    return 0;
}

static int end_body(struct fetch *f, struct scope *scope)
{
    if (f->cut) return 0;
    if (!is_chunked(f)) return f->body_left ? -EINVAL : 0;
    int err = stream_write(scope, f->conn->stream, "0\r\n\r\n", 5);
    f->cut = err < 0;
    return err == -EPIPE && may_have_responded(f) ? 0 : err;
}

/* ---- the response ---- */

/* Reads what has come of a short body, so that the connection can be kept if that is all of it.
 * Nobody needs the body, so nobody waits for it. */
static void discard_body(struct fetch *f, struct scope *scope)
{
    f->early_len = 0;
    for (int i = 0; i < DISCARD_READS && f->conn && f->conn->stream->unread_len; i++) {
        ssize_t n = stream_read(scope, f->conn->stream, f->in, sizeof f->in);
        if (n < 0 || feed(f, f->in, (size_t)n) < 0) break;
    }
    give_back(f, false);
}

static int follow(struct fetch *f, struct scope *scope)
{
    int err = fetch_redirect(f);
    if (err < 0) return err;
    discard_body(f, scope);
    f->repeated = false;
    err = fetch_put_head(f);
    if (err == 0) err = send_anew(f, scope);
    return err == -EINVAL ? -EBADMSG : err; /* the server has named this address, not the handler */
}

static int await_response(struct fetch *f, struct scope *scope)
{
    for (;;) {
        int err = read_head(f, scope);
        if (err < 0 ? repeats(f, scope, err) : repeats_after_timeout(f, scope))
            err = send_anew(f, scope);
        else if (err == 0 && fetch_is_redirect(f))
            err = follow(f, scope);
        else
            return err;
        if (err < 0) return err;
    }
}

int fetch_response(struct fetch *f, struct scope *scope)
{
    int err = 0;
    if (f->state == FETCH_FAILED) return f->error;
    if (f->state == FETCH_HEAD) return f->parser.status;
    if (f->state == FETCH_STREAMING) err = end_body(f, scope);
    if (err == 0) err = await_response(f, scope);
    if (err < 0) return fail(f, err);
    f->state = FETCH_HEAD;
    return f->parser.status;
}

ssize_t fetch_read(struct fetch *f, struct scope *scope, void *buf, size_t size)
{
    if (f->state == FETCH_FAILED) return f->error;
    if (f->state != FETCH_HEAD) return -EINVAL;
    ssize_t n = read_body(f, scope, buf, size);
    return n < 0 ? fail(f, (int)n) : n;
}

static int grow_body(struct fetch *f, size_t *cap, size_t most)
{
    size_t more = *cap ? *cap * 2 : BODY_FIRST;
    if (*cap > most) return -EMSGSIZE;
    if (more > most) more = most + 1; /* one byte too many shows that the body is too large */
    char *body = realloc(f->body, more);
    if (!body) return -ENOMEM;
    f->body = body;
    *cap = more;
    return 0;
}

static int read_all(struct fetch *f, struct scope *scope)
{
    size_t cap = 0, most = f->options.max_body ? f->options.max_body : BODY_MAX;
    for (;;) {
        int err = f->body_len == cap ? grow_body(f, &cap, most) : 0;
        if (err < 0) return fail(f, err);
        ssize_t n = fetch_read(f, scope, f->body + f->body_len, cap - f->body_len);
        if (n <= 0) return (int)n;
        f->body_len += (size_t)n;
        if (f->body_len > most) return fail(f, -EMSGSIZE);
    }
}

int fetch_whole(struct fetch *f, struct scope *scope)
{
    f->whole = true;
    int err = fetch_start(f, scope);
    if (err == 0) err = fetch_response(f, scope);
    return err < 0 ? err : read_all(f, scope);
}

void fetch_end(struct fetch *f)
{
    give_back(f, false);
    head_text_free(&f->out);
    field_list_free(&f->fields);
    free(f->own_url);
    free(f->body);
}
