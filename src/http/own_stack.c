#include "http/own_stack.h"

#include "http/request.h"

#include <errno.h>
#include <stdlib.h>

struct own_stack {
    struct route inner;
    size_t size; /* bytes */
};

/* A call under way; on the stack of the fiber that waits for it. */
struct call {
    struct torc_req *rq;
    const struct route *route;
    struct wait wait;
    bool returned;
};

static void run_inner(void *arg)
{
    struct call *c = arg;
    c->route->fn(c->rq, c->route->arg);
    c->returned = true;
    if (c->wait.what) wait_wake(&c->wait, 0);
}

static void run_on_own_stack(struct torc_req *rq, void *arg)
{
    const struct own_stack *o = arg;
    struct call c = {.rq = rq, .route = &o->inner};
    int err = fiber_start_apart(&rq->ctx->fibers, o->size, run_inner, &c, &rq->scope);
    if (err < 0) {
        http_warn(rq->ctx, WARN_NO_FIBER, "no stack of %zu bytes for a handler: %s; 503", o->size,
                  err == -EAGAIN ? "--max-requests is reached, of which it takes one more"
                                 : strerror(-err));
        rq->failed = 503;
    } else if (!c.returned) {
        c.wait.what = "its handler";
        wait_park(&rq->scope, &c.wait, NULL);
    }
}

struct own_stack *own_stack_put(struct route *route, size_t size)
{
    struct own_stack *o = malloc(sizeof *o);
    if (!o) return NULL;
    *o = (struct own_stack){*route, size};
    route->fn = run_on_own_stack;
    route->arg = o;
    return o;
}
