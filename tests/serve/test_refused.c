/* Servers to which the kernel or the administrator refuses something, at the start or later. */

#include "torc.h"

#include "client.h"
#include "files.h"
#include "json.h"
#include "refuse.h"
#include "server.h"
#include "stats.h"

#include <errno.h>
#include <netinet/in.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAP_LOCK = 14 /* CAP_IPC_LOCK: no limit of locked memory */, KIB = 1024 };

static const char *program; /* the server under test; this one is a server, too: see serve() */

static bool has_ring(void)
{
    return strcmp(server_engine, "io_uring") == 0;
}

static bool has_epoll(void)
{
    struct server s;
    struct server_how how = {.engine = "epoll"};
    int status = server_run(&s, &how, (const char *const[]){"--check", NULL});
    server_free(&s);
    return status == 0;
}

/* ---- io_uring ---- */

static void a_refused_call_is_named(void **state)
{
    static const struct {
        const char *name;
        int number;
    } calls[] = {{"io_uring_enter", SYS_io_uring_enter},
                 {"io_uring_register", SYS_io_uring_register}};
    static const int errors[] = {EPERM, ENOSYS, EACCES};
    (void)state;
    if (!has_ring()) return;
    for (int i = 0; i < 6; i++) {
        struct server s;
        struct refusal refusal = {.call = calls[i % 2].number, .err = errors[i / 2]};
        struct server_how how = {"io_uring", refuse_call, &refusal};
        const char *const options[] = {"--listen", "127.0.0.1:0", "--cores", "1", NULL};
        assert_int_equal(server_run(&s, &how, options), 3);
        assert_non_null(strstr(server_log(&s), calls[i % 2].name));
        assert_non_null(strstr(server_log(&s), strerror(errors[i / 2])));
        assert_non_null(strstr(server_log(&s), "seccomp"));
        assert_null(strstr(server_log(&s), "too old"));
        assert_null(strstr(server_log(&s), "ready"));
        server_free(&s);
        if (!has_epoll()) continue;
        how.engine = NULL;
        server_spawn(&s, &how, options);
        server_await_ready(&s);
        assert_non_null(strstr(server_log(&s), "; continuing on epoll\n"));
        assert_non_null(strstr(server_log(&s), "engine=epoll"));
        client_expect(&s.addr, "/plaintext", 200, NULL);
        server_stop(&s);
    }
}

/* ---- locked memory ---- */

static void limit_locked_memory(void *arg)
{
    rlim_t bytes = (rlim_t) * (const int *)arg * KIB;
    struct rlimit limit = {bytes, bytes};
    prctl(PR_CAPBSET_DROP, CAP_LOCK, 0, 0, 0); /* fails where the capability is not there anyway */
    if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0) _exit(125);
}

/* Kernels differ in whether they count a ring as locked memory; where it does not fit it is
 * smaller, or there is none, and the message says why. Nothing is called missing. */
static void locked_memory(void **state)
{
    static int limits[] = {4, 16, 32, 64, 96, 128, 192, 8192};
    const char *const options[] = {"--listen", "127.0.0.1:0", "--cores", "1", NULL};
    (void)state;
    if (!has_ring() || !has_epoll()) return;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct server s;
        struct server_how how = {NULL, limit_locked_memory, &limits[i]};
        server_spawn(&s, &how, options);
        server_await_ready(&s);
        client_expect(&s.addr, "/plaintext", 200, NULL);
        bool full = strstr(server_log(&s), "engine=io_uring cores=1 depth=512 ");
        assert_int_equal(full, !strstr(server_log(&s), "ulimit -l"));
        assert_null(strstr(server_log(&s), "lacks"));
        server_stop(&s);

        how.engine = "io_uring";
        int status = server_run(&s, &how, (const char *const[]){"--check", "--cores", "1", NULL});
        assert_true(status == 0 || status == 3);
        if (status == 3) assert_non_null(strstr(server_log(&s), "ulimit -l"));
        server_free(&s);
    }
}

static bool may_lock_all(void)
{
    const ino_t first = 0xEFFFFFFDU; /* user namespace */
    struct stat st;
    return prctl(PR_CAPBSET_READ, CAP_LOCK, 0, 0, 0) == 1 && geteuid() == 0 &&
           stat("/proc/self/ns/user", &st) == 0 && st.st_ino == first;
}

static void refuse_memory(void *arg)
{
    const bool *locked = arg;
    if (*locked) prctl(PR_CAPBSET_DROP, CAP_LOCK, 0, 0, 0);
    refuse_call(&(struct refusal){.call = SYS_io_uring_setup, .err = ENOMEM});
}

/* Who may lock what they like is not told to raise the limit. */
static void no_memory_of_the_kernel(void **state)
{
    (void)state;
    if (!has_ring()) return;
    for (int locked = 0; locked <= 1; locked++) {
        struct server s;
        bool counted = locked;
        struct server_how how = {"io_uring", refuse_memory, &counted};
        if (!locked && !may_lock_all()) continue;
        assert_int_equal(server_run(&s, &how, (const char *const[]){"--check", NULL}), 3);
        assert_non_null(strstr(server_log(&s), counted ? "ulimit -l" : "io_uring_setup failed"));
        assert_int_equal(counted, strstr(server_log(&s), "ulimit -l") != NULL);
        server_free(&s);
    }
}

/* ---- the limit of processes ---- */

/* As many threads as the server has, for a user with no others: the program's, its core, the one
 * that watches for stalls, and the control thread. */
static void limit_processes(void *arg)
{
    struct rlimit limit = {4, 4};
    (void)arg;
    uid_t user = (uid_t)(100000 + getpid());
    if (setrlimit(RLIMIT_NPROC, &limit) < 0 || setresgid(user, user, user) < 0 ||
        setresuid(user, user, user) < 0)
        _exit(125);
    if (access(program, X_OK) < 0) _exit(77);
}

static void files_without_worker_threads(void **state)
{
    struct server s;
    struct server_how how = {server_engine, limit_processes, NULL};
    int status;
    (void)state;
    if (geteuid() != 0) skip();
    char *dir = files_open();
    files_write(dir, "one", "1", 1);
    files_write(dir, "two", "2", 1);
    assert_int_equal(chmod(dir, 0755), 0);
    server_spawn(
        &s, &how,
        (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", "--root", dir, NULL});
    while (!server_has_ended(&s, &status) && !strstr(server_log(&s), "ready")) sleep_ms(10);
    if (strstr(server_log(&s), "ready")) {
        server_await_ready(&s);
        client_expect(&s.addr, "/static/one", 200, NULL);
        client_expect(&s.addr, "/static/two", 200, NULL);
        client_expect(&s.addr, "/static/three", 404, NULL);
        const char *told = strstr(server_log(&s), "the kernel makes no worker threads (the limit");
        assert_int_equal(!told, strcmp(server_engine, "io_uring") != 0);
        assert_true(!told || !strstr(told + 1, "the kernel makes"));
        server_stop(&s);
    } else {
        server_free(&s);
        assert_int_equal(status, 77);
    }
    files_close(dir);
}

/* ---- openat2 ---- */

static void openat2(void **state)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES};
    (void)state;
    char *dir = files_open();
    files_write(dir, "file", "1", 1);
    for (int i = 0; i < 3; i++) {
        struct server s;
        struct refusal refusal = {.call = SYS_openat2, .err = errors[i]};
        struct server_how how = {server_engine, refuse_call, &refusal};
        server_spawn(
            &s, &how,
            (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", "--root", dir, NULL});
        server_await_ready(&s);
        client_expect(&s.addr, "/static/file", 200, NULL);
        client_expect(&s.addr, "/static/none", 404, NULL);
        /* A ring has openat2 of its own, which no filter sees. */
        assert_int_equal(strstr(server_log(&s), "openat2 is not permitted") != NULL, !has_ring());
        server_stop(&s);

        server_run(&s, &how, (const char *const[]){"--check", "--root", dir, NULL});
        assert_int_equal(strstr(server_log(&s), "files        opened by openat2") == NULL,
                         !has_ring());
        server_free(&s);
        how.engine = server_engine;
        server_run(&s, &how, (const char *const[]){"--check", "--json", NULL});
        json_t *json = json_read(server_log(&s));
        assert_true(json_is(json, "openat2", has_ring() ? "true" : "false"));
        json_decref(json);
        server_free(&s);
    }
    files_close(dir);
}

/* ---- IPv6 ---- */

/* As by RestrictAddressFamilies= of systemd, or where the kernel was started without it. */
static void all_addresses_are_those_that_there_are(void **state)
{
    struct refusal refusal = {SYS_socket, EAFNOSUPPORT, 1, AF_INET6};
    struct server_how how = {server_engine, refuse_call, &refusal};
    struct server s;
    (void)state;
    const char *const all[] = {"--listen", "*:0", "--cores", "2", "--admin", "*:0", NULL};
    server_spawn(&s, &how, all);
    server_await_ready(&s);
    assert_non_null(strstr(server_log(&s), "ready http://0.0.0.0:"));
    assert_non_null(strstr(server_log(&s), "admin http://0.0.0.0:"));
    for (int i = 0; i < 4; i++) client_expect(&s.addr, "/plaintext", 200, NULL);
    struct server second;
    char text[32];
    const struct sockaddr_in *first = (const struct sockaddr_in *)&s.addr.storage;
    snprintf(text, sizeof text, "*:%u", (unsigned)ntohs(first->sin_port));
    assert_int_equal(
        server_run(&second, &how, (const char *const[]){"--listen", text, "--cores", "1", NULL}),
        1);
    assert_non_null(strstr(server_log(&second), "Address already in use"));
    server_free(&second);
    server_stop(&s);
    const char *const six[] = {"--listen", "[::]:0", "--cores", "1", NULL};
    assert_int_equal(server_run(&s, &how, six), 1);
    assert_non_null(strstr(server_log(&s), "cannot listen on [::]:0: Address family"));
    server_free(&s);
}

/* ---- limits and CPUs ---- */

static unsigned times(const char *log, const char *text)
{
    unsigned n = 0;
    for (const char *at = log; (at = strstr(at, text)); at++) n++;
    return n;
}

static void what_is_not_raised_or_pinned_is_told_once(void **state)
{
    static const struct {
        struct refusal refusal;
        const char *text;
    } cases[] = {
        {{.call = SYS_sched_setaffinity, .err = EPERM}, "cannot pin thread torc-0 to CPU "},
#if !defined(__SANITIZE_ADDRESS__) /* which needs that call itself */
        {{.call = SYS_prlimit64, .err = EPERM},
         "cannot raise the limit of descriptors (ulimit -n): Operation not permitted\n"},
#endif
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        struct refusal refusal = cases[i].refusal;
        struct server_how how = {server_engine, refuse_call, &refusal};
        server_spawn(&s, &how,
                     (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", NULL});
        server_await_ready(&s);
        client_expect(&s.addr, "/plaintext", 200, NULL);
        assert_int_equal(times(server_log(&s), cases[i].text), 1);
        server_stop(&s);
    }
    struct server s;
    struct refusal refusal = cases[0].refusal;
    struct server_how how = {"threads", refuse_call, &refusal};
    server_spawn(&s, &how,
                 (const char *const[]){"--listen", "127.0.0.1:0", "--threads", "5", NULL});
    server_await_ready(&s);
    assert_int_equal(times(server_log(&s), "cannot keep the threads to the CPUs of --cores\n"), 1);
    assert_int_equal(times(server_log(&s), "cannot pin"), 0);
    server_stop(&s);
}

/* ---- later ---- */

static void refuse_now(torc_req *rq, void *arg)
{
    (void)arg;
    /* On the core's own thread. */
    refuse_call(&(struct refusal){.call = SYS_io_uring_enter, .err = EPERM});
    refuse_call(&(struct refusal){.call = SYS_epoll_pwait, .err = EPERM});
#ifdef SYS_epoll_wait
    refuse_call(&(struct refusal){.call = SYS_epoll_wait, .err = EPERM});
#endif
    torc_replyf(rq, 200, "refused");
}

/* As at the limit of fs.epoll.max_user_watches. */
static void refuse_watches(torc_req *rq, void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){SYS_epoll_ctl, ENOSPC, 2, EPOLL_CTL_ADD});
    torc_replyf(rq, 200, "refused");
}

static void refuse_sending(torc_req *rq, void *arg)
{
    (void)arg;
    if (torc_start(rq, 200, NULL, 10) < 0) return;
    refuse_call(&(struct refusal){.call = SYS_sendto, .err = EPERM});
    refuse_call(&(struct refusal){.call = SYS_sendmsg, .err = EPERM});
    torc_sleep(rq, 60000);
}

/* From now on io_uring_enter fails with EAGAIN each time, as it does while memory is short. */
static void put_off(torc_req *rq, void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_io_uring_enter, .err = EAGAIN});
    torc_replyf(rq, 200, "never sent");
}

/* As where there was no memory for completions. */
static void lose(torc_req *rq, void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_io_uring_enter, .err = EBADR});
    torc_replyf(rq, 200, "never sent");
}

static void replace_file(torc_req *rq, void *arg)
{
    torc_file *file;
    (void)arg;
    int err = torc_file_temp(rq, getenv("DIRECTORY"), &file);
    if (err == 0) err = torc_file_link(rq, file, getenv("FILE"), true);
    torc_replyf(rq, err < 0 ? 500 : 200, "%d", err);
}

static int serve(int argc, char **argv)
{
    static torc_server *s; /* one that is not freed, as its engine failed, is no leak */
    s = torc_server_new("test");
    if (!s || torc_route(s, "GET", "/refuse", refuse_now, NULL) < 0 ||
        torc_route(s, "GET", "/replace", replace_file, NULL) < 0 ||
        torc_route(s, "GET", "/refuse/watches", refuse_watches, NULL) < 0 ||
        torc_route(s, "GET", "/refuse/sending", refuse_sending, NULL) < 0 ||
        torc_route(s, "GET", "/refuse/later", put_off, NULL) < 0 ||
        torc_route(s, "GET", "/lose", lose, NULL) < 0)
        return 125;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}

#define start(s, ...) server_start_program(s, "/proc/self/exe", __VA_ARGS__)

/* Random numbers are for a name that nobody uses; any such name will do. */
static void a_file_is_replaced_without_random_numbers(void **state)
{
    struct server s;
    struct refusal refusal = {.call = SYS_getrandom, .err = EPERM};
    struct server_how how = {server_engine, refuse_call, &refusal};
    (void)state;
    char *dir = files_open(), *file = files_path(dir, "file");
    setenv("DIRECTORY", dir, 1);
    setenv("FILE", file, 1);
    server_program = "/proc/self/exe";
    server_spawn(&s, &how, (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", NULL});
    server_program = program;
    server_await_ready(&s);
    for (int i = 0; i < 3; i++) client_expect(&s.addr, "/replace", 200, NULL);
    server_stop(&s);
    free(file);
    files_close(dir);
}

#if !defined(__SANITIZE_ADDRESS__) /* which needs that call itself */
/* It serves, but cannot drain. */
static void signals_that_cannot_be_caught_are_told_of(void **state)
{
    struct server s;
    struct refusal refusal = {.call = SYS_rt_sigaction, .err = EPERM};
    struct server_how how = {server_engine, refuse_call, &refusal};
    (void)state;
    server_spawn(&s, &how, (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", NULL});
    server_await_ready(&s);
    client_expect(&s.addr, "/plaintext", 200, NULL);
    assert_non_null(strstr(server_log(&s), "cannot catch signals: Operation not permitted"));
    server_signal(&s, SIGTERM);
    server_wait(&s);
    server_free(&s);
}
#endif

/* Once it is refused for good, the server ends and says why. */
static void a_call_refused_later_ends_the_server(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    start(&s, "--cores", server_two_cores());
    client_open(&c, &s);
    client_ask(&c, "GET", "/refuse", "");
    assert_int_equal(server_wait(&s), 1);
    assert_non_null(strstr(server_log(&s), has_ring()
                                               ? "io_uring_enter failed: Operation not permitted"
                                               : "epoll_wait failed: Operation not permitted"));
    client_close(&c);
    server_free(&s);
}

/* Nor does it lose lines of the access log: its thread is not that core's. */
static void the_access_log_is_whole_then(void **state)
{
    char *dir = files_open(), *path = files_path(dir, "log");
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    start(&s, "--cores", "1", "--access-log", path);
    client_open(&c, &s);
    for (int i = 0; i < 100; i++) client_get(&c, "/none", 404, &r);
    client_ask(&c, "GET", "/refuse", "");
    assert_int_equal(server_wait(&s), 1);
    unsigned lines = 0;
    char *text = files_read(path);
    for (const char *at = text; at && (at = strstr(at, "GET /none ")); at++) lines++;
    assert_int_equal(lines, 100);
    free(text);
    client_close(&c);
    reply_free(&r);
    server_free(&s);
    free(path);
    files_close(dir);
}

/* The core tries on, says why nothing moves, and gives up in the end. */
static void a_call_put_off_for_long(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    if (!has_ring()) return;
    start(&s, "--cores", "1");
    client_open(&c, &s);
    client_ask(&c, "GET", "/refuse/later", "");
    server_await_log(&s, "io_uring_enter fails again and again: Resource temporarily unavailable");
    assert_int_equal(server_wait(&s), 1);
    assert_non_null(
        strstr(server_log(&s), "io_uring_enter failed: Resource temporarily unavailable"));
    client_close(&c);
    server_free(&s);
}

/* What was lost nobody can wait for: the server ends. */
static void lost_completions_end_the_server(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    if (!has_ring()) return;
    start(&s, "--cores", server_two_cores());
    client_open(&c, &s);
    client_ask(&c, "GET", "/lose", "");
    assert_int_equal(server_wait(&s), 1);
    const char *told = strstr(server_log(&s), "the kernel has lost completions");
    assert_non_null(told);
    assert_null(strstr(told + 1, "the kernel has lost completions"));
    client_close(&c);
    server_free(&s);
}

static void a_client_that_cannot_be_watched_is_told_of(void **state)
{
    struct server s;
    struct client known, next;
    struct reply r = {0};
    (void)state;
    if (has_ring()) return; /* it registers nothing for a client */
    start(&s, "--cores", "1");
    client_open(&known, &s);
    client_get(&known, "/refuse/watches", 200, &r);
    client_open(&next, &s);
    char byte;
    assert_true(recv(next.fd, &byte, 1, 0) <= 0); /* closed */
    assert_non_null(strstr(server_log(&s), "fs.epoll.max_user_watches"));
    client_get(&known, "/refuse/watches", 200, &r);
    client_close(&known);
    client_close(&next);
    reply_free(&r);
    server_stop(&s);
}

/* What the system refuses is not counted as the client's doing. */
static void sending_that_is_refused_is_told_of(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    if (has_ring()) return; /* it sends without the system call */
    start(&s, "--cores", "1");
    client_open(&c, &s);
    client_ask(&c, "GET", "/refuse/sending", "");
    stats_await(&s, "total.requests_aborted_server", 1);
    assert_true(stats_number(&s, "total.requests_aborted_client") == 0);
    assert_true(stats_number(&s, "total.connections_reset") == 0);
    assert_non_null(strstr(server_log(&s), "cannot send to a client: Operation not permitted"));
    client_close(&c);
    server_stop(&s);
}

/* ---- timers ---- */

static void timers(void **state)
{
    static const int calls[] = {SYS_timerfd_create, SYS_timerfd_settime};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        struct refusal refusal = {.call = calls[i], .err = EPERM};
        struct server_how how = {server_engine, refuse_call, &refusal};
        server_spawn(&s, &how,
                     (const char *const[]){"--listen", "127.0.0.1:0", "--cores", "1", NULL});
        server_await_ready(&s);
        for (int k = 0; k < 5; k++) client_expect(&s.addr, "/delay/30", 200, NULL);
        server_stop(&s);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == '-') return serve(argc, argv);
    server_choose(argc, argv);
    program = server_program;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_call_is_named),
        cmocka_unit_test(locked_memory),
        cmocka_unit_test(no_memory_of_the_kernel),
        cmocka_unit_test(files_without_worker_threads),
        cmocka_unit_test(openat2),
        cmocka_unit_test(all_addresses_are_those_that_there_are),
        cmocka_unit_test(what_is_not_raised_or_pinned_is_told_once),
        cmocka_unit_test(a_file_is_replaced_without_random_numbers),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(signals_that_cannot_be_caught_are_told_of),
#endif
        cmocka_unit_test(a_call_refused_later_ends_the_server),
        cmocka_unit_test(the_access_log_is_whole_then),
        cmocka_unit_test(a_call_put_off_for_long),
        cmocka_unit_test(lost_completions_end_the_server),
        cmocka_unit_test(a_client_that_cannot_be_watched_is_told_of),
        cmocka_unit_test(sending_that_is_refused_is_told_of),
        cmocka_unit_test(timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
