/* The drain on SIGTERM: how each kind of connection ends, and the exit status. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Starts a request that stays in flight until the test sends the 10 bytes of its body. */
static void hold(struct client *c, const struct server *s)
{
    client_open(c, s);
    client_ask(c, "POST", "/upload", "Content-Length: 10\r\nExpect: 100-continue\r\n");
    struct reply r = {0};
    client_reply(c, "POST", &r);
    assert_int_equal(r.status, 100); /* the handler waits for the body */
    reply_free(&r);
}

#define FIRST "GET /pipeline HTTP/1.1\r\nHost: a\r\n\r\n"

static void await_draining(const struct server *s)
{
    struct reply r = {0};
    for (int i = 0; i < SERVER_SECONDS * 100 && r.status != 503; i++, sleep_ms(10))
        client_fetch(&s->admin, "/readyz", &r);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "draining\n");
    reply_free(&r);
}

static void await_refused(const struct server *s)
{
    struct client c;
    int err = 0;
    for (int i = 0; i < SERVER_SECONDS * 100 && err != -ECONNREFUSED; i++, sleep_ms(10))
        if ((err = client_try_open(&c, &s->addr, NULL)) == 0) client_close(&c);
    assert_int_equal(err, -ECONNREFUSED);
}

static void drain_with_work(const char *cores)
{
    struct server s;
    struct client idle[8], used[8], busy, delayed;
    struct reply r = {0};
    server_start(&s, "--drain-timeout", "1h", "--idle-timeout", "1h", "--cores", cores);
    client_fetch(&s.admin, "/readyz", &r);
    assert_int_equal(r.status, 200);
    for (int i = 0; i < 8; i++) client_open(&idle[i], &s);
    for (int i = 0; i < 8; i++) {
        client_open(&used[i], &s);
        client_get(&used[i], "/plaintext", 200, &r);
    }
    client_open(&delayed, &s);
    client_ask(&delayed, "GET", "/delay/2000", "");
    hold(&busy, &s);
    stats_await(&s, "total.connections_accepted", 18);
    stats_await(&s, "total.requests_started", 10);

    server_signal(&s, SIGTERM);
    await_draining(&s);
    await_refused(&s);
    for (int i = 0; i < 8; i++) {
        client_expect_end(&idle[i]);
        client_close(&idle[i]);
        client_expect_end(&used[i]);
        client_close(&used[i]);
    }
    client_reply(&delayed, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "2000");
    assert_true(r.closes);
    client_expect_end(&delayed);
    client_close(&delayed);

    client_fetch(&s.admin, "/healthz", &r); /* served until the end */
    assert_int_equal(r.status, 200);
    server_signal(&s, SIGTERM); /* a second signal changes nothing */
    await_draining(&s);
    client_sendf(&busy, "0123456789");
    client_reply(&busy, "POST", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "10");
    assert_true(r.closes);
    client_expect_end(&busy);
    client_close(&busy);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

static void test_drain_finishes_requests(void **state)
{
    (void)state;
    drain_with_work("1");
    drain_with_work(server_two_cores());
}

static void test_sigint_drains(void **state)
{
    struct server s;
    (void)state;
    server_start(&s);
    server_signal(&s, SIGINT);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

static void test_drain_timeout_aborts_requests(void **state)
{
    struct server s;
    struct client delayed, held;
    (void)state;
    server_start(&s, "--drain-timeout", "200ms");
    client_open(&delayed, &s);
    client_ask(&delayed, "GET", "/delay/60000", "");
    hold(&held, &s);
    stats_await(&s, "total.requests_started", 2);
    server_signal(&s, SIGTERM);
    client_await_close(&delayed);
    client_await_close(&held);
    assert_int_equal(delayed.len + held.len, 0);
    assert_int_equal(server_wait(&s), 0);
    assert_non_null(strstr(server_log(&s), "--drain-timeout"));
    client_close(&delayed);
    client_close(&held);
    server_free(&s);
}

enum { BIG = 8 << 20 };

static char *big_root(void)
{
    char *dir = files_open();
    files_fill(dir, "big", BIG);
    return dir;
}

static void test_drain_timeout_aborts_unread_response(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    char *dir = big_root();
    server_start(&s, "--drain-timeout", "200ms", "--root", dir);
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(&c, "GET", "/static/big", "");
    stats_await(&s, "total.requests_started", 1);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    client_close(&c);
    server_free(&s);
    files_close(dir);
}

/* The handler has returned, but the client has not read the response yet: what the kernel does not
 * take is queued. */
static void test_drain_finishes_sending(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    char *dir = big_root();
    server_start(&s, "--drain-timeout", "1h", "--idle-timeout", "1h", "--write-timeout", "1h",
                 "--root", dir, "--write-buffer", "64m");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(&c, "GET", "/static/big", "");
    stats_await_more(&s, "total.bytes_sent", 1);
    assert_true(stats_settled(&s, "total.bytes_sent") < BIG);
    assert_true(stats_number(&s, "total.requests") == 0);
    server_signal(&s, SIGTERM);
    await_draining(&s);
    client_reply(&c, "GET", &r);
    assert_int_equal(r.body_len, BIG);
    client_await_close(&c);
    client_close(&c);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
    files_close(dir);
}

/* A head that began before the drain may be completed. */
static void test_drain_accepts_rest_of_a_head(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--drain-timeout", "1h", "--header-timeout", "1h");
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    client_sendf(&c, "GET /pipeline HTTP/1.1\r\nHo");
    /* There is no way to see that the bytes have arrived, so allow time for it. */
    sleep_ms(300);
    server_signal(&s, SIGTERM);
    await_draining(&s);
    if (client_try_send(&c, "st: a\r\n\r\n", 9) && client_try_reply(&c, "GET", &r)) {
        assert_string_equal(r.body, "ok");
        assert_true(r.closes);
    }
    client_await_close(&c);
    client_close(&c);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* Requests that the server has not read when the drain begins are answered, too. */
static void test_drain_answers_unread_requests(void **state)
{
    struct server s;
    struct client busy, c[16];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--drain-timeout", "1h", "--idle-timeout", "1h");
    for (int i = 0; i < 16; i++) {
        client_open(&c[i], &s);
        if (i % 2) client_get(&c[i], "/plaintext", 200, &r);
    }
    client_open(&busy, &s);
    stats_await(&s, "total.connections_accepted", 17);
    client_ask(&busy, "GET", "/crypto?ms=700&where=inline", ""); /* holds the core */
    stats_await(&s, "total.requests_started", 9);
    for (int i = 0; i < 16; i++) client_ask(&c[i], "GET", "/pipeline", "");
    server_signal(&s, SIGTERM);
    await_draining(&s);
    for (int i = 0; i < 16; i++) {
        client_reply(&c[i], "GET", &r);
        assert_string_equal(r.body, "ok");
        client_close(&c[i]);
    }
    client_close(&busy);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* Who has just connected is about to send, and has longer for it than who is idle between two
 * requests. Where the machine is busy it may take too long all the same: hence the rounds. */
static void test_drain_answers_a_first_request(void **state)
{
    bool answered = false;
    (void)state;
    for (int round = 0; round < 10 && !answered; round++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        server_start(&s, "--drain-timeout", "1h");
        client_open(&c, &s);
        stats_await(&s, "total.connections_accepted", 1);
        server_signal(&s, SIGTERM);
        await_draining(&s);
        sleep_ms(150);
        answered = client_try_send(&c, FIRST, sizeof FIRST - 1) &&
                   client_try_reply(&c, "GET", &r) && r.status == 200 && r.closes;
        client_close(&c);
        reply_free(&r);
        assert_int_equal(server_wait(&s), 0);
        server_free(&s);
    }
    assert_true(answered);
}

/* Whether each client of more than there is room for gets an answer to what it sends once the
 * server drains. All of them have `sent` so much of it before. */
static bool drain_answers_all(const char *max, int sent)
{
    enum { N = 8 };
    struct server s;
    struct client c[N];
    struct reply r = {0};
    int answered = 0;
    server_start(&s, "--drain-timeout", "1h", "--max-connections", max, "--header-timeout", "1h");
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_try_send(&c[i], FIRST, (size_t)sent);
    }
    server_signal(&s, SIGTERM);
    sleep_ms(200);
    for (int i = 0; i < N; i++)
        client_try_send(&c[i], &FIRST[sent], sizeof FIRST - 1 - (size_t)sent);
    for (int i = 0; i < N; i++) {
        answered +=
            client_try_reply(&c[i], "GET", &r) && r.closes && (r.status == 200 || r.status == 503);
        client_close(&c[i]);
    }
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
    return answered == N;
}

/* Nobody is closed for others who wait for room: neither who has just connected, nor who has sent a
 * part of a head. The rounds are as above. */
static void test_drain_at_the_limit_answers_who_has_come(void **state)
{
    (void)state;
    for (int sent = 0; sent <= 10; sent += 10) {
        bool all = false;
        for (int round = 0; round < 10 && !all; round++) all = drain_answers_all("4", sent);
        assert_true(all);
    }
}

/* Nor does a silent one hold it up to --drain-timeout, however short that is. */
static void test_drain_ends_silent_connections(void **state)
{
    static const char *const timeouts[] = {"1h", "3s"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        struct client c[4];
        server_start(&s, "--drain-timeout", timeouts[i], "--header-timeout", "1h");
        for (int k = 0; k < 4; k++) client_open(&c[k], &s);
        stats_await(&s, "total.connections_accepted", 4);
        server_signal(&s, SIGTERM);
        for (int k = 0; k < 4; k++) client_expect_end(&c[k]);
        assert_int_equal(server_wait(&s), 0);
        assert_null(strstr(server_log(&s), "drain exceeded"));
        for (int k = 0; k < 4; k++) client_close(&c[k]);
        server_free(&s);
    }
}

/* Nor are connections reset that the server has not accepted by then. While the core is held, it
 * accepts nothing; the requests are in the sockets. */
static void check_drain_of_queue(const char *cores, const char *max)
{
    enum { N = 48 };
    struct server s;
    struct client c[N];
    struct reply r = {0};
    int served = 0;
    server_start(&s, "--drain-timeout", "1h", "--idle-timeout", "1h", "--cores", cores,
                 "--max-connections", max);
    server_signal(&s, SIGSTOP);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/pipeline", "");
    }
    server_signal(&s, SIGTERM);
    server_signal(&s, SIGCONT);
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_true(r.status == 200 || r.status == 503);
        served += r.status == 200;
        client_expect_end(&c[i]);
        client_close(&c[i]);
    }
    assert_true(served > 0 && (served == N || atoi(max) < N));
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

static void test_drain_serves_the_accept_queue(void **state)
{
    (void)state;
    check_drain_of_queue("1", "1000");
    check_drain_of_queue(server_two_cores(), "1000");
}

static void test_drain_serves_the_accept_queue_at_the_limit(void **state)
{
    (void)state;
    check_drain_of_queue("1", "4");
    check_drain_of_queue(server_two_cores(), "4");
}

/* Clients that wait for room are told that there is none. */
static void test_drain_answers_those_that_wait_for_room(void **state)
{
    enum { N = 40 };
    struct server s;
    struct client busy, c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--drain-timeout", "1h", "--idle-timeout", "1h", "--max-connections", "1",
                 "--admit-timeout", "1h");
    client_open(&busy, &s);
    client_ask(&busy, "GET", "/delay/1500", "");
    stats_await(&s, "total.requests_started", 1);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/pipeline", "");
    }
    server_signal(&s, SIGTERM);
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 503);
        client_expect_end(&c[i]);
        client_close(&c[i]);
    }
    client_reply(&busy, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(&busy);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* SIGTERM at any point of the start ends the server; once it is ready, by a drain. */
static void test_sigterm_while_starting(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        struct server s;
        struct server_how how = {.engine = server_engine};
        const char *const options[] = {"--listen", "127.0.0.1:0",      "--admin", "127.0.0.1:0",
                                       "--cores",  server_two_cores(), NULL};
        server_spawn(&s, &how, options);
        if (i == 23)
            server_await_ready(&s);
        else
            nanosleep(&(struct timespec){0, 1000000L * i * i / 2}, NULL);
        server_signal(&s, SIGTERM);
        int status = server_wait(&s);
        bool ready = strstr(server_log(&s), "torc: ready") != NULL;
        if (status != 0 && (ready || status != 128 + SIGTERM))
            print_error("round %u: status %d\n%s\n", i, status, server_log(&s));
        assert_true(status == 0 || (status == 128 + SIGTERM && !ready));
        server_free(&s);
    }
}

/* A partial head that is never completed does not hold up the drain. */
static void test_drain_does_not_wait_for_rest_of_a_head(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--drain-timeout", "1h", "--header-timeout", "1h");
    client_open(&c, &s);
    client_sendf(&c, "GET /pipeline HTTP/1.1\r\nHo");
    stats_await(&s, "total.connections_accepted", 1);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    client_close(&c);
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_finishes_requests),
        cmocka_unit_test(test_sigint_drains),
        cmocka_unit_test(test_drain_timeout_aborts_requests),
        cmocka_unit_test(test_drain_timeout_aborts_unread_response),
        cmocka_unit_test(test_drain_finishes_sending),
        cmocka_unit_test(test_drain_accepts_rest_of_a_head),
        cmocka_unit_test(test_drain_does_not_wait_for_rest_of_a_head),
        cmocka_unit_test(test_drain_answers_unread_requests),
        cmocka_unit_test(test_drain_answers_a_first_request),
        cmocka_unit_test(test_drain_at_the_limit_answers_who_has_come),
        cmocka_unit_test(test_drain_ends_silent_connections),
        cmocka_unit_test(test_drain_serves_the_accept_queue),
        cmocka_unit_test(test_drain_serves_the_accept_queue_at_the_limit),
        cmocka_unit_test(test_drain_answers_those_that_wait_for_room),
        cmocka_unit_test(test_sigterm_while_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
