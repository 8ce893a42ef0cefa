#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

/* Where a ring's engine runs on the same thread, its work interrupts each of these calls. */

static void set_int(int fd, int level, int name, int value)
{
    assert_int_equal(setsockopt(fd, level, name, &value, sizeof value), 0);
}

static void come_from(int fd, const char *source)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
    set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
}

int tcp_try_connect(const struct sockaddr *addr, socklen_t len, const struct tcp_how *how)
{
    struct timeval limit = {.tv_sec = TCP_SECONDS};
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    if (addr->sa_family != AF_UNIX) set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (how && how->receive_buffer) set_int(fd, SOL_SOCKET, SO_RCVBUF, how->receive_buffer);
    if (how && how->source) come_from(fd, how->source);
    int err;
    do err = connect(fd, addr, len) < 0 ? errno : 0; /* another call waits on for the same one */
    while (err == EINTR);
    if (err == 0) return fd;
    close(fd);
    return -err;
}

int tcp_connect(const struct sockaddr *addr, socklen_t len)
{
    int fd = tcp_try_connect(addr, len, NULL);
    if (fd < 0) print_error("connect: %s\n", strerror(-fd));
    assert_true(fd >= 0);
    return fd;
}

bool tcp_try_send(int fd, const void *data, size_t n)
{
    for (const char *at = data; n > 0;) {
        ssize_t put = send(fd, at, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        at += put;
        n -= (size_t)put;
    }
    return true;
}

ssize_t tcp_try_receive(int fd, void *out, size_t size)
{
    ssize_t n;
    do n = recv(fd, out, size, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void tcp_expect_end(int fd)
{
    char c;
    assert_int_equal(tcp_try_receive(fd, &c, 1), 0);
}

void tcp_shut(int fd)
{
    if (shutdown(fd, SHUT_WR) < 0) assert_int_equal(errno, ENOTCONN);
}

void tcp_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}
