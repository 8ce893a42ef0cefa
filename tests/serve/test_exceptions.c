/* C++ exceptions in handlers that wait (thrower.cc). What the C++ runtime keeps for a thread
 * belongs to a fiber here. */

#include "client.h"

enum { CLIENTS = 9, ROUNDS = 20 };

static void test_overlapping_requests_keep_their_exceptions(void **state)
{
    struct server s;
    struct client c[CLIENTS];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    for (int i = 0; i < CLIENTS; i++) client_open(&c[i], &s);
    for (int round = 0; round < ROUNDS; round++) {
        char path[64], want[64];
        for (int i = 0; i < CLIENTS; i++) { /* some wait longer than those that came after them */
            snprintf(path, sizeof path, "/throw/%d-%d?ms=%d", round, i, (CLIENTS - i) % 5);
            client_ask(&c[i], "GET", path, "");
        }
        for (int i = 0; i < CLIENTS; i++) {
            snprintf(want, sizeof want, "%d-%d 0", round, i);
            client_reply(&c[i], "GET", &r);
            assert_string_equal(r.body, want);
        }
    }
    for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s); /* asserts that no sanitizer has reported anything */
}

static void test_fibers_of_a_request_keep_their_exceptions(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--cores", "1");
    for (int i = 0; i < ROUNDS; i++) {
        client_expect(&s.addr, "/group", 200, "outer 0");
    }
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlapping_requests_keep_their_exceptions),
        cmocka_unit_test(test_fibers_of_a_request_keep_their_exceptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
