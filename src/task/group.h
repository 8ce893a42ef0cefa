#pragma once
/* Functions that run concurrently on fibers of one scope: start several, then join them once. The
 * scope is a child of the one that the group was opened in. The first function that fails cancels
 * the others. */

#include "task/scope.h"

typedef int group_fn(void *ctx, void *arg);

struct group {
    struct scope scope;
    struct wait *joiner; /* the wait of the fiber parked in group_join, or NULL */
    uint32_t running;
    int result; /* 0, or the first error */
};

/* Nothing needs to be freed once every function has returned, those of the groups below included.
 */
void group_init(struct group *g, struct scope *parent);

/* Runs fn(ctx, arg) until it first waits or returns. Returns 0; an error of fiber_start, or
 * -ECANCELED or the parent's error where the group is cancelled: then fn has not run. An error also
 * becomes the group's result, if it is the first. */
int group_spawn(struct group *g, group_fn *fn, void *ctx, void *arg);

/* Parks until every function has returned, also those of groups that members have opened and not
 * joined. Returns the first error, or 0; -EBUSY if another fiber is already joining, -EDEADLK in a
 * member, also of a group below, as it would wait for itself, -EPERM in a fiber of another user. */
int group_join(struct group *g);
