/* Server-Timing, against what the handlers of timing_server.c do. On a machine that others use
 * everything takes longer, so what is asserted are the least times and their sum. */

#include "client.h"
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct times {
    double queue, run, wait; /* ms */
    unsigned core;
};

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void read_field(const char *field, struct times *t)
{
    int end = 0;
    int n = sscanf(field, "queue;dur=%lf, run;dur=%lf, wait;dur=%lf, core;desc=\"%u\"%n", &t->queue,
                   &t->run, &t->wait, &t->core, &end);
    if (n != 4 || field[end]) print_error("%s\n", field);
    assert_true(n == 4 && !field[end]);
    assert_true(t->queue >= 0 && t->run >= 0 && t->wait >= 0);
}

static void read_times(const struct reply *r, struct times *t)
{
    char *field = reply_field(r, "Server-Timing");
    assert_non_null(field);
    read_field(field, t);
    free(field);
}

/* The three together are no longer than the client has waited. */
static void ask(const struct server *s, const char *path, int status, struct times *t)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    double before = now_ms();
    client_get(&c, path, status, &r);
    double took = now_ms() - before;
    read_times(&r, t);
    assert_true(t->queue + t->run + t->wait <= took + 0.01);
    client_close(&c);
    reply_free(&r);
}

static void test_run_and_wait(void **state)
{
    struct server s;
    struct times t;
    (void)state;
    server_start(&s, "--timing");
    /* Where the machine stands still between the handler's call and its suspension, that belongs
     * to its run, and the wait is shorter by as much: such a request is made again. */
    int asked = 0;
    do {
        ask(&s, "/both", 200, &t);
        assert_true(t.run >= 40 && t.run + t.wait >= 80);
    } while (t.wait < 40 && ++asked < 20);
    assert_true(t.wait >= 40);
    ask(&s, "/plain", 200, &t);
    assert_true(t.wait == 0 && t.core < 200);
    ask(&s, "/group", 200, &t);
    assert_true(t.run >= 80 && t.run + t.wait >= 100);
    server_stop(&s);
}

/* What is known when the head goes out. */
static void test_a_streamed_response(void **state)
{
    struct server s;
    struct times t;
    (void)state;
    server_start(&s, "--timing");
    ask(&s, "/stream", 200, &t);
    assert_true(t.run >= 20 && t.wait == 0);
    server_stop(&s);
}

/* No handler runs. */
static void test_errors_have_it_too(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    struct times t;
    (void)state;
    server_start(&s, "--timing");
    ask(&s, "/nothing", 404, &t);
    assert_true(t.run == 0 && t.wait == 0);
    client_open(&c, &s);
    client_sendf(&c, "GET / HTTP/1.1\r\nbad field\r\n\r\n");
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 400);
    read_times(&r, &t);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_both_fields_are_kept(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    struct times t;
    (void)state;
    server_start(&s, "--timing");
    client_open(&c, &s);
    client_get(&c, "/own", 200, &r);
    assert_non_null(strstr(r.head, "\r\nServer-Timing: db;dur=5\r\n"));
    char *added = strstr(r.head, "\r\nServer-Timing: queue;");
    assert_non_null(added);
    added += strlen("\r\nServer-Timing: ");
    *strchr(added, '\r') = '\0';
    read_field(added, &t);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* A request that waits for its handler is in the queue. */
static void test_the_queue(void **state)
{
    enum { HELD = 30 }; /* ms */
    struct server s;
    struct client first, second;
    struct reply r = {0};
    struct times t;
    (void)state;
    server_start(&s, "--timing", "--max-requests", "1", "--queue-timeout", "60s");
    client_open(&first, &s);
    client_open(&second, &s);
    client_ask(&first, "POST", "/hold", "Content-Length: 1\r\n");
    stats_await(&s, "total.requests_started", 1);
    client_ask(&second, "GET", "/plain", "");
    stats_await(&s, "total.requests_waiting", 1);
    sleep_ms(HELD);
    client_send(&first, "x", 1);
    client_reply(&first, "POST", &r);
    read_times(&r, &t);
    assert_true(t.wait >= HELD);
    client_reply(&second, "GET", &r);
    read_times(&r, &t);
    assert_true(t.queue >= HELD && t.wait == 0);
    client_close(&first);
    client_close(&second);
    reply_free(&r);
    server_stop(&s);
}

/* The handler computes for 60 ms at a stretch: no turn is shorter that ran it. */
static void test_the_longest_turn(void **state)
{
    struct server s;
    struct times t;
    (void)state;
    server_start(&s, "--timing");
    ask(&s, "/long", 200, &t);
    stats_await_more(&s, "total.turn_longest_seconds", 0.05);
    double longest = stats_number(&s, "total.turn_longest_seconds");
    assert_true(stats_number(&s, "total.busy_seconds") >= longest);
    assert_true(stats_number(&s, "total.turn_cqes_peak") >= 1);
    server_stop(&s);
}

static void test_off_by_default(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    client_get(&c, "/plain", 200, &r);
    assert_null(reply_field(&r, "Server-Timing"));
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_and_wait),       cmocka_unit_test(test_a_streamed_response),
        cmocka_unit_test(test_errors_have_it_too), cmocka_unit_test(test_both_fields_are_kept),
        cmocka_unit_test(test_the_longest_turn),   cmocka_unit_test(test_off_by_default),
    };
    const struct CMUnitTest of_cores[] = {cmocka_unit_test(test_the_queue)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (strcmp(server_engine, "threads") != 0) /* a thread has one request at a time */
        failed += cmocka_run_group_tests(of_cores, NULL, NULL);
    return failed;
}
