/* Handlers that fork (embedder.c). */

#include "client.h"
#include "stats.h"

/* What happens to a socket that the server has closed and the child still has is nothing to the
 * connection that is now where the closed one was. */
static void reset_after_fork(const char *option)
{
    struct server s;
    struct client closed, other;
    struct reply r = {0};
    server_start(&s, "--cores", "1", option);
    client_open(&closed, &s);
    client_ask(&closed, "GET", "/fork", "Connection: close\r\n");
    client_reply(&closed, "GET", &r);
    assert_string_equal(r.body, "forked");
    stats_await(&s, "total.connections_closed", 1);
    client_open(&other, &s);
    /* More than is read before its turn comes: the connection is watched, but not read. */
    client_ask(&other, "GET", "/sleep", "");
    for (int i = 0; i < 20; i++) client_sendf(&other, "GET /sleep?%05000d HTTP/1.1\r\n", 0);
    stats_await(&s, "total.requests_started", 2);
    client_reset(&closed);
    client_reply(&other, "GET", &r);
    assert_string_equal(r.body, "slept");
    client_close(&other);
    reply_free(&r);
    server_stop(&s);
}

static void test_a_closed_connection_concerns_no_other(void **state)
{
    (void)state;
    reset_after_fork("--direct");
    reset_after_fork("--no-direct");
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_closed_connection_concerns_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
