/* Handlers learn who their client is. */

#include "client.h"
#include "stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

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
        server_await_log(&s, "every: nobody\n");
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_after_a_reset),
        cmocka_unit_test(test_with_limits),
    };
    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
