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

static void what_this_process_uses(void **state)
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

static void several_are_summed(void **state)
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

/* A process that has burnt 20 ms and sleeps. */
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

/* What it has used stays in the sum, or there would be less than before. */
static void another_process_until_it_ends(void **state)
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
    /* And who is gone cannot be watched. */
    assert_int_equal(watch_open(&w, &p), -1);
}

/* One that nobody has waited for has a clock still, which stands. */
static void another_process_that_is_a_zombie(void **state)
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

static void nobody(void **state)
{
    struct plan p = {0};
    struct watch w;
    (void)state;
    assert_int_equal(watch_open(&w, &p), 0);
    assert_int_equal(watch_read(&w), 0);
    /* There are no such pids (proc_sys_kernel(5)), but clocks that their bits seem to name. */
    p = (struct plan){.watched = {getpid(), INT32_MAX}, .n_watched = 2};
    assert_int_equal(watch_open(&w, &p), -1);
}

/* ---- waiting for a CPU ---- */

static void lines_of_schedstat(void **state)
{
    struct waited w;
    (void)state;
    assert_true(waited_parse("10531094 46371807 4\n", &w));
    assert_int_equal(w.ns, 46371807);
    assert_int_equal(w.turns, 4);
    assert_false(waited_parse("", &w));
    assert_false(waited_parse("10531094 46371807\n", &w));
    assert_false(waited_parse("No such file", &w));
}

static void between_two_readings(void **state)
{
    struct waited before = {100, 5}, now = {170, 7}, since = waited_since(&before, &now);
    (void)state;
    assert_int_equal(since.ns, 70);
    assert_int_equal(since.turns, 2);
    /* A thread that is gone takes what it had waited with it. */
    since = waited_since(&now, &before);
    assert_int_equal(since.ns + since.turns, 0);
}

/* As far as this kernel says anything of it. */
static void what_this_process_waited(void **state)
{
    struct plan p = {.watched = {getpid()}, .n_watched = 1};
    struct watch w;
    struct waited thread = {0};
    (void)state;
    if (access("/proc/self/schedstat", R_OK) < 0) skip();
    waited_add_thread(&thread, INT32_MAX); /* nobody */
    assert_int_equal(thread.ns + thread.turns, 0);
    waited_add_thread(&thread, getpid());
    assert_int_equal(watch_open(&w, &p), 0);
    struct waited all = watch_waited(&w);
    assert_true(all.ns >= thread.ns && all.turns >= thread.turns);
    watch_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_this_process_uses),
        cmocka_unit_test(several_are_summed),
        cmocka_unit_test(another_process_until_it_ends),
        cmocka_unit_test(another_process_that_is_a_zombie),
        cmocka_unit_test(nobody),
        cmocka_unit_test(lines_of_schedstat),
        cmocka_unit_test(between_two_readings),
        cmocka_unit_test(what_this_process_waited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
