#include "load/url.h"

#include <netdb.h>
#include <stdio.h>

enum { PORT_TEXT = 6 };

#define fail(...) (snprintf(why, size, __VA_ARGS__), false)

/* In any case of letters (RFC 3986, 3.1). */
static bool has_scheme(slice url, slice scheme)
{
    return url.len >= scheme.len && slice_ieq(slice_of(url.ptr, scheme.len), scheme);
}

bool url_split(const char *url, slice *host, slice *target, char *why, size_t size)
{
    slice rest = slice_str(url), part;
    if (has_scheme(rest, SLICE("https://")))
        return fail("\"%.100s\": TLS is not supported, only http://", url);
    if (!has_scheme(rest, SLICE("http://")))
        return fail("\"%.100s\" is not a URL such as http://127.0.0.1:8080/path", url);
    rest = slice_skip(rest, 7);
    size_t n = strcspn(rest.ptr, "/?#");
    *host = slice_of(rest.ptr, n);
    rest = slice_skip(rest, n);
    if (n == 0 || memchr(host->ptr, '@', n)) return fail("\"%.100s\" names no host", url);
    slice_cut(&rest, '#', &part);
    if (part.len == 0 || part.ptr[0] != '/') {
        if (part.len) return fail("\"%.100s\": put a / before the ?", url);
        part = SLICE("/");
    }
    for (size_t i = 0; i < part.len; i++)
        if ((unsigned char)part.ptr[i] <= ' ' || part.ptr[i] == 0x7f)
            return fail("\"%.100s\" has a character that belongs encoded", url);
    *target = part;
    return true;
}

bool url_resolve(struct plan *p, slice host, char *why, size_t size)
{
    char name[256], port[PORT_TEXT] = "80";
    const char *colon = memrchr(host.ptr, ':', host.len),
               *bracket = memrchr(host.ptr, ']', host.len);
    size_t n = colon && (!bracket || colon > bracket) ? (size_t)(colon - host.ptr) : host.len;
    size_t digits = host.len > n ? host.len - n - 1 : 0;
    uint64_t v = 80;
    if (n == 0) return fail("\"%.*s\" names no host", (int)host.len, host.ptr);
    if (!bracket && colon && memchr(host.ptr, ':', n))
        return fail("%.*s: an IPv6 address stands in brackets", (int)host.len, host.ptr);
    if (digits && (!slice_u64(slice_of(host.ptr + n + 1, digits), &v) || v == 0 || v > 65535))
        return fail("%.*s: no such port", (int)host.len, host.ptr);
    snprintf(port, sizeof port, "%u", (unsigned)v);
    bool six = n > 2 && host.ptr[0] == '[' && host.ptr[n - 1] == ']';
    if (n - 2 * six >= sizeof name) return fail("%.100s: too long a name", host.ptr);
    snprintf(name, sizeof name, "%.*s", (int)(n - 2 * six), host.ptr + six);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int err = getaddrinfo(name, port, &hints, &found);
    if (err) return fail("%s: %s", name, gai_strerror(err));
    for (const struct addrinfo *a = found; a && p->n_addrs < PLAN_ADDRS; a = a->ai_next) {
        struct sock_addr *to = &p->addrs[p->n_addrs++];
        memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
        to->len = a->ai_addrlen;
    }
    p->addr = p->addrs[0];
    freeaddrinfo(found);
    p->host = strndup(host.ptr, host.len);
    return p->host || fail("out of memory");
}
