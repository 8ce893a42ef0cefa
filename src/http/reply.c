/* Responses of a kind that many handlers give: JSON, redirects, bodies that are handed over, and
 * what may be sent before and after a response. */

#include "base/radix.h"
#include "http/fields/field.h"
#include "http/response.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

/* ---- whole responses ---- */

torc_slice torc_reason(int status)
{
    return http_reason(status);
}

int torc_reply_json(torc_req *rq, int status, const char *format, ...)
{
    struct radix radix;
    va_list args;
    if (rq->response.unquoted) {
        rq->failed = 503;
        return -ENOMEM;
    }
    radix_begin(&radix);
    va_start(args, format);
    int err = torc_vreplyf(rq, status, response_type_or(rq, "application/json"), format, args);
    va_end(args);
    radix_end(&radix);
    return err;
}

static bool is_redirect(int status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

/* The bytes of a URI reference (RFC 3986, 4.1), and those that browsers send beside them. */
static bool is_reference(slice location)
{
    for (size_t i = 0; i < location.len; i++)
        if (location.ptr[i] <= ' ' || location.ptr[i] > '~') return false;
    return location.len > 0;
}

int torc_redirect(torc_req *rq, int status, torc_slice location)
{
    char note[64];
    if (!is_redirect(status) || !is_reference(location)) return -EINVAL;
    slice reason = http_reason(status);
    int n = snprintf(note, sizeof note, "%d %.*s\n", status, (int)reason.len, reason.ptr);
    int err = torc_set_header(rq, SLICE("Location"), location);
    if (err == 0) err = torc_reply(rq, status, "text/plain", slice_of(note, (size_t)n));
    if (err < 0 && err != -EALREADY) torc_remove_header(rq, SLICE("Location"));
    return err;
}

/* ---- bodies that are handed over ---- */

/* Smaller ones are copied: a reference costs as much. */
enum { COPY_MAX = 8 * 1024 };

static int hand_over(struct torc_req *rq, slice body, struct body_owner owner)
{
    struct response *r = &rq->response;
    r->streamed = false; /* nothing is written to it */
    r->ended = true;
    if (request_gets_body(rq)) return rq->exchange->write_owned(rq, body, owner);
    r->written = body.len;
    body_release(owner);
    return 0;
}

int torc_reply_own(torc_req *rq, int status, const char *type, torc_slice body,
                   void (*release)(void *arg), void *arg)
{
    struct body_owner owner = {release, arg};
    bool copied = body.len <= COPY_MAX;
    int err = copied ? torc_reply(rq, status, type, body)
                     : response_start(rq, status, type, (int64_t)body.len);
    if (err == 0 && !copied) return hand_over(rq, body, owner);
    body_release(owner);
    return err;
}

/* ---- around a response ---- */

void torc_close_after(torc_req *rq)
{
    rq->close_after_response = true;
}

int torc_hint(torc_req *rq, torc_slice link)
{
    static const char name[] = "Link: ";
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    if (rq->response.status) return -EALREADY;
    if (!link.len || !field_value_valid(link)) return -EINVAL;
    size_t size = sizeof name - 1 + link.len + 2;
    char *line = arena_alloc_aligned(&rq->arena, size, 1);
    if (!line) return -ENOMEM;
    char *p = (char *)memcpy(line, name, sizeof name - 1) + sizeof name - 1;
    memcpy(p, link.ptr, link.len);
    memcpy(p + link.len, "\r\n", 2);
    return rq->exchange->interim(rq, 103, slice_of(line, size));
}

/* ---- trailers ---- */

/* Fields that are needed before the body, or could be taken for such (RFC 9110, 6.5.1). */
static bool is_of_head(slice name)
{
    static const slice head[] = {
        SLICE("te"),
        SLICE("age"),
        SLICE("host"),
        SLICE("vary"),
        SLICE("range"),
        SLICE("cookie"),
        SLICE("expect"),
        SLICE("pragma"),
        SLICE("expires"),
        SLICE("trailer"),
        SLICE("location"),
        SLICE("set-cookie"),
        SLICE("retry-after"),
        SLICE("content-type"),
        SLICE("max-forwards"),
        SLICE("authorization"),
        SLICE("cache-control"),
        SLICE("content-range"),
        SLICE("content-encoding"),
        SLICE("www-authenticate"),
        SLICE("proxy-authenticate"),
        SLICE("proxy-authorization"),
    };
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        if (slice_ieq(name, head[i])) return true;
    return false;
}

bool torc_trailers_wanted(const torc_req *rq)
{
    const struct head *h = &rq->head;
    if (h->minor <= 0) return false;
    for (size_t i = 0; i < h->n_fields; i++)
        if (slice_ieq(head_field_name(h, i), SLICE("te")) &&
            token_list_has(head_field_value(h, i), SLICE("trailers")))
            return true;
    return false;
}

int torc_set_trailer(torc_req *rq, torc_slice name, torc_slice value)
{
    struct response *r = &rq->response;
    int err = response_check_field(name, value);
    if (err < 0 || is_of_head(name)) return -EINVAL;
    if (!r->streamed || r->ended) return -EALREADY;
    if (r->length >= 0 || !torc_trailers_wanted(rq)) return -EOPNOTSUPP;
    if (!r->trailers) r->fields_len = 0; /* those of the head have been sent */
    r->trailers = true;
    return response_field(rq, name, value);
}
