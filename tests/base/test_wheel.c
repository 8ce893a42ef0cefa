#include "wheel_check.h"

#include <limits.h>

struct counted {
    struct wheel_timer t;
    int fired;
    struct counted *other;
    uint64_t deadline;
};

static void count(struct wheel_timer *t)
{
    assert_false(wheel_is_armed(t));
    assert_true(list_empty(&t->link));
    container_of(t, struct counted, t)->fired++;
}

static void idle(void **state)
{
    (void)state;
    struct counted c = {0};
    wheel_init(&w, 12345678);
    wheel_timer_init(&c.t, count);
    assert_false(wheel_is_armed(&c.t));
    assert_true(wheel_next(&w) == WHEEL_NEVER);
    wheel_clear(&w, &c.t);
    wheel_set(&w, &c.t, WHEEL_NEVER);
    assert_int_equal(w.armed, 0);
    wheel_run(&w, UINT64_MAX, UINT_MAX);
    assert_int_equal(c.fired, 0);
}

/* From several start times, to deadlines around every power of two: never before its tick. */
static void fires_in_its_tick(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0,          1,           TICK - 1, TICK, 64 * TICK - 1,
                                      1ull << 40, 123456789012};
    for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
        for (unsigned bit = 0; bit < 63; bit++) {
            for (int d = -1; d <= 1; d++) {
                struct counted c = {0};
                wheel_init(&w, starts[s]);
                wheel_timer_init(&c.t, count);
                uint64_t deadline = starts[s] + (1ull << bit) + (uint64_t)d, now = starts[s];
                wheel_set(&w, &c.t, deadline);
                int runs = 0;
                while (wheel_next(&w) != 0 && wheel_next(&w) < tick_start(deadline)) {
                    now = wheel_next(&w);
                    wheel_run(&w, now, UINT_MAX);
                    assert_true(++runs <= WHEEL_LEVELS);
                    check_slots();
                }
                if (tick_start(deadline) - 1 > now && tick_start(deadline) > 0) {
                    wheel_run(&w, tick_start(deadline) - 1, UINT_MAX);
                    assert_int_equal(c.fired, tick_start(deadline) <= (starts[s] & ~(TICK - 1)));
                }
                assert_int_equal(w.armed, !c.fired);
                now = tick_start(deadline) > now ? tick_start(deadline) : now;
                wheel_run(&w, now, UINT_MAX);
                assert_int_equal(c.fired, 1);
                assert_int_equal(w.armed, 0);
                assert_true(wheel_next(&w) == WHEEL_NEVER);
            }
        }
    }
}

static void past_deadlines_fire_on_the_next_run(void **state)
{
    (void)state;
    struct counted c = {0};
    uint64_t now = 1000 * TICK + 77;
    wheel_init(&w, now);
    wheel_timer_init(&c.t, count);
    for (int i = 1; i <= 3; i++) {
        wheel_set(&w, &c.t, i == 1 ? 0 : now - TICK);
        assert_int_equal(wheel_next(&w), 0);
        assert_int_equal(c.fired, i - 1);
        wheel_run(&w, now, UINT_MAX);
        assert_int_equal(c.fired, i);
    }
    wheel_set(&w, &c.t, 5);
    wheel_clear(&w, &c.t);
    assert_true(wheel_next(&w) == WHEEL_NEVER);
    wheel_set(&w, &c.t, 5);
    wheel_set(&w, &c.t, now + TICK); /* postponed while due */
    wheel_run(&w, now, UINT_MAX);
    assert_int_equal(c.fired, 3);
    wheel_run(&w, now + 2 * TICK, UINT_MAX);
    assert_int_equal(c.fired, 4);
}

static void a_later_deadline_is_only_stored(void **state)
{
    (void)state;
    struct counted c = {0};
    wheel_init(&w, 0);
    wheel_timer_init(&c.t, count);
    wheel_set(&w, &c.t, 100 * TICK);
    struct wheel_timer before = c.t;
    for (uint64_t i = 100; i <= 5000; i++) wheel_set(&w, &c.t, i * TICK);
    assert_memory_equal(&c.t.link, &before.link, sizeof(before.link));
    assert_int_equal(c.t.slotted, 100 * TICK);
    assert_int_equal(w.armed, 1);
    assert_true(wheel_next(&w) <= 100 * TICK);
    wheel_run(&w, 100 * TICK, UINT_MAX);
    assert_int_equal(c.fired, 0);
    assert_int_equal(c.t.slotted, 5000 * TICK);
    assert_int_equal(w.armed, 1);
    check_slots();
    wheel_run(&w, 5000 * TICK - 1, UINT_MAX);
    assert_int_equal(c.fired, 0);
    wheel_run(&w, 5000 * TICK, UINT_MAX);
    assert_int_equal(c.fired, 1);
}

static void an_earlier_deadline_moves_the_timer(void **state)
{
    (void)state;
    struct counted c = {0};
    wheel_init(&w, 0);
    wheel_timer_init(&c.t, count);
    wheel_set(&w, &c.t, 5000 * TICK);
    wheel_set(&w, &c.t, 9000 * TICK);
    wheel_set(&w, &c.t, 70 * TICK);
    check_slots();
    wheel_run(&w, 70 * TICK, UINT_MAX);
    assert_int_equal(c.fired, 1);
    wheel_set(&w, &c.t, 100 * TICK);
    wheel_set(&w, &c.t, 200 * TICK);
    wheel_set(&w, &c.t, WHEEL_NEVER);
    assert_int_equal(w.armed, 0);
    wheel_run(&w, 10000 * TICK, UINT_MAX);
    assert_int_equal(c.fired, 1);
}

static void clear_other(struct wheel_timer *t)
{
    count(t);
    wheel_clear(&w, &container_of(t, struct counted, t)->other->t);
}

static void set_other(struct wheel_timer *t)
{
    count(t);
    struct counted *c = container_of(t, struct counted, t);
    wheel_set(&w, &c->other->t, c->deadline);
}

/* Two timers due in one run that clear or set each other: whichever runs first wins. */
static void callbacks_reach_timers_of_the_same_run(void **state)
{
    (void)state;
    struct counted a = {0}, b = {0};
    wheel_init(&w, 0);
    a.other = &b;
    b.other = &a;
    wheel_timer_init(&a.t, clear_other);
    wheel_timer_init(&b.t, clear_other);
    wheel_set(&w, &a.t, 3 * TICK);
    wheel_set(&w, &b.t, 3 * TICK);
    wheel_run(&w, 10 * TICK, UINT_MAX);
    assert_int_equal(a.fired + b.fired, 1);
    assert_int_equal(w.armed, 0);

    /* The second one is postponed past the run. */
    a.fired = b.fired = 0;
    a.deadline = b.deadline = 50 * TICK;
    wheel_timer_init(&a.t, set_other);
    wheel_timer_init(&b.t, set_other);
    wheel_set(&w, &a.t, 20 * TICK);
    wheel_set(&w, &b.t, 21 * TICK);
    wheel_run(&w, 30 * TICK, UINT_MAX);
    assert_int_equal(a.fired + b.fired, 1);
    assert_int_equal(w.armed, 1);
    check_slots();
    wheel_run(&w, 50 * TICK, UINT_MAX);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 1);
}

static void run_ends_when_a_timer_rearms_itself_for_the_past(void **state)
{
    (void)state;
    struct counted c = {0};
    wheel_init(&w, 0);
    wheel_timer_init(&c.t, set_other);
    c.other = &c;
    c.deadline = TICK;
    wheel_set(&w, &c.t, TICK);
    for (int i = 1; i <= 5; i++) {
        wheel_run(&w, 7 * TICK, UINT_MAX);
        assert_int_equal(c.fired, i);
        assert_int_equal(wheel_next(&w), 0);
    }
}

static void deadlines_near_the_maximum(void **state)
{
    (void)state;
    struct counted c = {0};
    wheel_init(&w, 5);
    wheel_timer_init(&c.t, count);
    wheel_set(&w, &c.t, WHEEL_NEVER - 1);
    assert_true(wheel_next(&w) < WHEEL_NEVER);
    wheel_run(&w, UINT64_MAX - 1, UINT_MAX);
    check_slots();
    assert_true(wheel_next(&w) == WHEEL_NEVER - 1);
    assert_int_equal(c.fired, 0);
    wheel_clear(&w, &c.t);
    wheel_init(&w, 5);
    wheel_set(&w, &c.t, UINT64_MAX - TICK + 1);
    wheel_run(&w, UINT64_MAX, UINT_MAX);
    assert_int_equal(c.fired, 1);
}

static int count_fired(const struct counted *c, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) sum += c[i].fired;
    return sum;
}

/* What is left over runs next, and nothing is lost. */
static void a_run_is_bounded(void **state)
{
    (void)state;
    enum { N = 10 };
    struct counted c[N] = {0};
    wheel_init(&w, 0);
    for (int i = 0; i < N; i++) {
        wheel_timer_init(&c[i].t, count);
        wheel_set(&w, &c[i].t, i % 2 ? TICK : 3 * TICK);
    }
    wheel_run(&w, 4 * TICK, 3);
    assert_int_equal(count_fired(c, N), 3);
    assert_int_equal(wheel_next(&w), 0);
    check_slots();
    wheel_run(&w, 4 * TICK, 0);
    assert_int_equal(count_fired(c, N), 3);
    wheel_run(&w, 4 * TICK, N - 4);
    assert_int_equal(count_fired(c, N), N - 1);
    check_slots();
    wheel_run(&w, 4 * TICK, 5);
    for (int i = 0; i < N; i++) assert_int_equal(c[i].fired, 1);
    assert_true(wheel_next(&w) == WHEEL_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle),
        cmocka_unit_test(fires_in_its_tick),
        cmocka_unit_test(past_deadlines_fire_on_the_next_run),
        cmocka_unit_test(a_later_deadline_is_only_stored),
        cmocka_unit_test(an_earlier_deadline_moves_the_timer),
        cmocka_unit_test(callbacks_reach_timers_of_the_same_run),
        cmocka_unit_test(run_ends_when_a_timer_rearms_itself_for_the_past),
        cmocka_unit_test(deadlines_near_the_maximum),
        cmocka_unit_test(a_run_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
