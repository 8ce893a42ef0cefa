/* Random operations on the wheel, compared with a model that scans every timer. */
#include "random.h"
#include "wheel_check.h"

#include <limits.h>

#include <stdbool.h>

enum { TIMERS = 48 };

static struct model {
    struct wheel_timer t;
    uint64_t deadline; /* WHEEL_NEVER when idle */
    uint64_t set_in;   /* number of the run in whose callbacks it was last set, or 0 */
    uint64_t armed_in; /* likewise, for the set that found it idle */
    uint64_t fired_in;
} timers[TIMERS];

static uint64_t now, run_number, fired_total;
static bool in_run, quiet;

static void model_set(struct model *m, uint64_t deadline)
{
    if (m->deadline == WHEEL_NEVER) m->armed_in = in_run ? run_number : 0;
    m->set_in = in_run ? run_number : 0;
    m->deadline = deadline;
    wheel_set(&w, &m->t, deadline);
}

static void model_clear(struct model *m)
{
    m->deadline = WHEEL_NEVER;
    wheel_clear(&w, &m->t);
}

static uint64_t later_by(uint64_t ns)
{
    uint64_t deadline;
    if (__builtin_add_overflow(now, ns, &deadline)) return WHEEL_NEVER - 1;
    return deadline == WHEEL_NEVER ? WHEEL_NEVER - 1 : deadline;
}

static uint64_t some_deadline(const struct model *m)
{
    uint64_t from;
    switch (random_below(8)) {
    case 0: from = random_log(40); return from < now ? now - from : 0;
    case 1: /* anywhere in the remaining time */ return now + random_below(WHEEL_NEVER - now);
    case 2: return later_by(random_below(4) * TICK);
    case 3: /* slightly later than now, as an idle deadline */
        from = m->deadline == WHEEL_NEVER ? now : m->deadline;
        return from > WHEEL_NEVER / 2 ? from : from + random_log(32);
    case 4: return later_by(random_log(63));
    default: return later_by(random_log(36));
    }
}

static void some_change(struct model *m)
{
    switch (random_below(8)) {
    case 0: model_clear(m); break;
    case 1: model_set(m, WHEEL_NEVER); break;
    default: model_set(m, some_deadline(m));
    }
}

static uint32_t model_armed(void)
{
    uint32_t armed = 0;
    for (size_t i = 0; i < TIMERS; i++) armed += timers[i].deadline != WHEEL_NEVER;
    return armed;
}

static void model_fired(struct wheel_timer *t)
{
    struct model *m = container_of(t, struct model, t);
    assert_true(in_run);
    assert_false(wheel_is_armed(t));
    assert_true(m->deadline != WHEEL_NEVER);     /* armed, according to the model */
    assert_true(now >= tick_start(m->deadline)); /* not early */
    assert_true(m->fired_in != run_number);      /* once */
    assert_true(m->armed_in != run_number); /* a timer armed by a callback waits for the next run */
    m->deadline = WHEEL_NEVER;
    m->fired_in = run_number;
    fired_total++;
    assert_int_equal(w.armed, model_armed());
    if (quiet) return;
    if (random_below(4) == 0) some_change(m);
    while (random_below(2)) some_change(&timers[random_below(TIMERS)]);
}

static void check_model(void)
{
    uint32_t armed = model_armed();
    uint64_t earliest = WHEEL_NEVER;
    for (size_t i = 0; i < TIMERS; i++) {
        struct model *m = &timers[i];
        assert_true(m->deadline == m->t.deadline);
        if (m->deadline != WHEEL_NEVER && tick_start(m->deadline) < earliest)
            earliest = tick_start(m->deadline);
    }
    assert_int_equal(w.armed, armed);
    if (armed)
        assert_true(wheel_next(&w) <= earliest);
    else
        assert_true(wheel_next(&w) == WHEEL_NEVER);
}

static void model_run(uint64_t to)
{
    now = to;
    in_run = true;
    while (random_below(4) == 0) { /* bounded runs */
        run_number++;
        wheel_run(&w, now, (unsigned)random_below(5));
    }
    run_number++;
    wheel_run(&w, now, UINT_MAX);
    in_run = false;
    for (size_t i = 0; i < TIMERS; i++) {
        struct model *m = &timers[i];
        bool was_due = m->deadline != WHEEL_NEVER && tick_start(m->deadline) <= now;
        assert_false(was_due && m->set_in != run_number); /* every due timer has fired */
    }
}

static uint64_t some_time(void)
{
    uint64_t next = wheel_next(&w);
    switch (random_below(8)) {
    case 0: return now;
    case 1:
    case 2: return next > now && next < UINT64_MAX / 4 ? next : now;
    case 3: return next > now && next < UINT64_MAX / 4 ? next - 1 : now;
    case 4: return now + random_log(random_below(20) ? 40 : 56);
    default: return now + random_log(24);
    }
}

static void agrees_with_a_naive_model(void **state)
{
    (void)state;
    for (int episode = 0; episode < 60; episode++) {
        now = random_log(50);
        wheel_init(&w, now);
        for (size_t i = 0; i < TIMERS; i++) {
            timers[i] = (struct model){.deadline = WHEEL_NEVER};
            wheel_timer_init(&timers[i].t, model_fired);
        }
        quiet = false;
        for (int step = 0; step < 1500; step++) {
            if (random_below(3))
                some_change(&timers[random_below(TIMERS)]);
            else
                model_run(some_time());
            check_model();
            if (step % 16 == 0) check_slots();
        }

        /* Run only at wheel_next, the wheel fires the rest in few runs: a timer may cause one run
         * per level, and as many again if it was postponed. */
        quiet = true;
        uint64_t fired_before = fired_total, left = 0;
        for (size_t i = 0; i < TIMERS; i++) {
            if (timers[i].deadline > UINT64_MAX - TICK) model_clear(&timers[i]);
            left += timers[i].deadline != WHEEL_NEVER;
        }
        int runs = 0;
        for (; wheel_next(&w) != WHEEL_NEVER; runs++) {
            assert_true(runs <= 2 * WHEEL_LEVELS * TIMERS);
            uint64_t next = wheel_next(&w);
            assert_true(next > now || next == 0);
            model_run(next > now ? next : now);
            check_model();
        }
        check_slots();
        assert_int_equal(fired_total - fired_before, left);
    }
    assert_true(fired_total > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
