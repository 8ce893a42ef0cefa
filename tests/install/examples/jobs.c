/* A library that blocks, SQLite, on torc's threads for such work.
 *
 *   cc jobs.c $(pkg-config --cflags --libs torc sqlite3) -o jobs && ./jobs --db notes.db
 *   curl -d 'a note' localhost:8080/notes       # its number
 *   curl localhost:8080/notes/1
 *   curl localhost:8080/sum/1000000000          # takes long; ^C ends the query in the server
 *
 * A job ends early once nobody waits for it: SQLite asks it now and then. */

#include <sqlite3.h>
#include <torc.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PATIENCE_MS
#define PATIENCE_MS 5000 /* for the lock of the database */
#endif

static const char *path; /* --db */
static pthread_key_t connection_key;

/* ---- on a thread of the pool ---- */

struct query {
    const char *sql;
    torc_slice text; /* ?1 if there is one, else */
    int64_t number;
    char *found; /* the first column of the row, of malloc */
    size_t found_len;
};

static void close_connection(void *db)
{
    sqlite3_close((sqlite3 *)db);
}

/* Each thread has one of its own, until it ends. */
static sqlite3 *connection(void)
{
    sqlite3 *db = (sqlite3 *)pthread_getspecific(connection_key);
    if (db) return db;
    int err = sqlite3_open(path ? path : "notes.db", &db);
    if (err == SQLITE_OK) err = sqlite3_busy_timeout(db, PATIENCE_MS);
    if (err == SQLITE_OK && pthread_setspecific(connection_key, db) == 0) return db;
    fprintf(stderr, "jobs: cannot open the database: %s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
    return NULL;
}

static int nobody_waits(void *job)
{
    return torc_work_cancelled((torc_job *)job);
}

/* torc_alloc is not for other threads. */
static int keep_column(struct query *q, sqlite3_stmt *st)
{
    const void *column = sqlite3_column_blob(st, 0);
    q->found_len = (size_t)sqlite3_column_bytes(st, 0);
    q->found = (char *)malloc(q->found_len + 1);
    if (!q->found) return -ENOMEM;
    memcpy(q->found, q->found_len ? column : "", q->found_len);
    return 0;
}

static int run_query(torc_job *job, void *arg)
{
    struct query *q = (struct query *)arg;
    sqlite3 *db = connection();
    sqlite3_stmt *st = NULL;
    int step = SQLITE_ERROR, err = -ENOENT;
    if (!db) return -EIO;
    sqlite3_progress_handler(db, 10000, nobody_waits, job);
    if (sqlite3_prepare_v2(db, q->sql, -1, &st, NULL) == SQLITE_OK) {
        if (q->text.ptr)
            sqlite3_bind_blob64(st, 1, q->text.ptr, q->text.len, SQLITE_STATIC);
        else
            sqlite3_bind_int64(st, 1, q->number);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) err = keep_column(q, st);
    }
    sqlite3_finalize(st);
    sqlite3_progress_handler(db, 0, NULL, NULL); /* of this job, which ends */
    return step == SQLITE_DONE ? err : -EIO;
}

/* ---- on a core ---- */

/* Replies with what the query finds. The query is on the stack of the handler, so it waits for the
 * end of the job in any case: that is soon once the client has gone or the server gives up. */
static void reply_with(torc_req *rq, int status, struct query *q)
{
    torc_cancel_when_gone(rq);
    int err = torc_work(rq, run_query, q, NULL);
    torc_slice found = {q->found, q->found_len};
    if (err == 0) {
        torc_reply_own(rq, status, "application/octet-stream", found, free, q->found);
        return;
    }
    free(q->found);
    if (err == -EAGAIN) torc_set_header(rq, TORC_S("Retry-After"), TORC_S("1"));
    torc_reply_error(rq, err == -EAGAIN ? 503 : err == -ENOENT ? 404 : 500);
}

/* POST /notes */
static void post_note(torc_req *rq, void *arg)
{
    struct query q = {"INSERT INTO notes (text) VALUES (?1) RETURNING id", {NULL, 0}, 0, NULL, 0};
    (void)arg;
    if (torc_body_all(rq, &q.text) == 0) reply_with(rq, 201, &q);
}

/* GET /notes/ID and /sum/N: `arg` is the query. */
static void get_number(torc_req *rq, void *arg)
{
    struct query q = {(const char *)arg, {NULL, 0}, 0, NULL, 0};
    if (torc_slice_i64(torc_param(rq, "number"), &q.number))
        reply_with(rq, 200, &q);
    else
        torc_reply_error(rq, 404);
}

int main(int argc, char **argv)
{
    static char select[] = "SELECT text FROM notes WHERE id = ?1",
                sum[] = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
                        "WHERE x < ?1) SELECT sum(x) FROM c";
    torc_server *s = torc_server_new("jobs 1.0");
    if (!s || pthread_key_create(&connection_key, close_connection) != 0 ||
        torc_server_option(s, "db", "FILE", "the database (default: notes.db)", &path) < 0 ||
        torc_route(s, "POST", "/notes", post_note, NULL) < 0 ||
        torc_route(s, "GET", "/notes/:number", get_number, select) < 0 ||
        torc_route(s, "GET", "/sum/:number", get_number, sum) < 0) {
        fprintf(stderr, "jobs: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_parse(s, argc, argv);
    if (status < 0) fprintf(stderr, "jobs: %s\n", torc_server_error(s));
    if (status != 0) return status < 0 ? 2 : 0;

    sqlite3 *db = connection(); /* of this thread; the last one that is closed */
    if (!db || sqlite3_exec(db,
                            "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS notes "
                            "(id INTEGER PRIMARY KEY, text BLOB)",
                            NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    status = torc_server_run(s);
    if (status == 4) return status; /* a job may still run, with its connection */
    torc_server_free(s);
    sqlite3_close(db);
    return status;
}
