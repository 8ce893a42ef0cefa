#include "engine_rig.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CHUNK = 1 << 16 };

void pattern_fill(void *buf, uint64_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) ((uint8_t *)buf)[i] = pattern(at + i);
}

/* These two run on peer threads as well, where a test cannot be failed from. */
static bool send_all(int fd, uint64_t at, size_t n)
{
    char *buf = malloc(CHUNK);
    while (n > 0) {
        size_t len = n < CHUNK ? n : CHUNK;
        pattern_fill(buf, at, len);
        if (!tcp_try_send(fd, buf, len)) break;
        at += len;
        n -= len;
    }
    free(buf);
    return n == 0;
}

static bool expect_all(int fd, uint64_t at, size_t n, size_t chunk, unsigned pause_us)
{
    char *buf = malloc(2 * chunk), *want = buf + chunk;
    bool same = true;
    while (n > 0 && same) {
        ssize_t got = tcp_try_receive(fd, buf, n < chunk ? n : chunk);
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

void peer_settle(int fd)
{
    int left = 1;
    for (int i = 0; i < 30000 && left > 0; i++) {
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
        if (left > 0) usleep(1000);
    }
    assert_int_equal(left, 0);
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
