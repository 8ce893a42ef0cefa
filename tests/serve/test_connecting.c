/* Handlers that connect to another server: one in this process that echoes what it gets. */

#include "client.h"
#include "stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIG = 3 << 20 };

/* ---- the other server ---- */

enum manner { ECHO, SILENT, RESET };

struct other {
    int listener;
    enum manner manner;
    unsigned count; /* connections to take */
    char path[64];  /* of a Unix socket, or "" */
    char to[80];
    pthread_t thread;
};

static void echo(int fd)
{
    char buf[10000];
    for (ssize_t n; (n = tcp_try_receive(fd, buf, sizeof buf)) > 0;)
        if (!tcp_try_send(fd, buf, (size_t)n)) return;
}

static void *serve(void *arg)
{
    struct other *o = arg;
    for (unsigned i = 0; i < o->count; i++) {
        char byte;
        int fd = accept4(o->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) return NULL;
        if (o->manner == ECHO) echo(fd);
        if (o->manner == SILENT) (void)!read(fd, &byte, 1); /* until its end */
        if (o->manner == RESET && read(fd, &byte, 1) != 1) return NULL;
        if (o->manner == RESET)
            tcp_reset(fd);
        else
            close(fd);
    }
    return arg;
}

static void other_start(struct other *o, enum manner manner, unsigned count)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    *o = (struct other){.manner = manner, .count = count};
    o->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(o->listener, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(o->listener, 10), 0);
    assert_int_equal(getsockname(o->listener, (struct sockaddr *)&in, &len), 0);
    snprintf(o->to, sizeof o->to, "127.0.0.1:%d", ntohs(in.sin_port));
    assert_int_equal(pthread_create(&o->thread, NULL, serve, o), 0);
}

/* Every connection has been closed by the server under test. */
static void other_stop(struct other *o)
{
    void *ok;
    assert_int_equal(pthread_join(o->thread, &ok), 0);
    assert_non_null(ok);
    close(o->listener);
}

static void ask(struct client *c, const char *method, const char *route, const char *to,
                const char *fields)
{
    char path[160];
    snprintf(path, sizeof path, "%s?to=%s", route, to);
    client_ask(c, method, path, fields);
}

/* ---- tests ---- */

static void test_bytes_pass_both_ways(void **state)
{
    struct server s;
    struct client c;
    struct other o;
    struct reply r = {0};
    char *big = malloc(BIG), length[64];
    (void)state;
    assert_non_null(big);
    for (size_t i = 0; i < BIG; i++) big[i] = (char)(i * 7 + i / 251);
    server_start(&s);
    client_open(&c, &s);
    other_start(&o, ECHO, 2);
    for (size_t size = 5; size <= BIG; size += BIG - 5) {
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", size);
        ask(&c, "POST", "/passes", o.to, length);
        client_send(&c, big, size);
        client_reply(&c, "POST", &r);
        assert_int_equal(r.status, 200);
        assert_true(r.body_len == size && memcmp(r.body, big, size) == 0);
    }
    other_stop(&o);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    free(big);
}

static void test_errors_have_a_name(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    struct other o;
    static const struct {
        const char *to;
        int err;
    } wrong[] = {{"127.0.0.1:1", ECONNREFUSED}, {"nowhere", EINVAL}, {"unix:/no/such", ENOENT}};
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ask(&c, "POST", "/passes", wrong[i].to, "Content-Length: 0\r\n");
        client_reply(&c, "POST", &r);
        assert_int_equal(r.status, 502);
        assert_non_null(strstr(r.body, strerror(wrong[i].err)));
    }
    other_start(&o, RESET, 1);
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %d\r\n", BIG);
    ask(&c, "POST", "/passes", o.to, length);
    client_send_zeros(&c, BIG);
    client_reply(&c, "POST", &r);
    server_await_log(&s, " -32\n"); /* of a write, or if that was quicker, of the read */
    other_stop(&o);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Asks once, for which the other server gets so many connections, all of which are closed. `body`
 * and `line`, of the log, may be NULL. */
static void ask_once(const char *route, enum manner manner, unsigned count, const char *body,
                     const char *line)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    struct other o;
    server_start(&s);
    client_open(&c, &s);
    other_start(&o, manner, count);
    ask(&c, "GET", route, o.to, "");
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 200);
    if (body) assert_string_equal(r.body, body);
    if (line) server_await_log(&s, line);
    other_stop(&o);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_left_streams_are_closed(void **state)
{
    (void)state;
    ask_once("/leaves", SILENT, 3, NULL, NULL);
}

/* A client that leaves, and a drain, end a read and close its stream. */
static void test_a_read_ends_with_its_request(void **state)
{
    (void)state;
    for (int drains = 0; drains < 2; drains++) {
        struct server s;
        struct client c;
        struct other o;
        server_start(&s, "--drain-timeout", "100ms");
        client_open(&c, &s);
        other_start(&o, SILENT, 1);
        ask(&c, "GET", "/waits", o.to, "");
        server_await_log(&s, "handler: waits 0\n");
        if (!drains) client_reset(&c);
        if (!drains) server_await_log(&s, "handler: read -");
        server_stop(&s);
        other_stop(&o);
        if (drains) client_close(&c);
    }
}

static void test_a_library_polls(void **state)
{
    (void)state;
    ask_once("/polls", ECHO, 2, "askask", "handler: closed -9\n");
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_pass_both_ways),
        cmocka_unit_test(test_errors_have_a_name),
        cmocka_unit_test(test_left_streams_are_closed),
        cmocka_unit_test(test_a_read_ends_with_its_request),
        cmocka_unit_test(test_a_library_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
