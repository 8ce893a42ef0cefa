/* PostgreSQL for handlers of torc, on libpq: a pool of connections per core, prepared statements,
 * pipelines, transactions. Link with libtorc-pg (pkg-config torc-pg).
 *
 * A query waits for its turn and for its answer as every call of torc.h that WAITS does: its core
 * serves other requests meanwhile, and the wait ends with the error of the request's scope when its
 * deadline passes, its client has gone or the server has drained. There is no timeout besides. A
 * query that was left like this is cancelled in the server, and its connection is used again when
 * the server has answered both the query and the cancel request, or is closed after 10 seconds.
 *
 * Connections are opened when a query finds none that is idle, and looked after by libpq as
 * conninfo says: TLS, several hosts, passwords, services. Two things there hold the core: a host
 * that is given by name and not by hostaddr is looked up by getaddrinfo(3), and proving a password
 * (SCRAM) takes some milliseconds of CPU time, or as many as the database asks for: it is trusted
 * while the core logs in.
 *
 * Where no connection can be opened, all who wait are told so at once, and whoever asks in the next
 * 100 milliseconds, without an attempt. That time doubles with each failure in a row, up to 2
 * seconds, where attempts that were under way together count as one; then one query tries again,
 * and only that one waits. The reason is a line on stderr.
 * What the server says besides its answers (notices) is, too; at most one line in ten seconds for
 * each.
 *
 * Queries of statements that are known to be fast (under 5 ms the last time, on that connection)
 * share a connection where none is idle: they are sent without waiting for each other's answers,
 * which halves the CPU time of each. Any other has a connection of its own, and so have CALL and
 * DO. A query that is hit by the cancel request of another is sent once more, but for one of a
 * transaction that was under way together with one that was left: it may fail with 57014. What
 * follows in a transaction waits until the server has taken note of the request.
 *
 * A connection is given back without a transaction (one that is left open is rolled back, or the
 * connection is closed where that has no answer after 10 seconds), but with whatever else a query
 * has set in its session (SET, LISTEN, temporary tables, advisory locks). */
#pragma once

#include "torc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct torc_pg torc_pg;
typedef struct torc_pg_result torc_pg_result;
typedef struct torc_pg_tx torc_pg_tx;

/* ---- the pool -------------------------------------------------------------------------------- */

/* Zero is the default of each number. */
typedef struct torc_pg_options {
    const char *conninfo; /* libpq's: "postgresql://…" or "host=… dbname=…" (34.1.1 of the manual);
                             NULL: the environment's PGHOST and so on */
    unsigned connections;     /* per core at most; 4. Each is a process of the server */
    unsigned pipeline;        /* queries under way on a connection at most; 16. 1: none shares */
    unsigned queue;           /* queries per core at most that wait for their turn; 1024 */
    unsigned statements;      /* prepared statements kept per connection; 256 */
    unsigned connect_timeout; /* ms for each host of conninfo, and each address of one, until it is
                                 left for the next; of 16 at most in one attempt to connect; 5000.
                                 The connect_timeout of conninfo is not used */
} torc_pg_options;

/* Creates a pool for every core of one server; nothing is connected yet. Any thread, also while
 * the server runs; where conninfo is an option of the program (torc_server_option), between
 * torc_server_parse and torc_server_run. `o` and its text are copied. NULL with errno EINVAL if
 * libpq does not understand conninfo or lacks memory for it, or if it has a port that is no number
 * or is a URL with another @ behind the one before its host, as where a password is not encoded
 * (%40); ENOMEM without memory. */
TORC_API torc_pg *torc_pg_new(const torc_pg_options *o);

/* Frees it, after torc_server_main or torc_server_join has returned. NULL is allowed. Where that
 * left a core behind, nothing is freed. Waits up to 2 seconds for cancel requests of queries that
 * the end of the server has left; where PostgreSQL does not take them, a thread with them is left
 * behind, which ends when it does. */
TORC_API void torc_pg_free(torc_pg *pg);

/* Sums over all cores, read from any thread while they change. */
typedef struct torc_pg_counters {
    uint64_t queries;     /* that were sent, those of transactions too */
    uint64_t errors;      /* of them, that the server refused */
    uint64_t lost;        /* of them, that ended with their connection */
    uint64_t cancels;     /* cancel requests */
    uint64_t refused;     /* queries that found the queue full, or no server */
    uint64_t connects;    /* connections that were opened */
    uint64_t failures;    /* attempts to connect that failed */
    uint64_t prepared;    /* statements */
    uint64_t connections; /* open now */
    uint64_t waiting;     /* queries in queues now */
} torc_pg_counters;

TORC_API void torc_pg_count(const torc_pg *pg, torc_pg_counters *out);

/* For torc_metrics_add, with the pool as its argument: the counters as pg_queries_total,
 * pg_errors_total, pg_lost_total, pg_cancels_total, pg_refused_total, pg_connects_total,
 * pg_connect_failures_total, pg_prepared_total, pg_connections and pg_waiting. A program with
 * several pools names theirs itself, by torc_pg_count. */
TORC_API void torc_pg_metrics(torc_metrics *out, void *pg);

/* ---- queries --------------------------------------------------------------------------------- */

/* WAITS. Runs one statement of SQL with the `n` parameters $1 … that `values` points to: text that
 * ends with NUL, or NULL. The statement is prepared on its first use on a connection, so give its
 * text as it is and what varies as parameters. `sql` and the values must stay as they are until the
 * call returns. On success *result is the answer, its values as text.
 *
 * 0, or
 *   -EREMOTEIO     the server refused it, or its transaction is lost (below), for which it was not
 *                  sent; *result is set, and says why (torc_pg_sqlstate)
 *   -EAGAIN        as many queries wait as may (torc_pg_options.queue)
 *   -ECONNREFUSED  no connection can be opened; -ETIMEDOUT: within connect_timeout, as the last
 *                  host that was tried gave no answer
 *   -ECONNABORTED  the connection broke before the answer came: it is unknown whether the statement
 *                  took effect
 *   -EOPNOTSUPP    COPY
 *   -EINVAL        more than 65535 parameters
 *   -ENOMEM        also where there is none for the answer: the statement may have taken effect
 *   -EPERM         outside the fibers of the request
 *   -EBUSY         the pool is in use by a core of another server
 * or the error of the request's scope. *result is NULL but for 0 and -EREMOTEIO.
 *
 * The whole answer is kept in memory: have the server bound it (LIMIT). */
TORC_API int torc_pg_query(torc_req *rq, torc_pg *pg, const char *sql, int n,
                           const char *const *values, torc_pg_result **result);

/* Everything about a query, as torc_pg_query says. */
typedef struct torc_pg_statement {
    const char *sql;
    int n;
    const char *const *values;
    const int *lengths; /* NULL: every value is text; else one for each: its bytes if it is in
                           PostgreSQL's binary format, negative if it is text */
    bool binary;        /* values of the result in PostgreSQL's binary format instead of as text */
    torc_pg_tx *tx;     /* run in this transaction, of which 16 queries may be under way, or more if
                           torc_pg_options.pipeline is; NULL: by itself */
} torc_pg_statement;

/* WAITS. torc_pg_query of a statement in all its details. */
TORC_API int torc_pg_run(torc_req *rq, torc_pg *pg, const torc_pg_statement *s,
                         torc_pg_result **result);

/* ---- results --------------------------------------------------------------------------------- */
/* A result, and every slice from it, is valid until torc_pg_result_free or the end of the request,
 * whichever is first. Rows and columns count from 0. */

TORC_API int torc_pg_rows(const torc_pg_result *r);
TORC_API int torc_pg_columns(const torc_pg_result *r);

/* Absent for NULL, and beyond the rows and columns. Text ends with a NUL that is not counted. */
TORC_API torc_slice torc_pg_value(const torc_pg_result *r, int row, int column);

/* The name of a column; absent beyond the columns. */
TORC_API torc_slice torc_pg_column(const torc_pg_result *r, int column);

/* The column of that name, or -1. */
TORC_API int torc_pg_column_of(const torc_pg_result *r, const char *name);

/* How many rows an INSERT, UPDATE, DELETE, MERGE or SELECT was about; 0 for any other. */
TORC_API int64_t torc_pg_affected(const torc_pg_result *r);

/* Of an error: its five characters ("23505", appendix A of the manual) and the server's text, with
 * detail and hint. "" for a success. Of what was not sent as its transaction is lost: "25P02". */
TORC_API const char *torc_pg_sqlstate(const torc_pg_result *r);
TORC_API const char *torc_pg_message(const torc_pg_result *r);

/* Frees it before the request ends. NULL is allowed. */
TORC_API void torc_pg_result_free(torc_pg_result *r);

/* ---- transactions ---------------------------------------------------------------------------- */
/* A statement of the transaction (torc_pg_statement.tx) may end it, too: COMMIT, ROLLBACK, PREPARE
 * TRANSACTION. What is run in it at the same time waits for the answer to that. Where it ends the
 * transaction without effect, because it is a ROLLBACK, because it fails, or because a statement
 * had failed before (a COMMIT succeeds then, too), the transaction is lost: nothing more of it is
 * run, and torc_pg_commit tells. Where it takes effect, what follows is run by itself, and where
 * that fails or is a ROLLBACK, nothing is lost: torc_pg_commit is 0, unless a BEGIN of the
 * program's own has opened another, which it ends. ROLLBACK TO SAVEPOINT, ROLLBACK AND CHAIN and
 * COMMIT AND CHAIN leave a transaction, which is used on. */

/* WAITS. Begins a transaction on a connection that is the caller's until its end. One that has not
 * been committed is rolled back at the end of the request. The errors of torc_pg_query, without a
 * result; *tx is NULL then. A request that holds one transaction and waits for another can wait
 * forever with others that do so, too: give it a deadline, or begin one at a time. */
TORC_API int torc_pg_begin(torc_req *rq, torc_pg *pg, torc_pg_tx **tx);

/* WAITS. Ends the transaction, which must not be used afterwards, whatever is returned. 0;
 * -EREMOTEIO if it was rolled back instead, as after a statement that failed, or by a statement of
 * the program's own; -EAGAIN if as many queries of it are under way as may, with which it is rolled
 * back when they have ended; or another error of torc_pg_query, with which it is unknown which of
 * the two happened. */
TORC_API int torc_pg_commit(torc_req *rq, torc_pg_tx *tx);

/* Ends the transaction without effect, which the server is told without waiting. NULL is
 * allowed. No query of it may be under way. */
TORC_API void torc_pg_rollback(torc_pg_tx *tx);

#ifdef __cplusplus
}
#endif
