/* The access log and the counters have every request, however it ended: its status, the bytes of
 * the body that left, and a word if it was aborted. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 8 << 20, SMALL_BUFFER = 4096 };

static struct server s;
static char *dir, *log_path;

#define start(...)                                                                                 \
    do {                                                                                           \
        dir = files_open();                                                                        \
        log_path = files_path(dir, "log");                                                         \
        files_fill(dir, "big", BIG);                                                               \
        server_start(&s, "--root", dir, "--access-log", log_path, "--access-log-format", "json",   \
                     __VA_ARGS__);                                                                 \
    } while (0)

/* The last of `lines` in the log. */
static json_t *last_line(size_t lines)
{
    char *text = files_read(log_path);
    assert_non_null(text);
    json_t *last = NULL;
    size_t n = 0;
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) && rest; n++) {
        json_decref(last);
        last = json_loads(line, 0, NULL);
        assert_non_null(last);
    }
    free(text);
    assert_int_equal(n, lines);
    return last;
}

static double number(const json_t *line, const char *name)
{
    return json_number_value(json_object_get(line, name));
}

static void expect(const json_t *line, double status, const char *end)
{
    assert_true(number(line, "status") == status);
    assert_string_equal(json_string_value(json_object_get(line, "end")), end);
}

/* What the counters say once all connections have ended. */
static void expect_counts(double done, double aborted, const char *by)
{
    char path[80];
    json_t *stats = stats_get(&s), *total = json_object_get(stats, "total");
    double sum = number(total, "responses_2xx") + number(total, "responses_3xx") +
                 number(total, "responses_4xx") + number(total, "responses_5xx");
    assert_true(sum == done);
    sum = number(total, "requests_aborted_client") + number(total, "requests_aborted_timeout") +
          number(total, "requests_aborted_slow") + number(total, "requests_aborted_server");
    assert_true(sum == aborted);
    snprintf(path, sizeof path, "requests_aborted_%s", by);
    assert_true(number(total, path) == aborted);
    json_decref(stats);
}

/* Ends the server, and returns the last of so many lines. */
static json_t *stop(size_t lines)
{
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    json_t *line = last_line(lines);
    server_free(&s);
    free(log_path);
    files_close(dir);
    return line;
}

static void stop_and_expect(size_t lines, double status, const char *end)
{
    json_t *line = stop(lines);
    expect(line, status, end);
    json_decref(line);
}

static void test_reset_while_a_body_is_sent(void **state)
{
    struct client c;
    (void)state;
    start("--write-timeout", "1h");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
    client_ask(&c, "GET", "/static/big", "");
    while (c.len < 100000) assert_true(client_more(&c) > 0);
    const char *body = memmem(c.buf, c.len, "\r\n\r\n", 4);
    assert_non_null(body);
    double head = (double)(body + 4 - c.buf), received = (double)c.len - head;
    client_reset(&c);
    stats_await(&s, "total.connections_closed", 1);
    expect_counts(0, 1, "client");
    double sent = stats_number(&s, "total.bytes_sent");
    json_t *line = stop(1);
    expect(line, 200, "client");
    assert_true(number(line, "bytes") == sent - head);
    assert_true(number(line, "bytes") >= received && number(line, "bytes") < BIG);
    json_decref(line);
}

static void test_reset_before_an_answer(void **state)
{
    struct client c;
    (void)state;
    start("--body-timeout", "1h");
    client_open(&c, &s);
    client_ask(&c, "GET", "/delay/60000", "");
    stats_await(&s, "total.requests_started", 1);
    client_reset(&c);
    stats_await(&s, "total.connections_closed", 1);
    client_open(&c, &s); /* an upload that is broken off */
    client_ask(&c, "POST", "/upload", "Content-Length: 1000\r\n");
    client_send_zeros(&c, 500);
    stats_await(&s, "total.requests_started", 2);
    client_reset(&c);
    stats_await(&s, "total.connections_closed", 2);
    expect_counts(0, 2, "client");
    stop_and_expect(2, 499, "client");
}

static void test_end_within_a_head(void **state)
{
    struct client c;
    (void)state;
    start("--header-timeout", "1h");
    client_open(&c, &s);
    client_sendf(&c, "GET /plain");
    client_shut(&c);
    client_expect_end(&c);
    client_close(&c);
    stats_await(&s, "total.connections_closed", 1);
    expect_counts(0, 1, "client");
    stop_and_expect(1, 499, "client");
}

static void test_client_that_reads_nothing(void **state)
{
    struct client c;
    (void)state;
    start("--write-timeout", "200ms");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
    client_ask(&c, "GET", "/static/big", "");
    stats_await(&s, "total.connections_closed", 1);
    client_close(&c);
    expect_counts(0, 1, "timeout");
    stop_and_expect(1, 200, "timeout");
}

static void test_client_that_reads_too_slowly(void **state)
{
    struct client c;
    (void)state;
    start("--min-read-rate", "1g", "--read-grace", "200ms", "--write-timeout", "1h");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
    client_ask(&c, "GET", "/static/big", "");
    stats_await(&s, "total.connections_closed", 1);
    client_close(&c);
    expect_counts(0, 1, "slow");
    assert_true(stats_number(&s, "total.timeouts_read_rate") == 1);
    stop_and_expect(1, 200, "slow");
}

static void test_server_that_stops(void **state)
{
    struct client c;
    (void)state;
    start("--drain-timeout", "100ms");
    client_open(&c, &s);
    client_ask(&c, "GET", "/delay/60000", "");
    stats_await(&s, "total.requests_started", 1);
    stop_and_expect(1, 499, "server");
    client_close(&c);
}

static void test_complete_responses(void **state)
{
    struct client c;
    struct reply r = {0};
    (void)state;
    start("--write-timeout", "1h");
    client_open(&c, &s);
    for (int i = 0; i < 3; i++) {
        client_get(&c, "/plaintext", 200, &r);
        client_get(&c, "/static/big", 200, &r);
        assert_int_equal(r.body_len, BIG);
    }
    client_get(&c, "/nowhere", 404, &r);
    client_close(&c);
    stats_await(&s, "total.connections_closed", 1);
    expect_counts(7, 0, "client");
    assert_true(stats_number(&s, "total.responses_lost") == 0);
    reply_free(&r);
    stop_and_expect(7, 404, "done");
}

/* Many clients at once, some of which go before they have everything: none is missing. */
static void test_sum_of_many(void **state)
{
    enum { CLIENTS = 50 };
    struct client c[CLIENTS];
    (void)state;
    start("--write-timeout", "1h");
    for (int i = 0; i < CLIENTS; i++) {
        client_open_to(&c[i], &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
        client_ask(&c[i], "GET", i % 2 ? "/plaintext" : "/static/big", "");
    }
    for (int i = 0; i < CLIENTS; i++) assert_true(client_more(&c[i]) > 0);
    for (int i = 0; i < CLIENTS; i++) client_reset(&c[i]);
    stats_await(&s, "total.connections_closed", CLIENTS);
    expect_counts(CLIENTS / 2, CLIENTS / 2, "client");
    json_decref(stop(CLIENTS));
}

/* It lasts from the first byte to the end, though all of that is in one turn. */
static void test_time_of_a_handler_that_computes(void **state)
{
    (void)state;
    start("--burn-ns", "1000000");
    client_expect(&s.addr, "/plaintext", 200, NULL);
    json_t *line = stop(1);
    assert_true(number(line, "duration_us") >= 100); /* how much it burns is a guess */
    json_decref(line);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_while_a_body_is_sent),
        cmocka_unit_test(test_reset_before_an_answer),
        cmocka_unit_test(test_end_within_a_head),
        cmocka_unit_test(test_client_that_reads_nothing),
        cmocka_unit_test(test_client_that_reads_too_slowly),
        cmocka_unit_test(test_server_that_stops),
        cmocka_unit_test(test_complete_responses),
        cmocka_unit_test(test_sum_of_many),
        cmocka_unit_test(test_time_of_a_handler_that_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
