/* Long bodies, of which a handler's reads with large buffers receive into them: each byte is there
 * once, whatever its size, segments and buffers, and however it ends. */

#include "client.h"
#include "pattern.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 3000000 };

static const char next[] = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
static char body[BODY_MAX + sizeof next]; /* room for a request behind it */

static void send_range(struct client *c, size_t from, size_t to)
{
    client_send(c, body + from, to - from);
}

static void expect(struct client *c, const char *text)
{
    struct reply r = {0};
    client_reply(c, "POST", &r);
    reply_expect(&r, text, 200);
    assert_string_equal(r.body, text);
    reply_free(&r);
}

static void expect_whole(struct client *c, size_t size)
{
    char text[40];
    snprintf(text, sizeof text, "%zu 0", size);
    expect(c, text);
}

static void ask(struct client *c, const char *path, size_t size, const char *fields)
{
    client_sendf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s\r\n", path, size,
                 fields);
}

/* In segments of at most `segment` bytes; the last one ends with the next request. */
static void upload(struct client *c, const char *path, size_t size, size_t segment)
{
    char kept[sizeof next];
    ask(c, path, size, "");
    memcpy(kept, body + size, sizeof next);
    memcpy(body + size, next, sizeof next);
    size_t end = size + sizeof next - 1;
    for (size_t at = 0, to; at < end; at = to) {
        to = at + segment < size ? at + segment : end;
        send_range(c, at, to);
    }
    memcpy(body + size, kept, sizeof next);
    expect_whole(c, size);
    expect(c, "next");
}

static void test_sizes_segments_and_buffers(void **state)
{
    static const size_t sizes[] = {1,     4096,   32767,  32768,  32769,  36864,
                                   65536, 100000, 262145, 300000, 999999, BODY_MAX};
    static const size_t segments[] = {BODY_MAX, 65536, 4001};
    static const unsigned buffers[] = {1000, 4096, 32768, 40000, 65536, 900000};
    struct server s;
    struct client c;
    char path[64];
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (size_t l = 0; l < sizeof segments / sizeof *segments; l++) {
                snprintf(path, sizeof path, "/%s?buf=%u", l == 1 ? "mixed" : "check", buffers[i]);
                upload(&c, path, sizes[k], segments[l]);
            }
    client_close(&c);
    server_stop(&s);
}

static void test_body_that_comes_late(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int i = 0; i < 3; i++) {
        ask(&c, "/check", 200000, "Expect: 100-continue\r\n");
        client_reply(&c, "POST", &r);
        assert_int_equal(r.status, 100);
        reply_free(&r);
        for (size_t at = 0; at < 200000; at += 50000) {
            sleep_ms(5);
            send_range(&c, at, at + 50000);
        }
        expect_whole(&c, 200000);
    }
    client_close(&c);
    server_stop(&s);
}

static void test_chunked(void **state)
{
    enum { CHUNK = 100000, CHUNKS = 5 };
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_ask(&c, "POST", "/check", "Transfer-Encoding: chunked\r\n");
    for (size_t i = 0; i < CHUNKS; i++) {
        client_sendf(&c, "%x\r\n", CHUNK);
        send_range(&c, i * CHUNK, (i + 1) * CHUNK);
        client_sendf(&c, "\r\n");
    }
    client_sendf(&c, "0\r\n\r\n%s", next);
    expect_whole(&c, (size_t)CHUNK * CHUNKS);
    expect(&c, "next");
    client_close(&c);
    server_stop(&s);
}

/* The handler has read what came, and waits for more. */
static void open_half(struct client *c, const struct server *s, const char *path)
{
    client_open(c, s);
    ask(c, path, 400000, "");
    send_range(c, 0, 200000);
    stats_await(s, "total.body_bytes_received", 200000);
}

static void test_body_is_cut(void **state)
{
    struct reply r = {0};
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct server s;
        struct client c;
        server_start(&s, NULL);
        open_half(&c, &s, "/check");
        if (reset) {
            client_reset(&c);
            server_await_log(&s, "read 200000, then -104");
        } else {
            client_shut(&c);
            client_reply(&c, "POST", &r);
            assert_int_equal(r.status, 400);
            server_await_log(&s, "read 200000, then -32");
            client_expect_end(&c);
            client_close(&c);
        }
        server_stop(&s);
    }
    reply_free(&r);
}

/* The request ends with 408, its connection too, and it is counted. */
static void has_timed_out(struct server *s, struct client *c)
{
    struct reply r = {0};
    client_reply(c, "POST", &r);
    assert_int_equal(r.status, 408);
    client_await_close(c);
    client_close(c);
    stats_await(s, "total.timeouts_body", 1);
    reply_free(&r);
    server_stop(s);
}

static void test_body_stalls(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--body-timeout", "300ms");
    client_open(&c, &s);
    ask(&c, "/check", 400000, "");
    send_range(&c, 0, 200000);
    has_timed_out(&s, &c);
}

/* Bytes keep coming, but too few. */
static void test_body_drips(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--body-timeout", "1h", "--min-body-rate", "1m", "--body-grace", "300ms");
    client_open(&c, &s);
    ask(&c, "/check", 100000, "");
    for (size_t at = 0; at < 400 && client_try_send(&c, body + at, 1); at++) sleep_ms(5);
    has_timed_out(&s, &c);
}

static void test_deadlines_end_reads(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, NULL);
    open_half(&c, &s, "/deadlines");
    server_await_log(&s, "ended 2");
    for (size_t at = 200000; at < 400000; at += 1000) { /* some as a deadline passes */
        send_range(&c, at, at + 1000);
        if (at % 10000 == 0) sleep_ms(4);
    }
    expect_whole(&c, 400000);
    client_sendf(&c, "%s", next);
    expect(&c, "next");
    client_close(&c);
    server_stop(&s);
}

static void test_client_leaves_a_handler_that_waits(void **state)
{
    (void)state;
    for (int fin = 0; fin < 2; fin++) {
        struct server s;
        struct client c;
        server_start(&s, NULL);
        client_open(&c, &s);
        ask(&c, fin ? "/waits?gone=1" : "/waits", 150000, "");
        send_range(&c, 0, 150000);
        server_await_log(&s, "waits");
        if (fin)
            client_shut(&c);
        else
            client_reset(&c);
        server_await_log(&s, "waited, -104");
        if (fin) client_close(&c);
        server_stop(&s);
    }
}

/* The rest of the body is discarded; or, where it is long, the connection ends. */
static void test_handler_leaves_the_body(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    ask(&c, "/leaves?buf=40000", 200000, "");
    send_range(&c, 0, 200000);
    expect(&c, "enough");
    client_sendf(&c, "%s", next);
    expect(&c, "next");
    ask(&c, "/leaves?buf=40000", BODY_MAX, "");
    send_range(&c, 0, BODY_MAX);
    expect(&c, "enough");
    client_await_close(&c);
    client_close(&c);
    server_stop(&s);
}

static void test_body_to_a_file(void **state)
{
    static const size_t sizes[] = {1, 40000, 65537, 300000, 1000001, BODY_MAX};
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, NULL);
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        upload(&c, "/file", sizes[i], BODY_MAX);
        upload(&c, "/file", sizes[i], 4001);
    }
    client_close(&c);
    server_stop(&s);
    server_start(&s, NULL);
    open_half(&c, &s, "/file");
    client_reset(&c);
    server_await_log(&s, "file -104");
    server_stop(&s);
}

static void await_draining(const struct server *s)
{
    struct reply r = {0};
    for (int i = 0; i < SERVER_SECONDS * 100 && r.status != 503; i++, sleep_ms(10))
        client_fetch(&s->admin, "/readyz", &r);
    assert_int_equal(r.status, 503);
    reply_free(&r);
}

static void test_drain_while_a_body_comes(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, NULL);
    open_half(&c, &s, "/check");
    server_signal(&s, SIGTERM);
    await_draining(&s);
    send_range(&c, 200000, 400000);
    expect_whole(&c, 400000);
    client_await_close(&c);
    client_close(&c);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    for (size_t i = 0; i < sizeof body; i++) body[i] = (char)pattern(i);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_segments_and_buffers),
        cmocka_unit_test(test_body_that_comes_late),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_body_is_cut),
        cmocka_unit_test(test_body_stalls),
        cmocka_unit_test(test_body_drips),
        cmocka_unit_test(test_deadlines_end_reads),
        cmocka_unit_test(test_client_leaves_a_handler_that_waits),
        cmocka_unit_test(test_handler_leaves_the_body),
        cmocka_unit_test(test_body_to_a_file),
        cmocka_unit_test(test_drain_while_a_body_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
