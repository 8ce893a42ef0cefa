#pragma once
/* Inside of libtorc-pg. A pool of each core holds connections; a connection has flights, which are
 * queries that were given to it and not answered yet, in order. libpq connects, sends and
 * receives on the core's own stack alone, as that needs more than a fiber has. A fiber leaves its
 * query and waits; what it calls of libpq itself is short: what reads an answer, and what
 * pg_conn_settle needs where a transaction ends or a query is left. */

#include "base/assert.h"
#include "base/counter.h"
#include "base/list.h"
#include "client/host.h"
#include "torc/pg.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#define PG_MS              1000000ull /* in ns */
#define PG_BACKOFF_NS      (100 * PG_MS)
#define PG_BACKOFF_NS_MAX  (2000 * PG_MS)
#define PG_SLOW_NS         (5 * PG_MS)     /* nobody should wait behind a query that takes longer */
#define PG_CANCEL_NS       (10000 * PG_MS) /* a cancel request ends in this time, */
#define PG_CANCEL_AGAIN_NS (1000 * PG_MS)  /* and may have come before its query did */
#define PG_ROLLBACK_NS     (10000 * PG_MS) /* nobody waits for it but the connection */

enum {
    PG_CORES = 1024,
    PG_TX_FLIGHTS = 16, /* of a transaction at once, where the pool allows fewer */
    PG_CANCELS = 64,    /* cancel requests of a core under way */
    PG_CANCEL_TRIES = 10,
    PG_SILENT_HOSTS = 16, /* that an attempt to connect waits for at most, and addresses of them */
};

/* ---- one query, on the stack of the fiber that waits for it ---- */

struct pg_query {
    struct list link; /* in pg_core.queue, unless it has a connection */
    struct torc_host_wait wait;
    struct pg_core *core;
    struct pg_conn *conn; /* that it is a flight of */
    const torc_pg_statement *statement;
    uint32_t hash;         /* of its text */
    struct torc_pg_tx *tx; /* that it begins or belongs to */
    bool begins;
    bool retried;
    int refused; /* what it fails with, other than the error of its scope */
    PGresult *answer;
};

/* Waits for the answer: 0 with q->answer, which the caller frees, or an error. */
int pg_query_run(torc_req *rq, struct pg_query *q, torc_pg *pg);

/* Gives the request an answer, which may be an error: then -EREMOTEIO. */
int pg_result_give(torc_req *rq, PGresult *answer, torc_pg_result **result);

/* The answer to what was not sent, as its transaction was rolled back: -EREMOTEIO or -ENOMEM. */
int pg_result_give_lost(torc_req *rq, torc_pg_result **result);

/* ---- what a statement is, by its first words ---- */

/* Whether all that the statement does is in one transaction. What it calls cannot end that: only
 * CALL and DO can, and some commands that define or maintain something, which take no parameters.
 */
bool pg_sql_is_of_one_transaction(const char *sql);

/* Whether it may end the transaction that it is in. */
bool pg_sql_may_end(const char *sql);

/* Whether that is meant to take effect. */
bool pg_sql_commits(const char *sql);

/* ---- prepared statements of a connection ---- */

struct pg_prepared {
    struct list used;         /* in pg_cache.used */
    struct pg_prepared *next; /* of the same bucket */
    uint32_t hash, id;        /* its name in the server is "t" and the id */
    uint32_t flights;         /* that need it */
    bool fast;                /* the last time it was run; others may share its connection */
    bool dropped;             /* no longer found; freed with its last flight */
    char sql[];
};

struct pg_cache {
    struct pg_prepared **bucket;
    uint32_t buckets, count, max, last_id;
    struct list used;  /* the one used last comes last */
    uint32_t *useless; /* ids of those that are not found any more, and that the server keeps */
    uint32_t n_useless, room;
};

int pg_cache_open(struct pg_cache *c, uint32_t max);
void pg_cache_close(struct pg_cache *c);

uint32_t pg_hash(const char *sql);

/* The statement of that text; NULL if there is none. */
struct pg_prepared *pg_cache_find(const struct pg_cache *c, const char *sql, uint32_t hash);

/* It is the one used last now. */
void pg_cache_use(struct pg_cache *c, struct pg_prepared *p);

/* Adds one; where there are too many, another becomes useless. NULL if out of memory. */
struct pg_prepared *pg_cache_add(struct pg_cache *c, const char *sql, uint32_t hash);

/* It is not found any more. */
void pg_cache_drop(struct pg_cache *c, struct pg_prepared *p);

/* The server is to forget the one of that id, which is not found any more. Without memory it keeps
 * it for as long as the connection lasts. */
void pg_cache_add_useless(struct pg_cache *c, uint32_t id);

/* The id of one that the server is to be told to forget; 0 if there is none. */
uint32_t pg_cache_take_useless(struct pg_cache *c);

/* None of them is found any more, and the server has forgotten all. */
void pg_cache_drop_all(struct pg_cache *c);

/* One flight needs it no more. */
void pg_cache_release(struct pg_prepared *p);

/* ---- connections ---- */

/* What a flight still gets from the server, in this order. */
enum {
    PG_FORGET = 1, /* DEALLOCATE of another statement; both again for each, */
    PG_FORGET_SYNC = 2,
    PG_PREPARE = 4,
    PG_EXECUTE = 8,
    PG_SYNC = 16,
};

/* More than become useless by one flight, so that some were lost are told again in time. */
enum { PG_FORGETS = 2 };

struct pg_flight {
    struct pg_query *query; /* NULL: nobody waits for it */
    struct pg_prepared *prepared;
    PGresult *answer;
    uint8_t due; /* bits of the enum above */
    uint8_t n_forgets;
    uint32_t forgets[PG_FORGETS]; /* ids; what comes next is about the last */
    bool own;                     /* a ROLLBACK of ours */
    bool slow;                    /* not known to be fast */
    bool ends;                    /* perhaps its transaction */
    bool may_be_hit; /* by a cancel request of an earlier one: it was sent before that had ended */
};

struct pg_conn {
    struct list link; /* in pg_core.conns */
    struct pg_core *core;
    PGconn *pg;
    struct torc_source *source;
    bool open;                /* else it connects */
    uint32_t round;           /* pg_core.failures when it began to */
    char place[160];          /* where to; only to see that this changes, and for the log */
    bool silent;              /* there: the descriptor is shut down */
    uint32_t n_silent;        /* hosts and addresses that gave no answer in time */
    bool broken;              /* to be closed by its task */
    bool unclean;             /* a ROLLBACK of ours is to end a transaction that nobody holds */
    bool hides;               /* perhaps: answers of which the descriptor does not tell */
    const char *why;          /* it is broken, where libpq does not know; or NULL */
    char fatal[160];          /* why the server ends it, a line; or "" */
    bool is_timed;            /* open, and its alarm may be set: until it has no flight */
    struct torc_pg_tx *tx;    /* that holds it */
    bool ended;               /* by a statement of that, with effect */
    bool released;            /* by one: it takes nobody else until it is settled */
    struct pg_cancel *cancel; /* request under way */
    struct pg_cache cache;
    uint32_t cancels;                   /* requests that were made for the oldest flight */
    uint32_t n_flights, n_sent, n_left; /* all; of them sent; that nobody waits for */
    uint32_t n_slow;
    uint64_t since;       /* ns; when the oldest flight became that */
    uint32_t first, size; /* of the ring */
    struct pg_flight flight[];
};

/* Begins to connect. 0 or -ENOMEM. */
int pg_conn_start(struct pg_core *core);

/* Closes it; see pg_flights_fail. */
void pg_conn_close(struct pg_conn *c);

/* Whether it takes the query: if it has none, or has only such as are over at once. */
bool pg_conn_takes(const struct pg_conn *c, const struct pg_query *q);

/* Makes the query a flight. The connection must take it, or be held by its transaction. -EAGAIN if
 * that has too many; -ECONNABORTED if it is about to be closed. */
int pg_conn_give(struct pg_conn *c, struct pg_query *q);

/* Nobody waits for that flight's answer any more. */
void pg_conn_leave(struct pg_conn *c, const struct pg_query *q);

/* What comes next where something has ended: a cancel request, a ROLLBACK, or another query. */
void pg_conn_settle(struct pg_conn *c);

/* Whether the server has a transaction open. Only where all that was sent has its answer. */
bool pg_conn_in_transaction(struct pg_conn *c);

/* Of its flights, the i-th from the oldest. */
static inline struct pg_flight *pg_conn_flight(struct pg_conn *c, uint32_t i)
{
    return &c->flight[(c->first + i) % c->size];
}

/* Adds a flight for nobody; NULL if there is no room. */
struct pg_flight *pg_conn_push(struct pg_conn *c);

/* Sends what was not sent yet. False if the connection is broken. */
bool pg_flights_send(struct pg_conn *c);

/* Takes what libpq has received. False if the connection is broken. It may schedule the
 * connection's task, which is to call it again where c->hides. */
bool pg_flights_receive(struct pg_conn *c);

/* Those that were sent fail; the others wait for another connection, or fail with the transaction
 * that they belong to. */
void pg_flights_fail(struct pg_conn *c, int err);

/* ---- several hosts ---- */

/* Begins to connect as `pg` was to, but not to the host where that is. NULL if there is no other
 * host, or if it fails at once. */
PGconn *pg_hosts_rest(PGconn *pg);

/* ---- what the kernel has for libpq ---- */

/* Whether something between the two decrypts it, and may keep a part for the next read. */
bool pg_socket_decrypts(const struct pg_conn *c);

/* Whether the kernel has nothing; *mark then tells whether that has changed since. */
bool pg_socket_empty(const struct pg_conn *c, uint64_t *mark);

/* Whether nothing has come since. */
bool pg_socket_unchanged(const struct pg_conn *c, uint64_t mark);

/* ---- cancel requests: a thread of the pool makes them, as libpq blocks ---- */

struct pg_cancel {
    struct list link;       /* in pg_core.cancels */
    struct pg_cancel *next; /* in the thread's queue */
    struct pg_core *core;
    struct pg_conn *conn; /* NULL once it is closed */
    struct torc_source *source;
    PGcancel *request;
    _Atomic int state;
};

struct pg_canceller {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    bool started, ended;
    bool quit;   /* when the queue is empty */
    bool orphan; /* nobody waits for the thread: it frees this */
    struct pg_cancel *first, **last;
};

/* NULL if out of memory. */
struct pg_canceller *pg_canceller_new(void);
void pg_canceller_free(struct pg_canceller *c);

/* Asks the server to cancel what runs on the connection; c->cancel is set until it has taken note.
 * False without memory, or with too many under way. */
bool pg_cancel_start(struct pg_conn *c);

/* The connection goes: the request ends by itself. */
void pg_cancel_detach(struct pg_conn *c);

/* Ends all of the core's; false until all have ended. */
bool pg_cancel_stop(struct pg_core *core);

/* ---- pools ---- */

struct pg_core {
    torc_pg *pg;
    struct torc_host *_Atomic host; /* NULL while no server runs on it */
    struct torc_host_hook hook;
    struct torc_source *source;
    struct list queue;   /* of queries without a connection, oldest first */
    struct list conns;   /* in the order in which they opened */
    struct list cancels; /* under way */
    uint32_t n_queue, n_conns, n_open, n_cancels;
    bool crowded;      /* queries share connections, and another would help */
    int down;          /* what the last attempt to connect failed with */
    bool absent;       /* one failed when no connection was open, and none has succeeded since */
    uint32_t failures; /* in a row; attempts that were under way together are one */
    uint64_t retry_at; /* time before which there is no other */
    torc_pg_counters counters;
};

struct torc_pg {
    torc_pg_options o;
    char *conninfo;
    struct pg_canceller *canceller;
    struct pg_core *_Atomic core[PG_CORES];
};

/* The pool of the core on which the fiber runs; NULL with the error in *err. */
struct pg_core *pg_core_of(torc_pg *pg, torc_req *rq, int *err);

/* Gives the query to a connection, or has it wait for one. 0 or an error. */
int pg_pool_add(struct pg_query *q);

/* Has it wait before all others, for another try or another connection. */
void pg_pool_again(struct pg_query *q);

/* The query gives up. */
void pg_pool_leave(struct pg_query *q);

/* Connections have become free, or went. */
void pg_pool_schedule(struct pg_core *core);

/* What comes of attempts to connect. */
void pg_pool_connected(struct pg_core *core);
void pg_pool_failed(struct pg_core *core, int err, uint32_t round); /* when it was begun */

/* ---- transactions ---- */

struct torc_pg_tx {
    struct torc_host_cleanup cleanup;
    struct pg_conn *conn; /* NULL before it begins, and if it broke */
    torc_pg *pg;
    bool lost; /* a statement of the program's own has ended it without effect */
};
