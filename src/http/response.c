#include "http/response.h"

#include "http/fields/field.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

enum { FIELDS_LIMIT = 32 * 1024 }; /* bytes of field lines per response */

/* ---- fields ---- */

static int check_field(slice name, slice value)
{
    /* Framing and connection fields, which the server sets itself; a handler could break both. */
    static const slice own[] = {
        SLICE("server"),         SLICE("date"),
        SLICE("content-length"), SLICE("transfer-encoding"),
        SLICE("connection"),     SLICE("keep-alive"),
        SLICE("upgrade"),        SLICE("trailer"),
    };
    if (!field_name_valid(name) || !field_value_valid(value)) return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (slice_ieq(name, own[i])) return -EINVAL;
    return 0;
}

int response_field(struct torc_req *rq, slice name, slice value)
{
    struct response *r = &rq->response;
    size_t need = name.len + value.len + 4;
    if (need > FIELDS_LIMIT || r->fields_len + need > FIELDS_LIMIT) return -ENOMEM;
    if (r->fields_len + need > r->fields_cap) {
        uint32_t cap = r->fields_cap ? r->fields_cap * 2 : 256;
        while (cap < r->fields_len + need) cap *= 2;
        char *fields = arena_alloc_aligned(&rq->arena, cap, 1);
        if (!fields) return -ENOMEM;
        if (r->fields_len) memcpy(fields, r->fields, r->fields_len);
        r->fields = fields;
        r->fields_cap = cap;
    }
    char *p = r->fields + r->fields_len;
    memcpy(p, name.ptr, name.len);
    p += name.len;
    memcpy(p, ": ", 2);
    memcpy(p + 2, value.ptr, value.len);
    memcpy(p + 2 + value.len, "\r\n", 2);
    r->fields_len += (uint32_t)need;
    return 0;
}

int torc_set_header(torc_req *rq, torc_slice name, torc_slice value)
{
    if (rq->response.status) return -EALREADY;
    int err = check_field(name, value);
    return err < 0 ? err : response_field(rq, name, value);
}

/* ---- starting ---- */

/* Inlined; otherwise every response would pay for registers saved for the error paths. */
__attribute__((always_inline)) static inline int response_begin(struct torc_req *rq, int status,
                                                                const char *type_text,
                                                                int64_t length)
{
    struct response *r = &rq->response;
    slice type = type_text ? slice_str(type_text) : (slice){NULL, 0};
    if (r->status) return -EALREADY;
    if (status < 200 || status > 599) return -EINVAL;
    if (!field_value_valid(type)) return -EINVAL;
    r->status = status;
    r->type = type;
    r->length = length;
    return 0;
}

/* A response that could not be sent does not count as given. */
static int reset_on_error(struct torc_req *rq, int err)
{
    if (err < 0) {
        rq->response.status = 0;
        rq->response.error = err;
    }
    return err;
}

/* Keeps the reason for the operator, who is told if there is no other response. */
static int fail(struct torc_req *rq, int err)
{
    rq->response.error = err;
    return err;
}

int torc_reply(torc_req *rq, int status, const char *type, torc_slice body)
{
    int err = response_begin(rq, status, type, (int64_t)body.len);
    if (err < 0) return fail(rq, err);
    rq->response.written = body.len;
    rq->response.ended = true;
    return reset_on_error(rq, rq->exchange->respond(rq, body));
}

int torc_replyf(torc_req *rq, int status, const char *format, ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) return fail(rq, -EINVAL);
    char *text = small;
    if ((size_t)n >= sizeof small) {
        text = torc_alloc(rq, (size_t)n + 1);
        if (!text) return fail(rq, -ENOMEM);
        va_start(args, format);
        vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
    }
    return torc_reply(rq, status, "text/plain", slice_of(text, (size_t)n));
}

int torc_reply_error(torc_req *rq, int status)
{
    slice reason = http_reason(status);
    return torc_replyf(rq, status, "%d %.*s\n", status, (int)reason.len, reason.ptr);
}

void response_error(struct torc_req *rq, int status)
{
    char allow[64];
    if (status == 405 || (status == 204 && rq->head.method == HTTP_OPTIONS))
        response_field(rq, SLICE("Allow"),
                       slice_of(allow, http_allow(rq->match.allow, allow, sizeof allow)));
    if (status == 503) response_field(rq, SLICE("Retry-After"), SLICE("1"));
    if (status == 204)
        torc_reply(rq, 204, NULL, SLICE(""));
    else
        torc_reply_error(rq, status);
}

int torc_start(torc_req *rq, int status, const char *type, int64_t length)
{
    int err = response_begin(rq, status, type, length < 0 ? -1 : length);
    if (err < 0) return fail(rq, err);
    rq->response.streamed = rq->response.in_parts = true;
    return reset_on_error(rq, rq->exchange->respond(rq, SLICE("")));
}

/* ---- streaming ---- */

static int check_room(struct torc_req *rq, uint64_t size)
{
    struct response *r = &rq->response;
    if (!r->streamed || r->ended) return -EINVAL;
    if (r->length >= 0 && size > (uint64_t)r->length - r->written) return -EINVAL;
    return 0;
}

/* The body of a response that has none, as to HEAD. */
static int write_nothing(struct torc_req *rq, uint64_t size)
{
    rq->response.written += size;
    return 0;
}

int torc_write(torc_req *rq, const void *data, size_t size)
{
    int err = check_room(rq, size);
    if (err < 0 || size == 0) return err;
    return request_gets_body(rq) ? rq->exchange->write(rq, data, size) : write_nothing(rq, size);
}

int response_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    int err = check_room(rq, size);
    if (err < 0 || size == 0) return err;
    return request_gets_body(rq) ? rq->exchange->write_file(rq, fd, offset, size)
                                 : write_nothing(rq, size);
}

int response_write_ref(struct torc_req *rq, const void *bytes, size_t size)
{
    int err = check_room(rq, size);
    if (err < 0 || size == 0) return err;
    return request_gets_body(rq) ? rq->exchange->write_ref(rq, bytes, size)
                                 : write_nothing(rq, size);
}

int torc_end(torc_req *rq)
{
    if (!rq->response.streamed) return -EINVAL;
    if (rq->response.ended) return 0;
    rq->response.ended = true;
    return rq->exchange->end(rq);
}
