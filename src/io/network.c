#include "io/network.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- addresses ---- */

static bool parse_host(slice text, int family, void *out)
{
    char host[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof host || memchr(text.ptr, '\0', text.len)) return false;
    memcpy(host, text.ptr, text.len);
    host[text.len] = '\0';
    return inet_pton(family, host, out) == 1;
}

static bool parse_port(slice text, in_port_t *out)
{
    uint64_t port;
    if (text.len > 5 || !slice_u64(text, &port) || port > 65535) return false;
    *out = htons((uint16_t)port);
    return true;
}

static bool parse_v4(slice text, struct sock_addr *out)
{
    const char *colon = memchr(text.ptr, ':', text.len);
    slice host = colon ? slice_of(text.ptr, (size_t)(colon - text.ptr)) : text;
    out->in.sin_family = AF_INET;
    out->len = sizeof out->in;
    if (!parse_host(host, AF_INET, &out->in.sin_addr)) return false;
    return !colon || parse_port(slice_skip(text, host.len + 1), &out->in.sin_port);
}

static bool parse_v6(slice text, struct sock_addr *out)
{
    slice host = text, rest = {NULL, 0};
    if (text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        if (!end) return false;
        host = slice_of(text.ptr + 1, (size_t)(end - text.ptr) - 1);
        rest = slice_skip(text, host.len + 2);
    }
    out->in6.sin6_family = AF_INET6;
    out->len = sizeof out->in6;
    if (!parse_host(host, AF_INET6, &out->in6.sin6_addr)) return false;
    if (rest.len == 0) return true;
    return rest.ptr[0] == ':' && parse_port(slice_skip(rest, 1), &out->in6.sin6_port);
}

/* A dot before any colon is of IPv4, with or without a port. */
static bool looks_v4(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '.' || text.ptr[i] == ':') return text.ptr[i] == '.';
    return false;
}

bool network_addr_parse(slice text, struct sock_addr *out)
{
    *out = (struct sock_addr){0};
    if (text.len == 0) return false;
    return looks_v4(text) ? parse_v4(text, out) : parse_v6(text, out);
}

/* ---- networks ---- */

/* The address as a network of its own. */
static struct network network_of(const struct sock_addr *a)
{
    struct network n = {.family = a->sa.sa_family};
    const uint8_t *v6 = a->in6.sin6_addr.s6_addr;
    if (n.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
        n.family = AF_INET;
        memcpy(n.addr, v6 + 12, 4);
    } else if (n.family == AF_INET6) {
        memcpy(n.addr, v6, 16);
    } else if (n.family == AF_INET) {
        memcpy(n.addr, &a->in.sin_addr, 4);
    }
    n.bits = n.family == AF_INET6 ? 128 : n.family == AF_INET ? 32 : 0;
    return n;
}

static bool has_prefix(const uint8_t *addr, const struct network *n)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(addr, n->addr, whole) != 0) return false;
    return rest == 0 || ((addr[whole] ^ n->addr[whole]) >> (8 - rest)) == 0;
}

static bool is_zero_beyond(const struct network *n)
{
    struct network cut = {.bits = n->bits};
    memcpy(cut.addr, n->addr, n->bits / 8);
    if (n->bits % 8)
        cut.addr[n->bits / 8] = n->addr[n->bits / 8] & (uint8_t)(0xff00 >> n->bits % 8);
    return memcmp(cut.addr, n->addr, sizeof cut.addr) == 0;
}

bool network_parse(slice text, struct network *out)
{
    struct sock_addr addr = {0};
    uint64_t bits;
    *out = (struct network){.family = AF_UNIX};
    if (slice_eq(text, SLICE("unix:"))) return true;
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    slice host = slash ? slice_of(text.ptr, (size_t)(slash - text.ptr)) : text;
    if (parse_host(host, AF_INET, &addr.in.sin_addr))
        addr.in.sin_family = AF_INET;
    else if (parse_host(host, AF_INET6, &addr.in6.sin6_addr))
        addr.in6.sin6_family = AF_INET6;
    else
        return false;
    bool mapped = addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr.in6.sin6_addr);
    *out = network_of(&addr);
    if (!slash) return true;
    if (!slice_u64(slice_skip(text, host.len + 1), &bits)) return false;
    if (mapped && bits < 96) return false;
    if (mapped) bits -= 96;
    if (bits > out->bits) return false;
    out->bits = (uint8_t)bits;
    return is_zero_beyond(out);
}

bool networks_have(const struct networks *n, const struct sock_addr *a)
{
    if (n->n == 0) return false;
    struct network one = network_of(a);
    for (uint32_t i = 0; i < n->n; i++)
        if (n->list[i].family == one.family && has_prefix(one.addr, &n->list[i])) return true;
    return false;
}
