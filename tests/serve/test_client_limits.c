/* What one client may have and do, and for how long its connection is kept. */

#include "client.h"
#include "stats.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void get(struct client *c, int status, bool closes, struct reply *r)
{
    client_get(c, "/plaintext", status, r);
    assert_int_equal(r->closes, closes);
}

/* ---- connections of a client ---- */

static void test_connections_of_a_client(void **state)
{
    enum { MAX = 3 };
    struct server s;
    struct client c[MAX], other, admin;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections-per-client", "3");
    for (int i = 0; i < MAX; i++) {
        client_open(&c[i], &s);
        get(&c[i], 200, false, &r);
    }
    for (int i = 0; i < 5; i++) client_expect_refused(&s);
    stats_await(&s, "total.connections_refused_client", 5);
    for (int i = 0; i < MAX; i++) get(&c[i], 200, false, &r); /* they are not disturbed */
    client_open_from(&other, &s, "127.0.0.2");
    get(&other, 200, false, &r);
    for (int i = 0; i < 2 * MAX; i++) { /* of the admin side there is any number */
        client_open_admin(&admin, &s);
        client_get(&admin, "/healthz", 200, &r);
        client_close(&admin);
    }
    stats_await(&s, "total.connections_closed", 5);
    client_close(&c[1]);
    stats_await(&s, "total.connections_closed", 6);
    client_open(&c[1], &s);
    get(&c[1], 200, false, &r);
    client_expect_refused(&s);
    for (int i = 0; i < MAX; i++) client_close(&c[i]);
    client_close(&other);
    reply_free(&r);
    server_stop(&s);
}

/* Through a listener of both families the kernel says ::ffff:127.0.0.1. */
static void test_connections_of_a_mapped_client(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections-per-client", "1", "--listen", "*:0");
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    v4.sin_port = ((struct sockaddr_in6 *)&s.addr.storage)->sin6_port;
    memcpy(&s.addr.storage, &v4, sizeof v4);
    s.addr.len = sizeof v4;
    client_open(&c, &s);
    get(&c, 200, false, &r);
    client_expect_refused(&s);
    client_close(&c);
    client_open_from(&c, &s, "127.0.0.3");
    get(&c, 200, false, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* A crowd of one client does not keep others out, and leaves nothing behind. */
static void test_crowd_of_a_client(void **state)
{
    enum { N = 200 };
    struct server s;
    static struct client c[N];
    struct client other;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections-per-client", "10", "--max-connections", "1000");
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    stats_await(&s, "total.connections_refused_client", N - 10);
    client_open_from(&other, &s, "127.0.0.9");
    get(&other, 200, false, &r);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    stats_await(&s, "total.connections_closed", N);
    client_open(&c[0], &s);
    get(&c[0], 200, false, &r);
    client_close(&c[0]);
    client_close(&other);
    reply_free(&r);
    server_stop(&s);
}

/* Those that were refused, and stay, take no place of the others. */
static void test_refused_crowd_costs_nobody_a_place(void **state)
{
    enum { MAX = 2, REFUSED = 30 };
    struct server s;
    struct client c[MAX], refused[REFUSED], other[MAX];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connections-per-client", "2", "--max-connections", "4",
                 "--admit-timeout", "1h");
    for (int i = 0; i < MAX; i++) {
        client_open(&c[i], &s);
        get(&c[i], 200, false, &r);
    }
    for (int i = 0; i < REFUSED; i++) {
        client_open(&refused[i], &s);
        client_reply(&refused[i], "GET", &r);
        assert_int_equal(r.status, 503);
    }
    for (int i = 0; i < MAX; i++) {
        client_open_from(&other[i], &s, "127.0.0.2");
        get(&other[i], 200, false, &r);
    }
    for (int i = 0; i < MAX; i++) get(&c[i], 200, false, &r);
    assert_true(stats_number(&s, "total.connections_refused_client") == REFUSED);
    assert_true(stats_number(&s, "total.connections_evicted") == 0);
    for (int i = 0; i < MAX; i++) client_close(&c[i]);
    for (int i = 0; i < MAX; i++) client_close(&other[i]);
    for (int i = 0; i < REFUSED; i++) client_close(&refused[i]);
    reply_free(&r);
    server_stop(&s);
}

/* Three for two cores are two on each. */
static void test_connections_of_a_client_on_two_cores(void **state)
{
    enum { N = 64 };
    const char *cores = server_two_cores();
    struct server s;
    struct client c[N];
    struct reply r = {0};
    int served = 0;
    (void)state;
    server_start(&s, "--max-connections-per-client", "3", "--cores", cores);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/plaintext", "");
    }
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_true(r.status == 200 || r.status == 503);
        served += r.status == 200;
        client_close(&c[i]);
    }
    assert_int_equal(served, atoi(cores) == 2 ? 4 : 3);
    reply_free(&r);
    server_stop(&s);
}

/* ---- the rate of a client's requests ---- */

static void test_rate_of_a_client(void **state)
{
    enum { BURST = 5 };
    struct server s;
    struct client c, again, other, admin;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--rate-limit", "1/h", "--rate-burst", "5");
    client_open(&c, &s);
    for (int i = 0; i < BURST; i++) get(&c, 200, false, &r);
    for (int i = 0; i < 3; i++) { /* on the same connection */
        get(&c, 429, false, &r);
        assert_string_equal(r.body, "429 Too Many Requests\n");
        assert_true(reply_retry_after(&r) > 3000 && reply_retry_after(&r) <= 3600);
    }
    client_open(&again, &s); /* or on another one, later */
    get(&again, 429, false, &r);
    client_close(&again);
    client_close(&c);
    stats_await(&s, "total.connections_closed", 2);
    client_open(&again, &s);
    get(&again, 429, false, &r);
    client_close(&again);
    client_open_from(&other, &s, "127.0.0.2");
    get(&other, 200, false, &r);
    client_close(&other);
    client_open_admin(&admin, &s);
    for (int i = 0; i < 3 * BURST; i++) client_get(&admin, "/healthz", 200, &r);
    client_close(&admin);
    assert_true(stats_number(&s, "total.requests_throttled") == 5);
    assert_true(stats_number(&s, "total.responses_4xx") == 5);
    reply_free(&r);
    server_stop(&s);
}

static void test_rate_of_a_client_recovers(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    int tries = 0;
    (void)state;
    server_start(&s, "--rate-limit", "4", "--rate-burst", "1");
    client_open(&c, &s);
    do {
        client_ask(&c, "GET", "/plaintext", "");
        client_reply(&c, "GET", &r);
    } while (r.status == 200 && ++tries < 1000);
    assert_int_equal(r.status, 429);
    assert_int_equal(reply_retry_after(&r), 1);
    sleep_ms(1000);
    get(&c, 200, false, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Whatever kind of request it is, the next one is read where it begins. */
static void test_throttled_requests_of_any_kind(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--rate-limit", "1/h");
    client_open(&c, &s);
    get(&c, 200, false, &r);
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\n"
                     "GET /delay/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 429);
    assert_false(r.closes);
    reply_retry_after(&r);
    client_ask(&c, "HEAD", "/plaintext", "");
    client_reply(&c, "HEAD", &r);
    assert_int_equal(r.status, 429);
    client_sendf(&c, "GET /pipeline HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 429);
    assert_false(r.closes);
    for (int i = 0; i < 20; i++) client_ask(&c, "GET", "/plaintext", ""); /* pipelined */
    for (int i = 0; i < 20; i++) {
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 429);
        assert_false(r.closes);
    }
    client_ask(&c, "POST", "/upload", "Content-Length: 3\r\nExpect: 100-continue\r\n");
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 429);
    assert_true(r.closes); /* nobody knows whether the body comes */
    client_close(&c);
    client_open(&c, &s);
    client_ask(&c, "GET", "/plaintext", "Connection: close\r\n");
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 429);
    assert_true(r.closes);
    client_close(&c);
    client_open(&c, &s);
    client_sendf(&c, "GET /plaintext HTTP/1.1\r\n\r\n"); /* malformed still is */
    client_reply(&c, "GET", &r);
    assert_true(r.status == 429 || r.status == 400);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- how long a connection is kept ---- */

static void test_requests_of_a_connection(void **state)
{
    enum { N = 3 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-connection-requests", "3");
    for (int round = 0; round < 2; round++) {
        client_open(&c, &s);
        for (int i = 1; i <= N; i++) get(&c, 200, i == N, &r);
        client_expect_end(&c);
        client_close(&c);
    }
    /* Those that were sent too early are not served, and the responses arrive. */
    client_open(&c, &s);
    for (int i = 0; i < 2 * N; i++) client_ask(&c, "GET", "/pipeline", "");
    for (int i = 1; i <= N; i++) {
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.closes, i == N);
    }
    client_expect_end(&c);
    client_close(&c);
    client_open(&c, &s);
    for (int i = 1; i < N; i++) get(&c, 200, false, &r);
    client_ask(&c, "GET", "/nowhere", "");
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 404);
    assert_true(r.closes);
    client_expect_end(&c);
    client_close(&c);
    stats_await(&s, "total.connections_retired_requests", 4);
    assert_true(stats_number(&s, "total.requests") == 4 * N);
    assert_true(stats_number(&s, "total.connections_retired_age") == 0);
    reply_free(&r);
    server_stop(&s);
}

/* False if the machine took so long that the late request began after its connection's end. */
static bool age(unsigned ms)
{
    struct server s;
    struct client c, late;
    struct reply r = {0};
    char most[16], path[24];
    int n = 0;
    snprintf(most, sizeof most, "%ums", ms);
    snprintf(path, sizeof path, "/delay/%u", 2 * ms);
    server_start(&s, "--max-connection-age", most);
    client_open(&c, &s);
    client_open(&late, &s);
    client_ask(&late, "GET", path, "");
    do {
        client_get(&c, "/plaintext", 200, &r);
        sleep_ms(10);
    } while (!r.closes && ++n < 10000);
    assert_true(r.closes);
    client_expect_end(&c);
    client_close(&c);
    /* A request that began before its end is served, and is the last but one. */
    client_reply(&late, "GET", &r);
    assert_string_equal(r.body, path + strlen("/delay/"));
    bool in_time = !r.closes;
    if (in_time) get(&late, 200, true, &r);
    client_expect_end(&late);
    client_close(&late);
    stats_await(&s, "total.connections_retired_age", 2);
    reply_free(&r);
    server_stop(&s);
    return in_time;
}

static void test_age_of_a_connection(void **state)
{
    (void)state;
    bool seen = false;
    for (unsigned ms = 300; ms <= 5000 && !seen; ms *= 2) seen = age(ms);
    assert_true(seen);
}

/* Where a body ends that an empty Transfer-Encoding frames is in doubt: what looks like a request
 * behind it is not read. */
static void test_doubtful_requests_beyond_the_rate(void **state)
{
    static const char *const fields[] = {
        "Transfer-Encoding:\r\n",
        "transfer-encoding: \t\r\nContent-Length: 5\r\n",
    };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--rate-limit", "1/h", "--rate-burst", "1");
    client_open(&c, &s);
    get(&c, 200, false, &r);
    client_close(&c);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        client_open(&c, &s);
        client_sendf(&c,
                     "POST /upload HTTP/1.1\r\nHost: a\r\n%s\r\n0\r\n\r\n"
                     "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n",
                     fields[i]);
        client_reply(&c, "POST", &r);
        assert_int_equal(r.status, 429);
        assert_true(r.closes);
        client_expect_end(&c);
        client_close(&c);
    }
    reply_free(&r);
    server_stop(&s);
}

/* ---- clients that vanish ---- */

/* Drops all that arrives, acknowledgements too, as a cable that was cut does. */
static void cut(struct client *c)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &nothing};
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

static void test_vanished_clients_are_found(void **state)
{
    struct server s;
    struct client gone, present;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--tcp-keepalive", "1s", "--tcp-keepalive-interval", "1s",
                 "--tcp-keepalive-probes", "2", "--tcp-user-timeout", "0");
    client_open(&present, &s);
    client_ask(&present, "GET", "/delay/4000", "");
    client_open(&gone, &s);
    client_ask(&gone, "GET", "/delay/60000", "");
    stats_await(&s, "total.requests_started", 2);
    cut(&gone);
    stats_await(&s, "total.connections_vanished", 1);
    stats_await(&s, "total.requests_aborted_client", 1);
    client_reply(&present, "GET", &r);
    assert_string_equal(r.body, "4000");
    client_close(&present);
    client_close(&gone);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_of_a_client),
        cmocka_unit_test(test_connections_of_a_mapped_client),
        cmocka_unit_test(test_crowd_of_a_client),
        cmocka_unit_test(test_refused_crowd_costs_nobody_a_place),
        cmocka_unit_test(test_connections_of_a_client_on_two_cores),
        cmocka_unit_test(test_rate_of_a_client),
        cmocka_unit_test(test_rate_of_a_client_recovers),
        cmocka_unit_test(test_throttled_requests_of_any_kind),
        cmocka_unit_test(test_doubtful_requests_beyond_the_rate),
        cmocka_unit_test(test_requests_of_a_connection),
        cmocka_unit_test(test_age_of_a_connection),
        cmocka_unit_test(test_vanished_clients_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
