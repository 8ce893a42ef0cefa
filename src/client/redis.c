#include "client/redis.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 3 }; /* to send a command */

/* ---- pools ---- */

static bool copy(const char **text)
{
    return !*text || (*text = strdup(*text)) != NULL;
}

static void set_default(unsigned *value, unsigned otherwise)
{
    if (*value == 0) *value = otherwise;
}

static void free_all(torc_redis *r)
{
    free((char *)(uintptr_t)r->o.address);
    free((char *)(uintptr_t)r->o.user);
    free((char *)(uintptr_t)r->o.password);
    free(r);
}

/* Its counters are on cache lines of their own, which calloc would not see to. */
static torc_redis *allocate(void)
{
    torc_redis *r = aligned_alloc(_Alignof(torc_redis), sizeof *r);
    if (r) memset(r, 0, sizeof *r);
    return r;
}

torc_redis *torc_redis_new(const torc_redis_options *o)
{
    torc_redis *r = allocate();
    if (!r) return NULL;
    if (o) r->o = *o;
    if (!r->o.address) r->o.address = "127.0.0.1:6379";
    set_default(&r->o.connections, 1);
    set_default(&r->o.own_connections, 64);
    set_default(&r->o.queue, 1024);
    set_default(&r->o.connect_timeout, 5000);
    int copied = copy(&r->o.address) + 2 * copy(&r->o.user) + 4 * copy(&r->o.password);
    int err = copied != 7 ? ENOMEM : -torc_host_check(r->o.address);
    if (!err) return r;
    free_all(r);
    errno = err;
    return NULL;
}

void torc_redis_free(torc_redis *r)
{
    if (!r) return;
    for (size_t i = 0; i < REDIS_CORES; i++)
        if (atomic_load(&r->pool[i])) return; /* its core may still use all of it */
    free_all(r);
}

void torc_redis_count(const torc_redis *r, torc_redis_counters *out)
{
    uint64_t *sum = (uint64_t *)out;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < REDIS_CORES; i++) {
        const uint64_t *own = (const uint64_t *)&r->counts[i].of;
        for (size_t k = 0; k < sizeof *out / sizeof *sum; k++) sum[k] += counter_get(&own[k]);
    }
}

void torc_redis_metrics(torc_metrics *out, void *arg)
{
    torc_redis_counters n;
    torc_redis_count(arg, &n);
    const struct {
        torc_metric_kind kind;
        const char *name, *help;
        uint64_t value;
    } metrics[] = {
        {TORC_COUNTER, "redis_commands_total", "commands sent to Redis", n.commands},
        {TORC_COUNTER, "redis_errors_total", "of them, answered with an error", n.errors},
        {TORC_COUNTER, "redis_lost_total", "of them, ended with their connection", n.lost},
        {TORC_COUNTER, "redis_refused_total", "commands not sent: too many wait, or no server",
         n.refused},
        {TORC_COUNTER, "redis_connects_total", "connections opened to Redis", n.connects},
        {TORC_COUNTER, "redis_connect_failures_total", "attempts to connect that failed",
         n.failures},
        {TORC_GAUGE, "redis_connections", "connections to Redis that are open", n.connections},
        {TORC_GAUGE, "redis_waiting", "commands that wait for Redis", n.waiting},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        torc_metric(out, metrics[i].kind, metrics[i].name, metrics[i].help,
                    (double)metrics[i].value);
}

/* ---- a command on its way ---- */

struct command {
    struct redis_entry entry;
    struct redis_pool *pool;
    struct redis_conn *own; /* on which it blocks */
    struct redis_kind kind;
    struct torc_host_wait *waiter; /* on the fiber's stack; NULL once the fiber has left */
    torc_redis_reply *reply;
};

struct waiter {
    struct torc_host_wait wait;
    struct command *command; /* NULL once the fiber has left it */
};

static void free_command(struct command *c)
{
    redisFreeCommand(c->entry.bytes);
    redis_reply_free(c->reply);
    free(c);
}

static void done(struct redis_entry *e, torc_redis_reply *reply, int err)
{
    struct command *c = container_of(e, struct command, entry);
    struct redis_conn *own = c->own;
    c->own = NULL;
    if (!own) redis_count_waiting(c->pool, -1, 0);
    if (c->waiter) {
        if (own) redis_own_release(own);
        c->reply = reply;
        torc_host_wake(c->waiter, err);
        return;
    }
    if (own) {
        redis_put_back(c->pool, c->kind.back, reply);
        redis_own_left(own);
    } else {
        redis_reply_free(reply);
    }
    free_command(c);
}

static void on_leave(struct torc_host_wait *wait)
{
    struct waiter *w = container_of(wait, struct waiter, wait);
    struct command *c = w->command;
    w->command = NULL;
    c->waiter = NULL;
    if (c->entry.sent) {
        if (c->own) redis_own_leave(c->own);
        return;
    }
    list_unlink(&c->entry.link);
    if (c->own)
        redis_own_release(c->own); /* it opens for the next */
    else
        redis_count_waiting(c->pool, -1, 0);
    free_command(c);
}

static int start_shared(struct command *c)
{
    struct redis_pool *p = c->pool;
    if (p->n_entries >= p->r->o.queue) return redis_refuse(p, -EAGAIN);
    int err = redis_pool_add(p, &c->entry);
    if (err == 0) redis_count_waiting(p, 1, 0);
    return err;
}

static int start_own(torc_req *rq, struct command *c)
{
    int err = redis_slot_take(rq, c->pool);
    if (err) return err;
    /* It may have got the connection and been cancelled in the same turn. */
    struct redis_conn *own = torc_host_of(rq, &err) ? redis_own_take(c->pool, &err) : NULL;
    if (!own) {
        redis_slot_give(c->pool);
        return err;
    }
    c->own = own;
    redis_conn_give(own, &c->entry);
    return 0;
}

/* Sends it once; false if it left the fiber. */
static int attempt(torc_req *rq, struct command *c, bool *left)
{
    c->entry.sent = false;
    int err = c->kind.blocks ? start_own(rq, c) : start_shared(c);
    if (err) return err;
    struct waiter w = {.wait = {.leave = on_leave}, .command = c};
    c->waiter = &w.wait;
    err = torc_host_park(rq, &w.wait, "redis");
    *left = !w.command;
    return err;
}

/* Takes `bytes`. */
static int run(torc_req *rq, torc_redis *r, unsigned flags, torc_redis_reply **reply, char *bytes,
               long long len)
{
    int err = -EINVAL;
    bool left = false;
    struct command *c = len < 0 ? NULL : calloc(1, sizeof *c);
    if (!c) {
        if (len >= 0) redisFreeCommand(bytes);
        return len == -1 || len >= 0 ? -ENOMEM : -EINVAL;
    }
    c->entry = (struct redis_entry){.bytes = bytes, .len = (size_t)len, .done = done};
    list_init(&c->entry.link);
    c->kind = redis_kind_of(bytes, (size_t)len);
    if (!c->kind.refused && (c->pool = redis_pool_of(r, rq, &err))) {
        for (int i = 0; i < ATTEMPTS; i++) {
            err = attempt(rq, c, &left);
            if (left) return err;
            if (err != -ECONNABORTED || !(flags & TORC_REDIS_REPEATABLE)) break;
        }
        err = redis_reply_give(rq, c->reply, err, reply);
        c->reply = NULL;
    }
    free_command(c);
    return err;
}

/* ---- interface ---- */

static int run_format(torc_req *rq, torc_redis *r, unsigned flags, torc_redis_reply **reply,
                      const char *format, va_list args)
{
    char *bytes = NULL;
    if (reply) *reply = NULL;
    int len = redis_format(format, args, &bytes);
    return run(rq, r, flags, reply, bytes, len);
}

int torc_redis_command(torc_req *rq, torc_redis *r, torc_redis_reply **reply, const char *format,
                       ...)
{
    va_list args;
    va_start(args, format);
    int err = run_format(rq, r, 0, reply, format, args);
    va_end(args);
    return err;
}

int torc_redis_repeatable(torc_req *rq, torc_redis *r, torc_redis_reply **reply, const char *format,
                          ...)
{
    va_list args;
    va_start(args, format);
    int err = run_format(rq, r, TORC_REDIS_REPEATABLE, reply, format, args);
    va_end(args);
    return err;
}

int torc_redis_words(torc_req *rq, torc_redis *r, unsigned flags, torc_redis_reply **reply,
                     size_t n, const torc_slice *words)
{
    char *bytes = NULL;
    if (reply) *reply = NULL;
    if (n == 0 || flags & ~(unsigned)TORC_REDIS_REPEATABLE) return -EINVAL;
    int len = redis_format_words(NULL, n, words, &bytes);
    return run(rq, r, flags, reply, bytes, len);
}
