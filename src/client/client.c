/* Requests of handlers to other servers: what torc.h offers, for struct fetch. */

#include "client/fetch.h"
#include "http/request.h"

#include <errno.h>
#include <stdlib.h>

struct torc_client {
    struct pool_limits limits;
    size_t max_head;
};

/* What a client has on one core. */
struct client_core {
    struct exit_hook hook;
    const torc_client *client;
    struct pool pool;
};

struct torc_exchange {
    struct request_resource held;
    struct fetch fetch;
    struct scope scope; /* of the call that waits */
    bool busy;          /* in a call */
    bool closed;        /* meanwhile: the call frees it */
};

/* ---- clients ---- */

torc_client *torc_client_new(const torc_client_options *options)
{
    static const torc_client_options none;
    const torc_client_options *o = options ? options : &none;
    struct torc_client *c = malloc(sizeof *c);
    if (!c) return NULL;
    *c = (struct torc_client){
        .limits = {.connections = o->connections ? o->connections : 32,
                   .waiting = o->waiting ? o->waiting : 1024,
                   .idle = (o->idle_ms ? o->idle_ms : 10 * 1000) * NS_PER_MS},
        .max_head = o->max_head ? o->max_head : 32 * 1024,
    };
    return c;
}

void torc_client_free(torc_client *c)
{
    free(c);
}

static bool on_stop(struct exit_hook *e)
{
    pool_drain(&container_of(e, struct client_core, hook)->pool);
    return true; /* the core waits for what is in flight */
}

static void on_exit_core(struct exit_hook *e)
{
    struct client_core *core = container_of(e, struct client_core, hook);
    ASSERT(list_empty(&core->pool.origins));
    free(core);
}

static struct client_core *add_core(const torc_client *c, struct http_context *ctx)
{
    struct client_core *core = malloc(sizeof *core);
    if (!core) return NULL;
    *core = (struct client_core){.hook = {.fn = on_exit_core, .stop = on_stop}, .client = c};
    pool_init(&core->pool, ctx->io, &ctx->resolver, &ctx->stats, &c->limits);
    core->pool.draining = ctx->draining;
    http_add_exit_hook(ctx, &core->hook);
    return core;
}

static struct pool *pool_of(const torc_client *c, struct http_context *ctx)
{
    struct client_core *core = NULL;
    for (struct exit_hook *e = ctx->exit_hooks; e && !core; e = e->next)
        if (e->fn == on_exit_core && container_of(e, struct client_core, hook)->client == c)
            core = container_of(e, struct client_core, hook);
    if (!core) core = add_core(c, ctx);
    return core ? &core->pool : NULL;
}

/* ---- exchanges ---- */

static void exchange_free(struct torc_exchange *x)
{
    fetch_end(&x->fetch);
    free(x);
}

static void release(struct request_resource *r)
{
    torc_fetch_close(container_of(r, struct torc_exchange, held));
}

/* Each call waits in a scope of its own, so that torc_fetch_close can end it. */
static int enter(torc_req *rq, struct torc_exchange *x)
{
    struct scope *parent = request_scope(rq);
    int refused = scope_refuses(parent);
    if (refused) return refused;
    if (x->busy) return -EBUSY;
    x->busy = true;
    scope_init_child(&x->scope, parent);
    scope_attach(&x->scope);
    return 0;
}

static void detach(struct torc_exchange *x)
{
    scope_detach(&x->scope);
    x->busy = false;
}

/* What it has come to does not count if the exchange is closed: the caller must not use that any
 * more, whether the close found the call waiting or about to return. */
static ssize_t leave(struct torc_exchange *x, ssize_t result)
{
    detach(x);
    if (!x->closed) return result;
    exchange_free(x);
    return -EBADF;
}

static struct torc_exchange *exchange_new(torc_req *rq, const torc_client *c,
                                          const torc_fetch_options *options)
{
    struct torc_exchange *x = calloc(1, sizeof *x);
    struct pool *pool = x ? pool_of(c, rq->ctx) : NULL;
    if (!pool) {
        free(x);
        return NULL;
    }
    x->fetch.pool = pool;
    x->fetch.max_head = c->max_head;
    x->fetch.options = *options;
    x->fetch.rq = rq;
    return x;
}

static int open_exchange(torc_req *rq, const torc_client *c, const torc_fetch_options *options,
                         bool whole, torc_exchange **out)
{
    int refused = scope_refuses(request_scope(rq));
    *out = NULL;
    if (refused) return refused;
    if (whole && options->streamed) return -EINVAL;
    struct torc_exchange *x = exchange_new(rq, c, options);
    if (!x) return -ENOMEM;
    int err = fetch_prepare(&x->fetch);
    if (err == 0) err = enter(rq, x);
    if (err == 0) {
        err = whole ? fetch_whole(&x->fetch, &x->scope) : fetch_start(&x->fetch, &x->scope);
        detach(x);
    }
    if (err < 0) {
        exchange_free(x);
        return err;
    }
    request_hold(rq, &x->held, release);
    *out = x;
    return 0;
}

int torc_fetch(torc_req *rq, torc_client *c, const torc_fetch_options *options, torc_exchange **x)
{
    return open_exchange(rq, c, options, true, x);
}

int torc_fetch_open(torc_req *rq, torc_client *c, const torc_fetch_options *options,
                    torc_exchange **x)
{
    return open_exchange(rq, c, options, false, x);
}

int torc_fetch_write(torc_req *rq, torc_exchange *x, const void *data, size_t size)
{
    int err = enter(rq, x);
    return err < 0 ? err : (int)leave(x, fetch_write(&x->fetch, &x->scope, data, size));
}

int torc_fetch_response(torc_req *rq, torc_exchange *x)
{
    int err = enter(rq, x);
    return err < 0 ? err : (int)leave(x, fetch_response(&x->fetch, &x->scope));
}

ssize_t torc_fetch_read(torc_req *rq, torc_exchange *x, void *buf, size_t size)
{
    int err = enter(rq, x);
    return err < 0 ? err : leave(x, fetch_read(&x->fetch, &x->scope, buf, size));
}

void torc_fetch_close(torc_exchange *x)
{
    list_unlink(&x->held.link);
    x->closed = true;
    if (x->busy)
        scope_cancel(&x->scope, -EBADF);
    else
        exchange_free(x);
}

/* ---- the response ---- */

int torc_fetch_status(const torc_exchange *x)
{
    return x->fetch.state == FETCH_HEAD ? x->fetch.parser.status : 0;
}

torc_slice torc_fetch_header(const torc_exchange *x, const char *name)
{
    if (x->fetch.state != FETCH_HEAD) return (slice){NULL, 0};
    return field_list_find(&x->fetch.fields, slice_str(name));
}

bool torc_fetch_header_next(const torc_exchange *x, size_t *at, torc_slice *name, torc_slice *value)
{
    const struct field_list *l = &x->fetch.fields;
    if (x->fetch.state != FETCH_HEAD || *at >= l->n) return false;
    *name = field_list_name(l, *at);
    *value = field_list_value(l, *at);
    ++*at;
    return true;
}

torc_slice torc_fetch_body(const torc_exchange *x)
{
    return slice_of(x->fetch.body, x->fetch.body_len);
}
