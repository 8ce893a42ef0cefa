#include "cases.h"
#include "engine_rig.h"
#include "io/nonblock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Closes accepted sockets that no endpoint uses. */
static void close_accepted(struct rig *r, unsigned n)
{
    while (n-- > 0) {
        struct io_sock s;
        struct io_call c = {.sock.sock = &s};
        assert_true(r->taken < r->n_accepted);
        assert_int_equal(io_sock_init(&r->io, &s, r->accepted[r->taken++], true, NULL), 0);
        assert_int_equal(rig_call(r, &c, IO_CLOSE_SOCK), 0);
    }
}

static void several_at_once(void **state)
{
    (void)state;
    enum { N = 40 };
    struct rig *r = rig_open(NULL);
    struct endpoint e[N];
    int peers[N];
    for (int i = 0; i < N; i++) peers[i] = tcp_connect(&r->addr.sa, r->addr.len);
    io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, r->n_accepted == N);
    assert_int_equal(r->accept_result.count, 0);
    /* Each is a separate connection: bytes from one peer arrive at one socket. */
    for (int i = 0; i < N; i++) endpoint_accept(r, &e[i], peers[i]);
    for (int i = 0; i < N; i++) {
        endpoint_recv(&e[i]);
        peer_send(peers[i], 0, (size_t)i + 1);
        TURN_UNTIL(r, e[i].received == (uint64_t)i + 1);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(e[i].received, i + 1);
        endpoint_close(&e[i]);
    }
    rig_close(r);
}

static void cancelled_and_started_again(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (unsigned round = 1; round <= 3; round++) {
        io_accept_start(&r->io, &r->accept);
        if (round != 2) rig_poll(r); /* in the second round, cancelled before it was submitted */
        io_cancel(&r->io, &r->accept.op);
        io_cancel(&r->io, &r->accept.op);
        TURN_UNTIL(r, !io_busy(&r->accept.op));
        assert_int_equal(r->accept_result.count, round);
        assert_int_equal(r->accept_result.res, -ECANCELED);
    }
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_close(&e);
    assert_int_equal(r->accept_result.count, 3);
    rig_close(r);
}

struct two {
    struct rig *r;
    struct io_accept other;
    struct outcome other_result;
    int other_fd;
    unsigned other_n;
};

static struct two *two;

static void on_other(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    (void)op;
    if (more) {
        assert_true(res >= 0);
        two->other_fd = res;
        two->other_n++;
    } else {
        two->other_result.res = res;
        two->other_result.count++;
    }
}

static void cancel_both(struct rig *r)
{
    io_cancel(&r->io, &r->accept.op);
    io_cancel(&r->io, &two->other.op);
}

static void cancel_own(struct rig *r)
{
    io_cancel(&r->io, &r->accept.op);
}

static void cancelled_in_its_callback(void **state)
{
    (void)state;
    enum { N = 8 };
    struct sock_addr addr;
    struct two t = {.other.op.fn = on_other};
    int peers[N], peer;
    two = &t;
    struct rig *r = rig_open(NULL);
    rig_listen(&addr, &t.other.listener);

    /* The other stream goes on when only one is cancelled. */
    r->on_accept = cancel_own;
    io_accept_start(&r->io, &r->accept);
    io_accept_start(&r->io, &t.other);
    for (int i = 0; i < N; i++) peers[i] = tcp_connect(&r->addr.sa, r->addr.len);
    TURN_UNTIL(r, !io_busy(&r->accept.op));
    assert_int_equal(r->accept_result.count, 1);
    assert_int_equal(r->accept_result.res, -ECANCELED);
    assert_true(r->n_accepted >= 1);
    peer = tcp_connect(&addr.sa, addr.len);
    TURN_UNTIL(r, t.other_n == 1);
    assert_int_equal(t.other_result.count, 0);
    r->accepted[r->n_accepted++] = t.other_fd;

    /* Connections that arrived meanwhile were not lost. */
    r->on_accept = NULL;
    io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, r->n_accepted == N + 1);

    /* Both streams are cancelled from a callback of one. */
    int last = tcp_connect(&addr.sa, addr.len);
    r->on_accept = cancel_both;
    int first = tcp_connect(&r->addr.sa, r->addr.len);
    TURN_UNTIL(r, !io_busy(&r->accept.op) && !io_busy(&t.other.op));
    assert_int_equal(r->accept_result.count, 2);
    assert_int_equal(t.other_result.count, 1);
    assert_int_equal(t.other_result.res, -ECANCELED);
    assert_int_equal(r->n_accepted, N + 2);
    if (t.other_n == 2) r->accepted[r->n_accepted++] = t.other_fd;

    for (int i = 0; i < N; i++) close(peers[i]);
    close(peer);
    close(last);
    close(first);
    close_accepted(r, r->n_accepted);
    close(t.other.listener);
    rig_close(r);
}

/* The accepted sockets are not used. */
static void discard_closes_the_socket(void **state)
{
    (void)state;
    enum { N = 20 };
    struct rig *r = rig_open(NULL);
    io_accept_start(&r->io, &r->accept);
    for (int i = 0; i < N; i++) {
        int peer = tcp_connect(&r->addr.sa, r->addr.len);
        TURN_UNTIL(r, r->taken < r->n_accepted);
        io_discard(&r->io, r->accepted[r->taken++]);
        rig_poll(r);
        tcp_expect_end(peer);
        close(peer);
    }
    rig_close(r);
}

static void accepted_sockets_are_set_up(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct sock_addr addr = {.len = sizeof addr.in6};
    char text[SOCK_ADDR_TEXT];
    struct endpoint e;
    endpoint_open(r, &e);
    assert_int_equal(getsockname(e.peer, &addr.sa, &addr.len), 0);
    sock_addr_format(&addr, text);
    struct sock_addr peer;
    assert_true(io_peer(&r->io, &e.sock, &peer));
    char got[SOCK_ADDR_TEXT];
    sock_addr_format(&peer, got);
    assert_string_equal(got, text);
    if (!(r->io.config.features & 1u << IO_DIRECT))
        assert_int_equal(fcntl(e.sock.fd, F_GETFD), FD_CLOEXEC);
    endpoint_close(&e);
    rig_close(r);
}

/* As a handler may ask later. */
static void the_address_outlives_a_reset(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct sock_addr addr = {.len = sizeof addr.in6}, peer;
    char text[SOCK_ADDR_TEXT], got[SOCK_ADDR_TEXT];
    struct endpoint e;
    endpoint_open(r, &e);
    assert_int_equal(getsockname(e.peer, &addr.sa, &addr.len), 0);
    sock_addr_format(&addr, text);
    tcp_reset(e.peer);
    e.peer = -1;
    endpoint_recv(&e);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_true(io_peer(&r->io, &e.sock, &peer));
    sock_addr_format(&peer, got);
    assert_string_equal(got, text);
    endpoint_close(&e);
    rig_close(r);
}

static void accept_on_a_bad_descriptor(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    int listener = r->listener;
    r->accept.listener = 1000000;
    io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, !io_busy(&r->accept.op));
    assert_int_equal(r->accept_result.res, -EBADF);
    io_accept_start(&r->io, &r->accept);
    io_cancel(&r->io, &r->accept.op);
    TURN_UNTIL(r, !io_busy(&r->accept.op));
    assert_true(r->accept_result.res == -EBADF || r->accept_result.res == -ECANCELED);
    assert_int_equal(r->accept_result.count, 2);
    r->accept.listener = listener;
    rig_close(r);
}

/* As one is that was given, for another engine may have it, too. */
static void of_a_listener_that_does_not_block(void **state)
{
    enum { N = 20 };
    (void)state;
    for (int single = 0; single < 2; single++) {
        struct rig *r = rig_open(NULL);
        int peers[3 * N];
        unsigned n = 0, ends = 0;
        assert_int_equal(nonblock_set(r->listener, true), 0);
        r->accept.single = single;
        /* Cancelled after two turns, after one, and with a connection in the queue. */
        for (int i = 0; i < 3; i++) {
            io_accept_start(&r->io, &r->accept);
            if (i != 1) rig_poll(r);
            rig_poll(r);
            if (i == 2) peers[n++] = tcp_connect(&r->addr.sa, r->addr.len);
            io_cancel(&r->io, &r->accept.op);
            TURN_UNTIL(r, !io_busy(&r->accept.op));
            assert_int_equal(r->accept_result.count, ++ends);
            assert_int_equal(r->accept_result.res, -ECANCELED);
        }
        for (; n < N; n++) peers[n] = tcp_connect(&r->addr.sa, r->addr.len);
        io_accept_start(&r->io, &r->accept);
        TURN_UNTIL(r, r->n_accepted == N);
        for (; n < 2 * N; n++) {
            peers[n] = tcp_connect(&r->addr.sa, r->addr.len);
            TURN_UNTIL(r, r->n_accepted == n + 1);
        }
        for (; n < 3 * N; n++) peers[n] = tcp_connect(&r->addr.sa, r->addr.len);
        TURN_UNTIL(r, r->n_accepted == n);
        assert_int_equal(r->accept_result.count, ends);
        close_accepted(r, n);
        while (n > 0) close(peers[--n]);
        rig_close(r);
    }
}

/* Whatever comes of it, its final completion comes. */
static void shut_down_while_it_waits(void **state)
{
    (void)state;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct rig *r = rig_open(NULL);
        assert_int_equal(nonblock_set(r->listener, nonblocking), 0);
        io_accept_start(&r->io, &r->accept);
        rig_poll(r);
        rig_poll(r);
        assert_int_equal(shutdown(r->listener, SHUT_RDWR), 0);
        TURN_UNTIL(r, !io_busy(&r->accept.op));
        assert_int_equal(r->accept_result.res, -EINVAL);
        rig_close(r);
    }
}

/* The descriptor limit that leaves room for `n` more. */
static rlim_t limit_for(int n)
{
    int fd = 0;
    for (; n > 0; fd++) n -= fcntl(fd, F_GETFD) < 0;
    return (rlim_t)fd;
}

static bool exhausted(const struct outcome *o, unsigned count)
{
    return o->count == count && (o->res == -EMFILE || o->res == -ENFILE);
}

static void out_of_descriptors(void **state)
{
    (void)state;
    enum { PEERS = 8, ROOM = 4 };
    struct io_config config = rig_config;
    config.max_sockets = ROOM;
    struct rig *r = rig_open(&config);
    int peers[PEERS + 1];
    struct rlimit normal, low;
    for (int i = 0; i < PEERS; i++) peers[i] = tcp_connect(&r->addr.sa, r->addr.len);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &normal), 0);
    low = normal;
    low.rlim_cur = limit_for(ROOM);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);

    io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, !io_busy(&r->accept.op));
    assert_true(exhausted(&r->accept_result, 1));
    assert_int_equal(r->n_accepted, ROOM);

    close_accepted(r, 2);
    io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, !io_busy(&r->accept.op));
    assert_true(exhausted(&r->accept_result, 2));
    assert_int_equal(r->n_accepted, ROOM + 2);

    close_accepted(r, ROOM);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &normal), 0);
    /* A connection refused because the direct table is full is gone; otherwise it is still in the
     * queue. In both cases a new one is accepted. */
    io_accept_start(&r->io, &r->accept);
    peers[PEERS] = tcp_connect(&r->addr.sa, r->addr.len);
    TURN_UNTIL(r, r->n_accepted > ROOM + 2);
    for (int i = 0; i < 10; i++) rig_poll(r);
    assert_int_equal(r->accept_result.count, 2);
    close_accepted(r, r->n_accepted - r->taken);
    for (int i = 0; i < PEERS + 1; i++) close(peers[i]);
    rig_close(r);
}

int accept_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(cancelled_and_started_again),
        cmocka_unit_test(cancelled_in_its_callback),
        cmocka_unit_test(discard_closes_the_socket),
        cmocka_unit_test(accepted_sockets_are_set_up),
        cmocka_unit_test(the_address_outlives_a_reset),
        cmocka_unit_test(accept_on_a_bad_descriptor),
        cmocka_unit_test(of_a_listener_that_does_not_block),
        cmocka_unit_test(shut_down_while_it_waits),
        cmocka_unit_test(out_of_descriptors),
    };
    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
