/* Handlers that fork (embedder.c). */

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

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

/* One that returns to torc, as after an execve(2) that has failed, must not go on as a second
 * server, with the client and the descriptors of the first. */
static void test_a_child_that_comes_back_ends(void **state)
{
    static const char *const paths[] = {"/fork/handler", "/fork/group", "/fork/job", "/fork/post"};
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    for (int i = 0; i < 4; i++) {
        struct client c;
        client_open(&c, &s);
        for (int again = 0; again < 2; again++) {
            client_get(&c, paths[i], 200, &r);
            assert_string_equal(r.body, "125");
        }
        client_get(&c, "/sleep", 200, &r);
        assert_string_equal(r.body, "slept");
        client_close(&c);
    }
    assert_non_null(strstr(server_log(&s), "was forked by a handler or a job"));
    reply_free(&r);
    server_stop(&s);
}

/* Where a temporary file has a name, as on NFS: the child must not remove it. Nor does it blame the
 * handler, which answers in the server. */
static void test_a_child_cleans_up_nothing(void **state)
{
    struct server s;
    struct refusal unnamed = {.call = SYS_openat,
                              .err = EOPNOTSUPP,
                              .nth = 3,
                              .value = O_TMPFILE | O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK};
    (void)state;
    char *dir = files_open(), *file = files_path(dir, "file");
    setenv("FORK_DIRECTORY", dir, 1);
    setenv("FORK_FILE", file, 1);
    server_start_prepared(&s, refuse_call, &unnamed, (const char *const[]){"--cores", "1", NULL});
    client_expect(&s.addr, "/fork/file", 200, "125 0");
    assert_null(strstr(server_log(&s), "without a response"));
    server_stop(&s);
    free(file);
    files_close(dir);
}

/* Nor does it send what the core has still to send in that turn. */
static void test_a_child_sends_nothing(void **state)
{
    struct server s;
    struct client holder, forking, other;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_open(&holder, &s);
    client_open(&forking, &s);
    client_open(&other, &s);
    client_get(&forking, "/fork/released", 200, &r);
    client_get(&other, "/fork/released", 200, &r);
    client_ask(&holder, "GET", "/fork/hold", "");
    sleep_ms(200); /* likely, it holds */
    client_ask(&forking, "GET", "/fork/release", "");
    client_ask(&other, "GET", "/fork/released", "");
    client_reply(&forking, "GET", &r);
    client_reply(&other, "GET", &r);
    client_get(&other, "/sleep", 200, &r);
    assert_string_equal(r.body, "slept");
    client_get(&other, "/fork/released", 200, &r);
    assert_string_equal(r.body, "125");
    client_reply(&holder, "GET", &r);
    client_close(&holder);
    client_close(&forking);
    client_close(&other);
    reply_free(&r);
    server_stop(&s);
}

static void test_a_signal_ends_a_child(void **state)
{
    struct server s;
    char want[64];
    (void)state;
    server_start(&s, "--cores", "1");
    snprintf(want, sizeof want, "%d", -SIGTERM);
    client_expect(&s.addr, "/fork/kill", 200, want);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_closed_connection_concerns_no_other),
        cmocka_unit_test(test_a_child_that_comes_back_ends),
        cmocka_unit_test(test_a_child_cleans_up_nothing),
        cmocka_unit_test(test_a_child_sends_nothing),
        cmocka_unit_test(test_a_signal_ends_a_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
