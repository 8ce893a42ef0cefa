#include "load/result.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct plan plan;
static struct run run;

static int set_up(void **state)
{
    (void)state;
    memset(&run, 0, sizeof run);
    plan = (struct plan){.n_cores = 2};
    run.plan = &plan;
    run.wall_ns = run.cpu_wall_ns = 2 * NS_PER_S;
    run.user_ns = 300 * NS_PER_MS;
    run.system_ns = 100 * NS_PER_MS;
    run.cores_ns = 400 * NS_PER_MS;
    return 0;
}

static void the_limit_to_fix_first_is_named(void **state)
{
    (void)state;
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.unsent = 1;
    assert_int_equal(result_limit(&run), LIMIT_RATE);
    run.late_ns = NS_PER_S; /* a quarter of the time, and then the server is not to blame */
    assert_int_equal(result_limit(&run), LIMIT_LATE);
    char text[RESULT_ADVICE];
    assert_non_null(strstr(result_advice(&run, text), "the generator stood still for 0.50 s"));
    run.late_ns = NS_PER_S * 2 * 2 / 20; /* 5 % */
    assert_int_equal(result_limit(&run), LIMIT_RATE);
    run.late_ns = NS_PER_S;
    run.run_delay = (struct run_delay){NS_PER_S, 1000}; /* 1 ms each, a quarter of the time */
    assert_int_equal(result_limit(&run), LIMIT_RUN_DELAY);
    run.unsent = 0;
    assert_int_equal(result_limit(&run), LIMIT_RUN_DELAY);
    run.connect_error = EADDRNOTAVAIL;
    assert_int_equal(result_limit(&run), LIMIT_PORTS);
    run.user_ns = 3900 * NS_PER_MS; /* of other threads, which are not on these cores */
    assert_int_equal(result_limit(&run), LIMIT_PORTS);
    run.cores_ns = 3900 * NS_PER_MS;
    assert_int_equal(result_limit(&run), LIMIT_CORES);
}

static void run_delay_limits_from_5_percent_on(void **state)
{
    (void)state;
    run.run_delay = (struct run_delay){NS_PER_S * 2 * 2 / 20, 10}; /* 5 % */
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.run_delay.ns++;
    assert_int_equal(result_limit(&run), LIMIT_RUN_DELAY);
    /* No longer than waking up takes: 20 us each. */
    run.run_delay = (struct run_delay){NS_PER_S, 50000};
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.run_delay = (struct run_delay){0};
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.wall_ns = run.cpu_wall_ns = 0;
    run.run_delay = (struct run_delay){NS_PER_S, 10};
    assert_int_equal(result_limit(&run), LIMIT_NONE);
}

/* A wait that began before a short run is counted when it ends within. */
static void run_delay_is_no_longer_than_the_run(void **state)
{
    (void)state;
    run.run_delay = (struct run_delay){NS_PER_S * 2 * 2 * 4, 10}; /* four times as long */
    run.cores_ns = NS_PER_S; /* a quarter of what two cores have in two seconds */
    assert_true(result_run_delay_share(&run) > 0.7499 && result_run_delay_share(&run) < 0.7501);
    run.cores_ns = NS_PER_S * 2 * 2 + 1;
    assert_true(result_run_delay_share(&run) == 0);
    run.cpu_wall_ns = 0;
    assert_true(result_run_delay_share(&run) == 0);
}

/* Requests were unsent because there was no server. */
static void failed_connects_are_not_a_low_rate(void **state)
{
    (void)state;
    run.unsent = 1;
    run.connect_error = ECONNREFUSED;
    run.counts.errors[ERROR_CONNECT] = 1;
    assert_int_equal(result_limit(&run), LIMIT_NONE);
}

static void every_error_is_a_failure(void **state)
{
    (void)state;
    assert_int_equal(result_status(&run), 1);
    run.counts.answered = 1; /* its request was due before the measurement */
    assert_int_equal(result_status(&run), 0);
    run.counts.replies = 1;
    assert_int_equal(result_status(&run), 0);
    run.interrupted = true;
    assert_int_equal(result_status(&run), 1);
    run.interrupted = false;
    run.watch.ended = true;
    assert_int_equal(result_status(&run), 1);
    run.watch.ended = false;
    for (int e = 0; e < LOAD_ERRORS; e++) {
        run.counts.errors[e] = 1;
        assert_int_equal(result_status(&run), 1);
        run.counts.errors[e] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_limit_to_fix_first_is_named, set_up),
        cmocka_unit_test_setup(run_delay_limits_from_5_percent_on, set_up),
        cmocka_unit_test_setup(run_delay_is_no_longer_than_the_run, set_up),
        cmocka_unit_test_setup(failed_connects_are_not_a_low_rate, set_up),
        cmocka_unit_test_setup(every_error_is_a_failure, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
