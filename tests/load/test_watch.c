#include "load/watch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* CPU time of this process, in ns. */
static uint64_t own(void)
{
    uint64_t user, system;
    watch_self(&user, &system);
    return user + system;
}

static void burn(uint64_t ns)
{
    struct timespec ts;
    uint64_t until = 0, now;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
        if (!until) until = now + ns;
    } while (now < until);
}

static void cpu_time_of_this_process_is_counted(void **state)
{
    struct plan p = {.watched = {getpid()}, .n_watched = 1};
    struct watch w;
    (void)state;
    assert_int_equal(watch_open(&w, &p), 0);
    uint64_t before = watch_read(&w), self = own();
    burn(20 * NS_PER_MS);
    assert_true(watch_read(&w) - before >= 20 * NS_PER_MS);
    /* getrusage counts in us. */
    assert_true(own() - self >= 19 * NS_PER_MS);
    watch_close(&w);
}

static void cpu_times_of_several_processes_are_added(void **state)
{
    struct plan p = {.watched = {getpid(), getpid()}, .n_watched = 2};
    struct watch w;
    (void)state;
    assert_int_equal(watch_open(&w, &p), 0);
    uint64_t before = watch_read(&w);
    burn(10 * NS_PER_MS);
    assert_true(watch_read(&w) - before >= 20 * NS_PER_MS);
    watch_close(&w);
}

/* A process that has used 20 ms of CPU time and sleeps. */
static pid_t start_another(void)
{
    int started[2];
    char c;
    assert_int_equal(pipe(started), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        burn(20 * NS_PER_MS);
        if (write(started[1], "", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(started[0], &c, 1), 1);
    close(started[0]);
    close(started[1]);
    return pid;
}

/* Its last reading stays in the sum, which never falls. */
static void an_ended_process_keeps_its_last_reading(void **state)
{
    pid_t pid = start_another();
    struct plan p = {.watched = {pid, getpid()}, .n_watched = 2};
    struct watch w;
    (void)state;
    assert_int_equal(watch_open(&w, &p), 0);
    uint64_t before = watch_read(&w);
    assert_true(before >= 20 * NS_PER_MS);
    assert_false(w.ended);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(watch_read(&w) >= before);
    assert_true(w.ended);
    watch_close(&w);
    /* A process that has ended cannot be watched. */
    assert_int_equal(watch_open(&w, &p), -1);
}

/* The clock of a zombie can be read, and stands still. */
static void a_zombie_counts_as_ended(void **state)
{
    pid_t pid = start_another();
    struct plan p = {.watched = {pid}, .n_watched = 1};
    struct watch w;
    siginfo_t info;
    (void)state;
    assert_int_equal(watch_open(&w, &p), 0);
    if (w.pidfd[0] < 0) skip();
    uint64_t before = watch_read(&w);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(watch_read(&w), before);
    assert_true(w.ended);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    watch_close(&w);
}

static void unknown_processes_are_rejected(void **state)
{
    struct plan p = {0};
    struct watch w;
    (void)state;
    assert_int_equal(watch_open(&w, &p), 0);
    assert_int_equal(watch_read(&w), 0);
    /* No process has this id (proc_sys_kernel(5)), but its clock id can name another clock. */
    p = (struct plan){.watched = {getpid(), INT32_MAX}, .n_watched = 2};
    assert_int_equal(watch_open(&w, &p), -1);
}

/* ---- run delay ---- */

static void schedstat_lines_are_parsed(void **state)
{
    struct run_delay d;
    (void)state;
    assert_true(run_delay_parse("10531094 46371807 4\n", &d));
    assert_int_equal(d.ns, 46371807);
    assert_int_equal(d.runs, 4);
    assert_false(run_delay_parse("", &d));
    assert_false(run_delay_parse("10531094 46371807\n", &d));
    assert_false(run_delay_parse("No such file", &d));
}

static void run_delay_is_the_difference_of_two_readings(void **state)
{
    struct run_delay before = {100, 5}, now = {170, 7}, since = run_delay_since(&before, &now);
    (void)state;
    assert_int_equal(since.ns, 70);
    assert_int_equal(since.runs, 2);
    /* The sum falls when a thread ends, and nothing is known then. */
    since = run_delay_since(&now, &before);
    assert_int_equal(since.ns + since.runs, 0);
}

/* Where this kernel has the statistics. */
static void run_delay_of_a_process_includes_its_threads(void **state)
{
    struct plan p = {.watched = {getpid()}, .n_watched = 1};
    struct watch w;
    struct run_delay thread = {0};
    (void)state;
    if (access("/proc/self/schedstat", R_OK) < 0) skip();
    run_delay_add_thread(&thread, INT32_MAX); /* no such thread */
    assert_int_equal(thread.ns + thread.runs, 0);
    run_delay_add_thread(&thread, getpid());
    assert_int_equal(watch_open(&w, &p), 0);
    struct run_delay all = watch_run_delay(&w);
    assert_true(all.ns >= thread.ns && all.runs >= thread.runs);
    watch_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_time_of_this_process_is_counted),
        cmocka_unit_test(cpu_times_of_several_processes_are_added),
        cmocka_unit_test(an_ended_process_keeps_its_last_reading),
        cmocka_unit_test(a_zombie_counts_as_ended),
        cmocka_unit_test(unknown_processes_are_rejected),
        cmocka_unit_test(schedstat_lines_are_parsed),
        cmocka_unit_test(run_delay_is_the_difference_of_two_readings),
        cmocka_unit_test(run_delay_of_a_process_includes_its_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
