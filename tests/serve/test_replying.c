/* Replies of every kind, and forms, in a server. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 3 << 20, HINTS = 40 };

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* Waits until every body that was handed over has been released. */
static void await_released(const struct server *s, unsigned least)
{
    unsigned given = 0, released = 0;
    double until = now_seconds() + SERVER_SECONDS;
    do {
        struct reply r = {0};
        client_fetch(&s->addr, "/counts", &r);
        assert_int_equal(sscanf(r.body, "{\"given\":%u,\"released\":%u}", &given, &released), 2);
        reply_free(&r);
        sleep_ms(10);
    } while (given != released && now_seconds() < until);
    assert_int_equal(released, given);
    assert_true(given >= least);
}

static void test_bodies_are_released_once(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int i = 0; i < 3; i++) client_ask(&c, i == 1 ? "HEAD" : "GET", "/own", "");
    for (int i = 0; i < 3; i++) {
        client_reply(&c, i == 1 ? "HEAD" : "GET", &r);
        assert_int_equal(r.body_len, i == 1 ? 0 : LARGE);
    }
    client_close(&c);
    reply_free(&r);
    await_released(&s, 3);
    for (int i = 0; i < 30; i++) { /* clients that leave at some time */
        client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 4096});
        client_ask(&c, "GET", "/own", "");
        client_ask(&c, "GET", "/own", "");
        sleep_ms((unsigned)i % 7);
        client_reset(&c);
    }
    await_released(&s, 3);
    stats_await(&s, "total.buffered_bytes", 0);
    server_stop(&s);
}

static void test_hints_and_trailers(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "GET", "/hint", "");
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 103);
    assert_true(has(r.head, "\r\nLink: </a.css>; rel=preload\r\n"));
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "page");
    client_shut(&c);
    client_expect_end(&c);
    client_close(&c);
    client_open(&c, &s);
    client_ask(&c, "GET", "/trailer", "TE: trailers\r\nConnection: close, TE\r\n");
    assert_true(client_read_all(&c));
    assert_non_null(memmem(c.buf, c.len, "\r\n4\r\ntext\r\n0\r\nX-Sum: 1\r\n\r\n", 26));
    client_close(&c);
    client_open(&c, &s);
    client_get(&c, "/closes", 200, &r);
    assert_true(r.closes);
    client_expect_end(&c);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_hints_of_several_fibers(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, NULL);
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(&c, "GET", "/hints", "");
    for (int i = 0; i < HINTS; i++) {
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 103);
    }
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "page 0");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_server_has_a_name(void **state)
{
    static const char *const names[] = {"web/1.0", "none"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        struct reply r = {0};
        server_start(&s, "--server-name", names[i]);
        client_fetch(&s.addr, "/counts", &r);
        assert_true(i ? !has(r.head, "Server:") : has(r.head, "\r\nServer: web/1.0\r\n"));
        assert_true(has(r.head, "\r\nDate: "));
        client_fetch(&s.addr, "/none", &r);
        assert_int_equal(r.status, 404);
        assert_true(i ? !has(r.head, "Server:") : has(r.head, "\r\nServer: web/1.0\r\n"));
        assert_false(has(r.head, "torc"));
        reply_free(&r);
        server_stop(&s);
    }
}

static void test_types_are_bounded(void **state)
{
    enum { LONGEST = 16 * 1024 };
    struct server s;
    struct client c;
    struct reply r = {0};
    char refused[16];
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_get(&c, "/type?n=16384", 200, &r);
    char *type = reply_field(&r, "Content-Type");
    assert_non_null(type);
    assert_int_equal(strlen(type), LONGEST);
    free(type);
    assert_string_equal(r.body, "typed");
    snprintf(refused, sizeof refused, "%d", -ENOMEM);
    client_get(&c, "/type?n=16385", 200, &r);
    assert_string_equal(r.body, refused);
    client_get(&c, "/type?n=70000", 200, &r);
    assert_string_equal(r.body, refused);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* A body that nobody reads, and a request behind it; whether that is served. */
static void leave_body(const struct server *s, const char *path, size_t n, bool goes_on, bool told)
{
    struct client c;
    struct reply r = {0};
    char length[48];
    client_open(&c, s);
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", n);
    client_ask(&c, "POST", path, length);
    client_send_zeros(&c, n);
    client_ask(&c, "GET", "/counts", "");
    client_reply(&c, "POST", &r);
    reply_expect(&r, path, 200);
    if (r.closes != told) fail_msg("%s with %zu bytes: closes %d", path, n, r.closes);
    if (goes_on)
        client_get(&c, "/counts", 200, &r);
    else
        client_expect_end(&c);
    client_close(&c);
    reply_free(&r);
}

static void test_the_end_of_a_connection_is_told(void **state)
{
    enum { KEPT = 256 * 1024 };
    static const char *const paths[] = {"/counts", "/own", "/file", "/starts"};
    struct server s;
    char *dir = files_open();
    (void)state;
    files_fill(dir, "file", 100);
    setenv("DIRECTORY", dir, 1);
    server_start(&s, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        leave_body(&s, paths[i], KEPT, true, false);
        /* A handler that writes might have read on. */
        leave_body(&s, paths[i], KEPT + 1, false, strcmp(paths[i], "/starts") != 0);
    }
    server_stop(&s);
    files_close(dir);
}

/* Of a path that has a handler without a response, or none at all, where the error is not written.
 */
static void test_errors_that_are_streamed(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int i = 0; i < 2; i++) {
        client_get(&c, "/chunked/none", 500, &r);
        assert_string_equal(r.body, "error");
        client_get(&c, "/chunked/other", 404, &r);
        assert_string_equal(r.body, "");
        client_get(&c, "/long/none", 500, &r);
        assert_string_equal(r.body, "error");
    }
    client_ask(&c, "GET", "/long/other", "");
    client_ask(&c, "GET", "/counts", "");
    assert_false(client_try_reply(&c, "GET", &r));
    assert_null(memmem(c.buf, c.len, "given", 5)); /* nothing stands in for it */
    server_await_log(&s, "wrote less than it announced");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* A file's response is cut in the middle: what has been sent arrives, and the end behind it, though
 * the client has sent more than the server reads. */
static void test_a_file_that_is_cut(void **state)
{
    enum { SIZE = 16 << 20 };
    static const char more[1 << 20];
    char *dir = files_open();
    (void)state;
    files_fill(dir, "large", SIZE);
    setenv("DIRECTORY", dir, 1);
    for (int by_reference = 0; by_reference < 2; by_reference++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        size_t at = 0;
        server_start(&s, "--cores", "1", "--sendfile-from", by_reference ? "1" : "0");
        for (int i = 0; i < 2; i++) { /* then it is mapped */
            client_fetch(&s.addr, "/large", &r);
            assert_int_equal(r.body_len, SIZE);
        }
        client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 4096});
        client_get(&c, "/counts", 200, &r);
        client_ask(&c, "GET", "/cut", "");
        while (!c.len || !memmem(c.buf, c.len, "\r\n\r\n", 4)) assert_true(client_more(&c) > 0);
        client_send_some(&c, more, sizeof more, &at);
        client_expect(&s.addr, "/tell", 200, "told");
        assert_true(client_read_all(&c));
        assert_true(c.len < SIZE);
        stats_await(&s, "total.requests_aborted_server", 1);
        client_close(&c);
        reply_free(&r);
        server_stop(&s);
    }
    files_close(dir);
}

/* Nothing has left: another response is given, and the connection goes on. */
static void test_a_file_that_is_cut_at_once(void **state)
{
    static const size_t sizes[] = {20000, 1 << 20}; /* kept in memory, mapped */
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        char *dir = files_open();
        files_fill(dir, "large", sizes[i / 2]);
        setenv("DIRECTORY", dir, 1);
        server_start(&s, "--cores", "1", "--sendfile-from", i & 1 ? "1" : "0");
        client_open(&c, &s);
        for (int k = 0; k < 2; k++) client_get(&c, "/large", 200, &r);
        for (int k = 0; k < 3; k++) {
            client_get(&c, "/cut-at-once", 200, &r);
            assert_string_equal(r.body, "second");
        }
        client_close(&c);
        reply_free(&r);
        server_stop(&s);
        files_close(dir);
    }
}

/* It is refused whole, so that less is written than was announced. */
static void test_a_handler_that_writes_more(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_open(&c, &s);
    client_ask(&c, "GET", "/more", "");
    assert_false(client_try_reply(&c, "GET", &r));
    server_await_log(&s, "GET /more: the handler wrote more, which was refused, than it announced");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_forms(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    enum { SIZE = 300000 };
    char *content = malloc(SIZE);
    (void)state;
    assert_non_null(content);
    memset(content, '\r', SIZE);
    server_start(&s, NULL);
    client_open(&c, &s);
    client_sendf(&c, "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                     "Content-Type: application/x-www-form-urlencoded\r\n\r\nname=");
    sleep_ms(20);
    client_sendf(&c, "m%%65");
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 303);
    assert_true(has(r.head, "\r\nLocation: /counts\r\n"));
    assert_true(has(r.head, "\r\nSet-Cookie: name=me; Path=/;"));
    client_close(&c);
    client_open(&c, &s);
    client_sendf(&c, "POST /parts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                     "Content-Type: multipart/form-data; boundary=b\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        static const char head[] = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        client_sendf(&c, "%zx\r\n%s\r\n", sizeof head - 1, head);
        client_sendf(&c, "%x\r\n", SIZE);
        client_send(&c, content, SIZE);
        client_sendf(&c, "\r\n2\r\n\r\n\r\n");
    }
    client_sendf(&c, "5\r\n--b--\r\n0\r\n\r\n");
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "3 900000");
    client_close(&c);
    free(content);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_are_released_once),
        cmocka_unit_test(test_hints_and_trailers),
        cmocka_unit_test(test_hints_of_several_fibers),
        cmocka_unit_test(test_server_has_a_name),
        cmocka_unit_test(test_types_are_bounded),
        cmocka_unit_test(test_the_end_of_a_connection_is_told),
        cmocka_unit_test(test_errors_that_are_streamed),
        cmocka_unit_test(test_a_file_that_is_cut),
        cmocka_unit_test(test_a_file_that_is_cut_at_once),
        cmocka_unit_test(test_a_handler_that_writes_more),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
