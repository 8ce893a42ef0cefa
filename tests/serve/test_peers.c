/* Handlers learn who their client is. */

#include "client.h"
#include "stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The address that a client has, as torc writes it. */
static void name_of(int fd, char out[64])
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a;
    char host[INET6_ADDRSTRLEN];
    socklen_t len = sizeof a;
    assert_int_equal(getsockname(fd, &a.sa, &len), 0);
    bool v6 = a.sa.sa_family == AF_INET6;
    inet_ntop(a.sa.sa_family, v6 ? (void *)&a.in6.sin6_addr : &a.in.sin_addr, host, sizeof host);
    snprintf(out, 64, v6 ? "[%s]:%u" : "%s:%u", host, ntohs(v6 ? a.in6.sin6_port : a.in.sin_port));
}

static void expect_own_name(struct client *c, const char *path)
{
    char name[64];
    struct reply r = {0};
    name_of(c->fd, name);
    client_get(c, path, 200, &r);
    assert_string_equal(r.body, name);
    reply_free(&r);
}

/* Each on connections of its own: the first call asks the kernel, later ones do not. */
static void test_address(void **state)
{
    static const char *const listen[] = {"127.0.0.1:0", "[::1]:0", "*:0"};
    static const char *const more[] = {"--direct", "--no-direct"};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct server s;
        struct client c, other;
        server_start(&s, "--listen", listen[i / 2], more[i % 2]);
        client_open(&c, &s);
        client_open(&other, &s);
        for (int n = 0; n < 3; n++) {
            expect_own_name(&c, "/peer");
            expect_own_name(&other, "/group");
        }
        client_close(&c);
        client_close(&other);
        server_await_log(&s, "every: nobody by http\n");
        server_stop(&s);
    }
}

/* Many connections at once, with a small submission queue. */
static void test_crowd(void **state)
{
    enum { N = 100, ROUNDS = 5 };
    static struct client c[N];
    struct server s;
    struct reply r = {0};
    char name[64];
    (void)state;
    if (strcmp(server_engine, "threads") == 0) return;
    server_start(&s, "--depth", "4", "--cq-depth", "8");
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    for (int n = 0; n < ROUNDS; n++) {
        for (int i = 0; i < N; i++) client_ask(&c[i], "GET", n % 2 ? "/group" : "/peer", "");
        for (int i = 0; i < N; i++) {
            client_reply(&c[i], "GET", &r);
            name_of(c[i].fd, name);
            assert_string_equal(r.body, name);
        }
    }
    for (int i = 0; i < N; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
}

static void test_after_a_reset(void **state)
{
    struct server s;
    struct client c;
    char name[64], line[128];
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    name_of(c.fd, name);
    client_ask(&c, "GET", "/late", "");
    server_await_log(&s, "handler: waits\n");
    client_reset(&c);
    snprintf(line, sizeof line, "handler: woke with %d from %s.\n", -ECONNRESET, name);
    server_await_log(&s, line);
    server_stop(&s);
}

/* With an access log and limits the address is known from the beginning. */
static void test_with_limits(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--access-log", "-", "--rate-limit", "1000", "--max-connection-requests", "9");
    client_open(&c, &s);
    for (int n = 0; n < 3; n++) expect_own_name(&c, "/peer");
    client_close(&c);
    server_stop(&s);
}

/* ---- trusted proxies ---- */

static void expect(struct client *c, const char *fields, const char *want)
{
    struct reply r = {0};
    client_ask(c, "GET", "/client", fields);
    client_reply(c, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, want);
    reply_free(&r);
}

/* As itself. */
static void expect_alone(struct client *c, const char *fields, const char *scheme)
{
    char name[64], want[80];
    name_of(c->fd, name);
    snprintf(want, sizeof want, "%s %s", scheme, name);
    expect(c, fields, want);
}

#define SPOOFED "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"

static void test_only_trusted_proxies_are_believed(void **state)
{
    struct server s;
    struct client proxy, other;
    (void)state;
    server_start(&s, "--trust-proxy", "127.0.0.2", "--trust-proxy", "10.0.0.0/8");
    client_open_from(&proxy, &s, "127.0.0.2");
    client_open_from(&other, &s, "127.0.0.3");
    for (int i = 0; i < 2; i++) {
        expect(&proxy, SPOOFED, "https 203.0.113.7");
        expect_alone(&other, SPOOFED, "http");
        expect(&proxy, "X-Forwarded-For: 203.0.113.7, 192.0.2.1:4711, 10.9.9.9\r\n",
               "http 192.0.2.1:4711");
        expect_alone(&proxy, "", "http"); /* a request of its own */
        expect_alone(&proxy, "X-Forwarded-For: unknown\r\n", "http");
        expect_alone(&proxy, "Forwarded: for=203.0.113.7;proto=https\r\n", "http");
    }
    client_close(&proxy);
    client_close(&other);
    server_stop(&s);
    server_start(&s);
    client_open(&other, &s);
    expect_alone(&other, SPOOFED, "http"); /* nobody is trusted */
    client_close(&other);
    server_stop(&s);
}

static void test_forwarded(void **state)
{
    struct server s;
    struct client proxy;
    (void)state;
    server_start(&s, "--trust-proxy", "127.0.0.0/8", "--proxy-field", "forwarded");
    client_open(&proxy, &s);
    expect(&proxy, "Forwarded: for=\"[2001:db8::1]:80\";proto=https\r\n" SPOOFED,
           "https [2001:db8::1]:80");
    expect_alone(&proxy, SPOOFED, "http");
    client_close(&proxy);
    server_stop(&s);
}

/* The log names the client, as the admin side does. */
static void test_access_log(void **state)
{
    struct server s;
    struct client proxy, other, admin;
    struct reply r = {0};
    char name[64], line[128];
    (void)state;
    server_start(&s, "--access-log", "-", "--trust-proxy", "127.0.0.2", "--access-log-format",
                 "json");
    client_open_from(&proxy, &s, "127.0.0.2");
    client_open_from(&other, &s, "127.0.0.3");
    expect(&proxy, SPOOFED, "https 203.0.113.7");
    expect_alone(&other, SPOOFED, "http");
    server_await_log(&s, "\"peer\":\"203.0.113.7\"");
    name_of(other.fd, name);
    snprintf(line, sizeof line, "\"peer\":\"%s\"", name);
    server_await_log(&s, line);
    client_ask(&proxy, "GET", "/late", "X-Forwarded-For: 192.0.2.77\r\n");
    server_await_log(&s, "handler: waits\n");
    client_open_admin(&admin, &s);
    client_get(&admin, "/requests.json", 200, &r);
    assert_non_null(strstr(r.body, "\"client\":\"192.0.2.77\""));
    client_close(&admin);
    client_reset(&proxy);
    server_await_log(&s, "from 192.0.2.77.\n");
    server_await_log(&s, "\"peer\":\"192.0.2.77\"");
    client_close(&other);
    reply_free(&r);
    server_stop(&s);
}

static bool is_direct(const struct server *s)
{
    struct client admin;
    struct reply r = {0};
    client_open_admin(&admin, s);
    client_get(&admin, "/stats.json", 200, &r);
    bool direct = strstr(r.body, "\"direct\"");
    client_close(&admin);
    reply_free(&r);
    return direct;
}

/* Neither the log nor the limits of a client need descriptors for that. */
static void test_log_and_limits(void **state)
{
    static const char *const listen[] = {"127.0.0.1:0", "[::1]:0", "*:0"};
    static const char *const more[] = {"--direct", "--no-direct"};
    struct server s;
    (void)state;
    server_start(&s, "--listen", "127.0.0.1:0");
    bool direct = is_direct(&s);
    server_stop(&s);
    for (size_t i = 0; i < 6; i++) {
        struct client c[3];
        char name[64], line[128];
        server_start(&s, "--listen", listen[i / 2], more[i % 2], "--access-log", "-",
                     "--access-log-format", "json", "--max-connections-per-client", "100",
                     "--rate-limit", "1000/s");
        for (int k = 0; k < 3; k++) client_open(&c[k], &s);
        for (int k = 0; k < 3; k++) {
            expect_own_name(&c[k], "/peer");
            name_of(c[k].fd, name);
            snprintf(line, sizeof line, "\"peer\":\"%s\"", name);
            server_await_log(&s, line);
            client_close(&c[k]);
        }
        assert_int_equal(is_direct(&s), direct && i % 2 == 0);
        server_stop(&s);
    }
}

static void configure(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Whom to trust can change while the server runs, also for connections that it has. */
static void test_reload(void **state)
{
    char path[] = "/tmp/torc-test-peers-XXXXXX";
    struct server s;
    struct client c;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    configure(path, "threads = 4\n");
    server_start(&s, "--config", path);
    client_open(&c, &s);
    expect_alone(&c, SPOOFED, "http");
    configure(path, "threads = 4\ntrust-proxy = 10.0.0.0/8\ntrust-proxy = 127.0.0.1\n");
    server_signal(&s, SIGHUP);
    stats_await(&s, "reloads", 1);
    expect(&c, SPOOFED, "https 203.0.113.7");
    configure(path, "threads = 4\n");
    server_signal(&s, SIGHUP);
    stats_await(&s, "reloads", 2);
    expect_alone(&c, SPOOFED, "http");
    client_close(&c);
    unlink(path);
    server_stop(&s);
}

static void expect_status(struct client *c, const char *fields, int status)
{
    struct reply r = {0};
    client_ask(c, "GET", "/peer", fields);
    client_reply(c, "GET", &r);
    assert_int_equal(r.status, status);
    reply_free(&r);
}

/* A rate is that of whom the proxy names; a proxy may have any number of connections. */
static void test_limits_of_clients(void **state)
{
    struct server s;
    struct client proxy[3], other;
    (void)state;
    if (strcmp(server_engine, "threads") == 0) return; /* they hold for each thread alone */
    server_start(&s, "--trust-proxy", "127.0.0.2", "--rate-limit", "2/h",
                 "--max-connections-per-client", "1");
    for (int i = 0; i < 3; i++) client_open_from(&proxy[i], &s, "127.0.0.2");
    client_open_from(&other, &s, "127.0.0.3");
    expect_status(&proxy[0], "X-Forwarded-For: 192.0.2.1\r\n", 200);
    expect_status(&proxy[1], "X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\n", 200);
    expect_status(&proxy[2], "X-Forwarded-For: 198.51.100.2, 192.0.2.1\r\n", 429);
    expect_status(&proxy[0], "X-Forwarded-For: 192.0.2.2\r\n", 200);
    for (int i = 0; i < 2; i++) expect_status(&other, SPOOFED, 200);
    expect_status(&other, "X-Forwarded-For: 203.0.113.8\r\n", 429);
    expect_status(&proxy[1], SPOOFED, 200);
    for (int i = 0; i < 2; i++) expect_status(&proxy[0], "", 200); /* its own */
    expect_status(&proxy[1], "X-Forwarded-For: unknown\r\n", 429);
    for (int i = 0; i < 3; i++) client_close(&proxy[i]);
    client_close(&other);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_log_and_limits),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_after_a_reset),
        cmocka_unit_test(test_with_limits),
        cmocka_unit_test(test_only_trusted_proxies_are_believed),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_access_log),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_limits_of_clients),
    };
    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
