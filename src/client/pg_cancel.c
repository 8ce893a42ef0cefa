/* Cancel requests. PQcancel connects to the server and waits for it to hang up, which lasts as long
 * as the server likes, so a thread does it. Once the server has hung up, it has signalled the
 * process of that connection, and no later query can be hit. */

#include "client/pg.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* Who frees a request: its core, unless that has ended before. */
enum { RUNNING, ENDED, ABANDONED };

enum { CLOSE_SECONDS = 2 };

static void free_request(struct pg_cancel *r)
{
    PQfreeCancel(r->request);
    free(r);
}

/* ---- the thread ---- */

static void free_canceller(struct pg_canceller *c)
{
    for (struct pg_cancel *r; (r = c->first);) {
        c->first = r->next;
        free_request(r);
    }
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct pg_cancel *next_request(struct pg_canceller *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->first && !c->quit) pthread_cond_wait(&c->more, &c->lock);
    struct pg_cancel *r = c->orphan ? NULL : c->first;
    if (r) {
        c->first = r->next;
        if (!c->first) c->last = &c->first;
    }
    c->ended = !r;
    bool orphan = c->orphan;
    pthread_mutex_unlock(&c->lock);
    if (orphan) free_canceller(c);
    return r;
}

static void *run(void *arg)
{
    char ignored[256]; /* if it fails, the query goes on and its connection is closed in time */
    for (struct pg_cancel *r; (r = next_request(arg));) {
        int running = RUNNING;
        PQcancel(r->request, ignored, sizeof ignored); /* of use even where the core has ended */
        if (atomic_compare_exchange_strong(&r->state, &running, ENDED))
            torc_source_post(r->source);
        else
            free_request(r);
    }
    return NULL;
}

static int start_thread(struct pg_canceller *c)
{
    int err = torc_host_start_thread(&c->thread, "torc-pg-cancel", run, c);
    c->started = err == 0;
    return err;
}

static bool enqueue(struct pg_canceller *c, struct pg_cancel *r)
{
    pthread_mutex_lock(&c->lock);
    bool taken = c->started || start_thread(c) == 0;
    if (taken) {
        *c->last = r;
        c->last = &r->next;
        pthread_cond_signal(&c->more);
    }
    pthread_mutex_unlock(&c->lock);
    return taken;
}

struct pg_canceller *pg_canceller_new(void)
{
    struct pg_canceller *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    return c;
}

/* A server that does not hang up holds the thread. It then ends by itself once the server does. */
static bool leave_behind(struct pg_canceller *c)
{
    pthread_mutex_lock(&c->lock);
    c->orphan = !c->ended;
    bool orphan = c->orphan;
    if (orphan) pthread_detach(c->thread);
    pthread_mutex_unlock(&c->lock);
    return orphan;
}

static bool end_thread(struct pg_canceller *c)
{
    struct timespec until;
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_SECONDS;
    if (pthread_timedjoin_np(c->thread, NULL, &until) == 0) return true;
    if (leave_behind(c)) return false;
    pthread_join(c->thread, NULL);
    return true;
}

void pg_canceller_free(struct pg_canceller *c)
{
    if (!c->started || end_thread(c)) free_canceller(c);
}

/* ---- the core ---- */

/* The server has taken note. */
static void on_ended(void *arg)
{
    struct pg_cancel *r = arg;
    struct pg_conn *conn = r->conn;
    list_unlink(&r->link);
    torc_source_free(r->source);
    r->core->n_cancels--;
    if (conn) {
        conn->cancel = NULL;
        torc_source_alarm(conn->source, PG_CANCEL_AGAIN_NS);
        torc_source_schedule(conn->source); /* what has waited for this is sent */
    }
    free_request(r);
    if (conn) pg_conn_settle(conn);
}

bool pg_cancel_start(struct pg_conn *conn)
{
    static const struct torc_source_ops ops = {.posted = on_ended};
    struct pg_core *core = conn->core;
    if (core->n_cancels >= PG_CANCELS) return false;
    struct pg_cancel *r = calloc(1, sizeof *r);
    if (!r) return false;
    r->core = core;
    r->conn = conn;
    r->request = PQgetCancel(conn->pg);
    r->source = torc_source_new(core->host, &ops, r);
    list_push(&core->cancels, &r->link);
    if (!r->request || !r->source || !enqueue(core->pg->canceller, r)) {
        list_unlink(&r->link);
        if (r->source) torc_source_free(r->source);
        free_request(r);
        return false;
    }
    core->n_cancels++;
    conn->cancel = r;
    torc_source_alarm(conn->source, PG_CANCEL_NS);
    counter_add(&core->counters.cancels, 1);
    return true;
}

void pg_cancel_detach(struct pg_conn *conn)
{
    conn->cancel->conn = NULL;
    conn->cancel = NULL;
}

/* From the exchange on, one that was abandoned is the thread's. */
static void abandon(struct pg_core *core, struct pg_cancel *r)
{
    struct torc_source *source = r->source;
    int running = RUNNING;
    list_unlink(&r->link);
    if (atomic_compare_exchange_strong(&r->state, &running, ABANDONED))
        torc_source_free(source);
    else
        list_push(&core->cancels, &r->link);
}

bool pg_cancel_stop(struct pg_core *core)
{
    struct list all;
    list_move(&core->cancels, &all);
    while (!list_empty(&all)) abandon(core, container_of(all.next, struct pg_cancel, link));
    return list_empty(&core->cancels);
}
