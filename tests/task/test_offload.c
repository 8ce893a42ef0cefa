#include "task/offload.h"

#include "base/random.h"
#include "core.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A job that ends when it is let go or cancelled, as it was made. */
struct task {
    struct torc_job job;
    sem_t begun, go;
    bool heeds_cancel; /* ends once it is cancelled */
    unsigned done;     /* calls of on_done; on the core */
    _Atomic unsigned orphaned;
    _Atomic bool saw_cancel;
};

static int hold(struct torc_job *j, void *arg)
{
    struct task *t = arg;
    sem_post(&t->begun);
    if (t->heeds_cancel)
        while (!j->cancelled) sched_yield();
    else
        sem_wait(&t->go);
    t->saw_cancel = j->cancelled;
    return 42;
}

static int at_once(struct torc_job *j, void *arg)
{
    (void)j, (void)arg;
    return -7;
}

static void on_done(struct torc_job *j)
{
    container_of(j, struct task, job)->done++;
}

static void on_orphaned(struct torc_job *j)
{
    container_of(j, struct task, job)->orphaned++;
}

static void task_init(struct task *t, offload_fn *fn)
{
    memset(t, 0, sizeof *t);
    sem_init(&t->begun, 0, 0);
    sem_init(&t->go, 0, 0);
    t->job.fn = fn;
    t->job.arg = t;
    t->job.done = on_done;
    t->job.orphaned = on_orphaned;
}

static void begin(struct core *c, struct offload *p, struct task *t, offload_fn *fn)
{
    task_init(t, fn);
    assert_int_equal(offload_start(p, &t->job, &c->io), 0);
}

/* It runs, so it has left the queue. */
static void begin_held(struct core *c, struct offload *p, struct task *t)
{
    begin(c, p, t, hold);
    sem_wait(&t->begun);
}

static struct offload_stats stats_of(struct offload *p)
{
    struct offload_stats s;
    offload_read_stats(p, &s);
    return s;
}

static void stop(struct offload *p)
{
    assert_true(offload_stop(p, clock_ns() + 30 * NS_PER_S));
    offload_free(p);
}

/* ---- jobs that run ---- */

static void result_reaches_the_core(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(2, 4);
    struct task t;
    begin(c, p, &t, at_once);
    assert_int_equal(t.done, 0); /* only in a turn */
    TURN_UNTIL(c, t.done);
    assert_int_equal(t.job.result, -7);
    assert_int_equal(stats_of(p).jobs, 1);
    stop(p);
    assert_int_equal(t.done, 1);
}

static void no_thread_takes_no_job(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(0, 4);
    struct task t;
    task_init(&t, at_once);
    assert_int_equal(offload_start(p, &t.job, &c->io), -ENOSYS);
    assert_int_equal(offload_start(NULL, &t.job, &c->io), -ENOSYS);
    stop(p);
}

static void threads_start_as_jobs_come(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(3, 16);
    struct task t[5];
    assert_int_equal(stats_of(p).threads, 0);
    for (int i = 0; i < 5; i++) {
        begin(c, p, &t[i], hold);
        if (i < 3) sem_wait(&t[i].begun);
        assert_int_equal(stats_of(p).threads, i < 3 ? i + 1 : 3);
    }
    assert_int_equal(stats_of(p).busy, 3);
    assert_int_equal(stats_of(p).queued, 2);
    for (int i = 0; i < 5; i++) sem_post(&t[i].go);
    TURN_UNTIL(c, t[0].done && t[1].done && t[2].done && t[3].done && t[4].done);
    assert_int_equal(stats_of(p).queued_peak, 2);
    assert_true(stats_of(p).waited_max_ns > 0);
    stop(p);
}

static void idle_thread_takes_the_next_job(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(8, 16);
    struct task t;
    for (int i = 0; i < 20; i++) {
        begin(c, p, &t, at_once);
        TURN_UNTIL(c, t.done);
    }
    assert_true(stats_of(p).threads < 8); /* a busy machine may need a second one */
    stop(p);
}

static void full_queue_refuses(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 2);
    struct task t[4];
    begin_held(c, p, &t[0]);
    for (int i = 1; i < 3; i++) begin(c, p, &t[i], hold);
    task_init(&t[3], hold);
    assert_int_equal(offload_start(p, &t[3].job, &c->io), -EAGAIN);
    assert_int_equal(stats_of(p).rejected, 1);
    for (int i = 0; i < 3; i++) sem_post(&t[i].go);
    TURN_UNTIL(c, t[0].done && t[1].done && t[2].done);
    assert_int_equal(t[3].done, 0);
    stop(p);
}

/* Threads that the system lets start; negative: all. */
static int allowed = -1;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    if (allowed == 0) return EAGAIN;
    allowed -= allowed > 0;
    return __real_pthread_create(thread, attr, fn, arg);
}

/* A core would start them later with a descriptor table of its own. */
static void those_that_start_first_are_all(void **state)
{
    struct core *c = *state;
    struct task t[3];
    for (unsigned n = 0; n < 3; n++) {
        struct offload *p = offload_new(3, 8);
        allowed = (int)n;
        assert_int_equal(offload_start_all(p), n);
        allowed = -1;
        task_init(&t[0], at_once);
        if (n == 0) assert_int_equal(offload_start(p, &t[0].job, &c->io), -EAGAIN);
        for (unsigned i = 0; n > 0 && i < 3; i++) begin(c, p, &t[i], hold);
        for (unsigned i = 0; n > 0 && i < 3; i++) sem_post(&t[i].go);
        TURN_UNTIL(c, n == 0 || (t[0].done && t[1].done && t[2].done));
        assert_int_equal(stats_of(p).threads, n);
        stop(p);
    }
}

/* Otherwise the next job asks for one again. */
static void a_refused_thread_starts_later(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 8);
    struct task t;
    allowed = 0;
    task_init(&t, at_once);
    assert_int_equal(offload_start(p, &t.job, &c->io), -EAGAIN);
    allowed = -1;
    begin(c, p, &t, at_once);
    TURN_UNTIL(c, t.done);
    stop(p);
}

struct seen {
    cpu_set_t cpus;
    sigset_t blocked;
    char name[16];
};

static int look_around(struct torc_job *j, void *arg)
{
    struct seen *s = arg;
    (void)j;
    sched_getaffinity(0, sizeof s->cpus, &s->cpus);
    pthread_sigmask(SIG_BLOCK, NULL, &s->blocked);
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    return 0;
}

/* The core is pinned, and has a mask of signals of its own: the threads have what their pool was
 * made with, as what they execute inherits it. */
static void threads_have_the_cpus_and_the_mask_of_the_pool(void **state)
{
    struct core *c = *state;
    struct seen seen;
    struct task t;
    cpu_set_t all, one;
    sigset_t made_with, before, of_core;
    sigemptyset(&made_with);
    sigaddset(&made_with, SIGUSR2);
    sigemptyset(&of_core);
    sigaddset(&of_core, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &made_with, &before);
    struct offload *p = offload_new(1, 2);
    pthread_sigmask(SIG_SETMASK, &of_core, NULL);
    task_init(&t, look_around);
    t.job.arg = &seen;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    sched_setaffinity(0, sizeof one, &one);
    assert_int_equal(offload_start(p, &t.job, &c->io), 0);
    sched_setaffinity(0, sizeof all, &all);
    TURN_UNTIL(c, t.done);
    assert_true(CPU_EQUAL(&seen.cpus, &all));
    assert_string_equal(seen.name, "torc-work");
    for (int n = 1; n < SIGRTMIN; n++)
        assert_int_equal(sigismember(&seen.blocked, n), n == SIGUSR2);
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, &before, &own);
    assert_int_equal(sigismember(&own, SIGUSR1), 1);
    assert_int_equal(sigismember(&own, SIGUSR2), 0);
    stop(p);
}

/* ---- jobs that are not waited for ---- */

static void cancelled_in_the_queue_it_never_runs(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 2);
    struct task first, second;
    begin_held(c, p, &first);
    begin(c, p, &second, hold);
    assert_true(offload_cancel(&second.job));
    assert_int_equal(stats_of(p).queued, 0);
    sem_post(&first.go);
    TURN_UNTIL(c, first.done);
    stop(p);
    core_poll(c);
    assert_int_equal(second.done, 0);
    assert_int_equal(sem_trywait(&second.begun), -1);
}

static void cancelled_while_it_runs_it_is_told(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 2);
    struct task t;
    task_init(&t, hold);
    t.heeds_cancel = true;
    assert_int_equal(offload_start(p, &t.job, &c->io), 0);
    sem_wait(&t.begun);
    assert_false(offload_cancel(&t.job));
    TURN_UNTIL(c, t.done);
    assert_true(t.saw_cancel);
    assert_int_equal(t.job.result, 42);
    assert_int_equal(stats_of(p).cancelled, 1);
    stop(p);
}

static void left_while_it_runs_the_thread_ends_it(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 2);
    struct task t;
    begin_held(c, p, &t);
    assert_true(offload_leave(&t.job));
    sem_post(&t.go);
    stop(p);
    core_poll(c);
    assert_int_equal(t.orphaned, 1);
    assert_int_equal(t.done, 0);
}

static void left_after_its_end_it_is_done(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 2);
    struct task t;
    begin(c, p, &t, at_once);
    while (stats_of(p).jobs == 0) sched_yield();
    assert_false(offload_leave(&t.job));
    TURN_UNTIL(c, t.done);
    stop(p);
    assert_int_equal(t.orphaned, 0);
}

static void stop_waits_no_longer_than_it_may(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(1, 2);
    struct task t;
    begin_held(c, p, &t);
    assert_true(offload_leave(&t.job));
    assert_false(offload_stop(p, clock_ns()));
    struct task late;
    task_init(&late, at_once);
    assert_int_equal(offload_start(p, &late.job, &c->io), -EAGAIN);
    sem_post(&t.go);
    stop(p);
    assert_int_equal(t.orphaned, 1);
}

/* ---- at any moment ---- */

static int take_a_while(struct torc_job *j, void *arg)
{
    (void)arg;
    for (unsigned n = 0; n < 2000 && !j->cancelled; n++) continue;
    return 1;
}

enum { JOBS = 16 };

static void start_all(struct core *c, struct offload *p, struct task t[JOBS])
{
    for (int i = 0; i < JOBS; i++) {
        begin(c, p, &t[i], take_a_while);
        if (random_below(4) == 0) core_poll(c);
    }
}

/* Cancels or leaves some. Returns how many of the calls that follow are of on_done. */
static unsigned give_up_some(struct task t[JOBS])
{
    unsigned done = 0;
    for (int i = 0; i < JOBS; i++) {
        unsigned how = (unsigned)random_below(4);
        if (random_below(3) == 0) sched_yield();
        bool never = !t[i].done && how > 0 && offload_cancel(&t[i].job);
        bool left = !t[i].done && how > 1 && !never && offload_leave(&t[i].job);
        while (left && t[i].orphaned == 0) sched_yield();
        assert_false(never && t[i].done);
        done += !never && !left;
    }
    return done;
}

static unsigned count_done(const struct task t[JOBS])
{
    unsigned n = 0;
    for (int i = 0; i < JOBS; i++) n += t[i].done;
    return n;
}

/* Cancelled or left before, while and after they run: every job ends exactly once. */
static void ends_once_whenever_it_is_left(void **state)
{
    struct core *c = *state;
    struct offload *p = offload_new(3, JOBS);
    struct task t[JOBS];
    for (int round = 0; round < 300; round++) {
        start_all(c, p, t);
        unsigned done = give_up_some(t);
        TURN_UNTIL(c, count_done(t) >= done);
        for (int i = 0; i < JOBS; i++) assert_true(t[i].done + t[i].orphaned <= 1);
    }
    stop(p);
    core_poll(c);
    for (int i = 0; i < JOBS; i++) assert_true(t[i].done + t[i].orphaned <= 1);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(result_reaches_the_core),
        CORE_CASE(no_thread_takes_no_job),
        CORE_CASE(threads_start_as_jobs_come),
        CORE_CASE(idle_thread_takes_the_next_job),
        CORE_CASE(full_queue_refuses),
        CORE_CASE(those_that_start_first_are_all),
        CORE_CASE(a_refused_thread_starts_later),
        CORE_CASE(threads_have_the_cpus_and_the_mask_of_the_pool),
        CORE_CASE(cancelled_in_the_queue_it_never_runs),
        CORE_CASE(cancelled_while_it_runs_it_is_told),
        CORE_CASE(left_while_it_runs_the_thread_ends_it),
        CORE_CASE(left_after_its_end_it_is_done),
        CORE_CASE(stop_waits_no_longer_than_it_may),
        CORE_CASE(ends_once_whenever_it_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
