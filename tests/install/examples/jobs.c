/* A library that blocks, SQLite, on torc's threads for such work.
 *
 *   cc jobs.c $(pkg-config --cflags --libs torc sqlite3) -o jobs && ./jobs --db notes.db
 *   curl -d 'a note' localhost:8080/notes       # its number
 *   curl localhost:8080/notes/1
 *   curl localhost:8080/sum/1000000000          # takes long; ^C ends the query in the server
 *
 * Short jobs keep what they work on on the stack of their handler, which waits for them whatever
 * happens. A long one has memory of its own, so that its handler need not wait for it when the
 * client goes or the server stops; the job is told, and gives up. */

#include <sqlite3.h>
#include <torc.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PATIENCE_MS
#define PATIENCE_MS 5000 /* for the lock of the database */
#endif

enum { CONNECTIONS = 64, STEPS = 10000 /* between looks at a cancellation */ };

static struct {
    const char *path; /* --db */
    pthread_mutex_t lock, opening;
    sqlite3 *idle[CONNECTIONS]; /* connections that no job uses */
    int n_idle;
    atomic_int sums, running, cancelled; /* of /sum: jobs that exist, that run; were cancelled */
} app = {.lock = PTHREAD_MUTEX_INITIALIZER, .opening = PTHREAD_MUTEX_INITIALIZER};

/* ---- connections: a job has one to itself, so there are never more than threads ---- */

/* One at a time: SQLite waits for nobody when it changes the journal's mode, but fails. */
static sqlite3 *open_connection(void)
{
    sqlite3 *db;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    pthread_mutex_lock(&app.opening);
    int err = sqlite3_open_v2(app.path ? app.path : "notes.db", &db, flags, NULL);
    if (err == SQLITE_OK) err = sqlite3_busy_timeout(db, PATIENCE_MS);
    if (err == SQLITE_OK)
        err = sqlite3_exec(db,
                           "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                           "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text BLOB)",
                           NULL, NULL, NULL);
    pthread_mutex_unlock(&app.opening);
    if (err == SQLITE_OK) return db;
    fprintf(stderr, "jobs: cannot open the database: %s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
    return NULL;
}

static sqlite3 *take_connection(void)
{
    sqlite3 *db = NULL;
    pthread_mutex_lock(&app.lock);
    if (app.n_idle > 0) db = app.idle[--app.n_idle];
    pthread_mutex_unlock(&app.lock);
    return db ? db : open_connection();
}

static void give_back(sqlite3 *db)
{
    pthread_mutex_lock(&app.lock);
    bool kept = app.n_idle < CONNECTIONS;
    if (kept) app.idle[app.n_idle++] = db;
    pthread_mutex_unlock(&app.lock);
    if (!kept) sqlite3_close(db);
}

/* The response to a job that failed; none if the request is cancelled. */
static void failed(torc_req *rq, int err)
{
    if (err == -EAGAIN) torc_set_header(rq, TORC_S("Retry-After"), TORC_S("1"));
    torc_reply_error(rq, err == -EAGAIN ? 503 : err == -ENOENT ? 404 : 500);
}

/* ---- notes: short jobs ---- */

struct note {
    sqlite3_int64 id;
    torc_slice text; /* to be stored */
    char *found;     /* malloc */
    size_t len;
};

static int insert_note(torc_job *job, void *arg)
{
    struct note *note = arg;
    sqlite3_stmt *st;
    int err = -EIO;
    (void)job;
    sqlite3 *db = take_connection();
    if (!db) return -EIO;
    if (sqlite3_prepare_v2(db, "INSERT INTO notes (text) VALUES (?1)", -1, &st, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_blob64(st, 1, note->text.ptr, note->text.len, SQLITE_STATIC);
        if (sqlite3_step(st) == SQLITE_DONE) err = 0;
        note->id = sqlite3_last_insert_rowid(db);
        sqlite3_finalize(st);
    }
    give_back(db);
    return err;
}

static int select_note(torc_job *job, void *arg)
{
    struct note *note = arg;
    sqlite3_stmt *st;
    int err = -EIO;
    (void)job;
    sqlite3 *db = take_connection();
    if (!db) return -EIO;
    if (sqlite3_prepare_v2(db, "SELECT text FROM notes WHERE id = ?1", -1, &st, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_int64(st, 1, note->id);
        int step = sqlite3_step(st);
        if (step == SQLITE_DONE) err = -ENOENT;
        if (step == SQLITE_ROW) {
            note->len = (size_t)sqlite3_column_bytes(st, 0);
            note->found = malloc(note->len + 1); /* torc_alloc is not for other threads */
            if (note->found && note->len > 0)
                memcpy(note->found, sqlite3_column_blob(st, 0), note->len);
            err = note->found ? 0 : -ENOMEM;
        }
        sqlite3_finalize(st);
    }
    give_back(db);
    return err;
}

/* POST /notes */
static void post_note(torc_req *rq, void *arg)
{
    struct note note = {0};
    (void)arg;
    if (torc_body_all(rq, &note.text) < 0) return;
    if (!note.text.ptr) note.text.ptr = "";
    int err = torc_work(rq, insert_note, &note, NULL);
    if (err < 0)
        failed(rq, err);
    else
        torc_replyf(rq, 201, "%" PRId64 "\n", (int64_t)note.id);
}

static int64_t number(torc_slice text)
{
    char digits[20] = "";
    if (text.len < sizeof digits) memcpy(digits, text.ptr, text.len);
    return strtoll(digits, NULL, 10);
}

/* GET /notes/ID */
static void get_note(torc_req *rq, void *arg)
{
    (void)arg;
    struct note note = {.id = number(torc_param(rq, "id"))};
    int err = torc_work(rq, select_note, &note, NULL);
    if (err < 0)
        failed(rq, err);
    else
        torc_reply(rq, 200, "application/octet-stream", (torc_slice){note.found, note.len});
    free(note.found);
}

/* ---- sums: a long job, which ends early when nobody waits for it any more ---- */

struct sum {
    int64_t n, result;
};

/* What torc_work returns is not kept in the sum, which may be gone by then: without memory. */
struct asked {
    struct sum *sum;
    int err;
};

/* Once both the job and the request have done with it. */
static void free_sum(void *arg)
{
    free(arg);
    atomic_fetch_sub(&app.sums, 1);
}

/* SQLite asks now and then; not 0 interrupts the query. */
static int is_cancelled(void *job)
{
    return torc_work_cancelled(job);
}

static int query_sum(torc_job *job, void *arg)
{
    static const char sql[] = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
                              "WHERE x < ?1) SELECT sum(x) FROM c";
    struct sum *sum = arg;
    sqlite3_stmt *st;
    int step = SQLITE_ERROR;
    sqlite3 *db = take_connection();
    if (!db) return -EIO;
    atomic_fetch_add(&app.running, 1);
    sqlite3_progress_handler(db, STEPS, is_cancelled, job);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, sum->n);
        step = sqlite3_step(st);
        if (step == SQLITE_ROW) sum->result = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
    }
    sqlite3_progress_handler(db, 0, NULL, NULL);
    atomic_fetch_sub(&app.running, 1);
    give_back(db);
    if (step == SQLITE_INTERRUPT) atomic_fetch_add(&app.cancelled, 1);
    return step == SQLITE_ROW ? 0 : -EIO;
}

/* The two functions of a group: whichever is done first ends the other by an error. */

static int work(torc_req *rq, void *arg)
{
    struct asked *asked = arg;
    asked->err = torc_work(rq, query_sum, asked->sum, free_sum);
    return -ECANCELED;
}

static int watch(torc_req *rq, void *arg)
{
    (void)arg;
    int what = torc_await(rq, TORC_CLIENT_GONE);
    return what < 0 ? what : -ECONNRESET;
}

/* GET /sum/N: the sum of the numbers 1 to N. */
static void get_sum(torc_req *rq, void *arg)
{
    (void)arg;
    struct sum *sum = calloc(1, sizeof *sum);
    torc_group *g = torc_group_open(rq);
    if (!sum || !g) {
        free(sum);
        return;
    }
    atomic_fetch_add(&app.sums, 1);
    sum->n = number(torc_param(rq, "n"));
    struct asked asked = {.sum = sum};
    if (torc_spawn(g, work, &asked) < 0) { /* then `work` has not run */
        free_sum(sum);
        torc_reply_error(rq, 503);
        return;
    }
    torc_spawn(g, watch, NULL);
    torc_group_join(g);
    if (asked.err < 0)
        failed(rq, asked.err);
    else
        torc_replyf(rq, 200, "%" PRId64 "\n", sum->result);
}

/* GET /state */
static void state(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "sums=%d running=%d cancelled=%d\n", atomic_load(&app.sums),
                atomic_load(&app.running), atomic_load(&app.cancelled));
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("jobs 1.0");
    if (!s ||
        torc_server_option(s, "db", "FILE", "the database (default: notes.db)", &app.path) < 0 ||
        torc_route(s, "POST", "/notes", post_note, NULL) < 0 ||
        torc_route(s, "GET", "/notes/:id", get_note, NULL) < 0 ||
        torc_route(s, "GET", "/sum/:n", get_sum, NULL) < 0 ||
        torc_route(s, "GET", "/state", state, NULL) < 0) {
        fprintf(stderr, "jobs: %s\n", s ? torc_server_error(s) : "out of memory");
        torc_server_free(s);
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    if (status == 4) return status; /* a job may still run, with its connection */
    while (app.n_idle > 0) sqlite3_close(app.idle[--app.n_idle]);
    torc_server_free(s);
    return status;
}
