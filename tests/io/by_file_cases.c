/* Sends of a part of a file by reference, where sockets are ordinary descriptors. The rig's peer
 * checks every byte. */

#include "cases.h"
#include "engine_rig.h"

#include "base/libc.h"

#include <errno.h>
#include <linux/tcp.h> /* netinet/tcp.h knows fewer of its counters */
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAPPED = 16 << 20 }; /* more than the socket buffers of both sides */

static int file;
static char *mapping; /* of all of it */

static int map_file(void **state)
{
    (void)state;
    file = memfd_create("bytes", 0);
    if (file < 0 || ftruncate(file, MAPPED) < 0) return -1;
    mapping = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapping == MAP_FAILED) return -1;
    pattern_fill(mapping, 0, MAPPED);
    return 0;
}

static int unmap_file(void **state)
{
    (void)state;
    munmap(mapping, MAPPED);
    close(file);
    return 0;
}

static void start_at(struct endpoint *e, const struct iovec *iov, uint32_t n, int fd, uint32_t at,
                     size_t from)
{
    memcpy(e->send.iov, iov, n * sizeof *iov);
    e->send.count = n;
    e->send.file.fd = fd;
    e->send.file.at = at;
    e->send.file.offset = from;
    io_send_file_start(&e->rig->io, &e->send);
}

static void start(struct endpoint *e, int fd, size_t from, size_t n)
{
    start_at(e, &(struct iovec){mapping + from, n}, 1, fd, 0, from);
}

static void finish(struct endpoint *e)
{
    TURN_UNTIL(e->rig, !io_busy(&e->send.op));
}

/* As far as it goes while the peer does not read. */
static void start_and_block(struct endpoint *e)
{
    start(e, file, 0, MAPPED);
    for (int i = 0; i < 50; i++) rig_poll(e->rig);
    assert_true(io_busy(&e->send.op));
}

static char buf[1 << 16];

static void check(size_t at, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) assert_int_equal((uint8_t)buf[i], pattern(at + (size_t)i));
}

/* What has come to the peer, which is the file's from `at` on; its length. */
static size_t take(struct endpoint *e, size_t at)
{
    ssize_t n = recv(e->peer, buf, sizeof buf, MSG_DONTWAIT);
    check(at, n);
    return n > 0 ? (size_t)n : 0;
}

/* Likewise, up to the end of the stream. */
static size_t expect_rest(struct endpoint *e, size_t at)
{
    size_t got = 0;
    for (ssize_t n; (n = tcp_try_receive(e->peer, buf, sizeof buf)) > 0; got += (size_t)n)
        check(at + got, n);
    return got;
}

static void parts_arrive(void **state)
{
    (void)state;
    static const size_t parts[][2] = {
        {0, 1},      {1, 4095},    {4096, 1},          {4097, 70000},
        {0, 100000}, {99999, 2},   {MAPPED - 1, 1},    {MAPPED - 4096, 4096},
        {12345, 1},  {8191, 8194}, {MAPPED - 5000, 10}};
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        start(&e, file, parts[i][0], parts[i][1]);
        assert_int_equal(e.send_result.count, i); /* submitting never calls back */
        finish(&e);
        assert_int_equal(e.send_result.count, i + 1);
        assert_int_equal(e.send_result.res, parts[i][1]);
        peer_expect(e.peer, parts[i][0], parts[i][1]);
    }
    endpoint_close(&e);
    rig_close(r);
}

static unsigned segments_received(const struct endpoint *e)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    assert_int_equal(getsockopt(e->peer, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_data_segs_in;
}

/* As the fields of a response do. */
static void what_is_before_goes_with_it(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start_at(&e, (struct iovec[]){{mapping, 100}, {mapping + 100, 23}, {NULL, 5000}}, 3, file, 2,
             123);
    finish(&e);
    assert_int_equal(e.send_result.res, 5123);
    peer_expect(e.peer, 0, 5123);
    assert_int_equal(segments_received(&e), 1);
    endpoint_close(&e);
    rig_close(r);
}

/* More than the socket takes at once, before it, of it and after it. */
static void it_is_in_the_middle(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (uint32_t at = 0; at < 3; at++) {
        struct endpoint e;
        struct iovec iov[3] = {{mapping, 1000}, {mapping + 1000, 5000}, {mapping + 6000, 10}};
        endpoint_open(r, &e);
        iov[at].iov_len = MAPPED / 2;
        for (size_t i = 0, from = 0; i < 3; from += iov[i++].iov_len)
            iov[i].iov_base = mapping + from;
        size_t n = iov[0].iov_len + iov[1].iov_len + iov[2].iov_len;
        struct peer_thread t = {.fd = e.peer, .n = n, .slow = true};
        start_at(&e, iov, 3, file, 1, iov[0].iov_len);
        peer_start(&t);
        finish(&e);
        peer_join(&t);
        assert_int_equal(e.send_result.res, n);
        endpoint_close(&e);
    }
    rig_close(r);
}

/* The page itself is on its way: the peer sees what is written to it meanwhile. */
static void it_goes_by_reference(void **state)
{
    (void)state;
    uint8_t got[100];
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start(&e, file, 0, sizeof got);
    finish(&e);
    mapping[50] ^= 1;
    assert_int_equal(tcp_try_receive(e.peer, got, sizeof got), sizeof got);
    mapping[50] ^= 1;
    assert_int_equal(got[49], pattern(49));
    assert_int_equal(got[50], pattern(50) ^ 1);
    endpoint_close(&e);
    rig_close(r);
}

/* And then a send from memory has to wait for the socket, whose mode is as it was. */
static void a_slow_reader_gets_all(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    for (unsigned by_file = 1; by_file <= 2; by_file++) {
        if (by_file == 1)
            start_and_block(&e);
        else
            endpoint_send(&e, &(struct iovec){mapping, MAPPED}, 1);
        struct peer_thread t = {.fd = e.peer, .n = MAPPED, .slow = true};
        peer_start(&t);
        finish(&e);
        peer_join(&t);
        assert_int_equal(e.send_result.count, by_file);
        assert_int_equal(e.send_result.res, MAPPED);
    }
    endpoint_close(&e);
    rig_close(r);
}

/* The socket may never be full. */
static void a_large_part_leaves_others_the_turn(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (size_t head = 100; head < MAPPED; head += MAPPED / 2) {
        struct endpoint e;
        endpoint_open(r, &e);
        struct peer_thread t = {.fd = e.peer, .n = MAPPED};
        peer_start(&t);
        start_at(&e, (struct iovec[]){{mapping, head}, {mapping + head, MAPPED - head}}, 2, file, 1,
                 head);
        endpoint_await_shares(r, &e);
        peer_join(&t);
        assert_int_equal(e.send_result.res, MAPPED);
        endpoint_close(&e);
    }
    rig_close(r);
}

static void progress_of_a_file_is_reported(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start_and_block(&e);
    int32_t sent = io_sent_so_far(&e.send);
    assert_true(sent > 0 && sent < MAPPED);
    assert_ptr_equal(e.send.iov[e.send.at].iov_base, mapping + sent);
    peer_expect(e.peer, 0, (size_t)sent);
    TURN_UNTIL(r, io_sent_so_far(&e.send) > sent);
    endpoint_close(&e);
    rig_close(r);
}

/* A poll on a ring tells that unasked, and would again at once. */
static void a_peer_that_only_reads_costs_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start_and_block(&e);
    assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
    for (int i = 0; i < 50; i++) rig_poll(r);
    uint64_t before = r->io.stats.cqes;
    for (int i = 0; i < 50; i++) rig_poll(r);
    assert_in_range(r->io.stats.cqes - before, 0, 10);
    struct peer_thread t = {.fd = e.peer, .n = MAPPED, .slow = true};
    peer_start(&t);
    finish(&e);
    peer_join(&t);
    assert_int_equal(e.send_result.res, MAPPED);
    endpoint_close(&e);
    rig_close(r);
}

static void a_blocked_file_is_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start_and_block(&e);
    io_cancel(&r->io, &e.send.op);
    io_cancel(&r->io, &e.send.op);
    finish(&e);
    assert_int_equal(e.send_result.count, 1);
    assert_int_equal(e.send_result.res, -ECANCELED);
    assert_int_equal(endpoint_call(&e, IO_SHUTDOWN), 0);
    size_t got = expect_rest(&e, 0);
    assert_true(got > 0 && got < MAPPED);
    endpoint_close(&e);
    rig_close(r);
}

static void a_file_is_cancelled_in_the_same_turn(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    size_t sent = 0;
    for (unsigned i = 1; i <= 20; i++) {
        start(&e, file, sent, 10);
        io_cancel(&r->io, &e.send.op);
        finish(&e);
        assert_int_equal(e.send_result.count, i);
        assert_true(e.send_result.res == 10 || e.send_result.res == -ECANCELED);
        if (e.send_result.res == 10) sent += 10;
    }
    assert_int_equal(endpoint_call(&e, IO_SHUTDOWN), 0);
    assert_int_equal(expect_rest(&e, 0), sent);
    endpoint_close(&e);
    rig_close(r);
}

/* SIGPIPE has its default action here, which would end the program. */
static void a_reset_peer_fails_it(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int blocked = 0; blocked < 2; blocked++) {
        struct endpoint e;
        endpoint_open(r, &e);
        if (blocked) start_and_block(&e);
        tcp_reset(e.peer);
        e.peer = -1;
        for (unsigned i = 1; i <= 3; i++) {
            if (!io_busy(&e.send.op)) start(&e, file, 0, 100);
            finish(&e);
            assert_int_equal(e.send_result.count, i);
            assert_true(e.send_result.res == -EPIPE || e.send_result.res == -ECONNRESET);
        }
        endpoint_close(&e);
    }
    rig_close(r);
}

/* The peer's kernel resets the connection at the first piece of 64 KiB that sendfile(2) sends. */
static void a_peer_that_closes_while_a_call_sends_fails_it(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (int i = 0; i < 20; i++) {
        struct endpoint e;
        endpoint_open(r, &e);
        close(e.peer);
        e.peer = -1;
        start(&e, file, 0, MAPPED);
        finish(&e);
        assert_int_equal(e.send_result.count, 1);
        assert_true(e.send_result.res == -EPIPE || e.send_result.res == -ECONNRESET);
        endpoint_close(&e);
    }
    rig_close(r);
}

enum { FILES = 40 };

static void send_another(struct io *io, struct io_op *op, int res, bool more)
{
    struct endpoint *e = container_of(op, struct endpoint, send.op);
    (void)io, (void)more;
    assert_int_equal(res, 1000);
    if (++e->send_result.count < FILES) start(e, file, 0, 1000);
}

static void a_chain_of_files_leaves_others_the_turn(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    e.send.op.fn = send_another;
    start(&e, file, 0, 1000);
    endpoint_await_chain(r, &e, FILES);
    endpoint_close(&e);
    rig_close(r);
}

/* What the client gets before is the file's, and nothing stands in for what is missing. */
static void a_truncated_file_fails_it(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start_and_block(&e);
    assert_int_equal(ftruncate(file, MAPPED / 2), 0);
    size_t got = 0;
    while (io_busy(&e.send.op)) {
        got += take(&e, got);
        rig_poll(r);
    }
    assert_int_equal(e.send_result.res, -EFAULT);
    assert_int_equal(endpoint_call(&e, IO_SHUTDOWN), 0);
    got += expect_rest(&e, got);
    assert_true(got > 0 && got <= MAPPED / 2);
    assert_int_equal(ftruncate(file, MAPPED), 0);
    pattern_fill(mapping, 0, MAPPED);
    endpoint_close(&e);
    rig_close(r);
}

/* Not in the middle of its last page either, where a mapping reads as zeros. */
static void a_file_that_is_too_short_fails_it(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start(&e, file, MAPPED - 100, 200);
    finish(&e);
    assert_int_equal(e.send_result.res, -EFAULT);
    assert_int_equal(e.send.iov[0].iov_len, 100);
    peer_expect(e.peer, MAPPED - 100, 100);
    endpoint_close(&e);
    rig_close(r);
}

/* A pipe is no file to sendfile(2), as it may refuse those of some file systems. What is before it
 * has been sent. */
static void what_cannot_go_by_reference_is_told(void **state)
{
    (void)state;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start_at(&e, (struct iovec[]){{mapping, 10}, {mapping + 10, 80}, {mapping + 90, 10}}, 3,
             pipe_fds[1], 1, 10);
    finish(&e);
    assert_int_equal(e.send_result.res, -EOPNOTSUPP);
    assert_int_equal(e.send.at, 1);
    assert_ptr_equal(e.send.iov[1].iov_base, mapping + 10);
    endpoint_send(&e, &(struct iovec){mapping + 10, 90}, 1);
    finish(&e);
    peer_expect(e.peer, 0, 100);
    endpoint_close(&e);
    rig_close(r);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void nothing_is_sent_by_a_direct_descriptor(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    start(&e, file, 0, 100);
    assert_int_equal(e.send_result.count, 0);
    finish(&e);
    assert_int_equal(e.send_result.res, -EOPNOTSUPP);
    assert_ptr_equal(e.send.iov[0].iov_base, mapping);
    endpoint_send(&e, &(struct iovec){mapping, 100}, 1);
    finish(&e);
    peer_expect(e.peer, 0, 100);
    endpoint_close(&e);
    rig_close(r);
}

static bool sockets_are_direct(void)
{
    struct rig *r = rig_open(NULL);
    bool direct = r->io.config.features & 1u << IO_DIRECT;
    rig_close(r);
    return direct;
}

int by_file_cases(void)
{
    static const struct CMUnitTest direct[] = {
        cmocka_unit_test(nothing_is_sent_by_a_direct_descriptor),
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_arrive),
        cmocka_unit_test(what_is_before_goes_with_it),
        cmocka_unit_test(it_is_in_the_middle),
        cmocka_unit_test(it_goes_by_reference),
        cmocka_unit_test(a_slow_reader_gets_all),
        cmocka_unit_test(a_large_part_leaves_others_the_turn),
        cmocka_unit_test(progress_of_a_file_is_reported),
        cmocka_unit_test(a_peer_that_only_reads_costs_nothing),
        cmocka_unit_test(a_blocked_file_is_cancelled),
        cmocka_unit_test(a_file_is_cancelled_in_the_same_turn),
        cmocka_unit_test(a_reset_peer_fails_it),
        cmocka_unit_test(a_peer_that_closes_while_a_call_sends_fails_it),
        cmocka_unit_test(a_chain_of_files_leaves_others_the_turn),
        cmocka_unit_test(a_truncated_file_fails_it),
        cmocka_unit_test(a_file_that_is_too_short_fails_it),
        cmocka_unit_test(what_cannot_go_by_reference_is_told),
    };
    return sockets_are_direct()
               ? cmocka_run_group_tests_name("by file", direct, map_file, unmap_file)
               : cmocka_run_group_tests_name("by file", tests, map_file, unmap_file);
}
