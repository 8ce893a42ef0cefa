#include "task/group.h"

#include <errno.h>

struct member {
    struct group *group;
    group_fn *fn;
    void *ctx, *arg;
};

/* Nothing outlives the group: it also lasts as long as groups that its members opened. */
static bool is_busy(const struct group *g)
{
    return g->running > 0 || !list_empty(&g->scope.children);
}

static void end_if_idle(struct group *g)
{
    if (is_busy(g)) return;
    scope_detach(&g->scope);
    if (g->joiner) wait_wake(g->joiner, 0);
}

static void childless(struct scope *s)
{
    end_if_idle(container_of(s, struct group, scope));
}

void group_init(struct group *g, struct scope *parent)
{
    scope_init_child(&g->scope, parent);
    g->scope.childless = childless;
    g->joiner = NULL;
    g->running = 0;
    g->result = 0;
}

/* The first failure is the result, and the others need not go on. */
static void fail(struct group *g, int err)
{
    if (g->result == 0) g->result = err;
    scope_cancel(&g->scope, -ECANCELED);
}

static void leave(struct group *g)
{
    g->running--;
    end_if_idle(g);
}

static void run_member(void *arg)
{
    /* A copy: the original is on the spawner's stack, which continues when this fiber first
     * parks. */
    struct member m = *(struct member *)arg;
    int result = m.fn(m.ctx, m.arg);
    if (result < 0) fail(m.group, result);
    leave(m.group);
}

/* The scope of the running fiber, or NULL if it does not belong to what the group belongs to. */
static struct scope *scope_of_user(const struct group *g)
{
    struct scope *s = scope_running(g->scope.fibers);
    return s && s->user == g->scope.user ? s : NULL;
}

static bool is_within(const struct scope *s, const struct group *g)
{
    while (s && s != &g->scope) s = s->parent;
    return s;
}

int group_spawn(struct group *g, group_fn *fn, void *ctx, void *arg)
{
    struct member m = {g, fn, ctx, arg};
    struct fiber_pool *fibers = g->scope.fibers;
    if (!scope_of_user(g)) return -EPERM;
    int saved = errno; /* `fn` may change that of its own fiber */
    g->running++;
    int err = scope_is_attached(&g->scope) ? g->scope.cancelled : scope_attach(&g->scope);
    if (err == 0) err = fiber_start_for(fibers, run_member, &m, &g->scope);
    if (err < 0) {
        fail(g, err);
        leave(g);
    }
    errno = saved;
    return err;
}

int group_join(struct group *g)
{
    /* Not the group's parent: whoever opened the group may have returned. */
    struct scope *here = scope_of_user(g);
    if (!here) return -EPERM;
    if (is_within(here, g)) return -EDEADLK;
    if (g->joiner) return -EBUSY;
    while (is_busy(g)) { /* again if one was spawned after the last had returned */
        struct wait w = {.what = "group"};
        g->joiner = &w;
        /* No cancel function: cancelling the scope ends the members' waits, which ends this one.
         * Returning before the members would free memory that they still use. */
        wait_park(here, &w, NULL);
        g->joiner = NULL;
    }
    return g->result;
}
