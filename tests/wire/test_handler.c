/* Handlers that break the rules: the server still responds and leaks nothing. */

#include "lab_core.h"

#include "http/router.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int slept, spawned_late;

static int nap(torc_req *rq, void *arg)
{
    (void)arg;
    int err = torc_sleep(rq, 5);
    slept++;
    return err;
}

static int nap_and_spawn(torc_req *rq, void *arg)
{
    (void)arg;
    int err = torc_sleep(rq, 5);
    torc_group *g = torc_group_open(rq);
    if (g && torc_spawn(g, nap, NULL) == 0) spawned_late++;
    return err;
}

static void returns_with_open_groups(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *one = torc_group_open(rq), *two = torc_group_open(rq);
    torc_spawn(one, nap, NULL);
    torc_spawn(two, nap_and_spawn, NULL);
    torc_reply(rq, 200, "text/plain", TORC_S("left"));
}

static void returns_with_an_open_file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_file *file;
    torc_replyf(rq, torc_file_open(rq, "/proc/self/exe", &file) == 0 ? 200 : 500, "open");
}

static void does_not_respond(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
}

static void responds_twice(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("one"));
    if (torc_reply(rq, 500, NULL, TORC_S("two")) != -EALREADY) abort();
}

static void injects_header_lines(torc_req *rq, void *arg)
{
    (void)arg;
    int refused = 0;
    refused += torc_set_header(rq, TORC_S("X"), TORC_S("a\r\nY: b")) == -EINVAL;
    refused += torc_set_header(rq, TORC_S("X\r\nY"), TORC_S("a")) == -EINVAL;
    refused += torc_set_header(rq, TORC_S("Content-Length"), TORC_S("3")) == -EINVAL;
    refused += torc_set_header(rq, TORC_S("transfer-encoding"), TORC_S("chunked")) == -EINVAL;
    refused += torc_reply(rq, 200, "text/plain\r\nY: b", TORC_S("")) == -EINVAL;
    torc_replyf(rq, 200, "%d", refused);
}

/* Of check_response. */
static struct http_context *core;

static void expects(bool as_expected)
{
    if (!as_expected) abort();
}

/* Whatever has failed to begin is as if it had not been tried. */
static void starts_in_vain(torc_req *rq, void *arg)
{
    struct slab *output = &core->small;
    (void)arg;
    output->max = 0;
    expects(torc_start(rq, 200, NULL, -1) == -ENOMEM);
    expects(torc_write(rq, "text", 4) == -EINVAL);
    expects(torc_end(rq) == -EINVAL);
    output->max = UINT32_MAX;
    torc_reply(rq, 200, NULL, TORC_S("whole"));
}

static void replies_in_vain(torc_req *rq, void *arg)
{
    struct slab *output = &core->small;
    (void)arg;
    output->max = 0;
    expects(torc_reply(rq, 200, NULL, TORC_S("whole")) == -ENOMEM);
    output->max = UINT32_MAX;
    expects(torc_start(rq, 200, NULL, -1) == 0);
    expects(torc_write(rq, "parts", 5) == 0);
}

/* The last response of check_response, NUL-terminated. */
static char last[4096];

/* Checks the response to a GET of the one route, and that nothing leaks. */
static void check_response_with(torc_handler *handler, void *arg, const char *status,
                                const char *body)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct lab_core rig;
    lab_core_open(&rig);
    core = &rig.http;
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), handler, arg, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, request, sizeof request - 1);
    mem_push_end(m);
    while (!mem_run(&rig.io, 1000)) continue;
    size_t n;
    const char *out = mem_out(m, &n);
    assert_true(n > 12 && memcmp(out + 9, status, 3) == 0);
    snprintf(last, sizeof last, "%.*s", (int)n, out);
    assert_true(n > strlen(body) && memcmp(out + n - strlen(body), body, strlen(body)) == 0);
    assert_true(mem_ended(m));
    assert_null(lab_core_leak(&rig));
    mem_free(&rig.io, m);
    lab_core_close(&rig);
    router_free(router);
}

static void check_response(torc_handler *handler, const char *status, const char *body)
{
    check_response_with(handler, NULL, status, body);
}

static void groups_are_joined(void **state)
{
    (void)state;
    check_response(returns_with_open_groups, "200", "left");
    assert_int_equal(slept, 2);
    assert_int_equal(spawned_late, 1);
}

static void what_fails_to_begin_leaves_nothing(void **state)
{
    (void)state;
    check_response(starts_in_vain, "200", "\r\n\r\nwhole");
    check_response(replies_in_vain, "200", "\r\n\r\n5\r\nparts\r\n0\r\n\r\n");
}

static void misbehaving_handlers_get_a_response(void **state)
{
    (void)state;
    check_response(returns_with_an_open_file, "200", "open");
    check_response(does_not_respond, "500", "500 Internal Server Error\n");
    check_response(responds_twice, "200", "one");
    check_response(injects_header_lines, "200", "5");
}

/* ---- fields of the response ---- */

static void set(torc_req *rq, const char *name, const char *value)
{
    torc_slice n = {name, strlen(name)}, v = {value, strlen(value)};
    if (torc_set_header(rq, n, v) != 0) abort();
}

static void sets_fields_twice(torc_req *rq, void *arg)
{
    (void)arg;
    set(rq, "Content-Type", "text/html");
    set(rq, "Location", "/a-longer-one");
    set(rq, "Set-Cookie", "a=1");
    set(rq, "ETag", "\"1\"");
    set(rq, "Last-Modified", "x");
    set(rq, "Vary", "A");
    set(rq, "content-type", "application/json");
    set(rq, "LOCATION", "/b");
    set(rq, "Set-Cookie", "b=2");
    set(rq, "etag", "\"22\"");
    set(rq, "Last-Modified", "");
    set(rq, "Vary", "B");
    torc_reply(rq, 200, NULL, TORC_S("{}"));
}

static void replies_with_a_type_of_its_own(torc_req *rq, void *arg)
{
    (void)arg;
    set(rq, "X-A", "1");
    set(rq, "Content-Type", "text/html");
    set(rq, "X-Content-Type", "2");
    torc_reply(rq, 200, "application/json", TORC_S("{}"));
}

static void formats_a_typed_reply(torc_req *rq, void *arg)
{
    (void)arg;
    set(rq, "Content-Type", "application/json");
    torc_replyf(rq, 200, "{\"n\": %d}", 1);
}

static void replies_with_an_error_after_a_type(torc_req *rq, void *arg)
{
    (void)arg;
    set(rq, "Content-Type", "application/json");
    torc_reply_error(rq, 404);
}

static void starts_with_a_type_of_its_own(torc_req *rq, void *arg)
{
    (void)arg;
    set(rq, "Content-Type", "text/html");
    torc_start(rq, 200, "text/css", 2);
    torc_write(rq, "{}", 2);
}

static void fills_the_fields(torc_req *rq, void *arg)
{
    (void)arg;
    static char large[32 * 1024 - sizeof "Location: \r\n" + 1];
    memset(large, 'x', sizeof large);
    torc_slice name = TORC_S("Location"), all = {large, sizeof large};
    set(rq, "Location", "/short");
    if (torc_set_header(rq, name, all) != 0) abort(); /* takes the place of the other */
    if (torc_set_header(rq, TORC_S("X"), TORC_S("")) != -ENOMEM) abort();
    set(rq, "Location", "/b");
    torc_reply(rq, 200, NULL, TORC_S("{}"));
}

static unsigned count_in_last(const char *text)
{
    unsigned n = 0;
    for (const char *at = last; (at = strcasestr(at, text)); at++) n++;
    return n;
}

static void has_once(const char *name, const char *line)
{
    char field[64];
    snprintf(field, sizeof field, "\n%s:", name);
    if (count_in_last(field) != 1 || !strstr(last, line)) fail_msg("%s in %s", line, last);
}

static void single_fields_are_replaced(void **state)
{
    (void)state;
    check_response(sets_fields_twice, "200", "\r\n\r\n{}");
    has_once("Content-Type", "\ncontent-type: application/json\r\n");
    has_once("Location", "\nLOCATION: /b\r\n");
    has_once("ETag", "\netag: \"22\"\r\n");
    has_once("Last-Modified", "\nLast-Modified: \r\n");
    assert_int_equal(count_in_last("\nSet-Cookie: "), 2);
    assert_int_equal(count_in_last("\nVary: "), 2);
    check_response(replies_with_a_type_of_its_own, "200", "\r\n\r\n{}");
    has_once("Content-Type", "\nContent-Type: application/json\r\n");
    has_once("X-A", "\nX-A: 1\r\n");
    has_once("X-Content-Type", "\nX-Content-Type: 2\r\n");
    check_response(formats_a_typed_reply, "200", "\r\n\r\n{\"n\": 1}");
    has_once("Content-Type", "\nContent-Type: application/json\r\n");
    check_response(replies_with_an_error_after_a_type, "404", "404 Not Found\n");
    has_once("Content-Type", "\nContent-Type: text/plain\r\n");
    check_response(starts_with_a_type_of_its_own, "200", "\r\n\r\n{}");
    has_once("Content-Type", "\nContent-Type: text/css\r\n");
    check_response(fills_the_fields, "200", "\r\n\r\n{}");
    has_once("Location", "\nLocation: /b\r\n");
}

/* ---- statuses without content ---- */

static void replies(torc_req *rq, void *arg)
{
    torc_reply(rq, *(int *)arg, "text/plain", TORC_S("text"));
}

static void streams(torc_req *rq, void *arg)
{
    torc_start(rq, *(int *)arg, "text/plain", -1);
    torc_write(rq, "text", 4);
    torc_end(rq);
}

static void streams_a_length(torc_req *rq, void *arg)
{
    torc_start(rq, *(int *)arg, "text/plain", 4);
    torc_write(rq, "text", 4);
}

/* RFC 9110, 15.3.5, 15.3.6 and 15.4.5. */
static void statuses_without_content(void **state)
{
    (void)state;
    static torc_handler *const handlers[] = {replies, streams, streams_a_length};
    static int statuses[] = {204, 205, 304};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) {
            char status[4];
            snprintf(status, sizeof status, "%d", statuses[i]);
            check_response_with(handlers[k], &statuses[i], status, "\r\n\r\n");
            assert_int_equal(count_in_last("\nTransfer-Encoding:"), 0);
            assert_int_equal(count_in_last("\nConnection: close"), 0);
            assert_int_equal(count_in_last("\nContent-Length:"), statuses[i] == 205);
            if (statuses[i] == 205) has_once("Content-Length", "\nContent-Length: 0\r\n");
        }
    }
}

/* ---- parameters of the path ---- */

static void names_its_parameter(torc_req *rq, void *arg)
{
    torc_slice value = torc_param(rq, arg);
    torc_replyf(rq, 200, "[%.*s]", (int)value.len, value.ptr ? value.ptr : "");
}

static void no_handler_sees_a_way_up_or_a_nul(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/f/a/b", 200},      {"/f/..", 404},         {"/f/../../etc/passwd", 404},
        {"/f/%2e%2e/x", 404}, {"/f/a%2f..%2fb", 404}, {"/f/a%00.txt", 400},
        {"/f/a..b/...", 200}, {"/f/%zz", 200},        {"/p/a", 200},
        {"/p/..", 404},       {"/p/%2E%2E", 404},     {"/p/..%2fa", 404},
        {"/p/%00", 400},      {"/p/a%2fb", 200},      {"/f/%00/..", 400},
    };
    struct lab_core rig;
    lab_core_open(&rig);
    struct router *router = router_new();
    static char rest[] = "rest", part[] = "part";
    router_add(router, HTTP_GET, SLICE("/f/*rest"), names_its_parameter, rest, NULL);
    router_add(router, HTTP_GET, SLICE("/p/:part"), names_its_parameter, part, NULL);
    router_freeze(router);
    rig.http.router = router;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char request[128];
        size_t n;
        struct mem_client *m = mem_connect(&rig.io);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].path);
        mem_push(m, request, strlen(request));
        mem_push_end(m);
        while (!mem_run(&rig.io, 1000)) continue;
        const char *out = mem_out(m, &n);
        assert_true(n > 12);
        if (atoi(out + 9) != cases[i].status) fail_msg("%s: %.12s", cases[i].path, out);
        mem_free(&rig.io, m);
    }
    assert_null(lab_core_leak(&rig));
    lab_core_close(&rig);
    router_free(router);
}

/* ---- a body that is read as a whole ---- */

struct whole {
    uint64_t max_body;
    size_t request_memory; /* 0: not given */
    int err;
    torc_slice body;
};

static void reads_all(torc_req *rq, void *arg)
{
    struct whole *w = arg;
    w->body = TORC_S("left over");
    w->err = torc_body_all(rq, &w->body);
    if (w->err == 0)
        for (size_t i = 0; i < w->body.len; i++)
            if (w->body.ptr[i] != 'x') abort();
    if (w->body.len && !torc_alloc(rq, 600 * 1024)) abort(); /* besides the body */
}

/* Sends `n` bytes, in chunks or with a length of `length`; returns the status. */
static int read_whole(struct whole *w, size_t n, bool chunked, size_t length)
{
    static char piece[8192];
    struct lab_core rig;
    char head[128];
    lab_core_open(&rig);
    rig.limits.max_body = w->max_body;
    if (w->request_memory) {
        rig.limits.request_memory = w->request_memory;
        rig.limits.body_memory = false;
    }
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_POST, SLICE("/"), reads_all, w, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    memset(piece, 'x', sizeof piece);
    struct mem_client *m = mem_connect(&rig.io);
    int head_len =
        chunked ? snprintf(head, sizeof head,
                           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                           "chunked\r\n\r\n%zx\r\n",
                           n)
                : snprintf(head, sizeof head,
                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", length);
    mem_push(m, head, (size_t)head_len);
    for (size_t at = 0; at < n; at += sizeof piece) {
        mem_push(m, piece, n - at < sizeof piece ? n - at : sizeof piece);
        mem_run(&rig.io, 1000);
    }
    if (chunked && n == length) mem_push(m, "\r\n0\r\n\r\n", 7);
    mem_push_end(m);
    while (!mem_run(&rig.io, 1000)) continue;
    size_t out_len;
    const char *out = mem_out(m, &out_len);
    assert_true(out_len > 12);
    int status = atoi(out + 9);
    assert_null(lab_core_leak(&rig));
    mem_free(&rig.io, m);
    lab_core_close(&rig);
    router_free(router);
    return status;
}

static void a_whole_body_is_as_large_as_max_body(void **state)
{
    (void)state;
    enum { MAX = 5 << 20 }; /* more than a request may allocate otherwise */
    struct whole w = {.max_body = MAX};
    for (int chunked = 0; chunked < 2; chunked++) {
        for (size_t n = MAX - 1; n <= MAX; n++) {
            assert_int_equal(read_whole(&w, n, chunked, n), 500); /* it does not respond */
            assert_int_equal(w.err, 0);
            assert_int_equal(w.body.len, n);
        }
    }
    assert_int_equal(read_whole(&w, MAX + 1, true, MAX + 1), 413);
    assert_int_equal(w.err, -EMSGSIZE);
    assert_null(w.body.ptr);
    assert_int_equal(w.body.len, 0);
    w = (struct whole){.max_body = 0};
    assert_int_equal(read_whole(&w, 0, false, 0), 500);
    assert_int_equal(w.err, 0);
    assert_int_equal(w.body.len, 0);
}

static void a_whole_body_fails_as_a_whole(void **state)
{
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        struct whole w = {.max_body = 1 << 20};
        assert_int_equal(read_whole(&w, 1000, chunked, 2000), 400); /* cut short by FIN */
        assert_int_equal(w.err, -EPIPE);
        assert_null(w.body.ptr);
        assert_int_equal(w.body.len, 0);
        w = (struct whole){.max_body = 1 << 20, .request_memory = 16 * 1024};
        assert_int_equal(read_whole(&w, 40000, chunked, 40000), 413);
        assert_int_equal(w.err, -EMSGSIZE);
        assert_null(w.body.ptr);
    }
}

/* Reads as it would of a body, for one that is not there, and needs no memory. */
static void no_body_needs_no_memory(void **state)
{
    (void)state;
    struct whole w = {.max_body = 1 << 20, .request_memory = 1};
    assert_int_equal(read_whole(&w, 0, false, 0), 500);
    assert_int_equal(w.err, 0);
    assert_int_equal(w.body.len, 0);
}

/* ---- a body that breaks ---- */

static unsigned smuggled;

static void reads_once(torc_req *rq, void *arg)
{
    char room[16];
    (void)arg;
    torc_replyf(rq, 200, "%zd", torc_body_read(rq, room, sizeof room));
}

static void is_smuggled(torc_req *rq, void *arg)
{
    (void)arg;
    smuggled++;
    torc_reply(rq, 200, NULL, TORC_S("smuggled"));
}

/* Whether its handler reads on or not, nothing after broken framing is a request (RFC 9112, 11.2).
 */
static void nothing_follows_a_body_that_breaks(void **state)
{
    static const char *const bodies[] = {
        "5\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "5\r\nhello\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "5\r\nhello\r\n0\r\nG T: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "5\r\nhello\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        static const char head[] =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        struct lab_core rig;
        size_t n;
        lab_core_open(&rig);
        struct router *router = router_new();
        router_add(router, HTTP_POST, SLICE("/"), reads_once, NULL, NULL);
        router_add(router, HTTP_GET, SLICE("/smuggled"), is_smuggled, NULL, NULL);
        router_freeze(router);
        rig.http.router = router;
        struct mem_client *m = mem_connect(&rig.io);
        mem_push(m, head, sizeof head - 1);
        mem_push(m, bodies[i], strlen(bodies[i]));
        mem_push_end(m);
        while (!mem_run(&rig.io, 1000)) continue;
        const char *out = mem_out(m, &n);
        assert_true(n > 12 && memcmp(out, "HTTP/1.1 200", 12) == 0);
        assert_null(memmem(out + 1, n - 1, "HTTP/1.1", 8));
        assert_true(mem_ended(m));
        assert_int_equal(smuggled, 0);
        assert_null(lab_core_leak(&rig));
        mem_free(&rig.io, m);
        lab_core_close(&rig);
        router_free(router);
    }
}

/* Without memory for any response the connection ends; otherwise the next response would be taken
 * for this one. */
static void connection_closes_without_memory_for_a_response(void **state)
{
    (void)state;
    static const char request[] = "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";
    struct lab_core rig;
    lab_core_open(&rig);
    struct mem_client *m = mem_connect(&rig.io);
    rig.http.small.max = rig.http.whole.max = rig.http.pieces.max = 0;
    mem_push(m, request, sizeof request - 1);
    while (!mem_run(&rig.io, 1000)) continue;
    rig.http.small.max = rig.http.whole.max = rig.http.pieces.max = UINT32_MAX;
    mem_push(m, request, sizeof request - 1);
    while (!mem_run(&rig.io, 1000)) continue;
    size_t n;
    mem_out(m, &n);
    assert_int_equal(n, 0);
    assert_true(mem_closed(m));
    assert_null(lab_core_leak(&rig));
    mem_free(&rig.io, m);
    lab_core_close(&rig);
}

/* ---- messages ---- */

static void sleeps(torc_req *rq, void *arg)
{
    (void)arg;
    torc_sleep(rq, 60000);
}

static void replies_wrongly(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 700, NULL, TORC_S(""));
}

static void lacks_memory(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%*d", 100000, 1);
}

/* A core whose messages are kept. */
static struct told {
    struct lab_core core;
    struct router *router;
    struct mem_client *m;
    int saved, messages;
} told;

static void begin_told(const char *pattern, torc_handler *handler)
{
    told = (struct told){.messages = memfd_create("messages", MFD_CLOEXEC)};
    assert_true(told.messages >= 0);
    lab_core_open(&told.core);
    told.core.limits.request_memory = 64 * 1024;
    told.router = router_new();
    assert_int_equal(router_add(told.router, HTTP_GET, SLICE("/a"), handler, NULL, NULL), 0);
    if (strcmp(pattern, "/a") != 0)
        assert_int_equal(router_add(told.router, HTTP_GET, slice_str(pattern), handler, NULL, NULL),
                         0);
    router_freeze(told.router);
    told.core.http.router = told.router;
    told.saved = dup(STDERR_FILENO);
    dup2(told.messages, STDERR_FILENO);
    told.m = mem_connect(&told.core.io);
}

static void ask(const char *path)
{
    char text[100];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    mem_push(told.m, text, (size_t)n);
    while (!mem_run(&told.core.io, 1000)) continue;
}

/* What was said since the start, and the last status; the connection ends. */
static void expect_told(const char *want, const char *status)
{
    char text[1000] = "";
    size_t n;
    const char *out = mem_out(told.m, &n), *last = NULL;
    for (const char *at = out; at && (at = memmem(at, n - (size_t)(at - out), "HTTP/1.1 ", 9));
         at++)
        last = at;
    bool right = status ? last && memcmp(last + 9, status, 3) == 0 : !last;
    if (!mem_closed(told.m)) mem_reset(told.m);
    while (!mem_run(&told.core.io, 1000)) continue;
    dup2(told.saved, STDERR_FILENO);
    close(told.saved);
    ssize_t got = pread(told.messages, text, sizeof text - 1, 0);
    close(told.messages);
    mem_free(&told.core.io, told.m);
    lab_core_close(&told.core);
    router_free(told.router);
    assert_true(got >= 0);
    assert_string_equal(text, want);
    assert_true(right);
}

static void has_no_directory(torc_req *rq, void *arg)
{
    torc_file *file;
    (void)arg;
    if (torc_file_temp(rq, "/nonexistent", &file) < 0) return;
    torc_reply(rq, 200, NULL, TORC_S("not here"));
}

static void missing_responses_are_told(void **state)
{
    (void)state;
    begin_told("/users/:id", does_not_respond);
    ask("/users/1");
    expect_told("torc: GET /users/:id: the handler returned without a response; 500\n", "500");
    begin_told("/b/*rest", replies_wrongly);
    ask("/b/c/d");
    expect_told("torc: GET /b/*rest: the handler returned without a response, after one failed: "
                "Invalid argument; 500\n",
                "500");
    begin_told("/a", lacks_memory);
    ask("/a");
    expect_told("torc: GET /a: the handler returned without a response, after one failed: Cannot "
                "allocate memory; 500\n",
                "500");
    begin_told("/up", has_no_directory);
    ask("/up");
    expect_told("torc: GET /up: the handler returned without a response, after torc_file_temp "
                "failed: No such file or directory; 500\n",
                "500");
}

/* How often: see test_warning.c. Another route, or another reason, is told beside. */
static void messages_are_limited(void **state)
{
    (void)state;
    begin_told("/b", lacks_memory);
    for (int i = 0; i < 3; i++) {
        told.core.http.fibers.max = i;
        ask("/a");
        ask("/b");
    }
    expect_told("torc: as many requests as --max-requests are in progress; 503\n"
                "torc: GET /a: the handler returned without a response, after one failed: Cannot "
                "allocate memory; 500\n"
                "torc: GET /b: the handler returned without a response, after one failed: Cannot "
                "allocate memory; 500\n",
                "500");
}

static void other_errors_of_the_server_are_told(void **state)
{
    (void)state;
    begin_told("/a", does_not_respond);
    told.core.http.fibers.max = 0;
    ask("/a");
    expect_told("torc: as many requests as --max-requests are in progress; 503\n", "503");
    begin_told("/a", does_not_respond);
    told.core.http.small.max = told.core.http.whole.max = told.core.http.pieces.max = 0;
    ask("/nowhere");
    expect_told("torc: out of memory for a request; connection closed\n", NULL);
}

/* It is the client who has gone. */
static void cancelled_handlers_are_not_told(void **state)
{
    (void)state;
    begin_told("/a", sleeps);
    ask("/a");
    mem_reset(told.m);
    while (!mem_run(&told.core.io, 1000)) continue;
    expect_told("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_closes_without_memory_for_a_response),
        cmocka_unit_test(groups_are_joined),
        cmocka_unit_test(missing_responses_are_told),
        cmocka_unit_test(messages_are_limited),
        cmocka_unit_test(other_errors_of_the_server_are_told),
        cmocka_unit_test(cancelled_handlers_are_not_told),
        cmocka_unit_test(single_fields_are_replaced),
        cmocka_unit_test(statuses_without_content),
        cmocka_unit_test(no_handler_sees_a_way_up_or_a_nul),
        cmocka_unit_test(a_whole_body_is_as_large_as_max_body),
        cmocka_unit_test(a_whole_body_fails_as_a_whole),
        cmocka_unit_test(no_body_needs_no_memory),
        cmocka_unit_test(nothing_follows_a_body_that_breaks),
        cmocka_unit_test(misbehaving_handlers_get_a_response),
        cmocka_unit_test(what_fails_to_begin_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
