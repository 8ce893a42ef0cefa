#include "http/tick.h"

#include "http/waiting.h"

#include <errno.h>
#include <stdlib.h>

/* ---- a request without a client ---- */

static ssize_t no_read(struct torc_req *rq, void *buf, size_t size)
{
    (void)rq, (void)buf, (void)size;
    return 0;
}

static int no_respond(struct torc_req *rq, slice body)
{
    (void)rq, (void)body;
    return -ENOTCONN;
}

static int no_write(struct torc_req *rq, const void *data, size_t size)
{
    (void)rq, (void)data, (void)size;
    return -ENOTCONN;
}

static int no_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    (void)rq, (void)fd, (void)offset, (void)size;
    return -ENOTCONN;
}

static int no_end(struct torc_req *rq)
{
    (void)rq;
    return -ENOTCONN;
}

static bool never(const struct torc_req *rq)
{
    (void)rq;
    return false;
}

static slice no_peer(const struct torc_req *rq)
{
    (void)rq;
    return (slice){0};
}

static void returned(struct torc_req *rq)
{
    (void)rq;
}

static const struct exchange_ops nobody = {
    .read = no_read,
    .respond = no_respond,
    .write = no_write,
    .write_file = no_write_file,
    .write_ref = no_write,
    .end = no_end,
    .client_ended = never,
    .peer = no_peer,
    .is_secure = never,
    .handler_returned = returned,
};

/* ---- runs ---- */

/* Periods that have passed meanwhile are left out: a core that is late does not run to catch up. */
static void arm(struct tick *t, struct http_context *ctx)
{
    uint64_t now = clock_ns(), period = t->plan->period;
    if (ctx->draining) return;
    t->due += period;
    if (t->due <= now) {
        uint64_t missed = (now - t->due) / period + 1;
        counter_add(&ctx->stats.ticks_missed, missed);
        t->due += missed * period;
    }
    wheel_set(&ctx->io->wheel, &t->timer, t->due);
}

static void finish(struct tick *t)
{
    request_end(&t->rq);
    t->running = false;
    arm(t, t->rq.ctx);
}

static void run(void *arg)
{
    struct tick *t = arg;
    counter_add(&t->rq.ctx->stats.ticks, 1);
    t->rq.scope.label = t->rq.route;
    fiber_set_label(&t->rq.ctx->fibers, t->rq.route);
    t->rq.route->fn(&t->rq, t->rq.route->arg);
    if (t->rq.groups) waiting_join_groups(&t->rq);
    request_release_all(&t->rq);
    finish(t);
}

static void on_due(struct wheel_timer *timer)
{
    struct tick *t = container_of(timer, struct tick, timer);
    struct http_context *ctx = t->rq.ctx;
    request_init(&t->rq, ctx, &nobody);
    t->rq.scope.apart = true;
    t->running = true;
    if (fiber_start_for(&ctx->fibers, run, t, &t->rq.scope) == 0) return;
    counter_add(&ctx->stats.ticks_missed, 1);
    finish(t);
}

/* ---- interface ---- */

struct tick *ticks_new(const struct tick_plan *plan, uint32_t n)
{
    struct tick *ticks = n ? calloc(n, sizeof *ticks) : NULL;
    for (uint32_t i = 0; ticks && i < n; i++) ticks[i].plan = &plan[i];
    return ticks;
}

void ticks_start(struct http_context *ctx, struct tick *ticks, uint32_t n)
{
    ctx->ticks = ticks;
    ctx->n_ticks = n;
    for (uint32_t i = 0; i < n; i++) {
        struct tick *t = &ticks[i];
        t->rq.ctx = ctx;
        t->rq.route = &t->plan->route;
        t->due = clock_ns();
        wheel_timer_init(&t->timer, on_due);
        arm(t, ctx);
    }
}

void ticks_drain(struct http_context *ctx)
{
    for (uint32_t i = 0; i < ctx->n_ticks; i++) {
        struct tick *t = &ctx->ticks[i];
        wheel_clear(&ctx->io->wheel, &t->timer);
        if (t->running && t->rq.askers) waiting_answer(&t->rq);
    }
}

void ticks_abort(struct http_context *ctx)
{
    for (uint32_t i = 0; i < ctx->n_ticks; i++)
        if (ctx->ticks[i].running) request_cancel(&ctx->ticks[i].rq, -ESHUTDOWN);
}

bool ticks_idle(const struct http_context *ctx)
{
    for (uint32_t i = 0; i < ctx->n_ticks; i++)
        if (ctx->ticks[i].running) return false;
    return true;
}
