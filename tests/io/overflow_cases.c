/* More completions at once than the completion queue holds. What a poll has told once costs nothing
 * from then on, and those who receive go on. */

#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CROWD = 100, QUEUE = 16, LARGE = 256 << 10 };

static struct endpoint crowd[CROWD];
static char *large;

static int fill_large(void **state)
{
    (void)state;
    large = malloc(LARGE);
    if (!large) return -1;
    pattern_fill(large, 0, LARGE);
    return 0;
}

static int free_large(void **state)
{
    (void)state;
    free(large);
    return 0;
}

static struct rig *open_small(void)
{
    struct io_config config = rig_config;
    config.depth = config.cq_depth = QUEUE;
    return rig_open(&config);
}

/* Connections with little room on both sides. */
static void open_crowd(struct rig *r)
{
    const struct tcp_how how = {.receive_buffer = 4096};
    int least = 1;
    assert_int_equal(setsockopt(r->listener, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    for (int i = 0; i < CROWD; i++)
        endpoint_accept(r, &crowd[i], tcp_try_connect(&r->addr.sa, r->addr.len, &how));
}

static void close_crowd(struct rig *r)
{
    for (int i = 0; i < CROWD; i++) endpoint_close(&crowd[i]);
    rig_close(r);
}

static void settle(struct rig *r)
{
    for (int i = 0; i < 20 * CROWD / QUEUE; i++) rig_poll(r);
}

static void end_all_streams(struct rig *r)
{
    for (int i = 0; i < CROWD; i++) tcp_shut(crowd[i].peer);
    settle(r);
}

static void expect_quiet(struct rig *r)
{
    uint64_t cqes = r->io.stats.cqes, sqes = r->io.stats.sqes;
    for (int i = 0; i < 50; i++) rig_poll(r);
    assert_in_range(r->io.stats.cqes - cqes, 0, 10);
    assert_int_equal(r->io.stats.sqes, sqes);
}

/* Another connection is served all the time. */
static void expect_echo(struct rig *r)
{
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    for (unsigned i = 0; i < 5; i++) {
        peer_send(e.peer, i * 100, 100);
        TURN_UNTIL(r, e.received == (i + 1) * 100);
        endpoint_send(&e, &(struct iovec){large + i, 1}, 1);
        TURN_UNTIL(r, !io_busy(&e.send.op));
        peer_expect(e.peer, i, 1);
    }
    endpoint_close(&e);
}

static void watches_of_streams_that_have_ended(void **state)
{
    (void)state;
    struct rig *r = open_small();
    open_crowd(r);
    for (int i = 0; i < CROWD; i++) io_watch_start(&r->io, &crowd[i].sock, false);
    settle(r);
    end_all_streams(r);
    expect_echo(r);
    expect_quiet(r);
    for (int i = 0; i < CROWD; i++) assert_true(io_busy(&crowd[i].sock.recv));
    for (int i = 0; i < CROWD; i += 2) {
        tcp_reset(crowd[i].peer);
        crowd[i].peer = -1;
    }
    for (int i = 0; i < CROWD; i += 2) TURN_UNTIL(r, !io_busy(&crowd[i].sock.recv));
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(crowd[i].recv_result.res, i % 2 ? 0 : -ECONNRESET);
    close_crowd(r);
}

static void watches_that_are_cancelled_meanwhile(void **state)
{
    (void)state;
    struct rig *r = open_small();
    open_crowd(r);
    for (unsigned turns = 0; turns < 12; turns++) {
        for (int i = 0; i < CROWD; i++) io_watch_start(&r->io, &crowd[i].sock, false);
        for (int i = 0; i < CROWD; i++) tcp_shut(crowd[i].peer);
        for (unsigned i = 0; i < turns; i++) rig_poll(r);
        for (int i = 0; i < CROWD; i++) io_cancel(&r->io, &crowd[i].sock.recv);
        for (int i = 0; i < CROWD; i++) TURN_UNTIL(r, !io_busy(&crowd[i].sock.recv));
        for (int i = 0; i < CROWD; i++) {
            assert_int_equal(crowd[i].recv_result.count, turns + 1);
            assert_int_equal(crowd[i].recv_result.res, -ECANCELED);
        }
    }
    close_crowd(r);
}

static void sends_to_streams_that_have_ended(void **state)
{
    (void)state;
    struct rig *r = open_small();
    open_crowd(r);
    for (int i = 0; i < CROWD; i++) endpoint_send(&crowd[i], &(struct iovec){large, LARGE}, 1);
    settle(r);
    end_all_streams(r);
    expect_echo(r);
    expect_quiet(r);
    for (int i = 0; i < CROWD; i++) assert_true(io_busy(&crowd[i].send.op));
    struct peer_thread t = {.fd = crowd[1].peer, .n = LARGE};
    peer_start(&t);
    TURN_UNTIL(r, !io_busy(&crowd[1].send.op));
    peer_join(&t);
    assert_int_equal(crowd[1].send_result.res, LARGE);
    close_crowd(r);
}

/* ---- of descriptors ---- */

struct polled {
    struct io_call call;
    struct outcome result;
    bool again; /* once more whenever it ends */
};

static struct polled polled[CROWD];

static void on_poll(struct io *io, struct io_op *op, int res, bool more)
{
    struct polled *p = container_of(op, struct polled, call.op);
    assert_false(more);
    p->result.res = res;
    p->result.count++;
    if (p->again) io_call_start(io, &p->call, IO_POLL);
}

static void poll_all(struct rig *r, int fd, short events, bool again)
{
    for (int i = 0; i < CROWD; i++) {
        polled[i] = (struct polled){.again = again};
        polled[i].call = (struct io_call){.op.fn = on_poll, .poll = {.fd = fd, .events = events}};
        io_call_start(&r->io, &polled[i].call, IO_POLL);
    }
}

static void polls_of_a_stream_that_has_ended(void **state)
{
    (void)state;
    int s[2];
    struct rig *r = open_small();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    poll_all(r, s[0], POLLPRI, false);
    settle(r);
    tcp_shut(s[1]);
    settle(r);
    expect_echo(r);
    expect_quiet(r);
    for (int i = 0; i < CROWD; i++) assert_int_equal(polled[i].result.count, 0);
    for (int i = 0; i < CROWD; i += 2) io_cancel(&r->io, &polled[i].call.op);
    for (int i = 0; i < CROWD; i += 2) TURN_UNTIL(r, !io_busy(&polled[i].call.op));
    close(s[1]);
    for (int i = 0; i < CROWD; i++) TURN_UNTIL(r, !io_busy(&polled[i].call.op));
    for (int i = 0; i < CROWD; i++)
        if (i % 2)
            assert_true(polled[i].result.res & POLLHUP);
        else
            assert_int_equal(polled[i].result.res, -ECANCELED);
    close(s[0]);
    rig_close(r);
}

/* The queue overflows in each turn, with what is no poll's fault. */
static void others_go_on_under_load(void **state)
{
    (void)state;
    int pipe_fds[2];
    struct rig *r = open_small();
    open_crowd(r);
    assert_int_equal(pipe(pipe_fds), 0);
    for (int i = 0; i < CROWD; i++) endpoint_recv(&crowd[i]);
    poll_all(r, pipe_fds[1], POLLOUT, true);
    for (uint64_t round = 0; round < 5; round++) {
        for (int i = 0; i < CROWD; i++) peer_send(crowd[i].peer, round * 100, 100);
        for (int i = 0; i < CROWD; i++) TURN_UNTIL(r, crowd[i].received == (round + 1) * 100);
    }
    expect_echo(r);
    for (int i = 0; i < CROWD; i++) polled[i].again = false;
    for (int i = 0; i < CROWD; i++) TURN_UNTIL(r, !io_busy(&polled[i].call.op));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close_crowd(r);
}

int overflow_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches_of_streams_that_have_ended),
        cmocka_unit_test(watches_that_are_cancelled_meanwhile),
        cmocka_unit_test(sends_to_streams_that_have_ended),
        cmocka_unit_test(polls_of_a_stream_that_has_ended),
        cmocka_unit_test(others_go_on_under_load),
    };
    return cmocka_run_group_tests_name("overflow", tests, fill_large, free_large);
}
