#include "load/url.h"

#include "io/local.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>

enum { NAME_TEXT = 256, PORT_TEXT = 6 };

#define LOCAL "unix:"

/* False, or no addresses. */
#define fail(...) (snprintf(why, size, __VA_ARGS__), 0)

/* A scheme is case-insensitive (RFC 3986, 3.1). */
static bool has_scheme(slice url, slice scheme)
{
    return url.len >= scheme.len && slice_ieq(slice_of(url.ptr, scheme.len), scheme);
}

/* Of "unix:PATH", up to the colon before the target. */
static size_t local_length(const char *url)
{
    size_t prefix = sizeof LOCAL - 1;
    return prefix + strcspn(url + prefix, ":");
}

slice url_authority(const char *host)
{
    slice h = slice_str(host);
    return slice_starts(h, SLICE(LOCAL)) ? SLICE("localhost") : h;
}

bool url_split(const char *url, slice *host, slice *target, char *why, size_t size)
{
    slice rest = slice_str(url), part;
    if (has_scheme(rest, SLICE("https://")))
        return fail("\"%.100s\": TLS is not supported, only http://", url);
    bool local = slice_starts(rest, SLICE(LOCAL));
    if (!local && !has_scheme(rest, SLICE("http://")))
        return fail("\"%.100s\" is not a URL such as http://127.0.0.1:8080/path", url);
    if (!local) rest = slice_skip(rest, 7);
    size_t n = local ? local_length(rest.ptr) : strcspn(rest.ptr, "/?#");
    *host = slice_of(rest.ptr, n);
    rest = slice_skip(rest, n);
    if (local && rest.len) rest = slice_skip(rest, 1);
    if (n == 0) return fail("\"%.100s\" has no host", url);
    if (!local && memchr(host->ptr, '@', n))
        return fail("\"%.100s\": user names are not supported", url);
    slice_cut(&rest, '#', &part);
    if (part.len == 0 || part.ptr[0] != '/') {
        if (part.len) return fail("\"%.100s\": put a / before the %s", url, local ? "target" : "?");
        part = SLICE("/");
    }
    for (size_t i = 0; i < part.len; i++)
        if ((unsigned char)part.ptr[i] <= ' ' || part.ptr[i] == 0x7f)
            return fail("\"%.100s\" has a character that must be percent-encoded", url);
    *target = part;
    return true;
}

/* In a URL the "%" before the zone of an address may be encoded (RFC 6874, 2). */
static void decode_zone(char *name)
{
    char *zone = strstr(name, "%25");
    if (zone && zone[3]) memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
}

/* Splits HOST[:PORT] for getaddrinfo(3), without the brackets of an IPv6 address. */
static bool split_port(slice host, char name[NAME_TEXT], char port[PORT_TEXT], char *why,
                       size_t size)
{
    const char *colon = memrchr(host.ptr, ':', host.len),
               *bracket = memrchr(host.ptr, ']', host.len);
    size_t n = colon && (!bracket || colon > bracket) ? (size_t)(colon - host.ptr) : host.len;
    size_t digits = host.len > n ? host.len - n - 1 : 0;
    uint64_t v = 80;
    if (n == 0) return fail("\"%.*s\" has no host", (int)host.len, host.ptr);
    if (!bracket && colon && memchr(host.ptr, ':', n))
        return fail("%.*s: an IPv6 address needs brackets", (int)host.len, host.ptr);
    if (digits && (!slice_u64(slice_of(host.ptr + n + 1, digits), &v) || v == 0 || v > 65535))
        return fail("%.*s: invalid port", (int)host.len, host.ptr);
    snprintf(port, PORT_TEXT, "%u", (unsigned)v);
    bool six = n > 2 && host.ptr[0] == '[' && host.ptr[n - 1] == ']';
    if (n - 2 * six >= NAME_TEXT) return fail("%.100s: host name too long", host.ptr);
    snprintf(name, NAME_TEXT, "%.*s", (int)(n - 2 * six), host.ptr + six);
    if (six) decode_zone(name);
    return true;
}

static uint32_t use_local(const char *text, struct sock_addr *addr, char *why, size_t size)
{
    int err = local_parse(text, addr);
    if (err == 0) return 1;
    if (err == -ENAMETOOLONG)
        return fail("%.40s...: the path of a Unix socket may have at most %d bytes, not %zu", text,
                    LOCAL_PATH_MAX, strlen(text) - strlen(LOCAL));
    return fail("%s is not the path of a Unix socket", text);
}

uint32_t url_resolve(const char *text, struct sock_addr *addrs, uint32_t max, char *why,
                     size_t size)
{
    char name[NAME_TEXT], port[PORT_TEXT];
    slice host = slice_str(text);
    uint32_t n = 0;
    if (slice_starts(host, SLICE(LOCAL))) return use_local(text, addrs, why, size);
    if (!split_port(host, name, port, why, size)) return 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int err = getaddrinfo(name, port, &hints, &found);
    if (err) return fail("%s: %s", name, gai_strerror(err));
    for (const struct addrinfo *a = found; a && n < max; a = a->ai_next) {
        struct sock_addr *to = &addrs[n++];
        memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
        to->len = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return n;
}
