/* Each timeout ends what has stalled and nothing else. The tests assert outcomes, not times. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Sends that on a new connection, and has its reply. Where the machine is so busy that
 * --header-timeout passes before the first byte comes, the server closes without a word: again
 * then. Returns how often that was. */
static int ask_on_new(struct client *c, const struct server *s, const char *text, struct reply *r)
{
    double until = now_seconds() + SERVER_SECONDS;
    for (int missed = 0;; missed++) {
        client_open(c, s);
        if (client_try_send(c, text, strlen(text)) && client_try_reply(c, "GET", r)) return missed;
        assert_null(r->head);
        client_close(c);
        assert_true(now_seconds() < until);
    }
}

static int open_served(struct client *c, const struct server *s, struct reply *r)
{
    int missed = ask_on_new(c, s, "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n", r);
    assert_int_equal(r->status, 200);
    return missed;
}

static void expect_end_after_timeout(struct client *c, const struct reply *r)
{
    assert_int_equal(r->status, 408);
    assert_true(r->closes);
    client_await_close(c);
    assert_int_equal(c->len, 0);
    client_close(c);
}

static void expect_timeout(struct client *c, const char *method, struct reply *r)
{
    client_reply(c, method, r);
    expect_end_after_timeout(c, r);
}

/* ---- heads ---- */

static void test_slow_head_times_out(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--header-timeout", "200ms", "--idle-timeout", "1h");
    int missed = ask_on_new(&c, &s, "GET /plaintext HTTP/1.1\r\nHo", &r);
    expect_end_after_timeout(&c, &r);

    /* The timeout runs from the first byte; further bytes do not extend it. */
    missed += open_served(&c, &s, &r);
    client_sendf(&c, "GET /");
    for (int i = 0; i < 100 && client_try_send(&c, "x", 1); i++) sleep_ms(20);
    expect_timeout(&c, "GET", &r);

    stats_await(&s, "total.timeouts_header", 2 + missed);
    assert_true(stats_number(&s, "total.timeouts_idle") == 0);
    assert_true(stats_number(&s, "total.responses_4xx") == 2);
    reply_free(&r);
    server_stop(&s);
}

/* Each head arrives in pieces but in time; only all of them together exceed the timeout. */
static void test_heads_in_pieces_are_served(void **state)
{
    static const char head[] = "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--header-timeout", "3s", "--idle-timeout", "3s", "--body-timeout", "1ms",
                 "--write-timeout", "3s");
    client_open(&c, &s);
    for (int i = 0; i < 22; i++) {
        for (size_t at = 0; at < sizeof head - 1; at += 9) {
            client_send(&c, head + at, sizeof head - 1 - at < 9 ? sizeof head - 1 - at : 9);
            sleep_ms(40);
        }
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 200);
    }
    client_close(&c);
    assert_true(stats_number(&s, "total.timeouts_header") == 0);
    assert_true(stats_number(&s, "total.timeouts_body") == 0);
    reply_free(&r);
    server_stop(&s);
}

/* A connection on which nothing has come has to begin its first request in the same time. */
static void test_silent_connections_are_closed(void **state)
{
    struct server s;
    struct client silent, blank, used;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--header-timeout", "200ms", "--idle-timeout", "1h");
    int missed = open_served(&used, &s, &r);
    client_open(&silent, &s);
    client_open(&blank, &s);
    client_sendf(&blank, "\r\n"); /* begins no request either */
    client_expect_end(&silent);
    client_expect_end(&blank);
    stats_await(&s, "total.connections_closed", 2 + missed);
    client_get(&used, "/plaintext", 200, &r);
    assert_true(stats_number(&s, "total.timeouts_header") +
                    stats_number(&s, "total.timeouts_idle") ==
                2 + missed);
    assert_true(stats_number(&s, "total.responses_4xx") == 0);
    client_close(&silent);
    client_close(&blank);
    client_close(&used);
    reply_free(&r);
    server_stop(&s);
}

/* ---- idle connections ---- */

static void test_idle_connections_are_closed(void **state)
{
    struct server s;
    struct client fresh, used, busy, http10;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--idle-timeout", "200ms", "--header-timeout", "1h");
    client_open(&fresh, &s);
    client_open(&used, &s);
    client_open(&busy, &s);
    client_open(&http10, &s);
    client_ask(&busy, "GET", "/delay/1000", "");
    client_get(&used, "/plaintext", 200, &r);
    client_sendf(&http10, "GET /pipeline HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_reply(&http10, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_false(r.closes);

    client_expect_end(&used); /* silently */
    client_expect_end(&http10);
    stats_await_more(&s, "total.timeouts_idle", 2);
    client_reply(&busy, "GET", &r); /* its connection was not idle meanwhile */
    assert_string_equal(r.body, "1000");
    client_expect_end(&busy);
    stats_await(&s, "total.timeouts_idle", 3);
    stats_await(&s, "total.connections_closed", 3);
    assert_true(stats_number(&s, "total.timeouts_header") == 0); /* the fresh one is as it was */
    client_get(&fresh, "/plaintext", 200, &r);
    assert_true(stats_number(&s, "total.responses_4xx") == 0);
    assert_true(stats_number(&s, "total.connections_reset") == 0);
    client_close(&fresh);
    client_close(&used);
    client_close(&busy);
    client_close(&http10);
    reply_free(&r);
    server_stop(&s);
}

/* RFC 9112, 2.2: an empty line begins no request, so the clock of a head does not run. */
static void test_an_empty_line_leaves_the_connection_idle(void **state)
{
    static const char *const lines[3] = {"\r\n", "\r", "\r\n\r\n\r"};
    struct server s;
    struct client c[3], late;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--header-timeout", "50ms", "--idle-timeout", "1h", "--drain-timeout", "1h");
    for (size_t i = 0; i < 3; i++) {
        open_served(&c[i], &s, &r);
        client_sendf(&c[i], "%s", lines[i]);
    }
    open_served(&late, &s, &r);
    client_sendf(&late, "\r\nGET /");
    expect_timeout(&late, "GET", &r); /* what follows the line has its clock */
    sleep_ms(300);
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) client_sendf(&c[i], "\n");
        client_get(&c[i], "/plaintext", 200, &r);
        client_sendf(&c[i], "%s", lines[i]);
    }
    client_get(&c[0], "/plaintext", 200, &r);
    client_sendf(&c[0], "\r\n");
    stats_await(&s, "total.requests", 2 * 3 + 2);
    server_stop(&s); /* the drain closes them as idle ones: silently */
    for (size_t i = 0; i < 3; i++) {
        client_expect_end(&c[i]);
        client_close(&c[i]);
    }
    reply_free(&r);
}

static void test_an_empty_line_does_not_extend_idleness(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--header-timeout", "1h", "--idle-timeout", "200ms");
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    for (int i = 0; i < 200 && client_try_send(&c, "\r\n", 2); i++) sleep_ms(20);
    stats_await(&s, "total.timeouts_idle", 1);
    assert_true(stats_number(&s, "total.timeouts_header") == 0);
    assert_true(stats_number(&s, "total.responses_4xx") == 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- bodies ---- */

static void test_stalled_body_times_out(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--body-timeout", "200ms", "--idle-timeout", "1h", "--header-timeout", "1h");
    client_open(&c, &s);
    client_ask(&c, "POST", "/upload", "Content-Length: 10\r\n");
    client_sendf(&c, "01234");
    expect_timeout(&c, "POST", &r);

    client_open(&c, &s);
    client_ask(&c, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
    client_sendf(&c, "a\r\n0123456789\r\n");
    expect_timeout(&c, "POST", &r);

    client_open(&c, &s);
    client_ask(&c, "POST", "/baseline11?a=1&b=2", "Content-Length: 2\r\n");
    client_sendf(&c, "1");
    expect_timeout(&c, "POST", &r);

    /* A body that no handler reads is discarded, with the same timeout. */
    client_open(&c, &s);
    client_ask(&c, "POST", "/nothing", "Content-Length: 10\r\n");
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 404);
    client_await_close(&c);
    client_close(&c);
    stats_await(&s, "total.timeouts_body", 4);
    assert_true(stats_number(&s, "total.responses_4xx") == 4);

    /* Once the response has begun, closing the connection is the only signal left. */
    client_open(&c, &s);
    client_ask(&c, "POST", "/echo", "Content-Length: 10\r\n");
    client_sendf(&c, "01234");
    assert_false(client_try_reply(&c, "POST", &r));
    assert_int_equal(strncmp(r.head, "HTTP/1.1 200", 12), 0);
    client_close(&c);
    stats_await(&s, "total.timeouts_body", 5);
    reply_free(&r);
    server_stop(&s);
}

/* The whole body takes longer than the timeout, but each piece arrives in time. */
static void test_slow_body_is_served(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--body-timeout", "2s", "--header-timeout", "1ms", "--idle-timeout", "1h");
    open_served(&c, &s, &r);
    client_ask(&c, "POST", "/upload", "Content-Length: 60\r\n");
    for (int i = 0; i < 60; i++) {
        sleep_ms(40);
        client_sendf(&c, "x");
    }
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, "60");
    client_ask(&c, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
    for (int i = 0; i < 30; i++) {
        sleep_ms(40);
        client_sendf(&c, "1\r\n");
        sleep_ms(40);
        client_sendf(&c, "x\r\n");
    }
    client_sendf(&c, "0\r\n\r\n");
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, "30");
    assert_true(stats_number(&s, "total.timeouts_body") == 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- responses ---- */

enum { BIG = 32 << 20 };

static void test_client_that_does_not_read_is_closed(void **state)
{
    struct server s;
    struct client file, echo;
    struct reply r = {0};
    (void)state;
    char *dir = files_open(), *piece = calloc(1, BIG);
    assert_non_null(piece);
    files_fill(dir, "big", BIG);
    server_start(&s, "--write-timeout", "200ms", "--body-timeout", "1h", "--idle-timeout", "1h",
                 "--root", dir);
    struct tcp_how how = {.receive_buffer = 4096};
    client_open_to(&file, &s.addr, &how);
    client_ask(&file, "GET", "/static/big", "");
    stats_await(&s, "total.timeouts_write", 1);
    stats_await(&s, "total.connections_closed", 1);
    assert_false(client_try_reply(&file, "GET", &r));
    assert_true(file.received < BIG);
    client_close(&file);

    client_open_to(&echo, &s.addr, &how);
    client_sendf(&echo, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BIG);
    client_try_send(&echo, piece, BIG); /* is aborted, as the echo is not read */
    stats_await(&s, "total.timeouts_write", 2);
    stats_await(&s, "total.connections_closed", 2);
    client_close(&echo);
    reply_free(&r);
    server_stop(&s);
    free(piece);
    files_close(dir);
}

static size_t receive_up_to(struct client *c, char *out, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = tcp_try_receive(c->fd, out + got, size - got);
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

/* For several timeouts the client reads so slowly that no send of the server completes; as it reads
 * something, it has not stalled. */
static void test_slow_reader_is_served(void **state)
{
    enum { SIZE = 16 << 20, STEP = 4096, SLOW_STEPS = 220 };
    struct server s;
    struct client c;
    char part[STEP];
    (void)state;
    char *dir = files_open();
    files_fill(dir, "file", SIZE);
    server_start(&s, "--write-timeout", "1500ms", "--idle-timeout", "1h", "--root", dir);
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(&c, "GET", "/static/file", "");
    char last[4] = "";
    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        memmove(last, last + 1, 3);
        assert_true(tcp_try_receive(c.fd, last + 3, 1) == 1);
    }
    for (size_t at = 0; at < SIZE; at += STEP) {
        size_t got = receive_up_to(&c, part, STEP);
        if (got != STEP) print_error("%zu bytes at %zu of %d\n", got, at, SIZE);
        assert_int_equal(got, STEP);
        for (size_t i = 0; i < STEP; i += 61) assert_int_equal(part[i], files_byte(at + i));
        if (at < STEP * SLOW_STEPS) sleep_ms(20);
    }
    assert_true(stats_number(&s, "total.timeouts_write") == 0);
    client_close(&c);
    server_stop(&s);
    files_close(dir);
}

/* No timeout applies to a handler that waits. */
static void test_slow_handler_is_not_timed_out(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--write-timeout", "50ms", "--idle-timeout", "50ms", "--header-timeout",
                 "50ms", "--body-timeout", "50ms");
    ask_on_new(&c, &s, "GET /delay/600 HTTP/1.1\r\nHost: a\r\n\r\n", &r);
    assert_string_equal(r.body, "600");
    assert_true(stats_number(&s, "total.requests_started") == 1); /* none was cut off */
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Bytes keep coming, but too few; the same bytes are enough for another rate. While its core is
 * held up, a server times nobody out: so the body is longer than that takes. */
static void drip(const char *rate, bool enough)
{
    const int size = enough ? 40 : SERVER_SECONDS * 50;
    struct server s;
    struct client c;
    struct reply r = {0};
    server_start(&s, "--body-timeout", "1h", "--min-body-rate", rate, "--body-grace",
                 enough ? "1h" : "300ms");
    client_open(&c, &s);
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size);
    for (int sent = 0; sent < size && stats_number(&s, "total.timeouts_body") == 0; sent++) {
        client_send(&c, "x", 1);
        sleep_ms(20);
    }
    if (enough) {
        client_reply(&c, "POST", &r);
        assert_string_equal(r.body, "40");
        client_close(&c);
    } else {
        expect_timeout(&c, "POST", &r);
    }
    assert_true(stats_number(&s, "total.timeouts_body") == !enough);
    reply_free(&r);
    server_stop(&s);
}

static void test_dripping_body_times_out(void **state)
{
    (void)state;
    drip("1k", false);
    drip("1k", true);
    drip("0", true);
}

enum { HALF = 500 }; /* many more than one turn of a core receives from */

/* What a server has to receive when it goes on, after it was stopped for longer than `timeout`: of
 * half of the connections the next request, of the others the rest of a body. False if the time had
 * passed before it was stopped. */
static bool stop_and_go_on(struct client *c, const char *timeout, unsigned ms)
{
    struct server s;
    struct reply r = {0};
    server_start(&s, "--idle-timeout", timeout, "--body-timeout", timeout, "--body-grace", "1ms");
    double begun = now_seconds();
    for (int i = 0; i < 2 * HALF; i++) client_open(&c[i], &s);
    for (int i = 0; i < HALF; i++) client_get(&c[i], "/plaintext", 200, &r);
    for (int i = HALF; i < 2 * HALF; i++)
        client_sendf(&c[i],
                     "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n%02000d", 0);
    stats_await(&s, "total.body_bytes_received", HALF * 2000);
    server_signal(&s, SIGSTOP);
    bool in_time = (now_seconds() - begun) * 1000 < ms;
    for (int i = 0; i < HALF; i++) client_ask(&c[i], "GET", "/plaintext", "");
    for (int i = HALF; i < 2 * HALF; i++) client_sendf(&c[i], "%01000d", 0);
    sleep_ms(ms + 100);
    server_signal(&s, SIGCONT);
    for (int i = 0; i < 2 * HALF; i++) {
        const char *method = i < HALF ? "GET" : "POST";
        if (in_time) {
            client_reply(&c[i], method, &r);
            assert_int_equal(r.status, 200);
        }
        client_close(&c[i]);
    }
    reply_free(&r);
    server_stop(&s);
    return in_time;
}

/* Clients are not blamed for the time in which a server could not listen to them. */
static void test_a_stop_of_the_server_times_nobody_out(void **state)
{
    struct client *c = calloc(2 * HALF, sizeof *c);
    (void)state;
    assert_non_null(c);
    for (unsigned ms = 4000, more = true; more; ms *= 2) { /* where the machine is slow */
        char timeout[16];
        snprintf(timeout, sizeof timeout, "%ums", ms);
        more = !stop_and_go_on(c, timeout, ms);
    }
    free(c);
}

/* Nor is a handler blamed: it computes for `ms`, much less than --stall-warn, and the server is
 * stopped meanwhile for longer than that. False if the machine took too long. */
static bool stop_a_handler(unsigned ms)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    char limit[16], path[60];
    snprintf(limit, sizeof limit, "%ums", 6 * ms);
    snprintf(path, sizeof path, "/crypto?ms=%u&where=inline", ms);
    server_start(&s, "--stall-warn", limit);
    client_open(&c, &s);
    double begun = now_seconds();
    client_ask(&c, "GET", path, "");
    sleep_ms(ms / 2);
    server_signal(&s, SIGSTOP);
    double stopped = now_seconds();
    sleep_ms(6 * ms + 500);
    server_signal(&s, SIGCONT);
    double held = stopped - begun;
    stopped = now_seconds();
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 200);
    bool in_time = (held + now_seconds() - stopped) * 1000 < 5 * ms;
    if (in_time) assert_true(stats_number(&s, "total.stalls") == 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    return in_time;
}

static void test_a_stop_of_the_server_is_no_stall(void **state)
{
    (void)state;
    for (unsigned ms = 500; ms < 5000 && !stop_a_handler(ms);) ms *= 2;
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_head_times_out),
        cmocka_unit_test(test_heads_in_pieces_are_served),
        cmocka_unit_test(test_silent_connections_are_closed),
        cmocka_unit_test(test_idle_connections_are_closed),
        cmocka_unit_test(test_an_empty_line_leaves_the_connection_idle),
        cmocka_unit_test(test_an_empty_line_does_not_extend_idleness),
        cmocka_unit_test(test_stalled_body_times_out),
        cmocka_unit_test(test_slow_body_is_served),
        cmocka_unit_test(test_client_that_does_not_read_is_closed),
        cmocka_unit_test(test_slow_reader_is_served),
        cmocka_unit_test(test_slow_handler_is_not_timed_out),
        cmocka_unit_test(test_dripping_body_times_out),
        cmocka_unit_test(test_a_stop_of_the_server_times_nobody_out),
        cmocka_unit_test(test_a_stop_of_the_server_is_no_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
