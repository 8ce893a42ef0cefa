#include "engine_rig.h"
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNTOUCHED = 0x55 }; /* in memory that is received into */

enum { GUARD_SECONDS = 30, PROGRAM_SECONDS = 240, TURNS = 1 << 20 };

const struct io_engine *rig_engine;
struct io_config rig_config = {
    .depth = 64,
    .buffers = 64,
    .buffer_size = 4096,
    .max_sockets = 256,
    .iowq_bounded = 4,
    .iowq_unbounded = 4,
    .features = (1u << IO_FEATURES) - 1,
};

static bool choose_number(const char *word, const char *name, uint32_t *out)
{
    size_t n = strlen(name);
    if (strncmp(word, name, n) != 0 || word[n] != '=') return false;
    *out = (uint32_t)strtoul(word + n + 1, NULL, 10);
    return true;
}

static bool choose(const char *word)
{
    if (strcmp(word, "bare") == 0) {
        rig_config.features = 0;
        return true;
    }
    for (int f = 0; f < IO_FEATURES; f++)
        if (strncmp(word, "no-", 3) == 0 && strcmp(word + 3, io_feature_names[f]) == 0) {
            rig_config.features &= ~(1u << f);
            return true;
        }
    return choose_number(word, "depth", &rig_config.depth) ||
           choose_number(word, "cq", &rig_config.cq_depth) ||
           choose_number(word, "buffers", &rig_config.buffers) ||
           choose_number(word, "buffer-size", &rig_config.buffer_size);
}

void rig_choose(int argc, char **argv)
{
    char why[256];
    alarm(PROGRAM_SECONDS);
    rig_engine = argc > 1 ? io_engine_find(argv[1]) : NULL;
    if (!rig_engine) {
        fprintf(stderr, "%s: no such engine: %s\n", argv[0], argc > 1 ? argv[1] : "");
        exit(2);
    }
    for (int i = 2; i < argc; i++)
        if (!choose(argv[i])) {
            fprintf(stderr, "%s: no such word: %s\n", argv[0], argv[i]);
            exit(2);
        }
    if (io_probe(rig_engine, &rig_config, why, sizeof why) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], why);
        exit(77);
    }
    if (why[0]) fprintf(stderr, "%s: without %s\n", argv[1], why);
}

void rig_listen(struct sock_addr *addr, int *listener)
{
    assert_true(sock_addr_parse("127.0.0.1:0", addr));
    *listener = io_listen(rig_engine, addr, 1024);
    assert_true(*listener >= 0);
}

static void on_accept(struct io *io, struct io_op *op, int res, bool more)
{
    struct rig *r = container_of(io, struct rig, io);
    assert_ptr_equal(op, &r->accept.op);
    if (more) {
        assert_true(res >= 0 && r->n_accepted < RIG_ACCEPTED);
        r->accepted[r->n_accepted++] = res;
        if (r->on_accept) r->on_accept(r);
    } else {
        assert_true(res < 0);
        r->accept_result.res = res;
        r->accept_result.count++;
    }
}

static void on_guard(struct wheel_timer *t)
{
    container_of(t, struct rig, guard)->stalled = true;
}

static void on_nop(struct io_task *t)
{
    (void)t;
}

static void on_wake(struct io *io)
{
    container_of(io, struct rig, io)->wakes++;
}

struct rig *rig_open(const struct io_config *config)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->fds = files_descriptors();
    int err = io_open(&r->io, rig_engine, config ? config : &rig_config);
    if (err < 0) fail_msg("io_open: %s", strerror(-err));
    r->io.on_wake = on_wake;
    r->accept = (struct io_accept){.op.fn = on_accept};
    r->nop.fn = on_nop;
    wheel_timer_init(&r->guard, on_guard);
    rig_listen(&r->addr, &r->listener);
    r->accept.listener = r->listener;
    return r;
}

void rig_close(struct rig *r)
{
    assert_int_equal(r->taken, r->n_accepted);
    io_cancel(&r->io, &r->accept.op);
    TURN_UNTIL(r, r->io.in_flight == 0);
    assert_int_equal(r->io.bufs.in_use, 0);
    assert_int_equal(r->io.bufs.n_returning, 0);
    assert_false(io_busy(&r->accept.op));
    io_close(&r->io);
    close(r->listener);
    assert_int_equal(files_descriptors(), r->fds);
    free(r);
}

void rig_guard(struct rig *r)
{
    r->turns_left = TURNS;
    wheel_set(&r->io.wheel, &r->guard, clock_ns() + GUARD_SECONDS * NS_PER_S);
}

void rig_unguard(struct rig *r)
{
    wheel_clear(&r->io.wheel, &r->guard);
}

void rig_turn(struct rig *r, const char *what, const char *file, int line)
{
    io_turn(&r->io);
    if (!r->stalled && r->turns_left--) return;
    fail_msg("%s:%d: never came true: %s", file, line, what);
}

void rig_poll(struct rig *r)
{
    io_defer(&r->io, &r->nop);
    io_turn(&r->io);
}

/* ---- endpoints ---- */

static void check_bytes(struct endpoint *e, const char *bytes, int n)
{
    for (int i = 0; i < n; i++)
        if ((uint8_t)bytes[i] != pattern(e->received + (uint64_t)i))
            fail_msg("wrong byte at %llu", (unsigned long long)e->received + (unsigned)i);
    e->received += (uint64_t)n;
    e->reads++;
}

/* Nothing behind what was received has been touched. */
static void take_into(struct endpoint *e, int res)
{
    uint32_t n = res > 0 ? (uint32_t)res : 0;
    assert_true(n <= e->into_size);
    check_bytes(e, e->into, (int)n);
    for (uint32_t i = n; i < e->into_size; i++) assert_int_equal(e->into[i], UNTOUCHED);
    free(e->into);
    e->into = NULL;
}

static void on_recv(struct io *io, struct io_op *op, int res, bool more)
{
    struct endpoint *e = container_of(op, struct endpoint, sock.recv);
    if (!more) {
        assert_true(res <= 0 || e->into);
        assert_null(io->lease);
        if (e->into) take_into(e, res);
        e->recv_result.res = res;
        e->recv_result.count++;
        if (e->on_end) e->on_end(e);
        return;
    }
    assert_true(res > 0 && (uint32_t)res <= io->bufs.size);
    check_bytes(e, io->lease, res);
    if (e->on_data) e->on_data(e, res);
}

static void on_send(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    struct endpoint *e = container_of(op, struct endpoint, send.op);
    assert_false(more);
    assert_null(e->sock.sending);
    e->send_result.res = res;
    e->send_result.count++;
}

static void on_endpoint_call(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    struct endpoint *e = container_of(op, struct endpoint, call.op);
    assert_false(more);
    e->call_result.res = res;
    e->call_result.count++;
}

static void endpoint_init(struct rig *r, struct endpoint *e, int peer)
{
    *e = (struct endpoint){
        .rig = r, .peer = peer, .send.op.fn = on_send, .call.op.fn = on_endpoint_call};
    e->send.sock = &e->sock;
}

void endpoint_open(struct rig *r, struct endpoint *e)
{
    endpoint_accept(r, e, tcp_connect(&r->addr.sa, r->addr.len));
}

void endpoint_accept(struct rig *r, struct endpoint *e, int peer)
{
    endpoint_init(r, e, peer);
    if (!io_busy(&r->accept.op)) io_accept_start(&r->io, &r->accept);
    TURN_UNTIL(r, r->taken < r->n_accepted);
    assert_int_equal(io_sock_init(&r->io, &e->sock, r->accepted[r->taken++], true, on_recv), 0);
}

void endpoint_adopt(struct rig *r, struct endpoint *e, int fd)
{
    endpoint_init(r, e, -1);
    assert_int_equal(io_sock_init(&r->io, &e->sock, fd, false, on_recv), 0);
}

void endpoint_open_external(struct rig *r, struct endpoint *e, bool nonblocking)
{
    struct sock_addr addr;
    assert_true(sock_addr_parse("127.0.0.1:0", &addr));
    int listener = sock_listen(&addr, 1, true);
    assert_true(listener >= 0);
    int peer = tcp_connect(&addr.sa, addr.len);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0));
    assert_true(fd >= 0);
    close(listener);
    endpoint_adopt(r, e, fd);
    e->peer = peer;
}

void endpoint_recv(struct endpoint *e)
{
    io_recv_start(&e->rig->io, &e->sock);
}

void endpoint_recv_into(struct endpoint *e, uint32_t size)
{
    assert_null(e->into);
    e->into = malloc(size);
    assert_non_null(e->into);
    memset(e->into, UNTOUCHED, size);
    e->into_size = size;
    io_recv_into(&e->rig->io, &e->sock, e->into, size);
}

void endpoint_send(struct endpoint *e, const struct iovec *iov, uint32_t count)
{
    memcpy(e->send.iov, iov, count * sizeof *iov);
    e->send.count = count;
    io_send_start(&e->rig->io, &e->send);
}

void endpoint_await_shares(struct rig *r, struct endpoint *e)
{
    enum { SHARE = 17 << 16 };
    rig_guard(r);
    for (int32_t sent = 0; io_busy(&e->send.op);) {
        assert_in_range(io_sent_so_far(&e->send) - sent, 0, 2 * SHARE);
        sent = io_sent_so_far(&e->send);
        rig_turn(r, "all is sent", __FILE__, __LINE__);
    }
    rig_unguard(r);
}

void endpoint_await_chain(struct rig *r, struct endpoint *e, unsigned n)
{
    unsigned most = rig_is("threads") ? n : 2;
    rig_guard(r);
    for (unsigned before = 0; io_busy(&e->send.op);) {
        rig_turn(r, "all are sent", __FILE__, __LINE__);
        assert_in_range(e->send_result.count - before, 0, most);
        before = e->send_result.count;
    }
    rig_unguard(r);
    assert_int_equal(e->send_result.count, n);
}

int endpoint_call(struct endpoint *e, enum io_kind kind)
{
    unsigned count = e->call_result.count;
    e->call.sock.sock = &e->sock;
    io_call_start(&e->rig->io, &e->call, kind);
    TURN_UNTIL(e->rig, !io_busy(&e->call.op));
    assert_int_equal(e->call_result.count, count + 1);
    return e->call_result.res;
}

void endpoint_close(struct endpoint *e)
{
    e->on_data = NULL;
    e->on_end = NULL;
    io_cancel(&e->rig->io, &e->sock.recv);
    io_cancel(&e->rig->io, &e->send.op);
    TURN_UNTIL(e->rig, !io_busy(&e->sock.recv) && !io_busy(&e->send.op));
    assert_int_equal(endpoint_call(e, IO_CLOSE_SOCK), 0);
    if (e->peer >= 0) close(e->peer);
}

static struct outcome rig_call_result;

static void on_rig_call(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io;
    (void)op;
    assert_false(more);
    rig_call_result.res = res;
    rig_call_result.count++;
}

int rig_call(struct rig *r, struct io_call *c, enum io_kind kind)
{
    rig_call_result = (struct outcome){0};
    c->op = (struct io_op){.fn = on_rig_call};
    io_call_start(&r->io, c, kind);
    TURN_UNTIL(r, !io_busy(&c->op));
    assert_int_equal(rig_call_result.count, 1);
    return rig_call_result.res;
}
