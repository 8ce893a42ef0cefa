/* Resources that sockets share: the turn, the buffers, the ring's queues. */

#include "cases.h"
#include "engine_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { MANY = 50 };

static struct rig *open_with_buffers(uint32_t buffers)
{
    struct io_config config = rig_config;
    config.buffers = buffers;
    return rig_open(&config);
}

static void open_many(struct rig *r, struct endpoint *e)
{
    for (int i = 0; i < MANY; i++) endpoint_open(r, &e[i]);
}

static void close_many(struct endpoint *e)
{
    for (int i = 0; i < MANY; i++) endpoint_close(&e[i]);
}

static bool all_received(const struct endpoint *e, uint64_t n)
{
    for (int i = 0; i < MANY; i++)
        if (e[i].received != n) return false;
    return true;
}

static void many_sockets_share_one_buffer(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct rig *r = open_with_buffers(1);
    struct endpoint e[MANY];
    open_many(r, e);
    for (int i = 0; i < MANY; i++) endpoint_recv(&e[i]);
    for (int i = 0; i < MANY; i++) peer_send(e[i].peer, 0, N);
    TURN_UNTIL(r, all_received(e, N));
    /* And again, after all have been without a buffer. */
    for (int i = MANY - 1; i >= 0; i--) peer_send(e[i].peer, N, 10);
    TURN_UNTIL(r, all_received(e, N + 10));
    for (int i = 0; i < MANY; i++) assert_int_equal(e[i].recv_result.count, 0);
    close_many(e);
    rig_close(r);
}

/* One socket holds the buffer when the others start. Those with nothing to read must not keep it
 * from those with bytes. */
static void idle_sockets_hold_no_buffer(void **state)
{
    (void)state;
    struct rig *r = open_with_buffers(1);
    struct endpoint e[MANY];
    open_many(r, e);
    peer_send(e[0].peer, 0, 100000);
    peer_send(e[MANY - 1].peer, 0, 100);
    for (int i = 0; i < MANY; i++) endpoint_recv(&e[i]);
    TURN_UNTIL(r, e[0].received == 100000 && e[MANY - 1].received == 100);
    peer_send(e[MANY / 2].peer, 0, 1);
    TURN_UNTIL(r, e[MANY / 2].received == 1);
    close_many(e);
    rig_close(r);
}

static void cancelled_without_a_buffer(void **state)
{
    (void)state;
    struct rig *r = open_with_buffers(1);
    struct endpoint e[MANY];
    open_many(r, e);
    for (int i = 0; i < MANY; i++) peer_send(e[i].peer, 0, 30000);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < MANY; i++) endpoint_recv(&e[i]);
        for (int i = 0; i < round; i++) rig_poll(r);
        for (int i = 0; i < MANY; i++) io_cancel(&r->io, &e[i].sock.recv);
        for (int i = 0; i < MANY; i++) TURN_UNTIL(r, !io_busy(&e[i].sock.recv));
        for (int i = 0; i < MANY; i++) assert_int_equal(e[i].recv_result.count, round + 1);
    }
    for (int i = 0; i < MANY; i++) endpoint_recv(&e[i]);
    TURN_UNTIL(r, all_received(e, 30000));
    close_many(e);
    rig_close(r);
}

/* However much has arrived at one socket, a byte at another is delivered within a few turns, and no
 * turn delivers more of the first than the buffers hold. */
static void check_share(uint32_t buffers)
{
    enum { QUEUE = 40000, ROUNDS = 20, WITHIN = 6 };
    struct io_config config = rig_config;
    config.buffers = buffers;
    config.buffer_size = 128;
    struct rig *r = rig_open(&config);
    struct endpoint hose, drop;
    uint64_t sent = 0, share = (buffers > 8 ? buffers : 8) * config.buffer_size;
    endpoint_open(r, &hose);
    endpoint_open(r, &drop);
    endpoint_recv(&hose);
    endpoint_recv(&drop);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        size_t n = QUEUE - (size_t)(sent - hose.received);
        peer_send(hose.peer, sent, n);
        sent += n;
        peer_send(drop.peer, round, 1);
        peer_settle(drop.peer);
        for (int turn = 0; drop.received == round; turn++) {
            uint64_t before = hose.received;
            assert_true(turn < WITHIN);
            rig_poll(r);
            assert_true(hose.received - before <= share);
        }
        assert_true(hose.received < sent);
    }
    TURN_UNTIL(r, hose.received == sent);
    endpoint_close(&hose);
    endpoint_close(&drop);
    rig_close(r);
}

static void a_busy_socket_leaves_others_their_share(void **state)
{
    (void)state;
    for (uint32_t buffers = 1; buffers <= 32; buffers *= 2) check_share(buffers);
}

/* Likewise of a crowd, of which each has sent as much as the buffers hold, and more of whom come.
 */
static void check_crowd(uint32_t buffers)
{
    enum { QUEUE = 4000, ROUNDS = 60, WITHIN = 6 };
    struct io_config config = rig_config;
    config.buffers = buffers;
    config.buffer_size = 128;
    struct rig *r = rig_open(&config);
    int within = r->io.config.cq_depth && r->io.config.cq_depth < MANY ? MANY : WITHIN;
    struct endpoint crowd[MANY], drop;
    open_many(r, crowd);
    endpoint_open(r, &drop);
    endpoint_recv(&drop);
    for (int i = 0; i < MANY; i++) peer_send(crowd[i].peer, 0, QUEUE);
    for (int i = 0; i < MANY; i++) peer_settle(crowd[i].peer);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        if (round < MANY) endpoint_recv(&crowd[round]);
        for (int turn = 0; round > 4 && turn < 2; turn++) rig_poll(r);
        peer_send(drop.peer, round, 1);
        peer_settle(drop.peer);
        for (int turn = 0; drop.received == round; turn++) {
            assert_true(turn < within);
            rig_poll(r);
        }
    }
    TURN_UNTIL(r, all_received(crowd, QUEUE));
    close_many(crowd);
    endpoint_close(&drop);
    rig_close(r);
}

static void a_crowd_leaves_others_their_share(void **state)
{
    (void)state;
    for (uint32_t buffers = 1; buffers <= 64; buffers *= 4) check_crowd(buffers);
}

struct read_op {
    struct io_call call;
    struct outcome result;
    char byte;
};

static void on_read(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    assert_false(more);
    struct read_op *o = container_of(op, struct read_op, call.op);
    o->result.res = res;
    o->result.count++;
}

struct burst {
    struct io_task task;
    struct io *io;
    struct read_op *ops;
    unsigned n;
};

static void submit_burst(struct io_task *t)
{
    struct burst *b = container_of(t, struct burst, task);
    for (unsigned i = 0; i < b->n; i++) {
        io_call_start(b->io, &b->ops[i].call, IO_READ);
        assert_int_equal(b->ops[i].result.count, 0);
    }
}

static unsigned ended(const struct burst *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->n; i++) n += b->ops[i].result.count;
    return n;
}

static void more_operations_than_the_queue_holds(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct burst b = {.task.fn = submit_burst, .io = &r->io, .n = 5 * rig_config.depth + 100};
    char name[] = "/tmp/torc-test-io-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(name);
    b.ops = calloc(b.n, sizeof *b.ops);
    for (unsigned i = 0; i < b.n; i++) {
        char byte = (char)pattern(i);
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        b.ops[i].call = (struct io_call){.op.fn = on_read, .read = {fd, 1, &b.ops[i].byte, i}};
    }
    io_defer(&r->io, &b.task);
    TURN_UNTIL(r, ended(&b) >= b.n);
    for (int i = 0; i < 5; i++) rig_poll(r);
    for (unsigned i = 0; i < b.n; i++) {
        assert_int_equal(b.ops[i].result.count, 1);
        assert_int_equal(b.ops[i].result.res, 1);
        assert_int_equal((uint8_t)b.ops[i].byte, pattern(i));
    }
    if (rig_is("io_uring")) {
        assert_true(r->io.stats.sq_full > 0);
        assert_int_equal(r->io.stats.overflows > 0, r->io.config.cq_depth < b.n);
    }
    free(b.ops);
    close(fd);
    rig_close(r);
}

struct flood {
    struct io_task task;
    struct endpoint *e;
    bool cancel;
};

static void start_all(struct io_task *t)
{
    struct flood *f = container_of(t, struct flood, task);
    for (int i = 0; i < MANY; i++) {
        endpoint_recv(&f->e[i]);
        if (f->cancel) io_cancel(&f->e[i].rig->io, &f->e[i].sock.recv);
    }
}

/* Streams started in one callback, cancelled there and started again: every final completion
 * arrives once, whichever queue was full. */
static void many_streams_restart_in_callbacks(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e[MANY];
    struct flood f = {.task.fn = start_all, .e = e, .cancel = true};
    open_many(r, e);
    io_defer(&r->io, &f.task);
    rig_poll(r);
    for (int i = 0; i < MANY; i++) TURN_UNTIL(r, !io_busy(&e[i].sock.recv));
    for (int i = 0; i < MANY; i++) assert_int_equal(e[i].recv_result.count, 1);
    f.cancel = false;
    for (int i = 0; i < MANY; i++) peer_send(e[i].peer, 0, 9000);
    io_defer(&r->io, &f.task);
    TURN_UNTIL(r, all_received(e, 9000));
    for (int i = 0; i < MANY; i++) {
        close(e[i].peer);
        e[i].peer = -1;
    }
    for (int i = 0; i < MANY; i++) TURN_UNTIL(r, !io_busy(&e[i].sock.recv));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(e[i].recv_result.count, 2);
        assert_int_equal(e[i].recv_result.res, 0);
    }
    close_many(e);
    rig_close(r);
}

int share_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_sockets_share_one_buffer),
        cmocka_unit_test(idle_sockets_hold_no_buffer),
        cmocka_unit_test(cancelled_without_a_buffer),
        cmocka_unit_test(a_busy_socket_leaves_others_their_share),
        cmocka_unit_test(a_crowd_leaves_others_their_share),
        cmocka_unit_test(more_operations_than_the_queue_holds),
        cmocka_unit_test(many_streams_restart_in_callbacks),
    };
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
