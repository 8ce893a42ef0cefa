#include "load/schedule.h"

#include "base/assert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START UINT64_C(123456789012345)

static void constant_times_are_exact(void **state)
{
    struct schedule s;
    (void)state;
    schedule_start(&s, 1000, false, 1, 0, START);
    for (uint64_t i = 0; i < 100000; i++, schedule_next(&s))
        assert_int_equal(schedule_due(&s), START + i * 1000000);
    /* Fractions of a ns do not accumulate rounding errors. */
    schedule_start(&s, 3e6, false, 1, 0, START);
    for (uint64_t i = 0; i < 3000000; i++) schedule_next(&s);
    assert_in_range(schedule_due(&s), START + 999999999, START + 1000000001);
}

static void cores_take_turns(void **state)
{
    enum { CORES = 4 };
    struct schedule s[CORES];
    (void)state;
    for (int core = 0; core < CORES; core++)
        schedule_start(&s[core], 4000.0 / CORES, false, 1, core / (double)CORES, START);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(schedule_due(&s[i % CORES]), START + i * 250000);
        schedule_next(&s[i % CORES]);
    }
}

static void extreme_rates_are_exact(void **state)
{
    struct schedule s;
    (void)state;
    schedule_start(&s, 0.001, false, 1, 0, START);
    schedule_next(&s);
    assert_int_equal(schedule_due(&s), START + UINT64_C(1000000000000));
    schedule_start(&s, 1e9, false, 1, 0, START);
    for (int i = 0; i < 1000; i++) schedule_next(&s);
    assert_int_equal(schedule_due(&s), START + 1000);
}

static void a_closed_loop_has_no_schedule(void **state)
{
    struct schedule s;
    (void)state;
    schedule_start(&s, 0, false, 1, 0.5, START);
    assert_true(s.mean == 0);
    assert_int_equal(schedule_due(&s), START);
}

/* Of n exponential intervals of mean 1, the mean and the variance lie within six of their standard
 * errors (1/sqrt(n) and sqrt(8/n)), and so do the shares beyond 0.1, 0.5, 1, 2, 4 and 8 times the
 * mean (binomial). The seed is fixed, so the result is always the same. */
static void poisson_intervals_are_exponential(void **state)
{
    enum { N = 200000 };
    static const double beyond[] = {0.1, 0.5, 1, 2, 4, 8};
    uint64_t count[ARRAY_LEN(beyond)] = {0};
    struct schedule s;
    double mean = 0, squares = 0, last = 0;
    (void)state;
    schedule_start(&s, 1000, true, 42, 0, START);
    for (int i = 0; i < N; i++, schedule_next(&s)) {
        double x = (s.at - last) / 1e6;
        last = s.at;
        assert_true(x >= 0);
        mean += x;
        squares += x * x;
        for (size_t k = 0; k < ARRAY_LEN(beyond); k++) count[k] += x > beyond[k];
    }
    mean /= N;
    double variance = squares / N - mean * mean;
    assert_true(fabs(mean - 1) < 6 / sqrt(N));
    assert_true(fabs(variance - 1) < 6 * sqrt(8.0 / N));
    for (size_t k = 0; k < ARRAY_LEN(beyond); k++) {
        double p = exp(-beyond[k]);
        assert_true(fabs((double)count[k] - p * N) < 6 * sqrt(p * (1 - p) * N) + 1);
    }
}

/* Two in a row are not correlated, within six standard errors. */
static void poisson_intervals_are_independent(void **state)
{
    enum { N = 100000 };
    struct schedule s;
    double last = 0, before = 0, sum = 0;
    (void)state;
    schedule_start(&s, 1000, true, 7, 0, START);
    for (int i = 0; i < N; i++, schedule_next(&s)) {
        double x = (s.at - last) / 1e6 - 1;
        last = s.at;
        if (i) sum += x * before;
        before = x;
    }
    assert_true(fabs(sum / N) < 6 / sqrt(N));
}

static void times_follow_from_the_seed(void **state)
{
    struct schedule a, b, c;
    unsigned same = 0;
    (void)state;
    schedule_start(&a, 5000, true, 1, 0, START);
    schedule_start(&b, 5000, true, 1, 0, START);
    schedule_start(&c, 5000, true, 2, 0, START);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(schedule_due(&a), schedule_due(&b));
        same += schedule_due(&a) == schedule_due(&c);
        schedule_next(&a);
        schedule_next(&b);
        schedule_next(&c);
    }
    assert_true(same < 10);
}

/* As many as are counted one by one; skipping them leads to the same time. */
static void requests_left_are_counted_and_skipped(void **state)
{
    static const double rates[] = {0.001, 1000, 12345.678, 3e6, 1e8};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct schedule s, skipped;
        schedule_start(&s, rates[i], false, 1, 0.3, START);
        for (uint64_t to = START; to < START + 30000000; to = to * 2 - START + 12345) {
            uint64_t n = 0, left = schedule_left(&s, to);
            skipped = s;
            for (; schedule_due(&s) < to; n++) schedule_next(&s);
            assert_in_range(left - n + 1, 0, 2); /* rounding of fractions of a ns */
            schedule_skip(&skipped, to);
            assert_true(schedule_due(&skipped) >= to);
            assert_true(fabs(skipped.at - s.at) <= s.mean * 1.001);
            assert_int_equal(schedule_left(&s, to), 0);
        }
    }
}

/* Within six standard deviations of a count of that mean. */
static void requests_left_of_a_poisson_process_are_estimated(void **state)
{
    struct schedule s;
    double n = 0;
    (void)state;
    schedule_start(&s, 1e6, true, 1, 0, START);
    double left = (double)schedule_left(&s, START + 100000000);
    for (; schedule_due(&s) < START + 100000000; n++) schedule_next(&s);
    assert_true(fabs(left - n) < 6 * sqrt(n));
}

static void a_closed_loop_has_no_requests_left(void **state)
{
    struct schedule s;
    (void)state;
    schedule_start(&s, 0, false, 1, 0, START);
    assert_int_equal(schedule_left(&s, START + 1000), 0);
    schedule_skip(&s, START + 1000);
    assert_int_equal(schedule_due(&s), START);
}

/* Of a million connections over a day. */
static void a_long_ramp_is_even(void **state)
{
    static const uint64_t hour = 3600000000000;
    (void)state;
    assert_int_equal(schedule_ramp(7, 0, 0), 7);
    assert_int_equal(schedule_ramp(7, 0, 700), 1);
    assert_int_equal(schedule_ramp(7, 99, 700), 1);
    assert_int_equal(schedule_ramp(7, 100, 700), 2);
    assert_int_equal(schedule_ramp(7, 699, 700), 7);
    for (uint64_t i = 0; i < 24; i++)
        assert_int_equal(schedule_ramp(2400000, i * hour, 24 * hour), i * 100000 + 1);
    assert_int_equal(schedule_ramp(UINT32_MAX, 24 * hour - 1, 24 * hour), UINT32_MAX);
    assert_int_equal(schedule_ramp(UINT32_MAX, 24 * hour, 24 * hour), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_times_are_exact),
        cmocka_unit_test(cores_take_turns),
        cmocka_unit_test(extreme_rates_are_exact),
        cmocka_unit_test(a_closed_loop_has_no_schedule),
        cmocka_unit_test(poisson_intervals_are_exponential),
        cmocka_unit_test(poisson_intervals_are_independent),
        cmocka_unit_test(times_follow_from_the_seed),
        cmocka_unit_test(requests_left_are_counted_and_skipped),
        cmocka_unit_test(requests_left_of_a_poisson_process_are_estimated),
        cmocka_unit_test(a_closed_loop_has_no_requests_left),
        cmocka_unit_test(a_long_ramp_is_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
