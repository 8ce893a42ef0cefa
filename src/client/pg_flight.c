/* Queries on their way to the server and back. Each has a sync of its own in the pipeline, so that
 * an error of one is not an error of the next (libpq's manual, 34.5.1.3). */

#include "client/pg.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_INLINE = 32, NAME = 16, READS = 4 };

struct pg_flight *pg_conn_push(struct pg_conn *c)
{
    if (c->n_flights == c->size) return NULL;
    struct pg_flight *f = pg_conn_flight(c, c->n_flights++);
    *f = (struct pg_flight){0};
    return f;
}

static void pop(struct pg_conn *c)
{
    struct pg_flight *f = pg_conn_flight(c, 0);
    if (f->prepared) pg_cache_release(f->prepared);
    PQclear(f->answer);
    if (!f->query && !f->own) c->n_left--;
    c->first = (c->first + 1) % c->size;
    c->n_flights--;
    c->n_sent--;
    c->n_slow -= f->slow;
    c->cancels = 0;
    c->since = torc_host_now(c->core->host);
}

/* Flights that were left before they were sent get nothing. */
static void pop_unsent(struct pg_conn *c)
{
    while (c->n_sent > 0 && !pg_conn_flight(c, 0)->due) pop(c);
}

/* ---- sending ---- */

static const char *name_of(const struct pg_prepared *p, char name[NAME])
{
    snprintf(name, NAME, "t%u", p->id);
    return name;
}

/* Not in a transaction: should the server not have it any more, that would end the transaction; and
 * where that has failed, it would not be done. Only where it has made too many useless. */
static bool may_forget(const struct pg_conn *c, const struct pg_flight *f)
{
    bool within = f->query->tx && !f->query->begins;
    return !within || c->cache.n_useless > c->cache.max;
}

static bool send_forgets(struct pg_conn *c, struct pg_flight *f)
{
    char sql[NAME + 16];
    bool sent = true;
    while (f->n_forgets < PG_FORGETS && c->cache.n_useless > 0)
        f->forgets[f->n_forgets++] = pg_cache_take_useless(&c->cache);
    for (uint32_t i = f->n_forgets; i > 0 && sent; i--) {
        snprintf(sql, sizeof sql, "DEALLOCATE t%u", f->forgets[i - 1]);
        f->due |= PG_FORGET | PG_FORGET_SYNC;
        sent = PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0) && PQpipelineSync(c->pg);
    }
    return sent;
}

/* Finds the flight's statement among those that are prepared, or prepares it. */
static bool prepare(struct pg_conn *c, struct pg_flight *f, const char *sql, uint32_t hash)
{
    char name[NAME];
    f->prepared = pg_cache_find(&c->cache, sql, hash);
    bool found = f->prepared != NULL;
    if (found)
        pg_cache_use(&c->cache, f->prepared);
    else
        f->prepared = pg_cache_add(&c->cache, sql, hash);
    if (!f->prepared) return false;
    f->prepared->flights++;
    if (may_forget(c, f) && !send_forgets(c, f)) return false;
    if (found) return true;
    f->due |= PG_PREPARE;
    counter_add(&c->core->counters.prepared, 1);
    return PQsendPrepare(c->pg, name_of(f->prepared, name), sql, 0, NULL);
}

static bool execute(struct pg_conn *c, struct pg_flight *f, const torc_pg_statement *s)
{
    char name[NAME];
    int own[PARAMS_INLINE], *formats = NULL;
    if (s->lengths) {
        formats = s->n <= PARAMS_INLINE ? own : malloc((size_t)s->n * sizeof *formats);
        if (!formats) return false;
        for (int i = 0; i < s->n; i++) formats[i] = s->lengths[i] >= 0;
    }
    f->due |= PG_EXECUTE;
    bool sent = PQsendQueryPrepared(c->pg, name_of(f->prepared, name), s->n, s->values, s->lengths,
                                    formats, s->binary);
    if (formats != own) free(formats);
    return sent;
}

static bool send_flight(struct pg_conn *c, struct pg_flight *f)
{
    f->may_be_hit = c->cancel != NULL;
    if (f->own) {
        f->due = PG_EXECUTE;
        if (!PQsendQueryParams(c->pg, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0)) return false;
    } else if (f->query) {
        const torc_pg_statement *s = f->query->statement;
        counter_add(&c->core->counters.queries, 1);
        f->ends = f->query->tx && !f->query->begins && pg_sql_may_end(s->sql);
        if (!prepare(c, f, s->sql, f->query->hash) || !execute(c, f, s)) return false;
    } else {
        return true; /* left before it was sent */
    }
    f->due |= PG_SYNC;
    return PQpipelineSync(c->pg) == 1;
}

/* What may end a transaction has its answer before more of that is sent: the server would run it by
 * itself. And a cancel request could hit what cannot be tried again. */
static bool must_wait(struct pg_conn *c)
{
    if ((c->tx || c->released) && c->cancel) return true;
    return c->n_sent > 0 && pg_conn_flight(c, c->n_sent - 1)->ends;
}

bool pg_flights_send(struct pg_conn *c)
{
    while (c->n_sent < c->n_flights && !must_wait(c))
        if (!send_flight(c, pg_conn_flight(c, c->n_sent++))) return false;
    pop_unsent(c);
    int left = PQflush(c->pg);
    if (left < 0) return false;
    torc_source_watch(c->source, PQsocket(c->pg), left ? POLLIN | POLLOUT : POLLIN);
    return true;
}

/* ---- the answer ---- */

static bool has_state(const PGresult *answer, const char *state)
{
    const char *own = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    return own && strcmp(own, state) == 0;
}

/* Whether libpq made the error up, as it does where it has no memory for an answer. The server may
 * have done what was asked. */
static bool is_unread(const PGresult *answer)
{
    return PQresultStatus(answer) == PGRES_FATAL_ERROR &&
           !PQresultErrorField(answer, PG_DIAG_SQLSTATE);
}

/* Whether the server refused the statement before it began, and not a function in it with the same
 * error. Those have a context, as has everything where the server is set to tell the parameters. */
static bool was_stale(const struct pg_flight *f)
{
    const char *sql = f->query->statement->sql, *text, *at;
    const char *by = PQresultErrorField(f->answer, PG_DIAG_SOURCE_FUNCTION);
    bool has_context = PQresultErrorField(f->answer, PG_DIAG_CONTEXT) != NULL;
    char name[NAME];
    /* From within a procedure, which may have committed something before. */
    if (!by || (has_context && !pg_sql_is_of_one_transaction(sql))) return false;
    if (has_state(f->answer, "0A000")) /* its plan is of a table that is different now */
        return strcmp(by, "RevalidateCachedQuery") == 0;
    if (!has_state(f->answer, "26000") || strcmp(by, "FetchPreparedStatement") != 0) return false;
    text = PQresultErrorField(f->answer, PG_DIAG_MESSAGE_PRIMARY); /* it was forgotten: this one */
    at = text ? strstr(text, name_of(f->prepared, name)) : NULL;
    return at && !isalnum((unsigned char)at[strlen(name)]);
}

/* Whether the query failed for no reason of its own, and without effect. In a transaction what
 * preceded it is lost, too; nothing precedes what begins it. */
static bool deserves_another_try(const struct pg_flight *f)
{
    if (f->query->tx && !f->query->begins) return false;
    if (f->query->retried || PQresultStatus(f->answer) != PGRES_FATAL_ERROR) return false;
    if (has_state(f->answer, "57014")) return f->may_be_hit; /* meant another */
    return was_stale(f);
}

/* The statement has to be prepared again: the server refused it, has forgotten it, or has a plan of
 * it that is of no use. */
static void drop_useless(struct pg_conn *c, const struct pg_flight *f)
{
    bool outdated = has_state(f->answer, "0A000"), forgotten = has_state(f->answer, "26000");
    bool was_prepared = !(f->due & PG_EXECUTE);
    if (was_prepared && !outdated && !forgotten) return;
    if (was_prepared && outdated && !f->prepared->dropped)
        pg_cache_add_useless(&c->cache, f->prepared->id);
    /* A BEGIN says that of itself alone: the server has forgotten the others, too, and none of them
     * could be tried again in the transaction. */
    if (forgotten && f->query && f->query->begins) pg_cache_drop_all(&c->cache);
    pg_cache_drop(&c->cache, f->prepared);
}

/* Perhaps on another connection. */
static void try_again(struct pg_conn *c, struct pg_query *q)
{
    q->conn = NULL;
    if (q->begins) {
        c->tx = NULL;
        q->tx->conn = NULL;
    }
    pg_pool_again(q);
}

static void fail(struct pg_query *q, int err)
{
    q->conn = NULL;
    if (!q->refused) q->refused = err;
    torc_host_wake(&q->wait, q->refused);
}

/* Those that the server cannot have are no loss, but for what belongs to a transaction: that is
 * lost. From the last to the first, as each goes before all that wait. */
static void take_back_unsent(struct pg_conn *c, int err)
{
    while (c->n_flights > c->n_sent) {
        struct pg_flight *f = pg_conn_flight(c, --c->n_flights);
        struct pg_query *q = f->query;
        if (!q && !f->own) c->n_left--;
        c->n_slow -= f->slow;
        if (q && !q->begins && q->tx)
            fail(q, err);
        else if (q)
            try_again(c, q);
    }
}

static void give_answer(struct pg_conn *c, struct pg_flight *f)
{
    struct pg_query *q = f->query;
    if (deserves_another_try(f)) {
        q->retried = true;
        try_again(c, q);
        return;
    }
    if (is_unread(f->answer)) {
        fail(q, -ENOMEM);
        return;
    }
    q->conn = NULL;
    if (PQresultStatus(f->answer) == PGRES_FATAL_ERROR) counter_add(&c->core->counters.errors, 1);
    q->answer = f->answer;
    f->answer = NULL;
    torc_host_wake(&q->wait, 0);
}

/* What opens a transaction has its connection for itself, or others would be part of it; so has
 * what may end one within, or a cancel request of another could hit it between two. */
static bool is_alone(const char *done)
{
    static const char *const alone[] = {"BEGIN", "START TRANSACTION", "CALL", "DO"};
    for (size_t i = 0; i < ARRAY_LEN(alone); i++)
        if (strcmp(done, alone[i]) == 0) return true;
    return false;
}

/* An error does not say what it is. */
static bool is_fast(const struct pg_conn *c, const struct pg_flight *f)
{
    const char *done = PQcmdStatus(f->answer);
    bool known = done && *done ? !is_alone(done) : f->prepared->fast;
    return known && torc_host_now(c->core->host) - c->since < PG_SLOW_NS;
}

static bool has_done(const struct pg_flight *f, const char *what)
{
    const char *done = PQcmdStatus(f->answer);
    return done && strcmp(done, what) == 0;
}

static bool forgets_all(const struct pg_flight *f)
{
    return has_done(f, "DISCARD ALL") || has_done(f, "DEALLOCATE ALL");
}

/* As by a COMMIT of the program's own, or PREPARE TRANSACTION. Both roll back where they fail, and
 * where a statement had failed before, which they say with a success. So does COMMIT AND CHAIN,
 * which leaves another transaction. */
static bool loses_transaction(struct pg_conn *c, const struct pg_flight *f)
{
    bool begins = f->query && f->query->begins, undone = f->ends && has_done(f, "ROLLBACK");
    if (begins || !(undone || PQresultStatus(f->answer) == PGRES_FATAL_ERROR)) return false;
    if (undone && pg_sql_commits(f->prepared->sql)) return true;
    return c->n_sent == 1 && !pg_conn_in_transaction(c);
}

/* So that what follows, which is run by itself, loses nothing of it. */
static bool ends_with_effect(struct pg_conn *c, const struct pg_flight *f)
{
    bool done = f->ends && PQresultStatus(f->answer) == PGRES_COMMAND_OK;
    return done && !has_done(f, "ROLLBACK") && c->n_sent == 1 && !pg_conn_in_transaction(c);
}

static void finish(struct pg_conn *c)
{
    struct pg_flight *f = pg_conn_flight(c, 0);
    if (f->prepared) f->prepared->fast = is_fast(c, f);
    if (forgets_all(f)) pg_cache_drop_all(&c->cache);
    if (ends_with_effect(c, f)) c->ended = true;
    if ((c->tx || c->released) && !c->ended && loses_transaction(c, f)) {
        if (c->tx) c->tx->lost = true;
        take_back_unsent(c, -EREMOTEIO);
    }
    if (f->query) give_answer(c, f);
    pop(c);
}

/* ---- receiving ---- */

/* Of a DEALLOCATE. One that failed is sent again, as after a transaction that had failed, or where
 * a cancel request hit it. */
static void on_forgotten(struct pg_conn *c, const struct pg_flight *f, const PGresult *r)
{
    if (PQresultStatus(r) == PGRES_FATAL_ERROR && !has_state(r, "26000"))
        pg_cache_add_useless(&c->cache, f->forgets[f->n_forgets - 1]);
}

static void on_result(struct pg_conn *c, struct pg_flight *f, PGresult *r)
{
    uint8_t part = f->due & (uint8_t)-f->due;
    ExecStatusType status = PQresultStatus(r);
    bool keeps = status != PGRES_PIPELINE_ABORTED && !f->answer &&
                 (part == PG_EXECUTE || (part == PG_PREPARE && status != PGRES_COMMAND_OK));
    f->due &= (uint8_t)~part;
    if (part == PG_FORGET) on_forgotten(c, f, r);
    if (part == PG_FORGET_SYNC && --f->n_forgets > 0) f->due |= PG_FORGET | PG_FORGET_SYNC;
    if (!keeps) {
        PQclear(r);
        return;
    }
    f->answer = r;
    if (status == PGRES_FATAL_ERROR && f->prepared) drop_useless(c, f);
}

/* What the server says before it hangs up; libpq then only knows that it has. */
static void note_fatal(struct pg_conn *c, const PGresult *r)
{
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorMessage(r);
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        snprintf(c->fatal, sizeof c->fatal, "%.*s", (int)strcspn(text, "\n"), text);
}

/* One result of libpq, which makes one up where the connection has ended. False if it is none that
 * can be. */
static bool take(struct pg_conn *c, PGresult *r)
{
    struct pg_flight *f = pg_conn_flight(c, 0);
    ExecStatusType status = PQresultStatus(r);
    bool sync = status == PGRES_PIPELINE_SYNC;
    bool copies = status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
    uint8_t part = f->due & (uint8_t)-f->due;
    note_fatal(c, r);
    if (copies || sync != (part == PG_FORGET_SYNC || part == PG_SYNC)) {
        PQclear(r);
        if (copies && f->query) f->query->refused = -EOPNOTSUPP;
        if (copies)
            c->why = "COPY is not supported";
        else if (!*c->fatal && PQstatus(c->pg) == CONNECTION_OK)
            c->why = "an answer that belongs to no query";
        return false;
    }
    on_result(c, f, r);
    if (f->due) return true;
    if (f->ends && is_unread(f->answer)) { /* nobody knows how its transaction has ended */
        if (f->query) f->query->refused = -ENOMEM;
        c->why = "no memory for the answer to what ends a transaction";
        return false;
    }
    finish(c);
    return true;
}

/* Until libpq has to wait. */
static bool take_all(struct pg_conn *c)
{
    bool again = true; /* between two queries there is a NULL */
    for (pop_unsent(c); c->n_sent > 0 && !PQisBusy(c->pg); pop_unsent(c)) {
        PGresult *r = PQgetResult(c->pg);
        if (r && !take(c, r)) return false;
        if (!r && !again) break;
        again = r != NULL;
    }
    for (PGnotify *n; (n = PQnotifies(c->pg));) PQfreemem(n);
    return PQstatus(c->pg) == CONNECTION_OK;
}

/* One read of libpq's. False if the connection is broken; it may have said why. */
static bool consume(struct pg_conn *c)
{
    bool fine = PQconsumeInput(c->pg);
    return take_all(c) && fine;
}

/* TLS and GSSAPI decrypt a record at once, up to 16 KiB. A read of libpq takes as much of it as its
 * buffer has room for, which is 8 KiB at least, so the next read takes the rest, of which no
 * descriptor tells. A read that gets nothing from the kernel thus leaves no rest; any other may
 * have begun another record, however many came before. libpq does not say what a read has got. But
 * where the kernel had nothing before, and nothing has come until after the read, that has got
 * nothing. Until then the connection reads again: a few times at once, then after others had their
 * turn. */
bool pg_flights_receive(struct pg_conn *c)
{
    uint64_t mark;
    bool drained = !pg_socket_decrypts(c), fine = consume(c);
    for (int i = 0; i < READS && fine && !drained && c->n_sent > 0; i++) {
        bool empty = pg_socket_empty(c, &mark);
        fine = consume(c);
        drained = fine && empty && pg_socket_unchanged(c, mark);
    }
    c->hides = fine && !drained && c->n_sent > 0;
    if (c->hides) torc_source_schedule(c->source);
    return fine;
}

void pg_flights_fail(struct pg_conn *c, int err)
{
    for (take_back_unsent(c, err); c->n_flights > 0; pop(c)) {
        struct pg_query *q = pg_conn_flight(c, 0)->query;
        if (!q) continue;
        counter_add(&c->core->counters.lost, 1);
        fail(q, err);
    }
}
