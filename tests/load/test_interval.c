#include "load/interval.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TICK (100 * NS_PER_MS)

/* Measures over so many tenths of a second, as a run does. */
static void measure(struct intervals *v, uint32_t ticks, struct interval *total)
{
    struct interval last = {0}, now = {0};
    uint32_t n = 0;
    assert_true(intervals_init(v));
    for (uint32_t i = 1; i <= ticks; i++) {
        now = (struct interval){4 * i, 3 * i, 2 * i, i * TICK};
        if (++n < v->ticks && i < ticks) continue;
        intervals_add(v, &last, &now);
        last = now;
        n = 0;
    }
    *total = now;
}

/* None is left out, and all but the last are of the same length. */
static void expect(uint32_t ticks, uint32_t length)
{
    struct intervals v;
    struct interval total, sum = {0};
    measure(&v, ticks, &total);
    assert_int_equal(v.ticks, length);
    assert_int_equal(v.n, (ticks + length - 1) / length);
    for (uint32_t i = 0; i < v.n; i++) {
        assert_true(v.all[i].wall_ns == length * TICK || i == v.n - 1);
        sum.attempts += v.all[i].attempts;
        sum.answered += v.all[i].answered;
        sum.cpu_ns += v.all[i].cpu_ns;
        sum.wall_ns += v.all[i].wall_ns;
    }
    assert_memory_equal(&sum, &total, sizeof sum);
    free(v.all);
}

static void a_long_run_has_longer_intervals(void **state)
{
    (void)state;
    expect(1, 1);
    expect(INTERVALS_MAX - 1, 1);
    expect(INTERVALS_MAX, 2);
    expect(INTERVALS_MAX + 1, 2);
    expect(180001, 4); /* five hours */
    expect(864000, 16);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_run_has_longer_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
