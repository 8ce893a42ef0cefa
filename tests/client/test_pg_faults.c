/* Handlers ask a PostgreSQL that is slow, down, restarted, paused or absent, or leave it. */

#include "pg_rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char *sleep_path(const char *after)
{
    return pg_path("/query?sql=", "SELECT pg_sleep(61)", after);
}

static void test_a_deadline_cancels_the_query(void **state)
{
    (void)state;
    pg_set("PG_CONNECTIONS", "2");
    server_start(&rig);
    for (int i = 0; i < 5; i++)
        assert_string_equal(pg_get(sleep_path("&deadline=100"), 502), "ETIME  ");
    pg_await_running("pg_sleep(61)", 0);
    pg_await_counter("connections", pg_counter("connects")); /* none was closed */
    server_stop(&rig);
    pg_reset();
}

/* A line of the status of a thread; false if it has ended. */
static bool read_status(const char *dir, const char *task, const char *field, char line[128])
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s/status", dir, task);
    FILE *f = fopen(path, "r");
    bool found = false;
    while (f && !found && fgets(line, 128, f)) found = strncmp(line, field, strlen(field)) == 0;
    if (f) fclose(f);
    return found;
}

/* Whether the server has a thread of that name; its CPUs. */
static bool find_thread(const char *name, char cpus[128])
{
    char dir[64], line[128], wanted[64];
    bool found = false;
    snprintf(dir, sizeof dir, "/proc/%d/task", (int)rig.pid);
    snprintf(wanted, sizeof wanted, "Name:\t%s\n", name);
    DIR *tasks = opendir(dir);
    assert_non_null(tasks);
    for (struct dirent *d; !found && (d = readdir(tasks));)
        found = read_status(dir, d->d_name, "Name:", line) && strcmp(line, wanted) == 0 &&
                read_status(dir, d->d_name, "Cpus_allowed:", cpus);
    closedir(tasks);
    return found;
}

/* It is no core's: it may use any CPU, and has a name of its own. */
static void test_the_thread_that_cancels(void **state)
{
    char cpus[128], all[128];
    struct client slow;
    (void)state;
    server_start(&rig);
    pg_ask(&slow, sleep_path(""));
    pg_await_running("pg_sleep(61)", 1);
    client_reset(&slow);
    pg_await_running("pg_sleep(61)", 0);
    for (int i = 0; !find_thread("torc-pg-cancel", cpus); i++) {
        assert_true(i < SERVER_SECONDS * 100);
        sleep_ms(10);
    }
    assert_true(read_status("/proc", "self", "Cpus_allowed:", all));
    assert_string_equal(cpus, all);
    server_stop(&rig);
}

static void test_a_client_that_leaves_cancels_its_query(void **state)
{
    struct client c[8];
    (void)state;
    server_start(&rig);
    for (int i = 0; i < 3; i++) pg_ask(&c[i], sleep_path(""));
    pg_await_running("pg_sleep(61)", 3);
    for (int i = 0; i < 3; i++) client_reset(&c[i]);
    pg_await_running("pg_sleep(61)", 0);
    assert_string_equal(pg_query("SELECT 1"), "1");
    server_stop(&rig);
}

/* What waits after it on the same connection must not be hit, or is asked again. */
static void test_others_survive_a_cancel(void **state)
{
    struct client slow, after[8];
    (void)state;
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    for (int round = 0; round < 10; round++) {
        long before = pg_counter("queries");
        pg_ask(&slow, sleep_path(""));
        pg_await_counter("queries", before + 1);
        for (int i = 0; i < 8; i++)
            pg_ask(&after[i], pg_path("/query?sql=", "SELECT 7 FROM pg_sleep(0.001)", ""));
        client_reset(&slow);
        for (int i = 0; i < 8; i++) assert_string_equal(pg_answer(&after[i], 200), "7");
    }
    assert_int_equal(pg_counter("connects"), 1);
    server_stop(&rig);
    pg_reset();
}

#define RUNS  "SELECT nextval('runs'), pg_sleep($1::float8)"
#define LOCKS "SELECT pg_advisory_xact_lock($1::int)::text"

/* Asks the server `s` for a query with a parameter, on a connection of its own. */
static void ask_one(struct client *c, const struct server *s, const char *sql, const char *p)
{
    char after[16];
    snprintf(after, sizeof after, "&p=%s", p);
    client_open(c, s);
    client_ask(c, "GET", pg_path("/query?sql=", sql, after), "");
}

static void ask_and_wait(const struct server *s, const char *sql, const char *p)
{
    struct client c;
    ask_one(&c, s, sql, p);
    pg_answer(&c, 200);
}

static long counter_of(const struct server *s, const char *name)
{
    struct reply r = {0};
    client_fetch(&s->addr, "/counters", &r);
    const char *at = strstr(r.body, name);
    assert_non_null(at);
    long value = strtol(at + strlen(name), NULL, 10);
    reply_free(&r);
    return value;
}

/* Asks until the query has been sent after others on their connection, and so many have been. While
 * a cancel request is under way it would wait instead: then it is asked again. */
static void ask_after(struct client *c, const struct server *s, const char *sql, const char *p,
                      long n)
{
    ask_one(c, s, sql, p);
    for (int i = 0; counter_of(s, "\"queries\":") < n; i++) {
        assert_true(i < SERVER_SECONDS * 50);
        sleep_ms(20);
        if (counter_of(s, "\"waiting\":") == 0) continue;
        client_reset(c);
        while (counter_of(s, "\"waiting\":") > 0) sleep_ms(20);
        ask_one(c, s, sql, p);
    }
}

/* A query of a connection on which another was cancelled before, and which has never been idle
 * since: its own cancellation is its end, for it may have had an effect. */
static void test_a_cancel_long_over_repeats_nothing(void **state)
{
    static const char sleeps[] = "SELECT pg_sleep($1::float8)";
    struct client lock, left, after, last;
    struct server tested;
    (void)state;
    server_start(&rig);
    pg_query("CREATE SEQUENCE runs");
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_CLOCK", "stands still");
    server_start(&tested);
    ask_and_wait(&tested, sleeps, "0"); /* all are known to be fast now, and share it */
    ask_and_wait(&tested, LOCKS, "8");
    ask_and_wait(&tested, RUNS, "0");
    pg_ask(&lock, pg_path("/transaction?sql=", "SELECT pg_advisory_xact_lock(7)",
                          "&again=SELECT%20pg_sleep(61)&end=rollback"));
    pg_await_running("pg_sleep(61)", 1);
    ask_after(&left, &tested, sleeps, "61", 4);
    ask_after(&after, &tested, LOCKS, "7", 5);
    client_reset(&left);
    pg_await_running("advisory_xact_lock($1", 1);
    ask_after(&last, &tested, RUNS, "61", 6);
    client_reset(&lock);
    assert_string_equal(pg_answer(&after, 200), "");
    pg_await_running("nextval", 1);
    assert_string_equal(
        pg_query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query "
                 "LIKE '%nextval%' AND state = 'active' AND pid <> pg_backend_pid()"),
        "t");
    assert_non_null(strstr(pg_answer(&last, 502), "EREMOTEIO 57014"));
    assert_string_equal(pg_query("SELECT last_value FROM runs"), "2");
    pg_query("DROP SEQUENCE runs");
    server_stop(&tested);
    server_stop(&rig);
    pg_reset();
}

/* A procedure may end transactions: what it did before its error stays. */
static void test_no_procedure_is_repeated(void **state)
{
    static const char *const states[] = {"0A000", "26000"};
    static const char *const calls[] = {"CALL run()", "-- a\n/* SELECT /* b */ */ call run()",
                                        "do 'BEGIN CALL run(); END'"};
    char sql[200], want[32];
    int runs = 0;
    (void)state;
    server_start(&rig);
    pg_query("CREATE SEQUENCE runs");
    for (int i = 0; i < 2; i++) {
        snprintf(sql, sizeof sql,
                 "CREATE OR REPLACE PROCEDURE run() LANGUAGE plpgsql AS $$BEGIN PERFORM "
                 "nextval('runs'); COMMIT; RAISE EXCEPTION USING ERRCODE = '%s'; END$$",
                 states[i]);
        pg_query(sql);
        for (int n = 0; n < 3; n++) {
            snprintf(want, sizeof want, "EREMOTEIO %s", states[i]);
            assert_non_null(strstr(pg_get(pg_path("/query?sql=", calls[n], ""), 502), want));
            snprintf(want, sizeof want, "%d", ++runs);
            assert_string_equal(pg_query("SELECT last_value FROM runs"), want);
        }
    }
    pg_query("DROP PROCEDURE run");
    pg_query("DROP SEQUENCE runs");
    server_stop(&rig);
}

/* A function may raise the very errors for which a statement is prepared again, or run a statement
 * that has them. */
static void test_no_function_is_repeated(void **state)
{
    static const char *const ends[] = {"RAISE feature_not_supported",
                                       "RAISE invalid_sql_statement_name",
                                       "EXECUTE ''EXECUTE nothing''"};
    char sql[200], want[32];
    (void)state;
    server_start(&rig);
    pg_query("CREATE SEQUENCE runs");
    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql,
                 "CREATE OR REPLACE FUNCTION run() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM "
                 "nextval(''runs''); %s; END'",
                 ends[i]);
        pg_query(sql);
        pg_get("/query?sql=SELECT%20run()", 502);
        snprintf(want, sizeof want, "%d", i + 1);
        assert_string_equal(pg_query("SELECT last_value FROM runs"), want);
    }
    pg_query("DROP FUNCTION run");
    pg_query("DROP SEQUENCE runs");
    server_stop(&rig);
}

/* Their error has a context, too, where the server is set to tell what the parameters were. */
static void test_queries_are_repeated_whose_parameters_are_told(void **state)
{
    static const char *const sql[] = {
        "SELECT * FROM changed WHERE a = $1",
        "\n-- of one\n /* as /* this */ */ (select * FROM changed WHERE a = $1)",
        "WITH c AS (SELECT * FROM changed) SELECT * FROM c WHERE a = $1",
        "INSERT INTO changed VALUES ($1) RETURNING *",
    };
    char url[512];
    (void)state;
    snprintf(url, sizeof url, "%s&options=-c%%20log_parameter_max_length_on_error%%3D100",
             backends_pg());
    pg_set("PG_URL", url);
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_query("CREATE TABLE changed (a int)");
    for (int change = 0; change < 3; change++) {
        for (size_t i = 0; i < sizeof sql / sizeof *sql; i++)
            pg_get(pg_path("/query?sql=", sql[i], "&p=1"), 200);
        pg_query("ALTER TABLE changed ADD COLUMN b text");
        for (size_t i = 0; i < sizeof sql / sizeof *sql; i++)
            pg_get(pg_path("/query?sql=", sql[i], "&p=1"), 200);
        pg_query("ALTER TABLE changed DROP COLUMN b");
    }
    pg_query("DROP TABLE changed");
    server_stop(&rig);
    pg_reset();
}

/* No cancel request of another query can hit it: it never shares a connection. */
static void test_a_procedure_shares_no_connection(void **state)
{
    struct client lock, after, call;
    struct server tested;
    (void)state;
    server_start(&rig);
    pg_query("CREATE PROCEDURE run() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
    pg_set("PG_CONNECTIONS", "1");
    pg_set("PG_CLOCK", "stands still");
    server_start(&tested);
    ask_and_wait(&tested, LOCKS, "8");
    client_expect(&tested.addr, "/query?sql=CALL%20run()", 200, NULL);
    pg_ask(&lock, pg_path("/transaction?sql=", "SELECT pg_advisory_xact_lock(7)",
                          "&again=SELECT%20pg_sleep(61)&end=rollback"));
    pg_await_running("pg_sleep(61)", 1);
    ask_after(&after, &tested, LOCKS, "7", 3);
    client_open(&call, &tested);
    client_ask(&call, "GET", "/query?sql=CALL%20run()", "");
    for (int i = 0; counter_of(&tested, "\"waiting\":") == 0; i++) {
        assert_true(i < SERVER_SECONDS * 50);
        sleep_ms(20);
    }
    client_reset(&lock);
    pg_answer(&after, 200);
    pg_answer(&call, 200);
    pg_query("DROP PROCEDURE run");
    server_stop(&tested);
    server_stop(&rig);
    pg_reset();
}

/* There is no cancel request for one of them, so that its connection is closed. Its transaction has
 * ended then, which is not to be tried again (EAGAIN). */
static void test_many_cancels_at_once(void **state)
{
    (void)state;
    pg_set("PG_CONNECTIONS", "65");
    server_start(&rig);
    assert_string_equal(pg_get("/cancelled", 200), "64 1");
    assert_int_equal(pg_counter("refused"), 0);
    server_stop(&rig);
    pg_reset();
}

static void test_down(void **state)
{
    (void)state;
    server_start(&rig);
    assert_string_equal(pg_query("SELECT 1"), "1");
    backends_do("halt", "pg");
    pg_await_counter("connections", 0);
    for (int i = 0; i < 200; i++) assert_string_equal(pg_get("/query", 502), "ECONNREFUSED  ");
    assert_true(pg_counter("failures") < 100); /* most were told without an attempt */
    server_await_log(&rig, "torc: PostgreSQL: cannot connect: ");
    backends_do("restart", "pg");
    pg_await("/query", 200, "1");
    server_stop(&rig);
}

static void test_restarted(void **state)
{
    struct client slow;
    (void)state;
    server_start(&rig);
    assert_string_equal(pg_query("SELECT 1"), "1");
    pg_ask(&slow, sleep_path(""));
    pg_await_running("pg_sleep(61)", 1);
    backends_do("restart", "pg");
    assert_string_equal(pg_answer(&slow, 502), "ECONNABORTED  ");
    pg_await("/query", 200, "1");
    server_await_log(&rig, "torc: PostgreSQL: a connection broke: ");
    server_stop(&rig);
}

/* The log tells what the server has said before it ended the connection. */
static void test_terminated(void **state)
{
    struct client slow;
    (void)state;
    server_start(&rig);
    pg_ask(&slow, sleep_path(""));
    pg_await_running("pg_sleep(61)", 1);
    pg_query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
             "WHERE query = 'SELECT pg_sleep(61)'");
    assert_string_equal(pg_answer(&slow, 502), "ECONNABORTED  ");
    server_await_log(&rig, "torc: PostgreSQL: a connection broke: "
                           "FATAL:  terminating connection due to administrator command\n");
    assert_null(strstr(server_log(&rig), "belongs to no query"));
    server_stop(&rig);
}

static void test_paused(void **state)
{
    (void)state;
    pg_set("PG_CONNECTIONS", "2");
    server_start(&rig);
    assert_string_equal(pg_query("SELECT 1"), "1");
    backends_do("pause", "pg");
    for (int i = 0; i < 6; i++) assert_string_equal(pg_get("/query?deadline=50", 502), "ETIME  ");
    assert_string_equal(pg_get("/ping", 200), "pong");
    backends_do("resume", "pg");
    pg_await("/query", 200, "1");
    server_stop(&rig);
    pg_reset();
}

/* The server ends while a cancel request has no answer. */
static void test_end_while_paused(void **state)
{
    (void)state;
    server_start(&rig);
    assert_string_equal(pg_query("SELECT 1"), "1");
    backends_do("pause", "pg");
    assert_string_equal(pg_get("/query?deadline=50", 502), "ETIME  ");
    server_stop(&rig);
    backends_do("resume", "pg");
}

static void test_connecting_takes_too_long(void **state)
{
    (void)state;
    pg_set("PG_CONNECT_TIMEOUT", "200");
    server_start(&rig);
    backends_do("pause", "pg");
    assert_string_equal(pg_get("/query", 502), "ETIMEDOUT  ");
    server_await_log(&rig, "torc: PostgreSQL: cannot connect: no answer in time\n");
    for (int i = 0; i < 3; i++) assert_string_equal(pg_get("/query", 502), "ETIMEDOUT  ");
    backends_do("resume", "pg");
    pg_await("/query", 200, "1");
    server_stop(&rig);
    pg_reset();
}

static void test_absent(void **state)
{
    static const char *const urls[] = {"postgresql://torc@127.0.0.1:1/torc",
                                       "host=/nowhere user=torc"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pg_set("PG_URL", urls[i]);
        server_start(&rig);
        assert_string_equal(pg_get("/query", 502), "ECONNREFUSED  ");
        assert_string_equal(pg_get("/db?n=20&mode=all", 502), "ECONNREFUSED");
        server_stop(&rig);
    }
    pg_reset();
}

/* The end of the drain cancels what still runs. */
static void test_drain(void **state)
{
    struct client c;
    (void)state;
    server_start(&rig, "--drain-timeout", "100ms");
    pg_ask(&c, sleep_path(""));
    pg_await_running("pg_sleep(61)", 1);
    server_signal(&rig, SIGTERM);
    assert_int_equal(server_wait(&rig), 0);
    server_free(&rig);
    client_close(&c);
    server_start(&rig);
    pg_await_running("pg_sleep(61)", 0);
    server_stop(&rig);
}

/* On a connection that stays. */
static void expect(struct client *c, const char *path, const char *body)
{
    struct reply r = {0};
    client_get(c, path, 200, &r);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

/* epoll needs a descriptor more to wait for one: a connection that nobody can wait for is closed,
 * rather than asked again and again. io_uring needs none. */
static void test_no_descriptor_left(void **state)
{
    struct client c;
    bool breaks = strcmp(server_engine, "io_uring") != 0;
    (void)state;
    server_start(&rig);
    client_open(&c, &rig);
    expect(&c, "/query", "1");
    expect(&c, "/descriptors?n=1", "0");
    expect(&c, "/query", "1"); /* whose answer is waited for already */
    if (breaks) server_await_log(&rig, "PostgreSQL: a connection broke: Too many open files\n");
    expect(&c, "/descriptors?n=0", "0");
    expect(&c, "/query", "1");
    client_close(&c);
    assert_int_equal(pg_counter("connects"), breaks ? 2 : 1);
    assert_int_equal(pg_counter("lost"), 0);
    server_stop(&rig);
}

/* ---- what is no PostgreSQL ---- */

static int listen_as_server(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = SERVER_SECONDS}; /* of accept */
    socklen_t len = sizeof addr;
    char url[96];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 8) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(url, sizeof url,
             "postgresql://torc@127.0.0.1:%u/torc?sslmode=disable&gssencmode=disable",
             ntohs(addr.sin_port));
    pg_set("PG_URL", url);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    return ntohs(addr.sin_port);
}

/* Takes no more connections: who connects hears nothing. */
static void fill(int listener, int held[8])
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons((uint16_t)port_of(listener))};
    bool full = false;
    assert_int_equal(listen(listener, 0), 0);
    for (int i = 0; i < 8; i++) {
        held[i] = full ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (full) continue;
        connect(held[i], (struct sockaddr *)&addr, sizeof addr);
        struct pollfd p = {.fd = held[i], .events = POLLOUT};
        full = poll(&p, 1, 200) == 0;
    }
    assert_true(full);
}

/* Of several hosts, those that accept and are silent, and those that are not even connected to, do
 * not keep the others away. Where all are silent, so is the pool. */
static void test_silent_hosts(void **state)
{
    int held[8], accepts = listen_as_server(), hears = listen_as_server();
    char url[512], silent[2][32];
    const char *real = strchr(backends_pg(), '@') + 1;
    (void)state;
    fill(hears, held);
    snprintf(silent[0], sizeof silent[0], "127.0.0.1:%u", port_of(accepts));
    snprintf(silent[1], sizeof silent[1], "127.0.0.1:%u", port_of(hears));
    pg_set("PG_CONNECT_TIMEOUT", "500");
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof url, "%.*s%s,%s,%s", (int)(real - backends_pg()), backends_pg(),
                 silent[i], silent[!i], real);
        pg_set("PG_URL", url);
        server_start(&rig);
        pg_await("/query", 200, "1");
        server_await_log(&rig, "PostgreSQL: no answer in time from host=127.0.0.1");
        server_stop(&rig);
        snprintf(url, sizeof url, "postgresql://torc@%s,%s/torc", silent[i], silent[!i]);
        pg_set("PG_URL", url);
        server_start(&rig);
        assert_string_equal(pg_get("/query", 502), "ETIMEDOUT  ");
        server_stop(&rig);
    }
    for (int i = 0; i < 8; i++)
        if (held[i] >= 0) close(held[i]);
    close(accepts);
    close(hears);
    pg_reset();
}

static void exchange(int fd, const char *answer, size_t n)
{
    char asked[4096];
    assert_true(read(fd, asked, sizeof asked) > 0);
    assert_int_equal(write(fd, answer, n), n);
}

/* Answers to the statement and to the query of it, where only one may be: none is lost to memory.
 */
static void test_an_answer_too_many(void **state)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
    static const char answer[] = "I\0\0\0\4" /* the statement is empty */
                                 "2\0\0\0\4C\0\0\0\15SELECT 0\0Z\0\0\0\5I";
    struct client c;
    (void)state;
    int listener = listen_as_server();
    server_start(&rig);
    pg_ask(&c, "/query");
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    exchange(fd, welcome, sizeof welcome - 1);
    exchange(fd, answer, sizeof answer - 1);
    pg_answer(&c, 200);
    server_stop(&rig); /* where the address sanitizer looks for leaks, it would not end well */
    close(fd);
    close(listener);
    pg_reset();
}

#define PREPARED "1\0\0\0\4"
#define BOUND    "2\0\0\0\4n\0\0\0\4"
#define UNREADABLE                                                                                 \
    "D\0\0\0\6\0\0" /* a row of nothing: libpq has an error of its own, as without memory */

/* The server has done what was asked, but libpq cannot keep the answer: it was not refused. The
 * connection is used on, unless that was to end a transaction. */
static void test_an_answer_that_cannot_be_kept(void **state)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
    static const char unread[] = PREPARED BOUND UNREADABLE "C\0\0\0\15SELECT 1\0Z\0\0\0\5I";
    static const char begun[] = PREPARED BOUND "C\0\0\0\12BEGIN\0Z\0\0\0\5T";
    static const char within[] = BOUND UNREADABLE "C\0\0\0\15SELECT 1\0Z\0\0\0\5T";
    static const char done[] = PREPARED BOUND UNREADABLE "C\0\0\0\13COMMIT\0Z\0\0\0\5I";
    struct client c;
    (void)state;
    int listener = listen_as_server();
    server_start(&rig);
    pg_ask(&c, "/query");
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    exchange(fd, welcome, sizeof welcome - 1);
    exchange(fd, unread, sizeof unread - 1);
    assert_string_equal(pg_answer(&c, 502), "ENOMEM  ");
    pg_ask(&c, "/transaction?sql=SELECT%201&again=SELECT%201&anyway=1&end=commit");
    exchange(fd, begun, sizeof begun - 1);
    exchange(fd, within, sizeof within - 1);
    exchange(fd, within, sizeof within - 1);
    assert_int_equal(pg_counter("connections"), 1);
    exchange(fd, done, sizeof done - 1);
    assert_string_equal(pg_answer(&c, 502), "ENOMEM");
    assert_int_equal(pg_counter("errors"), 0);
    server_await_log(&rig, "PostgreSQL: a connection broke: no memory for the answer");
    server_stop(&rig);
    close(fd);
    close(listener);
    pg_reset();
}

/* What a server answers to SELECT 1 that has just been prepared, without rows. */
static int welcome_and_answer(int listener)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
    static const char answer[] = "1\0\0\0\4"
                                 "2\0\0\0\4"
                                 "n\0\0\0\4"
                                 "C\0\0\0\15SELECT 0\0"
                                 "Z\0\0\0\5I";
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    exchange(fd, welcome, sizeof welcome - 1);
    exchange(fd, answer, sizeof answer - 1);
    return fd;
}

static bool is_readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

/* A server that hangs up, then one that is silent: without a query that waits for it there is no
 * attempt to connect, and where the query of an attempt has left, the next one waits for that. */
static void test_attempts_are_made_for_queries(void **state)
{
    struct client c;
    (void)state;
    int listener = listen_as_server();
    pg_set("PG_CONNECT_TIMEOUT", "60000");
    server_start(&rig);
    pg_ask(&c, "/query");
    close(accept(listener, NULL, NULL));
    assert_string_equal(pg_answer(&c, 502), "ECONNREFUSED  ");
    assert_false(is_readable(listener, 1000)); /* ten times the pause after a failure */
    while (!is_readable(listener, 0)) pg_get("/query?deadline=20", 502);
    pg_ask(&c, "/query");
    int fd = welcome_and_answer(listener);
    pg_answer(&c, 200);
    assert_int_equal(pg_counter("failures"), 1);
    server_stop(&rig);
    close(fd);
    close(listener);
    pg_reset();
}

static void answer_again(int fd)
{
    static const char answer[] = BOUND "C\0\0\0\15SELECT 0\0Z\0\0\0\5I";
    exchange(fd, answer, sizeof answer - 1);
}

/* Attempts that fail together are one failure: the pause after it is not that after many. */
static void test_attempts_that_fail_together(void **state)
{
    struct client c;
    int fds[8];
    (void)state;
    int listener = listen_as_server();
    pg_set("PG_CONNECTIONS", "8");
    pg_set("PG_CONNECT_TIMEOUT", "60000");
    pg_set("PG_CLOCK", "stands still");
    server_start(&rig);
    pg_ask(&c, "/db?n=8&mode=all");
    for (int i = 0; i < 8; i++) fds[i] = accept(listener, NULL, NULL);
    for (int i = 0; i < 8; i++) close(fds[i]);
    assert_string_equal(pg_answer(&c, 502), "ECONNREFUSED");
    pg_await_counter("failures", 8);
    assert_string_equal(pg_get("/query", 502), "ECONNREFUSED  ");
    pg_get("/clock?ms=101", 200);
    pg_ask(&c, "/query");
    close(accept(listener, NULL, NULL));
    assert_string_equal(pg_answer(&c, 502), "ECONNREFUSED  ");
    pg_get("/clock?ms=101", 200); /* of the 200 after a second one */
    assert_string_equal(pg_get("/query", 502), "ECONNREFUSED  ");
    assert_int_equal(pg_counter("failures"), 9);
    pg_get("/clock?ms=100", 200);
    pg_ask(&c, "/query");
    int fd = welcome_and_answer(listener);
    pg_answer(&c, 200);
    server_stop(&rig);
    close(fd);
    close(listener);
    pg_reset();
}

/* One connection was refused while another served. Long after, when none is open, that says
 * nothing: all who ask wait for what comes of the next attempt. */
static void test_a_failure_beside_a_connection(void **state)
{
    struct client c[3];
    (void)state;
    int listener = listen_as_server();
    pg_set("PG_CONNECTIONS", "2");
    pg_set("PG_PIPELINE", "1");
    pg_set("PG_CONNECT_TIMEOUT", "60000");
    pg_set("PG_CLOCK", "stands still"); /* no attempt is made after the one that fails */
    server_start(&rig);
    pg_ask(&c[0], "/query");
    int fd = welcome_and_answer(listener);
    pg_answer(&c[0], 200);
    for (int i = 0; i < 2; i++) pg_ask(&c[i], "/query");
    close(accept(listener, NULL, NULL));
    pg_await_counter("failures", 1);
    for (int i = 0; i < 2; i++) answer_again(fd);
    for (int i = 0; i < 2; i++) pg_answer(&c[i], 200);
    close(fd);
    pg_await_counter("connections", 0);
    pg_get("/clock?ms=5000", 200);
    pg_ask(&c[0], "/query");
    pg_await_counter("waiting", 1); /* and the next attempt is under way */
    for (int i = 1; i < 3; i++) pg_ask(&c[i], "/query");
    pg_await_counter("waiting", 3);
    fd = welcome_and_answer(listener);
    for (int i = 0; i < 2; i++) answer_again(fd);
    for (int i = 0; i < 3; i++) pg_answer(&c[i], 200);
    assert_int_equal(pg_counter("refused"), 0);
    server_stop(&rig);
    close(fd);
    close(listener);
    pg_reset();
}

/* A transaction of which a query is left. It is over before the cancel request comes, which could
 * hit the next one: that waits until the server has taken note. */
static void test_a_cancel_in_a_transaction_hits_nothing_else(void **state)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0K\0\0\0\14\0\0\0\1\0\0\0\2Z\0\0\0\5I";
    static const char answer[] = "1\0\0\0\4"
                                 "2\0\0\0\4"
                                 "n\0\0\0\4"
                                 "C\0\0\0\12BEGIN\0"
                                 "Z\0\0\0\5T";
    char asked[4096];
    struct client c;
    (void)state;
    int listener = listen_as_server();
    server_start(&rig);
    pg_ask(&c, "/left");
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    exchange(fd, welcome, sizeof welcome - 1);
    exchange(fd, answer, sizeof answer - 1); /* to BEGIN */
    assert_true(read(fd, asked, sizeof asked) > 0);
    int cancel = accept(listener, NULL, NULL);
    assert_true(cancel >= 0);
    assert_int_equal(write(fd, answer, sizeof answer - 1), sizeof answer - 1);
    assert_false(is_readable(fd, 500)); /* the next is not sent */
    close(cancel);
    exchange(fd, answer, sizeof answer - 1);
    assert_string_equal(pg_answer(&c, 200), "done");
    server_stop(&rig);
    close(fd);
    close(listener);
    pg_reset();
}

/* A server that does not answer the ROLLBACK of a transaction that was left open: its connection is
 * closed in time, and another opened. */
static void test_a_rollback_without_an_answer(void **state)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
    static const char answer[] = "1\0\0\0\4"
                                 "2\0\0\0\4"
                                 "n\0\0\0\4"
                                 "C\0\0\0\12BEGIN\0"
                                 "Z\0\0\0\5T";
    struct client c;
    (void)state;
    int listener = listen_as_server();
    pg_set("PG_CONNECTIONS", "1");
    server_start(&rig);
    pg_ask(&c, "/query");
    int silent = accept(listener, NULL, NULL);
    assert_true(silent >= 0);
    exchange(silent, welcome, sizeof welcome - 1);
    exchange(silent, answer, sizeof answer - 1);
    pg_answer(&c, 200);
    pg_ask(&c, "/query");
    int fd = welcome_and_answer(listener);
    pg_answer(&c, 200);
    assert_int_equal(pg_counter("connections"), 1);
    server_stop(&rig);
    close(fd);
    close(silent);
    close(listener);
    pg_reset();
}

/* The connection is found broken in the turn in which it has got a query, before that is sent: it
 * goes to another. */
static void test_what_was_not_sent_is_not_lost(void **state)
{
    char file[] = "/tmp/torc-pg-hold.XXXXXX", path[64];
    struct client c, holder;
    (void)state;
    int held = mkstemp(file), listener = listen_as_server();
    assert_true(held >= 0);
    close(held);
    server_start(&rig);
    pg_ask(&c, "/query");
    int fd = welcome_and_answer(listener);
    pg_answer(&c, 200);
    client_open(&holder, &rig);
    client_open(&c, &rig);
    expect(&holder, "/ping", "pong");
    expect(&c, "/ping", "pong");
    snprintf(path, sizeof path, "/hold?file=%s", file);
    client_ask(&holder, "GET", path, "");
    server_await_log(&rig, "holds the core\n");
    client_ask(&c, "GET", "/query", "");
    close(fd);
    unlink(file);
    pg_answer(&holder, 200);
    fd = welcome_and_answer(listener);
    pg_answer(&c, 200);
    assert_int_equal(pg_counter("lost"), 0);
    assert_int_equal(pg_counter("queries"), 2);
    server_stop(&rig);
    close(fd);
    close(listener);
    pg_reset();
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_deadline_cancels_the_query),
        cmocka_unit_test(test_the_thread_that_cancels),
        cmocka_unit_test(test_a_client_that_leaves_cancels_its_query),
        cmocka_unit_test(test_others_survive_a_cancel),
        cmocka_unit_test(test_a_cancel_long_over_repeats_nothing),
        cmocka_unit_test(test_no_procedure_is_repeated),
        cmocka_unit_test(test_no_function_is_repeated),
        cmocka_unit_test(test_queries_are_repeated_whose_parameters_are_told),
        cmocka_unit_test(test_a_procedure_shares_no_connection),
        cmocka_unit_test(test_many_cancels_at_once),
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_restarted),
        cmocka_unit_test(test_terminated),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_end_while_paused),
        cmocka_unit_test(test_connecting_takes_too_long),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_no_descriptor_left),
        cmocka_unit_test(test_an_answer_too_many),
        cmocka_unit_test(test_an_answer_that_cannot_be_kept),
        cmocka_unit_test(test_silent_hosts),
        cmocka_unit_test(test_attempts_are_made_for_queries),
        cmocka_unit_test(test_attempts_that_fail_together),
        cmocka_unit_test(test_a_failure_beside_a_connection),
        cmocka_unit_test(test_a_cancel_in_a_transaction_hits_nothing_else),
        cmocka_unit_test(test_a_rollback_without_an_answer),
        cmocka_unit_test(test_what_was_not_sent_is_not_lost),
    };
    return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
