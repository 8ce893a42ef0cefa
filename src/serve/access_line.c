#include "serve/access_line.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ESCAPE_MAX = 6,  /* bytes that one becomes at most: \u00XX, \uf0XX */
    FIXED_MAX = 512, /* of a line, without what the client sent */
};

/* ---- bytes ---- */

/* A line being written, behind the ring's tail and not yet to be seen by the thread. */
struct line {
    char *ring;
    size_t at;
};

static void put(struct line *l, const char *p, size_t n)
{
    size_t at = l->at % ACCESS_RING, first = n < ACCESS_RING - at ? n : ACCESS_RING - at;
    memcpy(l->ring + at, p, first);
    memcpy(l->ring, p + first, n - first);
    l->at += n;
}

#define PUT(l, literal) put(l, literal, sizeof(literal) - 1)

static void put_u64(struct line *l, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do digits[sizeof digits - ++n] = (char)('0' + v % 10);
    while (v /= 10);
    put(l, digits + sizeof digits - n, n);
}

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* Bytes of the character beyond ASCII that `s` begins with, where it may stand as it is; else 0.
 * Well-formed as in RFC 3629, 3 and 4; without the control characters U+0080 to U+009F, which a
 * terminal may obey, and without those that stand for single bytes. */
static size_t character(slice s)
{
    static const uint32_t least[] = {[2] = 0xa0, [3] = 0x800, [4] = 0x10000};
    unsigned char c = (unsigned char)s.ptr[0];
    size_t n = c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
    if (n == 0 || n > s.len) return 0;
    uint32_t code = c & 0x7fu >> n;
    for (size_t i = 1; i < n; i++) {
        if ((s.ptr[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (s.ptr[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff, byte = code >= 0xf080 && code <= 0xf0ff;
    return code >= least[n] && code <= 0x10ffff && !surrogate && !byte ? n : 0;
}

/* How many bytes stand as they are, from the begin of `s`. */
static size_t plain_run(slice s, enum log_format format)
{
    size_t n = 0, more = 1;
    for (; n < s.len && more; n += more) {
        more = is_plain(s.ptr[n]);
        if (!more && format == LOG_JSON) more = character(slice_skip(s, n));
    }
    return n;
}

static void put_escape(struct line *l, unsigned char c, enum log_format format)
{
    static const char hex[] = "0123456789abcdef";
    if (format == LOG_JSON && (c == '"' || c == '\\')) {
        put(l, (char[2]){'\\', (char)c}, 2);
        return;
    }
    const char *prefix = format == LOG_COMBINED ? "\\x" : c < 0x80 ? "\\u00" : "\\uf0";
    put(l, prefix, strlen(prefix));
    put(l, (char[2]){hex[c >> 4], hex[c & 15]}, 2);
}

static void put_text(struct line *l, slice s, enum log_format format)
{
    while (s.len) {
        size_t n = plain_run(s, format);
        put(l, s.ptr, n);
        s = slice_skip(s, n);
        if (s.len == 0) break;
        put_escape(l, (unsigned char)s.ptr[0], format);
        s = slice_skip(s, 1);
    }
}

/* "-" for what is absent. */
static void put_combined(struct line *l, slice s)
{
    if (s.ptr)
        put_text(l, s, LOG_COMBINED);
    else
        PUT(l, "-");
}

static void put_json(struct line *l, const char *name, slice s)
{
    put(l, name, strlen(name));
    if (!s.ptr) {
        PUT(l, "null");
        return;
    }
    PUT(l, "\"");
    put_text(l, s, LOG_JSON);
    PUT(l, "\"");
}

/* ---- time ---- */

/* strftime's names of months would follow the program's locale. */
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

/* ---- what a line says ---- */

struct access_entry access_entry_of(const struct torc_req *rq, const char *peer, uint64_t bytes)
{
    struct access_entry e = {
        .peer = strcmp(peer, "-") == 0 ? (slice){0} : slice_str(peer),
        .host = rq->host,
        .referer = head_find(&rq->head, SLICE("referer")),
        .agent = head_find(&rq->head, SLICE("user-agent")),
        .status = (uint64_t)rq->response.status,
        .bytes = bytes,
        .duration_us = (rq->ctx->io->now - rq->arrived) / 1000,
    };
    /* Of a head that was refused there may be a part. */
    if (rq->head.target_len) {
        e.method = rq->head.method_name;
        e.target = head_target(&rq->head);
    }
    e.version = head_version(&rq->head);
    return e;
}

/* An address without its port and brackets, as this format has it. */
static slice without_port(slice peer)
{
    const char *colon = peer.len ? memrchr(peer.ptr, ':', peer.len) : NULL;
    if (!colon) return peer;
    if (peer.ptr[0] != '[') return slice_of(peer.ptr, (size_t)(colon - peer.ptr));
    return colon[-1] == ']' ? slice_of(peer.ptr + 1, (size_t)(colon - peer.ptr) - 2) : peer;
}

/* The combined format of Apache's mod_log_config, with nginx's escapes. */
static void put_combined_line(struct line *l, const struct access_entry *e, slice time)
{
    put_combined(l, without_port(e->peer));
    PUT(l, " - - [");
    put(l, time.ptr, time.len);
    PUT(l, "] \"");
    put_combined(l, e->method);
    if (e->target.ptr) {
        PUT(l, " ");
        put_combined(l, e->target);
    }
    if (e->version.ptr) {
        PUT(l, " ");
        put_combined(l, e->version);
    }
    PUT(l, "\" ");
    put_u64(l, e->status);
    PUT(l, " ");
    if (e->bytes)
        put_u64(l, e->bytes);
    else
        PUT(l, "-");
    PUT(l, " \"");
    put_combined(l, e->referer);
    PUT(l, "\" \"");
    put_combined(l, e->agent);
    PUT(l, "\"\n");
}

/* RFC 8259; time as in RFC 3339. */
static void put_json_line(struct line *l, const struct access_entry *e, slice time)
{
    put_json(l, "{\"time\":", time);
    put_json(l, ",\"peer\":", e->peer);
    put_json(l, ",\"method\":", e->method);
    put_json(l, ",\"target\":", e->target);
    put_json(l, ",\"version\":", e->version);
    PUT(l, ",\"status\":");
    put_u64(l, e->status);
    PUT(l, ",\"bytes\":");
    put_u64(l, e->bytes);
    PUT(l, ",\"duration_us\":");
    put_u64(l, e->duration_us);
    put_json(l, ",\"host\":", e->host);
    put_json(l, ",\"referer\":", e->referer);
    put_json(l, ",\"user_agent\":", e->agent);
    PUT(l, "}\n");
}

size_t access_line_most(const struct access_entry *e)
{
    return FIXED_MAX +
           ESCAPE_MAX * (e->peer.len + e->target.len + e->host.len + e->referer.len + e->agent.len);
}

size_t access_line_put(char *ring, size_t at, enum log_format format, const struct access_entry *e,
                       slice time)
{
    struct line l = {ring, at};
    if (format == LOG_JSON)
        put_json_line(&l, e, time);
    else
        put_combined_line(&l, e, time);
    return l.at;
}
