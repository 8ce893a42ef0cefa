/* What the three measures are made of, on one core in virtual time: how long requests are in
 * progress, exactly, and how long their code runs, between bounds that the handler itself measures
 * on the same counter. */

#include "lab_core.h"

#include "http/http.h"
#include "http/request.h"
#include "http/tick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig {
    struct lab_core core;
    struct router *router;
    struct mem_client *m[8];
    uint64_t lived, spun; /* ns and ticks, as the handlers saw it */
    bool ran;             /* io.code, all the time that a handler ran */
} rig;

enum { CLIENTS = 8, SPIN = 2000000 /* ticks */ };

static void spin(uint64_t ticks)
{
    uint64_t start = ticks_now();
    while (ticks_now() - start < ticks) continue;
    rig.spun += ticks_now() - start;
    rig.ran &= stopwatch_runs(&rig.core.io.code);
}

static void spins_and_waits(torc_req *rq, void *arg)
{
    (void)arg;
    uint64_t begun = rig.core.io.now;
    spin(SPIN);
    torc_sleep(rq, 10);
    spin(SPIN);
    rig.lived += rig.core.io.now - begun;
    torc_reply(rq, 200, NULL, TORC_S("x"));
}

static int member(torc_req *rq, void *arg)
{
    (void)arg;
    spin(SPIN);
    int err = torc_sleep(rq, 10);
    spin(SPIN);
    return err;
}

static void joins(torc_req *rq, void *arg)
{
    (void)arg;
    uint64_t begun = rig.core.io.now;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, member, NULL);
    torc_spawn(g, member, NULL);
    torc_group_join(g);
    rig.lived += rig.core.io.now - begun;
    torc_reply(rq, 200, NULL, TORC_S("x"));
}

static void begin(int clients)
{
    rig = (struct rig){.ran = true};
    lab_core_open(&rig.core);
    rig.router = router_new();
    router_add(rig.router, HTTP_GET, SLICE("/spin"), spins_and_waits, NULL, NULL);
    router_add(rig.router, HTTP_GET, SLICE("/join"), joins, NULL, NULL);
    router_freeze(rig.router);
    rig.core.http.router = rig.router;
    for (int i = 0; i < clients; i++) rig.m[i] = mem_connect(&rig.core.io);
}

static void push(int i, const char *text)
{
    mem_push(rig.m[i], text, strlen(text));
}

static void run(void)
{
    while (!mem_run(&rig.core.io, 1000)) continue;
}

static uint64_t lifetime(void)
{
    const struct http_stats *s = &rig.core.http.stats;
    uint64_t now = rig.core.io.now;
    return lifetime_sum(&s->lifetime, s->started, now, now);
}

static void end(void)
{
    for (int i = 0; i < CLIENTS && rig.m[i]; i++) {
        mem_push_end(rig.m[i]);
        run();
        mem_free(&rig.core.io, rig.m[i]);
    }
    assert_true(rig.ran);
    assert_false(stopwatch_runs(&rig.core.io.code));
    lab_core_close(&rig.core);
    router_free(rig.router);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* Concurrent, pipelined and in groups. */
static void sums_are_those_of_the_handlers(void **state)
{
    static const struct {
        const char *text;
        int clients;
        unsigned requests;
    } cases[] = {
        {GET("/spin"), 1, 1},
        {GET("/spin"), CLIENTS, CLIENTS},
        {GET("/spin") GET("/spin") GET("/spin"), 2, 6},
        {GET("/join"), 3, 3},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(cases[i].clients);
        uint64_t start = ticks_now();
        for (int c = 0; c < cases[i].clients; c++) push(c, cases[i].text);
        run();
        uint64_t all = ticks_now() - start, code = stopwatch_read(&rig.core.io.code);
        assert_int_equal(rig.core.http.stats.requests, cases[i].requests);
        assert_int_equal(lifetime(), rig.lived); /* each handler began in the turn it arrived in */
        assert_true(rig.lived > 0);
        assert_true(code >= rig.spun && code <= all);
        end();
    }
}

/* Those in progress count until now, and then no more than they did. */
static void a_request_counts_while_it_waits(void **state)
{
    (void)state;
    begin(2);
    push(0, GET("/spin"));
    for (int i = 0; i < 100 && !rig.core.http.stats.started; i++) mem_run(&rig.core.io, 1);
    mem_run(&rig.core.io, 1);
    const struct http_stats *s = &rig.core.http.stats;
    uint64_t now = rig.core.io.now;
    assert_int_equal(s->started - s->requests, 1);
    assert_int_equal(lifetime_sum(&s->lifetime, s->started, now, now + 5), lifetime() + 5);
    /* One more that started in this turn, before its end. */
    assert_int_equal(lifetime_sum(&s->lifetime, s->started + 1, now, now + 5), lifetime() + 10);
    run();
    assert_int_equal(s->requests, 1);
    assert_int_equal(lifetime(), rig.lived);
    assert_int_equal(lifetime_sum(&s->lifetime, s->started, now, now + NS_PER_S), rig.lived);
    end();
}

static void an_aborted_request_counts_until_its_end(void **state)
{
    (void)state;
    begin(1);
    push(0, GET("/spin"));
    for (int i = 0; i < 100 && !rig.core.http.stats.started; i++) mem_run(&rig.core.io, 1);
    mem_reset(rig.m[0]);
    run();
    assert_int_equal(rig.core.http.stats.requests, 1);
    assert_int_equal(lifetime(), rig.lived);
    end();
}

/* Ticks run on the same fibers, and are no requests. */
static void tick(torc_req *rq, void *arg)
{
    (void)arg;
    uint64_t *ran = &rig.spun;
    for (int i = 0; i < 2; i++) {
        *ran += !stopwatch_runs(&rig.core.io.code);
        torc_sleep(rq, 1);
    }
}

static void ticks_do_not_count(void **state)
{
    struct tick_plan plan = {.period = NS_PER_MS, .route = {.fn = tick}};
    (void)state;
    begin(0);
    struct tick *ticks = ticks_new(&plan, 1);
    ticks_start(&rig.core.http, ticks, 1);
    for (int i = 0; i < 100; i++) mem_run(&rig.core.io, 1);
    rig.core.http.draining = true; /* or one that runs would begin another */
    ticks_drain(&rig.core.http);
    run();
    assert_true(rig.core.http.stats.ticks > 0);
    assert_int_equal(rig.spun, 2 * rig.core.http.stats.ticks);
    assert_int_equal(stopwatch_read(&rig.core.io.code), 0);
    assert_int_equal(lifetime(), 0);
    end();
    free(ticks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_handlers),
        cmocka_unit_test(a_request_counts_while_it_waits),
        cmocka_unit_test(an_aborted_request_counts_until_its_end),
        cmocka_unit_test(ticks_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
