#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BIG = 16 << 20 }; /* more than the socket buffers of both sides */

static char *big;

static int fill_big(void **state)
{
    (void)state;
    big = malloc(BIG);
    if (!big) return -1;
    pattern_fill(big, 0, BIG);
    return 0;
}

static int free_big(void **state)
{
    (void)state;
    free(big);
    return 0;
}

/* Sends everything, as far as it goes while the peer does not read. */
static void send_until_blocked(struct endpoint *e)
{
    endpoint_send(e, &(struct iovec){big, BIG}, 1);
    for (int i = 0; i < 50; i++) rig_poll(e->rig);
    assert_true(io_busy(&e->send.op));
}

static void small_sends(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    for (unsigned i = 0; i < 100; i++) {
        endpoint_send(&e, &(struct iovec){big + i, 1 + i % 2}, 1);
        assert_int_equal(e.send_result.count, i); /* submitting never calls back */
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_result.count, i + 1);
        assert_int_equal(e.send_result.res, 1 + i % 2);
        peer_expect(e.peer, i, 1 + i % 2);
    }
    endpoint_close(&e);
    rig_close(r);
}

/* Sends pieces of `sizes` in one gathered send. */
static void send_gathered(struct endpoint *e, const size_t *sizes, uint32_t count, bool reader)
{
    struct iovec iov[IO_SEND_IOV];
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){big + at, sizes[i]};
        at += sizes[i];
    }
    struct peer_thread t = {.fd = e->peer, .n = at};
    endpoint_send(e, iov, count);
    if (reader) peer_start(&t);
    TURN_UNTIL(e->rig, !io_busy(&e->send.op));
    assert_int_equal(e->send_result.res, at);
    if (reader)
        peer_join(&t);
    else
        peer_expect(e->peer, 0, at);
}

static void gathered_sends(void **state)
{
    (void)state;
    static const size_t cases[][IO_SEND_IOV] = {
        {1, 2, 3, 4, 5, 6, 7, 8},
        {0, 1, 0, 0, 5, 6, 0, 8},
        {0, 0, 0, 0, 0, 0, 0, 1},
        {1, 0, 0, 0, 0, 0, 0, 0},
        {10000, 1, 20000, 2, 30000, 3, 0, 1},
    };
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (uint32_t count = 1; count <= IO_SEND_IOV; count++)
            send_gathered(&e, cases[i], count, false);
    static const size_t large[][IO_SEND_IOV] = {
        {1 << 20, 1, 3 << 20, 0, 4096, 5 << 20, 7, 2 << 20},
        {0, 2 << 20, 0, 0, 1 << 20, 0, 300, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(large); i++) send_gathered(&e, large[i], IO_SEND_IOV, true);
    endpoint_close(&e);
    rig_close(r);
}

/* To a peer that reads all the time, so that the socket may never be full: each turn sends some. */
static void a_large_send_leaves_others_the_turn(void **state)
{
    (void)state;
    enum { LARGE = 4 * BIG };
    char *large = malloc(LARGE);
    assert_non_null(large);
    pattern_fill(large, 0, LARGE);
    struct rig *r = rig_open(NULL);
    for (size_t head = 0; head < 1000; head += 300) {
        struct endpoint e;
        endpoint_open(r, &e);
        struct peer_thread t = {.fd = e.peer, .n = LARGE};
        peer_start(&t);
        endpoint_send(&e, (struct iovec[]){{large, head}, {large + head, LARGE - head}}, 2);
        endpoint_await_shares(r, &e);
        peer_join(&t);
        assert_int_equal(e.send_result.res, LARGE);
        endpoint_close(&e);
    }
    rig_close(r);
    free(large);
}

enum { AGAIN = 40 };

static void send_again(struct io *io, struct io_op *op, int res, bool more)
{
    struct endpoint *e = container_of(op, struct endpoint, send.op);
    (void)io, (void)more;
    assert_int_equal(res, 1);
    if (++e->send_result.count < AGAIN) endpoint_send(e, &(struct iovec){big, 1}, 1);
}

static void a_chain_of_sends_leaves_others_the_turn(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    e.send.op.fn = send_again;
    endpoint_send(&e, &(struct iovec){big, 1}, 1);
    endpoint_await_chain(r, &e, AGAIN);
    endpoint_close(&e);
    rig_close(r);
}

static void cancelled_when_it_has_had_its_share(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int turns = 0; turns < 3; turns++) {
        struct endpoint e;
        endpoint_open(r, &e);
        endpoint_send(&e, &(struct iovec){big, BIG}, 1);
        for (int i = 0; i < turns; i++) rig_poll(r);
        assert_true(io_busy(&e.send.op));
        int32_t sent = io_sent_so_far(&e.send);
        io_cancel(&r->io, &e.send.op);
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_result.count, 1);
        assert_int_equal(e.send_result.res, -ECANCELED);
        peer_expect(e.peer, 0, (size_t)sent);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void completes_to_a_slow_reader(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    send_until_blocked(&e);
    struct peer_thread t = {.fd = e.peer, .n = BIG, .slow = true};
    peer_start(&t);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    peer_join(&t);
    assert_int_equal(e.send_result.count, 1);
    assert_int_equal(e.send_result.res, BIG);
    endpoint_close(&e);
    rig_close(r);
}

/* The number of bytes sent so far, and of those not acknowledged by the peer. */
static void progress_is_reported(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    assert_int_equal(endpoint_call(&e, IO_UNACKED), 0);
    send_until_blocked(&e);
    int32_t sent = io_sent_so_far(&e.send), unacked = endpoint_call(&e, IO_UNACKED);
    assert_true(sent > 0 && sent < BIG);
    assert_true(unacked > 0 && unacked <= sent);
    peer_expect(e.peer, 0, (size_t)sent);
    TURN_UNTIL(r, io_sent_so_far(&e.send) > sent);
    assert_true(io_busy(&e.send.op));
    io_cancel(&r->io, &e.send.op);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    endpoint_close(&e);
    rig_close(r);
}

static bool is_reset(int res)
{
    return res == -EPIPE || res == -ECONNRESET;
}

/* SIGPIPE has its default action here, which would end the program. */
static void send_to_a_reset_peer_fails(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int gather = 0; gather < 2; gather++) {
        struct endpoint e;
        endpoint_open(r, &e);
        tcp_reset(e.peer);
        e.peer = -1;
        for (unsigned i = 1; i <= 3; i++) {
            endpoint_send(&e, (struct iovec[]){{big, 10}, {big + 10, 10}}, gather ? 2 : 1);
            TURN_UNTIL(r, !io_busy(&e.send.op));
            assert_int_equal(e.send_result.count, i);
            assert_true(is_reset(e.send_result.res));
        }
        endpoint_close(&e);
    }
    rig_close(r);
}

static void reset_while_blocked(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int receiving = 0; receiving < 2; receiving++) {
        struct endpoint e;
        endpoint_open(r, &e);
        if (receiving) endpoint_recv(&e);
        send_until_blocked(&e);
        tcp_reset(e.peer);
        e.peer = -1;
        TURN_UNTIL(r, !io_busy(&e.send.op) && !io_busy(&e.sock.recv));
        assert_true(is_reset(e.send_result.res));
        assert_int_equal(e.send_result.count, 1);
        assert_int_equal(e.recv_result.count, receiving);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void cancelled_while_blocked(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    send_until_blocked(&e);
    io_cancel(&r->io, &e.send.op);
    io_cancel(&r->io, &e.send.op);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(e.send_result.count, 1);
    assert_int_equal(e.send_result.res, -ECANCELED);
    /* The peer has received a prefix; the socket can be closed, and the peer sees the end. */
    assert_int_equal(endpoint_call(&e, IO_SHUTDOWN), 0);
    uint64_t got = 0;
    ssize_t n;
    static char buf[1 << 16];
    while ((n = tcp_try_receive(e.peer, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal((uint8_t)buf[i], pattern(got + (uint64_t)i));
        got += (uint64_t)n;
    }
    assert_int_equal(n, 0);
    assert_true(got > 0 && got < BIG);
    endpoint_close(&e);
    rig_close(r);
}

/* A ring tells unasked that the peer has ended its stream, and would again at once. */
static void a_peer_that_only_reads_is_left_alone(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int before = 0; before < 2; before++) {
        struct endpoint e;
        endpoint_open(r, &e);
        if (before) tcp_shut(e.peer);
        send_until_blocked(&e);
        tcp_shut(e.peer);
        for (int i = 0; i < 50; i++) rig_poll(r);
        uint64_t cqes = r->io.stats.cqes;
        for (int i = 0; i < 50; i++) rig_poll(r);
        assert_in_range(r->io.stats.cqes - cqes, 0, 10);
        assert_int_equal(e.send_result.count, 0);
        endpoint_close(&e);
    }
    rig_close(r);
}

/* As many as would take all workers of the ring, if these waited for them. */
static void those_that_do_not_read_hold_up_nobody(void **state)
{
    enum { SILENT = 12 };
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint silent[SILENT], e;
    for (int i = 0; i < SILENT; i++) {
        endpoint_open(r, &silent[i]);
        tcp_shut(silent[i].peer);
        send_until_blocked(&silent[i]);
    }
    endpoint_open(r, &e);
    tcp_shut(e.peer);
    send_until_blocked(&e);
    struct peer_thread t = {.fd = e.peer, .n = BIG, .slow = true};
    peer_start(&t);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    peer_join(&t);
    assert_int_equal(e.send_result.res, BIG);
    for (int i = 0; i < SILENT; i++) {
        assert_true(io_busy(&silent[i].send.op));
        endpoint_close(&silent[i]);
    }
    endpoint_close(&e);
    rig_close(r);
}

/* Cancelled in the turn in which it is submitted: the result says whether it was sent. */
static void cancelled_in_the_same_turn(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    uint64_t sent = 0;
    for (unsigned i = 1; i <= 20; i++) {
        endpoint_send(&e, &(struct iovec){big + sent, 10}, 1);
        io_cancel(&r->io, &e.send.op);
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_result.count, i);
        assert_true(e.send_result.res == 10 || e.send_result.res == -ECANCELED);
        if (e.send_result.res == 10) sent += 10;
    }
    assert_int_equal(endpoint_call(&e, IO_SHUTDOWN), 0);
    peer_expect(e.peer, 0, sent);
    tcp_expect_end(e.peer);
    endpoint_close(&e);
    rig_close(r);
}

static void shutdown_leaves_the_other_side(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    endpoint_send(&e, &(struct iovec){big, 5000}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(endpoint_call(&e, IO_SHUTDOWN), 0);
    peer_expect(e.peer, 0, 5000);
    tcp_expect_end(e.peer);
    peer_send(e.peer, 0, 5000);
    TURN_UNTIL(r, e.received == 5000);
    assert_int_equal(e.recv_result.count, 0);
    endpoint_send(&e, &(struct iovec){big, 1}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(e.send_result.res, -EPIPE);
    endpoint_close(&e);
    rig_close(r);
}

static void close_is_seen_by_the_peer(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    endpoint_send(&e, &(struct iovec){big, 100}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    int peer = e.peer;
    e.peer = -1;
    endpoint_close(&e);
    peer_expect(peer, 0, 100);
    tcp_expect_end(peer);
    close(peer);
    rig_close(r);
}

int send_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_sends),
        cmocka_unit_test(gathered_sends),
        cmocka_unit_test(a_large_send_leaves_others_the_turn),
        cmocka_unit_test(a_chain_of_sends_leaves_others_the_turn),
        cmocka_unit_test(cancelled_when_it_has_had_its_share),
        cmocka_unit_test(completes_to_a_slow_reader),
        cmocka_unit_test(progress_is_reported),
        cmocka_unit_test(send_to_a_reset_peer_fails),
        cmocka_unit_test(reset_while_blocked),
        cmocka_unit_test(cancelled_while_blocked),
        cmocka_unit_test(a_peer_that_only_reads_is_left_alone),
        cmocka_unit_test(those_that_do_not_read_hold_up_nobody),
        cmocka_unit_test(cancelled_in_the_same_turn),
        cmocka_unit_test(shutdown_leaves_the_other_side),
        cmocka_unit_test(close_is_seen_by_the_peer),
    };
    return cmocka_run_group_tests_name("send", tests, fill_big, free_big);
}
