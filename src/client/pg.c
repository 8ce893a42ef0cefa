/* The public calls of torc/pg.h. */

#include "client/pg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pool ---- */

/* In a URL, libpq ends the user and the password at the first @ or slash. Another @ behind that is
 * of a password that is not encoded, the rest of which libpq would tell everyone as a host or a
 * database that it does not find. */
static bool is_torn(const char *conninfo)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(conninfo, schemes[i], n) != 0) continue;
        const char *rest = conninfo + n + strcspn(conninfo + n, "@/");
        if (*rest) rest++;
        return rest[strcspn(rest, "@?")] == '@';
    }
    return false;
}

/* libpq says so only when it connects, with the text, as in "postgres://user:password". */
static bool has_wrong_port(const PQconninfoOption *o)
{
    while (o->keyword && strcmp(o->keyword, "port") != 0) o++;
    return o->val && o->val[strspn(o->val, "0123456789, ")];
}

static bool is_conninfo(const char *conninfo)
{
    PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
    bool right = parsed && !is_torn(conninfo) && !has_wrong_port(parsed);
    PQconninfoFree(parsed);
    return right;
}

static void set_defaults(torc_pg_options *o)
{
    if (!o->connections) o->connections = 4;
    if (!o->pipeline) o->pipeline = 16;
    if (!o->queue) o->queue = 1024;
    if (!o->statements) o->statements = 256;
    if (!o->connect_timeout) o->connect_timeout = 5000;
}

torc_pg *torc_pg_new(const torc_pg_options *o)
{
    if (o->conninfo && !is_conninfo(o->conninfo)) {
        errno = EINVAL;
        return NULL;
    }
    torc_pg *pg = calloc(1, sizeof *pg);
    if (!pg) return NULL;
    pg->o = *o;
    set_defaults(&pg->o);
    pg->conninfo = o->conninfo ? strdup(o->conninfo) : NULL;
    pg->canceller = pg_canceller_new();
    if ((o->conninfo && !pg->conninfo) || !pg->canceller) {
        if (pg->canceller) pg_canceller_free(pg->canceller);
        free(pg->conninfo);
        free(pg);
        errno = ENOMEM;
        return NULL;
    }
    pg->o.conninfo = pg->conninfo;
    return pg;
}

void torc_pg_free(torc_pg *pg)
{
    if (!pg) return;
    for (size_t i = 0; i < PG_CORES; i++)
        if (pg->core[i] && pg->core[i]->host) return; /* which may still use all of it */
    pg_canceller_free(pg->canceller);
    for (size_t i = 0; i < PG_CORES; i++) free(pg->core[i]);
    free(pg->conninfo);
    free(pg);
}

void torc_pg_count(const torc_pg *pg, torc_pg_counters *out)
{
    uint64_t *sum = (uint64_t *)out;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < PG_CORES; i++) {
        const struct pg_core *core = atomic_load_explicit(&pg->core[i], memory_order_acquire);
        const uint64_t *own = core ? (const uint64_t *)&core->counters : NULL;
        for (size_t k = 0; own && k < sizeof *out / sizeof *sum; k++)
            sum[k] += counter_get(&own[k]);
    }
}

void torc_pg_metrics(torc_metrics *out, void *pg)
{
    torc_pg_counters n;
    torc_pg_count(pg, &n);
    const struct {
        torc_metric_kind kind;
        const char *name, *help;
        uint64_t value;
    } metrics[] = {
        {TORC_COUNTER, "pg_queries_total", "queries sent to PostgreSQL", n.queries},
        {TORC_COUNTER, "pg_errors_total", "of them, refused by the server", n.errors},
        {TORC_COUNTER, "pg_lost_total", "of them, ended with their connection", n.lost},
        {TORC_COUNTER, "pg_cancels_total", "cancel requests", n.cancels},
        {TORC_COUNTER, "pg_refused_total", "queries not sent: too many wait, or no server",
         n.refused},
        {TORC_COUNTER, "pg_connects_total", "connections opened to PostgreSQL", n.connects},
        {TORC_COUNTER, "pg_connect_failures_total", "attempts to connect that failed", n.failures},
        {TORC_COUNTER, "pg_prepared_total", "statements prepared", n.prepared},
        {TORC_GAUGE, "pg_connections", "connections to PostgreSQL that are open", n.connections},
        {TORC_GAUGE, "pg_waiting", "queries that wait for their turn", n.waiting},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        torc_metric(out, metrics[i].kind, metrics[i].name, metrics[i].help,
                    (double)metrics[i].value);
}

/* ---- queries ---- */

static void on_leave(struct torc_host_wait *w)
{
    pg_pool_leave(container_of(w, struct pg_query, wait));
}

int pg_query_run(torc_req *rq, struct pg_query *q, torc_pg *pg)
{
    int err;
    q->core = pg_core_of(pg, rq, &err);
    if (!q->core) return err;
    q->wait.leave = on_leave;
    q->hash = pg_hash(q->statement->sql);
    list_init(&q->link);
    err = pg_pool_add(q);
    return err < 0 ? err : torc_host_park(rq, &q->wait, "PostgreSQL");
}

int torc_pg_run(torc_req *rq, torc_pg *pg, const torc_pg_statement *s, torc_pg_result **result)
{
    *result = NULL;
    if (!s->sql || s->n < 0 || s->n > UINT16_MAX) return -EINVAL;
    struct pg_query q = {.statement = s, .tx = s->tx};
    int err = pg_query_run(rq, &q, pg);
    if (err == -EREMOTEIO && q.refused == err) return pg_result_give_lost(rq, result);
    return err < 0 ? err : pg_result_give(rq, q.answer, result);
}

int torc_pg_query(torc_req *rq, torc_pg *pg, const char *sql, int n, const char *const *values,
                  torc_pg_result **result)
{
    const torc_pg_statement s = {.sql = sql, .n = n, .values = values};
    return torc_pg_run(rq, pg, &s, result);
}

/* ---- transactions ---- */

/* The connection goes back; what was not committed is rolled back, before anybody else has it.
 * Queries of the transaction may be under way, where the commit was refused. */
static void release(torc_pg_tx *tx)
{
    struct pg_conn *c = tx->conn;
    if (c) {
        c->tx = NULL;
        c->released = true;
        pg_conn_settle(c);
    }
    free(tx);
}

static void on_request_end(struct torc_host_cleanup *c)
{
    release(container_of(c, torc_pg_tx, cleanup));
}

int torc_pg_begin(torc_req *rq, torc_pg *pg, torc_pg_tx **tx)
{
    static const torc_pg_statement begin = {.sql = "BEGIN"};
    torc_pg_tx *own = calloc(1, sizeof *own);
    *tx = NULL;
    if (!own) return -ENOMEM;
    *own = (torc_pg_tx){.cleanup.fn = on_request_end, .pg = pg};
    struct pg_query q = {.statement = &begin, .tx = own, .begins = true};
    int err = pg_query_run(rq, &q, pg);
    if (err == 0 && PQresultStatus(q.answer) != PGRES_COMMAND_OK) err = -EREMOTEIO;
    PQclear(q.answer);
    if (err < 0) {
        release(own);
        return err;
    }
    torc_host_hold(rq, &own->cleanup);
    *tx = own;
    return 0;
}

int torc_pg_commit(torc_req *rq, torc_pg_tx *tx)
{
    static const torc_pg_statement commit = {.sql = "COMMIT"};
    struct pg_query q = {.statement = &commit, .tx = tx};
    int err = pg_query_run(rq, &q, tx->pg);
    /* It says ROLLBACK where a statement had failed, and COMMIT where nothing is left to commit. */
    if (err == 0 && (tx->lost || strcmp(PQcmdStatus(q.answer), "COMMIT") != 0)) err = -EREMOTEIO;
    PQclear(q.answer);
    torc_pg_rollback(tx);
    return err;
}

void torc_pg_rollback(torc_pg_tx *tx)
{
    if (!tx) return;
    torc_host_let_go(&tx->cleanup);
    release(tx);
}
