#pragma once
/* Functions that run concurrently on fibers of one scope: start several, then join them once. */

#include "task/scope.h"

typedef int group_fn(void *ctx, void *arg);

struct group {
    struct scope *scope;
    struct wait *joiner; /* the wait of the fiber parked in group_join, or NULL */
    uint32_t running;
    int result; /* 0, or the first error */
};

void group_init(struct group *g, struct scope *s);

/* Runs fn(ctx, arg) until it first waits or returns. Returns 0 or an error of fiber_start, which
 * also becomes the group's result. */
int group_spawn(struct group *g, group_fn *fn, void *ctx, void *arg);

/* Parks until every function has returned. Returns the first error, or 0; -EBUSY if another fiber
 * is already joining. A member must not join its own group, as it would wait for itself. */
int group_join(struct group *g);
