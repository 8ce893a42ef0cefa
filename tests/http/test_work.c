/* torc_work in requests without a connection: what is called, how often, and in which order. */

#include "base/poison.h"
#include "base/random.h"
#include "http/request.h"
#include "task/core.h"
#include "task/offload.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

enum { HANDLER_STACK = 64 * 1024, FIBERS = 64 };

/* A core that has what torc_work needs of HTTP. */
struct rig {
    struct core core;
    struct http_limits limits;
    struct http_context ctx;
};

static void rig_open(struct rig *r, uint32_t threads, uint32_t queue)
{
    memset(r, 0, sizeof *r);
    core_open(&r->core, 1);
    r->limits.request_memory = 64 * 1024;
    r->ctx.io = &r->core.io;
    r->ctx.limits = &r->limits;
    r->ctx.pool = offload_new(threads, queue);
    assert_non_null(r->ctx.pool);
    fiber_pool_init(&r->ctx.fibers, HANDLER_STACK, FIBERS);
}

static struct offload_stats stats_of(const struct rig *r)
{
    struct offload_stats s;
    offload_read_stats(r->ctx.pool, &s);
    return s;
}

static void rig_close(struct rig *r)
{
    while (!io_close_inbox(&r->core.io)) core_poll(&r->core);
    assert_true(offload_stop(r->ctx.pool, clock_ns() + 30 * NS_PER_S));
    offload_free(r->ctx.pool);
    fiber_pool_drain(&r->ctx.fibers);
    core_close(&r->core);
}

static int set_up(void **state)
{
    *state = malloc(sizeof(struct rig));
    if (!*state) return -1;
    rig_open(*state, 1, 2);
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}

/* ---- jobs ---- */

/* The argument of a job; on the heap, so that a use after its cleanup is seen. */
struct order {
    struct task *task;
    unsigned spin; /* how long it takes, unless it is cancelled */
};

/* One request whose handler calls torc_work. */
struct task {
    struct torc_req rq;
    bool with_cleanup, hold; /* hold: until `go` */
    unsigned calls, spin;    /* calls of torc_work, one after another */
    sem_t begun, go;
    int result; /* of the last call */
    unsigned returned;
    _Atomic unsigned ran, told, cleaned;
    bool done; /* the handler has returned */
    _Atomic bool ended;
};

static int work(torc_job *job, void *arg)
{
    struct order *o = arg;
    struct task *t = o->task;
    t->ran++;
    sem_post(&t->begun);
    if (t->hold) sem_wait(&t->go);
    for (unsigned n = 0; n < o->spin && !torc_work_cancelled(job); n++) continue;
    t->told += torc_work_cancelled(job);
    return 5;
}

static void clean(void *arg)
{
    struct order *o = arg;
    struct task *t = o->task;
    free(o);
    t->cleaned++;
}

static void handle(void *arg)
{
    struct task *t = arg;
    for (unsigned i = 0; i < t->calls; i++) {
        struct order *o = malloc(sizeof *o);
        assert_non_null(o);
        *o = (struct order){t, t->spin};
        t->result = torc_work(&t->rq, work, o, t->with_cleanup ? clean : NULL);
        t->returned++;
        if (t->with_cleanup)
            assert_true(o->task == t); /* there until the handler has returned */
        else
            free(o);
    }
    request_release_all(&t->rq);
    t->done = true;
}

static void begin(struct rig *r, struct task *t)
{
    sem_init(&t->begun, 0, 0);
    sem_init(&t->go, 0, 0);
    request_init(&t->rq, &r->ctx, NULL);
    assert_int_equal(fiber_start_for(&r->ctx.fibers, handle, t, &t->rq.scope), 0);
}

static void end(struct task *t)
{
    assert_true(t->done);
    request_end(&t->rq);
    UNPOISON(&t->rq, sizeof t->rq); /* it is on a stack, or used again */
}

static void core_turns(struct rig *r)
{
    for (int i = 0; i < 10; i++) core_poll(&r->core);
}

/* ---- */

static void the_result_is_that_of_the_job(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        struct task t = {.calls = 3, .with_cleanup = i};
        begin(r, &t);
        TURN_UNTIL(&r->core, t.done);
        assert_int_equal(t.result, 5);
        assert_int_equal(t.ran, 3);
        assert_int_equal(t.cleaned, i ? 3 : 0);
        end(&t);
    }
}

static void an_attended_job_is_told_and_awaited(void **state)
{
    struct rig *r = *state;
    struct task t = {.calls = 1, .hold = true};
    begin(r, &t);
    sem_wait(&t.begun);
    request_cancel(&t.rq, -ECONNRESET);
    core_turns(r);
    assert_false(t.done);
    sem_post(&t.go);
    TURN_UNTIL(&r->core, t.done);
    assert_int_equal(t.result, 5);
    assert_int_equal(t.told, 1);
    end(&t);
}

static void an_attended_job_in_the_queue_never_runs(void **state)
{
    struct rig *r = *state;
    struct task first = {.calls = 1, .hold = true}, t = {.calls = 1};
    begin(r, &first);
    sem_wait(&first.begun);
    begin(r, &t);
    request_cancel(&t.rq, -ESHUTDOWN);
    TURN_UNTIL(&r->core, t.done);
    assert_int_equal(t.result, -ESHUTDOWN);
    sem_post(&first.go);
    TURN_UNTIL(&r->core, first.done);
    assert_int_equal(t.ran, 0);
    end(&t);
    end(&first);
}

/* The request ends first: the job's end cleans up. */
static void a_detached_job_outlives_its_request(void **state)
{
    struct rig *r = *state;
    struct task t = {.calls = 1, .hold = true, .with_cleanup = true};
    begin(r, &t);
    sem_wait(&t.begun);
    request_cancel(&t.rq, -ECONNRESET);
    TURN_UNTIL(&r->core, t.done);
    assert_int_equal(t.result, -ECONNRESET);
    assert_int_equal(t.cleaned, 0);
    end(&t);
    sem_post(&t.go);
    while (t.cleaned == 0) sched_yield();
    core_turns(r);
    assert_int_equal(t.cleaned, 1);
    assert_int_equal(t.told, 1);
}

static void wait_for_clean(void *arg)
{
    struct task *t = arg;
    struct order *o = malloc(sizeof *o);
    assert_non_null(o);
    *o = (struct order){t, 0};
    t->result = torc_work(&t->rq, work, o, clean);
    t->returned++;
    assert_int_equal(fiber_may_park(&t->rq.ctx->fibers), true);
    while (!t->ended) sched_yield(); /* the job ends while the handler holds its core */
    request_release_all(&t->rq);
    t->done = true;
}

static void *let_go(void *arg)
{
    struct task *t = arg;
    sem_post(&t->go);
    while (t->told == 0) sched_yield();
    struct offload_stats s;
    do offload_read_stats(t->rq.ctx->pool, &s);
    while (s.jobs == 0);
    t->ended = true;
    return NULL;
}

/* The job ends while the handler runs on, after its wait was cancelled: the post of its end is on
 * the way when the request ends. */
static void the_end_of_the_job_crosses_that_of_the_request(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    struct task t = {.hold = true, .with_cleanup = true};
    sem_init(&t.begun, 0, 0);
    sem_init(&t.go, 0, 0);
    request_init(&t.rq, &r->ctx, NULL);
    assert_int_equal(fiber_start_for(&r->ctx.fibers, wait_for_clean, &t, &t.rq.scope), 0);
    sem_wait(&t.begun);
    request_cancel(&t.rq, -ETIMEDOUT);
    assert_int_equal(pthread_create(&thread, NULL, let_go, &t), 0);
    TURN_UNTIL(&r->core, t.done);
    pthread_join(thread, NULL);
    TURN_UNTIL(&r->core, t.cleaned == 1);
    assert_int_equal(t.result, -ETIMEDOUT);
    end(&t);
}

static void a_refused_job_is_cleaned_up_as_well(void **state)
{
    struct rig *r = *state;
    struct task busy[3] = {{.calls = 1, .hold = true}, {.calls = 1}, {.calls = 1}};
    struct task t[2] = {{.calls = 1}, {.calls = 1, .with_cleanup = true}};
    for (int i = 0; i < 3; i++) {
        begin(r, &busy[i]);
        if (i == 0) sem_wait(&busy[i].begun);
    }
    for (int i = 0; i < 2; i++) {
        begin(r, &t[i]);
        assert_true(t[i].done); /* at once */
        assert_int_equal(t[i].result, -EAGAIN);
        assert_int_equal(t[i].cleaned, i);
        end(&t[i]);
    }
    assert_int_equal(stats_of(r).rejected, 2);
    sem_post(&busy[0].go);
    for (int i = 0; i < 3; i++) {
        TURN_UNTIL(&r->core, busy[i].done);
        end(&busy[i]);
    }
}

static void a_cancelled_request_starts_nothing(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        struct task t = {.calls = 2, .hold = true, .with_cleanup = i};
        begin(r, &t);
        sem_wait(&t.begun);
        sem_post(&t.go);
        request_cancel(&t.rq, -ECONNRESET);
        sem_post(&t.go);
        TURN_UNTIL(&r->core, t.done);
        assert_int_equal(t.returned, 2);
        assert_int_equal(t.result, -ECONNRESET);
        assert_int_equal(t.ran, 1);
        end(&t);
        while (i && t.cleaned < 2) core_poll(&r->core);
    }
}

static void off_the_fibers_it_is_refused(void **state)
{
    struct rig *r = *state;
    struct task t = {.done = true};
    request_init(&t.rq, &r->ctx, NULL);
    struct order *o = malloc(sizeof *o);
    assert_non_null(o);
    *o = (struct order){&t, 0};
    assert_int_equal(torc_work(&t.rq, work, o, NULL), -EPERM);
    assert_int_equal(torc_work(&t.rq, work, o, clean), -EPERM);
    assert_int_equal(t.cleaned, 1);
    end(&t);
}

/* Requests that are cancelled at some turn or never, in a pool with a short queue: every call
 * returns once, every argument is cleaned up once. */
static void cancelled_at_any_point(void **state)
{
    enum { TASKS = 12, ROUNDS = 200 };
    struct rig *r = *state;
    static struct task t[TASKS];
    rig_close(r);
    rig_open(r, 3, 6);
    for (int round = 0; round < ROUNDS; round++) {
        memset(t, 0, sizeof t);
        for (int i = 0; i < TASKS; i++) {
            t[i].calls = 1 + (unsigned)random_below(3);
            t[i].spin = (unsigned)random_log(14);
            t[i].with_cleanup = random_below(2);
            begin(r, &t[i]);
            if (random_below(3) == 0) core_poll(&r->core);
            if (random_below(2) == 0)
                request_cancel(&t[random_below((unsigned)i + 1)].rq, -ECONNRESET);
        }
        for (int i = 0; i < TASKS; i++) {
            TURN_UNTIL(&r->core, t[i].done);
            assert_int_equal(t[i].returned, t[i].calls);
            assert_true(t[i].ran <= t[i].calls);
            end(&t[i]);
        }
        for (int i = 0; i < TASKS; i++)
            while (t[i].with_cleanup && t[i].cleaned < t[i].calls) core_poll(&r->core);
        for (int i = 0; i < TASKS; i++)
            assert_int_equal(t[i].cleaned, t[i].with_cleanup ? t[i].calls : 0);
    }
}

#define WORK_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        WORK_CASE(the_result_is_that_of_the_job),
        WORK_CASE(an_attended_job_is_told_and_awaited),
        WORK_CASE(an_attended_job_in_the_queue_never_runs),
        WORK_CASE(a_detached_job_outlives_its_request),
        WORK_CASE(the_end_of_the_job_crosses_that_of_the_request),
        WORK_CASE(a_refused_job_is_cleaned_up_as_well),
        WORK_CASE(a_cancelled_request_starts_nothing),
        WORK_CASE(off_the_fibers_it_is_refused),
        WORK_CASE(cancelled_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
