/* Until when a drain waits for a request, on one core in virtual time. */

#include "rig.h"

#include "http/http.h"

#define GET   "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define LONG  (1000 * NS_PER_S)
#define BEGIN (5 * NS_PER_S) /* of the drain, after the connection was made */

/* Stops a run at its time. */
struct stop {
    struct wheel_timer timer;
    bool reached;
};

static void on_stop(struct wheel_timer *t)
{
    container_of(t, struct stop, timer)->reached = true;
}

static void run_for(struct rig *r, uint64_t ns)
{
    struct stop s = {0};
    wheel_timer_init(&s.timer, on_stop);
    wheel_set(&r->core.io.wheel, &s.timer, r->core.io.now + ns);
    while (!s.reached) mem_run(&r->core.io, 1);
}

static void reply(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("x"));
}

static void push(struct rig *r, const char *text)
{
    if (*text) mem_push(r->m, text, strlen(text));
}

/* What the client has got so far. */
static const char *got(struct rig *r)
{
    size_t n;
    const char *out = mem_out(r->m, &n);
    snprintf(r->out, sizeof r->out, "%.*s", (int)n, out);
    return r->out;
}

static void open_with(struct rig *r, uint64_t drain_timeout)
{
    rig_open(r, reply, NULL);
    r->core.limits.drain_timeout = drain_timeout;
    r->core.limits.header_timeout = r->core.limits.idle_timeout = LONG;
    mem_configure(&r->core.io, &(struct mem_config){.patience = LONG});
}

static void begin(struct rig *r, uint64_t drain_timeout)
{
    open_with(r, drain_timeout);
    r->m = mem_connect(&r->core.io);
    run_for(r, BEGIN);
}

/* The client closes once it has seen the end. */
static void end(struct rig *r)
{
    assert_true(mem_ended(r->m));
    if (!mem_closed(r->m)) mem_push_end(r->m);
    run_for(r, NS_PER_MS);
    assert_int_equal(r->core.http.n_open, 0);
    r->core.http.draining = false;
    mem_free(&r->core.io, r->m);
    rig_close(r);
}

static void a_first_request_may_come_yet(void **state)
{
    static const struct {
        uint64_t drain_timeout, after;
    } cases[] = {{10 * NS_PER_S, 0},
                 {10 * NS_PER_S, 100 * NS_PER_MS},
                 {10 * NS_PER_S, 990 * NS_PER_MS},
                 {NS_PER_S, 490 * NS_PER_MS}};
    static const char *const before[] = {"", "\r\n"};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct rig r;
        begin(&r, cases[i / 2].drain_timeout);
        push(&r, before[i % 2]);
        run_for(&r, NS_PER_MS);
        http_drain(&r.core.http);
        run_for(&r, cases[i / 2].after);
        push(&r, GET);
        run_for(&r, NS_PER_MS);
        must_have(got(&r), "HTTP/1.1 200 OK");
        must_have(r.out, "Connection: close");
        end(&r);
    }
}

/* As one from the accept queue. */
static void nor_has_one_that_comes_late_less_time(void **state)
{
    static const uint64_t after[] = {900 * NS_PER_MS, 3 * NS_PER_S};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(after); i++) {
        struct rig r;
        open_with(&r, 10 * NS_PER_S);
        http_drain(&r.core.http);
        run_for(&r, after[i]);
        r.m = mem_connect(&r.core.io);
        run_for(&r, 45 * NS_PER_MS);
        push(&r, GET);
        run_for(&r, NS_PER_MS);
        must_have(got(&r), "HTTP/1.1 200 OK");
        end(&r);
    }
}

/* At its end it is not reset: what crosses that would be, and its answer lost. */
static void a_silent_one_is_closed_in_time(void **state)
{
    static const uint64_t timeouts[] = {10 * NS_PER_S, 200 * NS_PER_MS, 10 * NS_PER_MS};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(timeouts); i++) {
        for (int sends = 0; sends < 2; sends++) {
            struct rig r;
            begin(&r, timeouts[i]);
            http_drain(&r.core.http);
            uint64_t start = r.core.io.now, wait = http_first_wait(&r.core.limits);
            while (!mem_ended(r.m)) run_for(&r, NS_PER_MS);
            assert_true(r.core.io.now <= start + 50 * NS_PER_MS + wait);
            assert_false(mem_closed(r.m));
            if (sends) {
                push(&r, GET);
                run_for(&r, NS_PER_MS);
                assert_int_equal(mem_waiting(r.m), 0);
                assert_false(mem_closed(r.m));
            } else {
                while (!mem_closed(r.m)) run_for(&r, NS_PER_MS);
                assert_true(r.core.io.now <= start + 60 * NS_PER_MS + wait + wait / 8);
            }
            assert_string_equal(got(&r), "");
            end(&r);
        }
    }
}

/* Its client expects the end between two requests. */
static void one_that_has_had_a_request_is_closed_soon(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, 10 * NS_PER_S);
    push(&r, GET);
    run_for(&r, NS_PER_S);
    must_have(got(&r), "HTTP/1.1 200 OK");
    http_drain(&r.core.http);
    run_for(&r, 60 * NS_PER_MS);
    assert_true(mem_closed(r.m));
    end(&r);
}

/* Both that has begun before the drain and that begins in it. */
static void an_incomplete_head_is_answered(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        struct rig r;
        begin(&r, 10 * NS_PER_S);
        if (before) push(&r, "GET / HT");
        run_for(&r, NS_PER_MS);
        http_drain(&r.core.http);
        run_for(&r, 400 * NS_PER_MS);
        if (!before) push(&r, "GET / HT");
        run_for(&r, NS_PER_S);
        must_have(got(&r), "HTTP/1.1 408");
        end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_request_may_come_yet),
        cmocka_unit_test(nor_has_one_that_comes_late_less_time),
        cmocka_unit_test(a_silent_one_is_closed_in_time),
        cmocka_unit_test(one_that_has_had_a_request_is_closed_soon),
        cmocka_unit_test(an_incomplete_head_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
