/* Connections that begin with a header of the PROXY protocol: by their bytes, and through a real
 * HAProxy. */

#include "client.h"
#include "stats.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE    "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n"
#define SIGN    "\r\n\r\n\0\r\nQUIT\n"
#define ENDS    "\300\0\2\1\306\063\144\1\x12\x67\0\120"
#define BINARY  SIGN "\x21\x11\0\x0c" ENDS
#define SECURE  SIGN "\x21\x11\0\x14" ENDS "\x20\0\5\1\0\0\0\0"
#define LOCAL   SIGN "\x20\0\0\0"
#define UNSPEC  SIGN "\x21\0\0\2ab"
#define REQUEST "GET /client HTTP/1.1\r\nHost: a\r\n\r\n"

#define TRUSTING "--proxy-protocol", "--trust-proxy", "127.0.0.0/29"

static void expect_body(struct client *c, const char *want)
{
    struct reply r = {0};
    client_reply(c, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, want);
    reply_free(&r);
}

/* "http ADDR:PORT" of a client of its own. */
static void name_of(int fd, char out[64])
{
    struct sockaddr_in a;
    char host[INET_ADDRSTRLEN];
    socklen_t len = sizeof a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    inet_ntop(AF_INET, &a.sin_addr, host, sizeof host);
    snprintf(out, 64, "http %s:%u", host, ntohs(a.sin_port));
}

struct sample {
    const char *header;
    size_t len;
    const char *want; /* NULL: itself */
};

#define SAMPLE(header, want)                                                                       \
    {                                                                                              \
        header, sizeof(header) - 1, want                                                           \
    }

static const struct sample samples[] = {
    SAMPLE(LINE, "http 192.0.2.1:4711"),
    SAMPLE("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n", "http [2001:db8::1]:4711"),
    SAMPLE("PROXY UNKNOWN\r\n", NULL),
    SAMPLE(BINARY, "http 192.0.2.1:4711"),
    SAMPLE(SECURE, "https 192.0.2.1:4711"),
    SAMPLE(LOCAL, NULL),
    SAMPLE(UNSPEC, NULL),
};

enum { SAMPLES = sizeof samples / sizeof *samples };

/* In two pieces, cut anywhere, and byte by byte; then further requests. */
static void test_headers(void **state)
{
    struct server s;
    char own[64], all[512];
    (void)state;
    server_start(&s, TRUSTING);
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t n = samples[i].len + sizeof REQUEST - 1;
        memcpy(all, samples[i].header, samples[i].len);
        memcpy(all + samples[i].len, REQUEST, sizeof REQUEST - 1);
        for (size_t cut = 0; cut <= samples[i].len + 1; cut++) {
            struct client c;
            client_open(&c, &s);
            name_of(c.fd, own);
            size_t piece = cut ? cut : 1; /* 0: byte by byte */
            client_send(&c, all, piece);
            for (size_t at = piece; at < n;) {
                size_t next = cut ? n - at : 1;
                if (at < samples[i].len) sleep_ms(1);
                client_send(&c, all + at, next);
                at += next;
            }
            const char *want = samples[i].want ? samples[i].want : own;
            expect_body(&c, want);
            client_sendf(&c, "%s", REQUEST REQUEST);
            expect_body(&c, want);
            expect_body(&c, want);
            client_close(&c);
        }
    }
    assert_true(stats_number(&s, "total.connections_bad_proxy") == 0);
    server_stop(&s);
}

/* Nothing is answered. */
static void expect_closed(struct server *s, const char *source, const char *bytes, size_t n,
                          unsigned count)
{
    struct client c;
    char byte;
    client_open_to(&c, &s->addr, &(struct tcp_how){.source = source});
    if (n) client_try_send(&c, bytes, n);
    assert_true(tcp_try_receive(c.fd, &byte, 1) <= 0);
    client_close(&c);
    stats_await(s, "total.connections_bad_proxy", count);
}

static void test_what_is_no_header(void **state)
{
    static const struct sample wrong[] = {
        SAMPLE(REQUEST, NULL),
        SAMPLE("\r\n" REQUEST, NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n" REQUEST, NULL),
        SAMPLE(SIGN "\x31\x11\0\x0c" ENDS REQUEST, NULL),
        SAMPLE(SIGN "\x21\x11\xff\xff" ENDS REQUEST, NULL),
        SAMPLE(SIGN "\x21\x11\0\x0d" ENDS "\4", NULL),
        SAMPLE("\r\n\r\n\0\r\nQUIT\r" REQUEST, NULL),
    };
    enum { N = sizeof wrong / sizeof *wrong };
    struct server s;
    struct client c;
    unsigned count = 0;
    (void)state;
    server_start(&s, TRUSTING, "--header-timeout", "1h");
    for (size_t i = 0; i < N; i++)
        expect_closed(&s, "127.0.0.1", wrong[i].header, wrong[i].len, ++count);
    /* Whoever is not trusted, whatever he sends. */
    expect_closed(&s, "127.0.0.9", LINE REQUEST, sizeof(LINE REQUEST) - 1, ++count);
    expect_closed(&s, "127.0.0.9", REQUEST, sizeof REQUEST - 1, ++count);
    /* Who ends before it is complete. */
    client_open(&c, &s);
    client_send(&c, LINE, 9);
    client_shut(&c);
    client_await_close(&c);
    client_close(&c);
    stats_await(&s, "total.connections_bad_proxy", ++count);
    assert_true(stats_number(&s, "total.requests_started") == 0);
    /* Who looks whether the server is there is nothing bad. */
    client_open(&c, &s);
    client_shut(&c);
    client_expect_end(&c);
    client_close(&c);
    assert_true(stats_number(&s, "total.connections_bad_proxy") == count);
    server_stop(&s);
}

/* Nor is who is late. */
static void test_a_late_header(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, TRUSTING, "--header-timeout", "300ms");
    for (int i = 0; i < 2; i++) {
        client_open(&c, &s);
        client_send(&c, BINARY, i ? 20 : 3);
        client_await_close(&c);
        client_close(&c);
        stats_await(&s, "total.timeouts_header", i + 1);
    }
    assert_true(stats_number(&s, "total.requests_started") == 0);
    assert_true(stats_number(&s, "total.connections_bad_proxy") == 0);
    server_stop(&s);
}

/* The connection's client is who the header names, for its limits and for the log. */
static void test_limits(void **state)
{
    struct server s;
    struct client c[3];
    struct reply r = {0};
    (void)state;
    if (strcmp(server_engine, "threads") == 0) return; /* they hold for each thread alone */
    server_start(&s, TRUSTING, "--max-connections-per-client", "2", "--access-log", "-");
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], &s);
        client_send(&c[i], BINARY, sizeof BINARY - 1);
        client_sendf(&c[i], "%s", REQUEST);
        if (i < 2) expect_body(&c[i], "http 192.0.2.1:4711");
    }
    client_reply(&c[2], "GET", &r);
    assert_int_equal(r.status, 503);
    for (int i = 0; i < 3; i++) client_close(&c[i]);
    stats_await(&s, "total.connections_closed", 3);
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], &s);
        client_sendf(&c[i], "PROXY TCP4 192.0.2.%d 127.0.0.1 1 2\r\n" REQUEST, i);
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 200);
    }
    server_await_log(&s, "\n192.0.2.1 - - [");
    server_await_log(&s, "\n192.0.2.2 - - [");
    for (int i = 0; i < 3; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
}

/* What it says of others counts where the header names a trusted proxy, or nobody. */
static void test_with_fields(void **state)
{
#define FIELD "GET /client HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, TRUSTING, "--trust-proxy", "10.0.0.0/8");
    client_open(&c, &s);
    client_sendf(&c, "%s", LINE FIELD);
    expect_body(&c, "http 192.0.2.1:4711");
    client_close(&c);
    client_open(&c, &s);
    client_sendf(&c, "%s", "PROXY TCP4 10.1.1.1 127.0.0.1 1 2\r\n" FIELD);
    expect_body(&c, "http 203.0.113.7");
    client_close(&c);
    client_open(&c, &s);
    client_send(&c, LOCAL, sizeof LOCAL - 1);
    client_sendf(&c, "%s", FIELD);
    expect_body(&c, "http 203.0.113.7");
    client_close(&c);
    server_stop(&s);
}

/* A drain does not wait for a header that does not come. */
static void test_drain(void **state)
{
    struct server s;
    struct client c, partial;
    (void)state;
    server_start(&s, TRUSTING);
    client_open(&c, &s);
    client_open(&partial, &s);
    client_send(&partial, LINE, 9);
    stats_await(&s, "total.connections_accepted", 2);
    server_stop(&s);
    client_await_close(&c);
    client_await_close(&partial);
    client_close(&c);
    client_close(&partial);
}

/* Its proxy may have connected just now: the header may come yet, and the request after it. Where
 * the machine is busy that may take too long: hence the rounds. */
static void test_drain_answers_a_first_request(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        bool answered = false;
        for (int round = 0; round < 10 && !answered; round++) {
            struct server s;
            struct client c;
            struct reply r = {0};
            server_start(&s, TRUSTING);
            client_open(&c, &s);
            if (told) client_send(&c, LINE, sizeof LINE - 1);
            stats_await(&s, "total.connections_accepted", 1);
            server_signal(&s, SIGTERM);
            for (int i = 0; i < SERVER_SECONDS * 100 && r.status != 503; i++, sleep_ms(10))
                client_fetch(&s.admin, "/readyz", &r);
            assert_int_equal(r.status, 503);
            sleep_ms(150);
            answered = (told || client_try_send(&c, LINE, sizeof LINE - 1)) &&
                       client_try_send(&c, REQUEST, sizeof REQUEST - 1) &&
                       client_try_reply(&c, "GET", &r) && r.status == 200;
            client_close(&c);
            reply_free(&r);
            assert_int_equal(server_wait(&s), 0);
            server_free(&s);
        }
        assert_true(answered);
    }
}

/* ---- a real proxy ---- */

static int listen_anywhere(struct server_addr *out)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    out->len = sizeof out->storage;
    assert_int_equal(getsockname(fd, &out->sa, &out->len), 0);
    return fd;
}

static void write_config(const char *path, int listener, unsigned port, const char *how)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "global\n  maxconn 64\ndefaults\n  mode http\n  timeout connect 20s\n"
            "  timeout client 20s\n  timeout server 20s\n"
            "listen l\n  bind fd@%d\n  server s 127.0.0.1:%u check inter 100ms %s\n",
            listener, port, how);
    assert_int_equal(fclose(f), 0);
}

static pid_t start_haproxy(const char *config)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("haproxy", "haproxy", "-q", "-db", "-f", config, (char *)NULL);
    _exit(127);
}

static bool has_haproxy(void)
{
    int status = system("haproxy -v >/dev/null 2>&1");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Its health checks are of version 2 with LOCAL, or of version 1 with the proxy's own address. */
static void test_haproxy(void **state)
{
    static const char *const how[] = {"send-proxy", "send-proxy-v2",
                                      "send-proxy-v2 check-send-proxy"};
    (void)state;
    if (!has_haproxy()) skip();
    for (size_t i = 0; i < 3; i++) {
        char config[] = "/tmp/torc-test-haproxy-XXXXXX", name[64];
        struct server s;
        struct server_addr front;
        server_start(&s, TRUSTING);
        int listener = listen_anywhere(&front), fd = mkstemp(config);
        assert_true(fd >= 0);
        close(fd);
        write_config(config, listener, ntohs(((struct sockaddr_in *)&s.addr.storage)->sin_port),
                     how[i]);
        pid_t pid = start_haproxy(config);
        close(listener);
        for (int n = 0; n < 3; n++) {
            struct client c;
            client_open_to(&c, &front, &(struct tcp_how){.source = n ? "127.0.0.77" : "127.0.0.1"});
            name_of(c.fd, name);
            for (int again = 0; again < 2; again++) {
                client_sendf(&c, "%s", REQUEST);
                expect_body(&c, name);
            }
            client_close(&c);
        }
        kill(pid, SIGTERM);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(stats_number(&s, "total.connections_bad_proxy") == 0);
        unlink(config);
        server_stop(&s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_what_is_no_header),
        cmocka_unit_test(test_a_late_header),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_with_fields),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_answers_a_first_request),
        cmocka_unit_test(test_haproxy),
    };
    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
