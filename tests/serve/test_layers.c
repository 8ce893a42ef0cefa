/* Middleware, functions for errors and ends, a fallback and any method, against layers_server.c. */

#include "client.h"

#include <stdlib.h>
#include <string.h>

/* Sends a request on a connection of its own and compares status and body. */
static void expect(const struct server *s, const char *method, const char *path, const char *fields,
                   int status, const char *body)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_ask(&c, method, path, fields);
    client_reply(&c, method, &r);
    if (r.status != status || strcmp(r.body, body) != 0)
        print_error("%s %s: %d '%s'\n", method, path, r.status, r.body);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    client_close(&c);
    reply_free(&r);
}

static void test_order(void **state)
{
    struct server s;
    (void)state;
    server_start(&s);
    expect(&s, "GET", "/plain", "", 200, "plain GET  next=-22");
    expect(&s, "GET", "/api/stream", "", 200, "in parts");
    server_await_log(&s, "end '/api/stream' status=200 outcome=0 bytes=");
    server_await_log(&s, "seen='ow'\n");
    server_await_log(&s, "outer 200 -114\n"); /* EALREADY */
    expect(&s, "GET", "/spawning", "", 200, "spawning GET f next=-114");
    server_await_log(&s, "spawned -1\n"); /* EPERM */
    server_stop(&s);
}

/* It may respond itself; if it does not, nobody else does. */
static void test_stops(void **state)
{
    struct server s;
    (void)state;
    server_start(&s);
    expect(&s, "GET", "/admin/x", "", 401, "no key\n");
    expect(&s, "GET", "/admin/x", "Key: open\r\n", 200, "admin GET g next=-114");
    expect(&s, "GET", "/silent", "", 500, "{\"all\":500,\"nested\":0}");
    server_stop(&s);
}

/* However the path is written, and whatever route it comes to. */
static void test_prefixes(void **state)
{
    static const char *const guarded[] = {
        "/admin",
        "/admin/",
        "/admin/x",
        "/%61dmin/x",
        "/admin/y",
        "/admin?q",
        "/files/private",
        "/files/private/x",
        "/%61dmin",
        "/files/%70rivate/x",
        "/files//private/x",
        "/files/private%2Fx",
        "/admin%2Fx",
        "//admin/x",
        "/./admin/x",
        "/files/./private/x",
        "/files/%2e/private",
    };
    static const char *const open[] = {"/administrator", "/files/privateer", "/files/x/private",
                                       "/files/", "/Admin/x"};
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof guarded / sizeof guarded[0]; i++) {
        client_get(&c, guarded[i], 401, &r);
        assert_string_equal(r.body, "no key\n");
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        client_get(&c, open[i], 200, &r);
        assert_null(strstr(r.body, " g") ? r.body : strstr(r.body, " p"));
        assert_non_null(strstr(r.body, " next=-22")); /* no middleware has called it */
    }
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Sends bytes that are no request, and compares what comes. */
static void expect_bad(const struct server *s, const char *bytes, int status, const char *body)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_send(&c, bytes, strlen(bytes));
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    assert_true(r.closes);
    client_await_close(&c);
    client_close(&c);
    reply_free(&r);
}

/* Around what torc answers by itself, too; with the function for errors of the longest prefix. */
static void test_own_answers(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-body", "10");
    client_open(&c, &s);
    client_get(&c, "/api/missing", 404, &r);
    char *outer = reply_field(&r, "X-Outer");
    assert_string_equal(outer, "yes");
    free(outer);
    assert_string_equal(r.body, "{\"api\":404,\"nested\":0}");

    client_ask(&c, "DELETE", "/api/body", "");
    client_reply(&c, "DELETE", &r);
    assert_int_equal(r.status, 405);
    char *allow = reply_field(&r, "Allow");
    assert_string_equal(allow, "POST, OPTIONS");
    free(allow);
    assert_string_equal(r.body, "{\"api\":405,\"nested\":0}");

    client_ask(&c, "OPTIONS", "/api/body", "");
    client_reply(&c, "OPTIONS", &r);
    assert_int_equal(r.status, 204);
    outer = reply_field(&r, "X-Outer");
    assert_string_equal(outer, "yes");
    free(outer);
    client_close(&c);
    reply_free(&r);

    expect(&s, "GET", "/api/nothing", "", 500, "{\"api\":500,\"nested\":0}");
    expect(&s, "GET", "/api/conflict", "", 409, "{\"api\":409,\"nested\":0}");
    expect(&s, "GET", "/own/conflict", "", 409, "409 Conflict\n");
    expect(&s, "GET", "/none/conflict", "", 409, "409 Conflict\n");
    expect(&s, "GET", "/api/fine", "", 202, "202 Accepted\n");
    expect(&s, "GET", "/leaving/nothing", "", 500, "500 Internal Server Error\n");
    server_await_log(&s, "error 500: 0, 0\n");
    server_await_log(&s, "napped\n");
    expect(&s, "GET", "/leaving/nobody", "", 404, "404 Not Found\n");
    server_await_log(&s, "error 404: 0, 0\n"); /* on a fiber, as there is middleware */
    expect(&s, "GET", "/nobody", "", 404, "{\"all\":404,\"nested\":0}");
    expect(&s, "POST", "/api/body", "Content-Length: 11\r\n", 413, "{\"api\":413,\"nested\":0}");
    expect(&s, "LOCK", "/api/body", "", 405, "{\"api\":405,\"nested\":0}");
    expect_bad(&s, "POST /api/body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
               400, "{\"api\":400,\"nested\":0}");
    expect_bad(&s, "GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400,
               "{\"api\":400,\"nested\":0}");
    expect_bad(&s, "G\x01T / HTTP/1.1\r\n\r\n", 400, "{\"all\":400,\"nested\":0}");
    server_stop(&s);
}

static void expect_body(const struct server *s, const char *path, size_t size, int status,
                        const char *body)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_sendf(&c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", path, size);
    client_send_zeros(&c, status == 200 ? size : 0);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    client_close(&c);
    reply_free(&r);
}

static void test_routes_with_limits(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--max-body", "10", "--max-requests", "8");
    expect_body(&s, "/small", 4, 200, "4");
    expect_body(&s, "/small", 5, 413, "{\"all\":413,\"nested\":0}");
    expect_body(&s, "/large", 1 << 20, 200, "1048576");
    expect_body(&s, "/large", (1 << 20) + 1, 413, "{\"all\":413,\"nested\":0}");
    expect_body(&s, "/nobody", 11, 413, "{\"all\":413,\"nested\":0}");
    expect_body(&s, "/late", 10, 408, "{\"all\":408,\"nested\":0}"); /* none of it comes */
    for (int i = 0; i < 3; i++) {
        expect(&s, "GET", "/deep", "", 200, "deep 3 0 next=-22");
        expect(&s, "GET", "/api/deep", "", 200, "deep 3 0 next=-114");
    }
    server_stop(&s);
    server_start(&s, "--max-requests", "1");
    struct client c;
    struct reply r = {0};
    client_open(&c, &s);
    client_get(&c, "/deep", 503, &r);
    assert_string_equal(r.body, "{\"all\":503,\"nested\":0}");
    reply_retry_after(&r);
    client_close(&c);
    reply_free(&r);
    server_await_log(&s, "no stack of 524288 bytes for a handler: --max-requests is reached");
    server_stop(&s);
}

static void test_late_head(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--header-timeout", "300ms");
    expect_bad(&s, "GET / HTTP/1.1\r\nHo", 408, "{\"all\":408,\"nested\":0}");
    server_await_log(&s, "end '' status=408 outcome=0 bytes=");
    server_stop(&s);
}

/* Nothing of the request before it is in one whose head is malformed or never complete. */
static void test_no_head(void **state)
{
    static const char *const malformed[] = {"GET files/x HTTP/1.1\r\nHost: a\r\n\r\n",
                                            "GET /files/x#y HTTP/1.1\r\nHost: a\r\n\r\n"};
    char path[3000] = "/files/";
    (void)state;
    memset(path + strlen(path), 'x', sizeof path - strlen(path) - 1); /* in memory of its own */
    for (size_t i = 0; i < 3; i++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        server_start(&s);
        client_open(&c, &s);
        client_get(&c, path, 200, &r);
        if (i < 2) {
            client_send(&c, malformed[i], strlen(malformed[i]));
            client_reply(&c, "GET", &r);
            assert_int_equal(r.status, 400);
            server_await_log(&s, "end '' status=400 outcome=0 bytes=22 seen=''\n");
        } else {
            client_send(&c, "GET /api", 8);
            client_shut(&c);
            server_await_log(&s, "end '' status=0 outcome=1 bytes=0 seen=''\n");
        }
        client_expect_end(&c);
        client_close(&c);
        reply_free(&r);
        server_stop(&s);
    }
}

/* A client that asks too much is refused without a fiber, in the program's words. */
static void test_limits(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--rate-limit", "1/h");
    client_open(&c, &s);
    client_get(&c, "/files/x", 200, &r);
    for (int i = 0; i < 2; i++) {
        client_ask(&c, "GET", "/api/conflict?x", "");
        client_reply(&c, "GET", &r);
    }
    assert_int_equal(r.status, 429);
    assert_string_equal(r.body, "{\"api\":429,\"nested\":-1}");
    reply_retry_after(&r);
    server_await_log(&s, "end '/api/conflict' status=429 outcome=0 bytes=23 seen=''\n");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_methods(void **state)
{
    struct server s;
    (void)state;
    server_start(&s);
    expect(&s, "GET", "/any", "", 200, "any GET c next=-114");
    expect(&s, "PUT", "/any", "Content-Length: 0\r\n", 200, "put PUT c next=-114");
    expect(&s, "OPTIONS", "/any", "", 200, "any OPTIONS c next=-114");
    expect(&s, "SEARCH", "/any", "", 200, "any SEARCH c next=-114");
    expect(&s, "PROPFIND", "/dav", "", 200, "dav PROPFIND  next=-22");
    expect(&s, "GET", "/dav", "", 405, "{\"all\":405,\"nested\":0}");
    expect(&s, "BREW", "/any", "", 501, "{\"all\":501,\"nested\":0}");
    expect(&s, "BREW", "/api/conflict", "", 501, "{\"api\":501,\"nested\":0}");
    server_await_log(&s, "end '/api/conflict' status=501 outcome=0 bytes=");
    expect(&s, "BREW", "*", "", 501, "{\"all\":501,\"nested\":0}");
    server_stop(&s);
}

static void test_fallback(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "fallback");
    expect(&s, "GET", "/nobody", "", 200, "fallback GET O next=-114");
    expect(&s, "DELETE", "/nobody", "", 200, "fallback DELETE O next=-114");
    expect(&s, "GET", "/plain", "", 200, "plain GET O next=-114");
    expect(&s, "GET", "/nobody/./x", "", 200, "fallback GET O next=-114");
    expect(&s, "GET", "/nobody/../admin/x", "", 404, "{\"all\":404,\"nested\":0}");
    expect(&s, "GET", "/nobody%2f%2e%2e", "", 404, "{\"all\":404,\"nested\":0}");
    expect(&s, "GET", "/nobody/%00", "", 400, "{\"all\":400,\"nested\":0}");
    expect(&s, "DELETE", "/plain", "", 405, "{\"all\":405,\"nested\":0}");
    expect(&s, "GET", "/admin/other", "", 401, "no key\n");
    expect_bad(&s, "G\x01T / HTTP/1.1\r\n\r\n", 400, "{\"all\":400,\"nested\":0}");
    server_await_log(&s, "end '' status=400 outcome=0 bytes=22 seen='O'\n");
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_stops),
        cmocka_unit_test(test_prefixes),  cmocka_unit_test(test_own_answers),
        cmocka_unit_test(test_late_head), cmocka_unit_test(test_methods),
        cmocka_unit_test(test_fallback),  cmocka_unit_test(test_routes_with_limits),
        cmocka_unit_test(test_no_head),
    };
    const struct CMUnitTest of_cores[] = {cmocka_unit_test(test_limits)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (strcmp(server_engine, "threads") != 0) /* a thread has one client */
        failed += cmocka_run_group_tests(of_cores, NULL, NULL);
    return failed;
}
