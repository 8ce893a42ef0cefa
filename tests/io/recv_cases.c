#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <unistd.h>

static void one_byte_at_a_time(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    end_recv(&e);
    for (uint64_t i = 0; i < 300; i++) {
        peer_send(e.peer, i, 1);
        TURN_UNTIL(r, e.received == i + 1);
    }
    assert_int_equal(e.reads, 300);
    end_close(&e);
    rig_close(r);
}

static void bursts_around_the_buffer_size(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    uint32_t size = r->io.bufs.size;
    const size_t bursts[] = {1, 2, size - 1, size, size + 1, 3 * size, 8 * size, 9 * size, 100000};
    struct end e;
    uint64_t at = 0;
    end_open(r, &e);
    end_recv(&e);
    for (size_t i = 0; i < ARRAY_LEN(bursts); i++) {
        peer_send(e.peer, at, bursts[i]);
        at += bursts[i];
        TURN_UNTIL(r, e.received == at);
    }
    assert_int_equal(e.recv_end.ends, 0);
    end_close(&e);
    rig_close(r);
}

static void megabytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    end_recv(&e);
    struct peer_thread t = {.fd = e.peer, .n = 5000001, .sends = true};
    peer_start(&t);
    TURN_UNTIL(r, e.received == t.n);
    peer_join(&t);
    close(e.peer);
    e.peer = -1;
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.recv_end.res, 0);
    assert_int_equal(e.recv_end.ends, 1);
    end_close(&e);
    rig_close(r);
}

/* Bytes and the end of the stream are there together when the engine first looks. */
static void end_right_behind_bytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    const size_t sizes[] = {0, 1, 100, r->io.bufs.size, 3 * r->io.bufs.size, 100000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (int armed_first = 0; armed_first < 2; armed_first++) {
            struct end e;
            end_open(r, &e);
            if (armed_first) {
                end_recv(&e);
                rig_poll(r);
            }
            peer_send(e.peer, 0, sizes[i]);
            assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
            if (!armed_first) {
                rig_poll(r);
                end_recv(&e);
            }
            TURN_UNTIL(r, !io_busy(&e.sock.recv));
            assert_int_equal(e.received, sizes[i]);
            assert_int_equal(e.recv_end.res, 0);
            assert_int_equal(e.recv_end.ends, 1);
            end_close(&e);
        }
    rig_close(r);
}

static void end_is_told_again(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct end e;
    end_open(r, &e);
    close(e.peer);
    e.peer = -1;
    for (unsigned i = 1; i <= 3; i++) {
        end_recv(&e);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_end.ends, i);
        assert_int_equal(e.recv_end.res, 0);
    }
    end_close(&e);
    rig_close(r);
}

static void reset_by_the_peer(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int bytes_first = 0; bytes_first < 2; bytes_first++) {
        struct end e;
        end_open(r, &e);
        end_recv(&e);
        rig_poll(r);
        if (bytes_first) {
            peer_send(e.peer, 0, 10);
            TURN_UNTIL(r, e.received == 10);
        }
        tcp_reset(e.peer);
        e.peer = -1;
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_end.res, -ECONNRESET);
        assert_int_equal(e.recv_end.ends, 1);
        end_close(&e);
    }
    rig_close(r);
}

static void sockets_of_the_callers_own(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct end e;
        end_own(r, &e, nonblocking);
        end_recv(&e);
        rig_poll(r);
        assert_int_equal(e.recv_end.ends, 0);
        peer_send(e.peer, 0, 20000);
        TURN_UNTIL(r, e.received == 20000);
        struct iovec whole = {(char[]){(char)pattern(0), (char)pattern(1)}, 2};
        end_send(&e, &whole, 1);
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_end.res, 2);
        peer_expect(e.peer, 0, 2);
        end_close(&e);
    }
    rig_close(r);
}

static void both_ways_at_once(void **state)
{
    (void)state;
    enum { N = 2000000 };
    static char bytes[N];
    struct rig *r = rig_open(NULL);
    struct end e;
    pattern_fill(bytes, 0, N);
    end_open(r, &e);
    end_recv(&e);
    end_send(&e, &(struct iovec){bytes, N}, 1);
    struct peer_thread in = {.fd = e.peer, .n = N, .sends = true}, out = {.fd = e.peer, .n = N};
    peer_start(&in);
    peer_start(&out);
    TURN_UNTIL(r, e.received == N && !io_busy(&e.send.op));
    peer_join(&in);
    peer_join(&out);
    assert_int_equal(e.send_end.res, N);
    assert_int_equal(e.send_end.ends, 1);
    end_close(&e);
    rig_close(r);
}

int recv_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_at_a_time),
        cmocka_unit_test(bursts_around_the_buffer_size),
        cmocka_unit_test(megabytes),
        cmocka_unit_test(end_right_behind_bytes),
        cmocka_unit_test(end_is_told_again),
        cmocka_unit_test(reset_by_the_peer),
        cmocka_unit_test(sockets_of_the_callers_own),
        cmocka_unit_test(both_ways_at_once),
    };
    return cmocka_run_group_tests_name("recv", tests, NULL, NULL);
}
