/* torc-lab asks PostgreSQL. What the database itself knows is asked through a pg_server (rig). */

#include "lab_rig.h"
#include "pg_rig.h"
#include "stats.h"

#include <jansson.h>
#include <stdio.h>

static void start(const char *timeout)
{
    server_start(&lab, "--pg", backends_pg(), "--backend-timeout", timeout);
}

static void await_status(const char *path, int status)
{
    for (int i = 0; i < SERVER_SECONDS * 20; i++) {
        client_fetch(&lab.addr, path, &last);
        if (last.status == status) return;
        sleep_ms(50);
    }
    lab_get(path, status);
}

/* ---- /db ---- */

static void check_rows(const char *body, size_t n)
{
    json_t *rows = json_loads(body, 0, NULL);
    assert_int_equal(json_array_size(rows), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        json_int_t id = json_integer_value(json_object_get(row, "id"));
        assert_true(id >= 1 && id <= 10000);
        pg_expect_world(id, json_integer_value(json_object_get(row, "randomNumber")));
    }
    json_decref(rows);
}

static void test_rows(void **state)
{
    (void)state;
    start("60000");
    check_rows(lab_get("/db?n=1&mode=seq", 200), 1);
    assert_true(stats_number(&lab, "program.pg_queries_total") == 1);
    check_rows(lab_get("/db?n=20&mode=seq", 200), 20);
    check_rows(lab_get("/db?n=20&mode=all", 200), 20);
    json_t *rows = json_loads(lab_get("/db?n=500&mode=all", 200), 0, NULL);
    assert_int_equal(json_array_size(rows), 500);
    json_decref(rows);
    server_stop(&lab);
}

/* Asks a new lab, whose pool does not know the statement to be fast, while nobody can read the
 * table, which ends once `waiting`, a query, is true. */
static void ask_behind_a_lock(const char *path, const char *waiting)
{
    struct client lock, c;
    pg_ask(&lock, pg_path("/transaction?sql=", "LOCK TABLE world IN ACCESS EXCLUSIVE MODE",
                          "&again=SELECT%20pg_sleep(61)&end=rollback"));
    pg_await_running("pg_sleep(61)", 1);
    start("60000");
    client_open(&c, &lab);
    client_ask(&c, "GET", path, "");
    pg_await(pg_path("/query?sql=", waiting, ""), 200, "t");
    client_reset(&lock);
    client_reply(&c, "GET", &last);
    assert_int_equal(last.status, 200);
    client_close(&c);
}

#define LAB_CONNECTIONS                                                                            \
    "SELECT count(*) %s FROM pg_stat_activity WHERE query LIKE 'SELECT id, randomnumber%%' AND "   \
    "pid <> pg_backend_pid()"

/* Queries that are under way together need several connections while none is answered. */
static void test_modes(void **state)
{
    char one[256], several[256];
    (void)state;
    snprintf(one, sizeof one, LAB_CONNECTIONS " AND wait_event_type = 'Lock'", "= 1");
    snprintf(several, sizeof several, LAB_CONNECTIONS " AND wait_event_type = 'Lock'", "> 1");
    ask_behind_a_lock("/db?n=8&mode=seq", one);
    check_rows(last.body, 8);
    char used[256];
    snprintf(used, sizeof used, LAB_CONNECTIONS, "= 1");
    assert_string_equal(pg_query(used), "t");
    server_stop(&lab);
    ask_behind_a_lock("/db?n=8&mode=all", several);
    check_rows(last.body, 8);
    server_stop(&lab);
}

/* The database takes its time for each row; several connections take it together. */
static void test_slow_rows(void **state)
{
    (void)state;
    start("60000");
    double begin = now_seconds();
    check_rows(lab_get("/db?n=4&mode=seq&ms=50", 200), 4);
    assert_true(now_seconds() - begin >= 0.2);
    check_rows(lab_get("/db?n=4&mode=all&ms=50", 200), 4);
    check_rows(lab_get("/db?n=1&mode=seq&ms=0", 200), 1);
    server_stop(&lab);
}

/* ---- /fortunes ---- */

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

static void test_fortunes(void **state)
{
    static const char *const in_order[] = {
        "<!DOCTYPE html>",
        "<tr><th>id</th><th>message</th></tr>",
        "<td>13</td><td>&lt;b title=&quot;&#39;&quot;&gt;&amp;amp;</td>",
        "<td>11</td><td>&lt;script&gt;alert(&quot;",
        "<td>4</td><td>A bad random",
        "<td>0</td><td>Additional fortune added at request time.</td>",
        "<td>3</td><td>After enough",
        "<td>1</td><td>fortune: No such",
        "<td>12</td><td>フレームワークのベンチマーク</td>",
        "</table></body></html>",
    };
    (void)state;
    pg_query("INSERT INTO fortune VALUES (13, '<b title=\"''\">&amp;')");
    start("60000");
    const char *body = lab_get("/fortunes", 200), *at = body;
    for (size_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
        if (!strstr(at, in_order[i])) print_error("no %s in its place in %s\n", in_order[i], body);
        assert_non_null(at = strstr(at, in_order[i]));
    }
    assert_int_equal(count(body, "<tr>"), 1 + 14);
    assert_null(strstr(body, "<script>"));
    char *type = reply_field(&last, "Content-Type");
    assert_string_equal(type, "text/html; charset=utf-8");
    free(type);
    pg_query("DELETE FROM fortune WHERE id = 13");
    server_stop(&lab);
}

/* ---- what is wrong ---- */

static void test_slow_down_restarted(void **state)
{
    static const char *const paths[] = {"/db?n=1&mode=seq", "/db?n=9&mode=all", "/fortunes"};
    enum { N = sizeof paths / sizeof *paths };
    (void)state;
    start("2000");
    for (int i = 0; i < N; i++) await_status(paths[i], 200);
    backends_do("pause", "pg");
    for (int i = 0; i < N; i++) lab_refuses(paths[i], 504, "in time");
    backends_do("resume", "pg");
    for (int i = 0; i < N; i++) await_status(paths[i], 200);
    backends_do("halt", "pg");
    for (int i = 0; i < N; i++) await_status(paths[i], 502);
    lab_refuses(paths[0], 502, "PostgreSQL: ");
    backends_do("restart", "pg");
    for (int i = 0; i < N; i++) await_status(paths[i], 200);
    server_stop(&lab);
}

/* The database's own words, the first line of them. */
static void test_refused(void **state)
{
    (void)state;
    start("60000");
    pg_query("CREATE SCHEMA torc CREATE TABLE fortune (id integer) CREATE TABLE world (LIKE "
             "public.world)"); /* which are found first */
    lab_refuses("/fortunes", 502, "column \"message\" does not exist");
    lab_refuses("/db?n=2&mode=all", 502, "the table world has no row");
    pg_query("DROP SCHEMA torc CASCADE");
    server_stop(&lab);
}

/* Queries at once are requests of their own to --max-requests: it is not PostgreSQL that they wait
 * for. */
static void test_no_room_for_queries(void **state)
{
    (void)state;
    server_start(&lab, "--pg", backends_pg(), "--max-requests", "1");
    lab_refuses("/db?n=2&mode=all", 503, "in progress (--max-requests)");
    check_rows(lab_get("/db?n=2&mode=seq", 200), 2);
    server_stop(&lab);
}

static void test_parameters(void **state)
{
    (void)state;
    start("60000");
    lab_refuses("/db?mode=seq", 400, "n must");
    lab_refuses("/db?n=0&mode=seq", 400, "n must");
    lab_refuses("/db?n=501&mode=seq", 400, "n must");
    lab_refuses("/db?n=1", 400, "mode must");
    lab_refuses("/db?n=1&mode=seq&ms=", 400, "ms must");
    lab_refuses("/db?n=1&mode=seq&ms=60001", 400, "ms must");
    server_stop(&lab);
    server_start(&lab);
    lab_refuses("/db?n=1&mode=seq", 501, "--pg");
    lab_refuses("/fortunes", 501, "--pg");
    server_stop(&lab);
}

#define IN_PASSWORD                                                                                \
    "--pg: a port that is no number, or an @ behind the one before the host: in a password, "      \
    "write %40 for @ and %2F for /"

/* It is told of at the start, without anything that may be of a password; nothing is connected
 * then. */
static void test_malformed_conninfo(void **state)
{
    static const char *const cases[][2] = {
        {"host", "--pg: missing \"=\" after \"host\" in connection info string"},
        {"hots=a", "--pg: invalid connection option \"hots\""},
        {"hots=a password=secret", "--pg: invalid connection option ..."},
        {"password=my secret", "--pg: missing \"=\" after ..."},
        {"password=my sec=ret host=a", "--pg: invalid connection option ..."},
        {"password='secret", "--pg: unterminated quoted string in connection info string"},
        {"postgresql//user:secret@host", "--pg: missing \"=\" after ..."},
        {"postgresql://user:secret@[",
         "--pg: end of string reached when looking for matching \"]\" in IPv6 host address in URI: "
         "..."},
        {"postgresql://[::1]secret", "--pg: unexpected character ..."},
        {"postgres://user:pa%ss@host", "--pg: invalid percent-encoded token: ..."},
        {"postgres://user:%22=%22%zz@host", "--pg: invalid percent-encoded token: ..."},
        {"postgres://host?password=a&secret",
         "--pg: missing key/value separator \"=\" in URI query parameter: ..."},
        {"postgres://host?password=a&secret=b", "--pg: invalid URI query parameter: ..."},
        {"postgres://user:se@cret@host/db", IN_PASSWORD},
        {"postgres://user:se/cret@host/db", IN_PASSWORD},
        {"postgres://user:secret", IN_PASSWORD},
    };
    struct server s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        server_refuses("--pg", cases[i][0], cases[i][1]);
    assert_int_equal(
        server_run(&s, NULL,
                   (const char *const[]){"--check", "--pg", "host=nowhere.invalid port=1", NULL}),
        0);
    server_free(&s);
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
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_slow_rows),
        cmocka_unit_test(test_fortunes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_room_for_queries),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_malformed_conninfo),
        cmocka_unit_test(test_slow_down_restarted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
