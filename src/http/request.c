#include "http/request.h"

#include "base/slice.h"
#include "http/file.h"

#include <errno.h>

/* ---- life ---- */

void request_init(struct torc_req *rq, struct http_context *core, struct conn *conn,
                  const struct exchange_ops *exchange)
{
    rq->exchange = exchange;
    rq->core = core;
    rq->conn = conn;
    scope_init(&rq->scope, core->io, &core->fibers);
    rq->response = (struct response){0};
    rq->host = (slice){0};
    rq->arrived = core->io->now;
    rq->failed = 0;
    rq->method = -1;
    rq->keep_alive = rq->has_body = rq->expect_continue = false;
    rq->started = rq->returned = rq->parked = false;
    list_init(&rq->files);
    rq->groups = NULL;
    arena_init(&rq->arena, rq->inline_memory, sizeof rq->inline_memory,
               core->limits->request_memory);
    parser_init(&rq->parser, &rq->arena, rq->inline_text, sizeof rq->inline_text);
}

void request_end(struct torc_req *rq)
{
    ASSERT(list_empty(&rq->scope.waits));
    if (!list_empty(&rq->files)) file_close_all(rq);
    arena_reset(&rq->arena);
}

/* ---- accepting a head ---- */

static bool is_host(const char *name)
{
    uint32_t v, lower, host;
    memcpy(&v, name, sizeof v);
    memcpy(&lower, "    ", sizeof lower); /* the bit that makes an ASCII letter small */
    memcpy(&host, "host", sizeof host);
    return (v | lower) == host;
}

static bool host_known(struct http_context *core, slice host)
{
    if (slice_eq(host, slice_of(core->host, core->host_len))) return true;
    if (!host_valid(host)) return false;
    if (host.len > 0 && host.len <= sizeof core->host) {
        memcpy(core->host, host.ptr, host.len);
        core->host_len = (uint8_t)host.len;
    }
    return true;
}

/* RFC 9112, 3.2: exactly one Host in HTTP/1.1, and a valid one. */
static int check_fields(struct torc_req *rq)
{
    const struct parser *p = &rq->parser;
    unsigned hosts = 0;
    for (size_t i = 0; i < p->n_fields; i++) {
        slice name = field_name(p, i);
        if (name.len == 4 && is_host(name.ptr)) {
            if (hosts++ > 0) return 400;
            rq->host = field_value(p, i);
        } else if (name.len == 6 && slice_ieq(name, SLICE("expect")) && p->minor > 0) {
            /* RFC 9110, 10.1.1; a 1.0 client's is ignored. */
            if (!slice_ieq(field_value(p, i), SLICE("100-continue"))) return 417;
            rq->expect_continue = true;
        } else if (name.len == 17 && slice_ieq(name, SLICE("transfer-encoding"))) {
            if (!p->chunked) return 400; /* an empty one */
        }
    }
    if (hosts == 0 && p->minor > 0) return 400;
    return host_known(rq->core, rq->host) ? 0 : 400;
}

int request_accept(struct torc_req *rq)
{
    const struct parser *p = &rq->parser;
    rq->method = (int8_t)http_method_of(parser_method(p));
    rq->has_body = p->state == PARSE_BODY;
    rq->keep_alive = p->keep_alive;
    if (!target_parse(parser_target(p), rq->method == HTTP_OPTIONS, &rq->target)) {
        rq->keep_alive = false;
        return rq->method < 0 ? 501 : 400; /* CONNECT has a form of target to itself */
    }
    int status = check_fields(rq);
    if (status) {
        rq->keep_alive = false;
        return status;
    }
    if (rq->target.host.ptr) rq->host = rq->target.host; /* RFC 9112, 3.2.2 */
    if (rq->has_body && p->content_length > rq->core->limits->max_body) {
        rq->keep_alive = false;
        return 413;
    }
    if (rq->method < 0) {
        rq->keep_alive = false;
        return 501;
    }
    if (rq->target.asterisk) {
        rq->match.allow = (1u << HTTP_METHODS) - 1;
        return 204;
    }
    if (!router_find(rq->core->router, (enum http_method)rq->method, rq->target.path, &rq->match))
        return 404;
    rq->route = rq->match.route;
    if (rq->route) return 0;
    return rq->method == HTTP_OPTIONS ? 204 : 405;
}

/* What was made of a body that came to nothing is not whole either; only without an end to it can
 * the client tell. */
static void request_cut(struct torc_req *rq)
{
    rq->response.ended = true;
    rq->keep_alive = false;
}

struct torc_group {
    struct group group;
    struct torc_req *rq;
    struct torc_group *next; /* of the same request */
};

/* What still runs for the request has to end before its memory does. */
static void join_groups(struct torc_req *rq)
{
    struct torc_group *joined = NULL;
    while (rq->groups != joined) { /* a member may open another */
        struct torc_group *newest = rq->groups;
        for (struct torc_group *g = newest; g != joined; g = g->next) group_join(&g->group);
        joined = newest;
    }
}

void request_run(struct torc_req *rq)
{
    rq->route->fn(rq, rq->route->arg);
    if (rq->groups) join_groups(rq);
    if (!rq->response.status)
        torc_reply_error(rq, rq->failed ? rq->failed : 500);
    else if (rq->response.streamed && !rq->response.ended && rq->failed)
        request_cut(rq);
    else if (rq->response.streamed && !rq->response.ended)
        torc_end(rq);
}

/* ---- what a handler asks ---- */

torc_slice torc_method(const torc_req *rq)
{
    return parser_method(&rq->parser);
}

torc_slice torc_path(const torc_req *rq)
{
    return rq->target.path;
}

torc_slice torc_query(const torc_req *rq)
{
    return rq->target.query;
}

torc_slice torc_host(const torc_req *rq)
{
    return rq->host;
}

unsigned torc_core(const torc_req *rq)
{
    return rq->core->index;
}

slice request_header(const struct torc_req *rq, slice name)
{
    for (size_t i = 0; i < rq->parser.n_fields; i++)
        if (slice_ieq(field_name(&rq->parser, i), name)) return field_value(&rq->parser, i);
    return (slice){NULL, 0};
}

torc_slice torc_header(const torc_req *rq, const char *name)
{
    return request_header(rq, slice_str(name));
}

bool torc_header_next(const torc_req *rq, size_t *at, torc_slice *name, torc_slice *value)
{
    if (*at >= rq->parser.n_fields) return false;
    *name = field_name(&rq->parser, *at);
    *value = field_value(&rq->parser, *at);
    ++*at;
    return true;
}

void *torc_alloc(torc_req *rq, size_t size)
{
    return arena_alloc(&rq->arena, size);
}

/* Decoded into the request's memory; absent where the escapes are malformed or memory is out. */
static slice decode(struct torc_req *rq, slice raw, bool plus)
{
    if (raw.len == 0) return SLICE("");
    char *out = arena_alloc_aligned(&rq->arena, raw.len, 1);
    if (!out) rq->failed = 503; /* it is not the client's fault */
    int n = out ? percent_decode(raw, out, plus) : -1;
    return n < 0 ? (slice){NULL, 0} : slice_of(out, (size_t)n);
}

torc_slice torc_param(const torc_req *rq, const char *name)
{
    slice want = slice_str(name);
    for (uint32_t i = 0; i < rq->match.n; i++)
        if (slice_eq(rq->match.param[i].name, want))
            return decode((torc_req *)(uintptr_t)rq, rq->match.param[i].value, false);
    return (slice){NULL, 0};
}

bool torc_query_next(torc_req *rq, size_t *at, torc_slice *name, torc_slice *value)
{
    slice query = rq->target.query, rest;
    if (!query.ptr || *at > query.len) return false;
    rest = slice_skip(query, *at);
    slice raw_name, raw_value;
    if (!query_next(&rest, &raw_name, &raw_value)) {
        *at = query.len + 1;
        return false;
    }
    *at = rest.ptr ? (size_t)(rest.ptr - query.ptr) : query.len + 1;
    *name = decode(rq, raw_name, true);
    *value = raw_value.ptr ? decode(rq, raw_value, true) : SLICE("");
    return true;
}

torc_slice torc_query_param(torc_req *rq, const char *name)
{
    slice want = slice_str(name), n, v;
    for (size_t at = 0; torc_query_next(rq, &at, &n, &v);)
        if (n.ptr && slice_eq(n, want)) return v;
    return (slice){NULL, 0};
}

/* ---- body ---- */

ssize_t torc_body_read(torc_req *rq, void *buf, size_t size)
{
    if (!rq->has_body || size == 0) return 0;
    return rq->exchange->read(rq, buf, size);
}

static int too_large(struct torc_req *rq)
{
    rq->failed = 413; /* unless the handler finds another answer */
    return -ENOMEM;
}

int torc_body_all(torc_req *rq, torc_slice *body)
{
    uint64_t length = rq->parser.content_length;
    size_t cap = length ? (size_t)length : 4096, len = 0;
    char *p = arena_alloc(&rq->arena, cap);
    if (!p) return too_large(rq);
    for (;;) {
        if (len == cap) {
            if (length) break;
            char *more = arena_extend(&rq->arena, p, cap, cap);
            if (!more) return too_large(rq);
            p = more;
            cap *= 2;
        }
        ssize_t n = torc_body_read(rq, p + len, cap - len);
        if (n < 0) return (int)n;
        if (n == 0) break;
        len += (size_t)n;
    }
    *body = slice_of(p, len);
    return 0;
}

/* ---- waiting ---- */

int torc_sleep(torc_req *rq, unsigned ms)
{
    return scope_sleep(&rq->scope, ms * NS_PER_MS);
}

torc_group *torc_group_open(torc_req *rq)
{
    struct torc_group *g = arena_alloc(&rq->arena, sizeof *g);
    if (!g) return NULL;
    group_init(&g->group, &rq->scope);
    g->rq = rq;
    g->next = rq->groups;
    rq->groups = g;
    return g;
}

struct task {
    torc_task *fn;
    torc_req *rq;
    void *arg;
};

static int run_task(void *ctx, void *arg)
{
    (void)arg;
    struct task t =
        *(struct task *)ctx; /* the spawner's stack goes on when this fiber first waits */
    return t.fn(t.rq, t.arg);
}

int torc_spawn(torc_group *g, torc_task *fn, void *arg)
{
    struct task t = {fn, g->rq, arg};
    return group_spawn(&g->group, run_task, &t, NULL);
}

int torc_group_join(torc_group *g)
{
    return group_join(&g->group);
}
