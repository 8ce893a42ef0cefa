#include "task/dial.h"

#include "base/clock.h"
#include "base/slice.h"
#include "io/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* So long an address has to answer before the next one is tried (RFC 8305, 5). */
#define PATIENCE (250 * NS_PER_MS)

/* Between two tries of a Unix socket whose queue is full; a non-blocking connect does not wait for
 * it (connect(2), EAGAIN). */
#define QUEUE_PAUSE (5 * NS_PER_MS)

/* ---- addresses ---- */

static bool is_unix(const char *to)
{
    return strncmp(to, "unix:", 5) == 0;
}

/* 0 or negative errno. */
static int parse_unix(const char *to, struct dial_addr *a)
{
    const char *path = to + strlen("unix:");
    size_t len = strlen(path);
    bool abstract = path[0] == '@';
    if (len < 1 + (size_t)abstract) return -EINVAL;
    if (len >= sizeof a->un.sun_path) return -ENAMETOOLONG;
    memset(a, 0, sizeof *a);
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path, len);
    if (abstract) a->un.sun_path[0] = '\0'; /* its length ends the name, not a NUL */
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    return 0;
}

static struct dial_addr of_inet(const struct sock_addr *from)
{
    struct dial_addr a = {.len = from->len};
    if (from->sa.sa_family == AF_INET6)
        a.in6 = from->in6;
    else
        a.in = from->in;
    return a;
}

static bool parse_inet(const char *text, struct dial_addr *a)
{
    struct sock_addr parsed;
    if (!sock_addr_parse(text, &parsed) || parsed.both) return false;
    *a = of_inet(&parsed);
    return (parsed.sa.sa_family == AF_INET6 ? parsed.in6.sin6_port : parsed.in.sin_port) != 0;
}

/* Cuts "name:port"; 0 if it is none. */
static uint16_t split_name(const char *to, char name[RESOLVE_NAME + 1])
{
    const char *colon = strrchr(to, ':');
    uint64_t port;
    if (!colon || !slice_u64(slice_str(colon + 1), &port) || port > UINT16_MAX) return 0;
    size_t len = (size_t)(colon - to);
    if (len == 0 || len > RESOLVE_NAME || memchr(to, ':', len) || to[0] == '*') return 0;
    memcpy(name, to, len);
    name[len] = '\0';
    return (uint16_t)port;
}

static int look_up(struct scope *scope, struct resolver *names, const char *to,
                   struct dial_addr a[RESOLVE_ADDRS])
{
    char name[RESOLVE_NAME + 1];
    struct sock_addr found[RESOLVE_ADDRS];
    uint16_t port = split_name(to, name);
    if (!port || !names) return -EINVAL;
    int n = resolve(scope, names, name, port, found, RESOLVE_ADDRS);
    for (int i = 0; i < n; i++) a[i] = of_inet(&found[i]);
    return n;
}

int dial_check(const char *to)
{
    struct dial_addr a;
    char name[RESOLVE_NAME + 1];
    if (is_unix(to)) return parse_unix(to, &a);
    return parse_inet(to, &a) || split_name(to, name) > 0 ? 0 : -EINVAL;
}

int dial_find(struct scope *scope, struct resolver *names, const char *to,
              struct dial_addr out[RESOLVE_ADDRS])
{
    if (is_unix(to)) {
        int err = parse_unix(to, out);
        return err < 0 ? err : 1;
    }
    return parse_inet(to, out) ? 1 : look_up(scope, names, to, out);
}

/* ---- connecting ---- */

static int open_socket(const struct dial_addr *a)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) return -errno;
    if (a->sa.sa_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int connect_fd(struct scope *scope, int fd, const struct dial_addr *a)
{
    struct io_call c = {.connect = {fd, &a->sa, a->len}};
    for (;;) {
        int err = scope_call(scope, &c, IO_CONNECT);
        if (err == -ECONNRESET && !scope->cancelled) return -EPIPE; /* see stream.c:peer_error */
        if (err != -EAGAIN || a->sa.sa_family != AF_UNIX) return err;
        err = scope_sleep(scope, QUEUE_PAUSE);
        if (err < 0) return err;
    }
}

static int connect_to(struct scope *scope, const struct dial_addr *a, struct stream **out)
{
    int fd = open_socket(a);
    if (fd < 0) return fd;
    int err = connect_fd(scope, fd, a);
    if (err == 0) err = stream_adopt(scope->io, fd, out);
    if (err < 0) close(fd);
    return err;
}

/* Likewise, but gives up after PATIENCE: -ETIME, while the scope is not cancelled. */
static int connect_soon(struct scope *scope, const struct dial_addr *a, struct stream **out)
{
    struct scope own;
    scope_init_child(&own, scope);
    scope_set_deadline(&own, clock_ns() + PATIENCE);
    int err = scope_attach(&own);
    if (err == 0) err = connect_to(&own, a, out);
    scope_detach(&own);
    return err;
}

/* An address may be of no use from here, and nobody say so: the others are tried before it gets all
 * the time there is. */
int dial(struct scope *scope, struct resolver *names, const char *to, struct stream **out)
{
    struct dial_addr a[RESOLVE_ADDRS];
    bool silent[RESOLVE_ADDRS] = {false};
    int refused = scope_refuses(scope);
    if (refused) return refused;
    int n = dial_find(scope, names, to, a), err = n < 0 ? n : -ENOENT;
    for (int i = 0; i < n; i++) {
        err = i < n - 1 ? connect_soon(scope, &a[i], out) : connect_to(scope, &a[i], out);
        if (err == 0) return 0;
        if (scope->cancelled) return scope->cancelled; /* perhaps just after the patience ended */
        silent[i] = err == -ETIME;
    }
    for (int i = 0; i < n - 1; i++) {
        if (!silent[i]) continue;
        err = connect_to(scope, &a[i], out);
        if (err == 0 || scope->cancelled) break;
    }
    return err;
}
