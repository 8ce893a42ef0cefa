#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BIG = 16 << 20 }; /* more than the buffers of both sides of a connection take */

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

/* A send of everything that gets as far as it can while nobody reads. */
static void park(struct end *e)
{
    end_send(e, &(struct iovec){big, BIG}, 1);
    for (int i = 0; i < 50; i++) rig_poll(e->rig);
    assert_true(io_busy(&e->send.op));
}

static void small(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    for (unsigned i = 0; i < 100; i++) {
        end_send(&e, &(struct iovec){big + i, 1 + i % 2}, 1);
        assert_int_equal(e.send_end.ends, i); /* submitting never calls back */
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_end.ends, i + 1);
        assert_int_equal(e.send_end.res, 1 + i % 2);
        peer_expect(e.peer, i, 1 + i % 2);
    }
    end_close(&e);
    rig_close(r);
}

/* Sends `sizes` as one, from neighbouring bytes of the pattern. */
static void send_gathered(struct end *e, const size_t *sizes, uint32_t count, bool reader)
{
    struct iovec iov[IO_SEND_IOV];
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){big + at, sizes[i]};
        at += sizes[i];
    }
    struct peer_thread t = {.fd = e->peer, .n = at};
    end_send(e, iov, count);
    if (reader) peer_start(&t);
    TURN_UNTIL(e->rig, !io_busy(&e->send.op));
    assert_int_equal(e->send_end.res, at);
    if (reader)
        peer_join(&t);
    else
        peer_expect(e->peer, 0, at);
}

static void gathered(void **state)
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
    struct end e;
    end_open(r, &e);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (uint32_t count = 1; count <= IO_SEND_IOV; count++)
            send_gathered(&e, cases[i], count, false);
    static const size_t large[IO_SEND_IOV] = {1 << 20, 1, 3 << 20, 0, 4096, 5 << 20, 7, 2 << 20};
    send_gathered(&e, large, IO_SEND_IOV, true);
    end_close(&e);
    rig_close(r);
}

static void whole_to_a_slow_reader(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    park(&e);
    struct peer_thread t = {.fd = e.peer, .n = BIG, .slow = true};
    peer_start(&t);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    peer_join(&t);
    assert_int_equal(e.send_end.ends, 1);
    assert_int_equal(e.send_end.res, BIG);
    end_close(&e);
    rig_close(r);
}

/* How far a send has come, and how much of it the peer has not acknowledged. */
static void progress_is_seen(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    assert_int_equal(end_call(&e, IO_UNACKED), 0);
    park(&e);
    int32_t sent = io_sent_so_far(&e.send), unacked = end_call(&e, IO_UNACKED);
    assert_true(sent > 0 && sent < BIG);
    assert_true(unacked > 0 && unacked <= sent);
    peer_expect(e.peer, 0, (size_t)sent);
    TURN_UNTIL(r, io_sent_so_far(&e.send) > sent);
    assert_true(io_busy(&e.send.op));
    io_cancel(&r->io, &e.send.op);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    end_close(&e);
    rig_close(r);
}

static bool is_reset(int res)
{
    return res == -EPIPE || res == -ECONNRESET;
}

/* SIGPIPE has its default action here, which would end the program. */
static void to_a_reset_peer(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int gather = 0; gather < 2; gather++) {
        struct end e;
        end_open(r, &e);
        tcp_reset(e.peer);
        e.peer = -1;
        for (unsigned i = 1; i <= 3; i++) {
            end_send(&e, (struct iovec[]){{big, 10}, {big + 10, 10}}, gather ? 2 : 1);
            TURN_UNTIL(r, !io_busy(&e.send.op));
            assert_int_equal(e.send_end.ends, i);
            assert_true(is_reset(e.send_end.res));
        }
        end_close(&e);
    }
    rig_close(r);
}

static void reset_while_parked(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int receiving = 0; receiving < 2; receiving++) {
        struct end e;
        end_open(r, &e);
        if (receiving) end_recv(&e);
        park(&e);
        tcp_reset(e.peer);
        e.peer = -1;
        TURN_UNTIL(r, !io_busy(&e.send.op) && !io_busy(&e.sock.recv));
        assert_true(is_reset(e.send_end.res));
        assert_int_equal(e.send_end.ends, 1);
        assert_int_equal(e.recv_end.ends, receiving);
        end_close(&e);
    }
    rig_close(r);
}

static void cancelled_while_parked(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    park(&e);
    io_cancel(&r->io, &e.send.op);
    io_cancel(&r->io, &e.send.op);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(e.send_end.ends, 1);
    assert_int_equal(e.send_end.res, -ECANCELED);
    /* What left before is a prefix; the socket can be closed, and says so. */
    assert_int_equal(end_call(&e, IO_SHUTDOWN), 0);
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
    end_close(&e);
    rig_close(r);
}

/* Cancelled in the turn it is submitted in: it went, or it did not, and it says which. */
static void cancelled_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    uint64_t sent = 0;
    for (unsigned i = 1; i <= 20; i++) {
        end_send(&e, &(struct iovec){big + sent, 10}, 1);
        io_cancel(&r->io, &e.send.op);
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_end.ends, i);
        assert_true(e.send_end.res == 10 || e.send_end.res == -ECANCELED);
        if (e.send_end.res == 10) sent += 10;
    }
    assert_int_equal(end_call(&e, IO_SHUTDOWN), 0);
    peer_expect(e.peer, 0, sent);
    tcp_expect_end(e.peer);
    end_close(&e);
    rig_close(r);
}

static void shutdown_leaves_the_other_side(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    end_recv(&e);
    end_send(&e, &(struct iovec){big, 5000}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(end_call(&e, IO_SHUTDOWN), 0);
    peer_expect(e.peer, 0, 5000);
    tcp_expect_end(e.peer);
    peer_send(e.peer, 0, 5000);
    TURN_UNTIL(r, e.received == 5000);
    assert_int_equal(e.recv_end.ends, 0);
    end_send(&e, &(struct iovec){big, 1}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    assert_int_equal(e.send_end.res, -EPIPE);
    end_close(&e);
    rig_close(r);
}

static void close_is_seen_by_the_peer(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    end_recv(&e);
    end_send(&e, &(struct iovec){big, 100}, 1);
    TURN_UNTIL(r, !io_busy(&e.send.op));
    int peer = e.peer;
    e.peer = -1;
    end_close(&e);
    peer_expect(peer, 0, 100);
    tcp_expect_end(peer);
    close(peer);
    rig_close(r);
}

int send_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(small),
        cmocka_unit_test(gathered),
        cmocka_unit_test(whole_to_a_slow_reader),
        cmocka_unit_test(progress_is_seen),
        cmocka_unit_test(to_a_reset_peer),
        cmocka_unit_test(reset_while_parked),
        cmocka_unit_test(cancelled_while_parked),
        cmocka_unit_test(cancelled_at_once),
        cmocka_unit_test(shutdown_leaves_the_other_side),
        cmocka_unit_test(close_is_seen_by_the_peer),
    };
    return cmocka_run_group_tests_name("send", tests, fill_big, free_big);
}
