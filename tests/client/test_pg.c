/* Handlers ask a real PostgreSQL that is well: answers, statements, pools, transactions. */

#include "pg_rig.h"
#include "stats.h"

#include <stdio.h>

static void test_values(void **state)
{
    (void)state;
    server_start(&rig);
    assert_string_equal(pg_query("SELECT 1, NULL, 'x', ''"), "1,NULL,x,");
    assert_string_equal(pg_query("SELECT 1 WHERE false"), "");
    assert_string_equal(pg_get(pg_path("/query?sql=", "SELECT $1::int + 1", "&p=41"), 200), "42");
    assert_string_equal(pg_query("SELECT message FROM fortune WHERE id IN (7, 12) ORDER BY id"),
                        "Any program that runs right is obsolete.,フレームワークのベンチマーク");
    assert_string_equal(pg_query("UPDATE world SET randomnumber = randomnumber WHERE id < 4"), "3");
    assert_string_equal(pg_query("SELECT repeat('x', 3000000)"), "3000000 bytes");
    assert_string_equal(pg_get("/binary", 200),
                        "4 bytes, the last 12; sum 0, Nothing 1 NULL absent");
    server_stop(&rig);
}

static void test_errors(void **state)
{
    static const char *const cases[][2] = {
        {"SELEC", "EREMOTEIO 42601 ERROR:  syntax error at or near \"SELEC\"\nLINE 1: SELEC"},
        {"SELECT 1/0", "EREMOTEIO 22012 ERROR:  division by zero"},
        {"SELECT 1; SELECT 2", "EREMOTEIO 42601 ERROR:  cannot insert multiple commands into a"},
        {"SELECT $1", "EREMOTEIO 08P01"},
        {"COPY world TO STDOUT", "EOPNOTSUPP"},
        {"COPY world FROM STDIN", "EOPNOTSUPP"},
    };
    (void)state;
    server_start(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *body = pg_get(pg_path("/query?sql=", cases[i][0], ""), 502);
        if (strncmp(body, cases[i][1], strlen(cases[i][1])) != 0)
            assert_string_equal(body, cases[i][1]);
        assert_string_equal(pg_query("SELECT 1"), "1");
    }
    assert_int_equal(pg_counter("errors"), 4);
    assert_true(stats_number(&rig, "program.pg_errors_total") == 4);
    assert_true(stats_number(&rig, "program.pg_queries_total") == (double)pg_counter("queries"));
    assert_true(stats_number(&rig, "program.pg_connections") == 1);
    server_stop(&rig);
}

static void test_one_and_many(void **state)
{
    static const char *const pipelines[] = {"1", "2", "16"};
    char sum[32];
    (void)state;
    for (int i = 0; i < 3; i++) {
        pg_set("PG_PIPELINE", pipelines[i]);
        server_start(&rig);
        strcpy(sum, pg_query("SELECT sum(randomnumber) FROM world, generate_series(0, 19) i "
                             "WHERE id = 1 + i * 97"));
        assert_true(strtol(sum, NULL, 10) > 1000);
        assert_string_equal(pg_get("/db?n=20&mode=seq", 200), sum);
        assert_string_equal(pg_get("/db?n=20&mode=all", 200), sum);
        strcpy(sum, pg_get("/db?n=200&mode=seq", 200));
        assert_string_equal(pg_get("/db?n=200&mode=all", 200), sum);
        strcpy(sum, pg_query("SELECT randomnumber FROM world WHERE id = 1"));
        assert_string_equal(pg_get("/db?n=1", 200), sum);
        assert_string_equal(pg_get("/db?n=1&mode=all", 200), sum);
        pg_await_counter("connections", 4);
        assert_int_equal(pg_counter("waiting"), 0);
        server_stop(&rig);
    }
    pg_reset();
}

static void test_statements_are_prepared_once(void **state)
{
    char sql[32];
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_STATEMENTS", "4");
    server_start(&rig);
    for (int i = 0; i < 5; i++) pg_query("SELECT 1");
    assert_int_equal(pg_counter("prepared"), 1);
    for (int round = 0; round < 3; round++)
        for (int i = 1; i < 8; i++) {
            snprintf(sql, sizeof sql, "SELECT %d", i);
            assert_int_equal(atoi(pg_query(sql)), i);
        }
    /* This one made another go. */
    assert_string_equal(pg_query("SELECT count(*) FROM pg_prepared_statements"), "4");
    server_stop(&rig);
    pg_reset();
}

/* Such a transaction does not do it. */
static void test_statements_are_forgotten_after_a_failed_transaction(void **state)
{
    char path[128];
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_STATEMENTS", "4");
    server_start(&rig);
    for (int i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "/query?sql=SELECT%%20%d", i);
        assert_int_equal(atoi(pg_get(path, 200)), i);
        snprintf(path, sizeof path,
                 "/transaction?sql=SELECT%%201/0&anyway=1&again=SELECT%%20%d&end=rollback",
                 100 + i);
        assert_string_equal(pg_get(path, 502), "EREMOTEIO");
    }
    pg_await("/query?sql=SELECT%20count(*)%20FROM%20pg_prepared_statements", 200, "4");
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

/* Its error is that of one that is outdated. Were the server told to forget it, that would be an
 * error, too, and end the transaction. */
static void test_a_statement_that_was_never_prepared_is_not_forgotten(void **state)
{
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_get("/transaction?sql=SELECT%201&end=commit", 200);
    assert_memory_equal(
        pg_get(pg_path("/query?sql=", "SELECT count(*) FROM world FOR UPDATE", ""), 502),
        "EREMOTEIO 0A000", 15);
    pg_get("/transaction?sql=SELECT%202&end=commit", 200);
    server_stop(&rig);
    pg_reset();
}

/* The server forgets all statements, and does not say so. */
#define FORGET_UNSEEN "DO $$BEGIN EXECUTE 'DEALLOCATE ALL'; END$$"

/* What the server has forgotten or cannot use any more is prepared again. */
static void test_statements_that_are_outdated(void **state)
{
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_query("CREATE TEMPORARY TABLE t AS SELECT 1 AS a");
    assert_string_equal(pg_query("SELECT * FROM t"), "1");
    pg_query("ALTER TABLE t ADD b text DEFAULT 'x'");
    assert_string_equal(pg_query("SELECT * FROM t"), "1,x");
    pg_query("DEALLOCATE ALL");
    assert_string_equal(pg_query("SELECT * FROM t"), "1,x");
    pg_query(FORGET_UNSEEN);
    assert_string_equal(pg_query("SELECT * FROM t"), "1,x");
    assert_int_equal(pg_counter("errors"), 0);
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

static void test_the_queue_is_bounded(void **state)
{
    struct client running, waiting[2];
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_PIPELINE", "1");
    pg_set("PG_QUEUE", "2");
    server_start(&rig);
    pg_ask(&running, pg_path("/query?sql=", "SELECT pg_sleep(61)", ""));
    pg_await_counter("queries", 1);
    for (int i = 0; i < 2; i++) {
        pg_ask(&waiting[i], pg_path("/query?sql=", "SELECT 2", ""));
        pg_await_counter("waiting", i + 1);
    }
    assert_string_equal(pg_get("/query", 502), "EAGAIN  ");
    assert_int_equal(pg_counter("refused"), 1);
    client_reset(&running);
    for (int i = 0; i < 2; i++) assert_string_equal(pg_answer(&waiting[i], 200), "2");
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

/* Who waits in the queue may leave it. */
static void test_leaving_the_queue(void **state)
{
    struct client running, waiting;
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_PIPELINE", "1");
    server_start(&rig);
    pg_ask(&running, pg_path("/query?sql=", "SELECT pg_sleep(61)", ""));
    pg_await_counter("queries", 1);
    assert_string_equal(pg_get("/query?deadline=20", 502), "ETIME  ");
    pg_ask(&waiting, "/query");
    pg_await_counter("waiting", 1);
    client_reset(&waiting);
    pg_await_counter("waiting", 0);
    assert_int_equal(pg_counter("cancels"), 0);
    client_reset(&running);
    assert_string_equal(pg_query("SELECT 1"), "1");
    server_stop(&rig);
    pg_reset();
}

/* ---- transactions ---- */

static const char *transaction(const char *sql, const char *after, int status)
{
    return pg_get(pg_path("/transaction?sql=", sql, after), status);
}

static void test_transactions(void **state)
{
    (void)state;
    server_start(&rig);
    pg_query("CREATE TABLE IF NOT EXISTS t (n integer PRIMARY KEY)");
    pg_query("DELETE FROM t");
    transaction("INSERT INTO t VALUES (1)", "&end=commit", 200);
    transaction("INSERT INTO t VALUES (2)", "&end=rollback", 200);
    transaction("INSERT INTO t VALUES (3)", "", 200); /* the request ends it */
    assert_string_equal(transaction("INSERT INTO t VALUES (1)", "&end=commit", 502), "EREMOTEIO");
    assert_string_equal(transaction("INSERT INTO t VALUES (4)",
                                    pg_path("&again=", "INSERT INTO t VALUES (1)", "&end=commit"),
                                    502),
                        "EREMOTEIO");
    transaction("INSERT INTO t VALUES (5)",
                pg_path("&again=", "INSERT INTO t VALUES (6)", "&end=commit"), 200);
    assert_string_equal(pg_query("SELECT n FROM t ORDER BY n"), "1,5,6");
    pg_query("DROP TABLE t");
    server_stop(&rig);
}

/* Those roll back where they fail, so that nothing is left which a commit could refuse. */
static void test_statements_that_end_transactions(void **state)
{
    static const char *const ends[] = {"COMMIT", "PREPARE TRANSACTION 'x'"};
    (void)state;
    server_start(&rig);
    pg_query("CREATE TABLE IF NOT EXISTS d (n integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        assert_string_equal(transaction("INSERT INTO d VALUES (1), (1)",
                                        pg_path("&again=", ends[i], "&end=commit"), 502),
                            "EREMOTEIO");
    transaction("INSERT INTO d VALUES (2)", pg_path("&again=", "COMMIT", "&end=commit"), 200);
    assert_string_equal(pg_query("SELECT n FROM d"), "2");
    pg_query("DROP TABLE d");
    server_stop(&rig);
}

/* What the program itself ends without effect is lost: nothing more of it is run, and the commit
 * says so. All statements are given at once, or each after the answer to the one before. */
static void test_transactions_that_are_lost(void **state)
{
    static const char *const cases[][4] = {
        {"INSERT INTO d VALUES (1), (1)", "COMMIT", "INSERT INTO d VALUES (2)",
         "done, EREMOTEIO 23505, EREMOTEIO 25P02: EREMOTEIO"},
        {"INSERT INTO d VALUES (1)", "PREPARE TRANSACTION 'x'", "INSERT INTO d VALUES (2)",
         "done, EREMOTEIO 55000, EREMOTEIO 25P02: EREMOTEIO"},
        {"SELECT 1/0", "COMMIT", "INSERT INTO d VALUES (2)",
         "EREMOTEIO 22012, done, EREMOTEIO 25P02: EREMOTEIO"},
        {"SELECT 1/0", "PREPARE TRANSACTION 'x'", "INSERT INTO d VALUES (2)",
         "EREMOTEIO 22012, done, EREMOTEIO 25P02: EREMOTEIO"},
        {"SELECT 1/0", "; -- a\n /* b */ end and chain", "INSERT INTO d VALUES (2)",
         "EREMOTEIO 22012, done, EREMOTEIO 25P02: EREMOTEIO"},
        {"INSERT INTO d VALUES (1)", "ROLLBACK", "INSERT INTO d VALUES (2)",
         "done, done, EREMOTEIO 25P02: EREMOTEIO"},
        {"INSERT INTO d VALUES (1)", "ABORT AND CHAIN", "INSERT INTO d VALUES (3)",
         "done, done, done: done"},
        {"SAVEPOINT s", "SELECT 1/0", "ROLLBACK TO s", "done, EREMOTEIO 22012, done: done"},
        {"INSERT INTO d VALUES (4)", "COMMIT", "INSERT INTO d VALUES (5)",
         "done, done, done: done"},
        /* What follows a commit is run by itself. */
        {"INSERT INTO d VALUES (6)", "COMMIT", "SELECT 1/0", "done, done, EREMOTEIO 22012: done"},
        {"INSERT INTO d VALUES (7)", "COMMIT", "ROLLBACK", "done, done, done: done"},
        {"COMMIT", "SELECT 1/0", "INSERT INTO d VALUES (8)", "done, EREMOTEIO 22012, done: done"},
        {"COMMIT AND CHAIN", "INSERT INTO d VALUES (9)", "ROLLBACK", "done, done, done: EREMOTEIO"},
    };
    char path[1024];
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    for (int together = 0; together < 2; together++) {
        pg_query("CREATE TABLE d (n integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const char *const *c = cases[i];
            snprintf(path, sizeof path, "/steps?together=%d%s%s%s", together,
                     pg_path("&1=", c[0], ""), pg_path("&2=", c[1], ""), pg_path("&3=", c[2], ""));
            assert_string_equal(pg_get(path, 200), c[3]);
        }
        assert_string_equal(pg_query("SELECT n FROM d ORDER BY n"), "3,4,5,6,7,8");
        pg_query("DROP TABLE d");
    }
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

/* A connection comes back without a transaction, whoever has begun it. */
static void test_transactions_left_open(void **state)
{
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_query("CREATE TEMPORARY TABLE t (n integer)");
    pg_query("BEGIN");
    pg_query("SET LOCAL application_name = 'of a transaction'");
    assert_string_equal(pg_query("SHOW application_name"), "torc");
    for (int i = 0; i < 3; i++) transaction("INSERT INTO t VALUES (1)", "", 200);
    assert_string_equal(pg_query("SELECT count(*) FROM t"), "0");
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

/* Others ask meanwhile, on the same connection. */
static void test_transactions_left_open_harm_nobody(void **state)
{
    static const char *const sql[] = {"SELECT 1", "BEGIN", "SELECT 1/0", "START TRANSACTION"};
    struct client c[40];
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 40; i++) pg_ask(&c[i], pg_path("/query?sql=", sql[i % 4], ""));
        for (int i = 0; i < 40; i++) {
            const char *body = pg_answer(&c[i], i % 4 == 2 ? 502 : 200);
            if (i % 4 == 0) assert_string_equal(body, "1");
            if (i % 4 == 2) assert_non_null(strstr(body, "22012"));
        }
    }
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

/* Nothing of a transaction is refused because the server has forgotten what was prepared. */
static void test_transactions_of_forgotten_statements(void **state)
{
    static const char *const forget[] = {"DISCARD ALL", "DEALLOCATE ALL", FORGET_UNSEEN};
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_query("SELECT 1"); /* prepared before the first BEGIN is */
    pg_query("DISCARD ALL");
    transaction("SELECT 1", "&end=commit", 200);
    for (size_t i = 0; i < sizeof forget / sizeof *forget; i++) {
        pg_query(forget[i]);
        transaction("SELECT 1", "&end=commit", 200);
        transaction("SELECT 1", "&end=rollback", 200);
    }
    assert_int_equal(pg_counter("errors"), 0);
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

static void test_leaving_a_transaction(void **state)
{
    struct client c;
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_query("CREATE TEMPORARY TABLE t (n integer)");
    pg_ask(&c, pg_path("/transaction?sql=", "INSERT INTO t VALUES (1)",
                       pg_path("&end=commit&again=", "SELECT pg_sleep(61)", "")));
    pg_await_counter("queries", 4);
    client_reset(&c);
    assert_string_equal(pg_query("SELECT count(*) FROM t"), "0");
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

static const char *overfull(const char *before, const char *first, const char *rest,
                            const char *alone)
{
    static char path[2048];
    snprintf(path, sizeof path, "/overfull%s%s%s%s", pg_path("?before=", before, ""),
             pg_path("&first=", first, ""), pg_path("&rest=", rest, ""),
             pg_path("&alone=", alone, ""));
    return pg_get(path, 200);
}

/* What others ask meanwhile is not part of it. */
static void test_a_commit_that_is_refused(void **state)
{
    static const char first[] = "SELECT 1", rest[] = "SELECT pg_sleep(0.05)";
    static const char alone[] = "INSERT INTO t SELECT 2", forgotten[] = "INSERT INTO t SELECT 3";
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_CLOCK", "stands still"); /* all are fast, and may share a connection */
    server_start(&rig);
    pg_query("CREATE TEMPORARY TABLE t (n integer)");
    pg_query(first);
    pg_query(rest);
    pg_query(alone);
    pg_query(forgotten);
    assert_string_equal(overfull("INSERT INTO t VALUES (1)", first, rest, alone),
                        "EAGAIN, 16, done");
    assert_string_equal(pg_query("SELECT n FROM t ORDER BY n"), "2,2,3");
    /* Nor is a query of it tried again outside. */
    assert_string_equal(overfull(FORGET_UNSEEN, forgotten, forgotten, alone), "EAGAIN, 0, done");
    assert_string_equal(pg_query("SELECT n FROM t ORDER BY n"), "2,2,2,3");
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

/* ---- what else comes from libpq ---- */

static void test_notices_are_lines_of_the_log(void **state)
{
    (void)state;
    server_start(&rig);
    pg_query("DO $$ BEGIN RAISE WARNING 'beware'; END $$");
    server_await_log(&rig, "torc: PostgreSQL: WARNING:  beware\n");
    server_stop(&rig);
}

static void test_tls(void **state)
{
    char url[512];
    (void)state;
    size_t n = strlen(backends_pg()) - strlen("disable");
    snprintf(url, sizeof url, "%.*srequire", (int)n, backends_pg());
    pg_set("PG_URL", url);
    server_start(&rig);
    assert_string_equal(pg_query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t");
    for (int i = 0; i < 20; i++) {
        char sql[64], size[64];
        snprintf(sql, sizeof sql, "SELECT repeat('x', %d)", 100000 + i * 4711);
        snprintf(size, sizeof size, "%d bytes", 100000 + i * 4711);
        assert_string_equal(pg_query(sql), size);
    }
    pg_get("/db?n=100&mode=all", 200);
    server_stop(&rig);
    pg_reset();
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_one_and_many),
        cmocka_unit_test(test_statements_are_prepared_once),
        cmocka_unit_test(test_statements_are_forgotten_after_a_failed_transaction),
        cmocka_unit_test(test_a_statement_that_was_never_prepared_is_not_forgotten),
        cmocka_unit_test(test_statements_that_are_outdated),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_leaving_the_queue),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_statements_that_end_transactions),
        cmocka_unit_test(test_transactions_that_are_lost),
        cmocka_unit_test(test_transactions_left_open),
        cmocka_unit_test(test_transactions_left_open_harm_nobody),
        cmocka_unit_test(test_transactions_of_forgotten_statements),
        cmocka_unit_test(test_leaving_a_transaction),
        cmocka_unit_test(test_a_commit_that_is_refused),
        cmocka_unit_test(test_notices_are_lines_of_the_log),
        cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
