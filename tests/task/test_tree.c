/* Scopes as a tree: what cancels one, and whom that reaches. */

#include "task/group.h"

#include "core.h"

#include <errno.h>

#define LONG (3600 * NS_PER_S)

/* A fiber that opens a group and has `n` members sleep; itself in the core's scope or in a group.
 */
struct node {
    struct core *core;
    struct group group;
    uint64_t deadline_in; /* ns; 0: none */
    struct node *below;   /* run by a member, or NULL */
    uint64_t sleeps[3];   /* ns; 0: no such member */
    int fails[3];         /* what the member returns after its sleep, if not 0 */
    int slept[3];
    int joined;
    bool done;
};

static void run_node(struct node *n);

static int member(void *ctx, void *arg)
{
    struct node *n = ctx;
    size_t i = (size_t)((uint64_t *)arg - n->sleeps);
    n->slept[i] = scope_sleep(scope_running(&n->core->fibers), n->sleeps[i]);
    return n->slept[i] < 0 ? n->slept[i] : n->fails[i];
}

static int member_with_a_group(void *ctx, void *arg)
{
    struct node *n = ctx;
    (void)arg;
    run_node(n->below);
    return n->below->joined;
}

static void run_node(struct node *n)
{
    group_init(&n->group, scope_running(&n->core->fibers));
    if (n->deadline_in) scope_set_deadline(&n->group.scope, clock_ns() + n->deadline_in);
    if (n->below) group_spawn(&n->group, member_with_a_group, n, NULL);
    for (int i = 0; i < 3; i++)
        if (n->sleeps[i]) group_spawn(&n->group, member, n, &n->sleeps[i]);
    n->joined = group_join(&n->group);
    n->done = true;
}

static void start_node(void *arg)
{
    run_node(arg);
}

static void start(struct core *c, struct node *n)
{
    for (struct node *at = n; at; at = at->below) at->core = c;
    assert_int_equal(core_start(c, start_node, n), 0);
}

static void a_failure_cancels_siblings_and_what_is_below(void **state)
{
    struct core *c = *state;
    struct node deepest = {.sleeps = {LONG, LONG}};
    struct node below = {.sleeps = {LONG}, .below = &deepest};
    struct node top = {.sleeps = {LONG, 1}, .fails = {0, -EIO}, .below = &below};
    struct node other = {.sleeps = {LONG}};
    start(c, &other);
    start(c, &top);
    TURN_UNTIL(c, top.done);
    assert_int_equal(top.joined, -EIO);
    assert_int_equal(top.slept[0], -ECANCELED);
    assert_true(below.done && deepest.done);
    assert_int_equal(below.slept[0], -ECANCELED);
    assert_int_equal(below.joined, -ECANCELED);
    for (int i = 0; i < 2; i++) assert_int_equal(deepest.slept[i], -ECANCELED);
    assert_int_equal(c->scope.cancelled, 0); /* never above, nor beside */
    assert_false(other.done);
    scope_cancel(&c->scope, -ECONNRESET);
    TURN_UNTIL(c, other.done);
    assert_int_equal(other.joined, -ECONNRESET);
}

static void a_failure_below_reaches_only_its_group(void **state)
{
    struct core *c = *state;
    struct node below = {.sleeps = {1, LONG}, .fails = {-EIO}};
    struct node top = {.sleeps = {LONG}, .below = &below};
    start(c, &top);
    TURN_UNTIL(c, below.done);
    assert_int_equal(below.joined, -EIO);
    assert_int_equal(below.slept[1], -ECANCELED);
    TURN_UNTIL(c, top.done); /* as its member returned that error */
    assert_int_equal(top.joined, -EIO);
}

static void a_deadline_ends_what_is_below(void **state)
{
    struct core *c = *state;
    struct node deepest = {.sleeps = {LONG}};
    struct node below = {.sleeps = {LONG}, .below = &deepest, .deadline_in = LONG};
    struct node top = {.sleeps = {LONG}, .below = &below, .deadline_in = 2 * NS_PER_MS};
    uint64_t from = clock_ns();
    start(c, &top);
    TURN_UNTIL(c, top.done);
    assert_true(clock_ns() - from >= 2 * NS_PER_MS);
    assert_int_equal(top.joined, -ETIME);
    assert_int_equal(top.slept[0], -ETIME);
    assert_int_equal(below.slept[0], -ETIME);
    assert_int_equal(deepest.slept[0], -ETIME);
    assert_int_equal(c->scope.cancelled, 0);
}

static void the_first_cause_stays(void **state)
{
    struct core *c = *state;
    struct node below = {.sleeps = {LONG}, .deadline_in = 1};
    struct node top = {.sleeps = {LONG}, .below = &below, .deadline_in = LONG};
    start(c, &top);
    scope_cancel(&top.group.scope, -ECONNRESET);
    TURN_UNTIL(c, top.done);
    assert_int_equal(top.joined, -ECONNRESET);
    assert_true(below.slept[0] == -ECONNRESET || below.slept[0] == -ETIME);
    assert_int_equal(below.slept[0], below.group.scope.cancelled);
}

struct again {
    struct core *core;
    struct node node;
    uint64_t deadline_in; /* ns, set between the two runs; 0: none */
    int spawned;
    bool done;
};

static void spawn_again(void *arg)
{
    struct again *a = arg;
    run_node(&a->node);
    if (a->deadline_in) scope_set_deadline(&a->node.group.scope, clock_ns() + a->deadline_in);
    a->node.sleeps[1] = LONG;
    a->spawned = group_spawn(&a->node.group, member, &a->node, &a->node.sleeps[1]);
    a->node.joined = group_join(&a->node.group);
    a->done = true;
}

/* A group may be used again, and has a deadline that was set while nothing ran in it. */
static void a_deadline_counts_for_later_members(void **state)
{
    struct core *c = *state;
    struct again a = {.core = c, .node = {.core = c, .sleeps = {1}}, .deadline_in = 5 * NS_PER_MS};
    assert_int_equal(core_start(c, spawn_again, &a), 0);
    TURN_UNTIL(c, a.node.done);
    assert_int_equal(a.node.joined, 0);
    TURN_UNTIL(c, a.done);
    assert_true(a.spawned == 0 || a.spawned == -ETIME); /* a slow machine may be late */
    assert_true(a.spawned < 0 || a.node.slept[1] == -ETIME);
    assert_int_equal(a.node.joined, -ETIME);
}

/* Members that are spawned into a group whose parent was cancelled in between do not run. */
static void nothing_starts_below_a_cancelled_scope(void **state)
{
    struct core *c = *state;
    struct again a = {.core = c, .node = {.core = c, .sleeps = {1}}};
    assert_int_equal(core_start(c, spawn_again, &a), 0);
    scope_cancel(&c->scope, -ESHUTDOWN);
    TURN_UNTIL(c, a.done);
    assert_int_equal(a.node.joined, -ESHUTDOWN);
    assert_int_equal(a.spawned, -ESHUTDOWN);
    assert_int_equal(a.node.slept[1], 0);
}

struct forgetful {
    struct core *core;
    struct group outer, inner;
    bool member_returned, inner_slept;
    int joined;
    bool done;
};

static int sleep_in_the_inner_group(void *ctx, void *arg)
{
    struct forgetful *f = ctx;
    (void)arg;
    int err = scope_sleep(scope_running(&f->core->fibers), 3 * NS_PER_MS);
    f->inner_slept = true;
    return err;
}

static int open_and_forget(void *ctx, void *arg)
{
    struct forgetful *f = ctx;
    (void)arg;
    group_init(&f->inner, scope_running(&f->core->fibers));
    group_spawn(&f->inner, sleep_in_the_inner_group, f, NULL);
    f->member_returned = true;
    return 0;
}

static void join_forgetful(void *arg)
{
    struct forgetful *f = arg;
    group_init(&f->outer, scope_running(&f->core->fibers));
    group_spawn(&f->outer, open_and_forget, f, NULL);
    f->joined = group_join(&f->outer);
    f->done = true;
}

/* A member has returned, but not the group that it opened. */
static void nothing_outlives_its_group(void **state)
{
    struct forgetful f = {.core = *state};
    assert_int_equal(core_start(f.core, join_forgetful, &f), 0);
    assert_true(f.member_returned);
    TURN_UNTIL(f.core, f.done);
    assert_true(f.inner_slept);
    assert_int_equal(f.joined, 0);
    assert_true(list_empty(&f.core->scope.children));
}

/* ---- the deadline of a root ---- */

struct sleeper {
    struct core *core;
    uint64_t ns;
    int result;
    bool done;
};

static void sleep_once(void *arg)
{
    struct sleeper *s = arg;
    s->result = scope_sleep(scope_running(&s->core->fibers), s->ns);
    s->done = true;
}

static int slept(struct core *c, uint64_t ns)
{
    struct sleeper s = {.core = c, .ns = ns};
    assert_int_equal(core_start(c, sleep_once, &s), 0);
    TURN_UNTIL(c, s.done);
    return s.result;
}

static void a_root_has_a_deadline(void **state)
{
    struct core *c = *state;
    scope_set_deadline(&c->scope, clock_ns() + NS_PER_MS);
    scope_set_deadline(&c->scope, clock_ns() + LONG); /* replaces it */
    assert_int_equal(slept(c, 3 * NS_PER_MS), 0);
    scope_set_deadline(&c->scope, clock_ns() + NS_PER_MS);
    assert_int_equal(slept(c, LONG), -ETIME);
    assert_int_equal(slept(c, 1), -ETIME); /* from then on */
    scope_set_deadline(&c->scope, clock_ns() + LONG);
    assert_int_equal(slept(c, 1), -ETIME);
    scope_detach(&c->scope);
}

static void a_passed_deadline_ends_the_next_wait(void **state)
{
    struct core *c = *state;
    scope_set_deadline(&c->scope, clock_ns());
    assert_int_equal(slept(c, LONG), -ETIME);
    scope_detach(&c->scope);
}

static void a_detached_scope_has_no_clock(void **state)
{
    struct core *c = *state;
    scope_set_deadline(&c->scope, clock_ns() + NS_PER_MS);
    scope_detach(&c->scope);
    assert_int_equal(slept(c, 3 * NS_PER_MS), 0);
}

/* ---- outside ---- */

static void no_scope_no_wait(void **state)
{
    struct core *c = *state;
    assert_null(scope_running(&c->fibers));
    assert_int_equal(scope_refuses(NULL), -EPERM);
    assert_int_equal(scope_refuses(&c->scope), -EPERM);
    assert_int_equal(scope_sleep(NULL, 1), -EPERM);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(a_failure_cancels_siblings_and_what_is_below),
        CORE_CASE(a_failure_below_reaches_only_its_group),
        CORE_CASE(a_deadline_ends_what_is_below),
        CORE_CASE(the_first_cause_stays),
        CORE_CASE(a_deadline_counts_for_later_members),
        CORE_CASE(nothing_starts_below_a_cancelled_scope),
        CORE_CASE(nothing_outlives_its_group),
        CORE_CASE(a_root_has_a_deadline),
        CORE_CASE(a_passed_deadline_ends_the_next_wait),
        CORE_CASE(a_detached_scope_has_no_clock),
        CORE_CASE(no_scope_no_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
