/* What leaves a core and comes back: jobs, posts and what runs every so often (working_server.c).
 */

#include "client.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void assert_logged(struct server *s, const char *what, int value)
{
    char line[64];
    snprintf(line, sizeof line, "%s %d\n", what, value);
    server_expect_log(s, line);
}

/* ---- posts ---- */

/* Asks until a connection of each core has said what that core has seen. */
static void await_posted(struct server *s, int core)
{
    struct reply r = {0};
    char want[64];
    snprintf(want, sizeof want, "core %d: 6000 run, 0 out of order", core);
    for (int i = 0; i < SERVER_SECONDS * 100; i++, sleep_ms(10)) {
        client_fetch(&s->addr, "/posted", &r);
        if (strcmp(r.body, want) == 0) break;
    }
    assert_string_equal(r.body, want);
    reply_free(&r);
}

static void test_posts_run_on_their_core_in_order(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    if (strcmp(server_two_cores(), "2") != 0) skip();
    server_start(&s, "--cores", "2");
    client_fetch(&s.addr, "/posts", &r);
    char want[16];
    snprintf(want, sizeof want, "%d", -EINVAL); /* a core that is not there */
    assert_string_equal(r.body, want);
    for (int core = 0; core < 2; core++) await_posted(&s, core);
    assert_logged(&s, "before", -ESHUTDOWN);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_logged(&s, "after", -ESHUTDOWN);
    reply_free(&r);
    server_free(&s);
}

static void test_what_posts_itself_does_not_hold_up_the_drain(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--drain-timeout", "1h");
    client_expect(&s.addr, "/posts-again", 200, "0");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_logged(&s, "again", -ESHUTDOWN);
    server_free(&s);
}

/* ---- jobs ---- */

/* Asks, and waits until a job of it runs. */
static void ask(struct server *s, struct client *c, const char *path)
{
    client_open(c, s);
    client_ask(c, "GET", path, "");
    server_await_log(s, "begun 0\n");
}

static void assert_reply(struct client *c, int want)
{
    struct reply r = {0};
    char text[16];
    client_reply(c, "GET", &r);
    snprintf(text, sizeof text, "%d", want);
    assert_string_equal(r.body, text);
    reply_free(&r);
}

static void await_logged(struct server *s, const char *what, int value)
{
    char line[64];
    snprintf(line, sizeof line, "%s %d\n", what, value);
    server_await_log(s, line);
}

static void test_a_job_leaves_its_core_to_others(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--cores", "1");
    ask(&s, &c, "/attends");
    client_expect(&s.addr, "/thread", 200, "0 torc-work");
    assert_true(stats_number(&s, "work.busy") == 1);
    server_signal(&s, SIGUSR1);
    assert_reply(&c, 7);
    stats_await(&s, "work.busy", 0);
    assert_true(stats_number(&s, "work.jobs") == 2);
    assert_true(stats_number(&s, "work.threads") == 2);
    assert_true(stats_number(&s, "work.run_seconds") > 0);
    client_close(&c);
    server_stop(&s);
}

static void test_a_full_queue_rejects(void **state)
{
    struct server s;
    struct client c[3];
    (void)state;
    server_start(&s, "--work-threads", "1", "--work-queue", "1");
    ask(&s, &c[0], "/attends");
    for (int i = 1; i < 3; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/attends", "");
        stats_await(&s, "work.queued", 1);
    }
    assert_reply(&c[2], -EAGAIN);
    assert_true(stats_number(&s, "work.rejected") == 1);
    assert_true(stats_number(&s, "work.queued_peak") == 1);
    server_signal(&s, SIGUSR1);
    for (int i = 0; i < 2; i++) assert_reply(&c[i], 7);
    assert_true(stats_number(&s, "work.wait_max_seconds") > 0);
    for (int i = 0; i < 3; i++) client_close(&c[i]);
    server_stop(&s);
}

static void test_without_threads_nothing_works(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--work-threads", "0");
    static const char *const paths[] = {"/attends", "/leaves"};
    for (int i = 0; i < 2; i++) {
        client_open(&c, &s);
        client_ask(&c, "GET", paths[i], "");
        assert_reply(&c, -ENOSYS);
        client_close(&c);
    }
    await_logged(&s, "cleaned", 3);
    server_stop(&s);
}

/* A thread that a core starts would have the descriptors of that core. */
static void test_threads_start_first_where_cores_have_their_own_descriptors(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--private-descriptors", "--work-threads", "3");
    assert_true(stats_number(&s, "work.threads") == 3);
    client_expect(&s.addr, "/thread", 200, "0 torc-work");
    server_stop(&s);
}

static void test_a_reset_tells_the_job(void **state)
{
    static const char *const paths[] = {"/attends", "/leaves"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        struct client c;
        server_start(&s);
        ask(&s, &c, paths[i]);
        client_reset(&c);
        await_logged(&s, "told", 0);
        if (i == 0) await_logged(&s, "attended", 7);
        if (i == 1) await_logged(&s, "left", -ECONNRESET);
        if (i == 1) await_logged(&s, "cleaned", 3);
        stats_await(&s, "work.busy", 0);
        assert_true(stats_number(&s, "work.cancelled") == 1);
        server_stop(&s);
    }
}

static void test_a_deadline_ends_the_wait(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    client_ask(&c, "GET", "/hurries", "");
    assert_reply(&c, -ETIME);
    await_logged(&s, "cleaned", 3);
    client_close(&c);
    server_stop(&s);
}

/* The request has gone, and its core has nothing left to do. */
static void test_a_drain_waits_for_a_job_that_was_left(void **state)
{
    struct server s;
    struct client c;
    int status;
    (void)state;
    server_start(&s, "--drain-timeout", "1h");
    ask(&s, &c, "/leaves-insisting");
    client_reset(&c);
    await_logged(&s, "left", -ECONNRESET);
    server_signal(&s, SIGTERM);
    sleep_ms(100); /* nothing is to happen, which cannot be waited for */
    assert_false(server_has_ended(&s, &status));
    assert_null(strstr(server_log(&s), "cleaned"));
    server_signal(&s, SIGUSR1);
    assert_int_equal(server_wait(&s), 0);
    assert_logged(&s, "cleaned", 3);
    server_free(&s);
}

static void test_a_job_that_never_returns_is_left_behind(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--drain-timeout", "10ms");
    ask(&s, &c, "/leaves-forever");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 4);
    assert_logged(&s, "left", -ESHUTDOWN);
    assert_non_null(strstr(server_log(&s), "torc: a job did not return after cancellation; "
                                           "stopping without it\n"));
    assert_null(strstr(server_log(&s), "cleaned"));
    client_close(&c);
    server_free(&s);
}

/* ---- what runs every so often ---- */

static void test_ticks_run_on_every_core_one_at_a_time(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", server_two_cores(), "--tick", "count");
    stats_await_more(&s, "per_core.0.ticks", 5);
    if (strcmp(server_two_cores(), "2") == 0) stats_await_more(&s, "per_core.1.ticks", 5);
    assert_true(stats_number(&s, "per_core.0.ticks_missed") > 0);
    for (int i = 0; i < 4; i++) {
        client_expect(&s.addr, "/ticked", 200, "0");
    }
    server_stop(&s);
}

static void test_ticks_end_in_a_drain(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1", "--tick", "await", "--drain-timeout", "1h");
    stats_await(&s, "total.ticks", 1);
    stats_requests(&s, &r);
    assert_non_null(strstr(r.body, "\"route\":\"torc_every\""));
    assert_non_null(strstr(r.body, "\"client or drain\""));
    reply_free(&r);
    server_stop(&s);
    server_start(&s, "--cores", "1", "--tick", "sleep", "--drain-timeout", "10ms");
    stats_await(&s, "total.ticks", 1);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_logged(&s, "tick slept", -ESHUTDOWN);
    server_free(&s);
}

static void test_a_tick_that_hangs_is_left_behind(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1", "--tick", "hang", "--drain-timeout", "10ms", "--stall-warn",
                 "250ms");
    stats_await(&s, "total.ticks", 1);
    server_await_log(&s, "torc_every: its handler has held core 0 for ");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 4);
    server_free(&s);
}

/* They stand beside those of the server, once each. */
static void test_metrics_of_the_program(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_fetch(&s.admin, "/metrics", &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\n# HELP asked_total one\\\\two\\nthree\n"
                                   "# TYPE asked_total counter\nasked_total 1\n"
                                   "# HELP heat degrees\n# TYPE heat gauge\nheat -1.5\n"
                                   "# HELP endless no number\n# TYPE endless gauge\nendless +Inf\n"
                                   "# HELP later the second function's\n# TYPE later gauge\n"
                                   "later 12345678\n"));
    assert_null(strstr(r.body, "again"));
    assert_true(stats_number(&s, "program.asked_total") == 2);
    assert_true(stats_number(&s, "program.heat") == -1.5);
    assert_true(stats_number(&s, "program.later") == 12345678);
    server_await_log(&s, "counter 0\ngauge 0\n");
    assert_logged(&s, "twice", -EEXIST);
    assert_logged(&s, "more", 0);
    reply_free(&r);
    server_stop(&s);
}

/* ---- faults ---- */

static void limit_stack(void *arg)
{
    struct rlimit limit = {1024 * 1024, 1024 * 1024};
    (void)arg;
    if (setrlimit(RLIMIT_STACK, &limit) < 0) _exit(125);
}

/* Asks for what the server does not outlive, and `leaves` once a job of it runs. */
static int status_after(struct server *s, const char *path, bool leaves)
{
    struct client c;
    server_start_prepared(s, limit_stack, NULL, (const char *const[]){"--cores", "1", NULL});
    client_open(&c, s);
    client_ask(&c, "GET", path, "");
    if (leaves) {
        server_await_log(s, "begun 0\n");
        client_reset(&c);
    }
    int status = server_wait(s);
    client_close(&c);
    return status;
}

/* The process ends as before, but says of what. */
static void test_an_overflow_off_the_fibers_is_told_of(void **state)
{
    static const struct {
        const char *path, *what;
        bool leaves;
    } cases[] = {
        {"/overflow/attended/x",
         "a job of GET /overflow/attended/:how: the stack of its thread, torc-work", false},
        {"/overflow/left/x", "a job of GET /overflow/left/:how: the stack of its thread, torc-work",
         false},
        {"/overflow/later/x",
         "a job of GET /overflow/later/:how: the stack of its thread, torc-work", true},
        {"/overflow/posted", "a function posted by torc_post: the stack of its thread, torc-0",
         false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        char want[256];
        server_expect_fault(status_after(&s, cases[i].path, cases[i].leaves));
        snprintf(want, sizeof want,
                 "torc: stack overflow in %s, has 1024 KiB (start the process "
                 "under a higher ulimit -s, or keep large objects off the stack)\n",
                 cases[i].what);
        server_expect_log(&s, want);
        server_free(&s);
    }
}

static void test_another_fault_is_none_of_torcs(void **state)
{
    struct server s;
    (void)state;
    server_expect_fault(status_after(&s, "/nowhere", false));
    assert_null(strstr(server_log(&s), "stack overflow in"));
    server_expect_log(&s, "torc: SIGSEGV at the address 0x");
    server_expect_log(&s, " in a job of GET /nowhere");
    server_free(&s);

    setenv("OWN_HANDLER", "1", 1);
    assert_int_equal(status_after(&s, "/nowhere", false), 3);
    unsetenv("OWN_HANDLER");
    assert_non_null(strstr(server_log(&s), "the program's own handler\n"));
    assert_null(strstr(server_log(&s), "stack overflow in"));
    server_free(&s);
}

/* It does not wait for who reads what is said of it. The sanitizers do, so it has a handler of its
 * own here. */
static void test_a_fault_of_which_nobody_reads_ends_the_process(void **state)
{
    struct server s;
    (void)state;
    setenv("OWN_HANDLER", "1", 1);
    assert_int_equal(status_after(&s, "/nowhere-unread", false), 3);
    unsetenv("OWN_HANDLER");
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_run_on_their_core_in_order),
        cmocka_unit_test(test_what_posts_itself_does_not_hold_up_the_drain),
        cmocka_unit_test(test_a_job_leaves_its_core_to_others),
        cmocka_unit_test(test_a_full_queue_rejects),
        cmocka_unit_test(test_without_threads_nothing_works),
        cmocka_unit_test(test_threads_start_first_where_cores_have_their_own_descriptors),
        cmocka_unit_test(test_a_reset_tells_the_job),
        cmocka_unit_test(test_a_deadline_ends_the_wait),
        cmocka_unit_test(test_a_drain_waits_for_a_job_that_was_left),
        cmocka_unit_test(test_a_job_that_never_returns_is_left_behind),
        cmocka_unit_test(test_ticks_run_on_every_core_one_at_a_time),
        cmocka_unit_test(test_ticks_end_in_a_drain),
        cmocka_unit_test(test_a_tick_that_hangs_is_left_behind),
        cmocka_unit_test(test_metrics_of_the_program),
        cmocka_unit_test(test_an_overflow_off_the_fibers_is_told_of),
        cmocka_unit_test(test_another_fault_is_none_of_torcs),
        cmocka_unit_test(test_a_fault_of_which_nobody_reads_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
