/* torc-lab asks another service and PostgreSQL for one request, as parts of its trace. */

#include "pg_rig.h"
#include "upstream.h"

#include <jansson.h>
#include <stdio.h>

#define TRACED "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
#define QUERIES                                                                                    \
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "                           \
    "'00-4bf92f3577b34da6a3ce929d0e0e4736-%' AND application_name NOT LIKE '%00f067aa0ba902b7%'"

static struct server lab;
static struct upstream up;
static struct reply last;

static void start(void)
{
    char url[64];
    upstream_start(&up, 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", up.port);
    server_start(&lab, "--pg", backends_pg(), "--upstream", url, "--backend-timeout", "600000");
}

static void stop(void)
{
    up.let_go = true;
    server_stop(&lab);
    upstream_stop(&up);
}

static const char *get(const char *path, int status)
{
    client_fetch(&lab.addr, path, &last);
    if (last.status != status) print_error("%s: %d %s\n", path, last.status, last.body);
    assert_int_equal(last.status, status);
    return last.body;
}

static void check(const char *body, int bytes)
{
    char sql[96], value[32];
    json_t *json = json_loads(body, 0, NULL), *row = json_object_get(json, "row");
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")), bytes);
    snprintf(sql, sizeof sql, "SELECT randomnumber FROM world WHERE id = %lld",
             (long long)json_integer_value(json_object_get(row, "id")));
    snprintf(value, sizeof value, "%lld",
             (long long)json_integer_value(json_object_get(row, "randomNumber")));
    assert_string_equal(pg_query(sql), value);
    json_decref(json);
}

static void ask_held(struct client *c, const char *mode, const char *ms)
{
    char path[64];
    client_open(c, &lab);
    snprintf(path, sizeof path, "/stack?mode=%s&path=/held&ms=%s", mode, ms);
    client_ask(c, "GET", path, TRACED);
    for (int i = 0; up.held < 1; i++) {
        assert_true(i < SERVER_SECONDS * 100);
        sleep_ms(10);
    }
}

/* The database is asked once the service has answered; its query is named after the trace. */
static void test_one_after_the_other(void **state)
{
    struct client c;
    (void)state;
    start();
    ask_held(&c, "seq", "0");
    assert_string_equal(pg_query(QUERIES), "0");
    up.let_go = true;
    client_reply(&c, "GET", &last);
    assert_int_equal(last.status, 200);
    check(last.body, 4);
    assert_string_equal(pg_query(QUERIES " AND state = 'idle'"), "1");
    client_close(&c);
    stop();
}

/* Neither answers, and both are asked. */
static void test_together(void **state)
{
    struct client c;
    (void)state;
    start();
    ask_held(&c, "all", "60000");
    pg_await(pg_path("/query?sql=", QUERIES " AND wait_event = 'PgSleep'", ""), 200, "1");
    client_reset(&c);
    stop();
}

static void test_no_trace(void **state)
{
    (void)state;
    start();
    check(get("/stack?mode=seq&path=/", 200), 2);
    check(get("/stack?mode=all&path=/&ms=1", 200), 2);
    assert_string_equal(pg_query(QUERIES), "0");
    stop();
}

static void test_refused(void **state)
{
    static const struct {
        const char *query, *text;
        int status;
    } bad[] = {
        {"path=/", "mode must be seq or all\n", 400},
        {"path=/&mode=one", "mode must be seq or all\n", 400},
        {"mode=seq", "path must be that of a URL, which begins with a slash\n", 400},
        {"mode=seq&path=x", "path must be that of a URL, which begins with a slash\n", 400},
        {"mode=seq&path=/&ms=x", "ms must be a whole number from 0 to 60000\n", 400},
        {"mode=seq&path=/interim", "the upstream: status 404\n", 502},
        {"mode=all&path=/interim", "the upstream: status 404\n", 502},
        {"mode=all&path=/drop&ms=60000", "the upstream: Broken pipe\n", 502},
    };
    char path[64];
    (void)state;
    start();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/stack?%s", bad[i].query);
        assert_string_equal(get(path, bad[i].status), bad[i].text);
    }
    stop();
    server_start(&lab, "--pg", backends_pg());
    assert_string_equal(get("/stack?mode=seq&path=/", 501),
                        "this server was started without --upstream\n");
    server_stop(&lab);
    server_start(&lab, "--upstream", "http://127.0.0.1:1");
    assert_string_equal(get("/stack?mode=seq&path=/", 501),
                        "this server was started without --pg\n");
    server_stop(&lab);
}

static int setup(void **state)
{
    const char *program = server_program;
    pg_setup(state);
    server_program = PG_SERVER;
    server_start(&rig);
    server_program = program;
    return 0;
}

static int teardown(void **state)
{
    server_stop(&rig);
    reply_free(&last);
    return pg_teardown(state);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_no_trace),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
