#include "http/response.h"

#include "http/error_handler.h"
#include "http/fields/field.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

enum { PAUSE_EVERY = 64 * 1024 }; /* bytes of a body that is left out */

/* ---- fields ---- */

int response_check_field(slice name, slice value)
{
    /* Framing and connection fields, which the server sets itself; a handler could break both. */
    static const slice own[] = {
        SLICE("server"),         SLICE("date"),
        SLICE("content-length"), SLICE("transfer-encoding"),
        SLICE("connection"),     SLICE("keep-alive"),
        SLICE("upgrade"),
    };
    if (!field_name_valid(name) || !field_value_valid(value)) return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (slice_ieq(name, own[i])) return -EINVAL;
    return 0;
}

/* Fields that hold one value, so that a second line would contradict the first (RFC 9110, 5.3). */
static bool is_single(slice name)
{
    static const slice single[] = {
        SLICE("age"),
        SLICE("etag"),
        SLICE("expires"),
        SLICE("refresh"),
        SLICE("location"),
        SLICE("retry-after"),
        SLICE("content-type"),
        SLICE("content-range"),
        SLICE("last-modified"),
        SLICE("x-frame-options"),
        SLICE("content-location"),
        SLICE("content-disposition"),
        SLICE("access-control-max-age"),
        SLICE("x-content-type-options"),
        SLICE("strict-transport-security"),
        SLICE("access-control-allow-origin"),
        SLICE("access-control-allow-credentials"),
    };
    for (size_t i = 0; i < ARRAY_LEN(single); i++)
        if (slice_ieq(name, single[i])) return true;
    return false;
}

slice response_find_field(const struct response *r, slice name)
{
    slice rest = slice_of(r->fields, r->fields_len);
    while (rest.len) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        ASSERT(end);
        slice line = slice_of(rest.ptr, (size_t)(end - rest.ptr) + 1);
        if (line.len > name.len && line.ptr[name.len] == ':' &&
            slice_ieq(slice_of(line.ptr, name.len), name))
            return line;
        rest = slice_skip(rest, line.len);
    }
    return (slice){NULL, 0};
}

static void remove_line(struct response *r, slice line)
{
    char *at = r->fields + (line.ptr - r->fields);
    memmove(at, at + line.len, (size_t)(r->fields + r->fields_len - at) - line.len);
    r->fields_len -= (uint32_t)line.len;
}

static bool make_room(struct torc_req *rq, size_t need)
{
    struct response *r = &rq->response;
    uint32_t cap = r->fields_cap ? r->fields_cap * 2 : 256;
    if (r->fields_len + need <= r->fields_cap) return true;
    while (cap < r->fields_len + need) cap *= 2;
    char *fields = arena_alloc_aligned(&rq->arena, cap, 1);
    if (!fields) return false;
    if (r->fields_len) memcpy(fields, r->fields, r->fields_len);
    r->fields = fields;
    r->fields_cap = cap;
    return true;
}

char *response_line_room(struct torc_req *rq, size_t size)
{
    struct response *r = &rq->response;
    return r->fields_len + size <= RESPONSE_FIELDS_MAX && make_room(rq, size)
               ? r->fields + r->fields_len
               : NULL;
}

int response_field(struct torc_req *rq, slice name, slice value)
{
    struct response *r = &rq->response;
    slice old = {NULL, 0};
    if (r->fields_len && is_single(name)) old = response_find_field(r, name);
    size_t need = name.len + value.len + 4, kept = r->fields_len - old.len;
    if (need > RESPONSE_FIELDS_MAX || kept + need > RESPONSE_FIELDS_MAX || !make_room(rq, need))
        return -ENOMEM;
    if (old.len) remove_line(r, response_find_field(r, name)); /* making room may have moved it */
    char *p = r->fields + r->fields_len;
    memcpy(p, name.ptr, name.len);
    p += name.len;
    memcpy(p, ": ", 2);
    if (value.len) memcpy(p + 2, value.ptr, value.len);
    memcpy(p + 2 + value.len, "\r\n", 2);
    r->fields_len += (uint32_t)need;
    if (slice_ieq(name, SLICE("content-type"))) r->type_field = true;
    return 0;
}

int torc_set_header(torc_req *rq, torc_slice name, torc_slice value)
{
    if (rq->response.status) return -EALREADY;
    int err = response_check_field(name, value);
    return err < 0 ? err : response_field(rq, name, value);
}

int torc_status(const torc_req *rq)
{
    return rq->response.status;
}

/* Removes the first `n` lines of that name. */
static void remove_lines(struct response *r, slice name, uint32_t n)
{
    for (; n > 0; n--) remove_line(r, response_find_field(r, name));
}

static uint32_t count_lines(const struct response *r, slice name)
{
    slice rest = slice_of(r->fields, r->fields_len), line;
    uint32_t n = 0;
    for (struct response part = *r; rest.len; n++) {
        part.fields = (char *)(uintptr_t)rest.ptr;
        part.fields_len = (uint32_t)rest.len;
        line = response_find_field(&part, name);
        if (!line.len) break;
        rest = slice_skip(rest, (size_t)(line.ptr + line.len - rest.ptr));
    }
    return n;
}

int torc_replace_header(torc_req *rq, torc_slice name, torc_slice value)
{
    struct response *r = &rq->response;
    if (r->status) return -EALREADY;
    int err = response_check_field(name, value);
    uint32_t old = err == 0 && !is_single(name) ? count_lines(r, name) : 0;
    if (err == 0) err = response_field(rq, name, value);
    if (err == 0) remove_lines(r, name, old);
    return err;
}

int torc_remove_header(torc_req *rq, torc_slice name)
{
    struct response *r = &rq->response;
    if (r->status) return -EALREADY;
    remove_lines(r, name, count_lines(r, name));
    return 0;
}

/* ---- starting ---- */

/* Inlined; otherwise every response would pay for registers saved for the error paths. */
__attribute__((always_inline)) static inline int response_begin(struct torc_req *rq, int status,
                                                                const char *type_text,
                                                                int64_t length)
{
    struct response *r = &rq->response;
    if (r->status) return -EALREADY;
    if (status < 200 || status > 599) return -EINVAL;
    slice type = type_text ? slice_str(type_text) : (slice){NULL, 0};
    if (type.len > RESPONSE_TYPE_MAX) return -ENOMEM;
    if (!field_value_valid(type)) return -EINVAL;
    r->status = status;
    r->type = type;
    r->length = length;
    return 0;
}

int response_undo(struct torc_req *rq, int err)
{
    struct response *r = &rq->response;
    r->status = 0;
    r->error = err;
    r->of = NULL;
    r->streamed = r->in_parts = r->ended = r->reads_done = false;
    r->written = 0;
    rq->spent.replied = false;
    return err;
}

/* A response that could not be sent does not count as given. */
static int reset_on_error(struct torc_req *rq, int err)
{
    return err < 0 ? response_undo(rq, err) : err;
}

/* Keeps the reason for the operator, who is told if there is no other response. */
static int fail(struct torc_req *rq, int err)
{
    rq->response.error = err;
    rq->response.of = NULL;
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

int torc_vreplyf(torc_req *rq, int status, const char *type, const char *format, va_list args)
{
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    char *text = small;
    if (n >= (int)sizeof small) {
        text = torc_alloc(rq, (size_t)n + 1);
        if (text) vsnprintf(text, (size_t)n + 1, format, again);
    }
    va_end(again);
    if (n < 0) return fail(rq, -EINVAL);
    if (!text) return fail(rq, -ENOMEM);
    return torc_reply(rq, status, type, slice_of(text, (size_t)n));
}

const char *response_type_or(const struct torc_req *rq, const char *type)
{
    return response_find_field(&rq->response, SLICE("content-type")).len ? NULL : type;
}

int torc_replyf(torc_req *rq, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = torc_vreplyf(rq, status, response_type_or(rq, "text/plain"), format, args);
    va_end(args);
    return err;
}

__attribute__((format(printf, 3, 4))) static int reply_plain(torc_req *rq, int status,
                                                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = torc_vreplyf(rq, status, "text/plain", format, args);
    va_end(args);
    return err;
}

int torc_reply_error(torc_req *rq, int status)
{
    if (rq->ctx->error_handlers && !rq->response.status && error_handler_respond(rq, status))
        return 0;
    slice reason = http_reason(status);
    return reply_plain(rq, status, "%d %.*s\n", status, (int)reason.len, reason.ptr);
}

COLD int response_error(struct torc_req *rq, int status)
{
    char allow[HTTP_ALLOW_MAX];
    if (status == 405 || (status == 204 && rq->head.method == HTTP_OPTIONS))
        response_field(rq, SLICE("Allow"),
                       slice_of(allow, http_allow(rq->match.allow, allow, sizeof allow)));
    if (status == 503) response_field(rq, SLICE("Retry-After"), SLICE("1"));
    return status == 204 ? torc_reply(rq, 204, NULL, SLICE("")) : torc_reply_error(rq, status);
}

static int start(torc_req *rq, int status, const char *type, int64_t length, bool reads_done)
{
    int err = response_begin(rq, status, type, length < 0 ? -1 : length);
    if (err < 0) return fail(rq, err);
    rq->response.streamed = rq->response.in_parts = true;
    rq->response.reads_done = reads_done;
    return reset_on_error(rq, rq->exchange->respond(rq, SLICE("")));
}

int torc_start(torc_req *rq, int status, const char *type, int64_t length)
{
    return start(rq, status, type, length, false);
}

int response_start(struct torc_req *rq, int status, const char *type, int64_t length)
{
    return start(rq, status, type, length, true);
}

/* ---- streaming ---- */

bool response_lacks(const struct torc_req *rq)
{
    const struct response *r = &rq->response;
    return request_gets_body(rq) && (r->length < 0 || r->written < (uint64_t)r->length);
}

COLD void response_cut(struct torc_req *rq)
{
    rq->response.ended = rq->response.incomplete = true;
    rq->close_after_response = true;
}

static int check_room(struct torc_req *rq, uint64_t size)
{
    struct response *r = &rq->response;
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    if (!r->streamed || r->ended) return -EINVAL;
    r->excess = r->length >= 0 && size > (uint64_t)r->length - r->written;
    return r->excess ? -EINVAL : 0;
}

/* The body of a response that has none, as to HEAD. */
static int write_nothing(struct torc_req *rq, uint64_t size)
{
    rq->response.written += size;
    return 0;
}

/* No client slows down what is left out: a handler that writes without an end pauses here, so that
 * its core goes on. Nor does anything sent show that the client has gone: the handler is told. */
static int write_and_pause(struct torc_req *rq, size_t size)
{
    const uint64_t before = rq->response.written / PAUSE_EVERY;
    write_nothing(rq, size);
    int err = rq->response.written / PAUSE_EVERY == before ? 0 : scope_sleep(request_scope(rq), 0);
    return err == 0 && torc_client_gone(rq) ? -ECONNRESET : err;
}

int response_write(struct torc_req *rq, const void *data, size_t size)
{
    int err = check_room(rq, size);
    if (err < 0 || size == 0) return err;
    return request_gets_body(rq) ? rq->exchange->write(rq, data, size) : write_and_pause(rq, size);
}

int response_write_begin(struct torc_req *rq, uint64_t *before)
{
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    if (rq->response.writing) return -EBUSY;
    rq->response.writing = true;
    *before = rq->response.written;
    return 0;
}

int response_write_end(struct torc_req *rq, uint64_t before, uint64_t size, int err)
{
    uint64_t taken = rq->response.written - before;
    rq->response.writing = false;
    if (err < 0 && taken > 0 && taken < size && !rq->cancelled) response_cut(rq);
    return err;
}

int torc_write(torc_req *rq, const void *data, size_t size)
{
    uint64_t before;
    int refused = response_write_begin(rq, &before);
    return refused ? refused : response_write_end(rq, before, size, response_write(rq, data, size));
}

int response_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    int err = check_room(rq, size);
    if (err < 0 || size == 0) return err;
    return request_gets_body(rq) ? rq->exchange->write_file(rq, fd, offset, size)
                                 : write_nothing(rq, size);
}

int response_write_ref(struct torc_req *rq, slice bytes, const struct file_place *place)
{
    int err = check_room(rq, bytes.len);
    if (err < 0 || bytes.len == 0) return err;
    return request_gets_body(rq) ? rq->exchange->write_ref(rq, bytes, place)
                                 : write_nothing(rq, bytes.len);
}

int torc_end(torc_req *rq)
{
    if (!rq->response.streamed) return -EINVAL;
    if (rq->response.ended) return 0;
    if (rq->response.writing) return -EBUSY;
    rq->response.ended = true;
    return rq->exchange->end(rq);
}
