/* The io_uring engine while the kernel takes nothing from a full submission queue, simulated by
 * failing submissions. What does not fit waits in a backlog, in order. */

#include "engine_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct io_uring;
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

static int refusals; /* submissions still to fail; -1: all */

int __wrap_io_uring_submit(struct io_uring *ring)
{
    if (refusals == 0) return __real_io_uring_submit(ring);
    if (refusals > 0) refusals--;
    return -EBUSY;
}

enum { OPS = 300 };

struct poll_op {
    struct io_call call;
    struct outcome result;
    unsigned order;
};

static struct poll_op ops[OPS];
static unsigned n_ended;
static int pipe_fds[2];

static void on_poll(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    assert_false(more);
    struct poll_op *o = container_of(op, struct poll_op, call.op);
    o->result.res = res;
    o->result.count++;
    o->order = n_ended++;
}

/* Submits `n` polls of a descriptor that is ready. */
static void submit_polls(struct rig *r, unsigned n)
{
    n_ended = 0;
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < n; i++) {
        ops[i].call =
            (struct io_call){.op.fn = on_poll, .poll = {.fd = pipe_fds[1], .events = POLLOUT}};
        io_call_start(&r->io, &ops[i].call, IO_POLL);
    }
}

static int setup(void **state)
{
    *state = rig_open(NULL);
    refusals = 0;
    return pipe(pipe_fds);
}

static int teardown(void **state)
{
    refusals = 0;
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    rig_close(*state);
    return 0;
}

static void all_complete_in_order(void **state)
{
    struct rig *r = *state;
    refusals = -1;
    submit_polls(r, OPS);
    TURN_UNTIL(r, n_ended >= OPS);
    for (unsigned i = 0; i < OPS; i++) {
        assert_int_equal(ops[i].result.count, 1);
        assert_int_equal(ops[i].result.res, POLLOUT);
        assert_int_equal(ops[i].order, i);
    }
}

static void cancelled_in_the_backlog(void **state)
{
    struct rig *r = *state;
    refusals = -1;
    submit_polls(r, OPS);
    for (unsigned i = OPS - 1; i > OPS / 2; i -= 2) {
        io_cancel(&r->io, &ops[i].call.op);
        io_cancel(&r->io, &ops[i].call.op);
        assert_int_equal(ops[i].result.count, 0);
    }
    TURN_UNTIL(r, n_ended >= OPS);
    for (unsigned i = 0; i < OPS; i++) {
        assert_int_equal(ops[i].result.count, 1);
        bool cancelled = i > OPS / 2 && i % 2 == (OPS - 1) % 2;
        assert_int_equal(ops[i].result.res, cancelled ? -ECANCELED : POLLOUT);
    }
}

static void sockets_in_the_backlog(void **state)
{
    struct rig *r = *state;
    struct endpoint e;
    char bytes[1000];
    pattern_fill(bytes, 0, sizeof bytes);
    endpoint_open(r, &e);
    for (unsigned round = 1; round <= 2; round++) {
        refusals = -1;
        submit_polls(r, OPS);
        endpoint_recv(&e);
        endpoint_send(&e, &(struct iovec){bytes, 300}, 1);
        io_cancel(&r->io, &e.sock.recv);
        io_cancel(&r->io, &e.send.op);
        TURN_UNTIL(r, n_ended >= OPS && !io_busy(&e.sock.recv) && !io_busy(&e.send.op));
        assert_int_equal(e.recv_result.count, round);
        assert_int_equal(e.recv_result.res, -ECANCELED);
        assert_int_equal(e.send_result.count, round);
        assert_int_equal(e.send_result.res, -ECANCELED);
    }
    submit_polls(r, OPS);
    endpoint_recv(&e);
    endpoint_send(&e, &(struct iovec){bytes, 1000}, 1);
    peer_send(e.peer, 0, 5000);
    TURN_UNTIL(r, n_ended >= OPS && e.received == 5000 && !io_busy(&e.send.op));
    peer_expect(e.peer, 0, 1000);
    assert_int_equal(e.send_result.res, 1000);
    refusals = 0;
    endpoint_close(&e);
}

static void receives_into_memory_in_the_backlog(void **state)
{
    struct rig *r = *state;
    struct endpoint e;
    endpoint_open(r, &e);
    refusals = -1;
    submit_polls(r, OPS);
    endpoint_recv_into(&e, 10000);
    io_cancel(&r->io, &e.sock.recv);
    TURN_UNTIL(r, n_ended >= OPS && !io_busy(&e.sock.recv));
    assert_int_equal(e.recv_result.res, -ECANCELED);
    submit_polls(r, OPS);
    endpoint_recv_into(&e, 10000);
    peer_send(e.peer, 0, 5000);
    TURN_UNTIL(r, n_ended >= OPS && !io_busy(&e.sock.recv));
    assert_true(e.recv_result.res > 0);
    refusals = 0;
    endpoint_recv(&e);
    TURN_UNTIL(r, e.received == 5000);
    endpoint_close(&e);
}

/* Part of a send has left when the rest meets a full queue; there it is cancelled. */
static void cancelled_after_a_partial_send(void **state)
{
    struct rig *r = *state;
    struct endpoint e;
    enum { BIG = 16 << 20 };
    char *big = calloc(1, BIG);
    endpoint_open(r, &e);
    endpoint_send(&e, (struct iovec[]){{big, BIG / 2}, {big, BIG / 2}}, 2);
    for (int i = 0; i < 20; i++) rig_poll(r);
    assert_true(io_busy(&e.send.op));
    refusals = 5; /* the cancel itself has to wait for room */
    submit_polls(r, rig_config.depth);
    io_cancel(&r->io, &e.send.op);
    assert_int_equal(refusals, 0);
    TURN_UNTIL(r, !io_busy(&e.send.op) && n_ended == rig_config.depth);
    assert_int_equal(e.send_result.res, -ECANCELED);
    endpoint_close(&e);
    free(big);
}

static struct endpoint endpoints[2];
static struct io_task cancel_task;

static void cancel_other(struct io_task *t)
{
    (void)t;
    refusals = 3; /* a cancel is retried until it fits */
    for (int i = 0; i < 2; i++) io_cancel(&endpoints[i].rig->io, &endpoints[i].sock.recv);
}

static void fill_queue(struct endpoint *e, int n)
{
    (void)n;
    if (n_ended == 0 && !io_busy(&ops[0].call.op)) submit_polls(e->rig, OPS);
    io_defer(&e->rig->io, &cancel_task);
}

/* The callback of one socket fills the queue just before the next step of the other, which without
 * provided buffers is a recv into a buffer it holds; then both are cancelled. */
static void buffer_of_a_recv_in_the_backlog(void **state)
{
    struct rig *r = *state;
    cancel_task.fn = cancel_other;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 2; i++) {
            endpoint_open(r, &endpoints[i]);
            endpoint_recv(&endpoints[i]);
            endpoints[i].on_data = fill_queue;
        }
        n_ended = 0;
        memset(ops, 0, sizeof ops);
        rig_poll(r);
        refusals = -1;
        peer_send(endpoints[0].peer, 0, 100);
        if (round % 2) rig_poll(r); /* one step before the other */
        peer_send(endpoints[1].peer, 0, 100);
        TURN_UNTIL(r, n_ended >= OPS && !io_busy(&endpoints[0].sock.recv) &&
                          !io_busy(&endpoints[1].sock.recv));
        refusals = 0;
        for (int i = 0; i < 2; i++) {
            assert_int_equal(endpoints[i].recv_result.count, 1);
            assert_int_equal(endpoints[i].recv_result.res, -ECANCELED);
            endpoint_close(&endpoints[i]);
        }
        assert_int_equal(r->io.bufs.in_use, 0);
    }
}

/* The number is soon that of something else, and the kernel has not looked yet. */
static void polls_of_descriptors_that_are_closed(void **state)
{
    struct rig *r = *state;
    enum { OTHERS = OPS - 2 };
    submit_polls(r, OTHERS);
    TURN_UNTIL(r, n_ended == OTHERS);
    for (int blocked = 0; blocked < 2; blocked++) {
        refusals = -1;
        if (blocked) submit_polls(r, OTHERS);
        n_ended = 0;
        for (int i = 0; i < 2; i++) {
            int fd = dup(pipe_fds[0]);
            struct poll_op *o = &ops[OTHERS + i];
            o->result = (struct outcome){0};
            o->call = (struct io_call){.op.fn = on_poll,
                                       .poll = {.fd = fd, .events = POLLIN, .at_once = true}};
            io_call_start(&r->io, &o->call, IO_POLL);
            assert_int_equal(dup2(pipe_fds[1], fd), fd); /* from which nobody reads */
            rig_poll(r);
            close(fd);
        }
        refusals = 0;
        TURN_UNTIL(r, n_ended == (blocked ? OTHERS : 0));
        io_cancel(&r->io, &ops[OTHERS].call.op);
        TURN_UNTIL(r, !io_busy(&ops[OTHERS].call.op));
        assert_int_equal(ops[OTHERS].result.res, -ECANCELED);
        assert_true(io_busy(&ops[OTHERS + 1].call.op));
        assert_int_equal(write(pipe_fds[1], "", 1), 1);
        TURN_UNTIL(r, !io_busy(&ops[OTHERS + 1].call.op));
        assert_int_equal(ops[OTHERS + 1].result.res, POLLIN);
        assert_int_equal(read(pipe_fds[0], &(char){0}, 1), 1);
    }
}

/* Nor does a poll that is cancelled before leave one open. */
static void cancelled_polls_of_descriptors_that_are_closed(void **state)
{
    struct rig *r = *state;
    refusals = -1;
    submit_polls(r, OPS - 1);
    struct poll_op *o = &ops[OPS - 1];
    o->call = (struct io_call){.op.fn = on_poll,
                               .poll = {.fd = dup(pipe_fds[0]), .events = POLLIN, .at_once = true}};
    io_call_start(&r->io, &o->call, IO_POLL);
    close(o->call.poll.fd);
    io_cancel(&r->io, &o->call.op);
    TURN_UNTIL(r, n_ended == OPS);
    assert_int_equal(o->result.res, -ECANCELED);
}

static void on_discard(struct rig *r)
{
    while (r->taken < r->n_accepted) io_discard(&r->io, r->accepted[r->taken++]);
}

/* What belongs to no operation waits as long as it takes: a cancel, a socket that is dropped, and
 * the read that a wake completes. */
static void refused_for_long(void **state)
{
    struct rig *r = *state;
    enum { WAITING = 200 };
    n_ended = 0;
    for (int i = 0; i < WAITING; i++) {
        ops[i].call =
            (struct io_call){.op.fn = on_poll, .poll = {.fd = pipe_fds[0], .events = POLLIN}};
        ops[i].result = (struct outcome){0};
        io_call_start(&r->io, &ops[i].call, IO_POLL);
    }
    rig_poll(r);
    int peer = tcp_connect(&r->addr.sa, r->addr.len);
    r->on_accept = on_discard;
    io_accept_start(&r->io, &r->accept);
    refusals = -1;
    for (int i = 0; i < WAITING; i++) io_cancel(&r->io, &ops[i].call.op);
    io_wake(&r->io);
    for (int i = 0; i < 3; i++) rig_poll(r);
    TURN_UNTIL(r, n_ended == WAITING && r->n_accepted == 1 && r->wakes > 0);
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(ops[i].result.count, 1);
        assert_int_equal(ops[i].result.res, -ECANCELED);
    }
    refusals = 0;
    unsigned wakes = r->wakes;
    io_wake(&r->io);
    TURN_UNTIL(r, r->wakes > wakes);
    assert_int_equal(recv(peer, &(char){0}, 1, 0), 0); /* the server has closed it */
    close(peer);
}

int main(int argc, char **argv)
{
    rig_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_complete_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_in_the_backlog, setup, teardown),
        cmocka_unit_test_setup_teardown(sockets_in_the_backlog, setup, teardown),
        cmocka_unit_test_setup_teardown(receives_into_memory_in_the_backlog, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_after_a_partial_send, setup, teardown),
        cmocka_unit_test_setup_teardown(polls_of_descriptors_that_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_polls_of_descriptors_that_are_closed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refused_for_long, setup, teardown),
        cmocka_unit_test_setup_teardown(buffer_of_a_recv_in_the_backlog, setup, teardown),
    };
    return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
