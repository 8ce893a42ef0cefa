/* A server inside a program that has threads, signals and descriptors of its own (embedder.c). */

#include "client.h"
#include "files.h"
#include "sanitizer.h"
#include "stats.h"

#include <dirent.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINES = 200 };

#ifdef THREAD_SANITIZER /* it needs one table for all threads */
enum { OWN_TABLE = 0 };
#else
enum { OWN_TABLE = 1 };
#endif

/* What embedder.c had set up before the server started. */
#define LEFT_AS_FOUND "signals default default+blocked own default default\n"

/* The program's thread existed before the server and blocks no signal. */
static void test_signals_work_beside_another_thread(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        server_start(&s, "--drain-timeout", "1h");
        client_open(&c, &s);
        client_ask(&c, "GET", "/sleep", "");
        stats_await(&s, "total.requests_started", 1);
        for (int k = 0; k < 5; k++) server_signal(&s, SIGHUP);
        server_signal(&s, signals[i]);
        client_reply(&c, "GET", &r); /* the request in flight is answered */
        assert_string_equal(r.body, "slept");
        client_close(&c);
        reply_free(&r);
        assert_int_equal(server_wait(&s), 0);
        server_expect_log(&s, "embedder: status 0, " LEFT_AS_FOUND);
        server_free(&s);
    }
}

static pid_t find_thread(pid_t pid, const char *name)
{
    char path[64], comm[32];
    const struct dirent *e;
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    assert_non_null(threads);
    while ((e = readdir(threads)) && !found) {
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/comm", (int)pid, e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(comm, sizeof comm, f) && strncmp(comm, name, strlen(name)) == 0)
            found = atoi(e->d_name);
        if (f) fclose(f);
    }
    closedir(threads);
    assert_int_not_equal(found, 0);
    return found;
}

static void signal_thread(const struct server *s, const char *name, int number)
{
    assert_int_equal(syscall(SYS_tgkill, s->pid, find_thread(s->pid, name), number), 0);
}

/* The admin side has a descriptor table of its own. */
static void test_each_thread_passes_signals_on(void **state)
{
    static const char *const threads[] = {"embedder", "torc-0", "torc-admin"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct server s;
        server_start(&s, "--cores", "1");
        signal_thread(&s, threads[i], SIGTERM);
        assert_int_equal(server_wait(&s), 0);
        server_free(&s);
    }
}

static void test_handlers_of_the_program_find_its_descriptors(void **state)
{
    static const char *const threads[] = {"embedder", "torc-0", "torc-admin"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct server s;
        server_start(&s, "--cores", "1");
        signal_thread(&s, threads[i], SIGUSR1);
        server_signal(&s, SIGTERM);
        assert_int_equal(server_wait(&s), 0);
        assert_null(strstr(server_log(&s), "a note is lost"));
        server_free(&s);
    }
}

static void become_daemon(void *arg)
{
    (void)arg;
    setenv("EMBEDDER_IS_DAEMON", "yes", 1);
}

/* Between torc_server_new and torc_server_main. */
static void test_the_program_may_close_all_descriptors(void **state)
{
    struct server s;
    struct server_how how = {server_engine, become_daemon, NULL};
    char path[64], to[64] = {0};
    (void)state;
    server_spawn(&s, &how, (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", NULL});
    server_await_ready(&s);
    for (int fd = 0; fd < 2; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s.pid, fd);
        assert_true(readlink(path, to, sizeof to - 1) > 0);
        assert_string_equal(to, "/dev/null");
    }
    client_expect(&s.addr, "/sleep", 200, "slept");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

static void test_signals_are_restored_when_the_start_fails(void **state)
{
    struct server s;
    struct server_how how = {.engine = server_engine};
    (void)state;
    const char *const options[] = {"--listen", "192.0.2.1:1", NULL};
    assert_int_equal(server_run(&s, &how, options), 1);
    server_expect_log(&s, "embedder: status 1, " LEFT_AS_FOUND);
    server_free(&s);
}

static void test_a_running_server_is_busy(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1");
    client_expect(&s.addr, "/busy", 200, "-16 -16 -16 -16 -16"); /* -EBUSY each */
    client_expect(&s.addr, "/more", 404, NULL);
    server_stop(&s);
}

/* Every request's line arrives in the file, whichever core opened it and whichever writes. */
static void test_cores_share_descriptors(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    char *dir = files_open(), *path = files_path(dir, "lines"), want[16];
    server_start(&s, "--cores", server_two_cores(), "--lines", path);
    for (int i = 0; i < LINES; i++) {
        char ask[64];
        snprintf(ask, sizeof ask, "/line?text=line%d", i);
        client_fetch(&s.addr, ask, &r); /* on a connection of its own, so on either core */
        assert_int_equal(r.status, 200);
        assert_int_equal(strncmp(r.body, "core ", 5), 0);
    }
    char *text = files_read(path);
    assert_non_null(text);
    const char *at = text;
    for (int i = 0; i < LINES; i++) {
        int n = snprintf(want, sizeof want, "line%d\n", i);
        assert_int_equal(strncmp(at, want, (size_t)n), 0);
        at += n;
    }
    assert_string_equal(at, "");
    free(text);
    reply_free(&r);
    server_stop(&s);
    free(path);
    files_close(dir);
}

/* Threads whose descriptor table is not the main thread's (kcmp(2)); skips where that cannot be
 * told. */
static int count_private_tables(pid_t pid)
{
    char path[64];
    const struct dirent *e;
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    assert_non_null(threads);
    while ((e = readdir(threads))) {
        if (e->d_name[0] == '.') continue;
        long differ = syscall(SYS_kcmp, pid, atoi(e->d_name), KCMP_FILES, 0, 0);
        if (differ < 0) {
            print_message("kcmp(2) is unavailable\n");
            closedir(threads);
            skip();
        }
        n += differ != 0;
    }
    closedir(threads);
    return n;
}

static void test_private_descriptors_are_an_option(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1");
    assert_int_equal(count_private_tables(s.pid), OWN_TABLE); /* the admin side */
    server_stop(&s);
    server_start(&s, "--cores", "1", "--private-descriptors");
    assert_int_equal(count_private_tables(s.pid), 2 * OWN_TABLE); /* and the core */
    client_expect(&s.addr, "/sleep", 200, "slept");
    server_stop(&s);
}

/* The program goes on, and its exit status says what happened. */
static void test_a_handler_that_hangs_is_left_behind(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--cores", server_two_cores(), "--drain-timeout", "10ms");
    client_open(&c, &s);
    client_ask(&c, "GET", "/hang", "");
    stats_await(&s, "total.requests_started", 1);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 4);
    server_expect_log(&s,
                      "torc: a handler did not return after cancellation; stopping without it\n");
    server_expect_log(&s, "embedder: status 4, " LEFT_AS_FOUND);
    client_close(&c);
    server_free(&s);
}

/* The process ends as before, but says of what. */
static void test_a_stack_overflow_names_the_route(void **state)
{
    static const struct {
        const char *path, *route, *has;
    } cases[] = {
        {"/overflow/plain", "GET /overflow/:how", "128 KiB (raise --stack-size,"},
        {"/overflow/group", "GET /overflow/group", "128 KiB (raise --stack-size,"},
        {"/overflow/apart", "GET /overflow/apart",
         "256 KiB (raise the stack_size of torc_route_limit,"},
    };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct server s;
        struct client c;
        char want[192];
        server_start(&s, "--stack-size", "128k");
        client_open(&c, &s);
        client_ask(&c, "GET", cases[i].path, "");
        server_expect_fault(server_wait(&s));
        snprintf(want, sizeof want, "torc: stack overflow in the handler of %s: its stack has %s",
                 cases[i].route, cases[i].has);
        server_expect_log(&s, want);
        client_close(&c);
        server_free(&s);
    }
}

static void test_a_fault_names_the_route(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--cores", "1");
    client_open(&c, &s);
    client_ask(&c, "GET", "/fault", "");
    server_expect_fault(server_wait(&s));
    server_expect_log(&s, "torc: SIGSEGV at the address 0x40 in the handler of GET /fault\n");
    client_close(&c);
    server_free(&s);
}

/* The signal for backtraces is none that the program has blocked to wait for it. */
static void test_a_signal_that_is_waited_for_is_left(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1");
    client_expect(&s.addr, "/queue", 200, NULL);
    kill(s.pid, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    server_expect_log(&s, "embedder: the signal is there");
    server_free(&s);
}

static void test_waiting_on_another_thread_is_refused(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_open(&c, &s);
    client_sendf(&c, "POST /thread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, "-1 -1 -1 -1 -1 -1 -1"); /* -EPERM each */
    client_get(&c, "/thread", 200, &r);
    assert_string_equal(r.body, "-1 -1 -1 -1 -1 -1 -1");
    client_get(&c, "/sleep", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* The body that HEAD does without has no end: its handler must not hold up the core, and ends when
 * the server stops or the client has gone. */
static void head_of_an_endless_body(bool gone)
{
    struct server s;
    struct client head, other;
    struct reply r = {0};
    server_start(&s, "--cores", "1", "--drain-timeout", gone ? "1h" : "10ms");
    client_open(&head, &s);
    client_sendf(&head, "HEAD /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    client_reply(&head, "HEAD", &r);
    assert_int_equal(r.status, 200);
    client_open(&other, &s);
    client_get(&other, "/sleep", 200, &r);
    client_close(&other);
    reply_free(&r);
    if (gone) client_close(&head);
    server_stop(&s);
    if (!gone) client_close(&head);
}

static void test_an_endless_answer_to_head(void **state)
{
    (void)state;
    head_of_an_endless_body(false);
    head_of_an_endless_body(true);
}

/* It must not be taken for another fiber that writes. */
static void test_a_thread_that_writes_is_refused(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--cores", "1");
    client_open(&c, &s);
    client_ask(&c, "GET", "/thread/write", "");
    stats_await(&s, "total.requests_started", 1);
    client_expect(&s.addr, "/thread/written", 200, "-1"); /* -EPERM */
    client_reset(&c);
    server_stop(&s);
}

static void test_groups_of_another_request_are_refused(void **state)
{
    struct server s;
    struct client lender;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_open(&lender, &s);
    client_ask(&lender, "GET", "/lend", "");
    stats_await(&s, "total.requests_started", 1);
    client_expect(&s.addr, "/borrow", 200, "-1 -1"); /* -EPERM each */
    client_reply(&lender, "GET", &r);
    assert_string_equal(r.body, "0");
    client_close(&lender);
    reply_free(&r);
    server_stop(&s);
}

static void test_any_fiber_of_the_request_may_join(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1");
    client_expect(&s.addr, "/group/own", 200, "-35 -35"); /* -EDEADLK each: it runs in them */
    client_expect(&s.addr, "/group/inner", 200, "5 0 0"); /* and its errno is its own */
    server_stop(&s);
}

/* The process ends as it would without torc. */
static void test_a_fault_that_is_sent_ends_the_process(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1");
    server_signal(&s, SIGSEGV);
    server_expect_fault(server_wait(&s));
    server_free(&s);
}

static void test_errno_belongs_to_the_request(void **state)
{
    struct server s;
    struct client c[8];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    for (int i = 0; i < 8; i++) {
        char path[32];
        snprintf(path, sizeof path, "/errno?n=%c", 'a' + i);
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", path, "");
    }
    for (int i = 0; i < 8; i++) {
        client_reply(&c[i], "GET", &r);
        assert_string_equal(r.body, "mine");
        client_close(&c[i]);
    }
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_work_beside_another_thread),
        cmocka_unit_test(test_each_thread_passes_signals_on),
        cmocka_unit_test(test_handlers_of_the_program_find_its_descriptors),
        cmocka_unit_test(test_the_program_may_close_all_descriptors),
        cmocka_unit_test(test_signals_are_restored_when_the_start_fails),
        cmocka_unit_test(test_a_running_server_is_busy),
        cmocka_unit_test(test_cores_share_descriptors),
        cmocka_unit_test(test_private_descriptors_are_an_option),
        cmocka_unit_test(test_a_handler_that_hangs_is_left_behind),
        cmocka_unit_test(test_a_stack_overflow_names_the_route),
        cmocka_unit_test(test_a_fault_names_the_route),
        cmocka_unit_test(test_a_signal_that_is_waited_for_is_left),
        cmocka_unit_test(test_waiting_on_another_thread_is_refused),
        cmocka_unit_test(test_an_endless_answer_to_head),
        cmocka_unit_test(test_a_thread_that_writes_is_refused),
        cmocka_unit_test(test_groups_of_another_request_are_refused),
        cmocka_unit_test(test_any_fiber_of_the_request_may_join),
        cmocka_unit_test(test_a_fault_that_is_sent_ends_the_process),
        cmocka_unit_test(test_errno_belongs_to_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
