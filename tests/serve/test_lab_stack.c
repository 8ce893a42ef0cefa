/* torc-lab asks another service and PostgreSQL for one request, as parts of its trace. */

#include "lab_rig.h"
#include "pg_rig.h"

#include <jansson.h>
#include <stdio.h>

#define TRACED "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
#define QUERIES                                                                                    \
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "                           \
    "'00-4bf92f3577b34da6a3ce929d0e0e4736-%' AND application_name NOT LIKE '%00f067aa0ba902b7%'"

static void start(void)
{
    char url[64];
    upstream_start(&up, 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", up.port);
    server_start(&lab, "--pg", backends_pg(), "--upstream", url, "--backend-timeout", "600000");
}

static void check(const char *body, int bytes)
{
    json_t *json = json_loads(body, 0, NULL), *row = json_object_get(json, "row");
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")), bytes);
    pg_expect_world(json_integer_value(json_object_get(row, "id")),
                    json_integer_value(json_object_get(row, "randomNumber")));
    json_decref(json);
}

static void ask_held(struct client *c, const char *mode, const char *ms)
{
    char path[64];
    client_open(c, &lab);
    snprintf(path, sizeof path, "/stack?mode=%s&path=/held&ms=%s", mode, ms);
    client_ask(c, "GET", path, TRACED);
    upstream_await_held(&up, 1);
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
    lab_stop_upstream();
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
    lab_stop_upstream();
}

static void test_no_trace(void **state)
{
    (void)state;
    start();
    check(lab_get("/stack?mode=seq&path=/", 200), 2);
    check(lab_get("/stack?mode=all&path=/&ms=1", 200), 2);
    assert_string_equal(pg_query(QUERIES), "0");
    lab_stop_upstream();
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
        {"mode=all&path=/drop&ms=60000",
         "the upstream: it closed the connection before its answer was complete\n", 502},
    };
    char path[64];
    (void)state;
    start();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/stack?%s", bad[i].query);
        assert_string_equal(lab_get(path, bad[i].status), bad[i].text);
    }
    lab_stop_upstream();
    server_start(&lab, "--pg", backends_pg());
    assert_string_equal(lab_get("/stack?mode=seq&path=/", 501),
                        "this server was started without --upstream\n");
    server_stop(&lab);
    server_start(&lab, "--upstream", "http://127.0.0.1:1");
    assert_string_equal(lab_get("/stack?mode=seq&path=/", 501),
                        "this server was started without --pg\n");
    server_stop(&lab);
}

static int setup(void **state)
{
    pg_setup(state);
    server_start_program(&rig, PG_SERVER);
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
