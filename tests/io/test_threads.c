/* The engine threads where each thread has one connection at a time, as a server uses it. */

#include "engine_rig.h"
#include "refuse.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct rig *open_one(void)
{
    struct io_config config = rig_config;
    config.one_connection = true;
    return rig_open(&config);
}

/* The response to a request of a byte: the same one. */
static void respond(struct endpoint *e, int n)
{
    static char byte;
    struct iovec iov = {&byte, 1};
    assert_int_equal(n, 1);
    pattern_fill(&byte, e->received - 1, 1);
    endpoint_send(e, &iov, 1);
}

static void serve(struct rig *r, struct endpoint *e)
{
    endpoint_open(r, e);
    e->on_data = respond;
    endpoint_recv(e);
}

static void exchange(struct rig *r, struct endpoint *e, uint64_t at)
{
    peer_send(e->peer, at, 1);
    TURN_UNTIL(r, e->send_result.count == at + 1);
    peer_expect(e->peer, at, 1);
}

/* Whether the engine has to look at its timers soon, as it has from time to time even at those that
 * are far off. */
static bool timers_are_near(struct rig *r)
{
    rig_guard(r);
    uint64_t next = wheel_next(&r->io.wheel);
    rig_unguard(r);
    return next < clock_ns() + 100 * NS_PER_MS;
}

/* Those of an exchange count that is over soon, as some before it were: where others have the CPU
 * for longer, the engine rightly waits in poll(2), and sets itself up again. It does so, too, where
 * a timer would be late. */
static void two_calls_for_a_request_that_follows_soon(void **state)
{
    (void)state;
    enum { N = 200, BEFORE = 3 };
    const uint64_t soon = 5 * NS_PER_MS; /* half of what the engine waits for in recv(2) */
    struct rig *r = open_one();
    struct endpoint e;
    uint64_t at = 0, began = 0;
    serve(r, &e);
    for (unsigned n = 0, in_a_row = 0; n < N;) {
        uint64_t syscalls = r->io.stats.syscalls, before = began;
        bool near = timers_are_near(r);
        began = clock_ns();
        exchange(r, &e, at++);
        in_a_row = !near && clock_ns() - before < soon ? in_a_row + 1 : 0;
        if (in_a_row <= BEFORE) continue;
        assert_int_equal(r->io.stats.syscalls - syscalls, 2);
        n++;
    }
    endpoint_close(&e);
    rig_close(r);
}

/* However soon the client's bytes come. */
static void a_wake_is_seen_between_requests(void **state)
{
    (void)state;
    struct rig *r = open_one();
    struct endpoint e;
    uint64_t at = 0;
    serve(r, &e);
    while (at < 5) exchange(r, &e, at++);
    for (unsigned round = 1; round < 50; round++) {
        io_wake(&r->io);
        exchange(r, &e, at++);
        exchange(r, &e, at++);
        assert_int_equal(r->wakes, round);
    }
    endpoint_close(&e);
    rig_close(r);
}

static void *wake(void *arg)
{
    io_wake(arg);
    return NULL;
}

static void a_wake_ends_the_wait_for_a_client(void **state)
{
    (void)state;
    struct rig *r = open_one();
    struct endpoint e;
    uint64_t at = 0;
    serve(r, &e);
    for (unsigned round = 1; round < 20; round++) {
        pthread_t t;
        while (at < 5 * round) exchange(r, &e, at++);
        assert_int_equal(pthread_create(&t, NULL, wake, &r->io), 0);
        TURN_UNTIL(r, r->wakes == round);
        pthread_join(t, NULL);
    }
    endpoint_close(&e);
    rig_close(r);
}

static void a_client_that_pauses_or_leaves_is_seen(void **state)
{
    (void)state;
    struct rig *r = open_one();
    struct endpoint e;
    uint64_t at = 0;
    serve(r, &e);
    while (at < 5) exchange(r, &e, at++);
    uint64_t paused = r->io.stats.turns + 2;
    while (r->io.stats.turns <
           paused) { /* nothing comes: the thread waits for what else there is */
        struct wheel_timer *guard = &r->guard;
        wheel_set(&r->io.wheel, guard, clock_ns() + 50 * NS_PER_MS);
        io_turn(&r->io);
    }
    r->stalled = false;
    exchange(r, &e, at++);
    exchange(r, &e, at++);
    close(e.peer);
    e.peer = -1;
    TURN_UNTIL(r, e.recv_result.count == 1);
    assert_int_equal(e.recv_result.res, 0);
    endpoint_close(&e);
    rig_close(r);
}

/* ---- several threads ---- */

static struct rig *broken; /* what it has in flight stays, as in a server */

/* Waits for connections first, until the kernel refuses it the wait. */
static void *break_down(void *arg)
{
    (void)arg;
    broken = open_one();
    io_accept_start(&broken->io, &broken->accept);
    rig_poll(broken);
    refuse_call(&(struct refusal){.call = SYS_ppoll, .err = EPERM});
    rig_poll(broken);
    return NULL;
}

static void others_accept_for_one_that_breaks(void **state)
{
    (void)state;
    pthread_t t;
    struct endpoint e;
    assert_int_equal(pthread_create(&t, NULL, break_down, NULL), 0);
    pthread_join(t, NULL);
    assert_int_equal(broken->io.error, -EPERM);
    struct rig *r = open_one();
    r->accept.listener = broken->listener;
    io_accept_start(&r->io, &r->accept);
    endpoint_accept(r, &e, tcp_connect(&broken->addr.sa, broken->addr.len));
    endpoint_close(&e);
    rig_close(r);
}

int main(int argc, char **argv)
{
    rig_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_calls_for_a_request_that_follows_soon),
        cmocka_unit_test(a_wake_is_seen_between_requests),
        cmocka_unit_test(a_wake_ends_the_wait_for_a_client),
        cmocka_unit_test(a_client_that_pauses_or_leaves_is_seen),
        cmocka_unit_test(others_accept_for_one_that_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
