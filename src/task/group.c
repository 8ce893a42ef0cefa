#include "task/group.h"

#include <errno.h>

struct member {
    struct group *group;
    group_fn *fn;
    void *ctx, *arg;
};

void group_init(struct group *g, struct scope *s)
{
    *g = (struct group){.scope = s};
}

static void run_member(void *arg)
{
    /* A copy: the original is on the spawner's stack, which continues when this fiber first
     * parks. */
    struct member m = *(struct member *)arg;
    int result = m.fn(m.ctx, m.arg);
    if (result < 0 && m.group->result == 0) m.group->result = result;
    if (--m.group->running == 0 && m.group->joiner) wait_wake(m.group->joiner, 0);
}

int group_spawn(struct group *g, group_fn *fn, void *ctx, void *arg)
{
    struct member m = {g, fn, ctx, arg};
    if (!fiber_may_park(g->scope->fibers)) return -EPERM;
    g->running++;
    struct fiber_pool *fibers = g->scope->fibers;
    int err = fiber_start_for(fibers, run_member, &m, fiber_owner(fibers));
    if (err < 0) {
        g->running--;
        if (g->result == 0) g->result = err;
    }
    return err;
}

int group_join(struct group *g)
{
    if (!fiber_may_park(g->scope->fibers)) return -EPERM;
    if (g->joiner) return -EBUSY;
    while (g->running > 0) { /* again if one was spawned after the last had returned */
        struct wait w;
        g->joiner = &w;
        /* No cancel function: cancelling the scope ends the members' waits, which ends this one.
         * Returning before the members would free memory that they still use. */
        wait_park(g->scope, &w, NULL);
        g->joiner = NULL;
    }
    return g->result;
}
