#pragma once
/* Functions that run concurrently on fibers of one scope: start them together, wait once. */

#include "task/scope.h"

typedef int group_fn(void *ctx, void *arg);

struct group {
    struct scope *scope;
    struct wait *joiner; /* NULL unless somebody is parked in group_join */
    uint32_t running;
    int result; /* 0, or the first error */
};

void group_init(struct group *g, struct scope *s);

/* Runs fn(ctx, arg) until it first waits or has returned. Errors are fiber_start's, and the group's
 * result as well. */
int group_spawn(struct group *g, group_fn *fn, void *ctx, void *arg);

/* Parks until every function has returned; the first error of any. -EBUSY where another fiber is
 * parked here already. Not for a member of the group, which would wait for itself. */
int group_join(struct group *g);
