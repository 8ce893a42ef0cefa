/* Programs that close the server's descriptors (closing_server.c): it says so, and ends. */

#include "client.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void expect_end(struct server *s)
{
    assert_int_equal(server_wait(s), 1);
    server_expect_log(s, "its descriptors were closed");
    assert_null(strstr(server_log(s), "was shut down"));
    server_free(s);
}

static void start(struct server *s)
{
    server_start(s, "--cores", server_two_cores());
    client_expect(&s->addr, "/ready", 200, "ready\n");
}

/* Whoever asks gets no answer, or one that is cut off. */
static void close_by(const char *path)
{
    struct server s;
    struct client c;
    start(&s);
    client_open(&c, &s);
    client_ask(&c, "GET", path, "");
    expect_end(&s);
    client_close(&c);
}

static void test_by_a_handler(void **state)
{
    (void)state;
    close_by("/close");
}

static void test_by_a_job(void **state)
{
    (void)state;
    close_by("/job");
}

/* Whoever closes a Unix socket has not shut it down. */
static void test_of_a_unix_socket(void **state)
{
    struct server s;
    struct client c;
    char address[64];
    (void)state;
    snprintf(address, sizeof address, "unix:@torc-closing-%d", (int)getpid());
    server_start(&s, "--listen", address);
    client_open(&c, &s);
    client_ask(&c, "GET", "/close", "");
    expect_end(&s);
    client_close(&c);
}

/* While the cores wait. */
static void test_by_another_thread(void **state)
{
    struct server s;
    (void)state;
    start(&s);
    server_signal(&s, SIGUSR1);
    expect_end(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_a_handler),
        cmocka_unit_test(test_by_a_job),
        cmocka_unit_test(test_of_a_unix_socket),
        cmocka_unit_test(test_by_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
