/* Commands that block in Redis: they wait, on connections of their own, and what they pop is not
 * lost when their request ends before the reply. */

#include "redis_rig.h"
#include "stats.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void test_waits_for_an_element(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c[4];
    redis_rig_start(&r, "");
    redis_rig_ask(&r, "XGROUP CREATE jobs g $ MKSTREAM");
    redis_rig_begin(&r, &c[0], "/run?w=BLPOP&w=k&w=other&w=0");
    redis_rig_begin(&r, &c[1], "/run?w=XREAD&w=COUNT&w=1&w=BLOCK&w=0&w=STREAMS&w=s&w=0");
    redis_rig_begin(&r, &c[2], "/run?w=blmove&w=m&w=to&w=LEFT&w=LEFT&w=0");
    redis_rig_begin(&r, &c[3],
                    "/run?w=XREADGROUP&w=block&w=0&w=GROUP&w=g&w=c&w=STREAMS&w=jobs&w=>");
    redis_rig_await_info(&r, "blocked_clients:4");
    redis_rig_run(&r, "/run?w=PING", "+PONG"); /* the core and the shared connection are free */
    redis_rig_ask(&r, "RPUSH other v");
    redis_rig_ask(&r, "XADD s 1-1 a b");
    redis_rig_ask(&r, "RPUSH m e");
    redis_rig_ask(&r, "XADD jobs 1-1 a b");
    redis_rig_answer(&c[0], "*2 $other $v");
    redis_rig_answer(&c[1], "*1 *2 $s *1 *2 $1-1 *2 $a $b");
    redis_rig_answer(&c[2], "$e");
    redis_rig_answer(&c[3], "*1 *2 $jobs *1 *2 $1-1 *2 $a $b");
    redis_rig_run(&r, "/run?w=BLPOP&w=k&w=0.01", "nil"); /* Redis' own timeout */
    redis_rig_stop(&r);
}

/* So many commands that block have been given since the server began, and wait or have ended. */
static void await_blocking(struct redis_rig *r, int n)
{
    static const char line[] = "runs BLPOP\n";
    for (int tries = 0; tries < SERVER_SECONDS * 200; tries++) {
        int found = 0;
        for (const char *at = server_log(&r->server); (at = strstr(at, line)); at++) found++;
        if (found == n) return;
        sleep_ms(5);
    }
    fail_msg("not %d commands: %s", n, server_log(&r->server));
}

static void test_connections_are_shared_out_in_turn(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client first, second, third;
    redis_rig_start(&r, "- 0 1 1 2");
    redis_rig_begin(&r, &first, "/run?w=BLPOP&w=k&w=0");
    redis_rig_await_info(&r, "blocked_clients:1");
    redis_rig_begin(&r, &second, "/run?w=BLPOP&w=k&w=0");
    await_blocking(&r, 2);
    /* Also while it waits for its turn. */
    redis_rig_run(&r, "/run?ms=20&w=BLPOP&w=k&w=0", "!ETIME");
    redis_rig_begin(&r, &third, "/run?w=BLPOP&w=k&w=0");
    await_blocking(&r, 4);                     /* two wait, behind the first; one has ended */
    redis_rig_run(&r, "/run?w=PING", "+PONG"); /* on the shared connection */
    redis_rig_run(&r, "/run?w=BLPOP&w=k&w=0", "!EAGAIN");
    redis_rig_ask(&r, "RPUSH k 1 2 3");
    redis_rig_answer(&first, "*2 $k $1");
    redis_rig_answer(&second, "*2 $k $2");
    redis_rig_answer(&third, "*2 $k $3");
    redis_rig_stop(&r);
}

/* A client that leaves ends the command in Redis, and the connection serves the next. */
static void test_client_leaves(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "- 0 1 1");
    for (int i = 0; i < 20; i++) {
        redis_rig_begin(&r, &c, "/run?w=BLPOP&w=k&w=0");
        redis_rig_await_info(&r, "blocked_clients:1");
        client_reset(&c);
        redis_rig_await_info(&r, "blocked_clients:0");
    }
    redis_rig_ask(&r, "RPUSH k 1");
    redis_rig_await(&r, "LLEN k", ":1");
    redis_rig_run(&r, "/run?w=BLPOP&w=k&w=0", "*2 $k $1");
    redis_rig_await_info(&r, "connected_clients:3\r"); /* one of each kind, and this one */
    redis_rig_stop(&r);
}

static void test_deadline_of_a_redis_that_hangs(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?ms=20&w=BLPOP&w=k&w=0", "!ETIME");
    kill(r.pid, SIGSTOP);
    redis_rig_run(&r, "/run?ms=20&w=BLPOP&w=k&w=0", "!ETIME");
    kill(r.pid, SIGCONT);
    redis_rig_await_info(&r, "blocked_clients:0");
    redis_rig_ask(&r, "RPUSH k 1");
    redis_rig_await(&r, "LRANGE k 0 -1", "*1");
    redis_rig_stop(&r);
}

/* And then ends, while it is still to be told of the request's end. */
static void test_redis_that_hangs_ends(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?ms=20&w=BLPOP&w=k&w=0", "!ETIME");
    redis_rig_await_info(&r, "blocked_clients:0");
    for (int i = 0; i < 3; i++) {
        kill(r.pid, SIGSTOP);
        redis_rig_run(&r, "/run?ms=20&w=BLPOP&w=k&w=0", "!ETIME");
        redis_rig_run(&r, "/run?ms=20&w=BLPOP&w=k&w=0", "!ETIME");
        redis_rig_down(&r);
        redis_rig_up(&r);
        redis_rig_ask(&r, "RPUSH k 1");
        for (int tries = 0;
             tries < SERVER_SECONDS * 100 && redis_rig_ask(&r, "LLEN k")[1] == '1';) {
            struct client c;
            struct reply reply = {0};
            client_open(&c, &r.server);
            /* Long enough for a machine that is slow: then it would be put back for ever. */
            client_get(&c, "/run?ms=1000&w=BLPOP&w=k&w=0", 200, &reply);
            if (reply.body[0] != '*') sleep_ms(10), tries++;
            reply_free(&reply);
            client_close(&c);
        }
        redis_rig_await(&r, "LLEN k", ":0");
    }
    redis_rig_stop(&r);
}

/* The server is asked again and again to end a command, where no connection can be had to ask it
 * on: these are no commands of the program that were refused. */
static void test_attempts_to_end_one_are_not_counted(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "- 1 1 1 0 1000"); /* each connection waits for the reply to SELECT */
    redis_rig_begin(&r, &c, "/run?w=BLPOP&w=k&w=0");
    redis_rig_await_info(&r, "blocked_clients:1");
    kill(r.pid, SIGSTOP);
    client_reset(&c);
    for (int tries = 0; stats_number(&r.server, "program.redis_connect_failures_total") < 2;) {
        assert_true(tries++ < SERVER_SECONDS * 100);
        sleep_ms(10);
    }
    assert_true(stats_number(&r.server, "program.redis_refused_total") == 0);
    kill(r.pid, SIGCONT);
    redis_rig_await_info(&r, "blocked_clients:0");
    redis_rig_stop(&r);
}

/* Redis hangs while the request ends; when it goes on, it pops first. */
static void test_what_was_popped_is_put_back(void **state)
{
    static const struct {
        const char *before, *path, *after, *reply;
    } cases[] = {
        {"RPUSH k 1 2 3", "w=BLPOP&w=k&w=0", "LINDEX k 0", "$1\r\n1"},
        {"RPUSH k 1 2 3", "w=brpop&w=k&w=0", "LINDEX k -1", "$1\r\n3"},
        {"RPUSH k 1 2 3", "w=BLMPOP&w=0&w=2&w=j&w=k&w=LEFT&w=COUNT&w=2", "LINDEX k 1", "$1\r\n2"},
        {"RPUSH k 1 2 3", "w=BLMPOP&w=0&w=1&w=k&w=RIGHT&w=COUNT&w=2", "LINDEX k 1", "$1\r\n2"},
        {"ZADD k 1 a 2 b 3 c", "w=BZPOPMIN&w=k&w=0", "ZSCORE k a", "$1\r\n1"},
        {"ZADD k 1 a 2.5 b 3 c", "w=BZPOPMAX&w=k&w=0", "ZSCORE k c", "$1\r\n3"},
        {"ZADD k 1 a 2 b 3 c", "w=BZMPOP&w=0&w=1&w=k&w=MIN&w=COUNT&w=2", "ZRANK k b", ":1"},
    };
    (void)state;
    struct redis_rig r;
    char path[160];
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?w=LPUSH&w=warm&w=x", ":1");
    redis_rig_run(&r, "/run?w=BLPOP&w=warm&w=0", "*2 $warm $x"); /* both connections are open */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        redis_rig_ask(&r, "DEL k");
        redis_rig_ask(&r, cases[i].before);
        kill(r.pid, SIGSTOP);
        snprintf(path, sizeof path, "/run?ms=20&%s", cases[i].path);
        redis_rig_run(&r, path, "!ETIME");
        kill(r.pid, SIGCONT);
        redis_rig_await(&r, cases[i].after, cases[i].reply);
        redis_rig_await(&r, cases[i].before[0] == 'Z' ? "ZCARD k" : "LLEN k", ":3");
    }
    assert_null(strstr(server_log(&r.server), "lost"));
    redis_rig_stop(&r);
}

/* Requests end while elements come: each of these is delivered or still there. */
enum { PUSHED = 300 };

static void *push(void *arg)
{
    for (int i = 0; i < PUSHED; i++) redis_rig_ask(arg, "RPUSH k v");
    return NULL;
}

static void test_no_element_is_lost(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    pthread_t pusher;
    char reply[32], path[64];
    int taken = 0;
    redis_rig_start(&r, "");
    client_open(&c, &r.server);
    assert_int_equal(pthread_create(&pusher, NULL, push, &r), 0);
    for (int i = 0; i < PUSHED; i++) {
        struct reply a = {0};
        snprintf(path, sizeof path, "/run?ms=%d&w=BLPOP&w=k&w=0", 1 + i % 3);
        client_get(&c, path, 200, &a);
        if (strcmp(a.body, "!ETIME") != 0) {
            assert_string_equal(a.body, "*2 $k $v");
            taken++;
        }
        reply_free(&a);
    }
    pthread_join(pusher, NULL);
    client_close(&c);
    redis_rig_await_info(&r, "blocked_clients:0");
    snprintf(reply, sizeof reply, ":%d\r", PUSHED - taken);
    redis_rig_await(&r, "LLEN k", reply);
    redis_rig_stop(&r);
}

/* A server that has a short time to drain, and a client that waits for an element. */
static void start_waiting(struct redis_rig *r, struct client *c)
{
    redis_rig_start(r, "", "--drain-timeout", "50ms");
    redis_rig_run(r, "/run?w=PING", "+PONG");
    redis_rig_begin(r, c, "/run?w=BLPOP&w=k&w=0");
    redis_rig_await_info(r, "blocked_clients:1");
}

/* A drain ends the wait; what Redis pops meanwhile is put back before the server has ended. */
static void test_drain(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    start_waiting(&r, &c);
    server_stop(&r.server);
    client_close(&c);
    redis_rig_ask(&r, "RPUSH k v");
    redis_rig_await(&r, "LLEN k", ":1");
    redis_rig_stop(&r);
}

/* Neither does a Redis that hangs keep the server from ending. */
static void test_drain_of_a_redis_that_hangs(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    start_waiting(&r, &c);
    kill(r.pid, SIGSTOP);
    server_stop(&r.server);
    client_close(&c);
    redis_rig_stop(&r);
}

int main(int argc, char **argv)
{
    redis_rig_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_an_element),
        cmocka_unit_test(test_connections_are_shared_out_in_turn),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_deadline_of_a_redis_that_hangs),
        cmocka_unit_test(test_redis_that_hangs_ends),
        cmocka_unit_test(test_attempts_to_end_one_are_not_counted),
        cmocka_unit_test(test_what_was_popped_is_put_back),
        cmocka_unit_test(test_no_element_is_lost),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_of_a_redis_that_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
