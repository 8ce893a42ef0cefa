#include "http/handler.h"

#include "base/probe.h"
#include "http/response.h"
#include "http/waiting.h"

#include <errno.h>

/* ---- running ---- */

/* The handler's fault, unless the client has gone, its body failed or the deadline passed. */
COLD static void respond_instead(struct torc_req *rq)
{
    char route[REQUEST_ROUTE];
    int err = rq->response.error;
    const char *of = rq->response.of;
    if (!rq->failed && rq->scope.cancelled == -ETIME) rq->failed = 504;
    if (!rq->failed && !rq->cancelled) {
        request_route(rq, route);
        http_warn(rq->ctx, WARN_NO_ANSWER,
                  "%s: the handler returned without a response%s%s%s%s; 500", route,
                  err ? ", after " : "", err && of ? of : "",
                  err ? of ? " failed: " : "one failed: " : "", err ? strerror(-err) : "");
    }
    response_error(rq, rq->failed ? rq->failed : 500);
}

/* A response computed from a body that failed, or that its deadline cut short, is incomplete as
 * well. The client can tell only if the response has no proper end. */
COLD static void end_or_truncate(struct torc_req *rq)
{
    if (response_lacks(rq) && (rq->body_failed || rq->scope.cancelled == -ETIME))
        response_cut(rq);
    else
        torc_end(rq);
}

static void end_streamed(struct torc_req *rq)
{
    const struct response *r = &rq->response;
    if (UNLIKELY(r->streamed) && !r->ended) end_or_truncate(rq);
}

void handler_complete(struct torc_req *rq)
{
    if (rq->groups) waiting_join_groups(rq);
    if (!rq->response.status)
        respond_instead(rq);
    else
        end_streamed(rq);
}

/* The program's function for errors may leave groups and files open, as the handler may. */
COLD static void respond_at_last(struct torc_req *rq)
{
    respond_instead(rq);
    if (rq->groups) waiting_join_groups(rq);
    if (!list_empty(&rq->resources)) request_release_all(rq);
}

void handler_run(void *arg)
{
    struct torc_req *rq = arg;
    const struct route *route = rq->route; /* read once: the label is atomic */
    rq->scope.label = route;
    fiber_set_label(&rq->ctx->fibers, route);
    PROBE(start, rq, route);
    route->fn(rq, route->arg);
    if (rq->groups) waiting_join_groups(rq);
    if (!list_empty(&rq->resources)) request_release_all(rq);
    if (LIKELY(rq->response.status))
        end_streamed(rq);
    else
        respond_at_last(rq);
    rq->exchange->handler_returned(rq);
}

/* A call from another place than the usual one, which keeps that inlined. */
COLD int handler_start_as(struct torc_req *rq, fiber_fn *run)
{
    return fiber_start_for(&rq->ctx->fibers, run, rq, &rq->scope);
}

/* Flattened, or fiber_start_for is called: 11 instructions a request. */
__attribute__((flatten)) int handler_start(struct torc_req *rq)
{
    return fiber_start_for(&rq->ctx->fibers, rq->ctx->run, rq, &rq->scope);
}
