#include "http/h1_parser.h"

#include "base/assert.h"
#include "http/fields/field.h"
#include "http/h1_fast.h"
#include "http/method.h"

static struct h1_parser *parser_of(struct message *m)
{
    return container_of(m, struct h1_parser, message);
}

static int fail(struct h1_parser *p, int status)
{
    p->status = status;
    return MESSAGE_FAIL;
}

static int append(struct h1_parser *p, slice piece)
{
    struct head *h = p->head;
    if (p->text_len + piece.len > p->text_cap) {
        uint32_t cap = p->text_cap * 2;
        while (cap < p->text_len + piece.len) cap *= 2;
        /* text is bounded: each of its bytes is a byte of the head, which h1_parse_head bounds */
        char *text = arena_alloc(p->arena, cap);
        if (!text) return fail(p, 503);
        memcpy(text, h->text, p->text_len);
        h->text = text;
        p->text_cap = cap;
    }
    slice_copy(h->text + p->text_len, piece.ptr, piece.len);
    p->text_len += (uint32_t)piece.len;
    return 0;
}

static struct head_field *field_at(struct head *h, size_t i)
{
    return (struct head_field *)(uintptr_t)head_field(h, i);
}

/* Whether the bytes just before `at` are `want`; they may be part of earlier input. */
static bool preceded_by(const struct h1_parser *p, const char *at, slice want)
{
    size_t here = (size_t)(at - p->input);
    if (LIKELY(here >= want.len)) return memcmp(at - want.len, want.ptr, want.len) == 0;
    size_t before = want.len - here;
    if (before > p->tail_len) return false;
    return memcmp(p->tail + p->tail_len - before, want.ptr, before) == 0 &&
           memcmp(p->input, want.ptr + before, here) == 0;
}

static void keep_tail(struct h1_parser *p, slice in)
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

/* ---- events ---- */

/* The status for a request line without a version, as in HTTP/0.9 (505), or with a bare CR or LF
 * (400). */
static int missing_version(struct h1_parser *p, slice rest)
{
    if (rest.ptr[0] == '\r' && rest.len == 1) {
        p->cr_after_target = true; /* the next byte decides */
        return 0;
    }
    return fail(p, slice_starts(rest, SLICE("\r\n")) ? 505 : 400);
}

static int on_target(struct message *m, slice piece)
{
    struct h1_parser *p = parser_of(m);
    struct head *h = p->head;
    /* llhttp skips any number of spaces; RFC 9112, 3 allows exactly one. */
    if (h->target_len == 0 && preceded_by(p, piece.ptr, SLICE("  "))) return fail(p, 400);
    if (h->target_len + piece.len > TARGET_MAX) return fail(p, 414);
    int err = append(p, piece);
    if (err) return err;
    h->target_len += (uint16_t)piece.len;
    /* llhttp also accepts RTSP and ICE, so the protocol name is checked here, or in on_version if
     * it has not arrived yet. */
    static const slice follows = {" HTTP/", 6};
    const char *end = piece.ptr + piece.len;
    size_t left = (size_t)(p->input + p->input_len - end);
    if (left > 0 && *end != ' ') return missing_version(p, slice_of(end, left));
    if (left < follows.len)
        message_watch_version(m);
    else if (memcmp(end, follows.ptr, follows.len) != 0)
        return fail(p, 400);
    return 0;
}

static int on_version(struct message *m, slice piece)
{
    struct h1_parser *p = parser_of(m);
    const char *at = piece.ptr;
    /* The first piece of a version has been checked already. */
    if (piece.len == 0 || *at == '.' || preceded_by(p, at, SLICE("."))) return 0;
    if (preceded_by(p, at, SLICE(" HTTP/")) && !preceded_by(p, at, SLICE("  HTTP/"))) return 0;
    return fail(p, 400);
}

static void store_version(struct h1_parser *p)
{
    const struct message *m = &p->message;
    if (message_major(m) == 1) p->head->minor = (int8_t)message_minor(m);
}

static int add_field(struct h1_parser *p)
{
    struct head *h = p->head;
    if (h->n_fields == p->limits.fields) return fail(p, 431);
    if (h->n_fields == HEAD_OWN_FIELDS) {
        size_t more = (size_t)(p->limits.fields - HEAD_OWN_FIELDS) * sizeof *h->more_field;
        h->more_field = arena_alloc(p->arena, more);
        if (!h->more_field) return fail(p, 503);
    }
    *field_at(h, h->n_fields++) = (struct head_field){.name = (uint16_t)p->text_len};
    return 0;
}

static int on_field_name(struct message *m, slice piece)
{
    struct h1_parser *p = parser_of(m);
    struct head *h = p->head;
    if (p->state != PARSE_HEAD || piece.len == 0) return 0; /* trailers are parsed and discarded */
    if (h->n_fields == 0 || p->in_value) {
        if (h->n_fields == 0) store_version(p);
        int err = add_field(p);
        if (err) return err;
        p->in_value = false;
    }
    int err = append(p, piece);
    if (!err) field_at(h, h->n_fields - 1)->name_len += (uint16_t)piece.len;
    return err;
}

static int on_field_value(struct message *m, slice piece)
{
    struct h1_parser *p = parser_of(m);
    if (p->state != PARSE_HEAD) return 0;
    struct head_field *f = field_at(p->head, p->head->n_fields - 1);
    if (!p->in_value) {
        f->value = (uint16_t)p->text_len;
        p->in_value = true;
    }
    int err = append(p, piece);
    if (!err) f->value_len += (uint16_t)piece.len;
    return err;
}

/* RFC 9112, 6.1 and 6.3: chunked is the only coding supported, and may appear once. */
static int check_coding(const struct head *h)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        slice rest = head_field_value(h, i), coding;
        if (!slice_ieq(head_field_name(h, i), SLICE("transfer-encoding"))) continue;
        if (slice_ieq(rest, SLICE("chunked"))) continue;
        while (slice_cut(&rest, ',', &coding)) {
            coding = slice_trim(coding);
            if (coding.len && !slice_ieq(coding, SLICE("chunked"))) return 501;
        }
        return 400;
    }
    return 0;
}

static bool connection_has(const struct head *h, slice option)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (slice_ieq(head_field_name(h, i), SLICE("connection")) &&
            token_list_has(head_field_value(h, i), option))
            return true;
    return false;
}

/* llhttp_should_keep_alive is not used: in HTTP/1.0 it lets keep-alive override close (RFC 9112,
 * 9.3), and it takes Proxy-Connection for Connection. */
static bool keeps_alive(const struct head *h)
{
    if (connection_has(h, SLICE("close"))) return false;
    return h->minor > 0 || connection_has(h, SLICE("keep-alive"));
}

static int on_head_complete(struct message *m)
{
    struct h1_parser *p = parser_of(m);
    struct head *h = p->head;
    store_version(p);
    if (h->minor < 0) return fail(p, 505);
    if (message_has_transfer_encoding(m)) {
        /* RFC 9112, 6.1: HTTP/1.0 has no Transfer-Encoding; an intermediary may have framed the
         * message otherwise. */
        int status = h->minor == 0 ? 400 : check_coding(h);
        if (status) return fail(p, status);
    }
    h->chunked = message_is_chunked(m);
    h->content_length = message_content_length(m);
    h->keep_alive = keeps_alive(h);
    h->has_body = h->chunked || h->content_length > 0;
    if (!h->has_body) return MESSAGE_CONTINUE;
    p->state = PARSE_BODY;
    return MESSAGE_PAUSE;
}

/* Whether it is too much for the data so far that `overhead` bytes are none. That is asked before
 * each piece of data and at the end of the input, so that it does not matter how that is cut. */
static bool is_excessive(const struct h1_parser *p, uint64_t overhead)
{
    return overhead > OVERHEAD_BASE + OVERHEAD_PER_BYTE * p->data_bytes;
}

static int on_body(struct message *m, slice piece)
{
    struct h1_parser *p = parser_of(m);
    uint64_t before = (uint64_t)(piece.ptr - p->input) - p->sink_len;
    if (is_excessive(p, p->overhead_bytes + before)) return fail(p, 400);
    p->data_bytes += piece.len;
    if (p->sink && p->sink + p->sink_len != piece.ptr)
        memcpy(p->sink + p->sink_len, piece.ptr, piece.len);
    p->sink_len += piece.len;
    return MESSAGE_CONTINUE;
}

static int on_complete(struct message *m)
{
    parser_of(m)->state = PARSE_DONE;
    return MESSAGE_PAUSE;
}

static const struct message_events events = {
    .target = on_target,
    .version = on_version,
    .field_name = on_field_name,
    .field_value = on_field_value,
    .head_complete = on_head_complete,
    .body = on_body,
    .complete = on_complete,
};

/* ---- running llhttp ---- */

void h1_parser_init(struct h1_parser *p, struct head *head, struct arena *arena, char *text,
                    uint32_t size)
{
    head->text = text;
    head->method_name = (slice){0};
    head->content_length = 0;
    head->target_len = head->n_fields = 0;
    head->method = head->minor = -1;
    head->has_body = head->chunked = head->keep_alive = false;
    p->head = head;
    p->arena = arena;
    p->text_cap = size;
    p->text_len = p->head_bytes = p->empty_bytes = 0;
    p->state = PARSE_HEAD;
    p->in_value = p->cr_after_target = p->llhttp_used = false;
    p->tail_len = 0;
    p->data_bytes = p->overhead_bytes = 0;
}

/* llhttp stops at the first byte that fits no method it knows: 501 if the byte belongs to a token,
 * otherwise 400. */
static int method_status(const struct h1_parser *p)
{
    const char *at = message_error_at(&p->message);
    if (*at == ' ' && at > p->input)
        at--;
    else if (*at == ' ' && p->tail_len)
        at = p->tail + p->tail_len - 1;
    return field_name_valid(slice_of(at, 1)) ? 501 : 400;
}

/* 505 for a well-formed version that is not supported; 400 for a malformed one or one not followed
 * by a line end. */
static int version_status(const struct h1_parser *p)
{
    const struct message *m = &p->message;
    if (slice_eq(message_method(m), SLICE("PRI"))) return 501; /* not the preface of HTTP/2 */
    if (message_major(m) == 1 && message_minor(m) <= 1) return 400;
    char minor[2] = {'.', (char)('0' + message_minor(m))};
    return preceded_by(p, message_error_at(m), slice_of(minor, 2)) ? 505 : 400;
}

/* llhttp knows methods of RTSP, too, and says so once it has read "HTTP". */
static bool is_of_rtsp(const struct message *m)
{
    const char *problem = message_problem(m);
    return problem && strstr(problem, "nvalid method for HTTP");
}

static int status_of(const struct h1_parser *p, enum message_result result)
{
    switch (result) {
    case MESSAGE_FAILED: return p->status;
    case MESSAGE_BAD_METHOD: return method_status(p);
    case MESSAGE_BAD_VERSION: return version_status(p);
    case MESSAGE_HTTP2: return 505;
    default: return is_of_rtsp(&p->message) ? 501 : 400;
    }
}

/* It is complete once the target has begun; before, llhttp tells another. */
static void store_method(struct h1_parser *p)
{
    bool complete = p->head->target_len > 0;
    p->head->method_name = complete ? message_method(&p->message) : (slice){NULL, 0};
    p->head->method = (int8_t)http_method_of(p->head->method_name);
}

static bool is_token(slice s)
{
    return field_name_valid(s) && s.len <= METHOD_MAX; /* the same bytes (RFC 9110, 5.1 and 9.1) */
}

/* llhttp stops within a method that it does not know. Where the request line is there as a whole,
 * takes it for the log and for those who may give the response. */
COLD static void store_unknown_method(struct h1_parser *p, slice in)
{
    static const slice before = {" HTTP/1.", 8};
    struct head *h = p->head;
    const char *end = memmem(in.ptr, in.len, "\r\n", 2), *space = memchr(in.ptr, ' ', in.len);
    if (!end || !space || end - space < (ptrdiff_t)before.len + 3) return;
    const char *version = end - before.len - 1, *target = space + 1;
    size_t target_len = (size_t)(version - target);
    slice name = slice_of(in.ptr, (size_t)(space - in.ptr));
    if (!is_token(name) || memcmp(version, before.ptr, before.len) != 0 ||
        target_len > TARGET_MAX || (end[-1] != '0' && end[-1] != '1') ||
        memchr(target, ' ', target_len))
        return;
    char *copy = arena_alloc(p->arena, name.len);
    if (!copy || append(p, slice_of(target, target_len)) != 0) return;
    memcpy(copy, name.ptr, name.len);
    h->method_name = slice_of(copy, name.len);
    h->target_len = (uint16_t)target_len;
    h->minor = (int8_t)(end[-1] - '0');
}

/* Runs llhttp on `in`; returns how many bytes it used. */
static size_t run_llhttp(struct h1_parser *p, slice in)
{
    bool in_head = p->state == PARSE_HEAD, first = !p->llhttp_used;
    if (first) message_begin_request(&p->message, &events);
    p->llhttp_used = true;
    p->input = in.ptr;
    p->input_len = in.len;
    size_t used;
    enum message_result result = message_read(&p->message, in, &used);
    if (in_head) store_method(p);
    if (result == MESSAGE_OK || result == MESSAGE_PAUSED) return used;
    if (result == MESSAGE_BAD_METHOD && first) store_unknown_method(p, in);
    p->status = status_of(p, result);
    p->state = PARSE_ERROR;
    return used;
}

static void set_error(struct h1_parser *p, int status)
{
    p->status = status;
    p->state = PARSE_ERROR;
}

/* Skips empty lines before the request line (RFC 9112, 2.2). llhttp would also skip bare CRs and
 * LFs. */
static size_t skip_empty_lines(struct h1_parser *p, slice in)
{
    const uint32_t most = p->limits.bytes;
    size_t n = 0;
    while (n < in.len && p->empty_bytes < most && in.ptr[n] == "\r\n"[p->empty_bytes % 2]) {
        p->empty_bytes++;
        n++;
    }
    p->head_bytes = p->empty_bytes;
    if (n < in.len && (p->empty_bytes % 2 || in.ptr[n] == '\r' || in.ptr[n] == '\n'))
        set_error(p, p->empty_bytes < most ? 400 : 431);
    return n;
}

/* Parses a part of the head, from the request line on: the limit does not count the lines before.
 */
static size_t parse_head_part(struct h1_parser *p, slice in)
{
    size_t room = p->limits.bytes - (p->head_bytes - p->empty_bytes);
    slice part = slice_of(in.ptr, in.len < room ? in.len : room);
    size_t used = part.len ? run_llhttp(p, part) : 0;
    p->head_bytes += (uint32_t)used;
    if (p->state != PARSE_HEAD) return used;
    if (used == room && in.len > used)
        set_error(p, 431);
    else
        keep_tail(p, part);
    return used;
}

size_t h1_parse_fast(struct h1_parser *p, slice in)
{
    if (UNLIKELY(p->head_bytes)) return 0;
    size_t used = h1_fast_head(p->head, p->text_cap, in);
    if (UNLIKELY(!used)) return 0;
    p->head_bytes = (uint32_t)used;
    p->state = PARSE_DONE;
    return used;
}

size_t h1_parse_head(struct h1_parser *p, const struct head_limits *limits, slice in)
{
    size_t skipped = 0;
    if (p->head_bytes == p->empty_bytes) p->limits = *limits;
    if (UNLIKELY(p->cr_after_target)) {
        set_error(p, in.ptr[0] == '\n' ? 505 : 400);
        return 0;
    }
    if (p->head_bytes == p->empty_bytes && (in.ptr[0] <= '\r' || p->empty_bytes % 2)) {
        skipped = skip_empty_lines(p, in);
        in = slice_skip(in, skipped);
        if (p->state != PARSE_HEAD || in.len == 0) return skipped;
    }
    return skipped + parse_head_part(p, in);
}

size_t h1_parse_body(struct h1_parser *p, slice in, char *out, size_t size, size_t *got)
{
    p->sink = out;
    p->sink_len = 0;
    /* At most `size` bytes of input, as all of it may be data. */
    if (out && in.len > size) in.len = size;
    size_t used = run_llhttp(p, in);
    *got = p->sink_len;
    p->overhead_bytes += used - p->sink_len;
    if (p->state != PARSE_ERROR && is_excessive(p, p->overhead_bytes)) set_error(p, 400);
    return used;
}
