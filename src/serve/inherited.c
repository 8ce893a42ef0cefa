#include "serve/inherited.h"

#include "base/log.h"
#include "base/slice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool read_number(const char *name, uint64_t *out)
{
    const char *text = getenv(name);
    return text && slice_u64(slice_str(text), out);
}

/* The server reads its options again at a reload, when the variables have gone. */
unsigned inherited_count(void)
{
    static unsigned known;
    uint64_t pid, n;
    if (!read_number("LISTEN_PID", &pid) || pid != (uint64_t)getpid()) return known;
    if (read_number("LISTEN_FDS", &n) && n <= 1024) known = (unsigned)n;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return known;
}

uint64_t inherited_other(void)
{
    uint64_t pid;
    bool other = read_number("LISTEN_PID", &pid) && pid != (uint64_t)getpid();
    return other && getenv("LISTEN_FDS") ? pid : 0;
}

/* Their clients would wait for ever. A program may have taken some of them for itself. */
void inherited_tell(const int *given, uint32_t n)
{
    unsigned count = inherited_count();
    for (uint32_t i = 0; i < n; i++)
        if (given[i] >= INHERITED_FIRST && given[i] < INHERITED_FIRST + (int)count) return;
    if (count > 0)
        log_line("the sockets of LISTEN_FDS are not served: with --listen systemd they would be");
}

static bool listens(int fd)
{
    int type = 0, accepts = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM) return false;
    len = sizeof accepts;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) == 0 && accepts;
}

/* An abstract one begins with '@', as ss(8) shows it. */
static void name_local(const struct sockaddr_un *un, socklen_t len, char out[SOCK_ADDR_TEXT])
{
    size_t n = len > sizeof un->sun_family ? len - sizeof un->sun_family : 0;
    bool abstract = n && !un->sun_path[0];
    const char *path = un->sun_path + abstract;
    n = strnlen(path, n - abstract);
    snprintf(out, SOCK_ADDR_TEXT, "unix:%s%.*s", abstract ? "@" : "", (int)n, path);
}

int inherited_describe(int fd, struct sock_addr *out, char local[SOCK_ADDR_TEXT])
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } a = {.sa.sa_family = AF_UNSPEC};
    socklen_t len = sizeof a;
    *out = (struct sock_addr){0};
    if (getsockname(fd, &a.sa, &len) < 0) return -errno;
    if (!listens(fd)) return -EINVAL;
    if (a.sa.sa_family == AF_INET)
        out->in = a.in;
    else if (a.sa.sa_family == AF_INET6)
        out->in6 = a.in6;
    else if (a.sa.sa_family == AF_UNIX)
        out->sa.sa_family = AF_UNIX;
    else
        return -EAFNOSUPPORT;
    out->len = a.sa.sa_family == AF_INET ? sizeof out->in : sizeof out->in6;
    if (a.sa.sa_family == AF_UNIX) name_local(&a.un, len, local);
    return 0;
}
