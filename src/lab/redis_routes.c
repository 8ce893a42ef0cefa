/* Queues in Redis: a list of elements for each name. */

#include "backend.h"
#include "backend_routes.h"
#include "lab.h"

static const char *address; /* --redis; NULL if not given */

#ifdef TORC_LAB_REDIS
#include "each.h"
#include "option.h"
#include "params.h"
#include "torc/redis.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    WAIT_MAX = 60000, /* ms */
    WAITERS = 512,    /* of a core, each with a connection of its own */
    QUEUE = 65536,
};

static torc_redis *redis;

int redis_routes_open(void)
{
    if (!address) return 0;
    redis = torc_redis_new(
        &(torc_redis_options){.address = address, .own_connections = WAITERS, .queue = QUEUE});
    if (redis) return 0;
    if (errno == EINVAL) return option_wrong("redis", "HOST:PORT or unix:/PATH", address);
    if (errno != ENAMETOOLONG) return option_failed("redis", errno);
    return option_wrong("redis", "the path of a Unix socket, of at most 107 bytes", address);
}

static void metrics(torc_metrics *out, void *arg)
{
    (void)arg;
    if (redis) torc_redis_metrics(out, redis);
}

static void failed(torc_req *rq, int err, const torc_redis_reply *r)
{
    torc_slice said = torc_redis_text(r);
    if (err == -ENOENT && strncmp(address, "unix:", 5) == 0)
        said = TORC_S("there is no such socket");
    backend_failed(rq, "Redis", err, said);
}

/* Replies with the number of elements then. */
static void push(torc_req *rq, void *arg)
{
    torc_slice name = torc_param(rq, "name"), body;
    torc_redis_reply *r;
    (void)arg;
    if (!backend_given(rq, "redis", address) || torc_body_all(rq, &body) < 0 ||
        !backend_begin(rq, 0))
        return;
    int err = torc_redis_command(rq, redis, &r, "RPUSH queue:%b %b", name.ptr, name.len,
                                 body.ptr ? body.ptr : "", body.len);
    if (err < 0)
        failed(rq, err, r);
    else
        torc_replyf(rq, 200, "%" PRId64 "\n", torc_redis_integer(r));
}

struct pop {
    torc_slice name;
    int64_t wait; /* ms */
    int err;
    torc_redis_reply *reply;
};

/* Always fails, which ends watch(). */
static int pop_waiting(torc_req *rq, void *arg)
{
    struct pop *p = arg;
    p->err = torc_redis_command(rq, redis, &p->reply, "BLPOP queue:%b %.3f", p->name.ptr,
                                p->name.len, (double)p->wait / 1000);
    return -ECANCELED;
}

/* Fails once nobody waits for the element any more, which ends pop_waiting(). */
static int watch(torc_req *rq, void *arg)
{
    (void)arg;
    torc_await(rq, TORC_CLIENT_GONE | TORC_DRAINING);
    return -ECANCELED;
}

/* Ends the pop when the client ends its stream: whether it still reads cannot be known. Without a
 * watch there is no pop. */
static void pop_or_leave(torc_req *rq, struct pop *p)
{
    torc_group *g = torc_group_open(rq);
    int err = each_spawn(g, watch, NULL);
    if (err == 0) err = each_spawn(g, pop_waiting, p);
    if (err < 0) p->err = err;
    torc_group_join(g);
}

static void reply_element(torc_req *rq, const struct pop *p)
{
    const torc_redis_reply *r = p->reply;
    if (torc_redis_type(r) == TORC_REDIS_ARRAY) r = torc_redis_element(r, 1); /* after the key */
    if (p->err == -ECANCELED || (p->err == 0 && torc_redis_type(r) == TORC_REDIS_NIL))
        torc_reply(rq, 204, NULL, (torc_slice){0});
    else if (p->err < 0)
        failed(rq, p->err, r);
    else
        torc_reply(rq, 200, "application/octet-stream", torc_redis_text(r));
}

static void pop(torc_req *rq, void *arg)
{
    struct pop p = {.name = torc_param(rq, "name")};
    (void)arg;
    if (torc_method(rq).ptr[0] == 'H') {
        torc_set_header(rq, TORC_S("Allow"), TORC_S("GET, POST"));
        torc_reply_error(rq, 405); /* it would take an element and not deliver it */
        return;
    }
    if (!backend_given(rq, "redis", address) ||
        !param_number(rq, TORC_S("wait"), torc_query_param(rq, "wait"), 0, WAIT_MAX, &p.wait) ||
        !backend_begin(rq, p.wait))
        return;
    if (p.wait)
        pop_or_leave(rq, &p);
    else
        p.err = torc_redis_command(rq, redis, &p.reply, "LPOP queue:%b", p.name.ptr, p.name.len);
    reply_element(rq, &p);
}

void redis_routes_free(void)
{
    torc_redis_free(redis);
}
#else
static void push(torc_req *rq, void *arg)
{
    (void)arg;
    backend_not_built_in(rq, "hiredis");
}

static torc_handler *const pop = push;

int redis_routes_open(void)
{
    return 0;
}

void redis_routes_free(void) {}
#endif

int redis_routes_mount(torc_server *s)
{
    int err = torc_server_option(s, "redis", "ADDR:PORT",
                                 "the Redis whose lists /queue/NAME uses; or unix:/PATH", &address);
    if (err == 0) err = torc_route(s, "POST", "/queue/:name", push, NULL);
    if (err == 0) err = torc_route(s, "GET", "/queue/:name", pop, NULL);
#ifdef TORC_LAB_REDIS
    if (err == 0) err = torc_metrics_add(s, metrics, NULL);
#endif
    return err;
}
