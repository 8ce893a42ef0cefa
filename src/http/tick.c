#include "http/tick.h"

#include "http/waiting.h"

#include <stdlib.h>

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

static void on_done(struct errand *e)
{
    arm(container_of(e, struct tick, errand), e->rq.ctx);
}

static void on_due(struct wheel_timer *timer)
{
    struct tick *t = container_of(timer, struct tick, timer);
    struct http_context *ctx = t->ctx;
    if (errand_start(&t->errand, ctx, &t->plan->route) == 0) return;
    counter_add(&ctx->stats.ticks_missed, 1);
    arm(t, ctx);
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
        t->ctx = ctx;
        t->errand.done = on_done;
        t->errand.runs = &ctx->stats.ticks;
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
        if (t->errand.running && t->errand.rq.askers) waiting_answer(&t->errand.rq);
    }
}

void ticks_abort(struct http_context *ctx)
{
    for (uint32_t i = 0; i < ctx->n_ticks; i++) errand_cancel(&ctx->ticks[i].errand);
}

bool ticks_idle(const struct http_context *ctx)
{
    for (uint32_t i = 0; i < ctx->n_ticks; i++)
        if (ctx->ticks[i].errand.running) return false;
    return true;
}
