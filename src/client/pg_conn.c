/* A connection: it opens, takes queries, is cleaned after them, and closes. */

#include "client/pg.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- closing ---- */

static void free_conn(struct pg_conn *c)
{
    if (c->cancel) pg_cancel_detach(c);
    if (c->source) torc_source_free(c->source);
    PQfinish(c->pg);
    pg_cache_close(&c->cache);
    list_unlink(&c->link);
    c->core->n_conns--;
    free(c);
}

void pg_conn_close(struct pg_conn *c)
{
    struct pg_core *core = c->core;
    if (c->open) {
        core->n_open--;
        counter_set(&core->counters.connections, core->n_open);
    }
    pg_flights_fail(c, -ECONNABORTED);
    if (c->tx) c->tx->conn = NULL;
    free_conn(c);
    pg_pool_schedule(core);
}

static void lose(struct pg_conn *c)
{
    const char *text = c->why ? c->why : *c->fatal ? c->fatal : PQerrorMessage(c->pg);
    torc_host_warn(c->core->host, TORC_HOST_LOST, "PostgreSQL: a connection broke: %.*s",
                   (int)strcspn(text, "\n"), text);
    pg_conn_close(c);
}

static void fail_to_open(struct pg_conn *c, int err)
{
    struct pg_core *core = c->core;
    const char *text = err == -ETIMEDOUT ? "no answer in time"
                       : c->why          ? c->why
                                         : PQerrorMessage(c->pg);
    torc_host_warn(core->host, TORC_HOST_ABSENT, "PostgreSQL: cannot connect: %.*s",
                   (int)strcspn(text, "\n"), text);
    uint32_t round = c->round;
    free_conn(c);
    pg_pool_failed(core, err, round);
}

/* ---- cancelling ---- */

static void break_off(struct pg_conn *c)
{
    c->broken = true;
    torc_source_schedule(c->source);
}

/* The oldest flight is what the server works on. By the time the request reaches it, that may be
 * any that was sent. */
static void cancel_oldest(struct pg_conn *c)
{
    const struct pg_flight *f = pg_conn_flight(c, 0);
    if (c->n_sent == 0 || f->query || f->own) return;
    c->is_timed = true;
    c->cancels++;
    for (uint32_t i = 0; i < c->n_sent; i++) pg_conn_flight(c, i)->may_be_hit = true;
    if (!pg_cancel_start(c)) break_off(c);
}

/* ---- opening ---- */

/* What libpq would print on stderr. */
static void on_notice(void *arg, const PGresult *r)
{
    struct pg_conn *c = arg;
    const char *text = PQresultErrorMessage(r);
    size_t n = strcspn(text, "\n");
    torc_host_warn(c->core->host, TORC_HOST_NOTICE, "PostgreSQL: %.*s", (int)n, text);
}

static void on_open(struct pg_conn *c)
{
    struct pg_core *core = c->core;
    if (PQsetnonblocking(c->pg, 1) != 0 || !PQenterPipelineMode(c->pg)) {
        fail_to_open(c, -ENOMEM);
        return;
    }
    c->open = true;
    core->n_open++;
    counter_add(&core->counters.connects, 1);
    counter_set(&core->counters.connections, core->n_open);
    torc_source_alarm(c->source, UINT64_MAX);
    torc_source_watch(c->source, PQsocket(c->pg), POLLIN);
    pg_pool_connected(core);
}

static void give_time(struct pg_conn *c)
{
    torc_source_alarm(c->source, c->core->pg->o.connect_timeout * PG_MS);
}

/* libpq may have gone on to another host or address, which has time of its own. */
static void note_place(struct pg_conn *c)
{
    char now[sizeof c->place];
    snprintf(now, sizeof now, "host=%s hostaddr=%s port=%s", PQhost(c->pg), PQhostaddr(c->pg),
             PQport(c->pg));
    if (strcmp(now, c->place) == 0) return;
    memcpy(c->place, now, sizeof now);
    c->silent = false;
    give_time(c);
}

static void connect_step(struct pg_conn *c, PostgresPollingStatusType status)
{
    note_place(c);
    switch (status) {
    case PGRES_POLLING_READING: torc_source_watch(c->source, PQsocket(c->pg), POLLIN); break;
    case PGRES_POLLING_WRITING: torc_source_watch(c->source, PQsocket(c->pg), POLLOUT); break;
    case PGRES_POLLING_OK: on_open(c); break;
    default: fail_to_open(c, c->silent ? -ETIMEDOUT : -ECONNREFUSED);
    }
}

/* Has libpq go on with the next address, or host, as it does where it cannot connect to one. */
static bool skip_address(struct pg_conn *c)
{
    if (c->silent || PQstatus(c->pg) != CONNECTION_STARTED) return false;
    c->silent = shutdown(PQsocket(c->pg), SHUT_RDWR) == 0;
    if (c->silent) give_time(c);
    return c->silent;
}

/* Begins again with all hosts but the one that has accepted, or with which that was of no use. */
static bool skip_host(struct pg_conn *c)
{
    PGconn *silent = c->pg, *rest = pg_hosts_rest(silent);
    if (!rest) return false;
    torc_host_warn(c->core->host, TORC_HOST_ABSENT, "PostgreSQL: no answer in time from %s",
                   c->place);
    c->pg = rest;
    *c->place = '\0';
    PQsetNoticeReceiver(rest, on_notice, c);
    connect_step(c, PGRES_POLLING_WRITING);
    PQfinish(silent); /* whose descriptor is not watched any more */
    return true;
}

static void leave_silent(struct pg_conn *c)
{
    bool others = ++c->n_silent < PG_SILENT_HOSTS;
    if (!others || !(skip_address(c) || skip_host(c))) fail_to_open(c, -ETIMEDOUT);
}

/* ---- events ---- */

/* What is sent may be nothing, as it was left before: then there is more to settle. */
static void go_on(struct pg_conn *c)
{
    pg_conn_settle(c);
    if (pg_flights_send(c))
        pg_conn_settle(c);
    else
        lose(c);
}

static void on_ready(void *arg, int events)
{
    struct pg_conn *c = arg;
    if (events < 0) c->why = strerror(-events); /* as without a descriptor: poll would fail again */
    if (!c->open && c->why) {
        fail_to_open(c, -ECONNREFUSED);
    } else if (!c->open) {
        connect_step(c, PQconnectPoll(c->pg));
    } else if (c->why || !pg_flights_receive(c)) {
        lose(c);
    } else {
        go_on(c);
    }
}

static void on_task(void *arg)
{
    struct pg_conn *c = arg;
    if (c->broken)
        pg_conn_close(c);
    else if (!c->open)
        connect_step(c, PQstatus(c->pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED
                                                          : PGRES_POLLING_WRITING);
    else if ((c->hides && !pg_flights_receive(c)) || !pg_flights_send(c))
        lose(c);
    else
        pg_conn_settle(c);
}

/* It took too long to connect, to cancel or to roll back; or a query goes on in spite of its cancel
 * request. */
static void on_alarm(void *arg)
{
    struct pg_conn *c = arg;
    if (!c->open)
        leave_silent(c);
    else if (c->cancel || c->unclean || c->cancels >= PG_CANCEL_TRIES)
        pg_conn_close(c);
    else
        cancel_oldest(c);
}

static PGconn *begin_to_connect(const char *conninfo)
{
    const char *const keys[] = {"dbname", "fallback_application_name", NULL};
    const char *const values[] = {conninfo ? conninfo : "", "torc", NULL};
    return PQconnectStartParams(keys, values, 1);
}

int pg_conn_start(struct pg_core *core)
{
    static const struct torc_source_ops ops = {on_ready, on_alarm, on_task, NULL};
    const torc_pg_options *o = &core->pg->o;
    uint32_t size = o->pipeline > PG_TX_FLIGHTS ? o->pipeline : PG_TX_FLIGHTS;
    struct pg_conn *c = calloc(1, sizeof *c + size * sizeof *c->flight);
    if (!c) return -ENOMEM;
    c->core = core;
    c->round = core->failures;
    c->size = size;
    list_init(&c->link);
    core->n_conns++;
    c->source = torc_source_new(core->host, &ops, c);
    c->pg = begin_to_connect(core->pg->conninfo);
    if (pg_cache_open(&c->cache, o->statements) < 0 || !c->source || !c->pg) {
        free_conn(c);
        return -ENOMEM;
    }
    list_push(&core->conns, &c->link);
    PQsetNoticeReceiver(c->pg, on_notice, c);
    give_time(c);
    torc_source_schedule(c->source);
    return 0;
}

/* ---- queries ---- */

static bool is_fast(const struct pg_conn *c, const struct pg_query *q)
{
    const struct pg_prepared *p = pg_cache_find(&c->cache, q->statement->sql, q->hash);
    return p && p->fast;
}

/* Queries share a connection, which halves what they cost, if all are known to be fast: nobody has
 * to wait long behind another then. */
static bool shares(const struct pg_conn *c, const struct pg_query *q)
{
    return c->n_flights < c->core->pg->o.pipeline && c->n_slow == 0 &&
           torc_host_now(c->core->host) - c->since < PG_SLOW_NS && !q->begins && is_fast(c, q);
}

bool pg_conn_takes(const struct pg_conn *c, const struct pg_query *q)
{
    if (!c->open || c->broken || c->tx || c->released || c->unclean) return false;
    if (c->cancel || c->n_left > 0) return false;
    return c->n_flights == 0 || shares(c, q);
}

int pg_conn_give(struct pg_conn *c, struct pg_query *q)
{
    struct pg_flight *f = c->broken ? NULL : pg_conn_push(c);
    if (!f) return c->broken ? -ECONNABORTED : -EAGAIN;
    f->query = q;
    f->slow = !is_fast(c, q);
    c->n_slow += f->slow;
    if (c->n_flights == 1) c->since = torc_host_now(c->core->host);
    q->conn = c;
    if (q->begins) {
        c->tx = q->tx;
        c->ended = false;
        q->tx->conn = c;
    }
    torc_source_schedule(c->source);
    return 0;
}

void pg_conn_leave(struct pg_conn *c, const struct pg_query *q)
{
    for (uint32_t i = 0; i < c->n_flights; i++) {
        struct pg_flight *f = pg_conn_flight(c, i);
        if (f->query != q) continue;
        f->query = NULL;
        c->n_left++;
    }
    pg_conn_settle(c);
}

/* libpq says ACTIVE until it was asked for more than there is. */
bool pg_conn_in_transaction(struct pg_conn *c)
{
    if (PQtransactionStatus(c->pg) == PQTRANS_ACTIVE && !PQisBusy(c->pg))
        PQclear(PQgetResult(c->pg));
    return PQtransactionStatus(c->pg) != PQTRANS_IDLE;
}

static void roll_back(struct pg_conn *c)
{
    if (c->unclean) { /* one has not helped */
        break_off(c);
        return;
    }
    c->unclean = true;
    c->is_timed = true;
    pg_conn_push(c)->own = true;
    torc_source_alarm(c->source, PG_ROLLBACK_NS);
    torc_source_schedule(c->source);
}

void pg_conn_settle(struct pg_conn *c)
{
    if (!c->open || c->broken || c->cancel) return;
    if (c->n_flights > 0) {
        if (c->cancels == 0) cancel_oldest(c);
        return;
    }
    if (c->is_timed) torc_source_alarm(c->source, UINT64_MAX);
    c->is_timed = false;
    if (c->tx) return;
    if (pg_conn_in_transaction(c)) {
        roll_back(c);
        return;
    }
    c->unclean = c->released = false;
    pg_pool_schedule(c->core);
}
