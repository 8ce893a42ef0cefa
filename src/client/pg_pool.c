/* The pool of a core: which connection a query goes to, who waits, when another is opened. */

#include "client/pg.h"

#include <errno.h>
#include <stdlib.h>

static void count_waiting(struct pg_core *core, int change)
{
    core->n_queue += (uint32_t)change;
    counter_set(&core->counters.waiting, core->n_queue);
}

/* ---- choosing ---- */

/* One that does nothing; else the one that does least, and the pool is crowded. */
static struct pg_conn *choose(struct pg_core *core, const struct pg_query *q)
{
    struct pg_conn *best = NULL;
    for (struct list *l = core->conns.next; l != &core->conns; l = l->next) {
        struct pg_conn *c = container_of(l, struct pg_conn, link);
        if (!pg_conn_takes(c, q)) continue;
        if (!best || c->n_flights < best->n_flights) best = c;
        if (best->n_flights == 0) return best;
    }
    core->crowded = true;
    return best;
}

static bool give(struct pg_core *core, struct pg_query *q)
{
    struct pg_conn *c = choose(core, q);
    return c && pg_conn_give(c, q) == 0;
}

/* ---- opening connections ---- */

static bool is_down(const struct pg_core *core)
{
    return core->absent && torc_host_now(core->host) < core->retry_at;
}

/* Somebody waits for the attempt that tells whether the server is back: others need not. Where that
 * one has left, the next waits. */
static bool is_tried(const struct pg_core *core)
{
    return core->absent && core->n_conns > 0 && core->n_queue > 0;
}

/* One at a time after a failure; else as many as wait, but one where queries only share. */
static bool wants_another(const struct pg_core *core)
{
    uint32_t connecting = core->n_conns - core->n_open;
    uint32_t wanted = core->n_queue > 1 && core->failures == 0 ? core->n_queue : 1;
    return (core->crowded || core->n_queue > 0) && core->n_conns < core->pg->o.connections &&
           connecting < wanted;
}

/* That the pool is crowded is true of now alone: it is not what to connect for later. */
static void open_more(struct pg_core *core)
{
    uint64_t now = torc_host_now(core->host);
    int err = 0;
    while (err == 0 && now >= core->retry_at && wants_another(core)) err = pg_conn_start(core);
    core->crowded = false;
    if (err < 0)
        pg_pool_failed(core, err, core->failures);
    else if (now < core->retry_at && wants_another(core))
        torc_source_alarm(core->source, core->retry_at - now);
}

static void fail_queue(struct pg_core *core)
{
    for (struct list *l; (l = list_pop(&core->queue));) {
        struct pg_query *q = container_of(l, struct pg_query, link);
        count_waiting(core, -1);
        counter_add(&core->counters.refused, 1);
        torc_host_wake(&q->wait, core->down);
    }
}

static void work(void *arg)
{
    struct pg_core *core = arg;
    while (!list_empty(&core->queue)) {
        struct pg_query *q = container_of(core->queue.next, struct pg_query, link);
        if (!give(core, q)) break;
        list_unlink(&q->link);
        count_waiting(core, -1);
    }
    if (core->n_conns == 0 && is_down(core)) fail_queue(core);
    open_more(core);
}

void pg_pool_schedule(struct pg_core *core)
{
    torc_source_schedule(core->source);
}

void pg_pool_connected(struct pg_core *core)
{
    core->failures = 0;
    core->absent = false;
    core->retry_at = 0;
    pg_pool_schedule(core);
}

void pg_pool_failed(struct pg_core *core, int err, uint32_t round)
{
    if (round == core->failures) core->failures++;
    uint32_t doublings = core->failures > 1 ? core->failures - 1 : 0;
    uint64_t pause = PG_BACKOFF_NS << (doublings < 5 ? doublings : 5);
    if (core->n_open == 0) core->absent = true;
    core->down = err;
    core->retry_at =
        torc_host_now(core->host) + (pause < PG_BACKOFF_NS_MAX ? pause : PG_BACKOFF_NS_MAX);
    counter_add(&core->counters.failures, 1);
    pg_pool_schedule(core);
}

/* ---- queries ---- */

static int refuse(struct pg_core *core, int err)
{
    counter_add(&core->counters.refused, 1);
    return err;
}

static int add_to_transaction(struct pg_query *q)
{
    if (q->tx->lost) return q->refused = -EREMOTEIO;
    if (!q->tx->conn) return -ECONNABORTED;
    int err = pg_conn_give(q->tx->conn, q);
    return err == -EAGAIN ? refuse(q->core, err) : err;
}

int pg_pool_add(struct pg_query *q)
{
    struct pg_core *core = q->core;
    if (q->tx && !q->begins) return add_to_transaction(q);
    if (is_down(core) || is_tried(core)) return refuse(core, core->down);
    if (!list_empty(&core->queue) || !give(core, q)) {
        if (core->n_queue >= core->pg->o.queue) return refuse(core, -EAGAIN);
        list_push(&core->queue, &q->link);
        count_waiting(core, 1);
    }
    if (core->crowded) pg_pool_schedule(core);
    return 0;
}

void pg_pool_again(struct pg_query *q)
{
    struct list *oldest = q->core->queue.next;
    list_push(oldest, &q->link); /* before it */
    count_waiting(q->core, 1);
    pg_pool_schedule(q->core);
}

void pg_pool_leave(struct pg_query *q)
{
    if (q->conn) {
        pg_conn_leave(q->conn, q);
    } else {
        list_unlink(&q->link);
        count_waiting(q->core, -1);
    }
}

/* ---- the life of a core's pool ---- */

static bool on_stop(struct torc_host_hook *hook)
{
    struct pg_core *core = container_of(hook, struct pg_core, hook);
    while (!list_empty(&core->conns))
        pg_conn_close(container_of(core->conns.next, struct pg_conn, link));
    core->crowded = false;
    return pg_cancel_stop(core);
}

static void on_end(struct torc_host_hook *hook)
{
    struct pg_core *core = container_of(hook, struct pg_core, hook);
    torc_source_free(core->source);
    core->host = NULL;
}

static int begin_on(struct pg_core *core, struct torc_host *host)
{
    static const struct torc_source_ops ops = {.alarm = work, .task = work};
    core->source = torc_source_new(host, &ops, core);
    if (!core->source) return -ENOMEM;
    core->hook = (struct torc_host_hook){on_stop, on_end};
    if (torc_host_add_hook(host, &core->hook) < 0) {
        torc_source_free(core->source);
        return -ENOMEM;
    }
    core->host = host;
    core->failures = core->n_cancels = 0;
    core->retry_at = 0;
    core->absent = false;
    return 0;
}

static struct pg_core *new_core(torc_pg *pg)
{
    struct pg_core *core = calloc(1, sizeof *core);
    if (!core) return NULL;
    core->pg = pg;
    list_init(&core->queue);
    list_init(&core->conns);
    list_init(&core->cancels);
    return core;
}

struct pg_core *pg_core_of(torc_pg *pg, torc_req *rq, int *err)
{
    struct torc_host *host = torc_host_of(rq, err);
    unsigned index = host ? torc_core(rq) : 0;
    if (!host) return NULL;
    *err = index < PG_CORES ? 0 : -EINVAL;
    if (*err) return NULL;
    struct pg_core *core = atomic_load_explicit(&pg->core[index], memory_order_relaxed);
    if (core && core->host == host) return core;
    if (!core) core = new_core(pg);
    *err = core ? 0 : -ENOMEM;
    if (core) atomic_store_explicit(&pg->core[index], core, memory_order_release);
    if (core && core->host) *err = -EBUSY; /* of another server */
    if (*err == 0) *err = begin_on(core, host);
    return *err == 0 ? core : NULL;
}
