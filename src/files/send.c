/* Sends a file as the response: whole, a range, several, or that it has not changed. */

#include "files/send.h"

#include "files/body.h"
#include "files/select.h"
#include "http/response.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

static const slice content_type = SLICE("content-type");

static bool has_type(torc_req *rq)
{
    return response_find_field(&rq->response, content_type).len > 0;
}

/* Adds the lines to the fields that the handler has set, whose Content-Type counts. */
static int merge(torc_req *rq, slice lines)
{
    bool typed = has_type(rq);
    slice line, name;
    int err = 0;
    while (err == 0 && lines.len && slice_cut(&lines, '\n', &line) && line.len) {
        slice value = slice_of(line.ptr, line.len - 1); /* without CR */
        slice_cut(&value, ':', &name);
        if (!typed || !slice_ieq(name, content_type))
            err = response_field(rq, name, slice_trim(value));
    }
    return err;
}

/* A scope that was cancelled while the file was opened or read lets no response begin whose body it
 * would refuse to send: there may be another one. */
static int start_with(torc_req *rq, int status, const char *type, slice content_range,
                      uint64_t length)
{
    int err = scope_refuses(request_scope(rq));
    if (err == 0 && content_range.len)
        err = response_field(rq, SLICE("Content-Range"), content_range);
    return err ? err : response_start(rq, status, type, (int64_t)length);
}

/* Uses `lines` as the response's fields, if there are no others, without a copy: response_start
 * copies them to the output. Another fiber may have begun a response while this one waited, whose
 * fields are left alone. */
static int start(torc_req *rq, int status, slice lines, const char *type, slice content_range,
                 uint64_t length)
{
    struct response *r = &rq->response;
    if (r->status) return -EALREADY;
    if (r->fields_len) {
        r->fields_cap = 0; /* a copy: the handler's own are of another response, if there is one */
        int err = merge(rq, lines);
        return err ? err : start_with(rq, status, type, content_range, length);
    }
    r->fields = (char *)(uintptr_t)lines.ptr;
    r->fields_len = r->fields_cap = (uint32_t)lines.len;
    int err = start_with(rq, status, type, content_range, length);
    r->fields = NULL;
    r->fields_len = r->fields_cap = 0;
    return err;
}

/* What has left of a body that is cut off is the file's, and nobody may add to it. */
static int end_body(torc_req *rq, int err)
{
    struct response *r = &rq->response;
    r->writing = r->revocable = false;
    if (err < 0 && rq->exchange->take_back) rq->exchange->take_back(rq, err);
    if (err == 0 || !r->status || rq->cancelled) return err;
    r->streamed = false;
    r->ended = true;
    if (response_lacks(rq)) response_cut(rq);
    return err;
}

static int send_body(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n,
                     const struct static_prepared *prepared)
{
    rq->response.writing = rq->response.revocable = true;
    return end_body(rq, static_body_send(rq, v, from, n, prepared));
}

/* The fields that the handler has set: those of its next response, where this one fails. */
struct own_fields {
    char *ptr;
    uint32_t len, cap;
    bool typed;
};

static struct own_fields own_fields(const torc_req *rq)
{
    const struct response *r = &rq->response;
    return (struct own_fields){r->fields, r->fields_len, r->fields_cap, r->type_field};
}

/* While this waits, another fiber may set some. */
static struct static_prepared prepare(torc_req *rq, struct static_version *v, uint64_t from,
                                      uint64_t n, struct own_fields *own)
{
    struct static_prepared p = static_body_prepare(rq, v, from, n);
    *own = own_fields(rq);
    return p;
}

static int send_whole(torc_req *rq, struct static_version *v, struct own_fields *own)
{
    struct static_prepared prepared = prepare(rq, v, 0, v->size, own);
    int err = start(rq, 200, slice_of(v->fields, v->fields_len), NULL, SLICE(""), v->size);
    return err ? err : send_body(rq, v, 0, v->size, &prepared);
}

static int send_range(torc_req *rq, struct static_version *v, const struct http_range *range,
                      struct own_fields *own)
{
    char text[80];
    uint64_t length = range->to - range->from + 1;
    struct static_prepared prepared = prepare(rq, v, range->from, length, own);
    int n = snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->from,
                     range->to, v->size);
    int err =
        start(rq, 206, slice_of(v->fields, v->fields_len), NULL, slice_of(text, (size_t)n), length);
    return err ? err : send_body(rq, v, range->from, length, &prepared);
}

/* ---- several ranges: multipart/byteranges (RFC 9110, 14.6) ---- */

enum { BOUNDARY_LEN = 32, PART_HEAD_MAX = STATIC_FIELDS_MAX + 160 };

/* Each part repeats the fields that describe its bytes: the parts are ranges of the coded
 * representation, while the multipart body itself is not coded. */
static size_t part_head(char *out, const char *boundary, const struct static_version *v,
                        const struct http_range *range)
{
    int n =
        snprintf(out, PART_HEAD_MAX,
                 "\r\n--%s\r\n%.*sContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                 boundary, v->fields_len - v->ranges_len, v->fields + v->ranges_len, range->from,
                 range->to, v->size);
    ASSERT(n > 0 && n < PART_HEAD_MAX);
    return (size_t)n;
}

/* Random, so that no file can contain it on purpose. */
static bool make_boundary(char out[BOUNDARY_LEN + 1])
{
    unsigned char random[BOUNDARY_LEN / 2];
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random) return false;
    for (size_t i = 0; i < sizeof random; i++) snprintf(out + 2 * i, 3, "%02x", random[i]);
    return true;
}

static int send_ranges(torc_req *rq, struct static_version *v, const struct http_range *range,
                       int n, struct own_fields *own)
{
    static const char type_before[] = "multipart/byteranges; boundary=";
    char boundary[BOUNDARY_LEN + 1], head[PART_HEAD_MAX], tail[BOUNDARY_LEN + 9];
    char *type = torc_alloc(rq, sizeof type_before + BOUNDARY_LEN);
    /* A server may ignore the Range field. The parts would not have the handler's type. */
    if (!type || has_type(rq) || !make_boundary(boundary)) return send_whole(rq, v, own);
    snprintf(type, sizeof type_before + BOUNDARY_LEN, "%s%s", type_before, boundary);
    size_t tail_len = (size_t)snprintf(tail, sizeof tail, "\r\n--%s--\r\n", boundary);
    uint64_t length = tail_len;
    for (int i = 0; i < n; i++)
        length += part_head(head, boundary, v, &range[i]) + range[i].to - range[i].from + 1;

    struct static_prepared prepared = prepare(rq, v, range->from, range->to - range->from + 1, own);
    int err = start(rq, 206, slice_of(v->fields, v->ranges_len), type, SLICE(""), length);
    if (err < 0) return err;
    rq->response.writing = rq->response.revocable = true;
    for (int i = 0; i < n && err == 0; i++) {
        err = response_write(rq, head, part_head(head, boundary, v, &range[i]));
        uint64_t size = range[i].to - range[i].from + 1;
        if (err == 0) err = static_body_send(rq, v, range[i].from, size, i == 0 ? &prepared : NULL);
    }
    if (err == 0) err = response_write(rq, tail, tail_len);
    return end_body(rq, err);
}

static int respond_unsatisfiable(torc_req *rq, const struct static_version *v)
{
    char text[40];
    int n = snprintf(text, sizeof text, "bytes */%" PRIu64, v->size);
    response_field(rq, SLICE("Content-Range"), slice_of(text, (size_t)n));
    return response_error(rq, 416);
}

/* RFC 9110, 13.2.2 and 14.2: conditions select among representations, and ranges are of GET. */
static int status_for(torc_req *rq, const struct selection *selection,
                      const struct static_version *v, struct http_range range[RANGES_MAX], int *n)
{
    enum http_method method = (enum http_method)rq->head.method;
    if (method != HTTP_GET && method != HTTP_HEAD) return 200;
    return select_status(selection, v, method == HTTP_GET, range, n);
}

static int send_selected(torc_req *rq, struct static_file *f, struct own_fields *own)
{
    struct selection selection;
    struct http_range range[RANGES_MAX];
    int n = 0;
    select_read(rq, &selection);
    struct static_version *v = select_version(&selection, f);
    int status = status_for(rq, &selection, v, range, &n);
    switch (status) {
    case 200: return send_whole(rq, v, own);
    case 206: return n == 1 ? send_range(rq, v, range, own) : send_ranges(rq, v, range, n, own);
    case 304: return start(rq, 304, slice_of(v->fields, v->validators_len), NULL, SLICE(""), 0);
    case 416: return respond_unsatisfiable(rq, v);
    default: return response_error(rq, status);
    }
}

/* Without a response, the fields are those that the handler has set. */
int static_send(torc_req *rq, struct static_file *f)
{
    struct response *r = &rq->response;
    struct own_fields own = own_fields(rq);
    int err = send_selected(rq, f, &own);
    if (err < 0 && !r->status) {
        r->fields = own.ptr;
        r->fields_len = own.len;
        r->fields_cap = own.cap;
        r->type_field = own.typed;
    }
    return err;
}
