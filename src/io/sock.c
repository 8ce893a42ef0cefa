#include "io/sock.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/slice.h"
#include "io/nonblock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* An IPv4 address written as an IPv6 one is the IPv4 address: the kernel gives both the same
 * connections. */
static void unmap(struct sock_addr *a)
{
    if (!IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) return;
    struct in_addr v4;
    memcpy(&v4, &a->in6.sin6_addr.s6_addr[12], sizeof v4);
    in_port_t port = a->in6.sin6_port;
    memset(a, 0, sizeof *a);
    a->in.sin_port = port;
    a->in.sin_family = AF_INET;
    a->in.sin_addr = v4;
}

/* Cuts "%NAME" or "%NUMBER" off the host: the interface on whose link the address is (RFC 4007,
 * 11). False where there is no such interface. */
static bool cut_zone(slice *host, uint32_t *scope)
{
    char name[IF_NAMESIZE];
    slice zone = *host, address;
    uint64_t number;
    *scope = 0;
    slice_cut(&zone, '%', &address);
    *host = address;
    if (!zone.ptr) return true;
    if (zone.len == 0 || zone.len >= sizeof name) return false;
    memcpy(name, zone.ptr, zone.len);
    name[zone.len] = '\0';
    *scope = if_nametoindex(name);
    if (*scope == 0 && slice_u64(zone, &number) && number <= UINT32_MAX) *scope = (uint32_t)number;
    return *scope != 0;
}

static bool has_zone(const struct sock_addr *a)
{
    return a->sa.sa_family == AF_INET6 && a->in6.sin6_scope_id != 0 &&
           IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr);
}

bool sock_addr_parse(const char *text, struct sock_addr *out)
{
    char host[INET6_ADDRSTRLEN];
    uint32_t scope = 0;
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !slice_u64(slice_str(colon + 1), &port) || port > 65535) return false;
    slice h = slice_of(text, (size_t)(colon - text));
    bool bracketed = h.len >= 2 && h.ptr[0] == '[' && h.ptr[h.len - 1] == ']';
    if (bracketed) h = slice_of(h.ptr + 1, h.len - 2);
    if (bracketed && !cut_zone(&h, &scope)) return false;
    if (h.len >= sizeof host) return false;
    memcpy(host, h.ptr, h.len);
    host[h.len] = '\0';

    memset(out, 0, sizeof *out);
    if (!bracketed && (h.len == 0 || slice_eq(h, SLICE("*")))) {
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_addr = in6addr_any;
        out->both = true;
    } else if (bracketed) {
        out->in6.sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, host, &out->in6.sin6_addr) != 1) return false;
        out->in6.sin6_scope_id = scope;
        if (scope && !has_zone(out)) return false; /* means something on a link alone */
        unmap(out);
    } else {
        out->in.sin_family = AF_INET;
        if (inet_pton(AF_INET, host, &out->in.sin_addr) != 1) return false;
    }
    bool v6 = out->sa.sa_family == AF_INET6;
    *(v6 ? &out->in6.sin6_port : &out->in.sin_port) = htons((uint16_t)port);
    out->len = v6 ? sizeof out->in6 : sizeof out->in;
    return true;
}

static in_port_t port_of(const struct sock_addr *a)
{
    return a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port;
}

/* The four numbers by hand: inet_ntop would take most of the time that a new client costs. */
static char *put_host(char *p, const struct sock_addr *a)
{
    const unsigned char *v4 = (const unsigned char *)&a->in.sin_addr;
    if (a->sa.sa_family == AF_INET) {
        for (int i = 0; i < 4; i++) {
            if (i) *p++ = '.';
            p = decimal_put(p, v4[i]);
        }
        return p;
    }
    *p++ = '[';
    if (!inet_ntop(a->sa.sa_family, &a->in6.sin6_addr, p, INET6_ADDRSTRLEN)) memcpy(p, "?", 2);
    p += strlen(p);
    *p++ = ']';
    return p;
}

static void format(const struct sock_addr *a, bool with_port, char out[SOCK_PEER_TEXT])
{
    struct sock_addr plain = *a;
    if (a->sa.sa_family == AF_INET6) unmap(&plain);
    char *p = put_host(out, &plain);
    if (with_port) {
        *p++ = ':';
        p = decimal_put(p, ntohs(port_of(&plain)));
    }
    *p = '\0';
}

/* "[fe80::1%eth0]:80" */
static void format_zone(const struct sock_addr *a, char out[SOCK_ADDR_TEXT])
{
    char host[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
    inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
    if (!if_indextoname(a->in6.sin6_scope_id, name))
        snprintf(name, sizeof name, "%u", (unsigned)a->in6.sin6_scope_id);
    snprintf(out, SOCK_ADDR_TEXT, "[%s%%%s]:%u", host, name, (unsigned)ntohs(port_of(a)));
}

void sock_addr_format(const struct sock_addr *a, char out[SOCK_ADDR_TEXT])
{
    if (a->path)
        snprintf(out, SOCK_ADDR_TEXT, "unix:%s", a->path);
    else if (has_zone(a))
        format_zone(a, out);
    else
        format(a, true, out);
}

void sock_peer_format(const struct sock_addr *a, char out[SOCK_PEER_TEXT])
{
    if (a->sa.sa_family == AF_UNIX)
        memcpy(out, "unix:", sizeof "unix:");
    else
        format(a, port_of(a) != 0, out);
}

static bool is_wildcard(const struct sock_addr *a)
{
    return a->sa.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr)
                                       : a->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

static bool same_port(const struct sock_addr *a, const struct sock_addr *b)
{
    return port_of(a) == port_of(b) && port_of(a) != 0;
}

void sock_addr_separate(struct sock_addr *a, const struct sock_addr *other)
{
    if (a->sa.sa_family == AF_INET6 && is_wildcard(a) && !a->both &&
        other->sa.sa_family == AF_INET && same_port(a, other))
        a->v6_only = true;
}

bool sock_addr_clash(const struct sock_addr *a, const struct sock_addr *b)
{
    if (a->path && b->path) return strcmp(a->path, b->path) == 0;
    if (a->path || b->path || !same_port(a, b)) return false;
    if (a->sa.sa_family != b->sa.sa_family) { /* the IPv6 wildcard may include IPv4 */
        const struct sock_addr *v6 = a->sa.sa_family == AF_INET6 ? a : b;
        return is_wildcard(v6) && !v6->v6_only;
    }
    if (is_wildcard(a) || is_wildcard(b)) return true;
    if (a->sa.sa_family == AF_INET) return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) &&
           a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

/* Not left to the system's default, under which "*" may be IPv6 alone. */
static int set_families(int fd, const struct sock_addr *addr)
{
    if (addr->sa.sa_family != AF_INET6) return 0;
    return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, addr->v6_only);
}

/* All addresses are those of IPv4 where there is no IPv6: the kernel lacks it, or it is refused, as
 * by RestrictAddressFamilies= of systemd. */
static int open_listener(struct sock_addr *addr, int type)
{
    int fd = socket(addr->sa.sa_family, type, 0);
    if (fd >= 0 || errno != EAFNOSUPPORT || !addr->both) return fd;
    struct sock_addr v4 = {.in = {.sin_family = AF_INET, .sin_port = port_of(addr)},
                           .len = sizeof v4.in};
    *addr = v4;
    return socket(AF_INET, type, 0);
}

int sock_listen(struct sock_addr *addr, int backlog, bool blocking)
{
    struct sock_addr bound = *addr;
    int fd = open_listener(&bound, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK));
    if (fd < 0) return -errno;
    struct sock_addr wanted = bound;
    bound.len = sizeof bound.in6;
    if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0 ||
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 || set_families(fd, &wanted) < 0 ||
        bind(fd, &wanted.sa, wanted.len) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, &bound.sa, &bound.len) < 0) {
        int err = errno;
        close(fd);
        return -err;
    }
    *addr = bound;
    return fd;
}

static int domain_of(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t len = sizeof domain;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    return domain;
}

bool sock_is_local(int fd)
{
    return domain_of(fd) == AF_UNIX;
}

int sock_adopt(int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    int err = nonblock_set(fd, true);
    if (err < 0) return err;
    if (sock_is_local(fd)) return 0;
    return set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ? -errno : 0;
}

/* Of a connection that was reset, only SO_PEERNAME tells, and of exactly as many bytes as there
 * are.
 */
bool sock_peer(int fd, struct sock_addr *out)
{
    const socklen_t sizes[] = {sizeof out->in6, sizeof out->in};
    *out = (struct sock_addr){.len = sizeof out->in6};
    if (getpeername(fd, &out->sa, &out->len) == 0) return true;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        out->len = sizes[i];
        if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &out->sa, &out->len) == 0) return true;
    }
    return false;
}

int sock_keep_alive(int fd, const struct sock_keepalive *k)
{
    int user_timeout = (int)(k->user_timeout / NS_PER_MS);
    if (sock_is_local(fd)) return 0;
    if (k->idle && (set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)(k->idle / NS_PER_S)) < 0 ||
                    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)(k->interval / NS_PER_S)) < 0 ||
                    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)k->probes) < 0))
        return -errno;
    if (set_int(fd, SOL_SOCKET, SO_KEEPALIVE, k->idle > 0) < 0) return -errno;
    /* 0, too: the socket may have another from before a reload, or from who has given it. */
    bool set = set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout) == 0;
    return set || user_timeout == 0 ? 0 : -errno;
}

int sock_unacked(int fd)
{
    int n;
    return ioctl(fd, SIOCOUTQ, &n) < 0 ? -errno : n;
}

bool sock_is_closed(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_CLOSE;
}

bool sock_has_ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1;
}

static bool listener_info(int listener, struct tcp_info *out)
{
    socklen_t len = sizeof *out;
    return getsockopt(listener, IPPROTO_TCP, TCP_INFO, out, &len) == 0 &&
           out->tcpi_state == TCP_LISTEN;
}

/* Of a listening socket, two of the counts are of its queue (tcp_get_info in Linux). */
uint32_t sock_queued(int listener)
{
    struct tcp_info info;
    return listener_info(listener, &info) ? info.tcpi_unacked : 0;
}

uint32_t sock_backlog(int listener)
{
    struct tcp_info info;
    return listener_info(listener, &info) ? info.tcpi_sacked : UINT32_MAX;
}

int sock_taken(const struct sock_addr *addr)
{
    struct sock_addr wanted = *addr;
    int fd = open_listener(&wanted, SOCK_STREAM | SOCK_CLOEXEC);
    if (fd < 0) return 0;
    bool taken = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && set_families(fd, &wanted) == 0 &&
                 bind(fd, &wanted.sa, wanted.len) < 0 && errno == EADDRINUSE;
    close(fd);
    return taken ? -EADDRINUSE : 0;
}
