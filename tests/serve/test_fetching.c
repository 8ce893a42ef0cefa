/* Handlers that ask another server over HTTP: it is up, slow, down, restarted or absent, and
 * answers in each way that framing allows, and some that it does not. */

#include "client.h"
#include "stats.h"
#include "upstream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct upstream up;
static struct client client;
static struct reply reply;

static void begin(void)
{
    upstream_start(&up, 0);
    server_start(&server);
    client_open(&client, &server);
}

/* The connections that the server keeps must not delay its end. */
static void end(void)
{
    client_close(&client);
    server_stop(&server);
    upstream_stop(&up);
    reply_free(&reply);
}

static const char *ask(const char *route, const char *path, const char *more)
{
    char target[300];
    snprintf(target, sizeof target, "%s?url=http://127.0.0.1:%u%s%s", route, up.port, path, more);
    client_ask(&client, "GET", target, "");
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 200);
    return reply.body;
}

static void expect(const char *path, const char *more, const char *want)
{
    const char *got = ask("/fetch", path, more);
    if (!strstr(got, want)) fail_msg("%s%s: \"%s\" is not in \"%.500s\"", path, more, want, got);
}

static void expect_error(const char *path, const char *more, int err)
{
    char want[32];
    snprintf(want, sizeof want, "error %d", -err);
    assert_string_equal(ask("/fetch", path, more), want);
}

static void test_responses(void **state)
{
    char by_name[64];
    (void)state;
    begin();
    expect("/", "", "status 200\nContent-Length=2\nserver \nbody ok\n");
    expect("", "", "body ok\n");
    snprintf(by_name, sizeof by_name, "/fetch?url=http://localhost:%u/", up.port);
    client_get(&client, by_name, 200, &reply);
    assert_non_null(strstr(reply.body, "body ok\n"));
    expect("/folded", "", "X-A=1, 2\n");
    expect("/chunked", "",
           "status 200\nTransfer-Encoding=chunked\nX-A=1\nX-A=two\nserver \nbody abcde\n");
    expect("/interim", "", "status 404\nX-Late=1\nContent-Length=4\nserver \nbody gone\n");
    expect("/hint", "", "status 200\nContent-Length=2\nserver \nbody ok\n");
    expect("/none", "", "status 204\nserver \nbody \n");
    expect("/echo", "&method=HEAD", "status 200\nContent-Length=");
    assert_int_equal(up.connections, 2); /* one by address, one by name */
    expect("/close", "", "status 200\nX-A=1\nserver \nbody to the end\n");
    expect("/old", "", "body ok\n");
    expect("/more", "", "body ok\n");
    expect("/big", "&most=2097152", "body abc");
    assert_int_equal(up.connections, 5);
    end();
}

static void test_requests(void **state)
{
    char host[64];
    (void)state;
    begin();
    snprintf(host, sizeof host, "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", up.port);
    expect("/echo%23fragment", "", host);
    expect("/echo", "&method=POST", "\r\nContent-Length: 0\r\n\r\n");
    expect("/echo", "&method=POST&body=abc&fields=3",
           "\r\nX-More: 1\r\nAuthorization: secret\r\nContent-Type: text/x\r\n"
           "Content-Length: 3\r\n\r\nabc");
    char target[100];
    snprintf(target, sizeof target, "/fetch?url=http://name/echo%%3Fa&to=127.0.0.1:%u", up.port);
    client_get(&client, target, 200, &reply);
    assert_non_null(strstr(reply.body, "body GET /echo?a HTTP/1.1\r\nHost: name\r\n\r\n"));
    end();
}

/* ---- traces ---- */

#define TRACE           "00-4bf92f3577b34da6a3ce929d0e0e4736-"
#define PARENT          "00f067aa0ba902b7"
#define WITHOUT_VERSION "-4bf92f3577b34da6a3ce929d0e0e4736-" PARENT /* without its version */

/* What is sent, by a request with these fields. */
static const char *sent(const char *path, const char *more, const char *fields)
{
    char target[200];
    snprintf(target, sizeof target, "/fetch?url=http://127.0.0.1:%u%s%s", up.port, path, more);
    client_ask(&client, "GET", target, fields);
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "body GET /echo"));
    return reply.body;
}

/* The parent-id that is sent with that trace and those flags, and what follows it. */
static uint64_t sent_span(const char *text, const char *flags, const char *rest)
{
    char *end, digits[17] = "", want[100];
    const char *found = strstr(text, "\r\ntraceparent: " TRACE);
    if (!found) fail_msg("no trace in %s", text);
    found += strlen("\r\ntraceparent: " TRACE);
    assert_true(strlen(found) > 20);
    memcpy(digits, found, 16);
    assert_int_equal(strspn(digits, "0123456789abcdef"), 16);
    assert_string_not_equal(digits, PARENT);
    snprintf(want, sizeof want, "-%s\r\n%s\r\n", flags, rest);
    if (strncmp(found + 16, want, strlen(want)) != 0)
        fail_msg("\"%s\" does not follow in %s", want, text);
    uint64_t span = strtoull(digits, &end, 16);
    assert_true(span && !*end);
    return span;
}

static void test_a_trace_is_handed_on(void **state)
{
    static const char given[] = "Traceparent: " TRACE PARENT "-01\r\n";
    static const char stated[] = "traceparent: " TRACE PARENT "-00\r\n"
                                 "tracestate: a=b,c=d\r\nTraceState: e=f\r\n"
                                 "tracestate:\r\n";
    static const char later[] = "traceparent: cc" WITHOUT_VERSION "-ff-more\r\n";
    uint64_t span[6];
    (void)state;
    begin();
    span[0] = sent_span(sent("/echo", "", given), "01", "");
    span[1] = sent_span(sent("/echo", "", given), "01", "");
    span[2] =
        sent_span(sent("/echo", "", stated), "00", "tracestate: a=b,c=d\r\ntracestate: e=f\r\n");
    span[3] = sent_span(sent("/echo", "", later), "03", "");
    span[4] = sent_span(sent("/see", "&redirects=1", given), "01", "");
    span[5] = sent_span(sent("/echo", "&name=tracestate", stated), "00", "");
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++) assert_true(span[i] != span[k]);
    assert_non_null(strstr(reply.body, "\r\ntracestate: x\r\ntraceparent: "));
    end();
}

static void test_a_trace_that_is_not(void **state)
{
    static const char *const bad[] = {
        "",
        "tracestate: a=b\r\n",
        "traceparent: 00-1-2-01\r\ntracestate: a=b\r\n",
        "traceparent:\r\n",
        "traceparent: " TRACE PARENT "-01-more\r\ntracestate: a=b\r\n",
        "traceparent: " TRACE "0000000000000000-01\r\n",
        "traceparent: ff" WITHOUT_VERSION "-01\r\n",
        "traceparent: " TRACE PARENT "-01\r\ntraceparent: " TRACE PARENT "-01\r\n",
    };
    static const char good[] = "traceparent: " TRACE PARENT "-01\r\ntracestate: a=b\r\n";
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (strcasestr(sent("/echo", "", bad[i]), "\r\ntrace"))
            fail_msg("\"%s\" is handed on: %s", bad[i], reply.body);
    assert_null(strcasestr(sent("/echo", "&untraced=1", good), "\r\ntrace"));
    const char *own = sent("/echo", "&name=TraceParent", good);
    assert_non_null(strstr(own, "\r\nTraceParent: x\r\n\r\n"));
    end();
}

static void test_errors(void **state)
{
    static const char *const closes[] = {"/half", "/halfhead", "/reset", "/drop"};
    static const char *const malformed[] = {"/bad",    "/badchunk",       "/twolengths",
                                            "/twice",  "/coded",          "/coded-chunked",
                                            "/switch", "/folded-chunked", "/folded-coded"};
    static const char *const wrong[] = {"&method=a%20b",        "&method=CONNECT", "&name=Host",
                                        "&name=content-length", "&name=a%3A",      "&name="};
    static const struct {
        const char *url;
        int err;
    } urls[] = {{"https://a/", EPROTONOSUPPORT},
                {"ftp://a/", EPROTONOSUPPORT},
                {"http://", EINVAL},
                {"a/b", EINVAL},
                {"http://u%40a/", EINVAL},
                {"http://127.0.0.1:1/", ECONNREFUSED}};
    (void)state;
    begin();
    for (size_t i = 0; i < 4; i++) expect_error(closes[i], "", EPIPE);
    for (size_t i = 0; i < 9; i++) expect_error(malformed[i], "", EBADMSG);
    for (size_t i = 0; i < 6; i++) expect_error("/", wrong[i], EINVAL);
    expect_error("/bighead", "", E2BIG);
    expect("/head200", "&narrow=1", "body ok\n");
    expect_error("/head201", "&narrow=1", E2BIG);
    expect_error("/big", "", EMSGSIZE);
    expect("/body", "&method=PUT&body=12345&most=5", "body 12345\n");
    expect_error("/body", "&method=PUT&body=12345&most=4", EMSGSIZE);
    expect_error("/never", "&deadline=50", ETIME);
    for (size_t i = 0; i < 6; i++) {
        char target[100], want[32];
        snprintf(target, sizeof target, "/fetch?url=%s", urls[i].url);
        snprintf(want, sizeof want, "error %d", -urls[i].err);
        client_get(&client, target, 200, &reply);
        assert_string_equal(reply.body, want);
    }
    end();
}

static void stream(const char *path, const char *more, size_t size)
{
    char target[200], length[64], *body = malloc(size);
    memset(body, 'b', size);
    snprintf(target, sizeof target, "/stream?url=http://127.0.0.1:%u%s%s&method=POST", up.port,
             path, more);
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", size);
    client_ask(&client, "POST", target, length);
    client_send(&client, body, size);
    client_reply(&client, "POST", &reply);
    free(body);
}

/* A kept connection that is closed under the next request. */
static void test_dead_connections(void **state)
{
    (void)state;
    begin();
    expect("/second", "", "body first\n");
    expect("/second", "", "body first\n"); /* on a second connection */
    assert_int_equal(up.connections, 2);
    assert_int_equal(up.requests, 3);
    expect_error("/second", "&method=POST", EPIPE);
    assert_int_equal(up.connections, 2);
    assert_int_equal(stats_number(&server, "total.upstream_repeated"), 1);
    expect_error("/drop", "", EPIPE); /* not repeated on a new connection */
    assert_int_equal(up.requests, 5);
    end();
}

/* RFC 9110, 15.5.9: the server has closed it as an idle one, and says so. */
static void test_timed_out_connections(void **state)
{
    (void)state;
    begin();
    expect("/idle", "", "body ok\n");
    expect("/idle", "", "body ok\n"); /* on a second connection */
    assert_int_equal(up.connections, 2);
    assert_int_equal(up.requests, 3);
    assert_int_equal(stats_number(&server, "total.upstream_repeated"), 1);
    expect("/idle", "&method=POST", "status 408\n");
    assert_int_equal(up.connections, 2);
    expect("/idle", "", "body ok\n");
    expect("/idle", "&method=PUT&body=12345", "body ok\n");
    assert_int_equal(stats_number(&server, "total.upstream_repeated"), 2);
    end();
}

/* As above, but it says so on a new connection as well. */
static void test_timed_out_again(void **state)
{
    (void)state;
    begin();
    expect("/", "", "body ok\n");
    expect("/late", "", "status 408\n");
    assert_int_equal(up.connections, 2);
    assert_int_equal(up.requests, 3);
    assert_int_equal(stats_number(&server, "total.upstream_repeated"), 1);
    expect("/late", "", "status 408\n"); /* at once on a new one */
    assert_int_equal(up.connections, 3);
    assert_int_equal(up.requests, 4);
    assert_int_equal(stats_number(&server, "total.upstream_repeated"), 1);
    end();
}

/* What has been passed on in pieces is not there any more. */
static void test_timed_out_streams(void **state)
{
    (void)state;
    begin();
    expect("/", "", "body ok\n");
    stream("/late", "&method=PUT", 10);
    assert_non_null(strstr(reply.body, "status 408\n"));
    assert_non_null(strstr(reply.body, "body idle"));
    assert_int_equal(up.connections, 1);
    assert_int_equal(up.requests, 2);
    assert_int_equal(stats_number(&server, "total.upstream_repeated"), 0);
    end();
}

/* It comes back at the same address. */
static void test_restart(void **state)
{
    (void)state;
    begin();
    uint16_t port = up.port;
    expect("/close", "", "body to the end\n");
    stats_await(&server, "total.upstream_connections", 0);
    upstream_stop(&up);
    expect_error("/", "", ECONNREFUSED);
    upstream_start(&up, port);
    expect("/", "", "body ok\n");
    end();
}

static void test_redirects(void **state)
{
    (void)state;
    begin();
    expect("/a/redirect2", "", "status 302\n");
    expect("/a/redirect2", "&redirects=2", "body GET /a/redirect0?x HTTP/1.1\r\n");
    expect_error("/a/redirect3", "&redirects=2", ELOOP);
    expect("/a/redirect1", "&redirects=9&method=POST&body=b&fields=3",
           "body GET /a/redirect0?x HTTP/1.1\r\n");
    assert_null(strstr(reply.body, "\r\nContent-"));
    assert_non_null(strstr(reply.body, "\r\nAuthorization: "));
    expect("/see", "&redirects=9&method=PUT&body=b", "body GET /echo HTTP/1.1\r\n");
    expect("/again", "&redirects=9&method=PUT&body=b", "body PUT /echo HTTP/1.1\r\n");
    expect("/again", "&redirects=9&method=PUT&body=b", "\r\n\r\nb\n");
    expect_error("/secure", "&redirects=9", EPROTONOSUPPORT);
    expect_error("/nowhere", "&redirects=9", EBADMSG);
    assert_int_equal(up.connections, 1);
    end();
}

/* What is secret stays with the host that the handler has named, and does not come back. */
static void test_redirects_across(void **state)
{
    char target[200];
    (void)state;
    begin();
    expect("/a/redirect1", "&redirects=9&fields=5", "\r\nAuthorization: secret\r\n");
    assert_non_null(strstr(reply.body, "\r\nCookie: a=secret\r\n"));
    assert_non_null(strstr(reply.body, "\r\nProxy-Authorization: secret\r\n"));
    snprintf(target, sizeof target,
             "/fetch?url=http://a.invalid/across&to=127.0.0.1:%u&redirects=9&fields=5", up.port);
    client_ask(&client, "GET", target, "");
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "body GET /a/redirect0?x HTTP/1.1\r\n"));
    assert_non_null(strstr(reply.body, "\r\nX-More: 1\r\n"));
    assert_null(strstr(reply.body, "secret"));
    end();
}

static void ask_to(const char *host, int which)
{
    char target[200];
    snprintf(target, sizeof target,
             "/fetch?url=http://%s/same%d&to=127.0.0.1:%u&redirects=9&fields=5", host, which,
             up.port);
    client_ask(&client, "GET", target, "");
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 200);
}

/* Port 80 is that of http whether or not it is written, and case does not matter in names. */
static void test_redirects_to_the_same(void **state)
{
    (void)state;
    static const char *const hosts[] = {"a.invalid", "a.invalid:80", "A.invalid:"};
    begin();
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        for (int which = 0; which < 4; which++) {
            ask_to(hosts[i], which);
            assert_non_null(strstr(reply.body, "body GET /echo HTTP/1.1\r\n"));
            assert_non_null(strstr(reply.body, "\r\nAuthorization: secret\r\n"));
            assert_non_null(strstr(reply.body, "\r\nCookie: a=secret\r\n"));
        }
    assert_int_equal(up.connections, 1);
    end();
}

/* Two connections, five may wait: the rest is refused; those that wait come in turn. */
static void test_pool_is_bounded(void **state)
{
    char want[64];
    struct client other;
    (void)state;
    begin();
    client_open(&other, &server);
    snprintf(want, sizeof want, "/many?n=10&url=http://127.0.0.1:%u/held", up.port);
    client_ask(&other, "GET", want, "");
    stats_await(&server, "total.upstream_rejected", 3);
    for (int i = 0; up.held < 2 && i < 10000; i++) sleep_ms(1);
    assert_string_equal(ask("/many", "/", "&n=1"), "ok 0 full 1 other 0");
    up.let_go = true;
    client_reply(&other, "GET", &reply);
    assert_string_equal(reply.body, "ok 7 full 3 other 0");
    assert_int_equal(up.connections, 2);
    assert_int_equal(stats_number(&server, "total.upstream_waited"), 5);
    /* A deadline ends those that wait, and those that are served. */
    up.let_go = false;
    assert_string_equal(ask("/many", "/held", "&n=7&deadline=50"), "ok 0 full 0 other -62");
    up.let_go = true;
    assert_string_equal(ask("/many", "/held", "&n=7"), "ok 7 full 0 other 0");
    client_close(&other);
    end();
}

static void test_streaming(void **state)
{
    (void)state;
    begin();
    stream("/body", "&length=100000", 100000);
    char *body = strstr(reply.body, "body ");
    assert_non_null(body);
    assert_int_equal(strspn(body + 5, "b"), 100000);
    stream("/echo", "", 10);
    assert_non_null(strstr(reply.body, "\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "a\r\nbbbbbbbbbb\r\n0\r\n\r\n"));
    stream("/big", "", 10);
    body = strstr(reply.body, "body ");
    assert_int_equal(reply.body_len - (size_t)(body + 5 - reply.body), UPSTREAM_BIG);
    for (size_t i = 0; i < UPSTREAM_BIG; i++) assert_int_equal(body[5 + i], 'a' + i % 23);
    assert_int_equal(up.connections, 1);
    stream("/echo", "&length=11", 10); /* too short, then too long */
    assert_string_equal(reply.body, "error -22");
    stream("/echo", "&length=9", 10);
    assert_string_equal(reply.body, "error -22");
    end();
}

/* The server responds and closes without reading the body, so that the rest of it cannot be sent.
 */
static void test_early_response(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 10; i++) {
        stream("/early", "", 3 << 20);
        assert_non_null(strstr(reply.body, "status 413\n"));
        assert_non_null(strstr(reply.body, "body much"));
        client_close(&client); /* the handler has not read all of its own request either */
        client_open(&client, &server);
    }
    expect("/", "", "body ok\n");
    end();
}

/* A server that responds while it reads, and one that responds and does not read at all. */
static void test_large_body(void **state)
{
    enum { SIZE = 16 << 20 };
    char more[100];
    (void)state;
    begin();
    expect("/ignore", "&method=PUT&large=16777216", "status 413\n");
    snprintf(more, sizeof more, "&method=PUT&large=%d&most=%d", SIZE, SIZE);
    for (int i = 0; i < 2; i++) {
        expect("/mirror", more, "status 200\n");
        assert_int_equal(strspn(strstr(reply.body, "body ") + 5, "b"), SIZE);
    }
    expect("/body", "&method=PUT&large=100000", "body bbbb");
    assert_int_equal(up.connections, 2);
    end();
}

static void test_close_ends_a_wait(void **state)
{
    (void)state;
    begin();
    assert_string_equal(ask("/closes", "/never", ""), "busy -16");
    server_await_log(&server, "handler: waited -9\n");
    end();
}

/* Also one that is over, and whose fiber has not resumed. */
static void test_close_ends_a_call_that_is_over(void **state)
{
    char to[64];
    (void)state;
    begin();
    snprintf(to, sizeof to, "&method=POST&to=127.0.0.1:%u", up.port);
    assert_string_equal(ask("/races", "/", to), "closed, 0 of them otherwise");
    end();
}

/* A client that leaves, and a drain, end what its handler waits for. */
static void test_cancel(void **state)
{
    char target[100];
    (void)state;
    for (int drains = 0; drains < 2; drains++) {
        upstream_start(&up, 0);
        server_start(&server, "--drain-timeout", "100ms");
        client_open(&client, &server);
        snprintf(target, sizeof target, "/fetch?url=http://127.0.0.1:%u/never", up.port);
        client_ask(&client, "GET", target, "");
        for (int i = 0; up.requests < 1 && i < 10000; i++) sleep_ms(1);
        if (!drains) client_reset(&client);
        if (!drains) server_await_log(&server, "handler: fetch -104\n");
        server_stop(&server);
        upstream_stop(&up);
        if (drains) client_close(&client);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_a_trace_is_handed_on),
        cmocka_unit_test(test_a_trace_that_is_not),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_dead_connections),
        cmocka_unit_test(test_timed_out_connections),
        cmocka_unit_test(test_timed_out_again),
        cmocka_unit_test(test_timed_out_streams),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_redirects_across),
        cmocka_unit_test(test_redirects_to_the_same),
        cmocka_unit_test(test_pool_is_bounded),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_early_response),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_close_ends_a_wait),
        cmocka_unit_test(test_close_ends_a_call_that_is_over),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
