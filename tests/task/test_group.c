#include "task/group.h"

#include "core.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { MEMBERS = 20 };

/* One member: waits for a time, or until the test wakes it, then returns `result`. */
struct job {
    struct core *core;
    uint64_t ns;
    const struct job *after;
    struct wait *until; /* woken by the test; has no cancel function */
    int result;
    int slept; /* result of the wait */
    bool returned;
};

static int work(void *ctx, void *arg)
{
    struct job *j = arg;
    assert_ptr_equal(ctx, j->core);
    struct scope *s = scope_running(&j->core->fibers);
    if (j->ns) j->slept = scope_sleep(s, j->ns);
    if (j->until) wait_park(s, j->until, NULL);
    while (j->after && !j->after->returned && j->slept == 0) j->slept = scope_sleep(s, NS_PER_MS);
    j->returned = true;
    return j->slept < 0 ? j->slept : j->result;
}

/* A fiber that opens a group for the jobs and joins it. */
struct run {
    struct core *core;
    struct job *jobs;
    unsigned n;
    int spawned[MEMBERS], joined, joined_again;
    bool parked; /* the join had to wait */
    bool done;
};

static void run_group(void *arg)
{
    struct run *r = arg;
    struct group g;
    group_init(&g, &r->core->scope);
    for (unsigned i = 0; i < r->n; i++) {
        r->jobs[i].core = r->core;
        r->spawned[i] = group_spawn(&g, work, r->core, &r->jobs[i]);
        /* One that does not wait has run already. */
        bool waits = r->jobs[i].ns || r->jobs[i].until;
        assert_int_equal(r->jobs[i].returned, r->spawned[i] == 0 && !waits);
    }
    r->parked = g.running > 0;
    r->joined = group_join(&g);
    r->joined_again = group_join(&g);
    for (unsigned i = 0; i < r->n; i++) assert_true(r->jobs[i].returned || r->spawned[i] < 0);
    r->done = true;
}

static int run(struct core *c, struct run *r, struct job *jobs, unsigned n)
{
    *r = (struct run){.core = c, .jobs = jobs, .n = n};
    assert_int_equal(core_start(c, run_group, r), 0);
    TURN_UNTIL(c, r->done);
    assert_int_equal(r->joined, r->joined_again);
    return r->joined;
}

static void join_of_an_empty_group(void **state)
{
    struct run r;
    assert_int_equal(run(*state, &r, NULL, 0), 0);
    assert_false(r.parked);
}

static void members_that_do_not_wait(void **state)
{
    struct job jobs[MEMBERS] = {{.result = 0}};
    struct run r;
    for (int i = 0; i < MEMBERS; i++) jobs[i].result = i; /* positive results are no errors */
    assert_int_equal(run(*state, &r, jobs, MEMBERS), 0);
    assert_false(r.parked);
}

static void members_that_wait(void **state)
{
    struct core *c = *state;
    struct job jobs[MEMBERS] = {{.result = 0}};
    struct run r;
    uint64_t from = clock_ns();
    for (unsigned i = 0; i < MEMBERS; i++) jobs[i].ns = (i * 7 % 5) * NS_PER_MS;
    assert_int_equal(run(c, &r, jobs, MEMBERS), 0);
    assert_true(r.parked);
    assert_true(clock_ns() - from >= 4 * NS_PER_MS);
}

/* All members start to wait before any of them returns. */
static void members_wait_concurrently(void **state)
{
    struct core *c = *state;
    struct job jobs[MEMBERS] = {{.result = 0}};
    struct run r = {.core = c, .jobs = jobs, .n = MEMBERS};
    for (int i = 0; i < MEMBERS; i++) jobs[i].ns = 3600 * NS_PER_S;
    assert_int_equal(core_start(c, run_group, &r), 0);
    assert_int_equal(c->fibers.in_use, MEMBERS + 1);
    scope_cancel(&c->scope, -ECANCELED);
    TURN_UNTIL(c, r.done);
}

static void join_returns_the_first_error(void **state)
{
    struct core *c = *state;
    struct run r;
    struct job in_order[] = {{.result = 1}, {.result = -EIO}, {.result = -ENOENT}};
    assert_int_equal(run(c, &r, in_order, 3), -EIO);
    assert_int_equal(r.spawned[2], -ECANCELED); /* nobody waits for it any more */
    struct job in_time[] = {{.ns = 1, .result = -EIO}, {.ns = NS_PER_MS, .result = -ENOENT}};
    in_time[0].after = &in_time[1];
    assert_int_equal(run(c, &r, in_time, 2), -ENOENT);
    struct job last[] = {{.result = 0}, {.ns = NS_PER_MS, .result = -EPIPE}};
    assert_int_equal(run(c, &r, last, 2), -EPIPE);
}

static void cancelled(void **state)
{
    struct core *c = *state;
    struct job jobs[] = {{.ns = 3600 * NS_PER_S}, {.ns = 3600 * NS_PER_S}, {.result = 5}};
    struct run r = {.core = c, .jobs = jobs, .n = 3};
    assert_int_equal(core_start(c, run_group, &r), 0);
    for (int i = 0; i < 5; i++) core_poll(c);
    assert_false(r.done);
    scope_cancel(&c->scope, -ETIMEDOUT);
    TURN_UNTIL(c, r.done);
    assert_int_equal(r.joined, -ETIMEDOUT);
    for (int i = 0; i < 2; i++) assert_int_equal(jobs[i].slept, -ETIMEDOUT);
}

/* The members may use memory of the joiner, so it must not return before them. */
static void join_waits_for_all_members_when_cancelled(void **state)
{
    struct core *c = *state;
    struct wait until;
    struct job jobs[] = {{.ns = 3600 * NS_PER_S}, {.until = &until}};
    struct run r = {.core = c, .jobs = jobs, .n = 2};
    assert_int_equal(core_start(c, run_group, &r), 0);
    scope_cancel(&c->scope, -ECANCELED);
    TURN_UNTIL(c, jobs[0].returned);
    for (int i = 0; i < 5; i++) core_poll(c);
    assert_false(r.done);
    wait_wake(&until, 0);
    TURN_UNTIL(c, r.done);
    assert_int_equal(r.joined, -ECANCELED);
}

static void a_failed_spawn_is_the_result(void **state)
{
    struct core *c = *state;
    struct run r;
    struct job jobs[4] = {
        {.ns = NS_PER_MS}, {.ns = NS_PER_MS}, {.ns = NS_PER_MS}, {.ns = NS_PER_MS}};
    c->fibers.max = 3;
    assert_int_equal(run(c, &r, jobs, 4), -EAGAIN);
    static const int want[] = {0, 0, -EAGAIN, -ECANCELED};
    assert_memory_equal(r.spawned, want, sizeof want);
    for (int i = 0; i < 4; i++) assert_int_equal(jobs[i].returned, i < 2);
    for (int i = 0; i < 2; i++) assert_int_equal(jobs[i].slept, -ECANCELED);
    /* Once the first has returned its fiber, the second can start. */
    struct job one_by_one[4] = {{.result = 0}};
    assert_int_equal(run(c, &r, one_by_one, 4), 0);
}

/* ---- members with members ---- */

static int work_in_a_group(void *ctx, void *arg)
{
    struct core *c = ctx;
    unsigned *done = arg;
    struct group g;
    struct job jobs[3] = {{.core = c, .ns = 1}, {.core = c}, {.core = c, .ns = NS_PER_MS}};
    group_init(&g, scope_running(&c->fibers));
    for (int i = 0; i < 3; i++) assert_int_equal(group_spawn(&g, work, c, &jobs[i]), 0);
    int err = group_join(&g);
    for (int i = 0; i < 3; i++) *done += jobs[i].returned;
    return err;
}

struct nested {
    struct core *core;
    unsigned jobs_done;
    int joined;
    bool done;
};

static void run_nested(void *arg)
{
    struct nested *n = arg;
    struct group g;
    group_init(&g, &n->core->scope);
    for (int i = 0; i < 5; i++)
        assert_int_equal(group_spawn(&g, work_in_a_group, n->core, &n->jobs_done), 0);
    n->joined = group_join(&g);
    n->done = true;
}

static void nested_groups(void **state)
{
    struct nested n = {.core = *state};
    assert_int_equal(core_start(n.core, run_nested, &n), 0);
    TURN_UNTIL(n.core, n.done);
    assert_int_equal(n.joined, 0);
    assert_int_equal(n.jobs_done, 15);
}

struct shared {
    struct core *core;
    struct group group;
    struct job late;
    int joined, joined_meanwhile;
    bool done;
};

static int spawn_later(void *ctx, void *arg)
{
    struct shared *s = arg;
    int err = scope_sleep(&s->core->scope, NS_PER_MS);
    return err < 0 ? err : group_spawn(&s->group, work, ctx, &s->late);
}

static void join_shared(void *arg)
{
    struct shared *s = arg;
    group_init(&s->group, &s->core->scope);
    assert_int_equal(group_spawn(&s->group, spawn_later, s->core, s), 0);
    s->joined = group_join(&s->group);
    assert_true(s->late.returned);
    s->done = true;
}

static void a_member_spawns_another(void **state)
{
    struct shared s = {.core = *state, .late = {.core = *state, .ns = NS_PER_MS, .result = -EXDEV}};
    assert_int_equal(core_start(s.core, join_shared, &s), 0);
    TURN_UNTIL(s.core, s.done);
    assert_int_equal(s.joined, -EXDEV);
}

/* Spawns between the return of the last member and the resumption of the joiner. */
static void spawn_before_the_joiner_runs(struct io_task *t);

struct late_task {
    struct io_task task;
    struct shared *shared;
};

static void spawn_from_outside(void *arg)
{
    struct shared *s = arg;
    assert_int_equal(group_spawn(&s->group, work, s->core, &s->late), 0);
}

static void spawn_before_the_joiner_runs(struct io_task *t)
{
    struct shared *s = container_of(t, struct late_task, task)->shared;
    assert_int_equal(s->group.running, 0);
    assert_false(s->done);
    assert_int_equal(core_start(s->core, spawn_from_outside, s), 0);
}

static int queue_a_spawn(void *ctx, void *arg)
{
    struct late_task *l = arg;
    int err = scope_sleep(&((struct core *)ctx)->scope, NS_PER_MS);
    io_defer(&l->shared->core->io, &l->task); /* runs before the joiner, which this member wakes */
    return err;
}

static void join_late(void *arg)
{
    struct late_task *l = arg;
    struct shared *s = l->shared;
    group_init(&s->group, &s->core->scope);
    assert_int_equal(group_spawn(&s->group, queue_a_spawn, s->core, l), 0);
    s->joined = group_join(&s->group);
    assert_true(s->late.returned);
    s->done = true;
}

static void spawned_before_the_join_returns(void **state)
{
    struct shared s = {.core = *state, .late = {.core = *state, .ns = NS_PER_MS}};
    struct late_task l = {.task = {.fn = spawn_before_the_joiner_runs}, .shared = &s};
    assert_int_equal(core_start(s.core, join_late, &l), 0);
    TURN_UNTIL(s.core, s.done);
    assert_int_equal(s.joined, 0);
}

static void join_as_well(void *arg)
{
    struct shared *s = arg;
    s->joined_meanwhile = group_join(&s->group);
}

static void a_second_joiner_gets_ebusy(void **state)
{
    struct shared s = {.core = *state, .late = {.core = *state}};
    assert_int_equal(core_start(s.core, join_shared, &s), 0);
    assert_int_equal(core_start(s.core, join_as_well, &s), 0);
    assert_int_equal(s.joined_meanwhile, -EBUSY);
    TURN_UNTIL(s.core, s.done);
    assert_int_equal(s.joined, 0);
}

/* ---- calls from members ---- */

static int read_own_program(void *ctx, void *arg)
{
    struct core *c = ctx;
    char buf[4];
    struct stat st;
    struct io_call open = {.open = {AT_FDCWD, IO_OPEN_ANYWHERE, "/proc/self/exe", &st}};
    int fd = scope_call(&c->scope, &open, IO_OPEN);
    if (fd < 0) return fd;
    struct io_call read = {.read = {fd, sizeof buf, buf, 0}};
    int n = scope_call(&c->scope, &read, IO_READ);
    close(fd);
    *(unsigned *)arg += n == 4 && memcmp(buf, "\177ELF", 4) == 0;
    return n;
}

static void run_readers(void *arg)
{
    struct nested *n = arg;
    struct group g;
    group_init(&g, &n->core->scope);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(group_spawn(&g, read_own_program, n->core, &n->jobs_done), 0);
    n->joined = group_join(&g);
    n->done = true;
}

static void members_read_files_concurrently(void **state)
{
    struct nested n = {.core = *state};
    unsigned fds = files_descriptors();
    assert_int_equal(core_start(n.core, run_readers, &n), 0);
    TURN_UNTIL(n.core, n.done);
    assert_int_equal(n.joined, 0);
    assert_int_equal(n.jobs_done, MEMBERS);
    assert_int_equal(files_descriptors(), fds);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(join_of_an_empty_group),
        CORE_CASE(members_that_do_not_wait),
        CORE_CASE(members_that_wait),
        CORE_CASE(members_wait_concurrently),
        CORE_CASE(join_returns_the_first_error),
        CORE_CASE(cancelled),
        CORE_CASE(join_waits_for_all_members_when_cancelled),
        CORE_CASE(a_failed_spawn_is_the_result),
        CORE_CASE(nested_groups),
        CORE_CASE(a_member_spawns_another),
        CORE_CASE(spawned_before_the_join_returns),
        CORE_CASE(a_second_joiner_gets_ebusy),
        CORE_CASE(members_read_files_concurrently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
