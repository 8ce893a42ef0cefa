#include "client/pool.h"

#include "http/context.h"
#include "task/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pool_origin {
    struct pool *pool;
    struct list link;    /* in pool->origins */
    struct list idle;    /* the one used last is the last */
    struct list waiting; /* struct pool_wait, oldest first */
    uint32_t open;       /* connections, idle ones and those being opened included */
    uint32_t n_waiting;
    char to[];
};

/* A fiber that waits for a connection of another request, or for the right to open one. */
struct pool_wait {
    struct wait wait;
    struct list link;
    struct pool_origin *origin;
    struct pool_conn *conn; /* NULL: open one */
};

/* ---- origins ---- */

static struct pool_origin *find_origin(struct pool *p, const char *to)
{
    for (struct list *l = p->origins.next; l != &p->origins; l = l->next) {
        struct pool_origin *o = container_of(l, struct pool_origin, link);
        if (strcmp(o->to, to) == 0) return o;
    }
    return NULL;
}

static struct pool_origin *add_origin(struct pool *p, const char *to)
{
    size_t size = strlen(to) + 1;
    struct pool_origin *o = malloc(sizeof *o + size);
    if (!o) return NULL;
    *o = (struct pool_origin){.pool = p};
    memcpy(o->to, to, size);
    list_init(&o->idle);
    list_init(&o->waiting);
    list_init(&o->link);
    list_push(&p->origins, &o->link);
    return o;
}

static void free_if_unused(struct pool_origin *o)
{
    if (o->open || o->n_waiting) return;
    list_unlink(&o->link);
    free(o);
}

/* ---- who waits ---- */

static void leave_queue(struct pool_wait *w)
{
    list_unlink(&w->link);
    w->origin->n_waiting--;
}

static void wait_cancel(struct wait *wait)
{
    struct pool_wait *w = container_of(wait, struct pool_wait, wait);
    leave_queue(w);
    wait_wake(wait, wait->scope->cancelled);
}

/* Hands on a connection, or without one the right to open it; false if nobody waits. */
static bool hand_on(struct pool_origin *o, struct pool_conn *c)
{
    if (list_empty(&o->waiting)) return false;
    struct pool_wait *w = container_of(o->waiting.next, struct pool_wait, link);
    leave_queue(w);
    w->conn = c;
    wait_wake(&w->wait, 0);
    return true;
}

/* A connection is no more. */
static void release(struct pool_origin *o)
{
    if (hand_on(o, NULL)) return;
    o->open--;
    counter_set(&o->pool->stats->upstream_open, o->pool->stats->upstream_open - 1);
    free_if_unused(o);
}

static int await(struct pool_origin *o, struct scope *scope, struct pool_conn **out)
{
    struct pool_wait w = {.wait.what = "upstream", .origin = o};
    if (o->n_waiting >= o->pool->limits.waiting) {
        counter_add(&o->pool->stats->upstream_rejected, 1);
        return -EAGAIN;
    }
    counter_add(&o->pool->stats->upstream_waited, 1);
    list_init(&w.link);
    list_push(&o->waiting, &w.link);
    o->n_waiting++;
    int err = wait_park(scope, &w.wait, wait_cancel);
    if (err == 0) *out = w.conn; /* after an error the origin may be freed already */
    return err;
}

/* ---- connections ---- */

/* Its place stays the caller's. */
static void close_conn(struct pool_conn *c)
{
    wheel_clear(&c->origin->pool->io->wheel, &c->timer);
    list_unlink(&c->link);
    stream_close(c->stream);
    free(c);
}

static void drop(struct pool_conn *c)
{
    struct pool_origin *o = c->origin;
    close_conn(c);
    release(o);
}

static void on_timer(struct wheel_timer *t)
{
    drop(container_of(t, struct pool_conn, timer));
}

/* The peer has closed an idle connection, or sent what nobody asked for. */
static void on_notify(struct stream *s)
{
    drop(s->owner);
}

static struct pool_conn *take_idle(struct pool_origin *o)
{
    struct pool_conn *c = container_of(o->idle.prev, struct pool_conn, link);
    wheel_clear(&o->pool->io->wheel, &c->timer);
    list_unlink(&c->link);
    c->stream->notify = NULL;
    return c;
}

/* Those of torc_fetch: -EAGAIN is that too many wait, which is not what dial means by it. */
static int dial_error(int err)
{
    return err == -EAGAIN ? -EHOSTUNREACH : err;
}

/* Opens one, whose place is the caller's. */
static int open_conn(struct pool_origin *o, struct scope *scope, struct pool_conn **out)
{
    struct pool_conn *c = calloc(1, sizeof *c);
    int err = c ? dial(scope, o->pool->names, o->to, &c->stream) : -ENOMEM;
    if (err < 0) {
        free(c);
        release(o);
        return dial_error(err);
    }
    counter_add(&o->pool->stats->upstream_connects, 1);
    c->origin = o;
    c->stream->owner = c;
    list_init(&c->link);
    wheel_timer_init(&c->timer, on_timer);
    *out = c;
    return 0;
}

/* What was handed on to a request that has been cancelled since. */
static int decline(struct pool_origin *o, struct pool_conn *c, int err)
{
    if (c)
        pool_give(c, true);
    else
        release(o);
    return err;
}

/* Nobody overtakes those who wait: while there are any, a connection that becomes free is handed to
 * the first, so that there is neither an idle one nor room. */
int pool_take(struct pool *p, struct scope *scope, const char *to, bool fresh,
              struct pool_conn **out)
{
    int err = scope_refuses(scope);
    if (err) return err;
    struct pool_origin *o = find_origin(p, to);
    if (!o) o = add_origin(p, to);
    if (!o) return -ENOMEM;
    *out = NULL;
    if (!list_empty(&o->idle)) {
        *out = take_idle(o);
    } else if (o->open < p->limits.connections) {
        o->open++;
        counter_set(&p->stats->upstream_open, p->stats->upstream_open + 1);
    } else {
        err = await(o, scope, out);
        if (err < 0) return err;
        if (scope->cancelled) return decline(o, *out, scope->cancelled);
    }
    if (*out && fresh) { /* its place is for the one to be opened */
        close_conn(*out);
        *out = NULL;
    }
    return *out ? 0 : open_conn(o, scope, out);
}

void pool_give(struct pool_conn *c, bool keep)
{
    struct pool_origin *o = c->origin;
    struct pool *p = o->pool;
    if (!keep || p->draining || !stream_is_quiet(c->stream)) {
        drop(c);
        return;
    }
    c->reused = true;
    if (hand_on(o, c)) return;
    list_push(&o->idle, &c->link);
    c->stream->notify = on_notify;
    wheel_set(&p->io->wheel, &c->timer, p->io->now + p->limits.idle);
}

/* ---- life ---- */

void pool_init(struct pool *p, struct io *io, struct resolver *names, struct http_stats *stats,
               const struct pool_limits *limits)
{
    *p = (struct pool){.io = io, .names = names, .stats = stats, .limits = *limits};
    list_init(&p->origins);
}

/* By their timers, which are due now. */
static void close_idle(struct pool_origin *o)
{
    struct io *io = o->pool->io;
    for (struct list *l = o->idle.next; l != &o->idle; l = l->next)
        wheel_set(&io->wheel, &container_of(l, struct pool_conn, link)->timer, io->now);
}

void pool_drain(struct pool *p)
{
    p->draining = true;
    for (struct list *l = p->origins.next; l != &p->origins; l = l->next)
        close_idle(container_of(l, struct pool_origin, link));
}
