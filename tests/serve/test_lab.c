/* Routes of torc-lab that no other test uses. */

#include "client.h"
#include "server.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void test_static_prefix_redirects(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/static", "/static/"},
        {"/static?", "/static/?"},
        {"/static?a=b&c=%0d%0aX", "/static/?a=b&c=%0d%0aX"},
    };
    struct server s;
    struct client c;
    struct reply r = {0};
    server_start(&s, "--cores", "1");
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_get(&c, cases[i][0], 301, &r);
        char *location = reply_field(&r, "Location");
        assert_non_null(location);
        assert_string_equal(location, cases[i][1]);
        free(location);
    }
    client_get(&c, "/statics", 404, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void expect_origin(struct client *c, const char *path, const char *origin)
{
    static const char *const names[] = {"Access-Control-Allow-Origin", "Timing-Allow-Origin"};
    struct reply r = {0};
    client_get(c, path, 200, &r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *found = reply_field(&r, names[i]);
        if (origin)
            assert_string_equal(found, origin);
        else
            assert_null(found);
        free(found);
    }
    reply_free(&r);
}

/* A page of another origin may read /delay if it is named, and nothing else ever. */
static void test_origin_that_is_allowed(void **state)
{
    static const char origin[] = "http://127.0.0.1:8000";
    struct server s;
    struct client c;
    (void)state;
    for (int allowed = 0; allowed < 2; allowed++) {
        if (allowed)
            server_start(&s, "--cores", "1", "--allow-origin", origin);
        else
            server_start(&s, "--cores", "1");
        client_open(&c, &s);
        expect_origin(&c, "/delay/1", allowed ? origin : NULL);
        expect_origin(&c, "/plaintext", NULL);
        client_close(&c);
        server_stop(&s);
    }
}

static void test_origin_that_is_none(void **state)
{
    static const char *const wrong[] = {"127.0.0.1:8000", "http://",         "://a",
                                        "http://a/",      "http://a:0",      "http://a b",
                                        "ht tp://a",      "http://a\r\nX: y"};
    static const char *const right[] = {"*", "null", "https://a", "http://[::1]:8000"};
    struct server s;
    char message[128];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(message, sizeof message, "--allow-origin takes SCHEME://HOST[:PORT], not \"%s\"",
                 wrong[i]);
        server_refuses("--allow-origin", wrong[i], message);
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(
            server_run(&s, NULL,
                       (const char *const[]){"--check", "--allow-origin", right[i], NULL}),
            0);
        server_free(&s);
    }
}

/* ---- events ---- */

static void await_text(struct client *c, const char *text)
{
    while (c->len == 0 || !memmem(c->buf, c->len, text, strlen(text)))
        assert_true(client_more(c) > 0);
}

static void post_line(struct server *s, const char *line, int status)
{
    struct client c;
    struct reply r = {0};
    char fields[64];
    snprintf(fields, sizeof fields, "Content-Length: %zu\r\n", strlen(line));
    client_open(&c, s);
    client_ask(&c, "POST", "/events", fields);
    client_send(&c, line, strlen(line));
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, status);
    client_close(&c);
    reply_free(&r);
}

/* Each line reaches every client, whichever cores they and the sender are on; the drain ends the
 * streams properly, and at once. */
static void test_events(void **state)
{
    enum { N = 8 };
    struct server s;
    struct client c[N];
    (void)state;
    server_start(&s, "--cores", server_two_cores(), "--drain-timeout", "1h");
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/events", "");
        await_text(&c[i], ": hello\n\n");
    }
    post_line(&s, "one", 202);
    post_line(&s, "two", 202);
    post_line(&s, "", 400);
    post_line(&s, "two\nlines", 400);
    for (int i = 0; i < N; i++) {
        await_text(&c[i], "id: 1\ndata: one\n\n");
        await_text(&c[i], "id: 2\ndata: two\n\n");
    }
    server_signal(&s, SIGTERM);
    for (int i = 0; i < N; i++) {
        assert_true(client_read_all(&c[i]));
        assert_memory_equal(c[i].buf + c[i].len - 5, "0\r\n\r\n", 5);
        client_close(&c[i]);
    }
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* Who has left hears of no event: that ends the stream, and on threads its thread serves others. */
static void test_events_of_nobody(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--admin", "127.0.0.1:0", "--threads", "2");
    for (int i = 0; i < 3; i++) {
        client_open(&c, &s);
        client_ask(&c, "GET", "/events", "");
        await_text(&c, ": hello\n\n");
        client_close(&c);
        stats_await(&s, "total.connections_closed", i + 1);
    }
    stats_await(&s, "total.requests_aborted_client", 3);
    server_stop(&s);
}

/* The connection is there for the next request: who asks for the head alone gets no event, and
 * would hold it for ever. */
static void test_head_of_events(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    client_ask(&c, "HEAD", "/events", "");
    client_reply(&c, "HEAD", &r);
    assert_int_equal(r.status, 200);
    char *type = reply_field(&r, "Content-Type");
    assert_string_equal(type, "text/event-stream");
    free(type);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- parameters ---- */

/* A line for each, whatever the client calls them. */
static void test_names_of_parameters(void **state)
{
    static const char *const cases[][2] = {
        {"/baseline11?a=1&b=2&x%0ay=z", "x?y must be"},
        {"/baseline11?a=1&b=2&%0d%1b[31m%00%ff=z", "??[31m?? must be"},
        {"/baseline11?a=1&b=2&c%20d=z", "c d must be"},
        {"/baseline11?a=x&b=2", "a must be"},
        {"/baseline11?a=1&%0a=2", "b is missing\n"},
    };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_get(&c, cases[i][0], 400, &r);
        if (strncmp(r.body, cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s: %s", cases[i][0], r.body);
        assert_int_equal(strlen(r.body), r.body_len);
        assert_ptr_equal(strchr(r.body, '\n'), r.body + r.body_len - 1);
    }
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- files ---- */

/* Reads at once are requests of their own to --max-requests. */
static void test_no_room_for_reads(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--max-requests", "1");
    client_open(&c, &s);
    client_get(&c, "/file?n=2&mode=all", 503, &r);
    assert_string_equal(r.body, "too many requests are in progress (--max-requests)\n");
    char *after = reply_field(&r, "Retry-After");
    assert_string_equal(after, "1");
    free(after);
    client_get(&c, "/file?n=2&mode=seq", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- work ---- */

static void post_body(struct client *c, const char *path, const char *body, struct reply *r)
{
    char fields[64];
    snprintf(fields, sizeof fields, "Content-Length: %zu\r\n", strlen(body));
    client_ask(c, "POST", path, fields);
    client_send(c, body, strlen(body));
    client_reply(c, "POST", r);
}

/* The routes that compute: here and on another thread, and what they refuse. Without their
 * libraries they are 501. */
static void test_work(void **state)
{
    static const char *const where[] = {"inline", "work"};
    struct server s;
    struct client c;
    struct reply r = {0};
    char path[64];
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/crypto?ms=2&where=%s", where[i]);
        client_ask(&c, "GET", path, "");
        client_reply(&c, "GET", &r);
        if (r.status == 501) print_message("built without OpenSSL\n");
        assert_true(r.status == 501 || (r.status == 200 && strtol(r.body, NULL, 10) > 0));
        snprintf(path, sizeof path, "/thumbnail?w=8&where=%s", where[i]);
        post_body(&c, path, "no image", &r);
        assert_true(r.status == 501 || r.status == 400);
    }
    bool built = r.status != 501;
    post_body(&c, "/thumbnail?w=0&where=work", "no image", &r);
    assert_int_equal(r.status, built ? 400 : 501);
    assert_true(!built || strstr(r.body, "w must be"));
    post_body(&c, "/thumbnail?w=8", "no image", &r);
    assert_true(!built || strstr(r.body, "where must be"));
    client_close(&c);
    server_stop(&s);

    server_start(&s, "--work-threads", "0");
    client_open(&c, &s);
    client_get(&c, "/crypto?ms=1&where=work", 501, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_static_prefix_redirects),
        cmocka_unit_test(test_origin_that_is_allowed),
        cmocka_unit_test(test_origin_that_is_none),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_events_of_nobody),
        cmocka_unit_test(test_head_of_events),
        cmocka_unit_test(test_names_of_parameters),
        cmocka_unit_test(test_no_room_for_reads),
        cmocka_unit_test(test_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
