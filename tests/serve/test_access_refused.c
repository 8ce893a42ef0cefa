/* The access log of a server to which the kernel or the administrator refuses something. */

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "server.h"
#include "unread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

static void refuse_threads(void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_clone, .err = EAGAIN});
    refuse_call(&(struct refusal){.call = SYS_clone3, .err = EAGAIN});
}

/* It is not the file that cannot be opened. */
static void an_access_log_without_a_thread(void **state)
{
    struct server s;
    struct server_how how = {"epoll", refuse_threads, NULL};
    (void)state;
    assert_int_equal(
        server_run(&s, &how,
                   (const char *const[]){"--listen", "127.0.0.1:0", "--access-log", "-", NULL}),
        1);
    assert_non_null(strstr(server_log(&s), "the access log cannot start its thread"));
    assert_non_null(strstr(server_log(&s), "ulimit -u"));
    assert_null(strstr(server_log(&s), "cannot open --access-log"));
    server_free(&s);
}

static void an_access_log_without_an_eventfd(void **state)
{
    struct server s;
    struct refusal refusal = {.call = SYS_eventfd2, .err = EMFILE};
    struct server_how how = {"epoll", refuse_call, &refusal};
    (void)state;
    assert_int_equal(
        server_run(&s, &how,
                   (const char *const[]){"--listen", "127.0.0.1:0", "--access-log", "-", NULL}),
        1);
    assert_non_null(strstr(server_log(&s), "the access log cannot open an eventfd"));
    assert_null(strstr(server_log(&s), "cannot open --access-log"));
    server_free(&s);
}

/* Reads of eight bytes, as of an eventfd: a core and the access log are woken all the same. */
static void an_eventfd_that_cannot_be_read(void **state)
{
    struct server s;
    struct refusal refusal = {.call = SYS_read, .err = EPERM, .nth = 3, .value = 8};
    struct server_how how = {server_engine, refuse_call, &refusal};
    (void)state;
    char *dir = files_open(), log[512];
    snprintf(log, sizeof log, "%s/log", dir);
    server_spawn(&s, &how,
                 (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", "--access-log",
                                       log, NULL});
    server_await_ready(&s);
    client_expect(&s.addr, "/crypto?ms=1&where=work", 200, NULL);
    server_stop(&s);
    files_close(dir);
}

static void refuse_poll(void *arg)
{
    (void)arg;
#ifdef SYS_poll
    refuse_call(&(struct refusal){.call = SYS_poll, .err = EPERM});
#endif
    refuse_call(&(struct refusal){.call = SYS_ppoll, .err = EPERM});
    refuse_call(&(struct refusal){.call = SYS_pwritev2, .err = ENOSYS}); /* as of a file without */
}

static uint64_t cpu_ms(const struct server *s)
{
    clockid_t clock;
    struct timespec ts;
    assert_int_equal(clock_getcpuclockid(s->pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &ts), 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* What the server says is not lost, nor a line of the log, and no thread runs all the time. */
static void no_poll(void **state)
{
    struct server s;
    struct server_how how = {server_engine, refuse_poll, NULL};
    (void)state;
    char *dir = files_open(), *log = files_path(dir, "log");
    server_spawn(&s, &how,
                 (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", "--access-log",
                                       log, NULL});
    server_await_ready(&s);
    client_expect(&s.addr, "/plaintext", 200, NULL);
    uint64_t before = cpu_ms(&s);
    sleep_ms(500);
    assert_true(cpu_ms(&s) - before < 200);
    server_stop(&s);
    char *lines = files_read(log);
    assert_non_null(strstr(lines, "GET /plaintext"));
    free(lines);
    free(log);
    files_close(dir);
}

/* Its other end is this process's, and stays open. */
static void fill_stdout(void *arg)
{
    const int *full = arg;
    if (fcntl(*full, F_SETFL, O_NONBLOCK) < 0 || dup2(*full, STDOUT_FILENO) < 0) _exit(126);
    refuse_poll(NULL);
}

/* Nor does the thread of the log while it cannot wait for room. */
static void no_poll_of_a_full_stdout(void **state)
{
    struct server s;
    int full = unread_pipe();
    struct server_how how = {server_engine, fill_stdout, &full};
    (void)state;
    server_spawn(&s, &how,
                 (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", "--access-log",
                                       "-", NULL});
    server_await_ready(&s);
    client_expect(&s.addr, "/plaintext", 200, NULL);
    sleep_ms(500); /* until it is written */
    uint64_t before = cpu_ms(&s);
    sleep_ms(1000);
    assert_true(cpu_ms(&s) - before < 200);
    server_stop(&s);
    close(full);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_log_without_a_thread),
        cmocka_unit_test(an_access_log_without_an_eventfd),
        cmocka_unit_test(an_eventfd_that_cannot_be_read),
        cmocka_unit_test(no_poll),
        cmocka_unit_test(no_poll_of_a_full_stdout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
