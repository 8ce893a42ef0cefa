#include "cases.h"
#include "engine_rig.h"

#include <errno.h>
#include <unistd.h>

static void one_byte_at_a_time(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    for (uint64_t i = 0; i < 300; i++) {
        peer_send(e.peer, i, 1);
        TURN_UNTIL(r, e.received == i + 1);
    }
    assert_int_equal(e.reads, 300);
    endpoint_close(&e);
    rig_close(r);
}

static void bursts_around_the_buffer_size(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    uint32_t size = r->io.bufs.size;
    const size_t bursts[] = {1, 2, size - 1, size, size + 1, 3 * size, 8 * size, 9 * size, 100000};
    struct endpoint e;
    uint64_t at = 0;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    for (size_t i = 0; i < ARRAY_LEN(bursts); i++) {
        peer_send(e.peer, at, bursts[i]);
        at += bursts[i];
        TURN_UNTIL(r, e.received == at);
    }
    assert_int_equal(e.recv_result.count, 0);
    endpoint_close(&e);
    rig_close(r);
}

static void many_megabytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    struct peer_thread t = {.fd = e.peer, .n = 5000001, .sends = true};
    peer_start(&t);
    TURN_UNTIL(r, e.received == t.n);
    peer_join(&t);
    close(e.peer);
    e.peer = -1;
    TURN_UNTIL(r, !io_busy(&e.sock.recv));
    assert_int_equal(e.recv_result.res, 0);
    assert_int_equal(e.recv_result.count, 1);
    endpoint_close(&e);
    rig_close(r);
}

/* Bytes and the end of the stream have both arrived when the engine first looks. */
static void end_of_stream_right_after_bytes(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    const size_t sizes[] = {0, 1, 100, r->io.bufs.size, 3 * r->io.bufs.size, 100000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (int armed_first = 0; armed_first < 2; armed_first++) {
            struct endpoint e;
            endpoint_open(r, &e);
            if (armed_first) {
                endpoint_recv(&e);
                rig_poll(r);
            }
            peer_send(e.peer, 0, sizes[i]);
            assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
            if (!armed_first) {
                rig_poll(r);
                endpoint_recv(&e);
            }
            TURN_UNTIL(r, !io_busy(&e.sock.recv));
            assert_int_equal(e.received, sizes[i]);
            assert_int_equal(e.recv_result.res, 0);
            assert_int_equal(e.recv_result.count, 1);
            endpoint_close(&e);
        }
    rig_close(r);
}

static void end_of_stream_is_reported_again(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    close(e.peer);
    e.peer = -1;
    for (unsigned i = 1; i <= 3; i++) {
        endpoint_recv(&e);
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.count, i);
        assert_int_equal(e.recv_result.res, 0);
    }
    endpoint_close(&e);
    rig_close(r);
}

static void reset_by_the_peer(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int bytes_first = 0; bytes_first < 2; bytes_first++) {
        struct endpoint e;
        endpoint_open(r, &e);
        endpoint_recv(&e);
        rig_poll(r);
        if (bytes_first) {
            peer_send(e.peer, 0, 10);
            TURN_UNTIL(r, e.received == 10);
        }
        tcp_reset(e.peer);
        e.peer = -1;
        TURN_UNTIL(r, !io_busy(&e.sock.recv));
        assert_int_equal(e.recv_result.res, -ECONNRESET);
        assert_int_equal(e.recv_result.count, 1);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void sockets_made_by_the_caller(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct endpoint e;
        endpoint_open_external(r, &e, nonblocking);
        endpoint_recv(&e);
        rig_poll(r);
        assert_int_equal(e.recv_result.count, 0);
        peer_send(e.peer, 0, 20000);
        TURN_UNTIL(r, e.received == 20000);
        struct iovec whole = {(char[]){(char)pattern(0), (char)pattern(1)}, 2};
        endpoint_send(&e, &whole, 1);
        TURN_UNTIL(r, !io_busy(&e.send.op));
        assert_int_equal(e.send_result.res, 2);
        peer_expect(e.peer, 0, 2);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void both_directions_at_once(void **state)
{
    (void)state;
    enum { N = 2000000 };
    static char bytes[N];
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    pattern_fill(bytes, 0, N);
    endpoint_open(r, &e);
    endpoint_recv(&e);
    endpoint_send(&e, &(struct iovec){bytes, N}, 1);
    struct peer_thread in = {.fd = e.peer, .n = N, .sends = true}, out = {.fd = e.peer, .n = N};
    peer_start(&in);
    peer_start(&out);
    TURN_UNTIL(r, e.received == N && !io_busy(&e.send.op));
    peer_join(&in);
    peer_join(&out);
    assert_int_equal(e.send_result.res, N);
    assert_int_equal(e.send_result.count, 1);
    endpoint_close(&e);
    rig_close(r);
}

static void send_urgent(int fd)
{
    assert_int_equal(send(fd, "!", 1, MSG_OOB), 1);
}

/* A byte of urgent data, which is no part of the stream, ends a receive before the bytes behind it
 * (tcp(7)); they come all the same, though nothing else does. */
static void bytes_behind_urgent_data(void **state)
{
    (void)state;
    enum { PART = 40, FIRST = 3 };
    struct rig *r = rig_open(NULL);
    for (int into = 0; into < 2; into++)
        for (size_t before = 0; before <= PART; before += PART) {
            struct endpoint e;
            endpoint_open(r, &e);
            peer_send(e.peer, 0, FIRST);
            peer_send(e.peer, FIRST, before);
            send_urgent(e.peer);
            peer_send(e.peer, FIRST + before, PART);
            peer_settle(e.peer);
            if (!into) endpoint_recv(&e);
            rig_guard(r);
            while (e.received < FIRST + before + PART) {
                if (into && !io_busy(&e.sock.recv)) endpoint_recv_into(&e, 1000);
                rig_turn(r, "the bytes behind", __FILE__, __LINE__);
            }
            rig_unguard(r);
            endpoint_close(&e);
        }
    rig_close(r);
}

int recv_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_at_a_time),
        cmocka_unit_test(bursts_around_the_buffer_size),
        cmocka_unit_test(many_megabytes),
        cmocka_unit_test(end_of_stream_right_after_bytes),
        cmocka_unit_test(end_of_stream_is_reported_again),
        cmocka_unit_test(reset_by_the_peer),
        cmocka_unit_test(sockets_made_by_the_caller),
        cmocka_unit_test(both_directions_at_once),
        cmocka_unit_test(bytes_behind_urgent_data),
    };
    return cmocka_run_group_tests_name("recv", tests, NULL, NULL);
}
