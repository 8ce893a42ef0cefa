#include "http/request.h"

#include "base/slice.h"

#include <errno.h>
#include <stdio.h>

/* ---- life ---- */

void request_init(struct torc_req *rq, struct http_context *ctx,
                  const struct exchange_ops *exchange)
{
    rq->exchange = exchange;
    rq->ctx = ctx;
    scope_init(&rq->scope, ctx->io, &ctx->fibers, rq);
    rq->cancelled = rq->body_err = 0;
    rq->response = (struct response){0};
    rq->host = (slice){0};
    rq->arrived = ctx->io->now;
    rq->failed = rq->body_failed = rq->body_taken = 0;
    rq->close_after_response = rq->expect_continue = rq->observed = false;
    list_init(&rq->resources);
    rq->values = NULL;
    rq->groups = NULL;
    rq->askers = NULL;
    arena_init(&rq->arena, rq->inline_memory, sizeof rq->inline_memory,
               ctx->limits->request_memory);
}

void request_end(struct torc_req *rq)
{
    ASSERT(list_empty(&rq->scope.waits) && list_empty(&rq->resources));
    if (UNLIKELY(rq->scope.timed)) scope_detach(&rq->scope);
    arena_reset(&rq->arena);
}

void request_cancel(struct torc_req *rq, int err)
{
    if (rq->cancelled) return;
    rq->cancelled = err;
    scope_cancel(&rq->scope, err);
}

COLD void request_forget(struct torc_req *rq)
{
    rq->target = (struct target){0};
    rq->host = (slice){0};
    rq->route = NULL;
    rq->match.n = 0;
}

COLD void request_reject_head(struct torc_req *rq, int status)
{
    request_forget(rq);
    if (status != 501 || !target_parse_rejected(head_target(&rq->head), &rq->target))
        rq->target = (struct target){0};
}

COLD void request_release_all(struct torc_req *rq)
{
    while (!list_empty(&rq->resources)) {
        struct request_resource *r =
            container_of(rq->resources.next, struct request_resource, link);
        r->release(r);
    }
}

/* ---- accepting a head ---- */

static bool is_host(const char *name)
{
    uint32_t v, lower, host;
    memcpy(&v, name, sizeof v);
    memcpy(&lower, "    ", sizeof lower); /* 0x20 lower-cases ASCII letters */
    memcpy(&host, "host", sizeof host);
    return (v | lower) == host;
}

static bool host_known(struct http_context *ctx, slice host)
{
    if (slice_eq(host, slice_of(ctx->host, ctx->host_len))) return true;
    if (!host_valid(host)) return false;
    if (host.len > 0 && host.len <= sizeof ctx->host) {
        memcpy(ctx->host, host.ptr, host.len);
        ctx->host_len = (uint8_t)host.len;
    }
    return true;
}

/* Whether a list of expectations names nothing but 100-continue, and in *found whether it names
 * that. Empty members are allowed (RFC 9110, 5.6.1), and so is a list of no others. */
__attribute__((noinline)) static bool expectations_known(slice list, bool *found)
{
    static const slice known = SLICE("100-continue");
    slice member;
    while (slice_cut(&list, ',', &member)) {
        member = slice_trim(member);
        if (member.len && !slice_ieq(member, known)) return false;
        *found |= member.len > 0;
    }
    return true;
}

/* Fields from `f` to `end`. */
__attribute__((always_inline)) static inline int check_list(struct torc_req *rq,
                                                            const struct head_field *f,
                                                            const struct head_field *end,
                                                            unsigned *hosts)
{
    const struct head *h = &rq->head;
    const char *text = h->text; /* read once: nothing here changes the head */
    for (; f < end; f++) {
        slice name = slice_of(text + f->name, f->name_len);
        if (name.len == 4 && is_host(name.ptr)) {
            if ((*hosts)++ > 0) return 400;
            rq->host = head_value_at(text, f);
        } else if (name.len == 6 && slice_ieq(name, SLICE("expect")) && h->minor > 0) {
            /* RFC 9110, 10.1.1: ignored in HTTP/1.0. */
            bool found = rq->expect_continue;
            if (!expectations_known(head_value_at(text, f), &found)) return 417;
            rq->expect_continue = found;
        } else if (name.len == 17 && slice_ieq(name, SLICE("transfer-encoding"))) {
            if (!h->chunked) return 400; /* an empty Transfer-Encoding */
        }
    }
    return 0;
}

/* RFC 9112, 3.2: HTTP/1.1 requires exactly one valid Host. */
static int check_hosts(const struct torc_req *rq, unsigned hosts)
{
    if (hosts == 0 && rq->head.minor > 0) return 400;
    return host_known(rq->ctx, rq->host) ? 0 : 400;
}

/* A function of its own: see COLD. */
__attribute__((noinline)) static int check_many(struct torc_req *rq)
{
    const struct head *h = &rq->head;
    const struct head_field *more = h->more_field;
    unsigned hosts = 0;
    int status = check_list(rq, h->own_field, h->own_field + HEAD_OWN_FIELDS, &hosts);
    if (!status) status = check_list(rq, more, more + (h->n_fields - HEAD_OWN_FIELDS), &hosts);
    return status ? status : check_hosts(rq, hosts);
}

static int check_fields(struct torc_req *rq)
{
    const struct head *h = &rq->head;
    if (UNLIKELY(h->n_fields > HEAD_OWN_FIELDS)) return check_many(rq);
    unsigned hosts = 0;
    int status = check_list(rq, h->own_field, h->own_field + h->n_fields, &hosts);
    return status ? status : check_hosts(rq, hosts);
}

/* Rejects a request after which the connection cannot continue. */
static int reject(struct torc_req *rq, int status)
{
    rq->route = NULL;
    rq->close_after_response = true;
    return status;
}

/* Likewise, before its path has been matched: it has no parameters. */
COLD static int reject_early(struct torc_req *rq, int status)
{
    rq->match.n = 0;
    return reject(rq, status);
}

/* The status for parameters of the path that no handler should see: whoever took one for the name
 * of a file would open another. */
static int check_params(const struct torc_req *rq)
{
    for (uint32_t i = 0; i < rq->match.n; i++) {
        enum path_fault fault = path_check(rq->match.param[i].value);
        if (fault != PATH_FINE) return fault == PATH_NUL ? 400 : 404;
    }
    return 0;
}

/* Sets the limits of a body. False if it is too large. */
static bool fits_body(struct torc_req *rq)
{
    const struct route_limits *own = rq->route ? rq->route->limits : NULL;
    const struct http_limits *l = rq->ctx->limits;
    rq->max_body = own && own->max_body ? own->max_body : l->max_body;
    rq->body_timeout = own && own->body_timeout ? own->body_timeout : l->body_timeout;
    return rq->head.content_length <= rq->max_body;
}

COLD static bool is_known(const struct torc_req *rq)
{
    if (rq->head.method < 0) return false;
    return router_knows(rq->ctx->router, (enum http_method)rq->head.method);
}

int request_accept(struct torc_req *rq)
{
    const struct head *h = &rq->head;
    rq->close_after_response = !h->keep_alive;
    if (!target_parse(head_target(h), h->method == HTTP_OPTIONS, &rq->target)) {
        request_forget(rq);
        return reject(rq, h->method < 0 ? 501 : 400); /* CONNECT has its own form of target */
    }
    int status = check_fields(rq);
    if (status) return reject_early(rq, status);
    if (rq->target.host.ptr) rq->host = rq->target.host; /* RFC 9112, 3.2.2 */
    if (UNLIKELY((unsigned)h->method > HTTP_OPTIONS) && !is_known(rq)) return reject_early(rq, 501);
    if (rq->target.asterisk) {
        rq->match.n = 0;
        rq->match.allow = router_methods(rq->ctx->router);
        rq->route = NULL;
        return fits_body(rq) ? 204 : reject(rq, 413);
    }
    enum http_method method = (enum http_method)h->method;
    bool found = router_find(rq->ctx->router, method, rq->target.path, &rq->match);
    rq->route = LIKELY(found) ? rq->match.route : NULL;
    if (h->has_body && !fits_body(rq)) return reject(rq, 413);
    if (UNLIKELY(!found)) return 404;
    if (LIKELY(rq->route != NULL)) return check_params(rq);
    return method == HTTP_OPTIONS ? 204 : 405;
}

slice request_pattern_of(const struct router *r, const struct route *route)
{
    if (!route) return (slice){NULL, 0};
    slice pattern = router_pattern(r, route);
    return pattern.ptr ? pattern : SLICE("torc_every");
}

slice request_pattern(const struct torc_req *rq)
{
    return request_pattern_of(rq->ctx->router, rq->route);
}

static void put_route(slice method, slice pattern, char out[REQUEST_ROUTE])
{
    size_t room = REQUEST_ROUTE - 2 - method.len; /* a method has METHOD_MAX bytes at most */
    if (pattern.len > room) pattern.len = room;
    char *p = slice_copy(out, method.ptr, method.len);
    if (method.len) *p++ = ' ';
    if (pattern.len) p = slice_copy(p, pattern.ptr, pattern.len);
    *p = '\0';
}

void request_route(const struct torc_req *rq, char out[REQUEST_ROUTE])
{
    put_route(rq->head.method_name, request_pattern(rq), out);
}

struct request_label request_label(const struct torc_req *rq)
{
    int method = rq->head.method_name.len ? rq->head.method : -1; /* a request without a client */
    return (struct request_label){rq->ctx->router, rq->route, method};
}

void request_label_put(const struct request_label *l, char out[REQUEST_ROUTE])
{
    slice method = l->method < 0 ? SLICE("") : http_method_name((enum http_method)l->method);
    put_route(method, request_pattern_of(l->router, l->route), out);
}

/* ---- accessors for handlers ---- */

torc_slice torc_method(const torc_req *rq)
{
    return rq->head.method_name;
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

torc_slice torc_peer(const torc_req *rq)
{
    return rq->exchange->peer(rq);
}

torc_slice torc_scheme(const torc_req *rq)
{
    return rq->exchange->is_secure(rq) ? SLICE("https") : SLICE("http");
}

unsigned torc_core(const torc_req *rq)
{
    return rq->ctx->index;
}

torc_slice torc_header(const torc_req *rq, const char *name)
{
    return head_find(&rq->head, slice_str(name));
}

bool torc_header_next(const torc_req *rq, size_t *at, torc_slice *name, torc_slice *value)
{
    if (*at >= rq->head.n_fields) return false;
    *name = head_field_name(&rq->head, *at);
    *value = head_field_value(&rq->head, *at);
    ++*at;
    return true;
}

void *torc_alloc(torc_req *rq, size_t size)
{
    return arena_alloc(&rq->arena, size);
}

/* Decodes into the request's memory; absent for malformed escapes or without memory. */
static slice decode(struct torc_req *rq, slice raw, bool plus)
{
    if (raw.len == 0) return SLICE("");
    char *out = arena_alloc_aligned(&rq->arena, raw.len, 1);
    if (!out) {
        rq->failed = 503; /* not the client's fault */
        http_warn(rq->ctx, WARN_NO_MEMORY, "no memory for a parameter (--request-memory)");
    }
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

int request_take_body(struct torc_req *rq)
{
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    if (rq->body_taken) return -EBUSY;
    if (rq->body_err < 0) return rq->body_err;
    rq->body_taken = true;
    return 0;
}

ssize_t request_read_body(struct torc_req *rq, void *buf, size_t size)
{
    ASSERT(rq->body_taken);
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    if (!rq->head.has_body || size == 0) return 0;
    return rq->exchange->read(rq, buf, size);
}

ssize_t torc_body_read(torc_req *rq, void *buf, size_t size)
{
    ssize_t n = request_take_body(rq);
    if (n < 0) return n;
    n = request_read_body(rq, buf, size);
    request_leave_body(rq);
    return n;
}
