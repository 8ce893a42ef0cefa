#pragma once
/* What runs every so often on a core (torc_every): each as an errand. */

#include "http/errand.h"

struct tick_plan {
    uint64_t period;    /* ns */
    struct route route; /* of no pattern */
};

/* One plan on one core. */
struct tick {
    const struct tick_plan *plan;
    struct wheel_timer timer;
    uint64_t due; /* ns */
    struct http_context *ctx;
    struct errand errand; /* the run under way */
};

/* For one core. NULL if out of memory, or if `n` is 0. */
struct tick *ticks_new(const struct tick_plan *plan, uint32_t n);

/* Starts the clocks, on the core. */
void ticks_start(struct http_context *ctx, struct tick *ticks, uint32_t n);

/* Begins no run any more, and tells those that ask. */
void ticks_drain(struct http_context *ctx);

/* Cancels what still runs. */
void ticks_abort(struct http_context *ctx);

/* Whether nothing runs. */
bool ticks_idle(const struct http_context *ctx);
