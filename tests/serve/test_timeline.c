/* /timeline.json after known loads on timing_server.c. */

#include "client.h"
#include "sanitizer.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEW = 3, SPANS_MAX = 1024, NAME = 64, TRACE_PARENT = 56 };

/* The steps of a request: its asynchronous events, in the order in which they are listed. */
struct span {
    char id[32], name[NAME];
    char phases[256]; /* names, each with a space behind it */
    double begin, end, at;
    double started, answered; /* where "queue" ends and "send" begins */
    double slices;
    double connection;
    char open[NAME]; /* the phase that has begun and not ended */
    bool ended, in_progress;
    int status;
};

struct trace {
    json_t *json;
    struct span spans[SPANS_MAX];
    size_t n_spans, n_lanes, n_accepted, n_slices;
    bool named; /* after the program */
    double slice_us;
};

static const char *text_at(json_t *event, const char *key)
{
    json_t *text = json_object_get(event, key);
    assert_true(json_is_string(text));
    return json_string_value(text);
}

static struct span *span_of(struct trace *t, const char *id)
{
    for (size_t i = 0; i < t->n_spans; i++)
        if (strcmp(t->spans[i].id, id) == 0) return &t->spans[i];
    assert_true(t->n_spans < SPANS_MAX);
    struct span *s = &t->spans[t->n_spans++];
    snprintf(s->id, sizeof s->id, "%s", id);
    return s;
}

static bool about(double a, double b)
{
    return fabs(a - b) < 0.002; /* us; three decimals are written */
}

/* The first event begins the span, the next ones are its phases, one behind the other without a
 * gap, the last one ends it. */
static void add_step(struct span *s, json_t *event)
{
    const char *name = text_at(event, "name"), *ph = text_at(event, "ph");
    double at = json_number(event, "ts");
    assert_false(s->ended);
    assert_true(at >= s->at - 0.002 || !s->name[0]);
    if (!s->name[0]) {
        assert_string_equal(ph, "b");
        snprintf(s->name, sizeof s->name, "%s", name);
        s->begin = s->at = at;
        s->connection = json_number(event, "args.connection");
    } else if (*ph == 'b') {
        assert_true(!s->open[0] && about(at, s->at));
        snprintf(s->open, sizeof s->open, "%s", name);
        if (strcmp(name, "send") == 0) s->answered = at;
        size_t used = strlen(s->phases);
        snprintf(s->phases + used, sizeof s->phases - used, "%s ", name);
    } else if (*ph == 'e' && s->open[0]) {
        assert_string_equal(name, s->open);
        if (strcmp(name, "queue") == 0) s->started = at;
        s->open[0] = '\0';
        s->at = at;
    } else if (*ph == 'e') {
        assert_string_equal(name, s->name);
        assert_true(about(at, s->at));
        s->end = at;
        s->ended = true;
        s->status = (int)json_number(event, "args.status");
        s->in_progress = json_is_true(json_at(event, "args.in_progress"));
    } else {
        assert_string_equal(ph, "n");
    }
}

static void read_trace(const struct server *s, const char *path, struct trace *t)
{
    struct client c;
    struct reply r = {0};
    size_t i;
    json_t *event;
    double slice_end[256] = {0};
    memset(t, 0, sizeof *t);
    client_open_admin(&c, s);
    client_get(&c, path, 200, &r);
    client_close(&c);
    t->json = json_read(r.body);
    reply_free(&r);
    assert_true(json_number(t->json, "cores_left_out") == 0);
    json_array_foreach(json_at(t->json, "traceEvents"), i, event)
    {
        const char *ph = text_at(event, "ph");
        size_t lane = (size_t)json_number(event, "tid");
        assert_true(lane < 256);
        if (strchr("ben", *ph)) add_step(span_of(t, text_at(event, "id")), event);
        if (strcmp(text_at(event, "name"), "thread_name") == 0) t->n_lanes++;
        if (strcmp(text_at(event, "name"), "process_name") == 0)
            t->named = strcmp(json_text(event, "args.name"), "timed") == 0;
        if (*ph == 'i') t->n_accepted++;
        if (*ph != 'X') continue;
        double at = json_number(event, "ts"), dur = json_number(event, "dur");
        assert_true(dur >= 0 &&
                    at >= slice_end[lane] - 0.002); /* a core does one thing at a time */
        slice_end[lane] = at + dur;
        t->n_slices++;
        t->slice_us += dur;
    }
    for (i = 0; i < t->n_spans; i++) assert_true(t->spans[i].ended && !t->spans[i].open[0]);
    json_decref(t->json);
}

/* Once all that was sent is known to be. */
static void read_ended(const struct server *s, struct trace *t)
{
    bool again;
    for (int tries = 0; tries < SERVER_SECONDS * 20; tries++) {
        read_trace(s, "/timeline.json?ms=60000", t);
        again = false;
        for (size_t i = 0; i < t->n_spans; i++) again |= t->spans[i].in_progress;
        if (!again) return;
        sleep_ms(50);
    }
    assert_false(again);
}

static size_t count(const struct trace *t, const char *name, int status, const char *phases)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_spans; i++) {
        const struct span *s = &t->spans[i];
        if (strcmp(s->name, name) != 0) continue;
        if (strcmp(s->phases, phases) != 0) print_error("%s: %s\n", name, s->phases);
        assert_string_equal(s->phases, phases);
        assert_int_equal(s->status, status);
        n++;
    }
    return n;
}

/* So many connections have requests of that name, or of any. */
static size_t count_connections(const struct trace *t, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_spans; i++) {
        bool counts = !name || strcmp(t->spans[i].name, name) == 0;
        for (size_t k = 0; k < i; k++) counts &= t->spans[k].connection != t->spans[i].connection;
        n += counts;
    }
    return n;
}

/* Requests that overlap: each has its span, and the core its slices. On `s`, which it stops. */
static void expect_spans(struct server *s)
{
    struct client c[FEW];
    struct reply r = {0};
    static struct trace t;
    for (int i = 0; i < FEW; i++) {
        client_open(&c[i], s);
        client_ask(&c[i], "GET", "/both", "");
    }
    for (int i = 0; i < FEW; i++) client_reply(&c[i], "GET", &r);
    client_get(&c[0], "/plain", 200, &r);
    client_get(&c[0], "/nothing", 404, &r);
    client_get(&c[0], "/stream", 200, &r);
    client_get(&c[0], "/group", 200, &r);
    for (int i = 0; i < FEW; i++) client_close(&c[i]);
    read_ended(s, &t);
    assert_int_equal(t.n_spans, FEW + 4);
    assert_int_equal(count(&t, "GET /both", 200, "queue run sleep run send "), FEW);
    assert_int_equal(count_connections(&t, "GET /both"), FEW);
    assert_int_equal(count_connections(&t, NULL), FEW); /* the others came on one of them */
    assert_int_equal(count(&t, "GET /plain", 200, "queue run send "), 1);
    assert_int_equal(count(&t, "no route", 404, "queue send "), 1);
    assert_int_equal(count(&t, "GET /stream", 200, "queue run sleep run send "), 1);
    assert_int_equal(t.n_accepted, FEW);
    assert_int_equal(t.n_lanes, strcmp(server_engine, "threads") == 0 ? 4 : 1);
    assert_true(t.named);
    for (size_t i = 0; i < t.n_spans; i++)
        if (strcmp(t.spans[i].name, "GET /both") == 0)
            assert_true(t.spans[i].end - t.spans[i].begin >= 80e3);
    assert_true(t.slice_us >= FEW * 40e3 + 20e3 + 80e3);
    reply_free(&r);
    server_stop(s);
}

static void test_each_request_has_its_span(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--timeline", "4096", "--threads", "4");
    expect_spans(&s);
    server_start(&s, "--timeline", "4096", "--threads", "4", "--timing");
    expect_spans(&s);
}

/* A request that waits for its handler to begin; with threads each has a core of its own. */
static void test_a_request_in_the_queue(void **state)
{
    struct server s;
    struct client c[2];
    struct reply r = {0};
    static struct trace t;
    (void)state;
    server_start(&s, "--timeline", "4096", "--threads", "2", "--max-requests", "1", "--queue", "1");
    for (int i = 0; i < 2; i++) client_open(&c[i], &s);
    for (int i = 0; i < 2; i++) client_ask(&c[i], "GET", "/both", "");
    for (int i = 0; i < 2; i++) client_reply(&c[i], "GET", &r);
    read_ended(&s, &t);
    assert_int_equal(t.n_spans, 2);
    assert_int_equal(count(&t, "GET /both", 200, "queue run sleep run send "), 2);
    const struct span *a = &t.spans[0], *b = &t.spans[1];
    if (strcmp(server_engine, "threads") !=
        0) /* the handler of one starts once the other has answered */
        assert_true(b->started >= a->answered || a->started >= b->answered);
    for (int i = 0; i < 2; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
}

/* One that waits, and one that its client leaves. */
static void test_what_is_in_progress(void **state)
{
    struct server s;
    struct client c;
    static struct trace t;
    (void)state;
    server_start(&s, "--timeline", "4096", "--threads", "2");
    client_open(&c, &s);
    client_ask(&c, "POST", "/hold", "Content-Length: 1\r\n");
    do read_trace(&s, "/timeline.json", &t);
    while (t.n_spans == 0 || !strstr(t.spans[0].phases, "body"));
    assert_int_equal(count(&t, "POST /hold", 0, "queue run body "), 1);
    assert_true(t.spans[0].in_progress);
    client_reset(&c);
    read_ended(&s, &t);
    assert_int_equal(t.n_spans, 1);
    assert_false(t.spans[0].in_progress);
    server_stop(&s);
}

/* One whose handler holds its core. The core may be done with it before the timeline is read: then
 * another one is. */
static void test_what_runs(void **state)
{
    enum { TRIES = 100 };
    struct server s;
    struct client c;
    struct reply r = {0};
    static struct trace t;
    bool seen = false;
    (void)state;
    server_start(&s, "--timeline", "128", "--threads", "1");
    client_open(&c, &s);
    for (int i = 0; i < TRIES && !seen; i++) {
        client_ask(&c, "GET", "/long", "");
        do read_trace(&s, "/timeline.json?ms=60000", &t);
        while (t.n_spans == (size_t)i);
        seen = t.spans[i].in_progress && strcmp(t.spans[i].phases, "queue run ") == 0;
        client_reply(&c, "GET", &r);
    }
    assert_true(seen);
    read_ended(&s, &t);
    count(&t, "GET /long", 200, "queue run send ");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* A small ring keeps the last requests, whole ones. */
static void test_the_last_are_kept(void **state)
{
    enum { MANY = 500 };
    struct server s;
    struct client c;
    struct reply r = {0};
    static struct trace t;
    (void)state;
    server_start(&s, "--timeline", "1", "--threads", "1");
    client_open(&c, &s);
    for (int i = 0; i < MANY; i++) client_get(&c, "/plain", 200, &r);
    read_ended(&s, &t);
    size_t kept = t.n_spans;
    assert_true(kept >= 4 && kept <= 64);
    assert_int_equal(count(&t, "GET /plain", 200, "queue run send "), kept);
    stats_await_more(&s, "total.events_recorded", MANY);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Whatever is overwritten meanwhile is left out. */
static void test_read_while_it_is_written(void **state)
{
    enum { ROUNDS = 20, AT_ONCE = 100 };
    struct server s;
    struct client c;
    struct reply r = {0};
    static struct trace t;
    (void)state;
    server_start(&s, "--timeline", "128", "--threads", "1");
    client_open(&c, &s);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) client_ask(&c, "GET", "/plain", "");
        read_trace(&s, "/timeline.json?ms=60000", &t);
        for (size_t i = 0; i < t.n_spans; i++)
            if (!t.spans[i].in_progress) assert_string_equal(t.spans[i].phases, "queue run send ");
        for (int i = 0; i < AT_ONCE; i++) client_reply(&c, "GET", &r);
    }
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Each holds a copy of what was recorded. The thread sanitizer takes 25 ms to free one, and
 * handlers have two seconds to return. */
#ifdef THREAD_SANITIZER
enum { READERS_MOST = 8 };
#else
enum { READERS_MOST = 40 };
#endif

/* Nobody gets what they have not read, so that the drain does not wait until it is made. */
static void test_drain_before_readers_who_do_not_read(void **state)
{
    enum { READERS = READERS_MOST, ROUNDS = 160, AT_ONCE = 100 };
    struct server s;
    struct client c, reader[READERS];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--timeline", "65536", "--threads", "1");
    client_open(&c, &s);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) client_ask(&c, "GET", "/plain", "");
        for (int i = 0; i < AT_ONCE; i++) client_reply(&c, "GET", &r);
    }
    for (int i = 0; i < READERS; i++) {
        client_open_to(&reader[i], &s.admin, &(struct tcp_how){.receive_buffer = 4096});
        client_ask(&reader[i], "GET", "/timeline.json?ms=60000", "");
        assert_true(client_more(&reader[i]) > 0);
    }
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    for (int i = 0; i < READERS; i++) client_close(&reader[i]);
}

/* Asks for all of it, and reads no more than the status. */
static int ask_for_all(const struct server *s, struct client *c)
{
    client_open_to(c, &s->admin, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(c, "GET", "/timeline.json?ms=60000", "");
    assert_true(client_more(c) > 12);
    return atoi(c->buf + sizeof "HTTP/1.1");
}

/* Whoever does not read takes memory, so there is room for few: others ask again. */
static void test_readers_at_a_time(void **state)
{
    enum { ROUNDS = 320, AT_ONCE = 100, MOST = 2 };
    struct server s;
    struct client c, reader[MOST];
    int status;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--timeline", "65536", "--threads", "1");
    client_open(&c, &s);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) client_ask(&c, "GET", "/plain", "");
        for (int i = 0; i < AT_ONCE; i++) client_reply(&c, "GET", &r);
    }
    client_close(&c);
    for (int i = 0; i < MOST; i++) assert_int_equal(ask_for_all(&s, &reader[i]), 200);
    client_open_admin(&c, &s);
    for (int i = 0; i < 10; i++) {
        client_get(&c, "/timeline.json", 503, &r);
        assert_int_equal(reply_retry_after(&r), 1);
    }
    client_get(&c, "/healthz", 200, &r);
    client_close(&c);
    client_reset(&reader[0]);
    while ((status = ask_for_all(&s, &c)) == 503) client_reset(&c);
    assert_int_equal(status, 200);
    client_reset(&c);
    client_reset(&reader[1]);
    reply_free(&r);
    server_stop(&s);
}

/* ---- traces ---- */

#define TRACE_ID  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT_ID "00f067aa0ba902b7"
#define TRACED    "traceparent: 00-" TRACE_ID "-" PARENT_ID "-01\r\n"

/* The spans of a trace and the calls of it, each with a space after it. */
struct traces {
    size_t spans, others, calls;
    char names[512], called[128];
    double epoch_us, earliest;
};

static void read_traces(const struct server *s, struct traces *t)
{
    struct client c;
    struct reply r = {0};
    size_t i;
    json_t *event;
    memset(t, 0, sizeof *t);
    client_open_admin(&c, s);
    client_get(&c, "/timeline.json?ms=60000", 200, &r);
    client_close(&c);
    json_t *json = json_read(r.body);
    reply_free(&r);
    json_array_foreach(json_at(json, "traceEvents"), i, event)
    {
        json_t *args = json_object_get(event, "args");
        const char *name = text_at(event, "name");
        if (json_object_get(args, "connection")) {
            bool traced = json_object_get(args, "trace_id");
            t->spans += traced;
            t->others += !traced;
            if (t->spans + t->others == 1) t->earliest = json_number(event, "ts");
            if (!traced) continue;
            assert_string_equal(text_at(args, "trace_id"), TRACE_ID);
            assert_string_equal(text_at(args, "parent_id"), PARENT_ID);
            strcat(strcat(t->names, name), " ");
        } else if (strcmp(name, "call") == 0) {
            t->calls++;
            strcat(strcat(t->called, text_at(args, "span_id")), " ");
        }
    }
    t->epoch_us = json_number(json, "epoch_us");
    json_decref(json);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static const char *ask(struct client *c, const char *path, const char *fields, struct reply *r)
{
    client_ask(c, "GET", path, fields);
    client_reply(c, "GET", r);
    return r->body;
}

/* Whether its handler waits, runs through, computes or is missing. */
static void test_a_trace(void **state)
{
    static const char *const paths[] = {"/plain", "/both", "/nothing", "/group"};
    struct server s;
    struct client c;
    struct reply r = {0};
    struct traces t;
    double before = now_us();
    (void)state;
    server_start(&s, "--timeline", "4096", "--threads", "1");
    client_open(&c, &s);
    for (size_t i = 0; i < 4; i++) {
        ask(&c, paths[i], TRACED, &r);
        ask(&c, paths[i], "traceparent: 00-" TRACE_ID "-" PARENT_ID "-1\r\n", &r);
    }
    read_traces(&s, &t);
    assert_string_equal(t.names, "GET /plain GET /both no route GET /group ");
    assert_int_equal(t.others, 4);
    assert_int_equal(t.calls, 0);
    assert_true(t.epoch_us + t.earliest >= before - 1e3); /* the clocks are read one by one */
    assert_true(t.epoch_us + t.earliest <= now_us() + 1e3);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* The marks have what the handler was given for its calls. */
static void test_calls(void **state)
{
    static const char *const paths[] = {"/calls", "/calls?wait"};
    struct server s;
    struct client c;
    struct reply r = {0};
    struct traces t;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char want[64];
        const char *const whole = "00-" TRACE_ID "-";
        server_start(&s, "--timeline", "4096", "--threads", "1");
        client_open(&c, &s);
        assert_string_equal(ask(&c, paths[i], "", &r), " ");
        const char *one = ask(&c, paths[i], TRACED, &r), *other = one + TRACE_PARENT;
        assert_int_equal(strlen(one), 2 * TRACE_PARENT - 1);
        assert_memory_equal(one, whole, strlen(whole));
        assert_memory_equal(other, whole, strlen(whole));
        assert_memory_not_equal(one, other, TRACE_PARENT - 1);
        snprintf(want, sizeof want, "%.16s %.16s ", one + strlen(whole), other + strlen(whole));
        read_traces(&s, &t);
        assert_string_equal(t.called, want);
        assert_string_equal(t.names, "GET /calls ");
        assert_int_equal(t.others, 1);
        client_close(&c);
        server_stop(&s);
    }
    reply_free(&r);
}

/* What ended before is left out. */
static void test_the_window(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    static struct trace t;
    (void)state;
    server_start(&s, "--timeline", "128", "--threads", "1");
    client_open(&c, &s);
    client_get(&c, "/plain", 200, &r);
    read_ended(&s, &t);
    assert_int_equal(t.n_spans, 1);
    /* The slice of the core in which it ended may end late. */
    for (int tries = 0; tries < SERVER_SECONDS * 20; tries++) {
        sleep_ms(20);
        read_trace(&s, "/timeline.json?ms=1", &t);
        if (t.n_spans + t.n_slices + t.n_accepted == 0) break;
    }
    assert_int_equal(t.n_spans + t.n_slices + t.n_accepted, 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_bad_requests(void **state)
{
    static const char *const bad[] = {"", "0", "60001", "x", "-1", "1.5", "99999999999999999999"};
    struct server s;
    struct client c;
    struct reply r = {0};
    char path[64];
    (void)state;
    server_start(&s, "--timeline", "128");
    client_open_admin(&c, &s);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/timeline.json?ms=%s", bad[i]);
        client_get(&c, path, 400, &r);
        assert_string_equal(r.body, "ms must be a number from 1 to 60000\n");
    }
    client_close(&c);
    server_stop(&s);
    server_start(&s);
    client_open_admin(&c, &s);
    client_get(&c, "/timeline.json?ms=5", 501, &r);
    assert_string_equal(r.body, "nothing is recorded: start the server with --timeline N\n");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request_has_its_span),
        cmocka_unit_test(test_a_request_in_the_queue),
        cmocka_unit_test(test_what_is_in_progress),
        cmocka_unit_test(test_what_runs),
        cmocka_unit_test(test_the_last_are_kept),
        cmocka_unit_test(test_read_while_it_is_written),
        cmocka_unit_test(test_drain_before_readers_who_do_not_read),
        cmocka_unit_test(test_readers_at_a_time),
        cmocka_unit_test(test_a_trace),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_the_window),
        cmocka_unit_test(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
