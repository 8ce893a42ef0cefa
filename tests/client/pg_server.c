/* A server whose handlers ask PostgreSQL. How a call ended is the response, and a line of stderr
 * where nobody may be left to read that. */

#include "torc.h"
#include "torc/pg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static torc_pg *pg;

static const char *text(torc_req *rq, const char *name)
{
    torc_slice v = torc_query_param(rq, name);
    char *copy = v.ptr ? torc_alloc(rq, v.len + 1) : NULL;
    if (!copy) return NULL;
    memcpy(copy, v.ptr, v.len);
    copy[v.len] = '\0';
    return copy;
}

static unsigned number(torc_req *rq, const char *name, unsigned otherwise)
{
    const char *v = text(rq, name);
    return v ? (unsigned)strtoul(v, NULL, 10) : otherwise;
}

static const char *name_of(int err)
{
    static const struct {
        int err;
        const char *name;
    } names[] = {{0, "done"},
                 {-EAGAIN, "EAGAIN"},
                 {-ECONNABORTED, "ECONNABORTED"},
                 {-ECONNREFUSED, "ECONNREFUSED"},
                 {-ENOMEM, "ENOMEM"},
                 {-EOPNOTSUPP, "EOPNOTSUPP"},
                 {-EREMOTEIO, "EREMOTEIO"},
                 {-ETIME, "ETIME"},
                 {-ETIMEDOUT, "ETIMEDOUT"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].err == err) return names[i].name;
    return "another";
}

static void reply(torc_req *rq, int err, const torc_pg_result *r)
{
    char out[2048];
    size_t n = 0;
    if (err < 0) {
        torc_replyf(rq, 502, "%s %s %.60s", name_of(err), r ? torc_pg_sqlstate(r) : "",
                    r ? torc_pg_message(r) : "");
        return;
    }
    for (int row = 0; row < torc_pg_rows(r); row++)
        for (int column = 0; column < torc_pg_columns(r); column++) {
            torc_slice v = torc_pg_value(r, row, column);
            if (v.len > sizeof out - n - 32) {
                n += (size_t)sprintf(out + n, "%zu bytes", v.len);
                break;
            }
            n += (size_t)sprintf(out + n, "%s%.*s", n ? "," : "", v.ptr ? (int)v.len : 4,
                                 v.ptr ? v.ptr : "NULL");
        }
    if (torc_pg_columns(r) == 0) n = (size_t)sprintf(out, "%lld", (long long)torc_pg_affected(r));
    torc_reply(rq, 200, "text/plain", (torc_slice){out, n});
}

/* ?sql=&p=&deadline=: one statement, with at most one parameter. */
static void on_query(torc_req *rq, void *arg)
{
    const char *sql = text(rq, "sql"), *p = text(rq, "p");
    torc_pg_result *r;
    unsigned deadline = number(rq, "deadline", 0);
    (void)arg;
    if (deadline) torc_deadline(rq, deadline);
    int err = torc_pg_query(rq, pg, sql ? sql : "SELECT 1", p != NULL, &p, &r);
    reply(rq, err, r);
}

/* A binary parameter, and a binary result. */
static void on_binary(torc_req *rq, void *arg)
{
    const char *values[] = {"\0\0\0\5", "7", NULL};
    const int lengths[] = {4, -1, 0};
    torc_pg_statement s = {.sql = "SELECT $1::int + $2::int AS sum, $3::text AS \"Nothing\"",
                           .n = 3,
                           .values = values,
                           .lengths = lengths,
                           .binary = true};
    torc_pg_result *r;
    (void)arg;
    int err = torc_pg_run(rq, pg, &s, &r);
    if (err < 0) {
        reply(rq, err, r);
        return;
    }
    torc_slice sum = torc_pg_value(r, 0, 0);
    torc_replyf(rq, 200, "%zu bytes, the last %d; %.*s %d, %.*s %d %s %s", sum.len,
                sum.len ? sum.ptr[sum.len - 1] : 0, (int)torc_pg_column(r, 0).len,
                torc_pg_column(r, 0).ptr, torc_pg_column_of(r, "sum"),
                (int)torc_pg_column(r, 1).len, torc_pg_column(r, 1).ptr,
                torc_pg_column_of(r, "Nothing"), torc_pg_value(r, 0, 1).ptr ? "a value" : "NULL",
                torc_pg_value(r, 1, 0).ptr || torc_pg_value(r, 0, 2).ptr ? "beyond" : "absent");
    torc_pg_result_free(r);
}

/* ---- many ---- */

struct many {
    unsigned id;
    int value;
};

static int one(torc_req *rq, void *arg)
{
    struct many *m = arg;
    char id[16];
    const char *values[] = {id};
    torc_pg_result *r;
    snprintf(id, sizeof id, "%u", m->id);
    int err = torc_pg_query(rq, pg, "SELECT randomnumber FROM world WHERE id = $1", 1, values, &r);
    if (err == 0) m->value = atoi(torc_pg_value(r, 0, 0).ptr);
    torc_pg_result_free(r);
    return err;
}

/* ?n=&mode=seq|all: the sum of random numbers. */
static void on_db(torc_req *rq, void *arg)
{
    unsigned n = number(rq, "n", 1);
    torc_slice mode = torc_query_param(rq, "mode");
    torc_group *g = mode.len == 3 && memcmp(mode.ptr, "all", 3) == 0 ? torc_group_open(rq) : NULL;
    struct many *m = torc_alloc(rq, n * sizeof *m);
    long sum = 0;
    int err = 0;
    (void)arg;
    for (unsigned i = 0; i < n && err == 0; i++) {
        m[i] = (struct many){1 + i * 97 % 10000, 0};
        err = g ? torc_spawn(g, one, &m[i]) : one(rq, &m[i]);
    }
    if (g) err = torc_group_join(g);
    for (unsigned i = 0; i < n; i++) sum += m[i].value;
    if (err == 0)
        torc_replyf(rq, 200, "%ld", sum);
    else
        torc_replyf(rq, 502, "%s", name_of(err));
}

/* ---- transactions ---- */

static int run(torc_req *rq, torc_pg_tx *tx, const char *sql)
{
    torc_pg_result *r;
    torc_pg_statement s = {.sql = sql, .tx = tx};
    return torc_pg_run(rq, pg, &s, &r);
}

/* ?sql=&end=commit|rollback|return&again=&anyway=: a transaction of one or two statements, the
 * second also where the first fails. */
static void on_transaction(torc_req *rq, void *arg)
{
    torc_pg_tx *tx;
    const char *sql = text(rq, "sql"), *again = text(rq, "again"), *end = text(rq, "end");
    (void)arg;
    int err = torc_pg_begin(rq, pg, &tx);
    if (err == 0) err = run(rq, tx, sql);
    if (again && (err == 0 || (tx && number(rq, "anyway", 0)))) err = run(rq, tx, again);
    if (end && strcmp(end, "commit") == 0 && tx) err = torc_pg_commit(rq, tx);
    if (end && strcmp(end, "rollback") == 0) torc_pg_rollback(tx);
    torc_replyf(rq, err ? 502 : 200, "%s", err ? name_of(err) : "done");
}

enum { STEPS = 3 };

struct step {
    torc_pg_tx *tx;
    const char *sql;
    char result[64];
};

static int take_step(torc_req *rq, void *arg)
{
    struct step *step = arg;
    torc_pg_result *r;
    torc_pg_statement s = {.sql = step->sql, .tx = step->tx};
    int err = torc_pg_run(rq, pg, &s, &r);
    snprintf(step->result, sizeof step->result, "%s%s%.5s", name_of(err), err ? " " : "",
             r ? torc_pg_sqlstate(r) : "");
    return 0;
}

/* ?1=&2=&3=&together=: a transaction of three statements, which is committed in any case: how each
 * has ended, and the commit. */
static void on_steps(torc_req *rq, void *arg)
{
    static const char *const names[STEPS] = {"1", "2", "3"};
    struct step step[STEPS];
    torc_pg_tx *tx;
    torc_group *g = number(rq, "together", 0) ? torc_group_open(rq) : NULL;
    (void)arg;
    if (torc_pg_begin(rq, pg, &tx) < 0) return;
    for (int i = 0; i < STEPS; i++) {
        step[i] = (struct step){.tx = tx, .sql = text(rq, names[i])};
        if (g)
            torc_spawn(g, take_step, &step[i]);
        else
            take_step(rq, &step[i]);
    }
    if (g) torc_group_join(g);
    int err = torc_pg_commit(rq, tx);
    torc_replyf(rq, 200, "%s, %s, %s: %s", step[0].result, step[1].result, step[2].result,
                name_of(err));
}

enum { OVERFULL = 16 }; /* as many queries of a transaction as may be under way */

/* ?before=&first=&rest=&alone=: a transaction of one statement, then one more and 15 times another
 * at once, during which it is committed; after the answer to the first of those, a statement that
 * does not belong to it. How the commit has ended, how many of the 16 are done, and the last. */
static void on_overfull(torc_req *rq, void *arg)
{
    struct step step[OVERFULL];
    torc_pg_tx *tx;
    torc_group *first = torc_group_open(rq), *rest = torc_group_open(rq);
    const char *before = text(rq, "before"), *alone = text(rq, "alone");
    int done = 0;
    (void)arg;
    if (torc_pg_begin(rq, pg, &tx) < 0 || run(rq, tx, before) < 0) return;
    for (int i = 0; i < OVERFULL; i++) {
        step[i] = (struct step){.tx = tx, .sql = text(rq, i == 0 ? "first" : "rest")};
        torc_spawn(i == 0 ? first : rest, take_step, &step[i]);
    }
    int err = torc_pg_commit(rq, tx);
    torc_group_join(first);
    int other = run(rq, NULL, alone);
    torc_group_join(rest);
    for (int i = 0; i < OVERFULL; i++) done += strcmp(step[i].result, "done") == 0;
    torc_replyf(rq, 200, "%s, %d, %s", name_of(err), done, name_of(other));
}

enum { TRANSACTIONS = 65 }; /* one more than cancel requests of a core may be under way */

struct transaction {
    torc_pg_tx *tx;
    int result;
};

static int sleep_in(torc_req *rq, void *arg)
{
    const struct transaction *t = arg;
    return run(rq, t->tx, "SELECT pg_sleep(61)");
}

static int fail_at_once(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return -ECANCELED;
}

static int go_on_in(torc_req *rq, void *arg)
{
    struct transaction *t = arg;
    t->result = run(rq, t->tx, "SELECT 1");
    return 0;
}

/* Queries of as many transactions are cancelled at once, and each goes on at once: how many have
 * failed in the server, and how many have lost their connection. */
static void on_cancelled(torc_req *rq, void *arg)
{
    struct transaction t[TRANSACTIONS] = {0};
    torc_group *sleeping = torc_group_open(rq), *going_on = torc_group_open(rq);
    int refused = 0, lost = 0;
    (void)arg;
    for (int i = 0; i < TRANSACTIONS; i++)
        if (torc_pg_begin(rq, pg, &t[i].tx) < 0) return;
    for (int i = 0; i < TRANSACTIONS; i++) torc_spawn(sleeping, sleep_in, &t[i]);
    torc_sleep(rq, 100); /* they are sent when the turn ends */
    torc_spawn(sleeping, fail_at_once, NULL);
    for (int i = 0; i < TRANSACTIONS; i++) torc_spawn(going_on, go_on_in, &t[i]);
    torc_group_join(going_on);
    torc_group_join(sleeping);
    for (int i = 0; i < TRANSACTIONS; i++) {
        refused += t[i].result == -EREMOTEIO;
        lost += t[i].result == -ECONNABORTED;
    }
    torc_replyf(rq, 200, "%d %d", refused, lost);
}

/* A query of a transaction is left, and another follows at once: how that one ends. */
static void on_left(torc_req *rq, void *arg)
{
    struct transaction t = {0};
    (void)arg;
    if (torc_pg_begin(rq, pg, &t.tx) < 0) return;
    torc_group *left = torc_group_open(rq);
    torc_group_deadline(left, 50);
    torc_spawn(left, go_on_in, &t);
    torc_group_join(left);
    torc_replyf(rq, 200, "%s", name_of(run(rq, t.tx, "SELECT 2")));
}

static void on_counters(torc_req *rq, void *arg)
{
    torc_pg_counters c;
    (void)arg;
    torc_pg_count(pg, &c);
    torc_replyf(rq, 200,
                "{\"queries\":%llu,\"errors\":%llu,\"lost\":%llu,\"cancels\":%llu,"
                "\"refused\":%llu,\"connects\":%llu,\"failures\":%llu,\"prepared\":%llu,"
                "\"connections\":%llu,\"waiting\":%llu}",
                (unsigned long long)c.queries, (unsigned long long)c.errors,
                (unsigned long long)c.lost, (unsigned long long)c.cancels,
                (unsigned long long)c.refused, (unsigned long long)c.connects,
                (unsigned long long)c.failures, (unsigned long long)c.prepared,
                (unsigned long long)c.connections, (unsigned long long)c.waiting);
}

/* ?file=: has the core do nothing else while there is that file. */
static void on_hold(torc_req *rq, void *arg)
{
    const char *file = text(rq, "file");
    (void)arg;
    fprintf(stderr, "holds the core\n");
    while (file && access(file, F_OK) == 0) usleep(1000);
    torc_replyf(rq, 200, "held");
}

/* ?n=: so many descriptors may be open, 0: as many as before; those that are stay so. */
static void on_descriptors(torc_req *rq, void *arg)
{
    struct rlimit limit;
    (void)arg;
    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned n = number(rq, "n", 0);
    limit.rlim_cur = n ? n : limit.rlim_max;
    torc_replyf(rq, 200, "%d", setrlimit(RLIMIT_NOFILE, &limit));
}

static void on_ping(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "pong");
}

/* ---- the clock ---- */

struct torc_host;
uint64_t __real_torc_host_now(const struct torc_host *h); /* NOLINT */
uint64_t __wrap_torc_host_now(const struct torc_host *h); /* NOLINT */

static _Atomic uint64_t clock_time;

/* With PG_CLOCK in the environment it stands still: every query is over at once. */
uint64_t __wrap_torc_host_now(const struct torc_host *h) /* NOLINT */
{
    if (!getenv("PG_CLOCK")) return __real_torc_host_now(h);
    if (!clock_time) clock_time = __real_torc_host_now(h);
    return clock_time;
}

/* ?ms=: so much time passes. */
static void on_clock(torc_req *rq, void *arg)
{
    (void)arg;
    clock_time += number(rq, "ms", 0) * 1000000ull;
    torc_replyf(rq, 200, "later");
}

/* ---- the server ---- */

static unsigned from_environment(const char *name)
{
    const char *value = getenv(name);
    return value ? (unsigned)atoi(value) : 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {{"/query", on_query}, {"/binary", on_binary},
                  {"/db", on_db},       {"/transaction", on_transaction},
                  {"/steps", on_steps}, {"/cancelled", on_cancelled},
                  {"/left", on_left},   {"/counters", on_counters},
                  {"/hold", on_hold},   {"/descriptors", on_descriptors},
                  {"/ping", on_ping},   {"/overfull", on_overfull},
                  {"/clock", on_clock}};
    torc_pg_options o = {.conninfo = getenv("PG_URL"),
                         .connections = from_environment("PG_CONNECTIONS"),
                         .pipeline = from_environment("PG_PIPELINE"),
                         .queue = from_environment("PG_QUEUE"),
                         .statements = from_environment("PG_STATEMENTS"),
                         .connect_timeout = from_environment("PG_CONNECT_TIMEOUT")};
    pg = torc_pg_new(&o);
    torc_server *s = torc_server_new("pg-server 1.0");
    for (size_t i = 0; s && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, "GET", routes[i].path, routes[i].fn, NULL) < 0) return 1;
    if (s && torc_metrics_add(s, torc_pg_metrics, pg) < 0) return 1;
    int status = s && pg ? torc_server_main(s, argc, argv) : 1;
    torc_server_free(s);
    torc_pg_free(pg);
    return status;
}
