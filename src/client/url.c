#include "client/url.h"

#include "http/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static slice without_fragment(slice s)
{
    const char *end = s.len ? memchr(s.ptr, '#', s.len) : NULL;
    return end ? slice_of(s.ptr, (size_t)(end - s.ptr)) : s;
}

/* The length of "scheme:" at the beginning (3.1), or 0. */
static size_t scheme_len(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (c == ':') return i ? i + 1 : 0;
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return 0;
    }
    return 0;
}

int url_parse(slice text, struct url *out)
{
    struct target t;
    slice url = without_fragment(text);
    size_t scheme = scheme_len(url);
    if (scheme == 0 || url.len > URL_MAX) return -EINVAL;
    if (!slice_ieq(slice_of(url.ptr, scheme), SLICE("http:"))) return -EPROTONOSUPPORT;
    if (!target_parse(url, false, &t) || t.host.len > URL_HOST_MAX) return -EINVAL;
    out->host = t.host;
    const char *end = t.host.ptr + t.host.len;
    out->target = slice_of(end, (size_t)(url.ptr + url.len - end));
    return 0;
}

/* The length of a host without its port. */
static size_t name_len(slice host)
{
    for (size_t i = host.len; i > 0 && host.ptr[i - 1] != ']'; i--)
        if (host.ptr[i - 1] == ':') return i - 1;
    return host.len;
}

void url_address(slice host, char out[URL_HOST_MAX + 4])
{
    size_t n = name_len(host);
    unsigned port = 0;
    bool given = n + 1 < host.len;
    for (size_t i = n + 1; i < host.len; i++) port = port * 10 + (unsigned)(host.ptr[i] - '0');
    for (size_t i = 0; i < n; i++) out[i] = slice_lower(host.ptr[i]);
    snprintf(out + n, URL_HOST_MAX + 4 - n, ":%u", given ? port : 80);
    /* A host named "unix" is no Unix socket, to which a redirect could lead otherwise. */
    if (strncmp(out, "unix:", 5) == 0) out[0] = 'U';
}

bool url_same_server(const struct url *a, const struct url *b)
{
    char of_a[URL_HOST_MAX + 4], of_b[URL_HOST_MAX + 4];
    url_address(a->host, of_a);
    url_address(b->host, of_b);
    return strcmp(of_a, of_b) == 0;
}

/* ---- references ---- */

static slice path_of(slice target)
{
    const char *query = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    return query ? slice_of(target.ptr, (size_t)(query - target.ptr)) : target;
}

/* The path up to its last slash. */
static slice directory_of(slice path)
{
    while (path.len && path.ptr[path.len - 1] != '/') path.len--;
    return path;
}

static size_t up(const char *path, size_t len)
{
    if (len) len--; /* the slash at the end */
    while (len && path[len - 1] != '/') len--;
    return len ? len : 1;
}

/* Removes "." and ".." from a path that begins with a slash (5.2.4), in place. Its new length. */
static size_t remove_dots(char *path, size_t len)
{
    size_t out = 1;
    for (size_t at = 1; at < len;) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - path) - at : len - at;
        slice segment = slice_of(path + at, n);
        bool here = slice_eq(segment, SLICE(".")), above = slice_eq(segment, SLICE(".."));
        if (above) out = up(path, out);
        if (!here && !above) {
            memmove(path + out, path + at, n + (slash != NULL));
            out += n + (slash != NULL);
        }
        at += n + 1;
    }
    return out;
}

static int resolve_path(const struct url *base, slice ref, char *out, size_t size)
{
    slice before = SLICE("");
    if (ref.len == 0)
        before = base->target;
    else if (ref.ptr[0] == '?')
        before = path_of(base->target);
    else if (ref.ptr[0] != '/')
        before = directory_of(path_of(base->target));
    const char *root = (before.len ? before.ptr[0] : ref.len ? ref.ptr[0] : 0) == '/' ? "" : "/";
    int n = snprintf(out, size, "http://%.*s%s%.*s%.*s", (int)base->host.len, base->host.ptr, root,
                     (int)before.len, before.ptr, (int)ref.len, ref.len ? ref.ptr : "");
    if (n < 0 || (size_t)n >= size) return -EINVAL;
    char *path = out + 7 + base->host.len, *end = out + n;
    slice whole = slice_of(path, (size_t)(end - path));
    size_t old = path_of(whole).len, now = remove_dots(path, old);
    memmove(path + now, path + old, whole.len - old);
    return n - (int)(old - now);
}

int url_resolve(const struct url *base, slice ref, char *out, size_t size)
{
    ref = without_fragment(ref);
    if (ref.len > URL_MAX) return -EINVAL;
    bool network = ref.len > 1 && ref.ptr[0] == '/' && ref.ptr[1] == '/';
    if (!network && !scheme_len(ref)) return resolve_path(base, ref, out, size);
    int n = snprintf(out, size, "%s%.*s", network ? "http:" : "", (int)ref.len, ref.ptr);
    return n < 0 || (size_t)n >= size ? -EINVAL : n;
}
