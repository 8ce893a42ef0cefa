#include "serve/access_line.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIXED_MAX = 512 }; /* bytes of a line apart from what the client sent */

/* Writes a line into the ring buffer and continues at its start when the end is reached. */
struct line_writer {
    struct writer out;
    char *buffer;
    size_t base; /* position of the buffer's first byte */
};

static void wrap(struct writer *out)
{
    struct line_writer *l = container_of(out, struct line_writer, out);
    l->base += ACCESS_BUFFER_SIZE;
    out->at = l->buffer;
}

#define PUT(out, literal) writer_put(out, literal, sizeof(literal) - 1)

/* "-" if absent; \xXX for '"', '\' and bytes that are not printable. */
static void put_escaped(struct writer *out, slice s)
{
    static const char hex[] = "0123456789abcdef";
    if (!s.ptr) {
        writer_char(out, '-');
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
            writer_char(out, s.ptr[i]);
            continue;
        }
        writer_put(out, (char[4]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
    }
}

/* ---- time ---- */

/* Without strftime, whose month names depend on the locale. */
uint32_t access_time(enum log_format format, time_t second, char out[ACCESS_TIME_MAX])
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm t;
    localtime_r(&second, &t);
    long zone = labs(t.tm_gmtoff) / 60;
    char sign = t.tm_gmtoff < 0 ? '-' : '+';
    int n = format == LOG_JSON
                ? snprintf(out, ACCESS_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%c%02ld:%02ld",
                           t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                           sign, zone / 60, zone % 60)
                : snprintf(out, ACCESS_TIME_MAX, "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld",
                           t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min,
                           t.tm_sec, sign, zone / 60, zone % 60);
    ASSERT(n > 0 && n < ACCESS_TIME_MAX);
    return (uint32_t)n;
}

/* ---- lines ---- */

static const char *const end_words[] = {
    [END_DONE] = "done", [END_CLIENT] = "client", [END_TIMEOUT] = "timeout",
    [END_SLOW] = "slow", [END_SERVER] = "server",
};

struct access_entry access_entry_from(const struct torc_req *rq, const char *peer, uint64_t bytes,
                                      enum http_end end, uint64_t now)
{
    struct access_entry e = {
        .peer = strcmp(peer, "-") == 0 ? (slice){0} : slice_str(peer),
        .host = rq->host,
        .referer = head_find(&rq->head, SLICE("referer")),
        .agent = head_find(&rq->head, SLICE("user-agent")),
        .status = rq->response.status ? (uint64_t)rq->response.status : ACCESS_NO_STATUS,
        .bytes = bytes,
        .duration_us = (now - rq->arrived) / 1000,
        .end = end,
    };
    /* A rejected head may have been parsed in part only. */
    if (rq->head.target_len) {
        e.method = rq->head.method_name;
        e.target = head_target(&rq->head);
    }
    e.version = head_version(&rq->head);
    return e;
}

/* An address without its port and brackets, as the combined format has it. */
static slice without_port(slice peer)
{
    const char *colon = peer.len ? memrchr(peer.ptr, ':', peer.len) : NULL;
    if (!colon || slice_eq(peer, SLICE("unix:"))) return peer;
    if (peer.ptr[0] != '[') return slice_of(peer.ptr, (size_t)(colon - peer.ptr));
    if (colon[-1] == ']') peer.len = (size_t)(colon - peer.ptr);
    return slice_of(peer.ptr + 1, peer.len - 2);
}

/* The combined format of Apache's mod_log_config, with nginx's escapes. */
static void put_combined_line(struct writer *out, const struct access_entry *e, slice time)
{
    put_escaped(out, without_port(e->peer));
    PUT(out, " - - [");
    writer_put(out, time.ptr, time.len);
    PUT(out, "] \"");
    put_escaped(out, e->method);
    if (e->target.ptr) {
        PUT(out, " ");
        put_escaped(out, e->target);
    }
    if (e->version.ptr) {
        PUT(out, " ");
        put_escaped(out, e->version);
    }
    PUT(out, "\" ");
    writer_u64(out, e->status);
    PUT(out, " ");
    if (e->bytes)
        writer_u64(out, e->bytes);
    else
        PUT(out, "-");
    PUT(out, " \"");
    put_escaped(out, e->referer);
    PUT(out, "\" \"");
    put_escaped(out, e->agent);
    PUT(out, "\"");
    if (e->end != END_DONE) {
        PUT(out, " ");
        writer_text(out, end_words[e->end]);
    }
    PUT(out, "\n");
}

/* Time as in RFC 3339. */
static void put_json_line(struct writer *out, const struct access_entry *e, slice time)
{
    struct json j = {out, false};
    json_begin(&j, NULL, '{');
    json_put_text(&j, "time", time);
    json_put_text(&j, "peer", e->peer);
    json_put_text(&j, "method", e->method);
    json_put_text(&j, "target", e->target);
    json_put_text(&j, "version", e->version);
    json_put_u64(&j, "status", e->status);
    json_put_u64(&j, "bytes", e->bytes);
    json_put_string(&j, "end", end_words[e->end]);
    json_put_u64(&j, "duration_us", e->duration_us);
    json_put_text(&j, "host", e->host);
    json_put_text(&j, "referer", e->referer);
    json_put_text(&j, "user_agent", e->agent);
    json_end(&j, '}');
    PUT(out, "\n");
}

size_t access_line_bound(const struct access_entry *e)
{
    return FIXED_MAX + JSON_ESCAPE_MAX * (e->peer.len + e->target.len + e->host.len +
                                          e->referer.len + e->agent.len);
}

size_t access_line_write(char *buffer, size_t at, enum log_format format,
                         const struct access_entry *e, slice time)
{
    size_t offset = at % ACCESS_BUFFER_SIZE;
    struct line_writer l = {
        {buffer + offset, buffer + ACCESS_BUFFER_SIZE, wrap}, buffer, at - offset};
    if (format == LOG_JSON)
        put_json_line(&l.out, e, time);
    else
        put_combined_line(&l.out, e, time);
    return l.base + (size_t)(l.out.at - buffer);
}

uint64_t access_line_count(const char *ring, size_t from, size_t to)
{
    uint64_t n = 0;
    for (; from != to; from++) n += ring[from % ACCESS_BUFFER_SIZE] == '\n';
    return n;
}
