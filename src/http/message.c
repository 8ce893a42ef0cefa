#include "http/message.h"

#include "base/list.h"

#include <llhttp.h>

_Static_assert(sizeof(llhttp_t) <= sizeof((struct message *)0)->llhttp, "room for an llhttp_t");
_Static_assert((int)MESSAGE_PAUSE == (int)HPE_PAUSED && (int)MESSAGE_FAIL == (int)HPE_USER,
               "events return llhttp's error codes");

static struct message *message_of(llhttp_t *l)
{
    return container_of((unsigned char(*)[128])l, struct message, llhttp);
}

static llhttp_t *llhttp_of(const struct message *m)
{
    return (llhttp_t *)(uintptr_t)m->llhttp;
}

/* llhttp refuses some of the white space that a recipient has to accept: HTAB after the value of
 * Content-Length and Transfer-Encoding, and after an option of Connection (RFC 9110, 5.5 and
 * 5.6.1), and any around chunk extensions (RFC 9112, 7.1.1). So message_read cuts the input at
 * these places, and llhttp gets a space for the first and nothing for the second. */
enum read_mode {
    READ_ALL,        /* llhttp gets the input as it is */
    READ_VALUE,      /* in the value of a field that llhttp interprets */
    READ_CHUNK_LINE, /* from the size of a chunk to the end of its line */
};

/* A folded line (obs-fold: RFC 9112, 5.2) is one with a space in place of the end of its first
 * part, to llhttp as well. So the end of a line is kept until the next byte shows what it is. */
enum fold_state {
    FOLD_REFUSED, /* as llhttp does */
    FOLD_FIRST,   /* in the start-line, which is not folded */
    FOLD_START,   /* at the start of another line */
    FOLD_LINE,    /* in it */
    FOLD_CR,      /* behind CR, */
    FOLD_LF,      /* LF, */
    FOLD_CRLF,    /* or both, which llhttp has not got yet */
};

static const char space[] = " "; /* in place of an HTAB */

/* ---- events ---- */

#define SPAN_EVENT(name)                                                                           \
    static int on_##name(llhttp_t *l, const char *at, size_t n)                                    \
    {                                                                                              \
        struct message *m = message_of(l);                                                         \
        return m->events->name(m, slice_of(at, n));                                                \
    }

SPAN_EVENT(target)
SPAN_EVENT(version)
SPAN_EVENT(field_name)
SPAN_EVENT(body)

/* Stops llhttp, so that message_read chooses how to go on. */
static int switch_mode(struct message *m, enum read_mode mode)
{
    m->mode = mode;
    m->switched = true;
    return HPE_PAUSED;
}

/* header_state is set for the fields that llhttp interprets, such as Content-Length. */
static int on_field_name_complete(llhttp_t *l)
{
    return l->header_state ? switch_mode(message_of(l), READ_VALUE) : 0;
}

static int on_field_value(llhttp_t *l, const char *at, size_t n)
{
    struct message *m = message_of(l);
    return m->events->field_value(m, at == space ? SLICE("\t") : slice_of(at, n));
}

static int begin_chunk(struct message *m)
{
    m->line = (struct chunk_line){0};
    return switch_mode(m, READ_CHUNK_LINE);
}

static int on_head_complete(llhttp_t *l)
{
    struct message *m = message_of(l);
    l->upgrade = 0; /* no upgrade is supported: the field is ignored (RFC 9110, 7.8) */
    int result = m->events->head_complete(m);
    if (!(l->flags & F_CHUNKED) || (result != MESSAGE_CONTINUE && result != MESSAGE_PAUSE))
        return result;
    begin_chunk(m);
    m->switched = result == MESSAGE_CONTINUE;
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *l)
{
    struct message *m = message_of(l);
    m->mode = READ_ALL;
    m->last_chunk = l->content_length == 0;
    return 0;
}

static int on_chunk_complete(llhttp_t *l)
{
    struct message *m = message_of(l);
    return m->last_chunk ? 0 : begin_chunk(m);
}

static int on_complete(llhttp_t *l)
{
    struct message *m = message_of(l);
    return m->events->complete(m);
}

#define COMMON_SETTINGS                                                                            \
    .on_header_field_complete = on_field_name_complete, .on_headers_complete = on_head_complete,   \
    .on_body = on_body, .on_message_complete = on_complete, .on_chunk_header = on_chunk_header,    \
    .on_chunk_complete = on_chunk_complete

#define REQUEST_SETTINGS(version)                                                                  \
    {                                                                                              \
        COMMON_SETTINGS, .on_url = on_target, .on_version = (version),                             \
                         .on_header_field = on_field_name, .on_header_value = on_field_value,      \
    }

static const llhttp_settings_t request_settings = REQUEST_SETTINGS(NULL);
static const llhttp_settings_t request_settings_with_version = REQUEST_SETTINGS(on_version);
static const llhttp_settings_t response_settings = {COMMON_SETTINGS};
static const llhttp_settings_t response_settings_with_fields = {
    COMMON_SETTINGS,
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
};

/* ---- begin ---- */

/* Initialised parsers, copied for each message: faster than llhttp_init. */
static llhttp_t initial_request, initial_response;

__attribute__((constructor)) static void make_initial(void)
{
    llhttp_init(&initial_request, HTTP_REQUEST, &request_settings);
    llhttp_init(&initial_response, HTTP_RESPONSE, &response_settings);
}

static void begin(struct message *m, const llhttp_t *initial, const struct message_events *events)
{
    *llhttp_of(m) = *initial;
    m->events = events;
    m->mode = READ_ALL;
    m->last_chunk = false;
    m->fold = FOLD_REFUSED;
}

void message_begin_request(struct message *m, const struct message_events *events)
{
    begin(m, &initial_request, events);
}

void message_begin_response(struct message *m, const struct message_events *events)
{
    begin(m, &initial_response, events);
}

void message_accept_folds(struct message *m)
{
    m->fold = FOLD_FIRST;
}

void message_watch_version(struct message *m)
{
    llhttp_of(m)->settings = (void *)(uintptr_t)&request_settings_with_version;
}

void message_watch_fields(struct message *m)
{
    llhttp_of(m)->settings = (void *)(uintptr_t)&response_settings_with_fields;
}

/* ---- reading ---- */

static enum message_result result_of(llhttp_errno_t err)
{
    switch (err) {
    case HPE_OK: return MESSAGE_OK;
    case HPE_PAUSED: return MESSAGE_PAUSED;
    case HPE_USER:
    case HPE_CB_HEADERS_COMPLETE: return MESSAGE_FAILED;
    case HPE_INVALID_METHOD: return MESSAGE_BAD_METHOD;
    case HPE_INVALID_VERSION: return MESSAGE_BAD_VERSION;
    case HPE_PAUSED_H2_UPGRADE: return MESSAGE_HTTP2;
    default: return MESSAGE_MALFORMED;
    }
}

/* Takes a piece of a value, which ends before an HTAB or after the line. Each byte is looked at
 * once: a search for the end of the line from each HTAB would take quadratic time. */
static size_t next_of_value(struct message *m, slice in, slice *pass)
{
    size_t n = 0;
    if (in.ptr[0] == '\t') {
        *pass = slice_of(space, 1);
        return 1;
    }
    while (n < in.len && in.ptr[n] != '\t' && in.ptr[n] != '\n') n++;
    if (n < in.len && in.ptr[n] == '\n') {
        n++;
        m->mode = READ_ALL;
    }
    *pass = slice_of(in.ptr, n);
    return n;
}

/* Up to the end of a value, or an HTAB in it, which llhttp does not take. */
static size_t value_part(slice in)
{
    size_t n = 0;
    while (n < in.len && in.ptr[n] != '\r' && in.ptr[n] != '\n' && in.ptr[n] != '\t') n++;
    return n;
}

/* Up to the end of the first line that may be folded, or is the last. llhttp stops after the name
 * of each field that it interprets, and the rest is looked at again: so no more than a bit of it
 * is. */
static size_t lines_part(slice in)
{
    enum { LINES_MAX = 512 };
    size_t n = 0;
    if (in.len > LINES_MAX) in.len = LINES_MAX;
    for (const char *end; (end = memchr(in.ptr + n, '\n', in.len - n));) {
        n = (size_t)(end - in.ptr);
        if (n + 1 == in.len || in.ptr[n + 1] < '!') break;
        n++;
    }
    if (n < in.len && in.ptr[n] != '\n') n = in.len;
    return n > 0 && in.ptr[n - 1] == '\r' ? n - 1 : n;
}

static size_t next_of_line(struct message *m, slice in, slice *pass)
{
    size_t n = m->mode == READ_VALUE ? value_part(in) : lines_part(in);
    *pass = slice_of(in.ptr, n);
    if (n > 0) return n;
    if (in.ptr[0] == '\t')
        *pass = slice_of(space, 1);
    else
        m->fold = in.ptr[0] == '\r' ? FOLD_CR : FOLD_LF;
    return 1;
}

/* What is behind the end of a line. */
static size_t next_of_end(struct message *m, slice in, slice *pass)
{
    static const char fold[] = " ", end[] = "\r\n";
    char c = in.ptr[0];
    bool cr = m->fold != FOLD_LF, lf = m->fold != FOLD_CR;
    *pass = slice_of(fold, 0);
    if (!lf && c == '\n') {
        m->fold = FOLD_CRLF;
        return 1;
    }
    if (m->fold == FOLD_CRLF && (c == ' ' || c == '\t')) {
        m->fold = FOLD_LINE;
        *pass = slice_of(fold, 1);
        return 1;
    }
    m->fold = lf ? FOLD_START : FOLD_LINE;
    if (lf) m->mode = READ_ALL;
    *pass = slice_of(cr ? end : end + 1, (size_t)cr + lf);
    return 0;
}

/* As next_piece, of a head with folded lines. */
static size_t next_of_head(struct message *m, slice in, slice *pass)
{
    if (m->fold == FOLD_START && message_status(m) == 0) m->fold = FOLD_FIRST; /* an empty line */
    if (m->fold >= FOLD_CR) return next_of_end(m, in, pass);
    if (m->fold == FOLD_LINE) return next_of_line(m, in, pass);
    if (m->fold == FOLD_FIRST) {
        const char *end = memchr(in.ptr, '\n', in.len);
        if (end) m->fold = FOLD_START;
        *pass = slice_of(in.ptr, end ? (size_t)(end - in.ptr) + 1 : in.len);
        return pass->len;
    }
    if (in.ptr[0] != '\r' && in.ptr[0] != '\n') {
        m->fold = FOLD_LINE;
        return next_of_line(m, in, pass);
    }
    m->fold = FOLD_REFUSED; /* the end of the head */
    *pass = in;
    return in.len;
}

/* Takes a piece of `in` and returns its length; *pass is what llhttp gets in its place. */
static size_t next_piece(struct message *m, slice in, slice *pass)
{
    if (UNLIKELY(m->fold)) return next_of_head(m, in, pass);
    switch ((enum read_mode)m->mode) {
    case READ_VALUE: return next_of_value(m, in, pass);
    case READ_CHUNK_LINE: return chunk_line_next(&m->line, in, pass);
    default: *pass = in; return in.len;
    }
}

/* How much of a piece of `n` bytes at `at` llhttp has used before it stopped. */
static size_t used_of(const llhttp_t *l, const char *at, size_t n, slice pass)
{
    const char *stop = llhttp_get_error_pos(l);
    if (pass.ptr == at) return (size_t)(stop - at);
    return stop == pass.ptr ? 0 : n;
}

enum message_result message_read(struct message *m, slice in, size_t *used)
{
    llhttp_t *l = llhttp_of(m);
    llhttp_errno_t err = HPE_OK;
    size_t at = 0;
    m->switched = false;
    while (at < in.len && err == HPE_OK) {
        slice pass, rest = slice_skip(in, at);
        size_t n = next_piece(m, rest, &pass);
        if (pass.len) err = llhttp_execute(l, pass.ptr, pass.len);
        at += err == HPE_OK ? n : used_of(l, rest.ptr, n, pass);
        if (err == HPE_PAUSED) llhttp_resume(l);
        if (m->switched) err = HPE_OK;
        m->switched = false;
    }
    *used = at;
    return result_of(err);
}

enum message_result message_end(struct message *m)
{
    return result_of(llhttp_finish(llhttp_of(m)));
}

/* ---- properties ---- */

const char *message_problem(const struct message *m)
{
    const char *reason = llhttp_get_error_reason(llhttp_of(m));
    return reason && *reason ? reason : NULL;
}

const char *message_error_at(const struct message *m)
{
    return llhttp_get_error_pos(llhttp_of(m));
}

slice message_method(const struct message *m)
{
#define NAME(number, name, text) [number] = {#text, sizeof #text - 1},
    static const slice names[] = {HTTP_ALL_METHOD_MAP(NAME)};
#undef NAME
    return names[llhttp_of(m)->method];
}

int message_major(const struct message *m)
{
    return llhttp_of(m)->http_major;
}

int message_minor(const struct message *m)
{
    return llhttp_of(m)->http_minor;
}

int message_status(const struct message *m)
{
    return llhttp_of(m)->status_code;
}

bool message_is_chunked(const struct message *m)
{
    return llhttp_of(m)->flags & F_CHUNKED;
}

uint64_t message_content_length(const struct message *m)
{
    return llhttp_of(m)->content_length;
}

bool message_has_transfer_encoding(const struct message *m)
{
    return llhttp_of(m)->flags & F_TRANSFER_ENCODING;
}

bool message_keeps_alive(const struct message *m)
{
    return llhttp_should_keep_alive(llhttp_of(m));
}

bool message_needs_end(const struct message *m)
{
    return llhttp_message_needs_eof(llhttp_of(m));
}
