/* What is said of a core that is held, by looks at times that are made up. */

#include "unread.h"

#include "serve/backtrace.h"
#include "serve/core.h"
#include "serve/stall.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOOKS_MAX = 8 };

/* The clock of the thread that watches, and when it looks after the first time; ends with 0. While
 * it awaits a backtrace, it goes on to look each millisecond. */
static _Atomic uint64_t now;
static uint64_t pause_ms[LOOKS_MAX];
static unsigned n_looks;
static sem_t looked;             /* as often as it is to */
static struct core *begins_turn; /* when it has looked as often; or NULL */

static uint64_t ns_of(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_nsec;
}

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (clock != CLOCK_MONOTONIC) return __real_clock_gettime(clock, out);
    *out = (struct timespec){(time_t)(now / NS_PER_S), (long)(now % NS_PER_S)};
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    uint64_t pause = pause_ms[n_looks], due = ns_of(until);
    if (pause) {
        n_looks++;
        now += pause * NS_PER_MS;
        return 0;
    }
    if (due - now == NS_PER_MS) {
        if (begins_turn) begins_turn->loop.io.stats.woken = ++begins_turn->loop.io.stats.turns;
        begins_turn = NULL;
        usleep(1000);
        now = due;
        return 0;
    }
    sem_post(&looked);
    return pthread_cond_wait(cond, mutex);
}

/* ---- a handler ---- */

static _Atomic int tid;
static _Atomic bool ends, has_ended, allows, has_allowed, unblocks, has_unblocked;
static _Atomic bool asks = true;

static void *compute(void *arg)
{
    sigset_t none;
    (void)arg;
    sigemptyset(&none);
    tid = (int)syscall(SYS_gettid);
    while (!ends) {
        if (unblocks && !has_unblocked)
            has_unblocked = pthread_sigmask(SIG_SETMASK, &none, NULL) == 0;
        if (!allows || has_allowed) continue;
        backtrace_allow();
        has_allowed = true;
    }
    has_ended = true;
    return NULL;
}

/* With all signals blocked, until it `allows` that for backtraces. */
static pthread_t start_computing(bool allowed)
{
    pthread_t thread;
    sigset_t all, before;
    tid = 0;
    ends = has_ended = has_allowed = unblocks = has_unblocked = false;
    allows = allowed;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    assert_int_equal(pthread_create(&thread, NULL, compute, NULL), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (!tid || has_allowed != allowed) usleep(1000);
    return thread;
}

static void end_computing(pthread_t thread)
{
    ends = true;
    for (int i = 0; i < 60 * 1000 && !has_ended; i++) usleep(1000);
    assert_true(has_ended);
    pthread_join(thread, NULL);
}

static void *wait_for_end(void *arg)
{
    tid = (int)syscall(SYS_gettid);
    pthread_mutex_lock(arg);
    pthread_mutex_unlock(arg);
    return NULL;
}

/* In their first turn; with the thread of each. */
static struct core *cores_open(uint32_t n, const int *tids)
{
    struct core *c = aligned_alloc(_Alignof(struct core), n * sizeof *c);
    assert_non_null(c);
    memset(c, 0, n * sizeof *c);
    for (uint32_t i = 0; i < n; i++) {
        c[i].index = i;
        c[i].loop.tid = tids[i];
        c[i].loop.io.stats.turns = c[i].loop.io.stats.woken = 1;
    }
    return c;
}

/* So many looks, and those in which a backtrace is awaited. */
static void look_at(struct core *c, uint32_t n, const uint64_t *pauses)
{
    struct stall_watch w;
    memcpy(pause_ms, pauses, sizeof pause_ms);
    n_looks = 0;
    now = 1000 * NS_PER_S;
    stall_start(&w, c, n, 500 * NS_PER_MS, &asks);
    sem_wait(&looked);
    stall_stop(&w);
}

/* Returns how many stalls are counted of a core. */
static unsigned look(const uint64_t *pauses)
{
    struct core *c = cores_open(1, (const int[]){tid});
    look_at(c, 1, pauses);
    unsigned stalls = (unsigned)c->stalls;
    free(c);
    return stalls;
}

/* What is said of them. */
static void watch_cores(struct core *c, uint32_t n_cores, const uint64_t *pauses, char *said,
                        size_t size)
{
    int ends_of[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends_of), 0);
    dup2(ends_of[1], STDERR_FILENO);
    look_at(c, n_cores, pauses);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends_of[1]);
    ssize_t n = read(ends_of[0], said, size - 1);
    said[n > 0 ? n : 0] = '\0';
    close(ends_of[0]);
}

/* Returns how many stalls are counted of a core. */
static unsigned watch(const uint64_t *pauses, char *said, size_t size)
{
    struct core *c = cores_open(1, (const int[]){tid});
    watch_cores(c, 1, pauses, said, size);
    unsigned stalls = (unsigned)c->stalls;
    free(c);
    return stalls;
}

static const uint64_t in_time[LOOKS_MAX] = {125, 900};

/* The two looks at the handler are that far apart; between them it has a CPU for moments. */
static void one_that_lacks_a_cpu_is_told(void **state)
{
    static const uint64_t late[LOOKS_MAX] = {600, 900};
    static const uint64_t *const cases[] = {in_time, late};
    pthread_t thread = start_computing(false);
    char said[512];
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(watch(cases[i], said, sizeof said), 1);
        assert_non_null(strstr(said, "its handler has held core 0 for "));
        assert_non_null(strstr(said, "other programs or a CPU quota kept it from one\n"));
    }
    /* By one look it cannot be known. */
    assert_int_equal(watch((const uint64_t[LOOKS_MAX]){600}, said, sizeof said), 1);
    assert_string_equal(said, "");
    end_computing(thread);
}

/* Whether so many looks at what computes have its functions told, where the C library can. */
static bool has_backtrace(void)
{
    char said[8192];
    assert_int_equal(watch(in_time, said, sizeof said), 1);
    assert_non_null(strstr(said, ", while other requests wait: it computes"));
#ifdef __GLIBC__
    return strstr(said, "\ntorc: core 0 is in:\n") && strstr(said, "test_stall") &&
           strstr(said, " [0x");
#else
    return has_allowed;
#endif
}

/* The thread answers a later question than the one that it has not answered. */
static void one_that_does_not_answer_is_not_waited_for(void **state)
{
    (void)state;
    backtrace_install();
    pthread_t thread = start_computing(false);
    assert_false(has_backtrace());
    allows = true;
    while (!has_allowed) usleep(1000); /* it has taken the signal */
    assert_true(has_backtrace());
    end_computing(thread);
    backtrace_uninstall();
}

/* The other core's stall begins while the first one's thread is asked, and ends before it is given
 * up. */
static void one_that_does_not_answer_hides_no_other(void **state)
{
    (void)state;
    backtrace_install();
    pthread_t silent = start_computing(false);
    struct core *c = cores_open(2, (const int[]){tid, tid});
    begins_turn = &c[1];
    look_at(c, 2, in_time);
    assert_int_equal(c[0].stalls, 1);
    assert_int_equal(c[1].stalls, 2);
    free(c);
    end_computing(silent);
    backtrace_uninstall();
}

/* It runs all the time, and keeps nobody from a CPU. */
static void *compute_and_answer(void *arg)
{
    backtrace_allow();
    *(_Atomic int *)arg = (int)syscall(SYS_gettid);
    while (!ends) sched_yield();
    return NULL;
}

/* More than can be asked at a time. */
static void each_of_many_is_asked(void **state)
{
    enum { N = 20 };
    static char said[64 << 10];
    static _Atomic int found[N];
    pthread_t threads[N];
    int tids[N], told = 0;
    (void)state;
    ends = false;
    backtrace_install();
    for (int i = 0; i < N; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, compute_and_answer, &found[i]), 0);
        while ((tids[i] = found[i]) == 0) usleep(1000);
    }
    struct core *c = cores_open(N, tids);
    watch_cores(c, N, in_time, said, sizeof said);
    ends = true;
    for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
    for (const char *at = said; (at = strstr(at, " is in:\n")); at++) told++;
#ifdef __GLIBC__
    assert_int_equal(told, N);
#endif
    backtrace_uninstall();
    free(c);
}

/* The signal is of another server of the process, which may end and take its handler away. */
static void who_has_no_signals_asks_nobody(void **state)
{
    char said[8192];
    (void)state;
    backtrace_install();
    pthread_t thread = start_computing(true);
    asks = false;
    assert_int_equal(watch(in_time, said, sizeof said), 1);
    asks = true;
    assert_null(strstr(said, " is in:\n"));
    end_computing(thread);
    backtrace_uninstall();
}

/* It unblocks the signal when nobody handles it any more. */
static void one_that_was_asked_outlives_the_asking(void **state)
{
    (void)state;
    backtrace_install();
    pthread_t thread = start_computing(false);
    assert_false(has_backtrace());
    backtrace_uninstall();
    unblocks = true;
    while (!has_unblocked) usleep(1000);
    end_computing(thread);
}

static void one_of_whom_nobody_reads_goes_on(void **state)
{
    (void)state;
    backtrace_install();
    pthread_t thread = start_computing(true);
    int before = unread_stderr();
    unsigned stalls = look(in_time);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(stalls, 1);
    end_computing(thread);
    backtrace_uninstall();
}

static void one_that_is_blocked_is_told_at_once(void **state)
{
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    char said[512];
    (void)state;
    tid = 0;
    pthread_mutex_lock(&held);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &held), 0);
    while (!tid) usleep(1000);
    sleep(1); /* it waits by now */
    assert_int_equal(watch((const uint64_t[LOOKS_MAX]){600}, said, sizeof said), 1);
    assert_non_null(strstr(said, "it is blocked in the system call futex\n"));
    pthread_mutex_unlock(&held);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_lacks_a_cpu_is_told),
        cmocka_unit_test(one_that_is_blocked_is_told_at_once),
        cmocka_unit_test(one_that_does_not_answer_is_not_waited_for),
        cmocka_unit_test(one_that_does_not_answer_hides_no_other),
        cmocka_unit_test(each_of_many_is_asked),
        cmocka_unit_test(who_has_no_signals_asks_nobody),
        cmocka_unit_test(one_that_was_asked_outlives_the_asking),
        cmocka_unit_test(one_of_whom_nobody_reads_goes_on),
    };
    sem_init(&looked, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
