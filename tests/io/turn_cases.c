#include "cases.h"
#include "engine_rig.h"

#include <errno.h>

enum { TIMERS = 40 };

struct timed {
    struct wheel_timer timer;
    struct io *io;
    uint64_t due;
    unsigned fired;
};

static void on_timer(struct wheel_timer *t)
{
    struct timed *m = container_of(t, struct timed, timer);
    assert_true(clock_ns() >= m->due);
    assert_true(m->io->now >= m->due);
    m->fired++;
}

static unsigned fired(const struct timed *m, int n)
{
    unsigned sum = 0;
    for (int i = 0; i < n; i++) sum += m[i].fired;
    return sum;
}

static void timers_never_fire_early(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct timed m[TIMERS];
    uint64_t now = clock_ns();
    for (unsigned i = 0; i < TIMERS; i++) {
        m[i] = (struct timed){.io = &r->io, .due = now + (uint64_t)i * i * 100000};
        wheel_timer_init(&m[i].timer, on_timer);
        wheel_set(&r->io.wheel, &m[i].timer, m[i].due);
    }
    TURN_UNTIL(r, fired(m, TIMERS) >= TIMERS);
    for (int i = 0; i < 5; i++) rig_poll(r);
    for (int i = 0; i < TIMERS; i++) assert_int_equal(m[i].fired, 1);
    rig_close(r);
}

/* Waiting for a deadline takes as many turns as the wheel has levels, and does not spin. */
static void waits_for_a_deadline_without_spinning(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct timed m = {.io = &r->io, .due = clock_ns() + 60 * NS_PER_MS};
    wheel_timer_init(&m.timer, on_timer);
    rig_poll(r);
    wheel_set(&r->io.wheel, &m.timer, m.due);
    uint64_t before = r->io.stats.turns;
    TURN_UNTIL(r, m.fired);
    assert_true(r->io.stats.turns - before <= 2 * WHEEL_LEVELS);
    m.fired = 0;
    wheel_set(&r->io.wheel, &m.timer, clock_ns() + NS_PER_MS);
    wheel_clear(&r->io.wheel, &m.timer);
    m.due = clock_ns() + 3 * NS_PER_MS;
    struct timed last = {.io = &r->io, .due = m.due};
    wheel_timer_init(&last.timer, on_timer);
    wheel_set(&r->io.wheel, &last.timer, last.due);
    TURN_UNTIL(r, last.fired);
    assert_int_equal(m.fired, 0);
    rig_close(r);
}

/* ---- fair turns ---- */

enum { DUE = 1000, READABLE = 120, TURN_TIMERS = 32 };

struct due {
    struct wheel_timer timer;
    struct crowd *crowd;
};

/* Timers that are due together; the first to fire makes a socket readable. */
struct crowd {
    struct due due[DUE];
    struct endpoint e;
    unsigned fired, fired_at_data;
};

static void on_due(struct wheel_timer *t)
{
    struct crowd *c = container_of(t, struct due, timer)->crowd;
    if (c->fired++ > 0) return;
    peer_send(c->e.peer, 0, 1);
    peer_settle(c->e.peer);
}

static void on_crowd_data(struct endpoint *e, int n)
{
    struct crowd *c = container_of(e, struct crowd, e);
    (void)n;
    c->fired_at_data = c->fired;
}

static void due_timers_leave_completions_their_turn(void **state)
{
    (void)state;
    static struct crowd c;
    struct rig *r = rig_open(NULL);
    c = (struct crowd){0};
    endpoint_open(r, &c.e);
    endpoint_recv(&c.e);
    c.e.on_data = on_crowd_data;
    for (int i = 0; i < 5; i++) rig_poll(r);
    for (int i = 0; i < DUE; i++) {
        c.due[i].crowd = &c;
        wheel_timer_init(&c.due[i].timer, on_due);
        wheel_set(&r->io.wheel, &c.due[i].timer, 1);
    }
    while (c.fired < DUE) { /* a turn does not wait while timers are due */
        unsigned before = c.fired;
        io_turn(&r->io);
        assert_in_range(c.fired - before, 1, TURN_TIMERS);
    }
    assert_in_range(c.fired_at_data, 1, 4 * TURN_TIMERS);
    endpoint_close(&c.e);
    rig_close(r);
}

static unsigned count_received(const struct endpoint *e, int n)
{
    unsigned sum = 0;
    for (int i = 0; i < n; i++) sum += e[i].received > 0;
    return sum;
}

/* Not twenty of them, which is what one wait of a ring with DEFER_TASKRUN delivers. */
static void a_turn_takes_up_whatever_has_arrived(void **state)
{
    (void)state;
    static struct endpoint e[READABLE];
    struct io_config config = rig_config;
    config.buffers = config.depth = config.cq_depth = 256;
    struct rig *r = rig_open(&config);
    for (int i = 0; i < READABLE; i++) {
        endpoint_open(r, &e[i]);
        endpoint_recv(&e[i]);
    }
    for (int i = 0; i < 20; i++) rig_poll(r);
    for (int i = 0; i < READABLE; i++) {
        peer_send(e[i].peer, 0, 1);
        peer_settle(e[i].peer);
    }
    for (int i = 0; i < 3; i++) rig_poll(r); /* without provided buffers: a poll, then the recv */
    assert_int_equal(count_received(e, READABLE), READABLE);
    for (int i = 0; i < READABLE; i++) endpoint_close(&e[i]);
    rig_close(r);
}

struct counted {
    struct io_task task;
    struct rig *rig;
    unsigned runs;
    bool again;
};

static void on_task(struct io_task *t)
{
    struct counted *c = container_of(t, struct counted, task);
    c->runs++;
    if (c->again) io_defer(&c->rig->io, t);
}

static void tasks_run_once(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct counted a = {.task.fn = on_task, .rig = r}, b = a;
    io_defer(&r->io, &a.task);
    io_defer(&r->io, &b.task);
    io_defer(&r->io, &a.task);
    assert_int_equal(a.runs + b.runs, 0);
    io_turn(&r->io);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 1);
    rig_poll(r);
    assert_int_equal(a.runs, 1);
    io_defer(&r->io, &a.task);
    io_turn(&r->io);
    assert_int_equal(a.runs, 2);
    rig_close(r);
}

/* It blocks neither the turn nor other operations, and the next turn does not wait. */
static void a_task_may_defer_itself(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct counted c = {.task.fn = on_task, .rig = r, .again = true};
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    io_defer(&r->io, &c.task);
    for (int turn = 0; turn < 10; turn++) {
        unsigned runs = c.runs;
        io_turn(&r->io);
        assert_true(c.runs > runs && c.runs - runs <= 16);
    }
    peer_send(e.peer, 0, 30000);
    TURN_UNTIL(r, e.received == 30000);
    c.again = false;
    rig_poll(r);
    unsigned runs = c.runs;
    rig_poll(r);
    assert_int_equal(c.runs, runs);
    endpoint_close(&e);
    rig_close(r);
}

static void wakes_coalesce(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    for (unsigned round = 1; round <= 20; round++) {
        r->wakes = 0;
        for (int i = 0; i < 100; i++) io_wake(&r->io);
        TURN_UNTIL(r, r->wakes > 0);
        for (int i = 0; i < 5; i++) rig_poll(r);
        assert_in_range(r->wakes, 1, 2);
    }
    r->wakes = 0;
    for (int i = 0; i < 10; i++) rig_poll(r);
    assert_int_equal(r->wakes, 0);
    r->io.on_wake = NULL;
    io_wake(&r->io);
    rig_poll(r);
    rig_close(r);
}

/* An idle engine sleeps: the turn ends at the guard's deadline and not before. */
static void idle_engine_sleeps(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    for (int i = 0; i < 5; i++) rig_poll(r);
    struct timed m = {.io = &r->io, .due = clock_ns() + 100 * NS_PER_MS};
    wheel_timer_init(&m.timer, on_timer);
    wheel_set(&r->io.wheel, &m.timer, m.due);
    uint64_t turns = r->io.stats.turns, enters = r->io.stats.enters;
    TURN_UNTIL(r, m.fired);
    assert_true(r->io.stats.turns - turns <= 2 * WHEEL_LEVELS);
    assert_true(r->io.stats.enters - enters <= 2 * WHEEL_LEVELS);
    endpoint_close(&e);
    rig_close(r);
}

static void stats_are_counted(void **state)
{
    (void)state;
    struct rig *r = rig_open(NULL);
    struct endpoint e;
    endpoint_open(r, &e);
    endpoint_recv(&e);
    struct io_stats a = r->io.stats;
    peer_send(e.peer, 0, 1);
    TURN_UNTIL(r, e.received == 1);
    struct io_stats b = r->io.stats;
    assert_true(b.turns > a.turns && b.enters > a.enters && b.cqes > a.cqes);
    assert_true(b.syscalls >= b.enters);
    assert_true(b.busy_ns > 0);
    assert_true(b.turn_ns > 0 && b.turn_ns <= b.busy_ns);
    assert_true(b.turn_cqes > 0 && b.turn_cqes <= b.cqes);
    endpoint_close(&e);
    rig_close(r);
}

/* ---- alarms ---- */

struct alarms {
    struct rig *rig;
    unsigned rang;
    uint64_t due, next; /* `next`: ns until the next alarm, 0 for none */
};

static void on_alarm(struct io *io)
{
    struct alarms *a = io->user;
    assert_true(io->alarm == WHEEL_NEVER);
    assert_true(io->now >= a->due && clock_ns() >= a->due);
    a->rang++;
    if (a->next) io->alarm = a->due = io->now + a->next;
}

static struct rig *alarm_rig(struct alarms *a)
{
    struct rig *r = rig_open(NULL);
    *a = (struct alarms){.rig = r};
    r->io.user = a;
    r->io.on_alarm = on_alarm;
    assert_true(r->io.alarm == WHEEL_NEVER);
    return r;
}

/* Not even a fraction of a tick early, and only once; without an alarm, on_alarm is not called. */
static void alarms_fire_once_and_never_early(void **state)
{
    static const uint64_t after[] = {0, 1, 50000, 300000, 999999, 1000001, 3700000, 12345678};
    struct alarms a;
    (void)state;
    struct rig *r = alarm_rig(&a);
    for (int i = 0; i < 5; i++) rig_poll(r);
    assert_int_equal(a.rang, 0);
    for (unsigned i = 0; i < ARRAY_LEN(after); i++) {
        r->io.alarm = a.due = clock_ns() + after[i];
        TURN_UNTIL(r, a.rang == i + 1);
        for (int k = 0; k < 5; k++) rig_poll(r);
        assert_int_equal(a.rang, i + 1);
    }
    r->io.alarm = a.due = 1; /* long past */
    rig_poll(r);
    assert_int_equal(a.rang, ARRAY_LEN(after) + 1);
    rig_close(r);
}

/* Waiting for an alarm takes one wait; an early end of the wait does not change the alarm. */
static void waits_for_an_alarm_without_spinning(void **state)
{
    struct alarms a;
    struct endpoint e;
    (void)state;
    struct rig *r = alarm_rig(&a);
    endpoint_open(r, &e);
    endpoint_recv(&e);
    for (int i = 0; i < 5; i++) rig_poll(r);
    uint64_t turns = r->io.stats.turns;
    r->io.alarm = a.due = clock_ns() + 40 * NS_PER_MS;
    TURN_UNTIL(r, a.rang == 1);
    assert_true(r->io.stats.turns - turns <= 2 * WHEEL_LEVELS);
    r->io.alarm = a.due = clock_ns() + 5 * NS_PER_MS;
    peer_send(e.peer, 0, 1);
    io_wake(&r->io);
    TURN_UNTIL(r, a.rang == 2);
    TURN_UNTIL(r, e.received == 1);
    endpoint_close(&e);
    rig_close(r);
}

/* Each alarm sets the next; timers that run beside them fire on time. */
static void an_alarm_may_set_the_next(void **state)
{
    struct alarms a;
    (void)state;
    struct rig *r = alarm_rig(&a);
    struct timed m = {.io = &r->io, .due = clock_ns() + 5 * NS_PER_MS};
    wheel_timer_init(&m.timer, on_timer);
    wheel_set(&r->io.wheel, &m.timer, m.due);
    a.next = 200000;
    r->io.alarm = a.due = clock_ns() + a.next;
    TURN_UNTIL(r, a.rang >= 20 && m.fired);
    a.next = 0;
    unsigned rang = a.rang;
    TURN_UNTIL(r, a.rang == rang + 1);
    for (int i = 0; i < 5; i++) rig_poll(r);
    assert_int_equal(a.rang, rang + 1);
    assert_int_equal(m.fired, 1);
    rig_close(r);
}

static void a_cancelled_alarm_does_not_fire(void **state)
{
    struct alarms a;
    (void)state;
    struct rig *r = alarm_rig(&a);
    r->io.alarm = clock_ns() + NS_PER_MS;
    r->io.alarm = WHEEL_NEVER;
    struct timed m = {.io = &r->io, .due = clock_ns() + 5 * NS_PER_MS};
    wheel_timer_init(&m.timer, on_timer);
    wheel_set(&r->io.wheel, &m.timer, m.due);
    TURN_UNTIL(r, m.fired);
    assert_int_equal(a.rang, 0);
    rig_close(r);
}

int turn_cases(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_never_fire_early),
        cmocka_unit_test(waits_for_a_deadline_without_spinning),
        cmocka_unit_test(due_timers_leave_completions_their_turn),
        cmocka_unit_test(a_turn_takes_up_whatever_has_arrived),
        cmocka_unit_test(tasks_run_once),
        cmocka_unit_test(a_task_may_defer_itself),
        cmocka_unit_test(wakes_coalesce),
        cmocka_unit_test(idle_engine_sleeps),
        cmocka_unit_test(stats_are_counted),
        cmocka_unit_test(alarms_fire_once_and_never_early),
        cmocka_unit_test(waits_for_an_alarm_without_spinning),
        cmocka_unit_test(an_alarm_may_set_the_next),
        cmocka_unit_test(a_cancelled_alarm_does_not_fire),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
