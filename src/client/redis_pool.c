/* The connections of one core, and who gets them. */

#include "client/redis.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull

enum {
    RETRY_MS = 100, /* after the first failure; doubles up to RETRY_MAX_MS */
    RETRY_MAX_MS = 2000,
    LATE_MS = 1000, /* for what has been popped to be put back when the core ends */
};

void redis_pool_schedule(struct redis_pool *p)
{
    if (p->source) torc_source_schedule(p->source);
}

/* ---- counting ---- */

void redis_count_waiting(struct redis_pool *p, int entries, int waiters)
{
    p->n_entries += (uint32_t)entries;
    p->n_waiters += (uint32_t)waiters;
    counter_set(&redis_counters(p)->waiting, p->n_entries + p->n_waiters);
}

int redis_refuse(struct redis_pool *p, int err)
{
    counter_add(&redis_counters(p)->refused, 1);
    return err;
}

int redis_refuse_entry(struct redis_pool *p, const struct redis_entry *e, int err)
{
    return e->again ? err : redis_refuse(p, err);
}

/* ---- up and down ---- */

void redis_pool_connected(struct redis_pool *p)
{
    p->failures = 0;
    p->down = 0;
    redis_pool_schedule(p);
}

void redis_pool_failed(struct redis_pool *p, int err, const char *why)
{
    uint64_t ms = p->failures < 5 ? RETRY_MS << p->failures : RETRY_MAX_MS;
    p->failures++;
    p->down = err;
    counter_add(&redis_counters(p)->failures, 1);
    p->retry_at = torc_host_now(p->host) + (ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS) * MS;
    torc_host_warn(p->host, TORC_HOST_ABSENT, "redis at %s: %s", p->r->o.address, why);
    redis_pool_schedule(p);
}

static int down(const struct redis_pool *p)
{
    return p->down && torc_host_now(p->host) < p->retry_at ? p->down : 0;
}

/* ---- shared connections ---- */

/* The ready one with the fewest commands; NULL if there is none. */
static struct redis_conn *least_loaded(struct redis_pool *p)
{
    struct redis_conn *best = NULL;
    for (struct list *l = p->shared.next; l != &p->shared; l = l->next) {
        struct redis_conn *c = container_of(l, struct redis_conn, link);
        if (c->state == REDIS_READY && !c->doomed && (!best || c->n_sent < best->n_sent)) best = c;
    }
    return best;
}

static bool is_connecting(const struct redis_pool *p)
{
    for (struct list *l = p->shared.next; l != &p->shared; l = l->next) {
        enum redis_state state = container_of(l, struct redis_conn, link)->state;
        if (state == REDIS_CONNECTING || state == REDIS_GREETING) return true;
    }
    return false;
}

static uint32_t count(const struct list *list)
{
    uint32_t n = 0;
    for (struct list *l = list->next; l != list; l = l->next) n++;
    return n;
}

/* Starts another where none is idle; one at a time. 0 if there is one or will be. */
static int open_shared(struct redis_pool *p)
{
    struct redis_conn *c = least_loaded(p);
    int err = down(p);
    if (c && c->n_sent == 0 && list_empty(&p->queue)) return 0;
    if (is_connecting(p)) return 0;
    if (err || count(&p->shared) >= p->r->o.connections) return c ? 0 : err;
    struct redis_conn *new = redis_conn_start(p, false, NULL, &err);
    if (new) list_push(&p->shared, &new->link);
    return new || c ? 0 : err;
}

int redis_pool_add(struct redis_pool *p, struct redis_entry *e)
{
    int err = open_shared(p);
    if (err) return redis_refuse_entry(p, e, err);
    e->sent = false;
    list_push(&p->queue, &e->link);
    redis_pool_schedule(p);
    return 0;
}

static void fail_queue(struct redis_pool *p, int err)
{
    struct list failed;
    list_move(&p->queue, &failed);
    for (struct list *l; (l = list_pop(&failed));) {
        struct redis_entry *e = container_of(l, struct redis_entry, link);
        redis_refuse_entry(p, e, err);
        e->done(e, NULL, err);
    }
}

/* Sends what is queued. */
static void on_task(void *arg)
{
    struct redis_pool *p = arg;
    while (!list_empty(&p->queue)) {
        struct redis_conn *c = least_loaded(p);
        if (c) {
            struct list *l = list_pop(&p->queue);
            redis_conn_give(c, container_of(l, struct redis_entry, link));
            continue;
        }
        int err = open_shared(p);
        if (err) fail_queue(p, err);
        return;
    }
}

/* ---- connections for one command ---- */

struct slot_waiter {
    struct list link;
    struct redis_pool *pool;
    struct torc_host_wait wait;
};

static void on_leave(struct torc_host_wait *w)
{
    struct slot_waiter *s = container_of(w, struct slot_waiter, wait);
    list_unlink(&s->link);
    redis_count_waiting(s->pool, 0, -1);
}

int redis_slot_take(torc_req *rq, struct redis_pool *p)
{
    struct slot_waiter s = {.pool = p, .wait = {.leave = on_leave}};
    if (p->n_slots < p->r->o.own_connections) {
        p->n_slots++;
        return 0;
    }
    if (p->n_waiters >= p->r->o.queue) return redis_refuse(p, -EAGAIN);
    redis_count_waiting(p, 0, 1);
    list_init(&s.link);
    list_push(&p->slot_waiters, &s.link);
    return torc_host_park(rq, &s.wait, "redis connection");
}

/* The first who waits has it at once: nobody who comes later can take it before. */
void redis_slot_give(struct redis_pool *p)
{
    struct list *l = list_pop(&p->slot_waiters);
    if (!l) {
        p->n_slots--;
        return;
    }
    redis_count_waiting(p, 0, -1);
    torc_host_wake(&container_of(l, struct slot_waiter, link)->wait, 0);
}

struct redis_conn *redis_own_take(struct redis_pool *p, int *err)
{
    while (!list_empty(&p->idle)) {
        struct redis_conn *c = container_of(list_pop(&p->idle), struct redis_conn, link);
        p->n_idle--;
        c->idle = false;
        if (c->doomed) continue; /* its task closes it */
        c->slot = true;
        return c;
    }
    *err = down(p);
    struct redis_conn *c = *err ? NULL : redis_conn_start(p, true, NULL, err);
    if (!c) redis_refuse(p, *err);
    return c;
}

struct redis_conn *redis_sub_connect(struct redis_pool *p, struct torc_redis_sub *s, int *err)
{
    *err = down(p);
    return *err ? NULL : redis_conn_start(p, false, s, err);
}

/* ---- life ---- */

static void on_alarm(void *arg)
{
    ((struct redis_pool *)arg)->late = true;
}

/* Waits for what was popped and is to be put back, but not long. */
static bool on_stop(struct torc_host_hook *hook)
{
    struct redis_pool *p = container_of(hook, struct redis_pool, hook);
    if (!p->stopping) torc_source_alarm(p->source, LATE_MS * MS);
    p->stopping = true;
    if (p->n_left > 0 && !p->late) return false;
    fail_queue(p, -ECONNABORTED);
    while (!list_empty(&p->conns))
        redis_conn_close(container_of(p->conns.next, struct redis_conn, all), -ECONNABORTED);
    fail_queue(p, -ECONNABORTED);
    if (p->source) torc_source_free(p->source);
    p->source = NULL;
    return true;
}

static void on_end(struct torc_host_hook *hook)
{
    struct redis_pool *p = container_of(hook, struct redis_pool, hook);
    atomic_store(&p->r->pool[p->index], NULL);
    free(p);
}

static const struct torc_source_ops ops = {.alarm = on_alarm, .task = on_task};

static struct redis_pool *open_pool(torc_redis *r, unsigned index, struct torc_host *h)
{
    struct redis_pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (struct redis_pool){.r = r, .index = index, .host = h, .hook = {on_stop, on_end}};
    list_init(&p->queue);
    list_init(&p->shared);
    list_init(&p->idle);
    list_init(&p->conns);
    list_init(&p->slot_waiters);
    p->source = torc_source_new(h, &ops, p);
    if (p->source && torc_host_add_hook(h, &p->hook) == 0) return p;
    if (p->source) torc_source_free(p->source);
    free(p);
    return NULL;
}

/* A name may mean another address once the server has gone, and did while nobody asked. */
int redis_pool_locate(torc_req *rq, struct redis_pool *p)
{
    struct torc_host_addr found[TORC_HOST_ADDRS];
    if (redis_counters(p)->connections > 0) return 0;
    int n = torc_host_find(rq, p->r->o.address, found);
    if (n < 0) return n == -EAGAIN ? -EHOSTUNREACH : n;
    memcpy(p->addr, found, (size_t)n * sizeof *found);
    p->n_addrs = (unsigned)n;
    return 0;
}

struct redis_pool *redis_pool_of(torc_redis *r, torc_req *rq, int *err)
{
    struct torc_host *h = torc_host_of(rq, err);
    unsigned index = torc_core(rq);
    if (!h) return NULL;
    if (index >= REDIS_CORES) {
        *err = -EBUSY;
        return NULL;
    }
    struct redis_pool *p = atomic_load_explicit(&r->pool[index], memory_order_acquire);
    if (!p) {
        p = open_pool(r, index, h);
        if (!p) *err = -ENOMEM;
        atomic_store_explicit(&r->pool[index], p, memory_order_release);
    } else if (p->host != h) {
        *err = -EBUSY;
        return NULL;
    }
    if (p) *err = redis_pool_locate(rq, p);
    return *err ? NULL : p;
}
