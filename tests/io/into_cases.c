/* Receiving into memory of the caller, in place of the recv stream. The rig checks every byte, and
 * that nothing behind them was touched. */

#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Runs one receive to its end, and returns the result. */
static int receive(struct endpoint *e, uint32_t size)
{
    unsigned count = e->recv_result.count;
    endpoint_recv_into(e, size);
    TURN_UNTIL(e->rig, !io_busy(&e->sock.recv));
    assert_int_equal(e->recv_result.count, count + 1);
    return e->recv_result.res;
}

static void it_takes_what_is_there(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    peer_send(e.peer, 0, 5000);
    peer_settle(e.peer);
    assert_int_equal(receive(&e, 100000), 5000);
    endpoint_recv_into(&e, 100000);
    for (int i = 0; i < 3; i++) rig_poll(r);
    assert_true(io_busy(&e.sock.recv));
    peer_send(e.peer, 5000, 1); /* it does not wait for more */
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.recv_result.res, 1);
    endpoint_close(&e);
    rig_close(r);
}

/* What does not fit stays in the socket, for the next receive or for the stream. */
static void it_takes_no_more_than_its_size(void **state)
{
    (void)state;
    enum { ALL = 100000 };
    const uint32_t sizes[] = {1, 999, 4096, 50000};
    struct rig *r = rig_open(NULL);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct endpoint e;
        endpoint_open(r, &e);
        peer_send(e.peer, 0, ALL);
        peer_settle(e.peer);
        assert_int_equal(receive(&e, sizes[i]), sizes[i]);
        assert_int_equal(receive(&e, sizes[i]), sizes[i]);
        for (int turn = 0; turn < 3; turn++) rig_poll(r);
        assert_int_equal(e.received, 2 * sizes[i]);
        endpoint_recv(&e);
        TURN_UNTIL(r, e.received == ALL);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void every_byte_of_many_megabytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    struct peer_thread t = {.fd = e.peer, .n = 5000001, .sends = true};
    peer_start(&t);
    while (e.received < t.n) assert_true(receive(&e, 70000) > 0);
    peer_join(&t);
    endpoint_close(&e);
    rig_close(r);
}

static void cancel_stream(struct endpoint *e, int n)
{
    (void)n;
    io_cancel(&e->rig->io, &e->sock.recv);
}

static void take_turns(struct endpoint *e)
{
    if (e->recv_result.res == 0) return;
    if (e->recv_result.count % 2)
        endpoint_recv_into(e, 30000);
    else
        endpoint_recv(e);
}

/* The stream is cancelled by its first bytes, and started again after each receive. */
static void in_turn_with_the_stream(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    e.on_data = cancel_stream;
    e.on_end = take_turns;
    endpoint_recv(&e);
    struct peer_thread t = {.fd = e.peer, .n = 3000000, .sends = true};
    peer_start(&t);
    TURN_UNTIL(r, e.received == t.n);
    peer_join(&t);
    tcp_shut(e.peer);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.received, t.n);
    assert_true(e.recv_result.count > 2);
    endpoint_close(&e);
    rig_close(r);
}

static void end_of_stream(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int waits = 0; waits < 2; waits++) {
        struct endpoint e;
        endpoint_open(r, &e);
        peer_send(e.peer, 0, 10000);
        if (!waits) tcp_shut(e.peer);
        peer_settle(e.peer);
        assert_int_equal(receive(&e, 10000), 10000);
        endpoint_recv_into(&e, 10000);
        if (waits) {
            for (int i = 0; i < 3; i++) rig_poll(r);
            assert_true(io_busy(&e.sock.recv));
            tcp_shut(e.peer);
        }
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.res, 0);
        assert_int_equal(receive(&e, 10000), 0);
        endpoint_close(&e);
    }
    rig_close(r);
}

/* Behind a short receive, without bytes after it. */
static void end_of_stream_after_a_short_receive(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    rig_poll(r);
    peer_send(e.peer, 0, 100);
    tcp_shut(e.peer);
    peer_settle(e.peer);
    for (int i = 0; i < 3; i++) rig_poll(r);
    assert_int_equal(receive(&e, 10000), 100);
    assert_int_equal(receive(&e, 10000), 0);
    endpoint_close(&e);
    rig_close(r);
}

static void the_peer_resets(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int waits = 0; waits < 2; waits++) {
        struct endpoint e;
        endpoint_open(r, &e);
        peer_send(e.peer, 0, 10);
        assert_int_equal(receive(&e, 10000), 10);
        if (waits) {
            endpoint_recv_into(&e, 10000);
            for (int i = 0; i < 3; i++) rig_poll(r);
        }
        tcp_reset(e.peer);
        e.peer = -1;
        if (!waits) {
            for (int i = 0; i < 3; i++) rig_poll(r);
            endpoint_recv_into(&e, 10000);
        }
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.res, -ECONNRESET);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void cancelled_while_it_waits(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    for (unsigned round = 1; round <= 6; round++) {
        endpoint_recv_into(&e, 1000);
        if (round % 2) rig_poll(r);
        io_cancel(&r->io, &e.sock.recv);
        io_cancel(&r->io, &e.sock.recv);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.count, round);
        assert_int_equal(e.recv_result.res, -ECANCELED);
    }
    peer_send(e.peer, 0, 10000);
    endpoint_recv(&e);
    TURN_UNTIL(r, e.received == 10000);
    endpoint_close(&e);
    rig_close(r);
}

/* It has either received bytes or been cancelled: none is lost. */
static void cancelled_as_bytes_come(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    struct peer_thread t = {.fd = e.peer, .n = 3000000, .sends = true};
    peer_start(&t);
    for (unsigned round = 0; e.received < t.n; round++) {
        endpoint_recv_into(&e, 20000);
        if (round % 3) rig_poll(r);
        if (round % 2) io_cancel(&r->io, &e.sock.recv);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_true(e.recv_result.res > 0 || e.recv_result.res == -ECANCELED);
        assert_int_equal(e.recv_result.count, round + 1);
    }
    peer_join(&t);
    endpoint_close(&e);
    rig_close(r);
}

/* Many at once, beside streams, and with sends under way; they take no buffer from the streams. */
static void many_at_once(void **state)
{
    (void)state;
    enum { MANY = 24, BYTES = 200000 };
    static char bytes[BYTES];
    struct rig *r = rig_open(NULL);
    struct endpoint e[MANY];
    unsigned left = MANY;
    pattern_fill(bytes, 0, BYTES);
    for (int i = 0; i < MANY; i++) {
        endpoint_open(r, &e[i]);
        if (i % 3)
            endpoint_recv_into(&e[i], 7000);
        else
            endpoint_recv(&e[i]);
    }
    rig_poll(r);
    for (int i = 0; i < MANY; i++) {
        peer_send(e[i].peer, 0, BYTES / 10);
        endpoint_send(&e[i], &(struct iovec){bytes, BYTES / 10}, 1);
    }
    rig_guard(r);
    while (left > 0) {
        rig_turn(r, "all bytes of all", __FILE__, __LINE__);
        left = 0;
        for (int i = 0; i < MANY; i++) {
            if (e[i].received == BYTES / 10) continue;
            left++;
            if (!io_busy(&e[i].sock.recv)) endpoint_recv_into(&e[i], 7000);
        }
    }
    rig_unguard(r);
    for (int i = 0; i < MANY; i++) {
        peer_expect(e[i].peer, 0, BYTES / 10);
        TURN_UNTIL(r, !io_busy(&e[i].send.op));
        assert_int_equal(e[i].send_result.res, BYTES / 10);
        endpoint_close(&e[i]);
    }
    rig_close(r);
}

static void into_works_on_sockets_of_the_caller(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct endpoint e;
        endpoint_open_external(r, &e, nonblocking);
        endpoint_recv_into(&e, 30000);
        for (int i = 0; i < 3; i++) rig_poll(r);
        assert_int_equal(e.recv_result.count, 0);
        peer_send(e.peer, 0, 20000);
        while (e.received < 20000) {
            TURN_UNTIL(r, !io_busy(&e.sock.recv));
            assert_true(e.recv_result.res > 0);
            endpoint_recv_into(&e, 30000);
        }
        endpoint_close(&e);
    }
    rig_close(r);
}

static struct outcome own_result;

static void on_own(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io, (void)op;
    assert_false(more);
    own_result.res = res;
    own_result.count++;
}

/* The program has another file in the place of the socket, as after close_range(2), and a watch of
 * that ends at once or waits. What was received before is the caller's by then. */
static void a_watch_after_a_receive_leaves_its_memory_alone(void **state)
{
    (void)state;
    char into[64], before[sizeof into];
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open_external(r, &e, false);
    own_result = (struct outcome){0};
    e.sock.recv.fn = on_own;
    peer_send(e.peer, 0, 5);
    io_recv_into(&r->io, &e.sock, into, sizeof into);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(own_result.res, 5);
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(dup2(other, e.sock.fd), e.sock.fd);
    close(other);
    memset(into, 'x', sizeof into);
    memcpy(before, into, sizeof into);
    io_watch_start(&r->io, &e.sock, true);
    for (int i = 0; i < 3; i++) rig_poll(r);
    io_cancel(&r->io, &e.sock.recv);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_memory_equal(into, before, sizeof into);
    assert_int_equal(own_result.res, -ECANCELED);
    assert_int_equal(own_result.count, 2);
    endpoint_close(&e);
    rig_close(r);
}

int into_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_what_is_there),
        cmocka_unit_test(it_takes_no_more_than_its_size),
        cmocka_unit_test(every_byte_of_many_megabytes),
        cmocka_unit_test(in_turn_with_the_stream),
        cmocka_unit_test(end_of_stream),
        cmocka_unit_test(end_of_stream_after_a_short_receive),
        cmocka_unit_test(the_peer_resets),
        cmocka_unit_test(cancelled_while_it_waits),
        cmocka_unit_test(cancelled_as_bytes_come),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(into_works_on_sockets_of_the_caller),
        cmocka_unit_test(a_watch_after_a_receive_leaves_its_memory_alone),
    };
    return cmocka_run_group_tests_name("into", tests, NULL, NULL);
}
