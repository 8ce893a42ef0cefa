/* What leaves a core and comes back: jobs, posts and what runs every so often (working_server.c).
 */

#include "client.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void assert_logged(struct server *s, const char *what, int value)
{
    char line[64];
    snprintf(line, sizeof line, "%s %d\n", what, value);
    if (!strstr(server_log(s), line)) print_error("no \"%s\" in:\n%s", line, server_log(s));
    assert_non_null(strstr(server_log(s), line));
}

/* ---- posts ---- */

/* Asks until a connection of each core has said what that core has seen. */
static void await_posted(struct server *s, int core)
{
    struct reply r = {0};
    char want[64];
    snprintf(want, sizeof want, "core %d: 6000 run, 0 out of order", core);
    for (int i = 0; i < SERVER_SECONDS * 100; i++, sleep_ms(10)) {
        client_fetch(&s->addr, "/posted", &r);
        if (strcmp(r.body, want) == 0) break;
    }
    assert_string_equal(r.body, want);
    reply_free(&r);
}

static void test_posts_run_on_their_core_in_order(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    if (strcmp(server_two_cores(), "2") != 0) skip();
    server_start(&s, "--cores", "2");
    client_fetch(&s.addr, "/posts", &r);
    char want[16];
    snprintf(want, sizeof want, "%d", -EINVAL); /* a core that is not there */
    assert_string_equal(r.body, want);
    for (int core = 0; core < 2; core++) await_posted(&s, core);
    assert_logged(&s, "before", -ESHUTDOWN);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_logged(&s, "after", -ESHUTDOWN);
    reply_free(&r);
    server_free(&s);
}

static void test_what_posts_itself_does_not_hold_up_the_drain(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--drain-timeout", "1h");
    client_fetch(&s.addr, "/posts-again", &r);
    assert_string_equal(r.body, "0");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_logged(&s, "again", -ESHUTDOWN);
    reply_free(&r);
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_run_on_their_core_in_order),
        cmocka_unit_test(test_what_posts_itself_does_not_hold_up_the_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
