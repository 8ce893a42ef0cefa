/* Requests that wait until fewer than --max-requests are in progress: in order, for a limited time,
 * and not for a client that has gone. */

#include "base/counter.h"
#include "http/h1_exchange.h"
#include "http/handler.h"
#include "http/observe.h"

#include <errno.h>

static struct h1_exchange *first(struct http_context *ctx)
{
    return container_of(ctx->queue.next, struct h1_exchange, queued);
}

COLD void h1_count_rejected(const struct h1_exchange *x, int err)
{
    struct http_context *ctx = x->conn->ctx;
    counter_add(&ctx->stats.rejected, 1);
    http_warn(ctx, WARN_NO_FIBER, "%s; 503",
              err == -EAGAIN ? "as many requests as --max-requests are in progress"
                             : "no memory for the stack of a handler");
}

bool h1_queue_add(struct h1_exchange *x)
{
    struct http_context *ctx = x->conn->ctx;
    if (ctx->n_queued >= ctx->limits->queue) return false;
    list_init(&x->queued);
    list_push(&ctx->queue, &x->queued);
    counter_set(&ctx->stats.queued, ++ctx->n_queued);
    counter_add(&ctx->stats.queued_total, 1);
    x->state = H1_QUEUED;
    if (http_observes(ctx)) observe_queued(&x->rq);
    uint64_t most = ctx->limits->queue_timeout;
    if (ctx->draining && most > DRAIN_TIMEOUT) most = DRAIN_TIMEOUT;
    x->conn->read_deadline = ctx->io->now + most;
    return true;
}

static void leave(struct h1_exchange *x)
{
    struct http_context *ctx = x->conn->ctx;
    list_unlink(&x->queued);
    counter_set(&ctx->stats.queued, --ctx->n_queued);
    x->state = H1_HANDLER;
    x->conn->read_deadline = WHEEL_NEVER;
}

void h1_queue_expire(struct h1_exchange *x)
{
    leave(x);
    counter_add(&x->conn->ctx->stats.queue_timeouts, 1);
    h1_count_rejected(x, -EAGAIN);
}

void h1_queue_abandon(struct h1_exchange *x)
{
    int err = x->rq.cancelled; /* 0: the client's end of stream */
    leave(x);
    x->returned = true;
    if (err == 0 || err == -ECONNRESET) counter_add(&x->conn->ctx->stats.queue_left, 1);
}

int h1_queue_start(struct h1_exchange *x)
{
    struct http_context *ctx = x->conn->ctx;
    if (x->conn->eof) { /* most have gone; one that still reads is told */
        h1_queue_abandon(x);
        return -ECANCELED;
    }
    if (x != first(ctx) || ctx->fibers.in_use >= ctx->fibers.max) return -EAGAIN;
    leave(x);
    int err = handler_start_as(&x->rq, x->rq.ctx->run_late);
    if (err < 0) h1_count_rejected(x, err);
    return err;
}

void http_wake_queue(struct http_context *ctx)
{
    const struct fiber_pool *f = &ctx->fibers;
    uint32_t n = f->in_use < f->max ? f->max - f->in_use : 0; /* `max` may have become less */
    for (struct list *l = ctx->queue.next; n > 0 && l != &ctx->queue; l = l->next, n--)
        conn_resume(container_of(l, struct h1_exchange, queued)->conn);
}
