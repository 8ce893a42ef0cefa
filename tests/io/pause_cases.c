/* A recv stream is paused by cancelling it and resumed by starting it again: no byte is lost or
 * duplicated, and each cancel causes one final completion. */

#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <unistd.h>

static void pause_an_idle_stream(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    for (unsigned round = 1; round <= 6; round++) {
        endpoint_recv(&e);
        if (round % 2) rig_poll(r);
        io_cancel(&r->io, &e.sock.recv);
        io_cancel(&r->io, &e.sock.recv);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.count, round);
        assert_int_equal(e.recv_result.res, -ECANCELED);
    }
    io_cancel(&r->io, &e.sock.recv); /* nothing in flight: no effect */
    rig_poll(r);
    assert_int_equal(e.recv_result.count, 6);
    endpoint_recv(&e);
    peer_send(e.peer, 0, 10000);
    TURN_UNTIL(r, e.received == 10000);
    endpoint_close(&e);
    rig_close(r);
}

static void bytes_that_come_while_paused(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    uint64_t at = 0;
    endpoint_open(r, &e);
    for (int round = 0; round < 5; round++) {
        endpoint_recv(&e);
        peer_send(e.peer, at, 700);
        at += 700;
        TURN_UNTIL(r, e.received == at);
        io_cancel(&r->io, &e.sock.recv);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        peer_send(e.peer, at, 50000);
        at += 50000;
        for (int i = 0; i < 5; i++) rig_poll(r);
        assert_int_equal(e.received, at - 50000);
    }
    assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
    rig_poll(r);
    endpoint_recv(&e);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.received, at);
    assert_int_equal(e.recv_result.res, 0);
    endpoint_close(&e);
    rig_close(r);
}

static void cancel_now(struct endpoint *e, int n)
{
    (void)n;
    io_cancel(&e->rig->io, &e->sock.recv);
}

static void start_again(struct endpoint *e)
{
    if (e->recv_result.res == -ECANCELED) endpoint_recv(e);
}

/* Cancelled in every callback, restarted after every final completion. */
static void pause_in_its_own_callback(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    e.on_data = cancel_now;
    e.on_end = start_again;
    endpoint_recv(&e);
    struct peer_thread t = {.fd = e.peer, .n = 1000000, .sends = true};
    peer_start(&t);
    TURN_UNTIL(r, e.received == t.n);
    peer_join(&t);
    assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.received, t.n);
    assert_int_equal(e.recv_result.res, 0);
    assert_true(e.recv_result.count > 1);
    endpoint_close(&e);
    rig_close(r);
}

static void pause_a_fast_stream_repeatedly(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    e.on_end = start_again;
    endpoint_recv(&e);
    struct peer_thread t = {.fd = e.peer, .n = 3000000, .sends = true};
    peer_start(&t);
    rig_guard(r);
    for (unsigned turn = 0; e.received < t.n; turn++) {
        rig_turn(r, "all bytes", __FILE__, __LINE__);
        if (turn % 3 == 0 && e.received < t.n) io_cancel(&r->io, &e.sock.recv);
    }
    rig_unguard(r);
    peer_join(&t);
    assert_true(e.recv_result.count > 1);
    assert_int_equal(e.received, t.n);
    e.on_end = NULL;
    io_cancel(&r->io, &e.sock.recv);
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.recv_result.res, -ECANCELED);
    endpoint_close(&e);
    rig_close(r);
}

static struct endpoint *victim;

static void cancel_victim(struct endpoint *e, int n)
{
    (void)n;
    io_cancel(&e->rig->io, &victim->sock.recv);
}

/* Both sockets have bytes in the same turn; the callback of the first cancels the second. */
static void pause_in_another_callback(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint a, b;
    victim = &b;
    endpoint_open(r, &a);
    endpoint_open(r, &b);
    a.on_data = cancel_victim;
    endpoint_recv(&a);
    endpoint_recv(&b);
    rig_poll(r);
    peer_send(a.peer, 0, 5000);
    peer_send(b.peer, 0, 5000);
    TURN_UNTIL(r, a.received == 5000 && !io_busy(&b.sock.recv));
    assert_int_equal(b.recv_result.count, 1);
    assert_int_equal(b.recv_result.res, -ECANCELED);
    endpoint_recv(&b);
    a.on_data = NULL;
    TURN_UNTIL(r, b.received == 5000);
    endpoint_close(&a);
    endpoint_close(&b);
    rig_close(r);
}

static void end_of_stream_while_cancelling(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int reset = 0; reset < 2; reset++) {
        struct endpoint e;
        endpoint_open(r, &e);
        endpoint_recv(&e);
        rig_poll(r);
        io_cancel(&r->io, &e.sock.recv);
        if (reset)
            tcp_reset(e.peer);
        else
            close(e.peer);
        e.peer = -1;
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        for (int i = 0; i < 5; i++) rig_poll(r);
        assert_int_equal(e.recv_result.count, 1);
        assert_true(e.recv_result.res == -ECANCELED ||
                    e.recv_result.res == (reset ? -ECONNRESET : 0));
        endpoint_close(&e);
    }
    rig_close(r);
}

/* ---- a watch instead of the stream ---- */

/* Starts a watch after bytes have come that nobody reads; true: before what it is to see. */
static void watch(struct endpoint *e, bool ends, bool first, void (*event)(struct endpoint *e))
{
    peer_send(e->peer, 0, 5000);
    if (first) io_watch_start(&e->rig->io, &e->sock, ends);
    for (int i = 0; i < 3; i++) rig_poll(e->rig);
    assert_int_equal(e->recv_result.count, 0);
    event(e);
    for (int i = 0; i < 3; i++) rig_poll(e->rig);
    if (!first) io_watch_start(&e->rig->io, &e->sock, ends);
}

static void reset(struct endpoint *e)
{
    tcp_reset(e->peer);
    e->peer = -1;
}

static void end(struct endpoint *e)
{
    tcp_shut(e->peer);
}

static void watch_sees_a_reset_behind_unread_bytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int i = 0; i < 4; i++) {
        struct endpoint e;
        endpoint_open(r, &e);
        watch(&e, i & 1, i & 2, reset);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.count, 1);
        assert_int_equal(e.recv_result.res, -ECONNRESET);
        assert_int_equal(e.received, 0);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void watch_sees_an_end_behind_unread_bytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int first = 0; first < 2; first++) {
        struct endpoint e;
        endpoint_open(r, &e);
        watch(&e, true, first, end);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.count, 1);
        assert_int_equal(e.recv_result.res, -ESHUTDOWN);
        /* The bytes are all there, then the end. */
        endpoint_recv(&e);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.received, 5000);
        assert_int_equal(e.recv_result.res, 0);
        endpoint_close(&e);
    }
    rig_close(r);
}

/* Without `ends` only a reset counts, before or after the end of the stream. */
static void watch_that_ignores_the_end(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int cancel = 0; cancel < 2; cancel++) {
        struct endpoint e;
        endpoint_open(r, &e);
        watch(&e, false, true, end);
        for (int i = 0; i < 3; i++) rig_poll(r);
        assert_int_equal(e.recv_result.count, 0);
        if (cancel)
            io_cancel(&r->io, &e.sock.recv);
        else
            reset(&e);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.count, 1);
        assert_int_equal(e.recv_result.res, cancel ? -ECANCELED : -ECONNRESET);
        endpoint_close(&e);
    }
    rig_close(r);
}

int pause_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pause_an_idle_stream),
        cmocka_unit_test(bytes_that_come_while_paused),
        cmocka_unit_test(pause_in_its_own_callback),
        cmocka_unit_test(pause_a_fast_stream_repeatedly),
        cmocka_unit_test(pause_in_another_callback),
        cmocka_unit_test(end_of_stream_while_cancelling),
        cmocka_unit_test(watch_sees_a_reset_behind_unread_bytes),
        cmocka_unit_test(watch_sees_an_end_behind_unread_bytes),
        cmocka_unit_test(watch_that_ignores_the_end),
    };
    return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
