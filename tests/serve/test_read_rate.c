/* --min-read-rate: a client that takes too little of what waits for it is cut off, and no other.
 * The tests assert outcomes, not times. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BIG = 16 << 20, /* more than the kernel buffers */
    PIECE = 4096,
    SMALL_BUFFER = 4096, /* of a client: the server sees soon that it reads */
};

static struct server s;
static char *dir;

/* Neither the lack of progress nor idleness ends anything. */
#define PATIENT "--write-timeout", "1h", "--idle-timeout", "1h", "--body-timeout", "1h"

#define start(...)                                                                                 \
    do {                                                                                           \
        dir = files_open();                                                                        \
        files_fill(dir, "big", BIG);                                                               \
        server_start(&s, "--root", dir, PATIENT __VA_OPT__(, ) __VA_ARGS__);                       \
    } while (0)

static void stop(void)
{
    server_stop(&s);
    files_close(dir);
}

/* A client whose kernel takes little for it. */
static void ask_for(struct client *c, const char *path)
{
    client_open_to(c, &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
    client_ask(c, "GET", path, "");
}

/* Reads for `ms`, a piece every 20 ms; false if the connection has ended. */
static bool drip(struct client *c, int ms)
{
    char piece[PIECE];
    for (; ms > 0; ms -= 20) {
        ssize_t n = tcp_try_receive(c->fd, piece, sizeof piece);
        if (n <= 0) return false;
        c->received += (uint64_t)n;
        sleep_ms(20);
    }
    return true;
}

/* What the kernel still has for the client, it need not wait for. */
static void drip_until_cut(struct client *c)
{
    while (stats_number(&s, "total.timeouts_read_rate") == 0 && drip(c, 200)) continue;
}

/* Reads all of it, in a hurry now; false if the connection ends before. */
static bool read_big(struct client *c)
{
    static char piece[64 << 10];
    int buffer = 4 << 20;
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), 0);
    while (c->received < BIG) {
        ssize_t n = tcp_try_receive(c->fd, piece, sizeof piece);
        if (n <= 0) return false;
        c->received += (uint64_t)n;
    }
    return true;
}

/* The server has cut off `n` clients, of which `aborted` were in a request, and serves others. */
static void expect_cuts(double n, double aborted)
{
    struct reply r = {0};
    stats_await(&s, "total.timeouts_read_rate", n);
    stats_await(&s, "total.connections_closed", n);
    client_fetch(&s.addr, "/plaintext", &r);
    assert_int_equal(r.status, 200);
    assert_true(stats_number(&s, "total.requests_aborted_slow") == aborted);
    assert_true(stats_number(&s, "total.requests_aborted_timeout") == 0);
    assert_true(stats_number(&s, "total.timeouts_write") == 0);
    reply_free(&r);
}

/* None of the clients so far. */
static void expect_no_cut(void)
{
    assert_true(stats_number(&s, "total.timeouts_read_rate") == 0);
    assert_true(stats_number(&s, "total.requests_aborted_slow") == 0);
}

static void test_dripping_client_is_cut(void **state)
{
    struct client c;
    (void)state;
    start("--min-read-rate", "100m", "--read-grace", "300ms");
    ask_for(&c, "/static/big");
    drip_until_cut(&c);
    assert_true(c.received < BIG);
    client_close(&c);
    expect_cuts(1, 1);

    /* One that reads nothing at all, too. */
    ask_for(&c, "/static/big");
    stats_await(&s, "total.timeouts_read_rate", 2);
    assert_false(read_big(&c));
    client_close(&c);
    stop();
}

static void test_dripping_client_of_a_stream_is_cut(void **state)
{
    struct client c;
    char *body = calloc(1, BIG);
    (void)state;
    assert_non_null(body);
    start("--min-read-rate", "100m", "--read-grace", "300ms");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
    client_sendf(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BIG);
    client_try_send(&c, body, BIG); /* ends early, as the echo is not read */
    drip_until_cut(&c);
    client_close(&c);
    expect_cuts(1, 1);
    free(body);
    stop();
}

/* Answers that were given whole, more than the kernel and the server hold: their requests are done,
 * and all but the last is counted as such. */
static void test_dripping_client_of_small_answers_is_cut(void **state)
{
    enum { AT_ONCE = 100 };
    static const char ask[] = "GET /json/50?m=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    char asks[AT_ONCE * (sizeof ask - 1)];
    struct client c;
    (void)state;
    for (size_t i = 0; i < AT_ONCE; i++) memcpy(asks + i * (sizeof ask - 1), ask, sizeof ask - 1);
    start("--min-read-rate", "100m", "--read-grace", "300ms");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = SMALL_BUFFER});
    while (client_try_send(&c, asks, sizeof asks)) continue; /* until the server has closed */
    client_close(&c);
    expect_cuts(1, 0);
    stop();
}

/* Its output waits for several times the grace, but it takes enough meanwhile. */
static void test_slow_but_fast_enough(void **state)
{
    struct client c;
    (void)state;
    start("--min-read-rate", "4k", "--read-grace", "2s");
    ask_for(&c, "/static/big");
    assert_true(drip(&c, 5000));
    assert_true(read_big(&c));
    client_close(&c);
    expect_no_cut();
    stop();
}

/* Pauses that are longer than the grace together, but not alone. */
static void test_pauses_within_the_grace(void **state)
{
    struct client c;
    (void)state;
    start("--min-read-rate", "10k", "--read-grace", "4s");
    ask_for(&c, "/static/big");
    for (int i = 0; i < 6; i++) {
        sleep_ms(700);
        assert_true(drip(&c, 200));
    }
    assert_true(read_big(&c));
    client_close(&c);
    expect_no_cut();
    stop();
}

static void post_line(void)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, &s);
    client_ask(&c, "POST", "/events", "Content-Length: 1\r\n");
    client_send(&c, "x", 1);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 202);
    client_close(&c);
    reply_free(&r);
}

static void await_text(struct client *c, const char *text)
{
    while (c->len == 0 || !memmem(c->buf, c->len, text, strlen(text)))
        assert_true(client_more(c) > 0);
}

/* A stream's pauses, and the wait for an answer, are not the client's. */
static void test_slow_producers(void **state)
{
    enum { LINES = 20 };
    struct client events, poll;
    struct reply r = {0};
    char want[32];
    (void)state;
    start("--min-read-rate", "1g", "--read-grace", "500ms");
    ask_for(&events, "/events");
    await_text(&events, ": hello\n\n");
    ask_for(&poll, "/delay/1500");
    for (int i = 1; i <= LINES; i++) {
        post_line();
        snprintf(want, sizeof want, "id: %d\ndata: x\n\n", i);
        await_text(&events, want);
        sleep_ms(100);
    }
    client_reply(&poll, "GET", &r);
    assert_string_equal(r.body, "1500");
    expect_no_cut();
    client_close(&events);
    client_close(&poll);
    reply_free(&r);
    stop();
}

static void test_zero_turns_it_off(void **state)
{
    struct client c;
    (void)state;
    start("--min-read-rate", "0", "--read-grace", "1ms");
    ask_for(&c, "/static/big");
    sleep_ms(300);
    assert_true(drip(&c, 700));
    assert_true(read_big(&c));
    client_close(&c);
    expect_no_cut();
    stop();
}

static void test_default_hurts_nobody(void **state)
{
    struct client c;
    (void)state;
    start();
    ask_for(&c, "/static/big");
    sleep_ms(1000);
    assert_true(drip(&c, 1000));
    assert_true(read_big(&c));
    client_close(&c);
    expect_no_cut();
    stop();
}

static void configure(const char *text)
{
    files_write(dir, "config", text, strlen(text));
}

static void start_configured(const char *text)
{
    dir = files_open();
    files_fill(dir, "big", BIG);
    configure(text);
    char *config = files_path(dir, "config");
    server_start(&s, "--root", dir, "--config", config, PATIENT);
    free(config);
}

/* What waits already is judged by the new settings. */
static void test_reload(void **state)
{
    struct client c;
    (void)state;
    start_configured("min-read-rate = 0\n");
    ask_for(&c, "/static/big");
    assert_true(drip(&c, 600));
    expect_no_cut();
    configure("min-read-rate = 100m\nread-grace = 200ms\n");
    server_signal(&s, SIGHUP);
    drip_until_cut(&c);
    assert_true(c.received < BIG);
    client_close(&c);
    expect_cuts(1, 1);
    stop();
}

/* A handler holds the core, so that it begins to drain before it takes the new settings. With as
 * many connections as there may be, the core looks each second how fast they are read. */
static void test_reload_in_a_drain(void **state)
{
#define LIMITS "min-read-rate = 1k\ndrain-timeout = 1m\n"
    struct client c, held;
    struct reply r = {0};
    (void)state;
    start_configured(LIMITS "max-connections = 2\nread-grace = 1h\n");
    client_open(&held, &s);
    ask_for(&c, "/static/big");
    assert_true(drip(&c, 2500));
    client_ask(&held, "GET", "/crypto?ms=400&where=inline", "");
    stats_await(&s, "total.requests_started", 2);
    configure(LIMITS "max-connections = 1\nread-grace = 1m\n");
    server_signal(&s, SIGHUP);
    sleep_ms(300);
    server_signal(&s, SIGTERM);
    client_reply(&held, "GET", &r);
    assert_true(drip(&c, 2500));
    assert_true(read_big(&c));
    client_close(&c);
    client_close(&held);
    reply_free(&r);
    stop();
#undef LIMITS
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dripping_client_is_cut),
        cmocka_unit_test(test_dripping_client_of_a_stream_is_cut),
        cmocka_unit_test(test_dripping_client_of_small_answers_is_cut),
        cmocka_unit_test(test_slow_but_fast_enough),
        cmocka_unit_test(test_pauses_within_the_grace),
        cmocka_unit_test(test_slow_producers),
        cmocka_unit_test(test_zero_turns_it_off),
        cmocka_unit_test(test_default_hurts_nobody),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_reload_in_a_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
