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

/* What still runs for the request has to end before its memory does. */
static void join_groups(struct torc_req *rq)
{
    struct torc_group *joined = NULL;
    while (rq->groups != joined) { /* a member may open another */
        struct torc_group *newest = rq->groups;
        for (struct torc_group *g = newest; g != joined; g = g->next) group_join(&g->group);
        joined = newest;
    }
}

/* What was made of a body that failed is not whole either; only without an end to it can the client
 * tell. */
static void cut_response(struct torc_req *rq)
{
    rq->response.ended = true;
    rq->close_after_response = true;
}

static void ensure_response(struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (!r->status)
        torc_reply_error(rq, rq->failed ? rq->failed : 500);
    else if (r->streamed && !r->ended && rq->failed)
        cut_response(rq);
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
    /* A copy: the spawner's stack goes on when this fiber first waits. */
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
