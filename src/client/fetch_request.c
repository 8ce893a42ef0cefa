/* The request of a fetch: what it may be, and its head. */

#include "client/fetch.h"

#include "http/fields/field.h"
#include "http/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Fields that torc sets itself, or that ask for what it does not do. */
static bool is_own(slice name)
{
    static const slice own[] = {
        SLICE("host"),       SLICE("connection"), SLICE("content-length"),
        SLICE("keep-alive"), SLICE("upgrade"),    SLICE("transfer-encoding"),
        SLICE("trailer"),    SLICE("te"),         SLICE("expect"),
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (slice_ieq(name, own[i])) return true;
    return false;
}

int fetch_check(const struct fetch *f)
{
    const torc_fetch_options *o = &f->options;
    if (!field_name_valid(f->method) || slice_eq(f->method, SLICE("CONNECT"))) return -EINVAL;
    if (o->streamed && o->body.ptr) return -EINVAL;
    for (size_t i = 0; i < o->n_fields; i++) {
        const torc_field *field = &o->fields[i];
        if (!field_name_valid(field->name) || !field_value_valid(field->value)) return -EINVAL;
        if (is_own(field->name)) return -EINVAL;
    }
    return 0;
}

static bool is_one_of(slice s, const slice *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(s, list[i])) return true;
    return false;
}

bool fetch_is_repeatable(const struct fetch *f)
{
    /* RFC 9110, 9.2.2. */
    static const slice idempotent[] = {SLICE("GET"),   SLICE("HEAD"), SLICE("OPTIONS"),
                                       SLICE("TRACE"), SLICE("PUT"),  SLICE("DELETE")};
    if (f->options.streamed) return false;
    return f->options.repeatable || is_one_of(f->method, idempotent, ARRAY_LEN(idempotent));
}

/* ---- the head ---- */

/* What is secret between the handler and the server that it has named. */
static bool is_credential(slice name)
{
    return slice_ieq(name, SLICE("authorization")) || slice_ieq(name, SLICE("cookie")) ||
           slice_ieq(name, SLICE("proxy-authorization"));
}

/* Whether a field of the first request belongs into one that follows a redirect. */
static bool survives(const struct fetch *f, slice name)
{
    if (f->crossed && is_credential(name)) return false;
    return !f->without_body || name.len < 8 || !slice_ieq(slice_of(name.ptr, 8), SLICE("content-"));
}

/* Whether the handler sets such a field itself. */
static bool has_field(const struct fetch *f, slice name)
{
    for (size_t i = 0; i < f->options.n_fields; i++)
        if (slice_ieq(f->options.fields[i].name, name)) return true;
    return false;
}

/* Each request is a span of its own, one that follows a redirect, too. All lines of tracestate are
 * one list, whose order counts; without a trace it means nothing. */
static void put_trace(struct fetch *f)
{
    static const slice parent = SLICE("traceparent"), state = SLICE("tracestate");
    char text[TORC_TRACE_PARENT];
    if (!f->rq || f->options.no_trace || has_field(f, parent)) return;
    if (!torc_trace_parent(f->rq, text)) return;
    head_text_field(&f->out, parent, slice_str(text));
    const struct head *h = &f->rq->head;
    for (size_t i = 0; i < h->n_fields && !has_field(f, state); i++)
        if (slice_ieq(head_field_name(h, i), state) && head_field_value(h, i).len)
            head_text_field(&f->out, state, head_field_value(h, i));
}

static void put_fields(struct fetch *f)
{
    for (size_t i = 0; i < f->options.n_fields; i++) {
        const torc_field *field = &f->options.fields[i];
        if (!survives(f, field->name)) continue;
        slice value = field->value.ptr ? field->value : SLICE("");
        head_text_field(&f->out, field->name, value);
    }
    put_trace(f);
}

static void put_length(struct fetch *f, uint64_t length)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRIu64, length);
    head_text_field(&f->out, SLICE("Content-Length"), slice_of(text, (size_t)n));
}

/* Methods whose request without a body says so (RFC 9110, 8.6). */
static bool expects_body(slice method)
{
    static const slice with[] = {SLICE("POST"), SLICE("PUT"), SLICE("PATCH")};
    return is_one_of(method, with, ARRAY_LEN(with));
}

static void put_framing(struct fetch *f)
{
    const torc_fetch_options *o = &f->options;
    if (o->streamed && o->length < 0)
        head_text_field(&f->out, SLICE("Transfer-Encoding"), SLICE("chunked"));
    else if (o->streamed)
        put_length(f, (uint64_t)o->length);
    else if (o->body.ptr && !f->without_body)
        put_length(f, o->body.len);
    else if (expects_body(f->method))
        put_length(f, 0);
}

int fetch_put_head(struct fetch *f)
{
    bool rooted = f->url.target.len && f->url.target.ptr[0] == '/';
    head_text_clear(&f->out);
    head_text_add(&f->out, f->method);
    head_text_add(&f->out, rooted ? SLICE(" ") : SLICE(" /"));
    head_text_add(&f->out, f->url.target);
    head_text_add(&f->out, SLICE(" HTTP/1.1\r\n"));
    head_text_field(&f->out, SLICE("Host"), f->url.host);
    put_fields(f);
    put_framing(f);
    head_text_add(&f->out, SLICE("\r\n"));
    return f->out.failed ? -ENOMEM : 0;
}
