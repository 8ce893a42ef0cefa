/* Many connections that do little: 15,000 idle ones, and as many requests that wait. */

#include "client.h"
#include "stats.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    MANY = 15000,
    SPARE = 200, /* descriptors that the test needs apart from its clients */
    BATCH = 500, /* requests in flight at a time */
    SOURCES = 8, /* source addresses, as one does not have enough ports */
};

static struct client many[MANY];

/* As many as the descriptor limit allows. */
static int how_many(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= MANY + SPARE) return MANY;
    assert_true(limit.rlim_cur >= 2 * SPARE);
    return (int)limit.rlim_cur - SPARE;
}

/* The other tests run with fewer connections then; this one reports it. */
static void test_descriptor_limit(void **state)
{
    (void)state;
    if (how_many() == MANY) return;
    print_message("the descriptor limit allows fewer than %d connections\n", MANY);
    skip();
}

static void open_many(const struct server *s, int n)
{
    char source[32];
    for (int i = 0; i < n; i++) {
        snprintf(source, sizeof source, "127.0.0.%d", 2 + i % SOURCES);
        client_open_to(&many[i], &s->addr, &(struct tcp_how){.source = source});
    }
}

static void close_many(int n)
{
    for (int i = 0; i < n; i++) client_close(&many[i]);
}

/* Sends a GET on every `step`th connection. */
static void ask_some(int n, int step, const char *path, const char *want)
{
    struct reply r = {0};
    for (int from = 0; from < n; from += step * BATCH) {
        int to = from + step * BATCH < n ? from + step * BATCH : n;
        for (int i = from; i < to; i += step) client_ask(&many[i], "GET", path, "");
        for (int i = from; i < to; i += step) {
            client_reply(&many[i], "GET", &r);
            assert_string_equal(r.body, want);
        }
    }
    reply_free(&r);
}

/* ---- idle ---- */

static void idle(const char *cores)
{
    enum { FRESH = 50 };
    struct server s;
    struct client fresh;
    struct reply r = {0};
    int n = how_many();
    server_start(&s, "--idle-timeout", "1h", "--header-timeout", "1h", "--cores", cores);
    open_many(&s, n);
    stats_await(&s, "total.connections_accepted", n);
    ask_some(n, 2, "/pipeline", "ok"); /* half of them served a request before they became idle */
    assert_true(stats_number(&s, "total.connections_closed") == 0);
    ask_some(n, 31, "/plaintext", "Hello, World!");
    for (int i = 0; i < FRESH; i++) {
        client_open(&fresh, &s);
        client_get(&fresh, "/plaintext", 200, &r);
        client_close(&fresh);
    }
    ask_some(n, 31, "/pipeline", "ok");
    close_many(n);
    stats_await(&s, "total.connections_closed", n + FRESH);
    assert_true(stats_number(&s, "total.connections_accepted") == n + FRESH);
    assert_true(stats_number(&s, "total.connections_reset") == 0);
    reply_free(&r);
    server_stop(&s);
}

static void test_idle_connections(void **state)
{
    (void)state;
    idle("1");
}

static void test_idle_connections_on_two_cores(void **state)
{
    (void)state;
    idle(server_two_cores());
}

static void test_drain_closes_idle_connections(void **state)
{
    struct server s;
    int n = how_many();
    (void)state;
    server_start(&s, "--idle-timeout", "1h", "--header-timeout", "1h", "--drain-timeout", "1h");
    open_many(&s, n);
    stats_await(&s, "total.connections_accepted", n);
    server_stop(&s);
    for (int i = 0; i < n; i += 100) client_expect_end(&many[i]);
    close_many(n);
}

/* ---- waiting ---- */

/* The last byte of each body is held back until all requests are in progress. */
static void test_many_requests_in_progress(void **state)
{
    struct server s;
    struct reply r = {0};
    int n = how_many();
    (void)state;
    server_start(&s, "--idle-timeout", "1h", "--header-timeout", "1h", "--body-timeout", "1h");
    open_many(&s, n);
    for (int i = 0; i < n; i++) client_ask(&many[i], "POST", "/upload", "Content-Length: 1\r\n");
    stats_await(&s, "total.requests_started", n);
    assert_true(stats_number(&s, "total.requests_peak") == n);
    for (int i = 0; i < n; i++) client_sendf(&many[i], "x");
    for (int i = 0; i < n; i++) {
        client_reply(&many[i], "POST", &r);
        assert_string_equal(r.body, "1");
    }
    for (int i = 0; i < n; i++) client_ask(&many[i], "GET", "/delay/500", "");
    for (int i = 0; i < n; i++) {
        client_reply(&many[i], "GET", &r);
        assert_string_equal(r.body, "500");
    }
    stats_await(&s, "total.requests", 2 * n);
    assert_true(stats_number(&s, "total.requests_rejected") == 0);
    close_many(n);
    stats_await(&s, "total.connections_closed", n);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptor_limit),
        cmocka_unit_test(test_idle_connections),
        cmocka_unit_test(test_idle_connections_on_two_cores),
        cmocka_unit_test(test_drain_closes_idle_connections),
        cmocka_unit_test(test_many_requests_in_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
