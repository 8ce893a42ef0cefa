#include "rig.h"

#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PEER_SECONDS = 30, CHUNK = 1 << 16 };

void pattern_fill(void *buf, uint64_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) ((uint8_t *)buf)[i] = pattern(at + i);
}

int peer_connect(const struct sock_addr *addr)
{
    struct timeval limit = {.tv_sec = PEER_SECONDS};
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &addr->sa, addr->len), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    return fd;
}

/* The next two also run on peer threads, where cmocka cannot fail a test, so they return a
 * result. */
static bool send_all(int fd, uint64_t at, size_t n)
{
    char *buf = malloc(CHUNK);
    while (n > 0) {
        size_t len = n < CHUNK ? n : CHUNK;
        pattern_fill(buf, at, len);
        ssize_t put = send(fd, buf, len, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue; /* task work of a ring may interrupt its own thread */
        if (put < 0) break;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    free(buf);
    return n == 0;
}

static bool expect_all(int fd, uint64_t at, size_t n, size_t chunk, unsigned pause_us)
{
    char *buf = malloc(2 * chunk), *want = buf + chunk;
    bool same = true;
    while (n > 0 && same) {
        ssize_t got = recv(fd, buf, n < chunk ? n : chunk, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        pattern_fill(want, at, (size_t)got);
        same = memcmp(buf, want, (size_t)got) == 0;
        at += (uint64_t)got;
        n -= (size_t)got;
        if (pause_us) usleep(pause_us);
    }
    free(buf);
    return same && n == 0;
}

void peer_send(int fd, uint64_t at, size_t n)
{
    assert_true(send_all(fd, at, n));
}

void peer_expect(int fd, uint64_t at, size_t n)
{
    assert_true(expect_all(fd, at, n, CHUNK, 0));
}

void peer_expect_end(int fd)
{
    char c;
    ssize_t n;
    do n = recv(fd, &c, 1, 0);
    while (n < 0 && errno == EINTR);
    assert_int_equal(n, 0);
}

void peer_settle(int fd)
{
    int left = 1;
    for (int i = 0; i < 30000 && left > 0; i++) {
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
        if (left > 0) usleep(1000);
    }
    assert_int_equal(left, 0);
}

void peer_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

static void *run(void *arg)
{
    struct peer_thread *t = arg;
    if (t->sends)
        t->ok = send_all(t->fd, 0, t->n);
    else
        t->ok = expect_all(t->fd, 0, t->n, CHUNK, t->slow ? 500 : 0);
    return NULL;
}

void peer_start(struct peer_thread *t)
{
    t->ok = false;
    assert_int_equal(pthread_create(&t->thread, NULL, run, t), 0);
}

void peer_join(struct peer_thread *t)
{
    pthread_join(t->thread, NULL);
    assert_true(t->ok);
}
