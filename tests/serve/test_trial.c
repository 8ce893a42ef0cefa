/* Handlers driven without a socket (torc/test.h). Uses the public headers alone, as the tests of a
 * program do. argv[1]: the engine. */

#include <torc/test.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *engine;
static torc_server *server;
static torc_test *t;
static char directory[] = "/tmp/torc-test-trial-XXXXXX";
static int seen; /* what a handler was told */

/* ---- handlers ---- */

static void hello(torc_req *rq, void *arg)
{
    torc_slice name = torc_param(rq, "name");
    (void)arg;
    torc_set_header(rq, TORC_S("X-Two"), TORC_S("1"));
    torc_set_header(rq, TORC_S("X-Two"), TORC_S("2"));
    torc_set_cookie(rq, "seen", TORC_S("yes"), NULL);
    torc_replyf(rq, 200, "Hello, %.*s!", (int)name.len, name.ptr);
}

static void echo(torc_req *rq, void *arg)
{
    char buf[64];
    ssize_t n, most = 0;
    (void)arg;
    torc_start(rq, 200, "text/plain", -1);
    while ((n = torc_body_read(rq, buf, sizeof buf)) > 0) {
        torc_write(rq, buf, (size_t)n);
        if (n > most) most = n;
    }
    snprintf(buf, sizeof buf, "%zd", most);
    torc_set_trailer(rq, TORC_S("X-Most"), (torc_slice){buf, strlen(buf)});
}

static int sleeps(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_sleep(rq, 5);
}

static int double_it(torc_job *job, void *arg)
{
    (void)job;
    return 2 * *(int *)arg;
}

static void waits(torc_req *rq, void *arg)
{
    int number = 21;
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, sleeps, NULL);
    torc_spawn(g, sleeps, NULL);
    int err = torc_group_join(g), doubled = torc_work(rq, double_it, &number, NULL);
    torc_hint(rq, TORC_S("</a.css>; rel=preload"));
    torc_reply_json(rq, 200, "{\"joined\":%d,\"doubled\":%d,\"core\":%u}", err, doubled,
                    torc_core(rq));
}

static void waits_for_ever(torc_req *rq, void *arg)
{
    torc_event *e = torc_event_new();
    uint64_t count = 0;
    (void)arg;
    seen = torc_event_wait(rq, e, &count);
    torc_event_free(e);
}

static void *signal_it(void *arg)
{
    torc_event_signal(arg);
    return NULL;
}

static void posted(void *arg)
{
    torc_event_signal(arg);
}

static void waits_for_others(torc_req *rq, void *arg)
{
    pthread_t thread;
    torc_event *e = torc_event_new();
    uint64_t count = 0;
    (void)arg;
    assert_int_equal(pthread_create(&thread, NULL, signal_it, e), 0);
    assert_int_equal(torc_event_wait(rq, e, &count), 0);
    pthread_join(thread, NULL);
    assert_int_equal(torc_post(server, 0, posted, e), 0);
    assert_int_equal(torc_post(server, 1, posted, e), -EINVAL);
    while (count < 2) assert_int_equal(torc_event_wait(rq, e, &count), 0);
    torc_event_free(e);
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void keeps(torc_req *rq, void *arg)
{
    torc_file *file;
    int64_t size;
    (void)arg;
    if (torc_file_temp(rq, directory, &file) < 0 || torc_body_file(rq, file, &size) < 0) return;
    if (torc_start(rq, 200, NULL, size) == 0) torc_send_file(rq, file, 0, size);
}

static void is_short(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, 10);
    torc_write(rq, "four", 4);
}

static void gives(torc_req *rq, void *arg)
{
    char *large = malloc(20000);
    (void)arg;
    memset(large, 'x', 20000);
    torc_reply_own(rq, 200, "text/plain", (torc_slice){large, 20000}, free, large);
}

static void gives_nothing(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
}

/* ---- the rig ---- */

static int open_all(void **state)
{
    (void)state;
    server = torc_server_new("trial 1.0");
    assert_non_null(server);
    const struct {
        const char *method, *pattern;
        torc_handler *fn;
    } routes[] = {
        {"GET", "/hello/:name", hello},
        {"POST", "/echo", echo},
        {"GET", "/waits", waits},
        {"GET", "/forever", waits_for_ever},
        {"GET", "/others", waits_for_others},
        {"POST", "/keeps", keeps},
        {"GET", "/short", is_short},
        {"GET", "/gives", gives},
        {"GET", "/nothing", gives_nothing},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        assert_int_equal(
            torc_route(server, routes[i].method, routes[i].pattern, routes[i].fn, NULL), 0);
    assert_int_equal(torc_static_dir(server, "/files/", directory), 0);
    assert_int_equal(torc_server_set(server, "engine", engine), 0);
    assert_int_equal(torc_server_set(server, "max-body", "1000"), 0);
    t = torc_test_open(server);
    if (!t) fail_msg("%s", torc_server_error(server));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    torc_test_close(t);
    torc_server_free(server);
    return 0;
}

static int get(const char *target)
{
    return torc_test_run(t, &(torc_test_request){.target = target});
}

static void is(torc_slice got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.ptr, want, got.len) != 0)
        fail_msg("'%.*s', not '%s'", (int)got.len, got.ptr ? got.ptr : "", want);
}

/* ---- tests ---- */

static void a_response_is_kept(void **state)
{
    size_t at = 0, n = 0;
    torc_slice name, value;
    (void)state;
    assert_int_equal(get("/hello/%77orld?x=1"), 0);
    assert_int_equal(torc_test_status(t), 200);
    is(torc_test_body(t), "Hello, world!");
    is(torc_test_header(t, "content-type"), "text/plain");
    is(torc_test_header(t, "Content-Length"), "13");
    is(torc_test_header(t, "x-two"), "1");
    is(torc_test_header(t, "Set-Cookie"), "seen=yes; Path=/; HttpOnly; SameSite=Lax");
    assert_null(torc_test_header(t, "X-Other").ptr);
    while (torc_test_header_next(t, &at, &name, &value)) n++;
    assert_int_equal(n, 5);
    is(name, "Content-Length");
    assert_int_equal(torc_test_run(t, &(torc_test_request){.method = "HEAD", .target = "/hello/a"}),
                     0);
    is(torc_test_body(t), "");
    is(torc_test_header(t, "Content-Length"), "9");
}

static void what_torc_answers_itself(void **state)
{
    static const struct {
        torc_test_request rq;
        int status;
    } cases[] = {
        {{.target = "/none"}, 404},
        {{.method = "DELETE", .target = "/echo"}, 405},
        {{.method = "BREW", .target = "/echo"}, 501},
        {{.target = "no-slash"}, 400},
        {{.target = "/hello/a", .fields = "Host: a\r\nHost: b\r\n"}, 400},
        {{.target = "/hello/a", .fields = "no colon\r\n"}, 400},
        {{.method = "POST", .target = "/echo", .fields = "Content-Length: 1001\r\n"}, 413},
        {{.target = "/nothing"}, 500},
        {{.target = "/files/none"}, 404},
        {{.target = "/files"}, 301},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(torc_test_run(t, &cases[i].rq), 0);
        if (torc_test_status(t) != cases[i].status) fail_msg("%zu: %d", i, torc_test_status(t));
    }
    is(torc_test_header(t, "Location"), "/files/");
    assert_int_equal(torc_test_run(t, &cases[1].rq), 0);
    is(torc_test_header(t, "Allow"), "POST, OPTIONS");
}

static void what_is_no_request(void **state)
{
    static const torc_test_request wrong[] = {
        {.method = "GET /"},           {.target = "/a b"},
        {.target = "/a\r\nX: y"},      {.fields = "X: y"},
        {.fields = "X: y\r\n\r\nGET"}, {.fields = "\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(torc_test_run(t, &wrong[i]), -EINVAL);
        assert_int_equal(torc_test_status(t), 0);
        assert_null(torc_test_body(t).ptr);
    }
}

static void bodies_come_in_pieces(void **state)
{
    (void)state;
    torc_test_request rq = {.method = "POST",
                            .target = "/echo",
                            .body = TORC_S("some bytes"),
                            .fields = "TE: trailers\r\n"};
    for (rq.piece = 0; rq.piece < 12; rq.piece++) {
        char want[8];
        assert_int_equal(torc_test_run(t, &rq), 0);
        is(torc_test_body(t), "some bytes");
        snprintf(want, sizeof want, "%zu", rq.piece && rq.piece < 10 ? rq.piece : 10);
        is(torc_test_trailer(t, "x-most"), want);
        assert_null(torc_test_header(t, "Content-Length").ptr);
    }
}

static void handlers_wait(void **state)
{
    (void)state;
    assert_int_equal(get("/waits"), 0);
    is(torc_test_body(t), "{\"joined\":0,\"doubled\":42,\"core\":0}");
    is(torc_test_hints(t), "</a.css>; rel=preload\n");
    assert_int_equal(get("/others"), 0);
    assert_int_equal(torc_test_status(t), 204);
}

static void files_are_written_and_sent(void **state)
{
    char path[128];
    (void)state;
    torc_test_request rq = {
        .method = "POST", .target = "/keeps", .body = TORC_S("to the disk"), .piece = 3};
    assert_int_equal(torc_test_run(t, &rq), 0);
    is(torc_test_body(t), "to the disk");
    snprintf(path, sizeof path, "%s/a.css", directory);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "a{}", 3), 3);
    close(fd);
    assert_int_equal(get("/files/a.css"), 0);
    is(torc_test_body(t), "a{}");
    is(torc_test_header(t, "Content-Type"), "text/css; charset=utf-8");
    unlink(path);
    assert_int_equal(get("/gives"), 0);
    assert_int_equal(torc_test_body(t).len, 20000);
}

static void requests_end_early(void **state)
{
    (void)state;
    torc_test_request rq = {.target = "/forever", .gone_ms = 5};
    assert_int_equal(torc_test_run(t, &rq), -ECONNRESET);
    assert_int_equal(seen, -ECONNRESET);
    assert_int_equal(torc_test_status(t), 0);
    rq = (torc_test_request){.target = "/forever", .limit_ms = 5};
    assert_int_equal(torc_test_run(t, &rq), -ETIMEDOUT);
    assert_int_equal(seen, -ETIMEDOUT);
    assert_int_equal(get("/short"), -EPIPE);
    assert_int_equal(get("/hello/again"), 0);
}

static void the_server_is_started(void **state)
{
    char *argv[] = {(char[]){"x"}, NULL};
    (void)state;
    assert_int_equal(torc_route(server, "GET", "/late", hello, NULL), -EBUSY);
    assert_int_equal(torc_server_set(server, "depth", "8"), -EBUSY);
    assert_null(torc_test_open(server));
    assert_int_equal(torc_server_main(server, 1, argv), -EBUSY);
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    torc_server *s = torc_server_new("x 1");
    assert_int_equal(torc_static_dir(s, "/", "/nowhere"), 0);
    assert_null(torc_test_open(s));
    assert_non_null(strstr(torc_server_error(s), "directory"));
    torc_server_free(s);
}

static void around(torc_req *rq, void *arg)
{
    (void)arg;
    torc_set_header(rq, TORC_S("X-Around"), TORC_S("1"));
    torc_next(rq);
}

static void tells(torc_req *rq, int status, void *arg)
{
    (void)arg;
    torc_reply_json(rq, status, "{\"status\":%d}", status);
}

static void middleware_runs(void **state)
{
    (void)state;
    torc_server *s = torc_server_new("x 1");
    assert_int_equal(torc_route(s, "GET", "/hello/:name", hello, NULL), 0);
    assert_int_equal(torc_use(s, "/", around, NULL), 0);
    assert_int_equal(torc_errors(s, "/", tells, NULL), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/hello/a"}), 0);
    is(torc_test_body(other), "Hello, a!");
    is(torc_test_header(other, "X-Around"), "1");
    assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/none"}), 0);
    assert_int_equal(torc_test_status(other), 404);
    is(torc_test_body(other), "{\"status\":404}");
    is(torc_test_header(other, "X-Around"), "1");
    torc_test_close(other);
    torc_server_free(s);
}

static void options_of_the_program_have_values(void **state)
{
    const char *value = NULL;
    (void)state;
    torc_server *s = torc_server_new("x 1");
    assert_int_equal(torc_server_option(s, "greeting", "TEXT", "what to say", &value), 0);
    assert_int_equal(torc_server_set(s, "greeting", "hi"), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    assert_string_equal(value, "hi");
    torc_test_close(other);
    torc_server_free(s);
}

int main(int argc, char **argv)
{
    engine = argc > 1 ? argv[1] : "epoll";
    if (!mkdtemp(directory)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_is_kept),
        cmocka_unit_test(what_torc_answers_itself),
        cmocka_unit_test(what_is_no_request),
        cmocka_unit_test(bodies_come_in_pieces),
        cmocka_unit_test(handlers_wait),
        cmocka_unit_test(files_are_written_and_sent),
        cmocka_unit_test(requests_end_early),
        cmocka_unit_test(the_server_is_started),
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(middleware_runs),
        cmocka_unit_test(options_of_the_program_have_values),
    };
    int failed = cmocka_run_group_tests(tests, open_all, close_all);
    rmdir(directory);
    return failed;
}
