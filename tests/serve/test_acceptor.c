/* The acceptor at its limit, with connections that the test opens and closes. */

#include "io/sock.h"
#include "serve/acceptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX = 4 };

#define PATIENT_NS (60 * NS_PER_S) /* longer than this machine ever stands still */

struct rig {
    struct io io;
    struct acceptor a;
    struct sock_addr addr;
    uint32_t n_open, n_refused;
    int evicted, admitted, refused;
    bool none_to_spare;
    struct wheel_timer pause;
};

static struct rig *rig_of(struct acceptor *a)
{
    return container_of(a, struct rig, a);
}

static void on_admit(struct acceptor *a, int fd)
{
    struct rig *r = rig_of(a);
    r->admitted++;
    r->n_open++;
    io_discard(a->io, fd);
}

static void on_refuse(struct acceptor *a, int fd)
{
    rig_of(a)->refused++;
    io_discard(a->io, fd);
}

static bool on_make_room(struct acceptor *a)
{
    struct rig *r = rig_of(a);
    if (r->none_to_spare) return false;
    r->evicted++;
    return true;
}

static void on_pause(struct wheel_timer *t)
{
    (void)t;
}

static void run_for(struct rig *r, unsigned ms)
{
    uint64_t until = clock_ns() + ms * NS_PER_MS;
    while (clock_ns() < until) {
        wheel_set(&r->io.wheel, &r->pause, clock_ns() + NS_PER_MS);
        io_turn(&r->io);
    }
}

/* Until `*count` is `n`, for ten seconds at most. */
static void run_until(struct rig *r, const int *count, int n)
{
    uint64_t until = clock_ns() + 10 * NS_PER_S;
    while (*count < n && clock_ns() < until) run_for(r, 1);
    assert_int_equal(*count, n);
}

/* False where the kernel refuses the engine. */
static bool rig_open(struct rig *r, const struct io_engine *e)
{
    char why[256];
    struct io_config config = {.depth = 32,
                               .buffers = 8,
                               .buffer_size = 4096,
                               .max_sockets = MAX + ACCEPTOR_SPARE,
                               .ordinary = true};
    if (io_probe(e, &config, why, sizeof why) < 0) return false;
    *r = (struct rig){.n_open = MAX};
    r->a = (struct acceptor){.max_conns = MAX,
                             .backlog = 16,
                             .admit_timeout = PATIENT_NS,
                             .admit = on_admit,
                             .refuse = on_refuse,
                             .make_room = on_make_room};
    wheel_timer_init(&r->pause, on_pause);
    assert_true(sock_addr_parse("127.0.0.1:0", &r->addr));
    int fd = io_listen(e, &r->addr, 16);
    assert_true(fd >= 0);
    acceptor_add_listener(&r->a, fd);
    assert_int_equal(io_open(&r->io, e, &config), 0);
    acceptor_start(&r->a, &r->io, &r->n_open, &r->n_refused);
    return true;
}

static void rig_close(struct rig *r)
{
    acceptor_stop(&r->a);
    for (int i = 0; i < 1000 && !(acceptor_idle(&r->a) && io_idle(&r->io)); i++) run_for(r, 1);
    wheel_clear(&r->io.wheel, &r->pause);
    io_close(&r->io);
    acceptor_close(&r->a, false);
}

static int newcomer(const struct rig *r)
{
    int fd = socket(r->addr.sa.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &r->addr.sa, r->addr.len), 0);
    return fd;
}

static void closes(struct rig *r, bool evicted)
{
    r->n_open--;
    acceptor_conn_closed(&r->a, evicted);
}

#define EACH_ENGINE(e)                                                                             \
    const struct io_engine *const *e = io_engines;                                                 \
    *e;                                                                                            \
    e++

/* A connection that closes by itself is not the one that was told to. */
static void test_one_eviction_for_each(void **state)
{
    (void)state;
    for (EACH_ENGINE(e)) {
        struct rig r;
        if (!rig_open(&r, *e)) continue;
        r.n_open += 2;
        r.n_refused = 2;
        int fd = newcomer(&r);
        run_until(&r, &r.evicted, 1);
        r.n_refused--;
        closes(&r, false); /* one of those that were refused */
        run_for(&r, 50);
        assert_int_equal(r.evicted, 1);
        assert_int_equal(r.admitted, 0);
        closes(&r, true);
        assert_int_equal(r.admitted, 1);
        run_for(&r, 30);
        assert_int_equal(r.evicted, 1);
        close(fd);
        rig_close(&r);
    }
}

/* Nor is one that was told to for a client that has been refused since. */
static void test_late_eviction(void **state)
{
    (void)state;
    for (EACH_ENGINE(e)) {
        struct rig r;
        if (!rig_open(&r, *e)) continue;
        r.a.admit_timeout = 50 * NS_PER_MS;
        int first = newcomer(&r);
        run_until(&r, &r.refused, 1);
        assert_int_equal(r.evicted, 1);
        r.a.admit_timeout = PATIENT_NS;
        int second = newcomer(&r);
        run_until(&r, &r.evicted, 2);
        closes(&r, true); /* the late one */
        assert_int_equal(r.admitted, 1);
        closes(&r, true);
        assert_int_equal(r.a.n_leaving, 0);
        assert_int_equal(r.a.n_late, 0);
        close(first);
        close(second);
        rig_close(&r);
    }
}

/* Those in the accept queue at the drain are admitted, or told that there is no room. */
static void test_drain_takes_the_queue(void **state)
{
    (void)state;
    for (EACH_ENGINE(e)) {
        struct rig r;
        int fd[2 * MAX];
        if (!rig_open(&r, *e)) continue;
        r.none_to_spare = true;
        r.n_open = MAX - 2;
        for (int i = 0; i < 2 * MAX; i++) fd[i] = newcomer(&r);
        acceptor_drain(&r.a);
        for (int i = 0; i < 1000 && !acceptor_idle(&r.a); i++) run_for(&r, 1);
        assert_true(acceptor_idle(&r.a));
        assert_int_equal(r.admitted, 2);
        assert_int_equal(r.refused, 2 * MAX - 2);
        for (int i = 0; i < 2 * MAX; i++) close(fd[i]);
        rig_close(&r);
    }
}

/* A socket that another process has as well: who comes from the drain on is for that one. */
static void test_drain_leaves_a_kept_socket(void **state)
{
    (void)state;
    for (EACH_ENGINE(e)) {
        struct rig r;
        if (!rig_open(&r, *e)) continue;
        int other = dup(r.a.listener[0].accept.listener);
        assert_true(other >= 0);
        r.a.listener[0].kept = true;
        r.n_open = 0;
        int first = newcomer(&r);
        run_until(&r, &r.admitted, 1);
        acceptor_drain(&r.a);
        for (int i = 0; i < 1000 && !acceptor_idle(&r.a); i++) run_for(&r, 1);
        assert_true(acceptor_idle(&r.a));
        int second = newcomer(&r);
        run_for(&r, 30);
        assert_int_equal(r.admitted, 1);
        int taken = accept(other, NULL, NULL);
        assert_true(taken >= 0);
        close(first);
        close(second);
        close(taken);
        rig_close(&r);
        close(newcomer(&r)); /* it listens still */
        close(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_eviction_for_each),
        cmocka_unit_test(test_late_eviction),
        cmocka_unit_test(test_drain_takes_the_queue),
        cmocka_unit_test(test_drain_leaves_a_kept_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
