#include "http/h1_parser.h"

#include "base/assert.h"
#include "http/fields/field.h"
#include "http/h1_fast.h"

#include <llhttp.h>

/* Chunk framing may outgrow the data it frames by this much, and by this many bytes per byte of
 * data; more is an attack by chunk extensions or trailers. */
enum { OVERHEAD_BASE = 16 * 1024, OVERHEAD_PER_BYTE = 16 };

_Static_assert(sizeof(llhttp_t) <= sizeof((struct parser *)0)->llhttp, "room for an llhttp_t");

static struct parser *parser_of(llhttp_t *l)
{
    return container_of((unsigned char(*)[128])l, struct parser, llhttp);
}

static llhttp_t *llhttp_of(const struct parser *p)
{
    return (llhttp_t *)(uintptr_t)p->llhttp;
}

static int fail(struct parser *p, int status)
{
    p->status = status;
    return HPE_USER;
}

static int append(struct parser *p, const char *at, size_t n)
{
    if (p->text_len + n > p->text_cap) {
        uint32_t cap = p->text_cap * 2;
        while (cap < p->text_len + n) cap *= 2;
        /* Every byte of text is a byte of the head, which parser_head bounds. */
        char *text = arena_alloc(p->arena, cap);
        if (!text) return fail(p, 503);
        memcpy(text, p->text, p->text_len);
        p->text = text;
        p->text_cap = cap;
    }
    slice_copy(p->text + p->text_len, at, n);
    p->text_len += (uint32_t)n;
    return 0;
}

/* Whether the bytes right before `at` are `want`; they may have come with earlier input. */
static bool preceded_by(const struct parser *p, const char *at, slice want)
{
    size_t here = (size_t)(at - p->input);
    if (LIKELY(here >= want.len)) return memcmp(at - want.len, want.ptr, want.len) == 0;
    size_t before = want.len - here;
    if (before > p->tail_len) return false;
    return memcmp(p->tail + p->tail_len - before, want.ptr, before) == 0 &&
           memcmp(p->input, want.ptr + before, here) == 0;
}

static void keep_tail(struct parser *p, slice in)
{
    size_t room = sizeof p->tail;
    if (in.len >= room) {
        memcpy(p->tail, in.ptr + in.len - room, room);
        p->tail_len = (uint8_t)room;
        return;
    }
    size_t keep = p->tail_len + in.len > room ? room - in.len : p->tail_len;
    memmove(p->tail, p->tail + p->tail_len - keep, keep);
    memcpy(p->tail + keep, in.ptr, in.len);
    p->tail_len = (uint8_t)(keep + in.len);
}

static const llhttp_settings_t settings, settings_in_pieces;

/* A request line that ends behind its target, as HTTP/0.9 had it, or is cut by a CR or LF alone. */
static int without_version(struct parser *p, slice rest)
{
    if (rest.ptr[0] == '\r' && rest.len == 1) {
        p->cut = true; /* the next byte tells */
        return 0;
    }
    return fail(p, slice_starts(rest, SLICE("\r\n")) ? 505 : 400);
}

static int on_url(llhttp_t *l, const char *at, size_t n)
{
    struct parser *p = parser_of(l);
    /* llhttp skips any number of spaces here; RFC 9112, 3 has exactly one. */
    if (p->target_len == 0 && preceded_by(p, at, SLICE("  "))) return fail(p, 400);
    if (p->target_len + n > TARGET_MAX) return fail(p, 414);
    int err = append(p, at, n);
    if (err) return err;
    p->target_len += (uint16_t)n;
    /* llhttp also knows RTSP and ICE, so what follows is looked at here, or with the version where
     * it has not come yet. */
    static const slice follows = {" HTTP/", 6};
    const char *end = at + n;
    size_t left = (size_t)(p->input + p->input_len - end);
    if (left > 0 && *end != ' ') return without_version(p, slice_of(end, left));
    if (left < follows.len)
        l->settings = (void *)(uintptr_t)&settings_in_pieces;
    else if (memcmp(end, follows.ptr, follows.len) != 0)
        return fail(p, 400);
    return 0;
}

static int on_version(llhttp_t *l, const char *at, size_t n)
{
    struct parser *p = parser_of(l);
    /* A version in pieces has been looked at with its first. */
    if (n == 0 || *at == '.' || preceded_by(p, at, SLICE("."))) return 0;
    if (preceded_by(p, at, SLICE(" HTTP/")) && !preceded_by(p, at, SLICE("  HTTP/"))) return 0;
    return fail(p, 400);
}

static int on_field_name(llhttp_t *l, const char *at, size_t n)
{
    struct parser *p = parser_of(l);
    if (p->state != PARSE_HEAD || n == 0) return 0; /* trailers are read and dropped */
    if (p->n_fields == 0 || p->in_value) {
        if (p->n_fields == FIELDS_MAX) return fail(p, 431);
        p->field[p->n_fields++] = (struct field){.name = (uint16_t)p->text_len};
        p->in_value = false;
    }
    int err = append(p, at, n);
    if (!err) p->field[p->n_fields - 1].name_len += (uint16_t)n;
    return err;
}

static int on_field_value(llhttp_t *l, const char *at, size_t n)
{
    struct parser *p = parser_of(l);
    if (p->state != PARSE_HEAD) return 0;
    struct field *f = &p->field[p->n_fields - 1];
    if (!p->in_value) {
        f->value = (uint16_t)p->text_len;
        p->in_value = true;
    }
    int err = append(p, at, n);
    if (!err) f->value_len += (uint16_t)n;
    return err;
}

/* RFC 9112, 6.1 and 6.3: of the codings only chunked is known, and it stands once. */
static int check_coding(const struct parser *p)
{
    for (size_t i = 0; i < p->n_fields; i++) {
        slice rest = field_value(p, i), coding;
        if (!slice_ieq(field_name(p, i), SLICE("transfer-encoding"))) continue;
        if (slice_ieq(rest, SLICE("chunked"))) continue;
        while (slice_cut(&rest, ',', &coding)) {
            coding = slice_trim(coding);
            if (coding.len && !slice_ieq(coding, SLICE("chunked"))) return 501;
        }
        return 400;
    }
    return 0;
}

static bool connection_has(const struct parser *p, slice option)
{
    for (size_t i = 0; i < p->n_fields; i++)
        if (slice_ieq(field_name(p, i), SLICE("connection")) &&
            token_list_has(field_value(p, i), option))
            return true;
    return false;
}

/* Not llhttp_should_keep_alive, which in HTTP/1.0 lets keep-alive win over close (RFC 9112, 9.3)
 * and takes Proxy-Connection for Connection. */
static bool keeps_alive(const struct parser *p, const llhttp_t *l)
{
    if (!(l->flags & (F_CONNECTION_CLOSE | F_CONNECTION_KEEP_ALIVE))) return l->http_minor > 0;
    if (connection_has(p, SLICE("close"))) return false;
    return l->http_minor > 0 || connection_has(p, SLICE("keep-alive"));
}

static int on_headers_complete(llhttp_t *l)
{
    struct parser *p = parser_of(l);
    l->upgrade = 0; /* no protocol is offered to upgrade to: the field is ignored (RFC 9110, 7.8) */
    if (l->http_major != 1) return fail(p, 505);
    if (l->flags & F_TRANSFER_ENCODING) {
        /* RFC 9112, 6.1: unknown in 1.0, where an intermediary may have framed it otherwise. */
        int status = l->http_minor == 0 ? 400 : check_coding(p);
        if (status) return fail(p, status);
    }
    p->minor = l->http_minor;
    p->chunked = l->flags & F_CHUNKED;
    p->content_length = l->content_length;
    p->keep_alive = keeps_alive(p, l);
    if (!p->chunked && p->content_length == 0) return 0;
    p->state = PARSE_BODY;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *l, const char *at, size_t n)
{
    struct parser *p = parser_of(l);
    p->data_bytes += n;
    if (p->sink) memcpy(p->sink + p->sink_len, at, n);
    p->sink_len += n;
    return 0;
}

static int on_message_complete(llhttp_t *l)
{
    parser_of(l)->state = PARSE_DONE;
    return HPE_PAUSED;
}

#define SETTINGS(version)                                                                          \
    {                                                                                              \
        .on_url = on_url, .on_version = (version), .on_header_field = on_field_name,               \
        .on_header_value = on_field_value, .on_headers_complete = on_headers_complete,             \
        .on_body = on_body, .on_message_complete = on_message_complete,                            \
    }

static const llhttp_settings_t settings = SETTINGS(NULL), settings_in_pieces = SETTINGS(on_version);

/* A fresh llhttp_t, copied for each request: llhttp_init takes longer to come to the same. */
static llhttp_t fresh;

__attribute__((constructor)) static void make_fresh(void)
{
    llhttp_init(&fresh, HTTP_REQUEST, &settings);
}

void parser_init(struct parser *p, struct arena *arena, char *text, uint32_t size)
{
    p->arena = arena;
    p->text = text;
    p->text_cap = size;
    p->text_len = p->head_bytes = p->empty_bytes = 0;
    p->target_len = p->n_fields = 0;
    p->state = PARSE_HEAD;
    p->in_value = p->cut = p->begun = false;
    p->has_method = true;
    p->status = 0;
    p->minor = 0;
    p->tail_len = 0;
    p->data_bytes = p->overhead_bytes = 0;
    p->sink = NULL;
    p->sink_len = 0;
}

/* A method that llhttp does not know is told by the first byte that fits none: it goes on, or
 * ends. */
static int method_status(const struct parser *p)
{
    const char *at = llhttp_get_error_pos(llhttp_of(p));
    if (*at == ' ' && at > p->input)
        at--;
    else if (*at == ' ' && p->tail_len)
        at = p->tail + p->tail_len - 1;
    return field_name_valid(slice_of(at, 1)) ? 501 : 400;
}

/* A version that is well formed and not served, or one that is malformed or not followed by a line
 * end. */
static int version_status(const struct parser *p)
{
    const llhttp_t *l = llhttp_of(p);
    if (l->method == HTTP_PRI) return 505;
    if (l->http_major == 1 && l->http_minor <= 1) return 400;
    char minor[2] = {'.', (char)('0' + l->http_minor)};
    return preceded_by(p, llhttp_get_error_pos(l), slice_of(minor, 2)) ? 505 : 400;
}

static int status_of(const struct parser *p, llhttp_errno_t err)
{
    switch (err) {
    case HPE_USER:
    case HPE_CB_HEADERS_COMPLETE: return p->status;
    case HPE_INVALID_METHOD: return method_status(p);
    case HPE_INVALID_VERSION: return version_status(p);
    case HPE_PAUSED_H2_UPGRADE: return 505;
    default: return 400;
    }
}

/* Runs llhttp over `in`; returns how many bytes it used. */
static size_t execute(struct parser *p, slice in)
{
    if (!p->begun) *llhttp_of(p) = fresh;
    p->begun = true;
    p->input = in.ptr;
    p->input_len = in.len;
    llhttp_errno_t err = llhttp_execute(llhttp_of(p), in.ptr, in.len);
    if (err == HPE_OK) return in.len;
    size_t used = (size_t)(llhttp_get_error_pos(llhttp_of(p)) - in.ptr);
    if (err == HPE_PAUSED) {
        llhttp_resume(llhttp_of(p));
        return used;
    }
    p->has_method = err != HPE_INVALID_METHOD;
    p->status = status_of(p, err);
    p->state = PARSE_ERROR;
    return used;
}

static void refuse(struct parser *p, int status)
{
    p->status = status;
    p->state = PARSE_ERROR;
}

/* Empty lines before the request (RFC 9112, 2.2). llhttp would skip any CR and LF, alone or not. */
static size_t skip_empty_lines(struct parser *p, slice in)
{
    size_t n = 0;
    while (n < in.len && p->empty_bytes < HEAD_MAX && in.ptr[n] == "\r\n"[p->empty_bytes % 2]) {
        p->empty_bytes++;
        n++;
    }
    p->head_bytes = p->empty_bytes;
    if (n < in.len && (p->empty_bytes % 2 || in.ptr[n] == '\r' || in.ptr[n] == '\n')) {
        p->has_method = false;
        refuse(p, p->empty_bytes < HEAD_MAX ? 400 : 431);
    }
    return n;
}

/* Some bytes of the head, beginning with the request line. */
static size_t head_part(struct parser *p, slice in)
{
    size_t room = HEAD_MAX - p->head_bytes;
    slice part = slice_of(in.ptr, in.len < room ? in.len : room);
    size_t used = part.len ? execute(p, part) : 0;
    p->head_bytes += (uint32_t)used;
    if (p->state != PARSE_HEAD) return used;
    if (p->head_bytes == HEAD_MAX && in.len > used)
        refuse(p, 431);
    else
        keep_tail(p, part);
    return used;
}

size_t parser_head(struct parser *p, slice in)
{
    size_t skipped = 0;
    if (LIKELY(p->head_bytes == 0)) {
        size_t used = h1_fast_head(p, in);
        if (LIKELY(used)) return used;
    }
    if (UNLIKELY(p->cut)) {
        refuse(p, in.ptr[0] == '\n' ? 505 : 400);
        return 0;
    }
    if (p->head_bytes == p->empty_bytes && (in.ptr[0] <= '\r' || p->empty_bytes % 2)) {
        skipped = skip_empty_lines(p, in);
        in = slice_skip(in, skipped);
        if (p->state != PARSE_HEAD || in.len == 0) return skipped;
    }
    return skipped + head_part(p, in);
}

size_t parser_body(struct parser *p, slice in, char *out, size_t size, size_t *got)
{
    p->sink = out;
    p->sink_len = 0;
    /* No more input than `out` has room for, as all of it may be data. */
    if (out && in.len > size) in.len = size;
    size_t used = execute(p, in);
    *got = p->sink_len;
    p->overhead_bytes += used - p->sink_len;
    if (p->state == PARSE_BODY &&
        p->overhead_bytes > OVERHEAD_BASE + OVERHEAD_PER_BYTE * p->data_bytes) {
        p->status = 400;
        p->state = PARSE_ERROR;
    }
    return used;
}

slice parser_method(const struct parser *p)
{
#define NAME(number, name, text) [number] = {#text, sizeof #text - 1},
    static const slice names[] = {HTTP_ALL_METHOD_MAP(NAME)};
#undef NAME
    if (p->state == PARSE_DONE && !p->begun) return SLICE("GET");
    return p->begun ? names[llhttp_of(p)->method] : (slice){NULL, 0};
}

slice parser_version(const struct parser *p)
{
    bool past = p->n_fields > 0 || p->state == PARSE_BODY || p->state == PARSE_DONE;
    if (past && !p->begun) return SLICE("HTTP/1.1");
    if (!past || llhttp_of(p)->http_major != 1) return (slice){NULL, 0};
    return llhttp_of(p)->http_minor ? SLICE("HTTP/1.1") : SLICE("HTTP/1.0");
}
