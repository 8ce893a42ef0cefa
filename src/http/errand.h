#pragma once
/* A function that a core runs on a fiber, as the handler of a request without a client, so that it
 * can wait for whatever handlers wait for. What would respond returns -ENOTCONN. */

#include "http/request.h"

struct errand {
    struct torc_req rq;
    bool running;
    uint64_t *runs;                 /* counts them, when one begins; or NULL */
    void (*done)(struct errand *e); /* it has returned, and what it left is freed */
};

/* Starts route->fn(rq, route->arg); the route is of no pattern and stays where it is. It may have
 * been done already when this returns. 0; -EAGAIN past --max-requests, -ENOMEM: then it has not
 * run. */
int errand_start(struct errand *e, struct http_context *ctx, const struct route *route);

static inline void errand_cancel(struct errand *e)
{
    if (e->running) request_cancel(&e->rq, -ESHUTDOWN);
}
