/* Routes of torc-lab that no other test uses. */

#include "client.h"
#include "server.h"

#include <stdlib.h>

static void test_static_prefix_redirects(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/static", "/static/"},
        {"/static?", "/static/?"},
        {"/static?a=b&c=%0d%0aX", "/static/?a=b&c=%0d%0aX"},
    };
    struct server s;
    struct client c;
    struct reply r = {0};
    server_start(&s, "--cores", "1");
    client_open(&c, &s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_get(&c, cases[i][0], 301, &r);
        char *location = reply_field(&r, "Location");
        assert_non_null(location);
        assert_string_equal(location, cases[i][1]);
        free(location);
    }
    client_get(&c, "/statics", 404, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_static_prefix_redirects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
