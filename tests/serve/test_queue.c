/* Requests that wait at --max-requests. */

#include "client.h"
#include "stats.h"

#include <signal.h>

/* A request in progress until its body comes. */
static void hold(struct client *c, const struct server *s)
{
    client_open(c, s);
    client_ask(c, "POST", "/upload", "Content-Length: 2\r\n");
}

static void release(struct client *c, struct reply *r)
{
    client_sendf(c, "ab");
    client_reply(c, "POST", r);
    assert_int_equal(r->status, 200);
}

static void expect_503(struct client *c, struct reply *r)
{
    client_reply(c, "GET", r);
    assert_int_equal(r->status, 503);
    reply_retry_after(r);
}

/* Asks on a connection of its own; then so many wait. */
static void join(struct client *c, const struct server *s, double waiting)
{
    client_open(c, s);
    client_ask(c, "GET", "/plaintext", "");
    stats_await(s, "total.requests_waiting", waiting);
}

static void start_full(struct server *s, struct client *held, const char *timeout)
{
    server_start(s, "--max-requests", "1", "--queue", "2", "--queue-timeout", timeout);
    hold(held, s);
    stats_await(s, "total.requests_started", 1);
}

static void test_requests_wait_in_order(void **state)
{
    struct server s;
    struct client held, first, second, third;
    struct reply r = {0};
    (void)state;
    start_full(&s, &held, "1h");
    hold(&first, &s);
    stats_await(&s, "total.requests_waiting", 1);
    join(&second, &s, 2);
    client_open(&third, &s);
    client_ask(&third, "GET", "/plaintext", "");
    expect_503(&third, &r); /* the queue is full */
    assert_false(r.closes);
    release(&held, &r);
    stats_await(&s, "total.requests_waiting", 1); /* the first is in progress */
    client_ask(&third, "GET", "/plaintext", "");
    stats_await(&s, "total.requests_waiting", 2);
    release(&first, &r);
    client_reply(&second, "GET", &r);
    assert_int_equal(r.status, 200);
    client_reply(&third, "GET", &r);
    assert_int_equal(r.status, 200);
    stats_await(&s, "total.requests_waiting", 0);
    assert_true(stats_number(&s, "total.requests_waited") == 3);
    assert_true(stats_number(&s, "total.requests_rejected") == 1);
    assert_true(stats_number(&s, "total.requests_waited_timeout") == 0);
    client_close(&held);
    client_close(&first);
    client_close(&second);
    client_close(&third);
    reply_free(&r);
    server_stop(&s);
}

static void test_wait_ends_in_time(void **state)
{
    struct server s;
    struct client held, c;
    struct reply r = {0};
    (void)state;
    start_full(&s, &held, "100ms");
    client_open(&c, &s);
    for (int i = 0; i < 3; i++) {
        client_ask(&c, "GET", "/plaintext", "");
        expect_503(&c, &r);
        assert_false(r.closes);
    }
    stats_await(&s, "total.requests_waited_timeout", 3);
    assert_true(stats_number(&s, "total.requests_waiting") == 0);
    release(&held, &r);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&held);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_clients_leave_the_queue(void **state)
{
    struct server s;
    struct client held, reset, closed, half, c;
    struct reply r = {0};
    (void)state;
    start_full(&s, &held, "1h");
    join(&reset, &s, 1);
    join(&closed, &s, 2);
    client_reset(&reset);
    client_close(&closed);
    stats_await(&s, "total.requests_waited_left", 2);
    join(&half, &s, 1);
    client_shut(&half);
    expect_503(&half, &r);
    client_close(&half);
    join(&c, &s, 1);
    release(&held, &r);
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(&held);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Many wait for few, and each is served. */
static void test_crowd_waits(void **state)
{
    enum { N = 100 };
    struct server s;
    static struct client c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-requests", "4", "--queue", "1000", "--queue-timeout", "1h");
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/delay/5", "");
    }
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 200);
        client_close(&c[i]);
    }
    assert_true(stats_number(&s, "total.requests_waited") > 0);
    reply_free(&r);
    server_stop(&s);
}

static void test_drain_answers_those_that_wait(void **state)
{
    struct server s;
    struct client held, c;
    struct reply r = {0};
    (void)state;
    start_full(&s, &held, "1h");
    join(&c, &s, 1);
    server_signal(&s, SIGTERM);
    expect_503(&c, &r);
    assert_true(r.closes);
    release(&held, &r);
    client_close(&held);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Nor does one wait longer that comes to the queue during the drain. */
static void test_drain_answers_those_that_come_to_wait(void **state)
{
    struct server s;
    struct client held, c;
    struct reply r = {0};
    (void)state;
    start_full(&s, &held, "1h");
    client_open(&c, &s);
    client_sendf(&c, "GET /plaintext HTTP/1.1\r\nHost: a\r\n");
    sleep_ms(50); /* the server has it by then; if not, it is as in the test before */
    server_signal(&s, SIGTERM);
    sleep_ms(50);
    client_sendf(&c, "\r\n");
    expect_503(&c, &r);
    release(&held, &r);
    client_close(&held);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_wait_in_order),
        cmocka_unit_test(test_wait_ends_in_time),
        cmocka_unit_test(test_clients_leave_the_queue),
        cmocka_unit_test(test_crowd_waits),
        cmocka_unit_test(test_drain_answers_those_that_wait),
        cmocka_unit_test(test_drain_answers_those_that_come_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
