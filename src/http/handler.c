#include "http/handler.h"

#include "http/file.h"
#include "task/group.h"

#include <errno.h>

struct torc_group {
    struct group group;
    struct torc_req *rq;
    struct torc_group *next; /* of the same request */
};

/* ---- running ---- */

/* Functions of the request's groups must return before its memory is freed. */
COLD static void join_groups(struct torc_req *rq)
{
    struct torc_group *joined = NULL;
    while (rq->groups != joined) { /* a member may open another */
        struct torc_group *newest = rq->groups;
        for (struct torc_group *g = newest; g != joined; g = g->next) group_join(&g->group);
        joined = newest;
    }
}

/* A response computed from a body that failed is incomplete as well. The client can tell only if
 * the response has no proper end. */
static void truncate_response(struct torc_req *rq)
{
    rq->response.ended = rq->response.incomplete = true;
    rq->close_after_response = true;
}

/* The handler's fault, unless the client has gone or its body failed. */
COLD static void respond_instead(struct torc_req *rq)
{
    char route[REQUEST_ROUTE];
    int err = rq->response.error;
    if (!rq->failed && !rq->scope.cancelled) {
        request_route(rq, route);
        http_warn(rq->ctx, WARN_NO_ANSWER, "%s: the handler returned without a response%s%s; 500",
                  route, err ? ", after one failed: " : "", err ? strerror(-err) : "");
    }
    torc_reply_error(rq, rq->failed ? rq->failed : 500);
}

static void ensure_response(struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (!r->status)
        respond_instead(rq);
    else if (r->streamed && !r->ended && rq->failed)
        truncate_response(rq);
    else if (r->streamed && !r->ended)
        torc_end(rq);
}

static void run(void *arg)
{
    struct torc_req *rq = arg;
    rq->route->fn(rq, rq->route->arg);
    if (rq->groups) join_groups(rq);
    if (!list_empty(&rq->files)) file_close_all(rq);
    ensure_response(rq);
    rq->exchange->handler_returned(rq);
}

int handler_start(struct torc_req *rq)
{
    return fiber_start(&rq->ctx->fibers, run, rq);
}

/* ---- asking ---- */

bool torc_client_gone(const torc_req *rq)
{
    return rq->scope.cancelled || rq->exchange->client_ended(rq);
}

bool torc_draining(const torc_req *rq)
{
    return rq->ctx->draining;
}

/* ---- waiting ---- */

int torc_sleep(torc_req *rq, unsigned ms)
{
    return scope_sleep(&rq->scope, ms * NS_PER_MS);
}

torc_group *torc_group_open(torc_req *rq)
{
    struct torc_group *g = arena_alloc(&rq->arena, sizeof *g);
    if (!g) return NULL;
    group_init(&g->group, &rq->scope);
    g->rq = rq;
    g->next = rq->groups;
    rq->groups = g;
    return g;
}

struct task {
    torc_task *fn;
    torc_req *rq;
    void *arg;
};

static int run_task(void *ctx, void *arg)
{
    (void)arg;
    /* A copy: the original is on the spawner's stack, which continues when this fiber first
     * waits. */
    struct task t = *(struct task *)ctx;
    return t.fn(t.rq, t.arg);
}

int torc_spawn(torc_group *g, torc_task *fn, void *arg)
{
    struct task t = {fn, g->rq, arg};
    return group_spawn(&g->group, run_task, &t, NULL);
}

int torc_group_join(torc_group *g)
{
    return group_join(&g->group);
}
