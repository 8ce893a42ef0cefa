/* At a limit the server makes clients wait, rejects or closes, and later serves as before. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_ROOM = 70 * 1024 };

/* ---- connections ---- */

/* Connections that are open once no more are accepted. */
static double settled_open(const struct server *s)
{
    stats_settled(s, "total.connections_accepted");
    json_t *stats = stats_get(s);
    double n = json_number(stats, "total.connections_accepted") -
               json_number(stats, "total.connections_closed");
    json_decref(stats);
    return n;
}

/* The address of its second listener. */
static void find_second(struct server *s, struct server_addr *out)
{
    char text[64];
    const char *also = strstr(server_log(s), "torc: also ");
    assert_int_equal(sscanf(also, "torc: also http://%63[^\n]", text), 1);
    server_addr_parse(text, out);
}

/* Each asks on a connection of its own. */
static void ask_each(const struct server *s, struct client *c, int n, const char *method,
                     const char *path, const char *fields)
{
    for (int i = 0; i < n; i++) {
        client_open(&c[i], s);
        client_ask(&c[i], method, path, fields);
    }
}

/* All clients connect while the server is stopped. Each is served, at most `max` at a time. */
static void crowd(const char *cores, bool two_listeners, double max)
{
    enum { N = 40 };
    struct server s;
    static struct client c[N];
    struct reply r = {0};
    server_start(&s, "--max-connections", "4", "--cores", cores, "--listen", "127.0.0.1:0",
                 two_listeners ? "--listen" : NULL, "127.0.0.2:0");
    struct server_addr other = s.addr;
    if (two_listeners) find_second(&s, &other);
    server_signal(&s, SIGSTOP);
    for (int i = 0; i < N; i++) {
        client_open_to(&c[i], i % 2 ? &other : &s.addr, NULL);
        client_ask(&c[i], "GET", "/plaintext", "");
    }
    server_signal(&s, SIGCONT);
    assert_true(settled_open(&s) <= max);
    /* A client that has its reply closes, or is closed as idle, and makes room for another. */
    for (int left = N; left > 0;) {
        struct pollfd p[N];
        for (int i = 0; i < N; i++) p[i] = (struct pollfd){c[i].fd, POLLIN, 0};
        assert_true(poll(p, N, TCP_SECONDS * 1000) > 0);
        for (int i = 0; i < N; i++) {
            if (!p[i].revents) continue;
            client_reply(&c[i], "GET", &r);
            assert_int_equal(r.status, 200);
            assert_false(r.closes);
            client_close(&c[i]);
            left--;
        }
    }
    stats_await(&s, "total.connections_closed", N);
    assert_true(stats_number(&s, "total.connections_accepted") == N);
    assert_true(stats_number(&s, "total.connections_reset") == 0);
    reply_free(&r);
    server_stop(&s);
}

static void test_max_connections_is_kept(void **state)
{
    (void)state;
    crowd("1", false, 4);
}

static void test_max_connections_of_two_listeners(void **state)
{
    (void)state;
    crowd("1", true, 4);
}

/* SIGTERM while the limit of one connection is reached and clients wait at both listeners. */
static void test_drain_at_max_connections(void **state)
{
    enum { N = 10 };
    struct server s;
    struct client c[N];
    struct server_addr other;
    (void)state;
    server_start(&s, "--max-connections", "1", "--listen", "127.0.0.1:0", "--listen",
                 "127.0.0.2:0");
    find_second(&s, &other);
    server_signal(&s, SIGSTOP);
    for (int i = 0; i < N; i++) client_open_to(&c[i], i % 2 ? &other : &s.addr, NULL);
    server_signal(&s, SIGCONT);
    stats_await_more(&s, "total.connections_accepted", 1);
    server_stop(&s);
    for (int i = 0; i < N; i++) {
        client_await_close(&c[i]);
        client_close(&c[i]);
    }
}

static void test_max_connections_of_two_cores(void **state)
{
    (void)state;
    const char *cores = server_two_cores();
    crowd(cores, false, 4 * atoi(cores));
}

/* Only open connections count, however many have come and gone. */
static void test_closed_connections_do_not_count(void **state)
{
    struct server s;
    struct client kept[3], c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections", "4");
    for (int i = 0; i < 3; i++) {
        client_open(&kept[i], &s);
        client_get(&kept[i], "/plaintext", 200, &r);
    }
    for (int i = 0; i < 100; i++) {
        client_open(&c, &s);
        client_get(&c, "/pipeline", 200, &r);
        client_close(&c);
        stats_await(&s, "total.connections_closed", i + 1); /* before the next one comes */
    }
    for (int i = 0; i < 3; i++) {
        client_get(&kept[i], "/plaintext", 200, &r);
        client_close(&kept[i]);
    }
    reply_free(&r);
    server_stop(&s);
}

/* ---- room at the limit ---- */

/* Timeouts that no test waits for. */
#define PATIENT "--idle-timeout", "1h", "--header-timeout", "1h", "--body-timeout", "1h"

static void expect_served(const struct server *s)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
}

static void test_silent_clients_make_room(void **state)
{
    enum { N = 100 };
    struct server s;
    static struct client c[N];
    (void)state;
    server_start(&s, "--max-connections", "100", PATIENT);
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    stats_await(&s, "total.connections_accepted", N);
    expect_served(&s);
    stats_await(&s, "total.connections_evicted", 1);
    client_expect_end(&c[0]); /* it waited longest */
    for (int i = 0; i < N; i++) client_close(&c[i]);
    server_stop(&s);
}

/* Whichever core a client reaches. */
static void test_silent_clients_of_two_cores_make_room(void **state)
{
    enum { N = 40, MORE = 20 };
    struct server s;
    static struct client c[N];
    (void)state;
    server_start(&s, "--max-connections", "4", "--cores", server_two_cores(), PATIENT);
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    for (int i = 0; i < MORE; i++) expect_served(&s);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    server_stop(&s);
}

static void test_longest_idle_makes_room(void **state)
{
    enum { N = 4 };
    struct server s;
    struct client c[N], newer[2];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections", "4", "--admit-timeout", "1h", PATIENT);
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    static const int order[] = {2, 0, 1}; /* the last one stays unused, so it is the first */
    for (int i = 0; i < N - 1; i++, sleep_ms(5)) client_get(&c[order[i]], "/plaintext", 200, &r);
    client_open(&newer[0], &s);
    client_get(&newer[0], "/plaintext", 200, &r);
    client_expect_end(&c[3]);
    client_open(&newer[1], &s);
    client_get(&newer[1], "/plaintext", 200, &r);
    client_expect_end(&c[2]);
    client_get(&c[0], "/plaintext", 200, &r);
    client_get(&c[1], "/plaintext", 200, &r);
    client_get(&newer[0], "/plaintext", 200, &r);
    assert_true(stats_number(&s, "total.connections_evicted") == 2);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    for (int i = 0; i < 2; i++) client_close(&newer[i]);
    reply_free(&r);
    server_stop(&s);
}

/* Empty lines are no request: who sends them is spared before those that had one. */
static void test_empty_lines_keep_no_place(void **state)
{
    struct server s;
    struct client empty, idle, newer;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections", "2", "--admit-timeout", "1h", PATIENT);
    client_open(&empty, &s);
    client_sendf(&empty, "\r\n\r\n");
    client_open(&idle, &s);
    client_get(&idle, "/plaintext", 200, &r);
    client_open(&newer, &s);
    client_get(&newer, "/plaintext", 200, &r);
    client_expect_end(&empty);
    client_get(&idle, "/plaintext", 200, &r);
    assert_true(stats_number(&s, "total.connections_evicted") == 1);
    client_close(&empty);
    client_close(&idle);
    client_close(&newer);
    reply_free(&r);
    server_stop(&s);
}

/* Nor do clients that begin something keep others out. */
static void test_stalled_requests_make_room(void **state)
{
    enum { N = 8 };
    struct server s;
    struct client c[N];
    (void)state;
    server_start(&s, "--max-connections", "8", "--admit-timeout", "1h", PATIENT);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        if (i % 4 == 0) client_sendf(&c[i], "GET /plain");
        if (i % 4 == 1) client_ask(&c[i], "POST", "/upload", "Content-Length: 10\r\n");
        if (i % 4 == 2) client_ask(&c[i], "POST", "/plaintext", "Content-Length: 10\r\n");
        if (i % 4 == 3) client_sendf(&c[i], "\r\n");
    }
    for (int i = 0; i < N; i++) expect_served(&s);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    server_stop(&s);
}

/* Nor do those that keep sending a byte of it, `pause` ms apart, or of one that was refused. */
static void drip(const char *path, const char *length, int pause)
{
    enum { N = 3 };
    struct server s;
    struct client c[N], newer;
    struct reply r = {0};
    struct pollfd p = {.events = POLLIN};
    server_start(&s, "--max-connections", "3", "--admit-timeout", "1h", PATIENT);
    ask_each(&s, c, N, "POST", path, length);
    client_open(&newer, &s);
    client_ask(&newer, "GET", "/plaintext", "");
    p.fd = newer.fd;
    for (int i = 0; i < TCP_SECONDS * 1000 / pause && poll(&p, 1, pause) == 0; i++)
        for (int k = 0; k < N; k++) client_try_send(&c[k], "x", 1);
    assert_true(p.revents != 0);
    client_reply(&newer, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(&newer);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
}

static void test_dripping_bodies_make_room(void **state)
{
    (void)state;
    drip("/upload", "Content-Length: 100000\r\n", 200);
    drip("/upload", "Content-Length: 100000\r\n", 50);
    drip("/plaintext", "Content-Length: 99999999999\r\n", 50);
}

/* Clients at the limit, all of which ask for a large file and do not read it. Returns the directory
 * with that. `admit_timeout` may be NULL. */
static char *start_unread(struct server *s, struct client *c, int n, const char *admit_timeout)
{
    char max[16], *dir = files_open();
    files_fill(dir, "big", 16 << 20);
    snprintf(max, sizeof max, "%d", n);
    server_start(s, "--max-connections", max, "--write-timeout", "1h", "--root", dir, PATIENT,
                 admit_timeout ? "--admit-timeout" : NULL, admit_timeout);
    for (int i = 0; i < n; i++) {
        client_open_to(&c[i], &s->addr, &(struct tcp_how){.receive_buffer = 4096});
        client_ask(&c[i], "GET", "/static/big", "");
    }
    stats_await(s, "total.requests_started", n);
    return dir;
}

static void end_unread(struct server *s, struct client *c, int n, char *dir)
{
    for (int i = 0; i < n; i++) client_close(&c[i]);
    server_stop(s);
    files_close(dir);
}

/* Nor do clients that do not read. */
static void test_unread_responses_make_room(void **state)
{
    enum { N = 3 };
    struct server s;
    struct client c[N];
    (void)state;
    char *dir = start_unread(&s, c, N, "1h");
    expect_served(&s);
    assert_true(stats_number(&s, "total.timeouts_write") >= 1);
    end_unread(&s, c, N, dir);
}

/* One that comes is served, or refused and may try again. */
static bool is_served(const struct server *s)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_ask(&c, "GET", "/plaintext", "");
    client_reply(&c, "GET", &r);
    bool served = r.status == 200;
    client_close(&c);
    reply_free(&r);
    return served;
}

/* However many of them there are: all are asked at once whether they read. */
static void test_many_unread_responses_make_room(void **state)
{
    enum { N = 100, TRIES = 40 };
    struct server s;
    static struct client c[N];
    (void)state;
    char *dir = start_unread(&s, c, N, NULL);
    int tries = 0;
    for (; tries < TRIES && !is_served(&s); tries++) sleep_ms(100);
    assert_true(tries < TRIES);
    end_unread(&s, c, N, dir);
}

/* The first one is let in at once: that the others do not read is known before. A core that stands
 * still may not know it yet: then again. */
static void test_unread_responses_make_room_at_once(void **state)
{
    enum { N = 100, MORE = 5, TRIES = 5 };
    struct server s;
    static struct client c[N];
    char *dir;
    (void)state;
    for (int tries = 1;; tries++) {
        dir = start_unread(&s, c, N, NULL);
        sleep_ms(4000); /* nobody reads in this time */
        if (is_served(&s)) break;
        assert_true(tries < TRIES);
        end_unread(&s, c, N, dir);
    }
    stats_await(&s, "total.connections_closed", 2); /* the evicted one and the one served */
    for (int i = 1; i < MORE; i++) {
        expect_served(&s);
        stats_await(&s, "total.connections_closed", i + 2);
    }
    assert_true(stats_number(&s, "total.connections_evicted") == 1);
    assert_true(stats_number(&s, "total.connections_refused") == 0);
    end_unread(&s, c, N, dir);
}

static void test_busy_server_refuses(void **state)
{
    enum { N = 2 };
    struct server s;
    struct client c[N];
    (void)state;
    server_start(&s, "--max-connections", "2", "--admit-timeout", "50ms", PATIENT);
    ask_each(&s, c, N, "GET", "/delay/60000", "");
    stats_await(&s, "total.requests_started", N);
    for (int i = 0; i < 5; i++) client_expect_refused(&s);
    stats_await(&s, "total.connections_refused", 5);
    assert_true(stats_number(&s, "total.connections_evicted") == 0);
    assert_true(stats_number(&s, "total.requests") == 0);
    client_reset(&c[0]);
    stats_await(&s, "total.connections_closed", 5 + 1);
    expect_served(&s);
    client_reset(&c[1]);
    server_stop(&s);
}

/* There is room for one, who is served for long. */
static void start_full(struct server *s, struct client *busy)
{
    server_start(s, "--max-connections", "1", "--admit-timeout", "50ms", PATIENT);
    ask_each(s, busy, 1, "GET", "/delay/60000", "");
    stats_await(s, "total.requests_started", 1);
}

/* Those that were refused, and send more bit by bit, do not keep the next ones from being told. */
static void test_refused_clients_that_stay(void **state)
{
    enum { N = 60 };
    struct server s;
    struct client busy, c[N];
    struct reply r = {0};
    (void)state;
    start_full(&s, &busy);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/plaintext", "");
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 503);
        for (int j = 0; j <= i; j++) (void)client_try_send(&c[j], "x", 1);
    }
    for (int i = 0; i < N; i++) client_close(&c[i]);
    stats_await(&s, "total.connections_closed", N);
    assert_true(stats_number(&s, "total.connections_refused") == N);
    client_reset(&busy);
    reply_free(&r);
    server_stop(&s);
}

/* Nor where they come at once. */
static void test_refused_crowd_that_stays(void **state)
{
    enum { N = 100 };
    struct server s;
    struct client busy, c[N];
    struct reply r = {0};
    (void)state;
    start_full(&s, &busy);
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 503);
    }
    for (int i = 0; i < N; i++) client_close(&c[i]);
    client_reset(&busy);
    reply_free(&r);
    server_stop(&s);
}

/* They do not count for the limit: one that can be spared makes room for the next client, and no
 * more than that one. */
static void test_refused_clients_cost_nobody_a_place(void **state)
{
    enum { N = 8, REFUSED = 12 };
    struct server s;
    struct client busy[N], refused[REFUSED];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections", "8", PATIENT);
    ask_each(&s, busy, N, "GET", "/delay/2500", "");
    stats_await(&s, "total.requests_started", N);
    for (int i = 0; i < REFUSED; i++) client_open(&refused[i], &s);
    for (int i = 0; i < REFUSED; i++) {
        client_reply(&refused[i], "GET", &r);
        assert_int_equal(r.status, 503);
    }
    for (int i = 0; i < N; i++) {
        client_reply(&busy[i], "GET", &r);
        assert_int_equal(r.status, 200);
        for (int k = 0; k < REFUSED; k++) (void)client_try_send(&refused[k], "x", 1);
    }
    sleep_ms(300); /* so that they are idle */
    for (int k = 0; k < REFUSED; k++) (void)client_try_send(&refused[k], "x", 1);
    expect_served(&s);
    assert_true(stats_number(&s, "total.connections_evicted") == 1);
    for (int i = 0; i < N; i++) client_close(&busy[i]);
    for (int i = 0; i < REFUSED; i++) client_close(&refused[i]);
    reply_free(&r);
    server_stop(&s);
}

/* ---- requests ---- */

static void test_max_requests_rejects_with_503(void **state)
{
    enum { MAX = 3 };
    struct server s;
    struct client held[MAX], c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-requests", "3");
    ask_each(&s, held, MAX, "POST", "/upload", "Content-Length: 2\r\n");
    stats_await(&s, "total.requests_started", MAX);
    client_open(&c, &s);
    for (int i = 0; i < 5; i++) {
        client_get(&c, "/plaintext", 503, &r);
        reply_retry_after(&r);
    }
    /* The body of a rejected request is not taken for the next request. */
    static const char body[] = "GET /delay/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
                 sizeof body - 1, body);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 503);
    for (int i = 0; i < MAX; i++) {
        client_sendf(&held[i], "ab");
        client_reply(&held[i], "POST", &r);
        assert_string_equal(r.body, "2");
    }
    client_get(&c, "/plaintext", 200, &r);
    stats_await(&s, "total.requests_rejected", 6);
    for (int i = 0; i < MAX; i++) client_close(&held[i]);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* And the end of the connection. */
static void expect_413(struct client *c, struct reply *r)
{
    client_reply(c, "POST", r);
    assert_int_equal(r->status, 413);
    assert_true(r->closes);
    client_await_close(c);
    client_close(c);
}

static void test_max_body_rejects_with_413(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-body", "10000");
    client_open(&c, &s);
    client_ask(&c, "POST", "/upload", "Content-Length: 10000\r\n");
    client_send_zeros(&c, 10000);
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, "10000");

    client_ask(&c, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
    client_sendf(&c, "2710\r\n");
    client_send_zeros(&c, 10000);
    client_sendf(&c, "\r\n0\r\n\r\n");
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, "10000");

    client_ask(&c, "POST", "/upload", "Content-Length: 10001\r\n");
    expect_413(&c, &r);

    /* With chunks the limit is only noticed while the body arrives. */
    client_open(&c, &s);
    client_ask(&c, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
    client_sendf(&c, "2711\r\n");
    client_send_zeros(&c, 10001);
    expect_413(&c, &r);

    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Sends a head of `bytes` bytes, Host and `fields` - 1 others; returns the status. */
static int send_head(const struct server *s, unsigned fields, size_t bytes)
{
    static char head[HEAD_ROOM];
    struct client c;
    struct reply r = {0};
    size_t n = (size_t)sprintf(head, "GET /plaintext HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 2; i < fields; i++) n += (size_t)sprintf(head + n, "a:\r\n");
    if (fields > 1) {
        n += (size_t)sprintf(head + n, "b:");
        for (; n + 4 < bytes; n++) head[n] = 'x';
        n += (size_t)sprintf(head + n, "\r\n");
    }
    n += (size_t)sprintf(head + n, "\r\n");
    client_open(&c, s);
    client_send(&c, head, n);
    client_reply(&c, "GET", &r);
    int status = r.status;
    client_close(&c);
    reply_free(&r);
    return status;
}

static void test_the_limits_of_a_head(void **state)
{
    static const struct {
        const char *fields_option, *bytes_option;
        unsigned fields;
        size_t bytes;
    } cases[] = {
        {"1", "1k", 1, 1024},       {"2", "1k", 2, 1024},           {"50", "2k", 50, 2048},
        {"100", "16k", 100, 16384}, {"101", "30k", 101, 30 * 1024}, {"1000", "64k", 1000, 65536},
    };
    struct server s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned fields = cases[i].fields;
        size_t bytes = cases[i].bytes;
        server_start(&s, "--max-header-fields", cases[i].fields_option, "--max-header-bytes",
                     cases[i].bytes_option);
        assert_int_equal(send_head(&s, fields, 0), 200);
        assert_int_equal(send_head(&s, fields + 1, 0), 431);
        if (fields > 1) {
            assert_int_equal(send_head(&s, 2, bytes), 200);
            assert_int_equal(send_head(&s, 2, bytes + 1), 431);
            assert_int_equal(send_head(&s, fields, bytes), 200);
        }
        server_stop(&s);
    }
}

/* A client that sends on for longer than it may be silent while the server lingers still reads the
 * answer. */
static void test_slow_upload_gets_its_413(void **state)
{
    enum { PIECE = 64 * 1024, PIECES = 50 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-body", "10000");
    client_open(&c, &s);
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                 PIECE * PIECES);
    for (int i = 0; i < PIECES; i++, sleep_ms(60)) client_send_zeros(&c, PIECE);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 413);
    client_expect_end(&c);
    client_close(&c);
    stats_await(&s, "total.connections_closed", 1);
    assert_true(stats_number(&s, "total.connections_reset") == 0);
    reply_free(&r);
    server_stop(&s);
}

/* /baseline11 reads the whole body into the request's memory, /upload does not. */
static void test_request_memory_rejects_with_413(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--request-memory", "16k");
    for (int chunked = 0; chunked < 2; chunked++) {
        for (size_t n = 4000; n <= 400000; n *= 10) {
            client_open(&c, &s);
            client_ask(&c, "POST", "/baseline11?a=1&b=2",
                       chunked      ? "Transfer-Encoding: chunked\r\n"
                       : n == 4000  ? "Content-Length: 4000\r\n"
                       : n == 40000 ? "Content-Length: 40000\r\n"
                                    : "Content-Length: 400000\r\n");
            if (chunked) client_sendf(&c, "%zx\r\n", n);
            client_send_zeros(&c, n);
            if (chunked) client_sendf(&c, "\r\n0\r\n\r\n");
            client_reply(&c, "POST", &r);
            /* A body that fits is rejected as no number, a larger one as too large. */
            if (n == 4000)
                assert_int_equal(r.status, 400);
            else
                assert_int_equal(r.status, 413);
            client_close(&c);
        }
    }
    client_open(&c, &s);
    client_ask(&c, "POST", "/upload", "Content-Length: 400000\r\n");
    client_send_zeros(&c, 400000);
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, "400000");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Every handler runs on the smallest stacks, and on many of them, as they begin at different
 * cache-line offsets. */
static void test_handlers_run_on_small_stacks(void **state)
{
    enum { N = 64, SIZE = 20000 };
    static const char *const paths[] = {"/upload", "/echo"};
    struct server s;
    static struct client c[N];
    struct reply r = {0};
    (void)state;
    char *dir = files_open();
    files_fill(dir, "file", SIZE);
    server_start(&s, "--stack-size", "16k", "--root", dir);
    for (int which = 0; which < 2; which++) {
        for (int i = 0; i < N; i++) {
            client_open(&c[i], &s);
            client_ask(&c[i], "POST", paths[which], "Content-Length: 20000\r\n");
            client_send_zeros(&c[i], 1);
        }
        stats_await(&s, "total.requests_started", (which + 1) * N);
        for (int i = 0; i < N; i++) {
            client_send_zeros(&c[i], SIZE - 1);
            client_reply(&c[i], "POST", &r);
            assert_int_equal(r.status, 200);
            client_close(&c[i]);
        }
    }
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", i % 2 ? "/file?n=20&mode=all" : "/static/file",
                   "Range: bytes=0-9,20-29\r\n");
    }
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, i % 2 ? 200 : 206);
        client_close(&c[i]);
    }
    client_fetch(&s.admin, "/metrics", &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    server_stop(&s);
    files_close(dir);
}

/* With the smallest queues, clients that send more than fits are all served. */
static void test_small_queues_serve_everyone(void **state)
{
    enum { N = 200, SIZE = 20000, BUFFER = 64, RECEIVED = N * SIZE / BUFFER };
    struct server s;
    static struct client c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--depth", "1", "--cq-depth", "1", "--buffers", "1", "--buffer-size", "64");
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "POST", "/upload", "Content-Length: 20000\r\n");
        client_send_zeros(&c[i], SIZE);
    }
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "POST", &r);
        assert_string_equal(r.body, "20000");
        client_close(&c[i]);
    }
    /* Receives are not restarted again and again while there is no buffer. */
    double no_buffer = stats_number(&s, "total.buffers_short");
    print_message("%.0f receives without a buffer, for %d buffers of data\n", no_buffer, RECEIVED);
    assert_true(no_buffer <= 2 * RECEIVED);
    reply_free(&r);
    server_stop(&s);
}

/* Running out of memory is a 503, not a client error. */
static void test_path_beyond_memory_is_503(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    char path[8000];
    unsigned refused = 0;
    (void)state;
    char *dir = files_open();
    server_start(&s, "--request-memory", "6k", "--root", dir);
    for (size_t n = 1000; n < sizeof path - 1; n += 100) {
        memset(path, 'x', n);
        memcpy(path, "/static/", 8);
        path[n] = '\0';
        client_open(&c, &s);
        client_ask(&c, "GET", path, "");
        client_reply(&c, "GET", &r);
        assert_true(r.status == 404 || r.status == 503);
        refused += r.status == 503;
        client_close(&c);
    }
    assert_true(refused > 0);
    reply_free(&r);
    server_stop(&s);
    files_close(dir);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_connections_is_kept),
        cmocka_unit_test(test_max_connections_of_two_listeners),
        cmocka_unit_test(test_max_connections_of_two_cores),
        cmocka_unit_test(test_drain_at_max_connections),
        cmocka_unit_test(test_closed_connections_do_not_count),
        cmocka_unit_test(test_silent_clients_make_room),
        cmocka_unit_test(test_silent_clients_of_two_cores_make_room),
        cmocka_unit_test(test_longest_idle_makes_room),
        cmocka_unit_test(test_empty_lines_keep_no_place),
        cmocka_unit_test(test_stalled_requests_make_room),
        cmocka_unit_test(test_dripping_bodies_make_room),
        cmocka_unit_test(test_unread_responses_make_room),
        cmocka_unit_test(test_many_unread_responses_make_room),
        cmocka_unit_test(test_unread_responses_make_room_at_once),
        cmocka_unit_test(test_busy_server_refuses),
        cmocka_unit_test(test_refused_clients_cost_nobody_a_place),
        cmocka_unit_test(test_refused_clients_that_stay),
        cmocka_unit_test(test_refused_crowd_that_stays),
        cmocka_unit_test(test_max_requests_rejects_with_503),
        cmocka_unit_test(test_max_body_rejects_with_413),
        cmocka_unit_test(test_the_limits_of_a_head),
        cmocka_unit_test(test_slow_upload_gets_its_413),
        cmocka_unit_test(test_request_memory_rejects_with_413),
        cmocka_unit_test(test_handlers_run_on_small_stacks),
        cmocka_unit_test(test_small_queues_serve_everyone),
        cmocka_unit_test(test_path_beyond_memory_is_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
