#include "task/dial.h"

#include "base/random.h"
#include "core.h"
#include "files.h"
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { BIG = 8 << 20, SOCKET_BUFFER = 16 * 1024, SHORT_TRIES = 2000 };

/* ---- one call of a fiber ---- */

enum what { DIAL, READ, WRITE, SHUT };

struct act {
    struct scope *scope;
    enum what what;
    const char *to;
    struct stream *s;
    void *buf;
    size_t size;
    ssize_t result;
    bool done;
};

static void act(void *arg)
{
    struct act *a = arg;
    switch (a->what) {
    case DIAL: a->result = dial(a->scope, NULL, a->to, &a->s); break;
    case READ: a->result = stream_read(a->scope, a->s, a->buf, a->size); break;
    case WRITE: a->result = stream_write(a->scope, a->s, a->buf, a->size); break;
    case SHUT: a->result = stream_shutdown(a->scope, a->s); break;
    }
    a->done = true;
}

static void start(struct core *c, struct act *a)
{
    if (!a->scope) a->scope = &c->scope;
    assert_int_equal(fiber_start(&c->fibers, act, a), 0);
}

static ssize_t finish(struct core *c, struct act *a)
{
    TURN_UNTIL(c, a->done);
    return a->result;
}

static ssize_t run(struct core *c, struct act a)
{
    start(c, &a);
    return finish(c, &a);
}

static ssize_t read_some(struct core *c, struct stream *s, void *buf, size_t size)
{
    return run(c, (struct act){.what = READ, .s = s, .buf = buf, .size = size});
}

static ssize_t write_all(struct core *c, struct stream *s, const void *data, size_t size)
{
    return run(c,
               (struct act){.what = WRITE, .s = s, .buf = (void *)(uintptr_t)data, .size = size});
}

/* ---- the other side ---- */

static int listen_at(struct sock_addr *addr, const char *text, int backlog)
{
    assert_true(sock_addr_parse(text, addr));
    int fd = sock_listen(addr, backlog, true);
    assert_true(fd >= 0);
    return fd;
}

struct pair {
    struct stream *s;
    int peer;
};

/* Both sides with small buffers, so that they are soon full. */
static struct pair connect_pair(struct core *c)
{
    struct sock_addr addr;
    char to[SOCK_ADDR_TEXT];
    int listener = listen_at(&addr, "127.0.0.1:0", 10), size = SOCKET_BUFFER;
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    sock_addr_format(&addr, to);
    struct act a = {.what = DIAL, .to = to};
    start(c, &a);
    assert_int_equal(finish(c, &a), 0);
    struct pair p = {a.s, accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
    assert_true(p.peer >= 0);
    setsockopt(p.peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(p.s->sock.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    close(listener);
    return p;
}

static void close_pair(struct pair *p)
{
    stream_close(p->s);
    close(p->peer);
}

static void settle(struct core *c)
{
    TURN_UNTIL(c, io_idle(&c->io));
}

static void reset(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static uint8_t *pattern(size_t n)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = byte_at(i);
    return p;
}

static void expect_bytes(int fd, const char *want)
{
    char got[64] = "";
    for (size_t at = 0; at < strlen(want);) {
        ssize_t n = read(fd, got + at, strlen(want) - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    assert_string_equal(got, want);
}

/* ---- connecting ---- */

static void talk(struct core *c, const char *to, int listener)
{
    char buf[64] = "";
    struct act a = {.what = DIAL, .to = to};
    start(c, &a);
    assert_int_equal(finish(c, &a), 0);
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(peer >= 0);
    assert_int_equal(write_all(c, a.s, "ping", 4), 0);
    expect_bytes(peer, "ping");
    assert_int_equal(write(peer, "pong", 4), 4);
    assert_int_equal(read_some(c, a.s, buf, sizeof buf), 4);
    assert_string_equal(buf, "pong");
    /* Half-closed, the other direction goes on. */
    assert_int_equal(run(c, (struct act){.what = SHUT, .s = a.s}), 0);
    assert_int_equal(write_all(c, a.s, "x", 1), -EPIPE);
    assert_int_equal(read(peer, buf, sizeof buf), 0);
    assert_int_equal(write(peer, "late", 4), 4);
    close(peer);
    assert_int_equal(read_some(c, a.s, buf, 2), 2);
    assert_int_equal(read_some(c, a.s, buf + 2, 60), 2);
    assert_memory_equal(buf, "late", 4);
    for (int i = 0; i < 2; i++) assert_int_equal(read_some(c, a.s, buf, sizeof buf), 0);
    stream_close(a.s);
    settle(c);
    close(listener);
}

static void tcp_addresses(void **state)
{
    struct sock_addr addr;
    char to[SOCK_ADDR_TEXT];
    int listener = listen_at(&addr, "127.0.0.1:0", 10);
    sock_addr_format(&addr, to);
    talk(*state, to, listener);
    assert_true(sock_addr_parse("[::1]:0", &addr));
    listener = sock_listen(&addr, 10, true);
    if (listener < 0) return; /* no IPv6 here */
    sock_addr_format(&addr, to);
    talk(*state, to, listener);
}

static int listen_unix(const char *path, int backlog)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(un.sun_path, path, len);
    if (path[0] == '@') un.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] != '@'));
    assert_int_equal(bind(fd, (struct sockaddr *)&un, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void unix_addresses(void **state)
{
    char path[64], to[80];
    snprintf(path, sizeof path, "/tmp/test_stream-%d", (int)getpid());
    snprintf(to, sizeof to, "unix:%s", path);
    talk(*state, to, listen_unix(path, 10));
    unlink(path);
    assert_int_equal(run(*state, (struct act){.what = DIAL, .to = to}), -ENOENT);
    snprintf(path, sizeof path, "@test_stream-%d", (int)getpid());
    snprintf(to, sizeof to, "unix:%s", path);
    talk(*state, to, listen_unix(path, 10));
    assert_int_equal(run(*state, (struct act){.what = DIAL, .to = to}), -ECONNREFUSED);
}

/* A connect waits for room in the queue of a Unix socket, on every engine. */
static void unix_queue_full(void **state)
{
    struct core *c = *state;
    char path[64], to[80];
    snprintf(path, sizeof path, "@test_stream-queue-%d", (int)getpid());
    snprintf(to, sizeof to, "unix:%s", path);
    int listener = listen_unix(path, 0);
    struct act a[3];
    for (int i = 0; i < 3; i++) {
        a[i] = (struct act){.what = DIAL, .to = to};
        start(c, &a[i]);
    }
    TURN_UNTIL(c, a[0].done);
    for (int i = 0; i < 3; i++) {
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(peer >= 0);
        close(peer);
        for (int k = 0; k <= i + 1 && k < 3; k++) assert_int_equal(finish(c, &a[k]), 0);
    }
    for (int i = 0; i < 3; i++) stream_close(a[i].s);
    settle(c);
    close(listener);
}

static void wrong_addresses(void **state)
{
    static const char *const wrong[] = {
        "",      "a:80",   "127.0.0.1", ":80",         "*:80",         "127.0.0.1:0",    "[::1]:0",
        "unix:", "unix:@", "[::1]",     "127.0.0.1:x", "300.1.1.1:80", "127.0.0.1:65536"};
    char to[300] = "unix:/";
    unsigned fds = files_descriptors();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(run(*state, (struct act){.what = DIAL, .to = wrong[i]}), -EINVAL);
    }
    memset(to + 6, 'a', 200);
    assert_int_equal(run(*state, (struct act){.what = DIAL, .to = to}), -ENAMETOOLONG);
    to[5 + 107] = '\0'; /* the longest, of a directory that does not exist */
    to[5 + 50] = '/';
    assert_int_equal(run(*state, (struct act){.what = DIAL, .to = to}), -ENOENT);
    assert_int_equal(files_descriptors(), fds);
}

static void refused(void **state)
{
    struct sock_addr addr;
    char to[SOCK_ADDR_TEXT];
    unsigned fds = files_descriptors();
    close(listen_at(&addr, "127.0.0.1:0", 1));
    sock_addr_format(&addr, to);
    assert_int_equal(run(*state, (struct act){.what = DIAL, .to = to}), -ECONNREFUSED);
    assert_int_equal(files_descriptors(), fds);
}

/* A listener whose queue is full drops further connections, so the connect stays pending. */
static void connect_cancelled(void **state)
{
    struct core *c = *state;
    struct sock_addr addr;
    char to[SOCK_ADDR_TEXT];
    int listener = listen_at(&addr, "127.0.0.1:0", 0);
    sock_addr_format(&addr, to);
    int queued = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(queued, &addr.sa, addr.len), 0);
    unsigned fds = files_descriptors();
    struct act a = {.what = DIAL, .to = to};
    start(c, &a);
    for (int i = 0; i < 10; i++) core_poll(c);
    assert_false(a.done);
    scope_cancel(&c->scope, -ESHUTDOWN);
    assert_int_equal(finish(c, &a), -ESHUTDOWN);
    assert_int_equal(files_descriptors(), fds);
    assert_int_equal(run(c, (struct act){.what = DIAL, .to = to}), -ESHUTDOWN);
    close(queued);
    close(listener);
}

/* ---- reading ---- */

static size_t fill(int fd)
{
    uint8_t *bytes = pattern(BIG);
    size_t at = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (ssize_t n; at < BIG && (n = write(fd, bytes + at, BIG - at)) > 0;) at += (size_t)n;
    free(bytes);
    return at;
}

/* Nobody reads: what is kept is bounded, holds no receive buffer, and nothing is lost. */
static void unread_bytes_are_bounded(void **state)
{
    struct core *c = *state;
    struct pair slow = connect_pair(c), quick = connect_pair(c);
    uint8_t buf[5000];
    size_t sent = 0, got = 0, most = STREAM_UNREAD + 8u * c->io.config.buffers * 1024;
    for (int i = 0; i < 200; i++) {
        struct pollfd p = {slow.peer, POLLOUT, 0};
        core_poll(c);
        if (sent < BIG / 2 && poll(&p, 1, 1) == 1) sent += fill(slow.peer);
        assert_true(slow.s->unread_len <= most);
    }
    assert_true(slow.s->unread_len >= STREAM_UNREAD);
    assert_true(sent < BIG / 2);
    assert_int_equal(c->io.kept, slow.s->unread_cap);
    assert_int_equal(write(quick.peer, "quick", 5), 5);
    assert_int_equal(read_some(c, quick.s, buf, sizeof buf), 5);
    shutdown(slow.peer, SHUT_WR);
    for (ssize_t n; (n = read_some(c, slow.s, buf, 1 + random_below(sizeof buf - 1))) != 0;) {
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(got, sent);
    assert_int_equal(c->io.kept, 0);
    close_pair(&slow);
    close_pair(&quick);
    settle(c);
}

/* Where memory is short, what came at once is kept, and the rest waits in the socket. */
static void little_is_kept_where_memory_is_short(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    uint8_t buf[5000];
    size_t got = 0, sent, most = 8u * c->io.config.buffers * 1024;
    /* The kernel takes less while the sockets of the machine together have too much. */
    for (int i = 0; (sent = fill(p.peer)) <= most && i < SHORT_TRIES; i++) {
        close_pair(&p);
        usleep(10 * 1000);
        p = connect_pair(c);
    }
    c->io.keep_less = true;
    for (int i = 0; i < 50; i++) core_poll(c);
    assert_true(sent > most);
    assert_in_range(p.s->unread_len, 1, most);
    shutdown(p.peer, SHUT_WR);
    for (ssize_t n; (n = read_some(c, p.s, buf, sizeof buf)) != 0; got += (size_t)n)
        assert_true(n > 0);
    assert_int_equal(got, sent);
    c->io.keep_less = false;
    close_pair(&p);
    settle(c);
    assert_int_equal(c->io.kept, 0);
}

static void *send_big(void *arg)
{
    int fd = *(int *)arg;
    uint8_t *bytes = pattern(BIG);
    for (size_t at = 0; at < BIG;) {
        ssize_t n = write(fd, bytes + at, BIG - at);
        if (n <= 0) break;
        at += (size_t)n;
    }
    free(bytes);
    shutdown(fd, SHUT_WR);
    return NULL;
}

static void bytes_arrive_in_order(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    pthread_t thread;
    static uint8_t buf[70000];
    size_t got = 0;
    assert_int_equal(pthread_create(&thread, NULL, send_big, &p.peer), 0);
    for (ssize_t n; (n = read_some(c, p.s, buf, 1 + random_below(sizeof buf - 1))) != 0;) {
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) assert_int_equal(buf[i], byte_at(got + (size_t)i));
        got += (size_t)n;
    }
    assert_int_equal(got, BIG);
    pthread_join(thread, NULL);
    close_pair(&p);
    settle(c);
}

/* A read that is cancelled takes nothing: the next one gets it. */
static void read_cancelled(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    struct scope other;
    char buf[8] = "";
    scope_init(&other, &c->io, &c->fibers, NULL);
    struct act a = {.what = READ, .scope = &other, .s = p.s, .buf = buf, .size = sizeof buf};
    start(c, &a);
    for (int i = 0; i < 3; i++) core_poll(c);
    assert_false(a.done);
    assert_int_equal(read_some(c, p.s, buf, sizeof buf), -EBUSY);
    scope_cancel(&other, -ETIME);
    assert_int_equal(write(p.peer, "kept", 4), 4);
    assert_int_equal(finish(c, &a), -ETIME);
    assert_int_equal(read_some(c, p.s, buf, sizeof buf), 4);
    assert_string_equal(buf, "kept");
    assert_int_equal(read_some(c, p.s, buf, 0), 0);
    close_pair(&p);
    settle(c);
}

/* Both wait: there is nothing to read, and too much to write. */
static void start_both(struct core *c, struct act *r, struct act *w)
{
    start(c, r);
    start(c, w);
    for (int i = 0; i < 5; i++) core_poll(c);
    assert_false(r->done || w->done);
}

static void peer_resets(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    uint8_t *bytes = pattern(BIG);
    char buf[8];
    struct act r = {.what = READ, .s = p.s, .buf = buf, .size = sizeof buf};
    struct act w = {.what = WRITE, .s = p.s, .buf = bytes, .size = BIG};
    start_both(c, &r, &w);
    reset(p.peer);
    assert_int_equal(finish(c, &r), -EPIPE);
    assert_int_equal(finish(c, &w), -EPIPE);
    assert_int_equal(read_some(c, p.s, buf, sizeof buf), -EPIPE);
    assert_int_equal(write_all(c, p.s, "x", 1), -EPIPE);
    stream_close(p.s);
    settle(c);
    free(bytes);
}

/* ---- writing ---- */

static void *expect_big(void *arg)
{
    int fd = *(int *)arg;
    static uint8_t buf[10000];
    size_t at = 0;
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != byte_at(at++)) return NULL;
    return at == BIG ? arg : NULL;
}

static void a_write_is_whole(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    uint8_t *bytes = pattern(BIG);
    pthread_t thread;
    void *ok;
    struct act w = {.what = WRITE, .s = p.s, .buf = bytes, .size = BIG};
    start(c, &w);
    for (int i = 0; i < 5; i++) core_poll(c);
    assert_false(w.done);
    assert_int_equal(write_all(c, p.s, "x", 1), -EBUSY);
    assert_int_equal(run(c, (struct act){.what = SHUT, .s = p.s}), -EBUSY);
    assert_int_equal(pthread_create(&thread, NULL, expect_big, &p.peer), 0);
    assert_int_equal(finish(c, &w), 0);
    stream_close(p.s);
    settle(c);
    assert_int_equal(pthread_join(thread, &ok), 0);
    assert_non_null(ok);
    close(p.peer);
    free(bytes);
}

/* The peer has got a part, so no later write makes sense. */
static void write_cancelled(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    uint8_t *bytes = pattern(BIG);
    struct scope other;
    scope_init(&other, &c->io, &c->fibers, NULL);
    struct act w = {.what = WRITE, .scope = &other, .s = p.s, .buf = bytes, .size = BIG};
    start(c, &w);
    for (int i = 0; i < 5; i++) core_poll(c);
    scope_cancel(&other, -ETIME);
    assert_int_equal(finish(c, &w), -ETIME);
    free(bytes); /* nothing reads it any more */
    assert_int_equal(write_all(c, p.s, "x", 1), -EPIPE);
    close_pair(&p);
    settle(c);
}

/* ---- closing ---- */

static void close_ends_the_waits(void **state)
{
    struct core *c = *state;
    struct pair p = connect_pair(c);
    uint8_t *bytes = pattern(BIG);
    char buf[8];
    struct act r = {.what = READ, .s = p.s, .buf = buf, .size = sizeof buf};
    struct act w = {.what = WRITE, .s = p.s, .buf = bytes, .size = BIG};
    start_both(c, &r, &w);
    stream_close(p.s);
    assert_int_equal(finish(c, &r), -EBADF);
    assert_int_equal(finish(c, &w), -EBADF);
    settle(c);
    free(bytes);
    while (read(p.peer, buf, sizeof buf) > 0) continue;
    close(p.peer);
}

/* Closes the stream of a call once that has come to its end, before its fiber has resumed. */
struct closer {
    struct io_task task;
    struct act *act;
    bool late, closed;
};

static bool has_ended(const struct act *a)
{
    switch (a->what) {
    case READ: return *(const char *)a->buf != '\0';
    case WRITE: return !io_busy(&a->s->send.op);
    default: return !io_busy(&a->s->call.op);
    }
}

static void close_before_it_resumes(struct io_task *t)
{
    struct closer *c = container_of(t, struct closer, task);
    c->late |= c->act->done;
    if (c->closed || !has_ended(c->act)) return;
    stream_close(c->act->s);
    c->closed = true;
}

static void close_behind(struct core *c, enum what what)
{
    struct pair p = connect_pair(c);
    char buf[2] = "";
    struct act a = {.what = what, .s = p.s, .buf = buf, .size = 1};
    struct closer closer = {.task.fn = close_before_it_resumes, .act = &a};
    start(c, &a);
    if (what == READ) assert_int_equal(write(p.peer, "x", 1), 1);
    core_guard(c);
    while (!closer.closed && !closer.late) {
        io_defer(&c->io, &closer.task);
        core_turn(c, "the stream is closed", __FILE__, __LINE__);
    }
    assert_false(closer.late);
    assert_int_equal(finish(c, &a), -EBADF);
    settle(c);
    close(p.peer);
}

/* Who is woken already, and has not resumed, must not take the stream for open either. */
static void close_ends_calls_that_are_over(void **state)
{
    for (int i = 0; i < 10; i++) {
        close_behind(*state, READ);
        close_behind(*state, WRITE);
        close_behind(*state, SHUT);
    }
}

static unsigned notified;

static void drop(struct stream *s)
{
    notified++;
    stream_close(s);
}

/* Whoever keeps a stream that nobody reads learns that something has come. */
static void an_idle_stream_is_watched(void **state)
{
    struct core *c = *state;
    notified = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct pair p = connect_pair(c);
        for (int k = 0; k < 3; k++) core_poll(c);
        assert_true(stream_is_quiet(p.s));
        p.s->notify = drop;
        if (i == 0) assert_int_equal(write(p.peer, "x", 1), 1);
        if (i == 2)
            reset(p.peer);
        else
            shutdown(p.peer, SHUT_WR);
        TURN_UNTIL(c, notified == i + 1);
        settle(c);
        if (i < 2) close(p.peer);
    }
}

/* ---- cancelled anywhere ---- */

static void cancel_in_turn(struct core *c, unsigned turn)
{
    static uint8_t buf[64 * 1024];
    struct pair p = connect_pair(c);
    struct scope scope;
    scope_init(&scope, &c->io, &c->fibers, NULL);
    struct sock_addr addr;
    char to[SOCK_ADDR_TEXT];
    int listener = listen_at(&addr, "127.0.0.1:0", 10);
    sock_addr_format(&addr, to);
    struct act a[] = {
        {.what = DIAL, .to = to},
        {.what = READ, .s = p.s, .buf = buf, .size = 100},
        {.what = random_below(4) ? WRITE : SHUT, .s = p.s, .buf = buf, .size = sizeof buf},
    };
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        a[i].scope = &scope;
        start(c, &a[i]);
    }
    bool early = random_below(4) == 0;
    for (unsigned i = 0; i < turn; i++) {
        char few[100];
        if (random_below(3) == 0 && write(p.peer, "bytes", 5) != 5) fail();
        if (random_below(3) == 0) (void)!recv(p.peer, few, sizeof few, MSG_DONTWAIT);
        core_poll(c);
    }
    if (early) stream_close(p.s);
    scope_cancel(&scope, -ETIME);
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        ssize_t n = finish(c, &a[i]);
        assert_true(n >= 0 || n == -ETIME || (early && n == -EBADF));
    }
    assert_true(list_empty(&scope.waits));
    if (a[0].result == 0) stream_close(a[0].s);
    if (!early) stream_close(p.s);
    close(p.peer);
    close(listener);
    settle(c);
}

static void cancelled_anywhere(void **state)
{
    unsigned fds = files_descriptors();
    for (unsigned i = 0; i < 300; i++) cancel_in_turn(*state, (unsigned)random_below(8));
    assert_int_equal(files_descriptors(), fds);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(tcp_addresses),
        CORE_CASE(unix_addresses),
        CORE_CASE(unix_queue_full),
        CORE_CASE(wrong_addresses),
        CORE_CASE(refused),
        CORE_CASE(connect_cancelled),
        CORE_CASE(unread_bytes_are_bounded),
        CORE_CASE(little_is_kept_where_memory_is_short),
        CORE_CASE(bytes_arrive_in_order),
        CORE_CASE(read_cancelled),
        CORE_CASE(peer_resets),
        CORE_CASE(a_write_is_whole),
        CORE_CASE(write_cancelled),
        CORE_CASE(close_ends_the_waits),
        CORE_CASE(close_ends_calls_that_are_over),
        CORE_CASE(an_idle_stream_is_watched),
        CORE_CASE(cancelled_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
