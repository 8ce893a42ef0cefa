/* The socket of a connection, until it is connected. */

#include "client/redis.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int family(const struct torc_host_addr *to)
{
    return ((const struct sockaddr *)to->addr)->sa_family;
}

int redis_socket_new(const struct torc_host_addr *to)
{
    int one = 1, idle = 30, interval = 10, count = 3, ms = (idle + count * interval) * 1000;
    int fd = socket(family(to), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (family(to) != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        /* A server whose machine is gone is noticed while nothing is asked, too. */
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
        /* And while bytes are not acknowledged, when nothing is probed. */
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    }
    return fd;
}

int redis_socket_connect(int fd, const struct torc_host_addr *to)
{
    if (connect(fd, (const struct sockaddr *)to->addr, to->len) == 0) return 0;
    switch (errno) {
    case EINPROGRESS: return 0;
    case EAGAIN: return family(to) == AF_UNIX ? -EAGAIN : -EADDRNOTAVAIL;
    default: return -errno;
    }
}
