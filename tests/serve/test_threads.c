/* Two cores under load while the admin core reads their counters, then a drain under load. Meant
 * for the thread sanitizer, which reports by the exit status. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 12, ROUNDS = 40, PIPED = 8 };

static void ask(struct client *c, unsigned what)
{
    switch (what % 6) {
    case 0: client_ask(c, "GET", "/plaintext", ""); break;
    case 1: client_ask(c, "GET", "/static/file", ""); break;
    case 2: client_ask(c, "GET", "/delay/1", ""); break;
    case 3: client_ask(c, "GET", "/file?n=4&mode=all", ""); break;
    case 4:
        client_sendf(c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        break;
    default: client_ask(c, "GET", "/nothing", "");
    }
}

static void check(struct client *c, unsigned what)
{
    struct reply r = {0};
    client_reply(c, "GET", &r);
    assert_int_equal(r.status, what % 6 == 5 ? 404 : 200);
    if (what % 6 == 4) assert_string_equal(r.body, "hello");
    reply_free(&r);
}

static void load(const char *const *options)
{
    struct server s;
    struct client c[CLIENTS];
    struct reply r = {0};
    server_start_list(&s, options);
    for (int i = 0; i < CLIENTS; i++) client_open(&c[i], &s);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CLIENTS; i++)
            for (unsigned k = 0; k < PIPED; k++) ask(&c[i], round + i + k);
        /* The requests are being served meanwhile. */
        json_decref(stats_get(&s));
        client_fetch(&s.admin, "/metrics", &r);
        for (unsigned i = 0; i < CLIENTS; i++)
            for (unsigned k = 0; k < PIPED; k++) check(&c[i], round + i + k);
        if (round % 4 == 0) { /* connections come and go */
            client_close(&c[round % CLIENTS]);
            client_open(&c[round % CLIENTS], &s);
        }
        if (round % 10 == 5) server_signal(&s, SIGHUP);
    }
    assert_true(stats_number(&s, "total.requests_started") == CLIENTS * ROUNDS * PIPED);
    for (unsigned i = 0; i < CLIENTS; i++)
        for (unsigned k = 0; k < PIPED; k++) ask(&c[i], i + k);
    struct client admin;
    client_open_admin(&admin, &s);
    server_signal(&s, SIGTERM);
    if (client_try_send(&admin, "GET /stats.json HTTP/1.1\r\nHost: a\r\n\r\n", 37))
        client_try_reply(&admin, "GET", &r); /* unless the admin core has ended already */
    client_close(&admin);
    while (client_try_reply(&c[0], "GET", &r)) continue;
    for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    assert_int_equal(server_wait(&s), 0);
    reply_free(&r);
    server_free(&s);
}

static void test_two_cores_have_no_data_race(void **state)
{
    (void)state;
    char *dir = files_open(), *log = files_path(dir, "log");
    files_fill(dir, "file", 100 * 1000);
    const char *cores = server_two_cores();
    load((const char *const[]){"--cores", cores, "--root", dir, "--drain-timeout", "5s", NULL});
    load((const char *const[]){"--cores", cores, "--root", dir, "--access-log", log, "--buffers",
                               "4", "--drain-timeout", "1ms", NULL});
    free(log);
    files_close(dir);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_cores_have_no_data_race)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
