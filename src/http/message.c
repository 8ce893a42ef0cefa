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
SPAN_EVENT(field_value)
SPAN_EVENT(body)

static int on_head_complete(llhttp_t *l)
{
    struct message *m = message_of(l);
    l->upgrade = 0; /* no upgrade is supported: the field is ignored (RFC 9110, 7.8) */
    return m->events->head_complete(m);
}

static int on_complete(llhttp_t *l)
{
    struct message *m = message_of(l);
    return m->events->complete(m);
}

#define REQUEST_SETTINGS(version)                                                                  \
    {                                                                                              \
        .on_url = on_target, .on_version = (version), .on_header_field = on_field_name,            \
        .on_header_value = on_field_value, .on_headers_complete = on_head_complete,                \
        .on_body = on_body, .on_message_complete = on_complete,                                    \
    }

static const llhttp_settings_t request_settings = REQUEST_SETTINGS(NULL);
static const llhttp_settings_t request_settings_with_version = REQUEST_SETTINGS(on_version);
static const llhttp_settings_t response_settings = {
    .on_headers_complete = on_head_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- begin ---- */

/* Initialised parsers, copied for each message: faster than llhttp_init. */
static llhttp_t initial_request, initial_response;

__attribute__((constructor)) static void make_initial(void)
{
    llhttp_init(&initial_request, HTTP_REQUEST, &request_settings);
    llhttp_init(&initial_response, HTTP_RESPONSE, &response_settings);
}

void message_begin_request(struct message *m, const struct message_events *events)
{
    *llhttp_of(m) = initial_request;
    m->events = events;
}

void message_begin_response(struct message *m, const struct message_events *events)
{
    *llhttp_of(m) = initial_response;
    m->events = events;
}

void message_watch_version(struct message *m)
{
    llhttp_of(m)->settings = (void *)(uintptr_t)&request_settings_with_version;
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

enum message_result message_read(struct message *m, slice in, size_t *used)
{
    llhttp_t *l = llhttp_of(m);
    llhttp_errno_t err = llhttp_execute(l, in.ptr, in.len);
    *used = err == HPE_OK ? in.len : (size_t)(llhttp_get_error_pos(l) - in.ptr);
    if (err == HPE_PAUSED) llhttp_resume(l);
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

bool message_has_connection(const struct message *m)
{
    return llhttp_of(m)->flags & (F_CONNECTION_CLOSE | F_CONNECTION_KEEP_ALIVE);
}

bool message_keeps_alive(const struct message *m)
{
    return llhttp_should_keep_alive(llhttp_of(m));
}

bool message_needs_end(const struct message *m)
{
    return llhttp_message_needs_eof(llhttp_of(m));
}
