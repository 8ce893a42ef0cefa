#include "http/context.h"

#include "http/conn.h"
#include "http/fields/date.h"
#include "http/request.h"
#include "http/send_queue.h"

#include <string.h>
#include <time.h>

void http_context_init(struct http_context *c, struct io *io, const struct http_limits *limits,
                       const struct router *router, unsigned index)
{
    *c = (struct http_context){.io = io, .limits = limits, .router = router, .index = index};
    list_init(&c->open);
    fiber_pool_init(&c->fibers, limits->stack_size, limits->max_requests);
    slab_init(&c->conns, "connection", sizeof(struct conn), limits->max_conns);
    /* A connection has at most one request. */
    slab_init(&c->reqs, "request", sizeof(struct torc_req), limits->max_conns);
    /* A connection's unsent output is bounded by write_buffer and what one turn adds, so memory and
     * not a count is the limit of its chunks. */
    slab_init(&c->small, "output", SEND_SMALL, UINT32_MAX);
    slab_init(&c->large, "file output", SEND_LARGE, UINT32_MAX);
}

void http_context_drain(struct http_context *c)
{
    ASSERT(c->n_open == 0 && list_empty(&c->open));
    for (struct exit_hook *e = c->ends; e; e = e->next) e->fn(e);
    fiber_pool_drain(&c->fibers);
    slab_drain(&c->conns);
    slab_drain(&c->reqs);
    slab_drain(&c->small);
    slab_drain(&c->large);
}

bool http_context_may_warn(struct http_context *c)
{
    if (c->warned && c->io->now - c->warned < 10 * NS_PER_S) return false;
    c->warned = c->io->now;
    return true;
}

void http_context_refresh_date(struct http_context *c)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    memcpy(c->head, HEAD_OK HEAD_DATE HEAD_TYPE, sizeof c->head);
    http_date_format(wall.tv_sec, c->head + HEAD_OK_LEN + HEAD_DATE_LEN - HTTP_DATE_LEN - 2);
    c->date_until = c->io->now + NS_PER_S - (uint64_t)wall.tv_nsec;
}
