/* From the command line to the ready line or exit status: options, the config file, refused
 * engines, and the access log. */

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* Waits until the file exists and contains the text. */
static bool await_line(const char *path, const char *text)
{
    for (int i = 0; i < SERVER_SECONDS * 100; i++, sleep_ms(10)) {
        char *log = files_read(path);
        bool found = log && strstr(log, text);
        free(log);
        if (found) return true;
    }
    return false;
}

/* ---- start ---- */

static void test_ready_line(void **state)
{
    struct server s;
    char want[256];
    (void)state;
    server_start(&s, "--depth", "64");
    snprintf(want, sizeof want,
             "^torc: ready http://127\\.0\\.0\\.1:[1-9][0-9]* engine=%s cores=1 depth=64 pid=%d$",
             server_engine, (int)s.pid);
    assert_true(text_matches(server_log(&s), want));
    assert_true(text_matches(server_log(&s), "^torc: admin http://127\\.0\\.0\\.1:[1-9][0-9]*$"));
    client_expect(&s.addr, "/plaintext", 200, "Hello, World!");
    server_stop(&s);
}

static bool have_ipv6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0) close(fd);
    return have;
}

/* Each line "also http://..." names a further address, and all of them serve. */
static void test_several_listeners(void **state)
{
    struct server s;
    struct reply r = {0};
    char text[128];
    const char *cores = server_two_cores();
    int n = 0;
    (void)state;
    if (!have_ipv6()) {
        print_message("IPv6 is unavailable\n");
        skip();
    }
    server_start(&s, "--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen", "127.0.0.2:0",
                 "--cores", cores);
    snprintf(text, sizeof text, "^torc: ready http://127\\.0\\.0\\.1:[0-9]+ .* cores=%s ", cores);
    assert_true(text_matches(server_log(&s), text));
    assert_true(text_matches(server_log(&s), "^torc: also http://\\[::1\\]:[1-9][0-9]*$"));
    client_fetch(&s.addr, "/pipeline", &r);
    for (const char *at = server_log(&s); (at = strstr(at, "torc: also http://")); n++) {
        struct server_addr addr;
        at += strlen("torc: also http://");
        assert_int_equal(sscanf(at, "%127[^\n]", text), 1);
        server_addr_parse(text, &addr);
        for (int i = 0; i < 20; i++) {
            client_fetch(&addr, "/pipeline", &r);
            assert_string_equal(r.body, "ok");
        }
    }
    assert_int_equal(n, 2);
    reply_free(&r);
    server_stop(&s);
}

static void test_burn_ns_is_checked(void **state)
{
    static const char *const right[] = {"1000", "0"}, *const wrong[] = {"1us", "-1", "1000001"};
    char message[128];
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct server s;
        server_start(&s, "--burn-ns", right[i]);
        client_expect(&s.addr, "/plaintext", 200, "Hello, World!");
        server_stop(&s);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(message, sizeof message,
                 "--burn-ns takes a whole number from 0 to 1000000, not \"%s\"", wrong[i]);
        server_refuses("--burn-ns", wrong[i], message);
    }
}

static void test_version_and_help(void **state)
{
    struct server s;
    (void)state;
    assert_int_equal(server_run(&s, NULL, (const char *const[]){"--version", NULL}), 0);
    assert_true(text_matches(server_log(&s), "^torc-lab [0-9]+\\.[0-9]+\\.[0-9]+$"));
    server_free(&s);
    assert_int_equal(server_run(&s, NULL, (const char *const[]){"--help", NULL}), 0);
    assert_non_null(strstr(server_log(&s), "--listen ADDR:PORT"));
    assert_non_null(strstr(server_log(&s), "GET /delay/MS"));
    server_free(&s);
}

static void print_to_full_disk(void *arg)
{
    (void)arg;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) _exit(126);
}

static void test_output_that_is_lost_exits_with_1(void **state)
{
    static const char *const options[] = {"--help", "--version", "--check"};
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct server s;
        struct server_how how = {.engine = server_engine, .prepare = print_to_full_disk};
        assert_int_equal(server_run(&s, &how, (const char *const[]){options[i], NULL}), 1);
        assert_non_null(strstr(server_log(&s), "cannot write to stdout: No space left on device"));
        server_free(&s);
    }
}

/* One line that names the option and, if it exists, what it takes. */
static void test_wrong_option_exits_with_2(void **state)
{
    static const struct {
        const char *option, *value, *named, *takes;
    } cases[] = {
        {"--depth", "0", "--depth", "from 1 to"},
        {"--depth", "many", "--depth", "number"},
        {"--depth", NULL, "--depth", "number"},
        {"--engine", "kqueue", "--engine", "epoll"},
        {"--listen", "nowhere", "--listen", "ADDR:PORT"},
        {"--listen", "127.0.0.1:65536", "--listen", "ADDR:PORT"},
        {"--admin", "x", "--admin", "ADDR:PORT"},
        {"--cores", "0", "--cores", "CPU"},
        {"--cores", "1000000", "--cores", "CPU"},
        {"--root", "/does/not/exist", "--root", "directory"},
        {"--root", "/dev/null", "--root", "directory"},
        {"--idle-timeout", "10", "--idle-timeout", "unit"},
        {"--max-body", "1y", "--max-body", "size"},
        {"--no-multishot", "perhaps", "perhaps", ""},
        {"--dpeth", "5", "--dpeth", "--depth"},
        {"--config", "/does/not/exist", "/does/not/exist", "No such file"},
        {"serve", NULL, "serve", "--help"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        const char *const options[] = {cases[i].option, cases[i].value, NULL};
        int status = server_run(&s, NULL, options);
        const char *log = server_log(&s);
        if (status != 2 || lines(log) != 1 || !strstr(log, cases[i].named) ||
            !strstr(log, cases[i].takes))
            print_error("%s: status %d\n%s", cases[i].option, status, log);
        assert_int_equal(status, 2);
        assert_int_equal(lines(log), 1);
        assert_int_equal(strncmp(log, "torc: ", 6), 0);
        assert_non_null(strstr(log, cases[i].named));
        assert_non_null(strstr(log, cases[i].takes));
        server_free(&s);
    }
}

/* With SO_REUSEPORT, by which the cores share a port, two servers could share it too. */
static void test_second_server_on_a_port_exits_with_1(void **state)
{
    struct server first, second;
    struct server_how how = {.engine = server_engine};
    (void)state;
    server_start(&first, "--cores", "1");
    char text[64];
    snprintf(text, sizeof text, "127.0.0.1:%u",
             ntohs(((struct sockaddr_in *)&first.addr.sa)->sin_port));
    const char *const options[] = {"--listen", text, NULL};
    assert_int_equal(server_run(&second, &how, options), 1);
    assert_int_equal(lines(server_log(&second)), 1);
    assert_non_null(strstr(server_log(&second), "in use"));
    server_free(&second);
    server_signal(&first, SIGTERM);
    assert_int_equal(server_wait(&first), 0);
    server_free(&first);
}

static void test_port_in_use_exits_with_1(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    struct server s;
    struct server_how how = {.engine = server_engine};
    char text[64], free_one[] = "127.0.0.1:0";
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(a.sin_port));

    const char *const listens[] = {"--listen", free_one, "--listen", text, NULL};
    assert_int_equal(server_run(&s, &how, listens), 1);
    assert_int_equal(lines(server_log(&s)), 1);
    assert_non_null(strstr(server_log(&s), text));
    assert_non_null(strstr(server_log(&s), "in use"));
    server_free(&s);

    const char *const admin[] = {"--listen", free_one, "--admin", text, NULL};
    assert_int_equal(server_run(&s, &how, admin), 1);
    assert_int_equal(lines(server_log(&s)), 1);
    assert_non_null(strstr(server_log(&s), text));
    server_free(&s);
    close(fd);
}

static void test_unwritable_access_log_exits_with_1(void **state)
{
    struct server s;
    struct server_how how = {.engine = server_engine};
    (void)state;
    const char *const options[] = {"--listen",     "127.0.0.1:0",     "--root", "/",
                                   "--access-log", "/does/not/exist", NULL};
    assert_int_equal(server_run(&s, &how, options), 1);
    assert_int_equal(lines(server_log(&s)), 1);
    assert_non_null(strstr(server_log(&s), "/does/not/exist"));
    server_free(&s);
}

static void close_standard(void *arg)
{
    (void)arg;
    for (int fd = 0; fd < 3; fd++) close(fd);
}

/* A file or socket that got the number of a standard descriptor would receive the messages. */
static void test_closed_standard_descriptors_stay_unused(void **state)
{
    struct server s;
    struct server_how how = {.engine = server_engine, .prepare = close_standard};
    char path[64], target[64];
    (void)state;
    char *dir = files_open(), *log = files_path(dir, "log");
    const char *const options[] = {"--listen", "127.0.0.1:0", "--access-log", log, NULL};
    server_spawn(&s, &how, options);
    assert_true(await_line(log, ""));
    for (int fd = 0; fd < 3; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s.pid, fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        assert_true(n > 0);
        target[n] = '\0';
        assert_string_equal(target, "/dev/null");
    }
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    char *text = files_read(log);
    assert_string_equal(text, "");
    free(text);
    server_free(&s);
    free(log);
    files_close(dir);
}

/* The kernel closes the sockets of a ring a moment after its process has ended. */
static void test_restart_after_a_kill(void **state)
{
    struct server s;
    struct client c[8];
    char text[64];
    (void)state;
    server_start(&s, "--cores", "1");
    snprintf(text, sizeof text, "127.0.0.1:%u",
             ntohs(((struct sockaddr_in *)&s.addr.sa)->sin_port));
    for (int times = 0; times < 10; times++) {
        for (int i = 0; i < 8; i++) client_open(&c[i], &s);
        server_signal(&s, SIGKILL);
        assert_int_equal(server_wait(&s), 128 + SIGKILL);
        server_free(&s);
        server_start(&s, "--listen", text);
        for (int i = 0; i < 8; i++) client_close(&c[i]);
    }
    server_stop(&s);
}

/* Repeated signals during the drain do not change the exit status. With small stacks of threads:
 * beyond 40 MiB of them pthread_join frees some, and a signal there makes the thread sanitizer wait
 * for itself. */
static void test_repeated_signals_keep_exit_status(void **state)
{
    struct rlimit usual, small;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_STACK, &usual), 0);
    small = (struct rlimit){1 << 20, usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
    for (int times = 0; times < 15; times++) {
        struct server s;
        server_start(&s, "--cores", "1", "--threads", "2");
        for (int i = 0; i < 400; i++) {
            server_signal(&s, i % 3 == 0 ? SIGTERM : i % 3 == 1 ? SIGINT : SIGHUP);
            usleep(50);
        }
        assert_int_equal(server_wait(&s), 0);
        server_free(&s);
    }
    assert_int_equal(setrlimit(RLIMIT_STACK, &usual), 0);
}

/* ---- a body that nobody reads ---- */

static void ask_behind_a_body(const struct server *s, size_t length, bool closes)
{
    struct client c;
    struct reply r = {0};
    char *body = calloc(1, length);
    assert_non_null(body);
    client_open(&c, s);
    client_sendf(&c, "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", length);
    client_send(&c, body, length);
    free(body);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 404);
    assert_int_equal(r.closes, closes);
    if (!closes) client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
}

static void test_a_long_body_that_is_not_read_closes(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, NULL);
    ask_behind_a_body(&s, 256 * 1024, false);
    ask_behind_a_body(&s, 256 * 1024 + 1, true);
    server_stop(&s);
}

/* ---- the config file ---- */

static void test_config_file(void **state)
{
    static const char text[] = "# a comment\n"
                               "listen = 127.0.0.1:0\n"
                               "depth = 32   # and another\n"
                               "max-body = 10\n"
                               "multishot = no\n"
                               "pin = no\n";
    struct server s;
    struct reply r = {0};
    struct client c;
    (void)state;
    char *dir = files_open(), *path = files_path(dir, "torc.conf");
    files_write(dir, "torc.conf", text, sizeof text - 1);
    struct server_how how = {.engine = server_engine};
    /* The command line wins, wherever --config stands on it. */
    const char *const options[] = {"--max-body", "20", "--config", path, "--cores", "1", NULL};
    server_spawn(&s, &how, options);
    server_await_ready(&s);
    assert_non_null(strstr(server_log(&s), "depth=32 "));
    client_open(&c, &s);
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n%015d", 0);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "15");
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n%021d", 0);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 413);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    free(path);
    files_close(dir);
}

/* A config file may be a pipe, of which nothing may ever come. */
static void test_signal_ends_the_wait_for_a_config_file(void **state)
{
    struct server s;
    int status = -1;
    (void)state;
    char *dir = files_open(), *path = files_path(dir, "torc.conf");
    assert_int_equal(mkfifo(path, 0600), 0);
    const char *const options[] = {"--config", path, NULL};
    server_spawn(&s, &(struct server_how){.engine = server_engine}, options);
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* waits until the server has opened it */
    assert_true(fd >= 0);
    for (int i = 0; i < SERVER_SECONDS * 100 && !server_has_ended(&s, &status); i++) {
        server_signal(&s, SIGTERM); /* one that comes before it reads is kept for the start */
        sleep_ms(10);
    }
    assert_int_equal(close(fd), 0);
    assert_int_equal(status, 2);
    assert_non_null(strstr(server_log(&s), "Interrupted system call"));
    server_free(&s);
    assert_int_equal(unlink(path), 0);
    free(path);
    files_close(dir);
}

static void test_config_error_names_file_and_line(void **state)
{
    static const struct {
        const char *text, *says;
        unsigned line;
    } cases[] = {
        {"depth = 0\n", "depth takes", 1},
        {"# one\n\nlisten = 127.0.0.1:0\nfoo = 1\n", "unknown option foo", 4},
        {"depth 5\n", "name = value", 1},
        {"pin = yes\nmultishot = maybe\n", "multishot takes yes or no", 2},
        {"config = x\n", "command line", 1},
    };
    (void)state;
    char *dir = files_open(), *path = files_path(dir, "bad.conf");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        char where[512];
        files_write(dir, "bad.conf", cases[i].text, strlen(cases[i].text));
        assert_int_equal(server_run(&s, NULL, (const char *const[]){"--config", path, NULL}), 2);
        snprintf(where, sizeof where, "%s:%u: ", path, cases[i].line);
        if (!strstr(server_log(&s), where)) print_error("%s", server_log(&s));
        assert_non_null(strstr(server_log(&s), where));
        assert_non_null(strstr(server_log(&s), cases[i].says));
        assert_int_equal(lines(server_log(&s)), 1);
        server_free(&s);
    }
    free(path);
    files_close(dir);
}

/* ---- engines that the kernel refuses ---- */

static bool built_in(const char *engine)
{
    struct server s;
    struct server_how how = {.engine = engine};
    int status = server_run(&s, &how, (const char *const[]){"--check", NULL});
    server_free(&s);
    return status == 0;
}

static void test_refused_engine_exits_with_3(void **state)
{
    static const int errors[] = {EPERM, ENOSYS};
    (void)state;
    if (strcmp(server_engine, "io_uring") != 0) return; /* the kernel refuses no other engine */
    for (size_t i = 0; i < 2; i++) {
        struct server s;
        int err = errors[i];
        struct server_how how = {"io_uring", refuse_io_uring, &err};
        const char *const options[] = {"--listen", "127.0.0.1:0", NULL};
        assert_int_equal(server_run(&s, &how, options), 3);
        assert_int_equal(lines(server_log(&s)), 1);
        assert_true(text_matches(server_log(&s), "^torc: engine io_uring: "));
        assert_non_null(strstr(server_log(&s), "seccomp"));
        assert_non_null(strstr(server_log(&s), "io_uring_setup"));
        server_free(&s);
    }
}

static void test_refused_engine_falls_back_to_epoll(void **state)
{
    static const int errors[] = {EPERM, ENOSYS};
    bool uring = strcmp(server_engine, "io_uring") == 0;
    (void)state;
    if (!uring || !built_in("epoll")) return;
    for (size_t i = 0; i < 2; i++) {
        struct server s;
        int err = errors[i];
        struct server_how how = {NULL, refuse_io_uring, &err};
        const char *const options[] = {"--listen", "127.0.0.1:0", "--cores", "1", NULL};
        server_spawn(&s, &how, options);
        server_await_ready(&s);
        assert_true(
            text_matches(server_log(&s), "^torc: engine io_uring: .*; continuing on epoll$"));
        assert_true(text_matches(server_log(&s), "^torc: ready .* engine=epoll cores=1 "));
        client_expect(&s.addr, "/plaintext", 200, NULL);
        server_stop(&s);
    }
}

static void test_disabled_features_are_not_used(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--no-multishot", "--no-direct", "--no-buf-ring", "--no-restrict");
    json_t *stats = stats_get(&s), *features = json_at(stats, "features");
    assert_false(json_has(features, "multishot"));
    assert_false(json_has(features, "direct"));
    assert_false(json_has(features, "buf-ring"));
    assert_false(json_has(features, "restrict"));
    if (strcmp(server_engine, "io_uring") == 0) assert_true(json_has(features, "iowq-cap"));
    json_decref(stats);
    client_fetch(&s.addr, "/json", &r);
    assert_string_equal(r.body, "{\"message\":\"Hello, World!\"}");
    reply_free(&r);
    server_stop(&s);
}

/* ---- the access log ---- */

static void test_reopen_access_log(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    char *dir = files_open(), *log = files_path(dir, "log"), *old = files_path(dir, "old");
    server_start(&s, "--access-log", log);
    client_open(&c, &s);
    client_get(&c, "/plaintext?before", 200, &r);
    assert_true(await_line(log, "\"GET /plaintext?before HTTP/1.1\" 200 13"));
    assert_int_equal(rename(log, old), 0);
    server_signal(&s, SIGHUP);
    assert_true(await_line(log, ""));
    client_get(&c, "/plaintext?after", 200, &r);
    assert_true(await_line(log, "\"GET /plaintext?after HTTP/1.1\" 200 13"));
    char *text = files_read(old);
    assert_null(strstr(text, "after"));
    free(text);
    client_get(&c, "/plaintext?last", 200, &r);
    client_close(&c);
    server_stop(&s);
    text = files_read(log); /* a drain writes every line */
    assert_non_null(strstr(text, "?last"));
    free(text);
    reply_free(&r);
    free(old);
    free(log);
    files_close(dir);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_line),
        cmocka_unit_test(test_several_listeners),
        cmocka_unit_test(test_burn_ns_is_checked),
        cmocka_unit_test(test_version_and_help),
        cmocka_unit_test(test_output_that_is_lost_exits_with_1),
        cmocka_unit_test(test_wrong_option_exits_with_2),
        cmocka_unit_test(test_port_in_use_exits_with_1),
        cmocka_unit_test(test_second_server_on_a_port_exits_with_1),
        cmocka_unit_test(test_unwritable_access_log_exits_with_1),
        cmocka_unit_test(test_closed_standard_descriptors_stay_unused),
        cmocka_unit_test(test_restart_after_a_kill),
        cmocka_unit_test(test_repeated_signals_keep_exit_status),
        cmocka_unit_test(test_a_long_body_that_is_not_read_closes),
        cmocka_unit_test(test_config_file),
        cmocka_unit_test(test_signal_ends_the_wait_for_a_config_file),
        cmocka_unit_test(test_config_error_names_file_and_line),
        cmocka_unit_test(test_refused_engine_exits_with_3),
        cmocka_unit_test(test_refused_engine_falls_back_to_epoll),
        cmocka_unit_test(test_disabled_features_are_not_used),
        cmocka_unit_test(test_reopen_access_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
