/* A server's life inside a program that goes on: torc_server_start, _join, _stop and what is around
 * them, in this process, on the engine that is named. */

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "sanitizer.h"

#include <torc.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *engine;

/* ---- servers ---- */

static void on_hello(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("hello"));
}

static void on_stop(torc_req *rq, void *arg)
{
    torc_server_stop(*(torc_server **)arg);
    torc_reply(rq, 200, NULL, TORC_S("stopped"));
}

static _Atomic bool sleeps, has_slept;

static void on_sleep(torc_req *rq, void *arg)
{
    (void)arg;
    sleeps = true;
    has_slept = torc_sleep(rq, 200) == 0;
    torc_reply(rq, 200, NULL, TORC_S("slept"));
}

static void on_forever(torc_req *rq, void *arg)
{
    (void)arg;
    sleeps = true;
    torc_sleep(rq, 3600 * 1000);
}

static void set(torc_server *s, const char *option, const char *value)
{
    int err = torc_server_set(s, option, value);
    if (err < 0) print_error("%s\n", torc_server_error(s));
    assert_int_equal(err, 0);
}

/* Not started. */
static torc_server *new_server(void)
{
    torc_server *s = torc_server_new("life 1.0");
    assert_non_null(s);
    set(s, "engine", engine);
    set(s, "listen", "127.0.0.1:0");
    set(s, "cores", "1");
    set(s, "threads", "4");
    set(s, "drain-timeout", "1m");
    assert_int_equal(torc_route(s, "GET", "/hello", on_hello, NULL), 0);
    assert_int_equal(torc_route(s, "GET", "/sleep", on_sleep, NULL), 0);
    assert_int_equal(torc_route(s, "GET", "/forever", on_forever, NULL), 0);
    sleeps = has_slept = false;
    return s;
}

static void start(torc_server *s)
{
    int err = torc_server_start(s);
    if (err < 0) print_error("%s\n", torc_server_error(s));
    assert_int_equal(err, 0);
}

static torc_server *started_server(void)
{
    torc_server *s = new_server();
    start(s);
    return s;
}

static void connect_to(struct client *c, const torc_server *s, unsigned listener)
{
    struct server_addr addr;
    const char *text = torc_server_address(s, listener);
    assert_non_null(text);
    server_addr_parse(text, &addr);
    client_open_to(c, &addr, NULL);
}

static void get_by(const torc_server *s, unsigned listener, const char *path, const char *body)
{
    struct client c;
    struct reply r = {0};
    connect_to(&c, s, listener);
    client_get(&c, path, 200, &r);
    assert_string_equal(r.body, body);
    client_close(&c);
    reply_free(&r);
}

static void get(const torc_server *s, const char *path, const char *body)
{
    get_by(s, 0, path, body);
}

static void end(torc_server *s)
{
    torc_server_stop(s);
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
}

static bool is_refused(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = tcp_try_connect((struct sockaddr *)&a, sizeof a, NULL);
    if (fd >= 0) close(fd);
    return fd == -ECONNREFUSED;
}

/* A socket that listens, as another program's. */
static int occupy(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

/* ---- order ---- */

static void starts_serves_and_stops(void **state)
{
    char want[64];
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_server_port(s, 0), -EINVAL);
    assert_null(torc_server_address(s, 0));
    assert_int_equal(torc_server_join(s), -EINVAL);
    start(s);
    int port = torc_server_port(s, 0);
    assert_true(port > 0);
    snprintf(want, sizeof want, "127.0.0.1:%d", port);
    assert_string_equal(torc_server_address(s, 0), want);
    assert_int_equal(torc_server_port(s, 1), -EINVAL);
    assert_int_equal(torc_server_port(s, TORC_ADMIN), -EINVAL);
    assert_null(torc_server_address(s, TORC_ADMIN));
    get(s, "/hello", "hello");
    torc_server_stop(s);
    torc_server_stop(s);
    assert_int_equal(torc_server_join(s), 0);
    assert_true(is_refused(port));
    assert_int_equal(torc_server_join(s), 0);
    assert_int_equal(torc_server_port(s, 0), port);
    torc_server_free(s);
}

static void *ask_address(void *arg)
{
    const char *found;
    while (!(found = torc_server_address(arg, TORC_ADMIN))) sched_yield();
    assert_in_range(strlen(found), strlen("127.0.0.1:1"), strlen("127.0.0.1:65535"));
    assert_true(torc_server_port(arg, TORC_ADMIN) > 0);
    return NULL;
}

/* Whoever asks all the time gets the whole of it as soon as there is one. */
static void addresses_are_known_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        torc_server *s = new_server();
        set(s, "admin", "127.0.0.1:0");
        assert_int_equal(pthread_create(&thread, NULL, ask_address, s), 0);
        start(s);
        pthread_join(thread, NULL);
        end(s);
    }
}

static void what_comes_too_late_is_refused(void **state)
{
    const char *value;
    char *argv[] = {"life", NULL};
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_route(s, "GET", "no", on_hello, NULL), -EINVAL);
    start(s);
    assert_string_equal(torc_server_error(s), ""); /* no longer that of the route */
    assert_int_equal(torc_server_start(s), -EBUSY);
    assert_string_equal(torc_server_error(s), "the server cannot start: it has started already");
    assert_int_equal(torc_server_parse(s, 1, argv), -EBUSY);
    assert_string_equal(torc_server_error(s),
                        "the command line is read once, before the server starts");
    assert_int_equal(torc_server_main(s, 1, argv), -EBUSY);
    assert_int_equal(torc_server_set(s, "depth", "8"), -EBUSY);
    assert_int_equal(torc_server_option(s, "more", NULL, "", &value), -EBUSY);
    assert_int_equal(torc_route(s, "GET", "/more", on_hello, NULL), -EBUSY);
    get(s, "/hello", "hello");
    torc_server_stop(s);
    assert_int_equal(torc_server_join(s), 0);
    assert_int_equal(torc_server_start(s), -EBUSY);
    assert_string_equal(torc_server_error(s),
                        "the server cannot start: it has ended, and another has to be made");
    torc_server_free(s);
}

static void methods_are_case_sensitive(void **state)
{
    static const char *const cases[][2] = {
        {"get", "unsupported method get: methods are case-sensitive, GET?"},
        {"Options", "unsupported method Options: methods are case-sensitive, OPTIONS?"},
        {"gets", "unsupported method gets"},
        {"", "unsupported method "},
        {"get-and-head-and-so-on", "unsupported method get-and-head-and-so-on"},
    };
    (void)state;
    torc_server *s = new_server();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(torc_route(s, cases[i][0], "/x", on_hello, NULL), -EINVAL);
        assert_string_equal(torc_server_error(s), cases[i][1]);
    }
    torc_server_free(s);
}

static void a_stop_before_the_start_is_kept(void **state)
{
    (void)state;
    torc_server *s = new_server();
    torc_server_stop(s);
    start(s);
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
}

static void a_handler_may_stop_its_server(void **state)
{
    torc_server *s = new_server();
    (void)state;
    assert_int_equal(torc_route(s, "GET", "/stop", on_stop, &s), 0);
    start(s);
    get(s, "/stop", "stopped");
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
}

static void free_stops_what_runs(void **state)
{
    (void)state;
    torc_server *s = started_server();
    int port = torc_server_port(s, 0);
    torc_server_free(s);
    assert_true(is_refused(port));
    torc_server_free(new_server());
}

static void await(const _Atomic bool *what)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && !*what; i++) sleep_ms(10);
    assert_true(*what);
}

/* Nobody waits for it, and still it answers what is in flight, and keeps its time. */
static void it_drains_by_itself(void **state)
{
    struct client c;
    struct reply r = {0};
    (void)state;
    torc_server *s = started_server();
    int port = torc_server_port(s, 0);
    connect_to(&c, s, 0);
    client_ask(&c, "GET", "/sleep", "");
    await(&sleeps);
    torc_server_stop(s);
    client_reply(&c, "GET", &r);
    assert_string_equal(r.body, "slept");
    client_close(&c);
    reply_free(&r);
    for (int i = 0; i < SERVER_SECONDS * 100 && !is_refused(port); i++) sleep_ms(10);
    assert_true(is_refused(port));
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
}

static void the_time_of_the_drain_needs_nobody(void **state)
{
    struct client c;
    (void)state;
    torc_server *s = new_server();
    set(s, "drain-timeout", "50ms");
    start(s);
    connect_to(&c, s, 0);
    client_ask(&c, "GET", "/forever", "");
    await(&sleeps);
    torc_server_stop(s);
    client_await_close(&c);
    client_close(&c);
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
}

/* The program's own, as ss -K would: no system call tells the two apart. */
static void shut_down_listener(int port)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in a = {0};
        int listens = 0;
        socklen_t len = sizeof a, size = sizeof listens;
        if (getsockname(fd, (struct sockaddr *)&a, &len) < 0 || ntohs(a.sin_port) != port) continue;
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
        if (listens) assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    }
}

static void one_that_nobody_can_reach_ends(void **state)
{
    (void)state;
    torc_server *s = started_server();
    get(s, "/hello", "hello");
    shut_down_listener(torc_server_port(s, 0));
    assert_int_equal(torc_server_join(s), 1);
    torc_server_free(s);
}

/* ---- what it says ---- */

/* Starts and ends a server; what it has written to stderr meanwhile. */
static void lives_aloud(torc_server *s, char *said, size_t size)
{
    FILE *log = tmpfile();
    assert_non_null(log);
    int was = dup(STDERR_FILENO);
    dup2(fileno(log), STDERR_FILENO);
    int err = torc_server_start(s);
    if (err == 0) torc_server_stop(s);
    if (err == 0) torc_server_join(s);
    torc_server_free(s);
    dup2(was, STDERR_FILENO);
    close(was);
    rewind(log);
    said[fread(said, 1, size - 1, log)] = '\0';
    fclose(log);
    assert_int_equal(err, 0);
}

static void files_alone_need_a_root(void **state)
{
    char said[4096];
    (void)state;
    torc_server *s = torc_server_new("files 1.0");
    set(s, "engine", engine);
    set(s, "listen", "127.0.0.1:0");
    set(s, "cores", "1");
    assert_int_equal(torc_static(s, "/"), 0);
    assert_int_equal(torc_static(s, "/more/"), 0);
    lives_aloud(s, said, sizeof said);
    assert_non_null(strstr(said, "every request will be answered with 404"));
    s = new_server();
    assert_int_equal(torc_static(s, "/"), 0);
    lives_aloud(s, said, sizeof said);
    assert_null(strstr(said, "404"));
}

/* ---- who cannot wait for its end ---- */

static int join_in_job(torc_job *job, void *arg)
{
    (void)job;
    return torc_server_join(arg);
}

static void on_join(torc_req *rq, void *arg)
{
    torc_server *s = *(torc_server **)arg;
    int joined = torc_server_join(s), run = torc_server_run(s);
    torc_replyf(rq, 200, "%d %d %d", joined, run, torc_work(rq, join_in_job, s, NULL));
}

static void on_free(torc_req *rq, void *arg)
{
    torc_server_free(*(torc_server **)arg);
    torc_reply(rq, 200, NULL, TORC_S("stopped"));
}

static void its_own_threads_do_not_wait_for_it(void **state)
{
    char want[64];
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_route(s, "GET", "/join", on_join, &s), 0);
    assert_int_equal(torc_route(s, "GET", "/free", on_free, &s), 0);
    start(s);
    snprintf(want, sizeof want, "%d %d %d", -EDEADLK, -EDEADLK, -EDEADLK);
    get(s, "/join", want);
    get(s, "/hello", "hello");
    get(s, "/free", "stopped");
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
}

static void a_child_does_not_wait_for_it(void **state)
{
    int status = -1;
    (void)state;
    torc_server *s = started_server();
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        bool refused = torc_server_join(s) == -ECHILD && torc_server_run(s) == -ECHILD;
        torc_server_free(s);
        _exit(refused ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    get(s, "/hello", "hello");
    end(s);
}

static void one_that_has_ended_is_not_ready(void **state)
{
    (void)state;
    torc_server *s = started_server();
    torc_server_stop(s);
    assert_int_equal(torc_server_join(s), 0);
    assert_int_equal(torc_server_run(s), 0);
    assert_int_equal(torc_server_run(s), -EBUSY);
    torc_server_free(s);
}

static void *join(void *arg)
{
    return (void *)(intptr_t)torc_server_join(arg);
}

static void any_number_may_join(void **state)
{
    pthread_t thread[4];
    (void)state;
    torc_server *s = started_server();
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, join, s), 0);
    torc_server_stop(s);
    for (int i = 0; i < 4; i++) {
        void *status;
        pthread_join(thread[i], &status);
        assert_null(status);
    }
    torc_server_free(s);
}

/* ---- a start that fails ---- */

static int fail_if_told(torc_req *rq, void *arg)
{
    (void)rq;
    return *(int *)arg ? -EPROTO : 0;
}

static void a_taken_address_can_be_mended(void **state)
{
    char address[64];
    int port, other = occupy(&port);
    (void)state;
    torc_server *s = torc_server_new("life 1.0");
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    set(s, "engine", engine);
    set(s, "listen", address);
    set(s, "admin", "127.0.0.1:0");
    set(s, "max-connections-per-client", "64");
    assert_int_equal(torc_server_start(s), -EADDRINUSE);
    assert_non_null(strstr(torc_server_error(s), "cannot listen on 127.0.0.1:"));
    assert_int_equal(torc_server_port(s, 0), -EINVAL);
    assert_int_equal(torc_server_join(s), -EINVAL);
    close(other);
    set(s, "cores", "1"); /* it may be changed still */
    assert_int_equal(torc_route(s, "GET", "/hello", on_hello, NULL), 0);
    start(s);
    assert_int_equal(torc_server_port(s, 0), port);
    assert_true(torc_server_port(s, TORC_ADMIN) > 0);
    get(s, "/hello", "hello");
    end(s);
}

/* The server is whose next start it is, as after a daemon's fork. */
static void a_start_that_failed_ties_it_to_no_process(void **state)
{
    char taken[64];
    int port, status = -1, other = occupy(&port);
    (void)state;
    snprintf(taken, sizeof taken, "127.0.0.1:%d", port);
    torc_server *s = new_server();
    set(s, "admin", taken);
    assert_int_equal(torc_server_start(s), -EADDRINUSE);
    close(other);
    set(s, "admin", "127.0.0.1:0");
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        torc_server_stop(s); /* once it serves */
        int result = torc_server_run(s);
        torc_server_free(s);
        _exit(result == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    torc_server_free(s);
}

/* The next start serves it. */
static void a_socket_that_was_given_outlives_a_start_that_failed(void **state)
{
    char listen[16], taken[64];
    int port, other_port, fails = 1, given = occupy(&port), other = occupy(&other_port);
    (void)state;
    snprintf(listen, sizeof listen, "fd:%d", given);
    snprintf(taken, sizeof taken, "127.0.0.1:%d", other_port);
    torc_server *s = new_server();
    set(s, "cores", server_two_cores());
    set(s, "listen", listen);
    set(s, "admin", taken);
    assert_int_equal(torc_server_each_core(s, fail_if_told, NULL, &fails), 0);
    assert_int_equal(torc_server_start(s), -EADDRINUSE); /* before there are threads */
    close(other);
    set(s, "admin", "127.0.0.1:0");
    assert_int_equal(torc_server_start(s), -EPROTO); /* and after that */
    fails = 0;
    start(s);
    assert_int_equal(torc_server_port(s, 1), port); /* after that of new_server */
    get_by(s, 1, "/hello", "hello");
    end(s);
    assert_true(is_refused(port));
}

static void mine(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("mine"));
}

static void get_redirect(const torc_server *s, const char *path)
{
    struct client c;
    struct reply r = {0};
    connect_to(&c, s, 0);
    client_get(&c, path, 301, &r);
    client_close(&c);
    reply_free(&r);
}

/* A prefix of files without its slash is a redirect unless the program has a route there when it
 * starts in the end. */
static void a_route_beside_files_may_come_after_a_failed_start(void **state)
{
    int fails = 1;
    (void)state;
    torc_server *s = new_server();
    set(s, "root", "/no/such/directory");
    assert_int_equal(torc_static(s, "/a/"), 0);
    assert_int_equal(torc_static_dir(s, "/b/", "/proc/self/fdinfo"), 0);
    assert_int_equal(torc_static_dir(s, "/c/", "/proc/self/fdinfo"), 0);
    assert_int_equal(torc_server_each_core(s, fail_if_told, NULL, &fails), 0);
    assert_int_equal(torc_server_start(s), -EINVAL); /* early */
    set(s, "root", "/proc/self/fdinfo");
    assert_int_equal(torc_route(s, "GET", "/a", mine, NULL), 0);
    assert_int_equal(torc_route(s, "*", "/b", mine, NULL), 0);
    assert_int_equal(torc_server_start(s), -EPROTO); /* late */
    assert_int_equal(torc_route(s, "GET", "/c", mine, NULL), -EBUSY);
    fails = 0;
    start(s);
    get(s, "/a", "mine");
    get(s, "/b", "mine");
    get_redirect(s, "/c");
    end(s);
}

static void reasons_are_told(void **state)
{
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_static_dir(s, "/files/", "/no/such/directory"), 0);
    assert_int_equal(torc_server_start(s), -ENOENT);
    assert_non_null(strstr(torc_server_error(s), "cannot open /no/such/directory"));
    assert_int_equal(torc_server_start(s), -ENOENT);
    torc_server_free(s);
    s = new_server();
    set(s, "access-log", "/no/such/directory/log");
    assert_int_equal(torc_server_start(s), -ENOENT);
    assert_non_null(strstr(torc_server_error(s), "cannot open --access-log"));
    torc_server_free(s);
    s = new_server();
    set(s, "listen", "192.0.2.1:80");
    assert_int_equal(torc_server_start(s), -EADDRNOTAVAIL);
    torc_server_free(s);
    s = new_server();
    set(s, "root", "/no/such/directory");
    assert_int_equal(torc_server_start(s), -EINVAL);
    assert_non_null(strstr(torc_server_error(s), "--root takes a directory"));
    torc_server_free(s);
}

/* ---- the command line ---- */

static void what_is_missing_is_refused(void **state)
{
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_every(s, 1, NULL, NULL), -EINVAL);
    assert_int_equal(torc_metrics_add(s, NULL, NULL), -EINVAL);
    assert_int_equal(torc_server_option(s, "mine", "TEXT", "", NULL), -EINVAL);
    assert_int_equal(torc_on_end(s, NULL, NULL), -EINVAL);
    assert_int_equal(torc_fallback(s, NULL, NULL), -EINVAL);
    assert_int_equal(torc_use(s, "/", NULL, NULL), -EINVAL);
    assert_int_equal(torc_errors(s, "/", NULL, NULL), -EINVAL);
    assert_int_equal(torc_route(s, "GET", "/none", NULL, NULL), -EINVAL);
    start(s);
    assert_int_equal(torc_post(s, 0, NULL, NULL), -EINVAL);
    get(s, "/hello", "hello");
    end(s);
}

static int never(torc_req *rq, void *arg)
{
    (void)rq;
    *(bool *)arg = true;
    return 0;
}

/* A handler may leave it to the join to find out. */
static void a_group_without_memory_fails_at_its_join(void **state)
{
    bool ran = false;
    (void)state;
    assert_int_equal(torc_group_deadline(NULL, 1000), -ENOMEM);
    assert_int_equal(torc_spawn(NULL, never, &ran), -ENOMEM);
    assert_int_equal(torc_group_join(NULL), -ENOMEM);
    assert_false(ran);
}

/* What the start has closed may wake this thread a moment later. */
static void calls_of_the_program_are_not_interrupted(void **state)
{
    struct epoll_event event;
    int set = epoll_create1(EPOLL_CLOEXEC);
    (void)state;
    assert_true(set >= 0);
    for (int i = 0; i < 10; i++) {
        torc_server *s = started_server();
        assert_int_equal(epoll_wait(set, &event, 1, 100), 0);
        end(s);
        assert_int_equal(epoll_wait(set, &event, 1, 20), 0);
    }
    close(set);
}

static void options_are_read_before_it_starts(void **state)
{
    const char *color = NULL;
    char *argv[] = {"life", "--color", "blue", "--cores", "1", "--depth", "64", NULL};
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_server_option(s, "color", "NAME", "", &color), 0);
    assert_int_equal(torc_server_parse(s, 7, argv), 0);
    assert_string_equal(color, "blue");
    assert_int_equal(torc_server_parse(s, 7, argv), -EBUSY);
    assert_int_equal(torc_server_option(s, "late", NULL, "", &color), -EBUSY);
    assert_int_equal(torc_server_set(s, "depth", "none"), -EINVAL);
    assert_int_equal(torc_route(s, "GET", "/late", on_hello, NULL), 0);
    start(s);
    get(s, "/late", "hello");
    end(s);
}

static void the_command_line_wins_whenever_it_is_read(void **state)
{
    char *argv[] = {"life", "--drain-timeout", "1s", NULL};
    struct client c;
    struct reply r = {0};
    (void)state;
    torc_server *s = new_server();
    set(s, "admin", "127.0.0.1:0");
    assert_int_equal(torc_server_parse(s, 3, argv), 0);
    set(s, "drain-timeout", "5s");
    set(s, "body-timeout", "7s");
    start(s);
    connect_to(&c, s, TORC_ADMIN);
    client_get(&c, "/settings", 200, &r);
    assert_non_null(strstr(r.body, "drain-timeout = 1s\n"));
    assert_non_null(strstr(r.body, "body-timeout = 7s\n"));
    client_close(&c);
    reply_free(&r);
    end(s);
}

static void wrong_options_are_told(void **state)
{
    char *argv[] = {"life", "--depth", "many", NULL};
    (void)state;
    torc_server *s = new_server();
    assert_int_equal(torc_server_parse(s, 3, argv), -EINVAL);
    assert_non_null(strstr(torc_server_error(s), "--depth takes a number"));
    torc_server_free(s);
}

static void options_of_the_command_line_are_refused(void **state)
{
    static const char *const names[] = {"check", "no-check", "json", "help", "version"};
    char message[100];
    (void)state;
    torc_server *s = new_server();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(message, sizeof message, "%s can only be given on the command line",
                 names[i] + (strncmp(names[i], "no-", 3) == 0 ? 3 : 0));
        assert_int_equal(torc_server_set(s, names[i], "yes"), -EINVAL);
        assert_string_equal(torc_server_error(s), message);
    }
    start(s);
    get(s, "/hello", "hello");
    torc_server_reload(s);
    get(s, "/hello", "hello");
    end(s);
}

/* By torc_server_parse: a reload compares with what that has read. */
static void a_config_file_has_to_be_read(void **state)
{
    static const char text[] = "body-timeout = 7s\n";
    char *dir = files_open(), *path = files_path(dir, "config");
    char *argv[] = {"life", NULL};
    struct client c;
    struct reply r = {0};
    (void)state;
    files_write(dir, "config", text, strlen(text));
    torc_server *s = new_server();
    set(s, "config", path);
    set(s, "admin", "127.0.0.1:0");
    assert_int_equal(torc_server_start(s), -EINVAL);
    assert_non_null(strstr(torc_server_error(s), "torc_server_parse"));
    assert_int_equal(torc_server_parse(s, 1, argv), 0);
    assert_int_equal(torc_server_set(s, "config", path), -EBUSY);
    start(s);
    torc_server_reload(s);
    connect_to(&c, s, TORC_ADMIN);
    client_get(&c, "/settings", 200, &r);
    assert_non_null(strstr(r.body, text));
    client_close(&c);
    reply_free(&r);
    end(s);
    free(path);
    files_close(dir);
}

static void reload_needs_nobody_who_waits(void **state)
{
    static const char first[] = "body-timeout = 7s\n", second[] = "body-timeout = 8s\n";
    char *dir = files_open(), *path = files_path(dir, "config");
    char *argv[] = {"life", "--config", path, NULL};
    struct client c;
    struct reply r = {0};
    bool changed = false;
    (void)state;
    files_write(dir, "config", first, strlen(first));
    torc_server *s = new_server();
    set(s, "admin", "127.0.0.1:0");
    assert_int_equal(torc_server_parse(s, 3, argv), 0);
    set(s, "header-timeout", "3s");
    start(s);
    files_write(dir, "config", second, strlen(second));
    torc_server_reload(s);
    connect_to(&c, s, TORC_ADMIN);
    for (int i = 0; i < SERVER_SECONDS * 100 && !changed; i++, sleep_ms(10)) {
        client_get(&c, "/settings", 200, &r);
        changed = strstr(r.body, second);
    }
    assert_true(changed);
    assert_non_null(strstr(r.body, "header-timeout = 3s\n"));
    client_close(&c);
    reply_free(&r);
    end(s);
    free(path);
    files_close(dir);
}

/* ---- functions of each core ---- */

static _Atomic int n_started, n_stopped, n_served;

static int start_core(torc_req *rq, void *arg)
{
    (void)arg;
    if (torc_core_data(rq)) return -EEXIST;
    int err = torc_sleep(rq, 20); /* it may wait */
    if (err < 0) return err;
    int *data = malloc(sizeof *data);
    if (!data) return -ENOMEM;
    *data = 1000 + (int)torc_core(rq);
    torc_core_set(rq, data);
    n_started++;
    return torc_reply(rq, 200, NULL, TORC_S("nobody")) == -ENOTCONN ? 0 : -EINVAL;
}

static void stop_core(torc_req *rq, void *arg)
{
    (void)arg;
    n_stopped++;
    int *data = torc_core_data(rq);
    if (torc_sleep(rq, 20) == 0) free(data);
}

/* Of a second pair, which is started after the first and stopped before it. */
static int start_later(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_core_data(rq) ? 0 : -EINVAL;
}

static void stop_earlier(torc_req *rq, void *arg)
{
    if (*(int *)torc_core_data(rq) == 1000 + (int)torc_core(rq)) (*(_Atomic int *)arg)++;
}

static void on_data(torc_req *rq, void *arg)
{
    (void)arg;
    n_served++;
    torc_replyf(rq, 200, "%d", *(int *)torc_core_data(rq) - (int)torc_core(rq));
}

static torc_server *new_prepared_server(void)
{
    torc_server *s = new_server();
    set(s, "cores", server_two_cores());
    assert_int_equal(torc_server_each_core(s, start_core, stop_core, NULL), 0);
    assert_int_equal(torc_route(s, "GET", "/data", on_data, NULL), 0);
    n_started = n_stopped = n_served = 0;
    return s;
}

static void each_core_has_what_its_start_function_made(void **state)
{
    _Atomic int n_early = 0;
    (void)state;
    torc_server *s = new_prepared_server();
    assert_int_equal(torc_server_each_core(s, start_later, stop_earlier, &n_early), 0);
    start(s);
    int cores = n_started;
    assert_true(cores >= 1);
    assert_int_equal(torc_server_each_core(s, start_core, NULL, NULL), -EBUSY);
    for (int i = 0; i < 10; i++) get(s, "/data", "1000");
    end(s);
    assert_int_equal(n_stopped, cores);
    assert_int_equal(n_early, cores);
}

static int take_long(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_sleep(rq, 1200); /* the core looks after itself each second */
}

static void a_start_function_may_take_long(void **state)
{
    (void)state;
    torc_server *s = new_prepared_server();
    assert_int_equal(torc_server_each_core(s, take_long, NULL, NULL), 0);
    start(s);
    get(s, "/data", "1000");
    end(s);
}

/* A thread posts to core 0 all the time. Functions may run there once the core's start function has
 * returned, until its stop function begins. */
struct posts {
    torc_server *server;
    _Atomic bool prepared, stopping, over;
    int n_taken;                        /* of the thread that posts */
    _Atomic int n_run, n_early, n_late; /* all, before that time and after it */
};

static void count_post(void *arg)
{
    struct posts *p = arg;
    p->n_run++;
    if (!p->prepared) p->n_early++;
    if (p->stopping) p->n_late++;
}

static void *post_all_the_time(void *arg)
{
    struct posts *p = arg;
    while (!p->over) {
        p->n_taken += torc_post(p->server, 0, count_post, p) == 0;
    }
    return NULL;
}

static int prepare_for_posts(torc_req *rq, void *arg)
{
    struct posts *p = arg;
    if (torc_core(rq) != 0) return 0;
    torc_sleep(rq, 100);
    p->prepared = true;
    return 0;
}

static void end_with_posts(torc_req *rq, void *arg)
{
    struct posts *p = arg;
    if (torc_core(rq) != 0) return;
    p->stopping = true;
    torc_sleep(rq, 100);
}

static void functions_are_posted_between_start_and_stop(void **state)
{
    struct posts p = {.server = new_server()};
    pthread_t thread;
    (void)state;
    assert_int_equal(torc_server_each_core(p.server, prepare_for_posts, end_with_posts, &p), 0);
    assert_int_equal(pthread_create(&thread, NULL, post_all_the_time, &p), 0);
    start(p.server);
    get(p.server, "/hello", "hello");
    for (int i = 0; i < SERVER_SECONDS * 100 && p.n_run == 0; i++) sleep_ms(10);
    torc_server_stop(p.server);
    assert_int_equal(torc_server_join(p.server), 0);
    p.over = true;
    pthread_join(thread, NULL);
    assert_int_equal(p.n_early, 0);
    assert_int_equal(p.n_late, 0);
    assert_true(p.n_taken > 0);
    assert_int_equal(p.n_run, p.n_taken);
    torc_server_free(p.server);
}

static void wait_until_signalled(torc_req *rq, void *arg)
{
    uint64_t seen = 0;
    torc_event_wait(rq, arg, &seen);
}

static void what_a_core_runs_itself_is_listed(void **state)
{
    struct client admin;
    struct reply r = {0};
    torc_event *e = torc_event_new();
    (void)state;
    torc_server *s = new_server();
    set(s, "admin", "127.0.0.1:0");
    assert_int_equal(torc_server_each_core(s, NULL, wait_until_signalled, e), 0);
    start(s);
    connect_to(&admin, s, TORC_ADMIN);
    torc_server_stop(s);
    bool listed = false;
    for (int i = 0; i < 5000 && !listed; i++) {
        if (i) sleep_ms(5);
        client_get(&admin, "/requests.json", 200, &r);
        listed = strstr(r.body, "\"route\":\"torc_server_each_core\"");
    }
    assert_true(listed);
    assert_non_null(strstr(r.body, "\"waits_for\":[\""));
    torc_event_signal(e);
    assert_int_equal(torc_server_join(s), 0);
    torc_server_free(s);
    torc_event_free(e);
    client_close(&admin);
    reply_free(&r);
}

static int fail_on_first(torc_req *rq, void *arg)
{
    int *fails = arg;
    if (torc_core(rq) == 0 && *fails) return -EPROTO;
    return *fails ? torc_sleep(rq, 3600 * 1000) : 0; /* ends with the failure of the other */
}

static void a_start_function_that_fails_is_undone(void **state)
{
    int fails = 1;
    (void)state;
    torc_server *s = new_prepared_server();
    assert_int_equal(torc_server_each_core(s, fail_on_first, NULL, &fails), 0);
    assert_int_equal(torc_server_start(s), -EPROTO);
    assert_non_null(strstr(torc_server_error(s), "core 0"));
    assert_int_equal(n_stopped, n_started);
    assert_int_equal(n_served, 0);
    fails = 0;
    start(s);
    get(s, "/data", "1000");
    end(s);
    assert_int_equal(n_stopped, n_started);
}

/* Another thread posts all the time, to the cores of each start in their turn. */
static void a_start_that_failed_takes_no_posts(void **state)
{
    struct posts p = {.server = new_server()};
    int fails = 1;
    pthread_t thread;
    (void)state;
    assert_int_equal(torc_server_each_core(p.server, fail_on_first, NULL, &fails), 0);
    assert_int_equal(pthread_create(&thread, NULL, post_all_the_time, &p), 0);
    for (int i = 0; i < 20; i++) assert_int_equal(torc_server_start(p.server), -EPROTO);
    assert_int_equal(p.n_run, 0);
    fails = 0;
    start(p.server);
    for (int i = 0; i < SERVER_SECONDS * 100 && p.n_run == 0; i++) sleep_ms(10);
    torc_server_stop(p.server);
    assert_int_equal(torc_server_join(p.server), 0);
    p.over = true;
    pthread_join(thread, NULL);
    assert_true(p.n_run > 0);
    assert_int_equal(p.n_run, p.n_taken);
    torc_server_free(p.server);
}

/* Of the one that waits: what its wait and the next one returned. */
struct cancelled {
    _Atomic bool waits;
    int slept, slept_again;
};

static int wait_for_stop(torc_req *rq, void *arg)
{
    struct cancelled *c = arg;
    if (atomic_exchange(&c->waits, true)) return 0;
    c->slept = torc_sleep(rq, 3600 * 1000);
    c->slept_again = torc_sleep(rq, 1);
    return 0; /* as if nothing had happened */
}

static void *start_it(void *arg)
{
    return (void *)(intptr_t)torc_server_start(arg);
}

static void a_stop_ends_start_functions(void **state)
{
    struct cancelled c = {false};
    pthread_t thread;
    void *result;
    (void)state;
    torc_server *s = new_prepared_server();
    assert_int_equal(torc_server_each_core(s, wait_for_stop, NULL, &c), 0);
    assert_int_equal(pthread_create(&thread, NULL, start_it, s), 0);
    await(&c.waits);
    torc_server_stop(s);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -ESHUTDOWN);
    assert_int_equal(c.slept, -ESHUTDOWN);
    assert_int_equal(c.slept_again, -ESHUTDOWN);
    assert_int_equal(n_stopped, n_started);
    assert_int_equal(torc_server_start(s), 0); /* that stop is over */
    torc_server_stop(s);
    assert_int_equal(torc_server_join(s), 0);
    assert_int_equal(n_stopped, n_started);
    torc_server_free(s);
}

/* Nothing has begun, so there is nothing to undo. */
static void a_stop_before_the_start_runs_no_start_function(void **state)
{
    (void)state;
    torc_server *s = new_prepared_server();
    torc_server_stop(s);
    assert_int_equal(torc_server_start(s), -ESHUTDOWN);
    assert_non_null(strstr(torc_server_error(s), "stopped before it was ready"));
    assert_int_equal(n_started, 0);
    assert_int_equal(n_stopped, 0);
    start(s); /* that stop is over */
    get(s, "/data", "1000");
    end(s);
    assert_true(n_started > 0);
    assert_int_equal(n_stopped, n_started);
}

/* That is no failure of the program. */
static void a_stop_before_it_runs_is_a_success(void **state)
{
    (void)state;
    torc_server *s = new_prepared_server();
    torc_server_stop(s);
    assert_int_equal(torc_server_run(s), 0);
    assert_int_equal(n_started, 0);
    torc_server_free(s);
}

/* What stops it, and then ends as if nothing had happened. */
static int stop_and_go_on(torc_req *rq, void *arg)
{
    (void)rq;
    torc_server_stop(arg);
    return 0;
}

static int count_start(torc_req *rq, void *arg)
{
    (void)rq;
    (*(_Atomic int *)arg)++;
    return 0;
}

static void a_stop_keeps_further_start_functions_from_running(void **state)
{
    _Atomic int n_further = 0;
    (void)state;
    torc_server *s = new_prepared_server();
    assert_int_equal(torc_server_each_core(s, stop_and_go_on, NULL, s), 0);
    assert_int_equal(torc_server_each_core(s, count_start, NULL, &n_further), 0);
    for (int i = 0; i < 20; i++) { /* every core has its turn to be late */
        assert_int_equal(torc_server_start(s), -ESHUTDOWN);
        assert_int_equal(n_further, 0);
        assert_int_equal(n_stopped, n_started);
    }
    torc_server_free(s);
}

static void stop_slowly(torc_req *rq, void *arg)
{
    *(_Atomic int *)arg = torc_sleep(rq, 3600 * 1000);
}

static void the_drain_bounds_stop_functions(void **state)
{
    _Atomic int slept = 0;
    (void)state;
    torc_server *s = new_server();
    set(s, "threads", "1");
    set(s, "drain-timeout", "50ms");
    assert_int_equal(torc_server_each_core(s, NULL, stop_slowly, (void *)&slept), 0);
    start(s);
    end(s);
    assert_int_equal(slept, -ESHUTDOWN);
}

/* On the thread of the core. */
static int lose_engine(torc_req *rq, void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_io_uring_enter, .err = EPERM});
    refuse_call(&(struct refusal){.call = SYS_epoll_pwait, .err = EPERM});
    refuse_call(&(struct refusal){.call = SYS_ppoll, .err = EPERM});
#ifdef SYS_epoll_wait
    refuse_call(&(struct refusal){.call = SYS_epoll_wait, .err = EPERM});
#endif
    return torc_sleep(rq, 3600 * 1000);
}

/* 0, or the number of the step that went wrong. */
static int start_without_engine(void)
{
    torc_server *s = new_server();
    torc_server_each_core(s, lose_engine, NULL, NULL);
    if (torc_server_start(s) != -EPERM) return 1;
    const char *error = torc_server_error(s);
    if (!strstr(error, " cannot start: ") || !strstr(error, " failed: Operation not permitted"))
        return 2;
    if (torc_server_start(s) != -EBUSY) return 3; /* its operations are still the kernel's */
    if (torc_server_join(s) != 1) return 4;
    if (torc_server_run(s) != 1) return 5;
    torc_server_free(s);
    return 0;
}

/* No stop was asked for, and it has not been ready. */
static void an_engine_that_fails_before_the_start_is_over(void **state)
{
    int status;
    (void)state;
    char *dir = files_open(), *path = files_path(dir, "log");
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        _exit(dup2(fd, STDERR_FILENO) < 0 ? 6 : start_without_engine());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    char *log = files_read(path);
    if (status) print_error("%s", log);
    assert_int_equal(status, 0);
    assert_non_null(strstr(log, "failed: Operation not permitted; the server ends"));
    assert_null(strstr(log, "ready"));
    free(log);
    free(path);
    files_close(dir);
}

/* ---- threads and children of handlers ---- */

/* What a thread or a process has. */
struct had {
    int cpus;
    int blocked;
    rlim_t descriptors;
};

static void look_around(struct had *h)
{
    struct rlimit limit = {0};
    cpu_set_t cpus;
    sigset_t mask;
    h->cpus = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 0;
    sigemptyset(&mask);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    h->blocked = 0;
    for (int i = 1; i < SIGRTMIN; i++) h->blocked += sigismember(&mask, i) == 1;
    getrlimit(RLIMIT_NOFILE, &limit);
    h->descriptors = limit.rlim_cur;
}

static void *look_on_thread(void *arg)
{
    look_around(arg);
    return NULL;
}

static void make_thread(void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, look_on_thread, arg) == 0) pthread_join(thread, NULL);
}

static void look_in_child(struct had *h)
{
    int out[2];
    if (pipe(out) < 0) return;
    pid_t child = fork();
    if (child == 0) {
        look_around(h);
        _exit(write(out[1], h, sizeof *h) == sizeof *h ? 0 : 1);
    }
    if (read(out[0], h, sizeof *h) != sizeof *h) h->cpus = 0;
    close(out[0]);
    close(out[1]);
    waitpid(child, NULL, 0);
}

static int look_in_job(torc_job *job, void *arg)
{
    (void)job;
    look_around(arg);
    return 0;
}

static struct had by_core, by_start, by_unpinned, by_child, by_job;

static int look_at_start(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    make_thread(&by_start);
    return 0;
}

static void on_look(torc_req *rq, void *arg)
{
    (void)arg;
    torc_unpinned(rq, make_thread, &by_unpinned);
    look_around(&by_core);
    look_in_child(&by_child);
    torc_work(rq, look_in_job, &by_job, NULL);
    torc_reply(rq, 200, NULL, TORC_S("looked"));
}

static void children_have_what_the_program_had(void **state)
{
    struct had had;
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit low = {limit.rlim_max / 2, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    look_around(&had);
    torc_server *s = new_server();
    assert_int_equal(torc_server_each_core(s, look_at_start, NULL, NULL), 0);
    assert_int_equal(torc_route(s, "GET", "/look", on_look, NULL), 0);
    set(s, "threads", "1");
    start(s);
    get(s, "/look", "looked");
    end(s);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(by_core.cpus, 1);
    assert_true(by_core.descriptors == limit.rlim_max);
    assert_int_equal(by_start.cpus, had.cpus);
    assert_int_equal(by_unpinned.cpus, had.cpus);
    assert_int_equal(by_child.cpus, had.cpus);
    assert_int_equal(by_child.blocked, had.blocked);
    assert_true(by_child.descriptors == low.rlim_cur);
    assert_int_equal(by_job.cpus, had.cpus);
    assert_int_equal(by_job.blocked, had.blocked);
}

/* ---- the process ---- */

static void on_usr1(int signal)
{
    (void)signal;
}

/* Dispositions, mask and descriptor limit. */
struct process {
    void (*action[_NSIG])(int);
    bool blocked[_NSIG];
    rlim_t limit;
};

static void look_at_process(struct process *p)
{
    struct rlimit limit;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    memset(p, 0, sizeof *p);
    for (int i = 1; i < _NSIG; i++) {
        struct sigaction a;
        if (sigaction(i, NULL, &a) == 0) p->action[i] = a.sa_handler;
        p->blocked[i] = sigismember(&mask, i) == 1;
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    p->limit = limit.rlim_cur;
}

static void signals_stay_as_they_are(void **state)
{
    struct process before, meanwhile, after;
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit low = {limit.rlim_max / 2, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    signal(SIGUSR1, on_usr1);
    look_at_process(&before);
    torc_server *a = new_server(), *b = new_server();
    set(a, "stall-warn", "100ms");
    start(a);
    start(b);
    look_at_process(&meanwhile);
    assert_memory_equal(meanwhile.action, before.action, sizeof before.action);
    assert_memory_equal(meanwhile.blocked, before.blocked, sizeof before.blocked);
    assert_true(meanwhile.limit == limit.rlim_max);
    end(a);
    end(b);
    look_at_process(&after);
    assert_memory_equal(after.action, before.action, sizeof before.action);
    assert_true(after.limit == low.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* SIGPIPE is the program's, and has its default here. */
static void a_reader_that_has_gone_does_not_end_the_program(void **state)
{
    int log[2], status;
    (void)state;
    assert_int_equal(pipe(log), 0);
    close(log[0]);
    pid_t child = fork();
    if (child == 0) {
        dup2(log[1], STDERR_FILENO);
        torc_server *s = new_server();
        set(s, "rate-burst", "5"); /* has no effect, which is told */
        if (torc_server_start(s) < 0) _exit(1);
        torc_server_free(s);
        _exit(0);
    }
    close(log[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- several ---- */

static unsigned count_in(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* What is listed where there is no server: the program's thread, "." and ".."; and the thread that
 * the thread sanitizer has. */
#ifdef THREAD_SANITIZER
enum { THREADS = 4 };
#else
enum { THREADS = 3 };
#endif

/* A thread that was joined is listed a moment longer. */
static void assert_no_thread_is_left(void)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && count_in("/proc/self/task") > THREADS; i++)
        sleep_ms(10);
    assert_int_equal(count_in("/proc/self/task"), THREADS);
}

static void servers_run_side_by_side(void **state)
{
    static const char *const engines[] = {"epoll", "threads"};
    torc_server *s[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        s[i] = new_server();
        if (i >= 2) set(s[i], "engine", engines[i - 2]);
        start(s[i]);
    }
    for (int i = 0; i < 4; i++) {
        get(s[i], "/hello", "hello");
        for (int k = 0; k < i; k++)
            assert_int_not_equal(torc_server_port(s[i], 0), torc_server_port(s[k], 0));
    }
    end(s[2]);
    end(s[0]);
    get(s[1], "/hello", "hello");
    get(s[3], "/hello", "hello");
    end(s[1]);
    get(s[3], "/hello", "hello");
    end(s[3]);
}

static void *live(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        torc_server *s = started_server();
        get(s, "/hello", "hello");
        end(s);
    }
    return NULL;
}

static void threads_have_servers_of_their_own(void **state)
{
    pthread_t thread[3];
    (void)state;
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&thread[i], NULL, live, NULL), 0);
    for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
}

static void lives_with(const char *feature, const char *value)
{
    torc_server *s = new_server();
    if (feature) set(s, feature, value);
    start(s);
    get(s, "/hello", "hello");
    end(s);
}

/* In a process of its own, which is refused io_uring from here on. */
static void begin_otherwise(void)
{
    static const char *const features[] = {"direct", "defer-taskrun", "buf-ring", "restrict"};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        lives_with(features[i], "no");
        lives_with(features[i], "yes");
    }
    refuse_everywhere(&(struct refusal){.call = SYS_io_uring_setup, .err = EPERM});
    torc_server *s = new_server();
    assert_int_equal(torc_server_start(s), -EPERM);
    assert_non_null(strstr(torc_server_error(s), "io_uring_setup is not permitted"));
    torc_server_free(s);
    lives_with("engine", "epoll");
}

/* What the kernel can is found out once in a process. What is asked for, and what is allowed, may
 * differ between two of its servers. */
static void servers_are_allowed_different_things(void **state)
{
    int status;
    (void)state;
    if (strcmp(engine, "io_uring") != 0) return;
    pid_t child = fork();
    if (child == 0) {
        begin_otherwise();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_hundred_lives_leave_nothing_behind(void **state)
{
    unsigned descriptors = 0;
    (void)state;
    assert_no_thread_is_left();
    for (int i = 0; i < 100; i++) {
        torc_server *s = new_server();
        set(s, "admin", "127.0.0.1:0");
        start(s);
        if (i % 10 == 0) get(s, "/hello", "hello");
        end(s);
        if (i == 1) descriptors = count_in("/proc/self/fd");
    }
    assert_int_equal(count_in("/proc/self/fd"), descriptors);
    assert_no_thread_is_left();
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    engine = argv[1];
    if (argc > 2) cmocka_set_test_filter(argv[2]);
    torc_server *s = new_server();
    int err = torc_server_start(s);
    if (err < 0) fprintf(stderr, "skipped: %s\n", torc_server_error(s));
    torc_server_free(s);
    if (err == -ENOSYS || err == -EPERM) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_serves_and_stops),
        cmocka_unit_test(addresses_are_known_at_once),
        cmocka_unit_test(what_comes_too_late_is_refused),
        cmocka_unit_test(methods_are_case_sensitive),
        cmocka_unit_test(a_stop_before_the_start_is_kept),
        cmocka_unit_test(a_stop_before_the_start_runs_no_start_function),
        cmocka_unit_test(a_stop_before_it_runs_is_a_success),
        cmocka_unit_test(a_stop_keeps_further_start_functions_from_running),
        cmocka_unit_test(a_handler_may_stop_its_server),
        cmocka_unit_test(free_stops_what_runs),
        cmocka_unit_test(it_drains_by_itself),
        cmocka_unit_test(the_time_of_the_drain_needs_nobody),
        cmocka_unit_test(one_that_nobody_can_reach_ends),
        cmocka_unit_test(files_alone_need_a_root),
        cmocka_unit_test(its_own_threads_do_not_wait_for_it),
        cmocka_unit_test(a_child_does_not_wait_for_it),
        cmocka_unit_test(one_that_has_ended_is_not_ready),
        cmocka_unit_test(any_number_may_join),
        cmocka_unit_test(a_taken_address_can_be_mended),
        cmocka_unit_test(a_start_that_failed_ties_it_to_no_process),
        cmocka_unit_test(a_socket_that_was_given_outlives_a_start_that_failed),
        cmocka_unit_test(a_route_beside_files_may_come_after_a_failed_start),
        cmocka_unit_test(reasons_are_told),
        cmocka_unit_test(what_is_missing_is_refused),
        cmocka_unit_test(a_group_without_memory_fails_at_its_join),
        cmocka_unit_test(calls_of_the_program_are_not_interrupted),
        cmocka_unit_test(options_are_read_before_it_starts),
        cmocka_unit_test(the_command_line_wins_whenever_it_is_read),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(options_of_the_command_line_are_refused),
        cmocka_unit_test(a_config_file_has_to_be_read),
        cmocka_unit_test(reload_needs_nobody_who_waits),
        cmocka_unit_test(each_core_has_what_its_start_function_made),
        cmocka_unit_test(a_start_function_may_take_long),
        cmocka_unit_test(functions_are_posted_between_start_and_stop),
        cmocka_unit_test(what_a_core_runs_itself_is_listed),
        cmocka_unit_test(a_start_function_that_fails_is_undone),
        cmocka_unit_test(a_start_that_failed_takes_no_posts),
        cmocka_unit_test(a_stop_ends_start_functions),
        cmocka_unit_test(the_drain_bounds_stop_functions),
        cmocka_unit_test(an_engine_that_fails_before_the_start_is_over),
        cmocka_unit_test(children_have_what_the_program_had),
        cmocka_unit_test(signals_stay_as_they_are),
        cmocka_unit_test(a_reader_that_has_gone_does_not_end_the_program),
        cmocka_unit_test(servers_run_side_by_side),
        cmocka_unit_test(threads_have_servers_of_their_own),
        cmocka_unit_test(servers_are_allowed_different_things),
        cmocka_unit_test(a_hundred_lives_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
