/* Handlers driven without a socket (torc/test.h). Uses the public headers alone, as the tests of a
 * program do. argv[1]: the engine. */

#include <torc/test.h>

#include "../base/comma_locale.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
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

static int sends_file(torc_req *rq, void *arg)
{
    seen = torc_send_file(rq, arg, 0, torc_file_size(arg));
    return 0;
}

static int fails(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return -ECANCELED;
}

/* A group ends the sending of a file of several pieces: what followed would stand at a wrong place.
 */
static void cuts_file(torc_req *rq, void *arg)
{
    torc_file *file;
    (void)arg;
    assert_int_equal(torc_file_temp(rq, directory, &file), 0);
    assert_int_equal(torc_file_write(rq, file, "end", 3, 999999), 3);
    assert_int_equal(torc_start(rq, 200, "text/plain", -1), 0);
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, sends_file, file);
    torc_spawn(g, fails, NULL);
    torc_group_join(g);
    assert_int_equal(torc_write(rq, "cut", 3), -EINVAL);
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

static void tells_peer(torc_req *rq, void *arg)
{
    torc_slice peer = torc_peer(rq), scheme = torc_scheme(rq), who = torc_cookie(rq, "who");
    (void)arg;
    torc_replyf(rq, 200, "%.*s %.*s %.*s", (int)peer.len, peer.ptr, (int)scheme.len, scheme.ptr,
                (int)who.len, who.ptr ? who.ptr : "");
}

static void reads_form(torc_req *rq, void *arg)
{
    torc_slice a = torc_form(rq, "a");
    (void)arg;
    if (a.ptr) torc_replyf(rq, 200, "%.*s", (int)a.len, a.ptr);
}

static void reads_parts(torc_req *rq, void *arg)
{
    torc_part *part;
    torc_slice content;
    size_t n = 0;
    int err;
    (void)arg;
    while ((err = torc_multipart_next(rq, &part)) > 0) {
        if (torc_part_all(rq, part, &content) < 0) return;
        n += content.len;
    }
    if (err == 0) torc_replyf(rq, 200, "%zu", n);
}

static void reads_all(torc_req *rq, void *arg)
{
    torc_slice body;
    (void)arg;
    seen = torc_body_all(rq, &body);
    if (seen == 0) torc_reply(rq, 200, NULL, body);
}

static int reads_all_apart(torc_req *rq, void *arg)
{
    reads_all(rq, arg);
    return 0;
}

/* One fiber reads all; another comes while it waits. */
static void reads_twice(torc_req *rq, void *arg)
{
    char buf[64];
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, reads_all_apart, NULL);
    assert_int_equal(torc_body_read(rq, buf, sizeof buf), -EBUSY);
    torc_group_join(g);
}

static void closes(torc_req *rq, void *arg)
{
    (void)arg;
    torc_hint(rq, TORC_S("</a.js>; rel=preload"));
    torc_hint(rq, TORC_S("</b.js>; rel=preload"));
    torc_close_after(rq);
    torc_reply(rq, 200, NULL, TORC_S(""));
}

static void awaits_the_end(torc_req *rq, void *arg)
{
    (void)arg;
    seen = torc_await(rq, TORC_CLIENT_GONE);
}

static int key;

static void measures(torc_req *rq, void *arg)
{
    torc_measures m = {0};
    (void)arg;
    seen = torc_server_measures(server, &m);
    torc_set(rq, &key, &seen);
    torc_replyf(rq, 200, "%s", m.engine ? m.engine : "");
}

/* For 20 ms, without a wait. */
static void computes(torc_req *rq, void *arg)
{
    struct timespec from, now;
    int64_t ns;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        ns = (now.tv_sec - from.tv_sec) * INT64_C(1000000000) + now.tv_nsec - from.tv_nsec;
    } while (ns < 20 * 1000 * 1000);
    torc_reply(rq, 200, NULL, TORC_S("computed"));
}

static struct {
    int n, status, waits;
    torc_outcome outcome;
    uint64_t bytes, ns;
    bool had_path, had_value, had_peer;
} told;

static void is_told(torc_req *rq, const torc_summary *end, void *arg)
{
    assert_ptr_equal(arg, &told);
    told.n++;
    told.status = end->status;
    told.outcome = end->outcome;
    told.bytes = end->body_bytes;
    told.ns = end->duration_ns;
    told.had_path = torc_path(rq).len > 0;
    told.had_value = torc_get(rq, &key) == &seen;
    told.had_peer = torc_peer(rq).len > 0;
    told.waits = torc_sleep(rq, 1);
}

/* ---- the rig ---- */

static void runs_another(torc_req *rq, void *arg)
{
    const torc_test_request other = {.target = "/gives"};
    (void)arg;
    torc_replyf(rq, 200, "%d %d", torc_test_run(t, &other), torc_server_join(server));
}

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
        {"GET", "/cut", cuts_file},
        {"GET", "/gives", gives},
        {"GET", "/nothing", gives_nothing},
        {"GET", "/peer", tells_peer},
        {"POST", "/form", reads_form},
        {"POST", "/parts", reads_parts},
        {"POST", "/all", reads_all},
        {"POST", "/less", reads_all},
        {"POST", "/twice", reads_twice},
        {"GET", "/closes", closes},
        {"GET", "/end", awaits_the_end},
        {"GET", "/measures", measures},
        {"GET", "/another", runs_another},
        {"GET", "/computes", computes},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        assert_int_equal(
            torc_route(server, routes[i].method, routes[i].pattern, routes[i].fn, NULL), 0);
    assert_int_equal(torc_static_dir(server, "/files/", directory), 0);
    assert_int_equal(torc_server_set(server, "engine", engine), 0);
    assert_int_equal(torc_server_set(server, "max-body", "1000"), 0);
    assert_int_equal(torc_server_set(server, "trust-proxy", "192.0.2.0/24"), 0);
    const torc_route_limits less = {.max_body = 10, .stack_size = 128 << 10};
    assert_int_equal(torc_route_limit(server, "POST", "/less", &less), 0);
    assert_int_equal(torc_on_end(server, is_told, &told), 0);
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
    assert_int_equal(get("/cut"), -EPIPE);
    assert_int_equal(seen, -ECANCELED);
    assert_true(torc_test_body(t).len < 1000002);
}

static void clients_have_addresses(void **state)
{
    static const struct {
        const char *peer, *fields, *want;
    } cases[] = {
        {NULL, NULL, "127.0.0.1:1024 http "},
        {"198.51.100.7:80", NULL, "198.51.100.7:80 http "},
        {"2001:db8::1", "Cookie: a=b; who=me\r\n", "[2001:db8::1] http me"},
        {"unix:", NULL, "unix: http "},
        {"192.0.2.1:5", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n",
         "203.0.113.9 https "},
        {"198.51.100.7:80", "X-Forwarded-For: 203.0.113.9\r\n", "198.51.100.7:80 http "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        torc_test_request rq = {
            .target = "/peer", .peer = cases[i].peer, .fields = cases[i].fields};
        assert_int_equal(torc_test_run(t, &rq), 0);
        is(torc_test_body(t), cases[i].want);
    }
    assert_int_equal(torc_test_run(t, &(torc_test_request){.peer = "nobody"}), -EINVAL);
    assert_int_equal(torc_test_run(t, &(torc_test_request){.peer = ""}), -EINVAL);
}

static void ends_are_told(void **state)
{
    (void)state;
    memset(&told, 0, sizeof told);
    assert_int_equal(get("/measures"), 0);
    assert_int_equal(seen, 0);
    is(torc_test_body(t), engine);
    assert_true(told.n == 1 && told.status == 200 && told.outcome == TORC_DONE);
    assert_true(told.bytes == strlen(engine) && told.had_path && told.had_value && told.had_peer);
    assert_int_equal(told.waits, -EPERM);
    assert_int_equal(get("/none"), 0);
    assert_true(told.n == 2 && told.status == 404 && told.outcome == TORC_DONE);
    assert_int_equal(torc_test_run(t, &(torc_test_request){.fields = "no colon\r\n"}), 0);
    assert_true(told.n == 3 && told.status == 400 && !told.had_path);
    assert_int_equal(torc_test_run(t, &(torc_test_request){.target = "/end", .gone_ms = 5}),
                     -ECONNRESET);
    assert_true(told.n == 4 && told.status == 0 && told.outcome == TORC_CLIENT_LEFT);
    assert_true(told.ns >= 4000000);
    assert_int_equal(get("/short"), -EPIPE);
    assert_true(told.n == 5 && told.status == 200 && told.outcome == TORC_GIVEN_UP);
    assert_int_equal(told.bytes, 4);
    assert_int_equal(torc_test_run(t, &(torc_test_request){.method = "HEAD", .target = "/gives"}),
                     0);
    assert_true(told.n == 6 && told.bytes == 0);
    assert_int_equal(get("/computes"), 0);
    assert_true(told.n == 7 && told.ns >= 20000000);
}

static void bodies_are_read_in_any_way(void **state)
{
    static const char type[] = "Content-Type: application/x-www-form-urlencoded\r\n",
                      parts[] = "Content-Type: multipart/form-data; boundary=x\r\n";
    (void)state;
    torc_test_request rq = {
        .method = "POST", .target = "/form", .fields = type, .body = TORC_S("b=1&a=%32+3")};
    for (rq.piece = 0; rq.piece < 4; rq.piece++) {
        assert_int_equal(torc_test_run(t, &rq), 0);
        is(torc_test_body(t), "2 3");
    }
    rq = (torc_test_request){
        .method = "POST",
        .target = "/parts",
        .fields = parts,
        .body = TORC_S("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nfour\r\n"
                       "--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nfives\r\n--x--")};
    for (rq.piece = 0; rq.piece < 4; rq.piece++) {
        assert_int_equal(torc_test_run(t, &rq), 0);
        is(torc_test_body(t), "9");
    }
    rq.fields = "Content-Type: text/plain\r\n";
    assert_int_equal(torc_test_run(t, &rq), 0);
    assert_int_equal(torc_test_status(t), 415);
    rq = (torc_test_request){
        .method = "POST", .target = "/twice", .body = TORC_S("by one fiber"), .piece = 3};
    assert_int_equal(torc_test_run(t, &rq), 0);
    is(torc_test_body(t), "by one fiber");
}

static void bodies_have_limits_and_ends(void **state)
{
    static const struct {
        torc_test_request rq;
        int result, status;
    } cases[] = {
        {{.target = "/less", .body = TORC_S("ten bytes!")}, 0, 200},
        {{.target = "/less", .body = TORC_S("11 bytes...")}, 0, 413},
        {{.target = "/less",
          .body = TORC_S("11 bytes..."),
          .fields = "Transfer-Encoding: chunked\r\n",
          .piece = 3},
         -EMSGSIZE,
         413},
        {{.target = "/all", .body = TORC_S("four"), .fields = "Content-Length: 5\r\n"},
         -EPIPE,
         400},
        {{.target = "/all", .body = TORC_S("four"), .fields = "Content-Length: 4\r\n"}, 0, 200},
        {{.target = "/all", .body = TORC_S("five!"), .fields = "Content-Length: 4\r\n"}, 0, 200},
        {{.target = "/all", .body = TORC_S("four"), .fields = "Transfer-Encoding: chunked\r\n"},
         0,
         200},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        torc_test_request rq = cases[i].rq;
        rq.method = "POST";
        seen = 0;
        assert_int_equal(torc_test_run(t, &rq), 0);
        if (torc_test_status(t) != cases[i].status || seen != cases[i].result)
            fail_msg("%zu: %d, %d", i, torc_test_status(t), seen);
        if (i >= 4) assert_int_equal(torc_test_body(t).len, 4);
    }
}

static void a_handler_may_close(void **state)
{
    (void)state;
    assert_int_equal(get("/closes"), 0);
    is(torc_test_header(t, "Connection"), "close");
    is(torc_test_hints(t), "</a.js>; rel=preload\n</b.js>; rel=preload\n");
    assert_int_equal(torc_test_run(t, &(torc_test_request){.target = "/end", .gone_ms = 5}),
                     -ECONNRESET);
    assert_int_equal(seen, -ECONNRESET);
}

static void the_server_is_started(void **state)
{
    char *argv[] = {(char[]){"x"}, NULL};
    (void)state;
    assert_int_equal(torc_route(server, "GET", "/late", hello, NULL), -EBUSY);
    assert_int_equal(torc_server_set(server, "depth", "8"), -EBUSY);
    assert_null(torc_test_open(server));
    assert_int_equal(torc_server_main(server, 1, argv), -EBUSY);
    assert_int_equal(torc_server_run(server), -EBUSY);
    assert_int_equal(torc_server_join(server), -EINVAL);
    assert_int_equal(torc_server_port(server, 0), -EINVAL);
}

static void *run_elsewhere(void *arg)
{
    const torc_test_request rq = {.target = "/waits"};
    *(int *)arg = torc_test_run(t, &rq);
    return NULL;
}

static void it_runs_in_its_place_alone(void **state)
{
    const torc_test_request rq = {.target = "/another"};
    pthread_t thread;
    char want[32];
    int elsewhere = 0;
    (void)state;
    assert_int_equal(torc_test_run(t, &rq), 0);
    snprintf(want, sizeof want, "%d %d", -EDEADLK, -EINVAL);
    assert_true(torc_slice_eq(torc_test_body(t), torc_slice_str(want)));
    assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, &elsewhere), 0);
    pthread_join(thread, NULL);
    assert_int_equal(elsewhere, -EPERM);
    assert_true(torc_slice_eq(torc_test_body(t), torc_slice_str(want)));
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

static void is_mine(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("mine"));
}

/* Opens it, and expects that of GET `target`. */
static void open_and_get(torc_server *s, const char *target, int status)
{
    torc_test *own = torc_test_open(s);
    if (!own) fail_msg("%s", torc_server_error(s));
    const torc_test_request rq = {.target = target};
    assert_int_equal(torc_test_run(own, &rq), 0);
    if (torc_test_status(own) != status) fail_msg("%s: %d", target, torc_test_status(own));
    if (status == 301)
        assert_int_equal(torc_test_header(own, "Location").len, strlen(target) + 1);
    else
        assert_true(torc_slice_eq(torc_test_body(own), TORC_S("mine")));
    torc_test_close(own);
}

/* The redirect of a prefix without its slash is for GET of which the program says nothing. */
static void a_route_beside_files_is_the_programs(void **state)
{
    static const struct {
        const char *method;
        int status;
    } cases[] = {{"GET", 200}, {"*", 200}, {"POST", 301}, {"HEAD", 301}};
    (void)state;
    for (size_t i = 0; i < 4 * sizeof cases / sizeof *cases; i++) {
        const char *method = cases[i / 4].method, *dir = i & 1 ? directory : NULL;
        torc_server *s = torc_server_new("x 1");
        assert_int_equal(torc_server_set(s, "engine", engine), 0);
        if (i & 2) assert_int_equal(torc_route(s, method, "/f/g", is_mine, NULL), 0);
        assert_int_equal(dir ? torc_static_dir(s, "/f/g/", dir) : torc_static(s, "/f/g/"), 0);
        if (!(i & 2)) assert_int_equal(torc_route(s, method, "/f/%67", is_mine, NULL), 0);
        assert_string_equal(torc_server_error(s), "");
        open_and_get(s, "/f/g", cases[i / 4].status);
        torc_server_free(s);
    }
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

static int count_starts(torc_req *rq, void *arg)
{
    (void)arg;
    seen++;
    return torc_sleep(rq, 1);
}

static void count_stops(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    seen += 10;
}

/* As a filter that comes into force while a program runs. */
static void refuse_waits(torc_req *rq, void *arg)
{
    static const int calls[] = {
        SYS_io_uring_enter,
        SYS_epoll_pwait,
        SYS_ppoll,
#ifdef SYS_epoll_wait
        SYS_epoll_wait,
#endif
    };
    (void)arg;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = {sizeof code / sizeof *code, code};
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    }
    torc_sleep(rq, 1);
    torc_reply(rq, 200, NULL, TORC_S("slept"));
}

/* In a process of its own; 0 if all is as it should be. */
static int refused_in_child(void)
{
    const torc_test_request refuses = {.target = "/refuse"}, other = {.target = "/none"};
    torc_server *s = torc_server_new("refused 1.0");
    alarm(60);
    if (torc_route(s, "GET", "/refuse", refuse_waits, NULL) < 0) return 1;
    if (torc_server_set(s, "engine", engine) < 0) return 2;
    torc_test *refused = torc_test_open(s);
    if (!refused || torc_test_run(refused, &other) != 0) return 3;
    if (torc_test_run(refused, &refuses) != -EPERM || !*torc_server_error(s)) return 4;
    if (torc_test_run(refused, &other) != -EPERM) return 5;
    torc_test_close(refused);
    torc_server_free(s);
    return 0;
}

static void an_engine_that_is_refused_later_is_told(void **state)
{
    int status = -1;
    (void)state;
    pid_t child = fork();
    if (child == 0) _exit(refused_in_child());
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static void does_nothing(void *arg)
{
    (void)arg;
}

static void posts_in_child(torc_req *rq, void *arg)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) _exit(torc_post(arg, 0, does_nothing, NULL) == -ECHILD ? 0 : 1);
    waitpid(child, &status, 0);
    torc_replyf(rq, 200, "%d %d", status, torc_post(arg, 0, does_nothing, NULL));
}

static void nothing_is_posted_in_a_child(void **state)
{
    (void)state;
    torc_server *s = torc_server_new("x 1");
    assert_int_equal(torc_route(s, "GET", "/post", posts_in_child, s), 0);
    assert_int_equal(torc_server_set(s, "engine", engine), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/post"}), 0);
    is(torc_test_body(other), "0 0");
    torc_test_close(other);
    torc_server_free(s);
}

static void functions_of_the_core_run(void **state)
{
    (void)state;
    torc_server *s = torc_server_new("x 1");
    seen = 0;
    assert_int_equal(torc_server_each_core(s, count_starts, count_stops, NULL), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    assert_int_equal(seen, 1);
    torc_test_close(other);
    assert_int_equal(seen, 11);
    torc_server_free(s);
}

static void sees_post(void *arg)
{
    *(int *)arg = seen;
}

static int posts_too_early(torc_req *rq, void *arg)
{
    (void)rq;
    return torc_post(*(torc_server **)arg, 0, sees_post, NULL) == -ESHUTDOWN ? 0 : -EPROTO;
}

static void functions_are_posted_between_start_and_stop(void **state)
{
    int at_post = -1;
    (void)state;
    torc_server *s = torc_server_new("x 1");
    seen = 0;
    assert_int_equal(torc_server_each_core(s, count_starts, count_stops, NULL), 0);
    assert_int_equal(torc_server_each_core(s, posts_too_early, NULL, &s), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    assert_int_equal(torc_post(s, 0, sees_post, &at_post), 0);
    torc_test_close(other);
    assert_int_equal(at_post, 1); /* before the stop function */
    assert_int_equal(seen, 11);
    torc_server_free(s);
}

static void fraction(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_json(rq, 200, "{\"half\":%.1f,\"name\":\"%ls\"}", 0.5, L"J\u00f6rg");
}

/* And text is as the program's locale has it. */
static void json_has_a_point_in_any_locale(void **state)
{
    (void)state;
    torc_server *s = torc_server_new("x 1");
    assert_int_equal(torc_route(s, "GET", "/fraction", fraction, NULL), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    if (comma_locale_enter()) {
        assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/fraction"}), 0);
        is(torc_test_body(other), "{\"half\":0.5,\"name\":\"J\xc3\xb6rg\"}");
    }
    torc_test_close(other);
    torc_server_free(s);
}

static void middleware_runs(void **state)
{
    (void)state;
    torc_server *s = torc_server_new("x 1");
    assert_int_equal(torc_route(s, "GET", "/hello/:name", hello, NULL), 0);
    assert_int_equal(torc_use(s, "/", around, NULL), 0);
    assert_int_equal(torc_static_dir(s, "/files/", directory), 0);
    assert_int_equal(torc_errors(s, "/hello", tells, NULL), 0);
    assert_int_equal(torc_errors(s, "/none", tells, NULL), 0);
    torc_test *other = torc_test_open(s);
    assert_non_null(other);
    assert_int_equal(
        torc_test_run(other, &(torc_test_request){.method = "BREW", .target = "/hello/a"}), 0);
    is(torc_test_body(other), "{\"status\":501}");
    assert_int_equal(
        torc_test_run(other, &(torc_test_request){.method = "B@EW", .target = "/hello/a"}), 0);
    is(torc_test_body(other), "400 Bad Request\n");
    assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/hello/a"}), 0);
    is(torc_test_body(other), "Hello, a!");
    is(torc_test_header(other, "X-Around"), "1");
    assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/none"}), 0);
    assert_int_equal(torc_test_status(other), 404);
    is(torc_test_body(other), "{\"status\":404}");
    is(torc_test_header(other, "X-Around"), "1");
    assert_int_equal(torc_test_run(other, &(torc_test_request){.target = "/files"}), 0);
    is(torc_test_header(other, "Location"), "/files/");
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
        cmocka_unit_test(clients_have_addresses),
        cmocka_unit_test(ends_are_told),
        cmocka_unit_test(bodies_are_read_in_any_way),
        cmocka_unit_test(bodies_have_limits_and_ends),
        cmocka_unit_test(a_handler_may_close),
        cmocka_unit_test(the_server_is_started),
        cmocka_unit_test(it_runs_in_its_place_alone),
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(a_route_beside_files_is_the_programs),
        cmocka_unit_test_teardown(json_has_a_point_in_any_locale, comma_locale_leave),
        cmocka_unit_test(middleware_runs),
        cmocka_unit_test(an_engine_that_is_refused_later_is_told),
        cmocka_unit_test(nothing_is_posted_in_a_child),
        cmocka_unit_test(functions_of_the_core_run),
        cmocka_unit_test(functions_are_posted_between_start_and_stop),
        cmocka_unit_test(options_of_the_program_have_values),
    };
    int failed = cmocka_run_group_tests(tests, open_all, close_all);
    rmdir(directory);
    return failed;
}
