#include "base/libc.h"
#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { FILE_SIZE = 10000 };

static char beneath[] = "/tmp/torc-test-io-XXXXXX";
static int dirfd_ = -1;

static int make_files(void **state)
{
    (void)state;
    char bytes[FILE_SIZE];
    pattern_fill(bytes, 0, sizeof bytes);
    if (!mkdtemp(beneath)) return -1;
    dirfd_ = open(beneath, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(dirfd_, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != FILE_SIZE) return -1;
    close(fd);
    return symlinkat("/etc/passwd", dirfd_, "outside");
}

static int remove_files(void **state)
{
    (void)state;
    unlinkat(dirfd_, "outside", 0);
    unlinkat(dirfd_, "file", 0);
    close(dirfd_);
    return rmdir(beneath);
}

static int open_file(struct rig *r, const char *path)
{
    struct stat st;
    struct io_call c = {.open = {dirfd_, IO_OPEN_BENEATH, path, &st}};
    int fd = rig_call(r, &c, IO_OPEN);
    if (fd >= 0) assert_true(S_ISREG(st.st_mode));
    return fd;
}

static int read_file(struct rig *r, int fd, void *buf, uint32_t size, uint64_t offset)
{
    struct io_call c = {.read = {fd, size, buf, offset}};
    return rig_call(r, &c, IO_READ);
}

static int close_file(struct rig *r, int fd)
{
    struct io_call c = {.close = {fd}};
    return rig_call(r, &c, IO_CLOSE);
}

static void open_read_close(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    char buf[FILE_SIZE + 100], want[FILE_SIZE];
    pattern_fill(want, 0, sizeof want);
    int fd = open_file(r, "file");
    assert_true(fd >= 0);
    assert_int_equal(read_file(r, fd, buf, sizeof buf, 0), FILE_SIZE);
    assert_memory_equal(buf, want, FILE_SIZE);
    assert_int_equal(read_file(r, fd, buf, 100, 4321), 100);
    assert_memory_equal(buf, want + 4321, 100);
    assert_int_equal(read_file(r, fd, buf, 100, FILE_SIZE - 7), 7);
    assert_int_equal(read_file(r, fd, buf, 100, FILE_SIZE), 0);
    assert_int_equal(read_file(r, fd, buf, 100, 1ull << 40), 0);
    assert_int_equal(close_file(r, fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(close_file(r, fd), -EBADF);
    assert_int_equal(read_file(r, fd, buf, 1, 0), -EBADF);
    rig_close(r);
}

/* IO_POPULATE faults in a mapped file, which is then sent; it fails once the file was truncated. */
static void populate_and_send(void **state)
{
    (void)state;
    enum { MAPPED = 3 * 4096, SHORTER = 4096 };
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    FILE *f = tmpfile();
    assert_non_null(f);
    int fd = fileno(f);
    char bytes[FILE_SIZE];
    pattern_fill(bytes, 0, sizeof bytes);
    assert_int_equal(write(fd, bytes, FILE_SIZE), FILE_SIZE);
    char *mapped = mmap(NULL, MAPPED, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(mapped != MAP_FAILED);

    struct io_call c = {.populate = {mapped, FILE_SIZE}};
    assert_int_equal(rig_call(r, &c, IO_POPULATE), 0);
    endpoint_open(r, &e);
    endpoint_send(&e, &(struct iovec){mapped, FILE_SIZE}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(e.send_result.res, FILE_SIZE);
    peer_expect(e.peer, 0, FILE_SIZE);

    assert_int_equal(ftruncate(fd, SHORTER), 0);
    assert_int_equal(rig_call(r, &c, IO_POPULATE), -EFAULT);
    endpoint_send(&e, &(struct iovec){mapped, FILE_SIZE}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(e.send_result.res, -EFAULT);

    endpoint_close(&e);
    munmap(mapped, MAPPED);
    fclose(f);
    rig_close(r);
}

static void stays_beneath(struct rig *r)
{
    assert_int_equal(open_file(r, "missing"), -ENOENT);
    assert_int_equal(open_file(r, "../etc/passwd"), -EXDEV);
    assert_int_equal(open_file(r, "/etc/passwd"), -EXDEV);
    assert_int_equal(open_file(r, "outside"), -EXDEV);
    assert_int_equal(open_file(r, "file/below"), -ENOTDIR);
    rig_close(r);
}

static void open_stays_beneath(void **state)
{
    (void)state;
    stays_beneath(rig_open(NULL));
}

/* Where openat2 is refused. */
static void open_by_a_walk(void **state)
{
    (void)state;
    struct io_config config = rig_config;
    config.walk = true;
    struct rig *r = rig_open(&config);
    struct stat st;
    struct io_call c = {.open = {dirfd_, true, "file", &st}};
    int fd = rig_call(r, &c, IO_OPEN);
    assert_true(fd >= 0);
    assert_int_equal(st.st_size, FILE_SIZE);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    close_file(r, fd);
    stays_beneath(r);
}

static void statx_by_name_and_descriptor(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct statx stx = {0};
    struct io_call c = {.statx = {dirfd_, AT_SYMLINK_NOFOLLOW, "file", &stx}};
    assert_int_equal(rig_call(r, &c, IO_STATX), 0);
    assert_int_equal(stx.stx_size, FILE_SIZE);
    assert_true(S_ISREG(stx.stx_mode));
    c.statx.path = "missing";
    assert_int_equal(rig_call(r, &c, IO_STATX), -ENOENT);
    int fd = open_file(r, "file");
    memset(&stx, 0, sizeof stx);
    c = (struct io_call){.statx = {fd, AT_EMPTY_PATH, "", &stx}};
    assert_int_equal(rig_call(r, &c, IO_STATX), 0);
    assert_int_equal(stx.stx_size, FILE_SIZE);
    close_file(r, fd);
    rig_close(r);
}

static struct outcome call_result;

static void on_call(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    (void)op;
    assert_false(more);
    call_result.res = res;
    call_result.count++;
}

/* Starts the call and cancels it `later` turns after; true if it completed by itself before. */
static bool cancel_call(struct rig *r, struct io_call *c, enum io_kind kind, int later)
{
    c->op = (struct io_op){.fn = on_call};
    call_result = (struct outcome){0};
    io_call_start(&r->io, c, kind);
    assert_int_equal(call_result.count, 0); /* submitting never calls back */
    while (later-- > 0) rig_poll(r);
    io_cancel(&r->io, &c->op);
    TURN_UNTIL(r, !io_busy(&c->op));
    for (int i = 0; i < 5; i++) rig_poll(r);
    assert_int_equal(call_result.count, 1);
    return call_result.res != -ECANCELED;
}

/* The result says whether the call was done or cancelled. */
static void file_calls_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct stat st;
    struct statx stx;
    char buf[100], want[100];
    int fd = open_file(r, "file");
    pattern_fill(want, 0, sizeof want);
    for (int i = 0; i < 30; i++) {
        struct io_call o = {.open = {dirfd_, IO_OPEN_BENEATH, "file", &st}};
        if (cancel_call(r, &o, IO_OPEN, i % 3)) {
            assert_true(call_result.res >= 0);
            assert_int_equal(close_file(r, call_result.res), 0);
        }
        struct io_call s = {.statx = {fd, AT_EMPTY_PATH, "", &stx}};
        stx.stx_size = 0;
        if (cancel_call(r, &s, IO_STATX, i % 3)) {
            assert_int_equal(call_result.res, 0);
            assert_int_equal(stx.stx_size, FILE_SIZE);
        }
        struct io_call d = {.read = {fd, sizeof buf, buf, 0}};
        if (cancel_call(r, &d, IO_READ, i % 3)) {
            assert_int_equal(call_result.res, sizeof buf);
            assert_memory_equal(buf, want, sizeof buf);
        }
    }
    assert_int_equal(close_file(r, fd), 0);
    rig_close(r);
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return fd;
}

static int connect_to(struct rig *r, int fd, const struct sock_addr *addr)
{
    struct io_call c = {.connect = {fd, &addr->sa, addr->len}};
    return rig_call(r, &c, IO_CONNECT);
}

/* At an address that the kernel chooses (unix(7), autobind). */
struct local_listener {
    int fd;
    struct sockaddr_un addr;
    socklen_t len;
};

static void local_open(struct local_listener *l, int backlog)
{
    l->addr.sun_family = AF_UNIX;
    l->len = sizeof l->addr;
    l->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(l->fd, (void *)&l->addr, sizeof l->addr.sun_family), 0);
    assert_int_equal(getsockname(l->fd, (void *)&l->addr, &l->len), 0);
    assert_int_equal(listen(l->fd, backlog), 0);
}

static void connect_and_talk(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint near, far;
    int fd = tcp_socket();
    assert_int_equal(connect_to(r, fd, &r->addr), 0);
    endpoint_accept(r, &far, -1);
    endpoint_adopt(r, &near, fd);
    endpoint_recv(&near);
    endpoint_recv(&far);
    char bytes[3000];
    pattern_fill(bytes, 0, sizeof bytes);
    endpoint_send(&near, &(struct iovec){bytes, sizeof bytes}, 1);
    endpoint_send(&far, &(struct iovec){bytes, 2000}, 1);
    TURN_UNTIL(r, near.received == 2000 && far.received == sizeof bytes);
    endpoint_close(&near);
    TURN_UNTIL(r, !io_busy(&far.sock.recv));
    assert_int_equal(far.recv_result.res, 0);
    endpoint_close(&far);
    rig_close(r);
}

static void connect_refused(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct sock_addr addr;
    int fd = tcp_socket(), listener;
    rig_listen(&addr, &listener);
    close(listener);
    assert_int_equal(connect_to(r, fd, &addr), -ECONNREFUSED);
    close(fd);
    assert_int_equal(connect_to(r, fd, &addr), -EBADF);
    rig_close(r);
}

/* A listener with a full queue drops further connections, so the connect stays pending. */
static void connect_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct sock_addr addr;
    assert_true(sock_addr_parse("127.0.0.1:0", &addr));
    int listener = sock_listen(&addr, 0, true);
    int queued = tcp_connect(&addr.sa, addr.len);
    int fd = tcp_socket();
    struct io_call c = {.connect = {fd, &addr.sa, addr.len}};
    assert_false(cancel_call(r, &c, IO_CONNECT, 20));
    close(fd);
    close(queued);
    close(listener);
    rig_close(r);
}

/* While the queue of one is full; others are connected to meanwhile. */
static void connect_to_unix_sockets(void **state)
{
    (void)state;
    enum { TRIES = 12 };
    struct rig *r = rig_open(NULL);
    struct local_listener full, open;
    local_open(&full, 0);
    local_open(&open, TRIES);
    int queued = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(queued, (void *)&full.addr, full.len), 0);
    for (int i = 0; i < TRIES; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        struct io_call c = {.connect = {fd, (void *)&full.addr, full.len}};
        assert_int_equal(rig_call(r, &c, IO_CONNECT), -EAGAIN);
        c.connect.addr = (void *)&open.addr;
        c.connect.len = open.len;
        assert_int_equal(rig_call(r, &c, IO_CONNECT), 0);
        close(fd);
    }
    close(queued);
    close(full.fd);
    close(open.fd);
    rig_close(r);
}

static void poll_until_ready(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    int p[2];
    char byte;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    struct io_call c = {.op.fn = on_call, .poll = {.fd = p[0], .events = POLLIN}};
    call_result = (struct outcome){0};
    for (unsigned i = 1; i <= 3; i++) {
        io_call_start(&r->io, &c, IO_POLL);
        for (int k = 0; k < 5; k++) rig_poll(r);
        assert_true(io_busy(&c.op));
        assert_int_equal(write(p[1], "x", 1), 1);
        TURN_UNTIL(r, !io_busy(&c.op));
        assert_int_equal(call_result.count, i);
        assert_int_equal(call_result.res, POLLIN);
        assert_int_equal(read(p[0], &byte, 1), 1);
    }
    c.poll.fd = p[1];
    c.poll.events = POLLOUT;
    assert_int_equal(rig_call(r, &c, IO_POLL), POLLOUT);
    close(p[1]);
    c.poll.fd = p[0];
    c.poll.events = POLLIN;
    assert_true(rig_call(r, &c, IO_POLL) & POLLHUP);
    close(p[0]);
    assert_int_equal(rig_call(r, &c, IO_POLL), -EBADF);
    rig_close(r);
}

static void poll_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    struct io_call c = {.poll = {.fd = p[0], .events = POLLIN}};
    for (int later = 0; later < 4; later++) assert_false(cancel_call(r, &c, IO_POLL, later));
    assert_int_equal(write(p[1], "x", 1), 1);
    if (cancel_call(r, &c, IO_POLL, 0)) assert_int_equal(call_result.res, POLLIN);
    c.poll.fd = 1000000;
    if (cancel_call(r, &c, IO_POLL, 0)) assert_int_equal(call_result.res, -EBADF);
    close(p[0]);
    close(p[1]);
    rig_close(r);
}

/* Several polls of one descriptor, for different events or the same, end each for itself. */
static void poll_by_several(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    enum { N = 4 };
    int s[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
    struct io_call c[N];
    for (int i = 0; i < N; i++) {
        c[i] = (struct io_call){.op.fn = on_call,
                                .poll = {.fd = s[0], .events = i == 3 ? POLLRDHUP : POLLIN}};
        io_call_start(&r->io, &c[i], IO_POLL);
    }
    struct io_call out = {.poll = {.fd = s[0], .events = POLLIN | POLLOUT}};
    assert_int_equal(rig_call(r, &out, IO_POLL), POLLOUT);
    io_cancel(&r->io, &c[0].op);
    call_result = (struct outcome){0};
    TURN_UNTIL(r, !io_busy(&c[0].op));
    assert_int_equal(call_result.res, -ECANCELED);
    for (int k = 0; k < 5; k++) rig_poll(r);
    assert_true(io_busy(&c[1].op) && io_busy(&c[2].op) && io_busy(&c[3].op));
    assert_int_equal(write(s[1], "x", 1), 1);
    TURN_UNTIL(r, !io_busy(&c[1].op) && !io_busy(&c[2].op));
    assert_int_equal(call_result.count, 3);
    assert_int_equal(call_result.res, POLLIN);
    assert_true(io_busy(&c[3].op));
    close(s[1]);
    TURN_UNTIL(r, !io_busy(&c[3].op));
    assert_true(call_result.res & POLLRDHUP);
    close(s[0]);
    rig_close(r);
}

/* The end of the peer's stream is told to those who ask for it. */
static void poll_without_the_end_of_the_stream(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    char bytes[4096] = "";
    int s[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    while (write(s[0], bytes, sizeof bytes) > 0) {
    }
    shutdown(s[1], SHUT_WR);
    struct io_call both = {.poll = {.fd = s[0], .events = POLLIN | POLLOUT}};
    assert_int_equal(rig_call(r, &both, IO_POLL), POLLIN);
    for (int cancels = 1; cancels >= 0; cancels--) {
        struct io_call out = {.op.fn = on_call, .poll = {.fd = s[0], .events = POLLOUT}};
        call_result = (struct outcome){0};
        io_call_start(&r->io, &out, IO_POLL);
        for (int k = 0; k < 20; k++) rig_poll(r);
        assert_true(io_busy(&out.op));
        if (cancels) io_cancel(&r->io, &out.op);
        while (!cancels && read(s[1], bytes, sizeof bytes) > 0) {
        }
        TURN_UNTIL(r, !io_busy(&out.op));
        assert_int_equal(call_result.res, cancels ? -ECANCELED : POLLOUT);
    }
    close(s[0]);
    close(s[1]);
    rig_close(r);
}

/* A library closes its descriptor under a poll, and the number is soon that of something else. */
static void close_under_a_poll(bool at_once)
{
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    int p[2], at;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    struct io_call c = {.op.fn = on_call,
                        .poll = {.fd = p[0], .events = POLLIN, .at_once = at_once}};
    call_result = (struct outcome){0};
    io_call_start(&r->io, &c, IO_POLL);
    if (!at_once) rig_poll(r);
    at = p[0];
    close(p[0]);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (other != at) {
        assert_true(dup3(other, at, O_CLOEXEC) == at);
        close(other);
    }
    assert_int_equal(connect_to(r, at, &r->addr), 0);
    endpoint_adopt(r, &e, at);
    endpoint_recv(&e);
    io_cancel(&r->io, &c.op);
    TURN_UNTIL(r, !io_busy(&c.op));
    assert_int_equal(call_result.count, 1);
    assert_int_equal(call_result.res, -ECANCELED);
    struct endpoint far;
    endpoint_accept(r, &far, -1);
    char bytes[100];
    pattern_fill(bytes, 0, sizeof bytes);
    endpoint_send(&far, &(struct iovec){bytes, sizeof bytes}, 1);
    TURN_UNTIL(r, e.received == sizeof bytes);
    endpoint_close(&far);
    endpoint_close(&e);
    close(p[1]);
    rig_close(r);
}

/* While it waits, the peer does what nobody has asked for. */
static void close_under_a_poll_for_room(void)
{
    struct rig *r = rig_open(NULL);
    char bytes[4096] = "";
    int s[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    while (write(s[0], bytes, sizeof bytes) > 0) {
    }
    struct io_call c = {.op.fn = on_call, .poll = {.fd = s[0], .events = POLLOUT, .at_once = true}};
    call_result = (struct outcome){0};
    io_call_start(&r->io, &c, IO_POLL);
    rig_poll(r);
    close(s[0]);
    shutdown(s[1], SHUT_WR);
    for (int k = 0; k < 5; k++) rig_poll(r);
    assert_true(io_busy(&c.op));
    while (read(s[1], bytes, sizeof bytes) > 0) {
    }
    TURN_UNTIL(r, !io_busy(&c.op));
    assert_int_equal(call_result.res, POLLOUT);
    close(s[1]);
    rig_close(r);
}

static void poll_of_a_descriptor_that_is_closed(void **state)
{
    (void)state;
    close_under_a_poll_for_room();
    close_under_a_poll(false);
    close_under_a_poll(true);
}

/* Those that are made at once are system calls like others; a descriptor of the ring's is left to
 * the ring. */
static void calls_are_counted(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    const uint64_t *n = &r->io.stats.syscalls;
    struct sock_addr peer;
    struct endpoint e;
    endpoint_open_external(r, &e, true);
    uint64_t before = *n;
    assert_true(io_peer(&r->io, &e.sock, &peer));
    assert_int_equal(*n, before + 1);
    e.call.sock.sock = &e.sock;
    before = *n;
    io_call_start(&r->io, &e.call, IO_UNACKED);
    assert_int_equal(*n, before + 1);
    TURN_UNTIL(r, !io_busy(&e.call.op));
    endpoint_close(&e);

    int fd = tcp_connect(&r->addr.sa, r->addr.len);
    io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, r->n_accepted == 1);
    before = *n;
    io_discard(&r->io, r->accepted[r->taken++]);
    assert_int_equal(*n, before + !(r->io.config.features & 1u << IO_DIRECT));
    rig_poll(r);
    tcp_expect_end(fd);
    close(fd);
    rig_close(r);
}

/* A file cannot be watched: it is always ready. */
static void poll_a_file(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    int fd = open_file(r, "file");
    struct io_call c = {.poll = {.fd = fd, .events = POLLIN}};
    assert_int_equal(rig_call(r, &c, IO_POLL), POLLIN);
    c.poll.events = POLLIN | POLLOUT | POLLPRI;
    assert_int_equal(rig_call(r, &c, IO_POLL), POLLIN | POLLOUT);
    c.poll.events = POLLPRI;
    assert_int_equal(rig_call(r, &c, IO_POLL), -EINVAL);
    c.poll.fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* a device may be like that, too */
    assert_int_equal(rig_call(r, &c, IO_POLL), -EINVAL);
    assert_int_equal(close(c.poll.fd), 0);
    c.poll.fd = -1;
    assert_int_equal(rig_call(r, &c, IO_POLL), -EBADF);
    close_file(r, fd);
    rig_close(r);
}

int call_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_read_close),
        cmocka_unit_test(populate_and_send),
        cmocka_unit_test(open_stays_beneath),
        cmocka_unit_test(open_by_a_walk),
        cmocka_unit_test(statx_by_name_and_descriptor),
        cmocka_unit_test(file_calls_cancelled),
        cmocka_unit_test(connect_and_talk),
        cmocka_unit_test(connect_refused),
        cmocka_unit_test(connect_cancelled),
        cmocka_unit_test(connect_to_unix_sockets),
        cmocka_unit_test(poll_until_ready),
        cmocka_unit_test(poll_cancelled),
        cmocka_unit_test(poll_by_several),
        cmocka_unit_test(poll_without_the_end_of_the_stream),
        cmocka_unit_test(poll_of_a_descriptor_that_is_closed),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(poll_a_file),
    };
    return cmocka_run_group_tests_name("call", tests, make_files, remove_files);
}
