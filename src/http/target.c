#include "http/target.h"

#include <arpa/inet.h>

/* Character classes. */
enum {
    PATH = 1,  /* valid in a path */
    QUERY = 2, /* valid in a query */
    HOST = 4,  /* unreserved and sub-delims (RFC 3986, 2.2 and 2.3) without ',' */
    TARGET = PATH | QUERY,
    ANY = PATH | QUERY | HOST,
};

// clang-format off
static const unsigned char class_of[256] = {
    ['!'] = ANY, ['"'] = TARGET, ['$'] = ANY, ['%'] = TARGET, ['&' ... '+'] = ANY, [','] = TARGET,
    ['-' ... '.'] = ANY, ['/'] = TARGET, ['0' ... '9'] = ANY, [':'] = TARGET, [';'] = ANY,
    ['<'] = TARGET, ['='] = ANY, ['>'] = TARGET, ['?'] = QUERY, ['@'] = TARGET, ['A' ... 'Z'] = ANY,
    ['[' ... '^'] = TARGET, ['_'] = ANY, ['`'] = TARGET, ['a' ... 'z'] = ANY, ['{' ... '}'] = TARGET,
    ['~'] = ANY,
};
// clang-format on

/* Length of the prefix of `s` whose bytes are all in the class. */
static inline size_t span(slice s, unsigned class)
{
    const unsigned char *p = (const unsigned char *)s.ptr, *c = class_of;
    size_t i = 0;
    while (s.len - i >= 4 && (c[p[i]] & c[p[i + 1]] & c[p[i + 2]] & c[p[i + 3]] & class)) i += 4;
    while (i < s.len && (c[p[i]] & class)) i++;
    return i;
}

/* Splits the origin-form, or the part after the authority, into path and query. */
static inline __attribute__((always_inline)) bool split(slice s, struct target *out)
{
    size_t n = span(s, PATH);
    out->path = slice_of(s.ptr, n);
    out->query = (slice){NULL, 0};
    if (n == s.len) return true;
    if (s.ptr[n] != '?') return false;
    out->query = slice_skip(s, n + 1);
    return span(out->query, QUERY) == out->query.len;
}

COLD static bool absolute_form(slice raw, bool options, struct target *out)
{
    if (raw.len >= 7 && slice_ieq(slice_of(raw.ptr, 7), SLICE("http://")))
        raw = slice_skip(raw, 7);
    else if (raw.len >= 8 && slice_ieq(slice_of(raw.ptr, 8), SLICE("https://")))
        raw = slice_skip(raw, 8);
    else
        return false;

    size_t n = 0;
    while (n < raw.len && raw.ptr[n] != '/' && raw.ptr[n] != '?') n++;
    out->host = slice_of(raw.ptr, n);
    if (n == 0 || !host_valid(out->host) || !split(slice_skip(raw, n), out)) return false;
    if (out->path.len > 0) return true;
    /* RFC 9110, 4.2.3: an empty path is "/", except for OPTIONS, where it means the server as a
     * whole. */
    out->asterisk = options && !out->query.ptr;
    out->path = out->asterisk ? SLICE("*") : SLICE("/");
    return true;
}

static inline __attribute__((always_inline)) bool parse(slice raw, bool options, struct target *out)
{
    out->host = (slice){NULL, 0};
    out->asterisk = false;
    if (raw.len == 0) return false;
    if (LIKELY(raw.ptr[0] == '/')) return split(raw, out);
    if (options && slice_eq(raw, SLICE("*"))) {
        out->path = raw;
        out->query = (slice){NULL, 0};
        out->asterisk = true;
        return true;
    }
    return absolute_form(raw, options, out);
}

bool target_parse(slice raw, bool options, struct target *out)
{
    return parse(raw, options, out);
}

COLD bool target_parse_rejected(slice raw, struct target *out)
{
    return parse(raw, false, out);
}

static int hex(char c)
{
    unsigned digit = (unsigned)(unsigned char)c - '0';
    if (digit < 10) return (int)digit;
    unsigned letter = (unsigned)slice_lower(c) - 'a';
    return letter < 6 ? (int)letter + 10 : -1;
}

int percent_byte(slice s, size_t i)
{
    if (s.len - i < 3) return -1;
    int high = hex(s.ptr[i + 1]), low = hex(s.ptr[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The part after the host: empty, or ':' and a port that may be empty. */
static bool port_valid(slice s)
{
    if (s.len == 0) return true;
    if (s.ptr[0] != ':') return false;
    unsigned port = 0;
    for (size_t i = 1; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9) return false;
        port = port * 10 + digit;
        if (port > UINT16_MAX) return false;
    }
    return true;
}

/* "[" IPv6address "]" and an optional port. */
static bool ip_literal(slice host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *end = memchr(host.ptr, ']', host.len);
    if (!end) return false;
    size_t n = (size_t)(end - host.ptr) - 1;
    if (n >= sizeof text || memchr(host.ptr, 0, n + 1)) return false;
    memcpy(text, host.ptr + 1, n);
    text[n] = 0;
    return inet_pton(AF_INET6, text, &address) == 1 && port_valid(slice_skip(host, n + 2));
}

bool host_valid(slice host)
{
    size_t i = span(host, HOST);
    while (i < host.len && host.ptr[i] == '%') {
        if (percent_byte(host, i) < 0) return false;
        i += 3;
        i += span(slice_skip(host, i), HOST);
    }
    if (i > 0) return port_valid(slice_skip(host, i));
    return host.len == 0 || (host.ptr[0] == '[' && ip_literal(host));
}

int percent_decode(slice in, char *out, bool plus)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            int byte = percent_byte(in, i);
            if (byte < 0) return -1;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[n++] = c;
    }
    return (int)n;
}

static bool unreserved(int byte)
{
    int letter = byte | 0x20;
    return (letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_' || byte == '~';
}

/* What is at `i`, a byte or an escape, in its normal form of *n bytes. Returns its length as sent.
 */
static size_t normal_unit(slice s, size_t i, char out[3], size_t *n)
{
    static const char digits[] = "0123456789ABCDEF";
    int byte = s.ptr[i] == '%' ? percent_byte(s, i) : -1;
    *n = 1;
    if (byte < 0) {
        out[0] = s.ptr[i];
        return 1;
    }
    if (unreserved(byte)) {
        out[0] = (char)byte;
    } else {
        *n = 3;
        out[0] = '%';
        out[1] = digits[byte >> 4];
        out[2] = digits[byte & 15];
    }
    return 3;
}

size_t path_normalize(slice raw, char *out)
{
    size_t len = 0, n;
    for (size_t i = 0; i < raw.len; len += n) i += normal_unit(raw, i, out + len, &n);
    return len;
}

bool path_equals(slice raw, slice normal)
{
    char unit[3];
    size_t at = 0, n;
    for (size_t i = 0; i < raw.len; at += n) {
        i += normal_unit(raw, i, unit, &n);
        if (normal.len - at < n || memcmp(normal.ptr + at, unit, n) != 0) return false;
    }
    return at == normal.len;
}

enum path_fault path_check(slice raw)
{
    size_t len = 0, dots = 0; /* of the current segment */
    bool up = false;
    for (size_t i = 0; i < raw.len; i++) {
        int byte = raw.ptr[i] == '%' ? percent_byte(raw, i) : (unsigned char)raw.ptr[i];
        if (byte == 0) return PATH_NUL;
        if (byte == '/') {
            up |= len == 2 && dots == 2;
            len = dots = 0;
        } else {
            len++;
            dots += byte == '.';
        }
        if (raw.ptr[i] == '%' && byte >= 0) i += 2;
    }
    return up || (len == 2 && dots == 2) ? PATH_UP : PATH_FINE;
}

bool query_next(slice *rest, slice *name, slice *value)
{
    slice pair;
    while (slice_cut(rest, '&', &pair)) {
        if (pair.len == 0) continue;
        *value = pair;
        slice_cut(value, '=', name);
        return true;
    }
    return false;
}
