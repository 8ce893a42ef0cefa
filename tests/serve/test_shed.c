/* A server that gets more requests than it can serve (--shed adaptive). */

#include "client.h"
#include "stats.h"

#include <string.h>

#define SLOW "/crypto?ms=5&where=inline"

enum { CROWD = 128 };

static void start(struct server *s)
{
    server_start(s, "--shed", "adaptive");
}

/* ---- a server that is not overloaded ---- */

static void test_lone_client_is_served(void **state)
{
    enum { N = 40 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    start(&s);
    client_open(&c, &s);
    for (int i = 0; i < N; i++) client_get(&c, SLOW, 200, &r);
    for (int i = 0; i < N; i++) client_ask(&c, "GET", SLOW, "");
    for (int i = 0; i < N; i++) {
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 200);
    }
    assert_true(stats_number(&s, "total.requests_shed") == 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* One has a request in progress all the time, the other none but now and then. */
static void test_slow_requests_are_served(void **state)
{
    struct server s;
    struct client slow, c;
    struct reply r = {0};
    (void)state;
    start(&s);
    client_open(&slow, &s);
    client_open(&c, &s);
    for (int i = 0; i < 10; i++) {
        client_ask(&slow, "GET", "/crypto?ms=100&where=inline", "");
        client_get(&c, "/plaintext", 200, &r);
        client_reply(&slow, "GET", &r);
        assert_int_equal(r.status, 200);
        sleep_ms(50); /* the core, too */
    }
    assert_true(stats_number(&s, "total.requests_shed") == 0);
    client_close(&slow);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- overload ---- */

struct crowd {
    struct server s;
    struct client c[CROWD];
    unsigned served, shed;
};

static const char *method_of(unsigned i)
{
    return i % 8 == 1 ? "HEAD" : i % 8 == 2 ? "POST" : "GET";
}

static bool is_probe(unsigned i)
{
    return i % 8 == 3;
}

static void ask(struct client *c, unsigned i)
{
    if (is_probe(i)) {
        client_ask(c, "GET", "/healthz", "");
    } else if (i % 8 == 2) {
        client_ask(c, "POST", "/upload", "Content-Length: 5\r\n");
        client_sendf(c, "bytes");
    } else {
        client_ask(c, method_of(i), SLOW, "");
    }
}

static void expect_503(const struct reply *r)
{
    assert_int_equal(r->status, 503);
    assert_int_equal(reply_retry_after(r), 1);
    assert_false(r->closes);
}

/* All ask at once, each on its connection, which must still be good for that. */
static void round_of(struct crowd *w)
{
    struct reply r = {0};
    for (unsigned i = 0; i < CROWD; i++) ask(&w->c[i], i);
    for (unsigned i = 0; i < CROWD; i++) {
        client_reply(&w->c[i], method_of(i), &r);
        if (is_probe(i)) {
            assert_int_equal(r.status, 404); /* torc-lab has no such route */
        } else if (r.status == 200) {
            w->served++;
        } else {
            expect_503(&r);
            w->shed++;
        }
    }
    reply_free(&r);
}

static void overload(struct crowd *w)
{
    *w = (struct crowd){.served = 0};
    start(&w->s);
    for (unsigned i = 0; i < CROWD; i++) client_open(&w->c[i], &w->s);
    for (int i = 0; i < 50 && w->shed < CROWD / 4; i++) round_of(w);
    assert_true(w->shed >= CROWD / 4);
    assert_true(w->served > 0);
}

static void end(struct crowd *w)
{
    for (unsigned i = 0; i < CROWD; i++) client_close(&w->c[i]);
    server_stop(&w->s);
}

static void test_overload_is_shed_until_it_ends(void **state)
{
    static struct crowd w;
    struct reply r = {0};
    (void)state;
    overload(&w);
    stats_await(&w.s, "total.requests_shed", w.shed);
    assert_true(stats_number(&w.s, "total.responses_5xx") == w.shed);
    assert_true(stats_number(&w.s, "total.shed_delay_seconds") > 0);
    stats_await(&w.s, "total.shedding", 0); /* although all are still connected */
    for (unsigned i = 0; i < CROWD; i += 8) client_get(&w.c[i], SLOW, 200, &r);
    assert_true(stats_number(&w.s, "total.requests_shed") == w.shed);
    reply_free(&r);
    end(&w);
}

static void test_off_sheds_nothing(void **state)
{
    static struct crowd w;
    (void)state;
    w = (struct crowd){.served = 0};
    server_start(&w.s);
    for (unsigned i = 0; i < CROWD; i++) client_open(&w.c[i], &w.s);
    round_of(&w);
    assert_int_equal(w.shed, 0);
    end(&w);
}

/* ---- options ---- */

static void test_engine_threads_says_so(void **state)
{
    struct server s;
    (void)state;
    start(&s);
    server_await_log(&s, "--shed has no effect on the engine threads");
    server_stop(&s);
}

static void test_wrong_mode(void **state)
{
    struct server s;
    (void)state;
    int status = server_run(&s, &(struct server_how){.engine = server_engine},
                            (const char *const[]){"--shed", "fifo", NULL});
    assert_int_equal(status, 2);
    assert_non_null(strstr(server_log(&s), "--shed takes off or adaptive"));
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest threads[] = {
        cmocka_unit_test(test_engine_threads_says_so),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lone_client_is_served),
        cmocka_unit_test(test_slow_requests_are_served),
        cmocka_unit_test(test_overload_is_shed_until_it_ends),
        cmocka_unit_test(test_off_sheds_nothing),
        cmocka_unit_test(test_wrong_mode),
    };
    if (strcmp(server_engine, "threads") == 0) return cmocka_run_group_tests(threads, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
