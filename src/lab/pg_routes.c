/* Routes that ask PostgreSQL, with the tables of the TechEmpower benchmarks. */

#include "backend.h"
#include "backend_routes.h"
#include "lab.h"

static const char *conninfo; /* --pg; NULL if not given */

#ifdef TORC_LAB_PG
#include "each.h"
#include "option.h"
#include "params.h"
#include "pg_routes.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ROWS_MAX = 500,
    WORLD = 10000, /* the table has the ids from 1 to this */
    QUEUE = 65536, /* queries of a core that wait: many requests with mode=all */
};

static torc_pg *pg;

/* How much of libpq's text is its own. What it quotes behind that is a part of the value. */
static size_t own_words(const char *why)
{
    static const char *const quote[] = {"missing \"=\"", "missing key/value separator \"=\"",
                                        "extra key/value separator \"=\"",
                                        "end of string reached when looking for matching \"]\""};
    size_t n = 0;
    for (size_t i = 0; i < sizeof quote / sizeof *quote && n == 0; i++)
        if (strncmp(why, quote[i], strlen(quote[i])) == 0) n = strlen(quote[i]);
    return n + strcspn(why + n, "\"\n");
}

/* In libpq's words. Any part of a value with a password may be of that. */
static void tell(const char *why)
{
    bool secret = option_is_secret(conninfo) || strchr(conninfo, ':');
    size_t n = secret ? own_words(why) : strcspn(why, "\n");
    fprintf(stderr, "torc: --pg: %.*s%s\n", (int)n, why, why[n] == '"' ? "..." : "");
}

int pg_routes_open(void)
{
    char *why = NULL;
    if (!conninfo) return 0;
    PQconninfoFree(PQconninfoParse(conninfo, &why));
    if (why) {
        tell(why);
        PQfreemem(why);
        return -EINVAL;
    }
    pg = torc_pg_new(&(torc_pg_options){.conninfo = conninfo, .queue = QUEUE});
    if (pg) return 0;
    if (errno != EINVAL) return option_failed("pg", errno);
    fprintf(stderr, "torc: --pg: a port that is no number, or an @ behind the one before the host: "
                    "in a password, write %%40 for @ and %%2F for /\n");
    return -EINVAL;
}

static void metrics(torc_metrics *out, void *arg)
{
    (void)arg;
    if (pg) torc_pg_metrics(out, pg);
}

torc_pg *pg_pool(torc_req *rq)
{
    return backend_given(rq, "pg", conninfo) ? pg : NULL;
}

void pg_failed(torc_req *rq, int err, const torc_pg_result *r)
{
    torc_slice said = {0};
    if (r) said = (torc_slice){torc_pg_message(r), strlen(torc_pg_message(r))};
    backend_failed(rq, "PostgreSQL", err, said);
}

/* ---- /db ---- */

struct row {
    int id;
    const char *seconds; /* that the database takes, or NULL: as long as it needs */
    torc_pg_result *result;
};

/* Marsaglia's xorshift: a state for each core. */
int pg_random_id(void)
{
    static _Thread_local uint64_t x;
    if (x == 0) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        x = ((uint64_t)t.tv_nsec << 32) ^ (uint64_t)(uintptr_t)&x;
    }
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return 1 + (int)(x % WORLD);
}

static int ask_row(torc_req *rq, void *arg)
{
    struct row *row = arg;
    char id[16];
    const char *values[] = {id, row->seconds};
    const char *sql = row->seconds
                          ? "SELECT id, randomnumber FROM world, pg_sleep($2::float8) WHERE id = $1"
                          : "SELECT id, randomnumber FROM world WHERE id = $1";
    snprintf(id, sizeof id, "%d", row->id);
    return torc_pg_query(rq, pg, sql, row->seconds ? 2 : 1, values, &row->result);
}

bool pg_put_row(struct text *t, int id, const torc_pg_result *r)
{
    if (torc_pg_rows(r) != 1) {
        torc_replyf(t->rq, 502, "PostgreSQL: the table world has no row %d\n", id);
        return false;
    }
    text_put(t, TORC_S("{\"id\":"));
    text_put(t, torc_pg_value(r, 0, 0));
    text_put(t, TORC_S(",\"randomNumber\":"));
    text_put(t, torc_pg_value(r, 0, 1));
    text_put(t, TORC_S("}"));
    return true;
}

static void reply_rows(torc_req *rq, const struct row *rows, int64_t n)
{
    struct text t = {.rq = rq};
    for (int64_t i = 0; i < n; i++) {
        text_put(&t, i ? TORC_S(",") : TORC_S("["));
        if (!pg_put_row(&t, rows[i].id, rows[i].result)) return;
    }
    text_put(&t, TORC_S("]"));
    text_reply(&t, "application/json");
}

bool pg_take_seconds(torc_req *rq, char *text, size_t size, const char **seconds)
{
    int64_t ms;
    torc_slice given = torc_query_param(rq, "ms");
    *seconds = NULL;
    if (!given.ptr) return true;
    if (!param_number(rq, TORC_S("ms"), given, 0, 60000, &ms)) return false;
    snprintf(text, size, "%d.%03d", (int)(ms / 1000), (int)(ms % 1000));
    *seconds = text;
    return true;
}

static void db(torc_req *rq, void *arg)
{
    int64_t n;
    bool concurrent;
    char text[16];
    const char *seconds;
    (void)arg;
    if (!pg_pool(rq) ||
        !param_number(rq, TORC_S("n"), torc_query_param(rq, "n"), 1, ROWS_MAX, &n) ||
        !param_mode(rq, &concurrent) || !pg_take_seconds(rq, text, sizeof text, &seconds) ||
        !backend_begin(rq, 0))
        return;
    struct row *rows = torc_alloc(rq, sizeof *rows * (size_t)n);
    if (!rows) {
        torc_reply_error(rq, 503);
        return;
    }
    for (int64_t i = 0; i < n; i++) rows[i] = (struct row){pg_random_id(), seconds, NULL};
    int err = each(rq, concurrent, ask_row, rows, sizeof *rows, n);
    if (err == 0) {
        reply_rows(rq, rows, n);
        return;
    }
    const torc_pg_result *refused = NULL;
    for (int64_t i = 0; i < n && err == -EREMOTEIO; i++)
        if (rows[i].result && torc_pg_sqlstate(rows[i].result)[0]) refused = rows[i].result;
    pg_failed(rq, err, refused);
}

/* ---- /fortunes ---- */

struct fortune {
    torc_slice id, message;
};

static int by_message(const void *pa, const void *pb)
{
    torc_slice a = ((const struct fortune *)pa)->message, b = ((const struct fortune *)pb)->message;
    size_t both = a.len < b.len ? a.len : b.len; /* 0 where one is NULL, which has no bytes */
    int order = both ? memcmp(a.ptr, b.ptr, both) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static void reply_fortunes(torc_req *rq, const struct fortune *f, int n)
{
    struct text t = {.rq = rq};
    text_put(&t, TORC_S("<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>"
                        "<tr><th>id</th><th>message</th></tr>"));
    for (int i = 0; i < n; i++) {
        text_put(&t, TORC_S("<tr><td>"));
        text_put_html(&t, f[i].id);
        text_put(&t, TORC_S("</td><td>"));
        text_put_html(&t, f[i].message);
        text_put(&t, TORC_S("</td></tr>"));
    }
    text_put(&t, TORC_S("</table></body></html>"));
    text_reply(&t, "text/html; charset=utf-8");
}

/* The rows and one more that is added here, sorted here. */
static void fortunes(torc_req *rq, void *arg)
{
    torc_pg_result *r;
    (void)arg;
    if (!pg_pool(rq) || !backend_begin(rq, 0)) return;
    int err = torc_pg_query(rq, pg, "SELECT id, message FROM fortune", 0, NULL, &r);
    if (err < 0) {
        pg_failed(rq, err, r);
        return;
    }
    int n = torc_pg_rows(r) + 1;
    struct fortune *f = torc_alloc(rq, sizeof *f * (size_t)n);
    if (!f) {
        torc_reply_error(rq, 503);
        return;
    }
    f[0] = (struct fortune){TORC_S("0"), TORC_S("Additional fortune added at request time.")};
    for (int i = 1; i < n; i++)
        f[i] = (struct fortune){torc_pg_value(r, i - 1, 0), torc_pg_value(r, i - 1, 1)};
    qsort(f, (size_t)n, sizeof *f, by_message);
    reply_fortunes(rq, f, n);
}

bool pg_routes_given(void)
{
    return conninfo != NULL;
}

void pg_routes_free(void)
{
    torc_pg_free(pg);
}
#else
static void db(torc_req *rq, void *arg)
{
    (void)arg;
    backend_not_built_in(rq, "libpq");
}

static torc_handler *const fortunes = db;

bool pg_routes_given(void)
{
    return false;
}

int pg_routes_open(void)
{
    return 0;
}

void pg_routes_free(void) {}
#endif

int pg_routes_mount(torc_server *s)
{
    int err =
        torc_server_option(s, "pg", "CONNINFO",
                           "the PostgreSQL that /db, /fortunes and /stack ask, as libpq takes it: "
                           "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
                           &conninfo);
    if (err == 0) err = torc_route(s, "GET", "/db", db, NULL);
    if (err == 0) err = torc_route(s, "GET", "/fortunes", fortunes, NULL);
#ifdef TORC_LAB_PG
    if (err == 0) err = torc_metrics_add(s, metrics, NULL);
#endif
    return err;
}
