/* Every request that began is accounted for once: under the status of its response, or by what
 * ended it; with the bytes of the body that left. */

#include "lab_core.h"

#include "http/http.h"
#include "http/middleware.h"
#include "http/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LARGE = 200 * 1024, PIECE = 20000 };

static char large[LARGE];

/* ---- handlers ---- */

static void replies(torc_req *rq, void *arg)
{
    torc_reply(rq, 200, "text/plain", slice_of(large, (size_t)(uintptr_t)arg));
}

static void replies_and_waits(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 201, "text/plain", TORC_S("early"));
    torc_sleep(rq, 60000);
}

static void streams_and_waits(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, -1);
    torc_write(rq, "early", 5);
    torc_end(rq);
    torc_sleep(rq, 60000);
}

static void waits(torc_req *rq, void *arg)
{
    (void)arg;
    torc_sleep(rq, 60000);
}

/* Begins a response, unless `arg` is AT_ONCE, and has the client's end cancel the rest. */
enum { AT_ONCE, BEGUN, IN_CHUNKS, ALL_WRITTEN, WAITS_FOR_ROOM };

static void leaves(torc_req *rq, void *arg)
{
    int err = 0, how = (int)(uintptr_t)arg;
    if (how != AT_ONCE)
        torc_start(rq, 200, NULL, how == IN_CHUNKS ? -1 : how == ALL_WRITTEN ? 9 : LARGE);
    for (int i = 0; how != AT_ONCE && i < 3; i++) torc_write(rq, "abc", 3);
    torc_cancel_when_gone(rq);
    while (how == WAITS_FOR_ROOM && err == 0) err = torc_write(rq, large, PIECE);
    if (err == 0) err = torc_sleep(rq, 60000);
    assert_true(err == -ECONNRESET || err == -ESHUTDOWN);
    assert_true(torc_client_gone(rq));
    assert_int_equal(torc_write(rq, "abc", 3), err);
    assert_true(torc_replyf(rq, 200, "more") < 0);
}

static void streams(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, LARGE);
    for (int at = 0; at < LARGE; at += LARGE / 10)
        if (torc_write(rq, large, LARGE / 10) < 0) return;
}

static void streams_chunks(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, -1);
    for (int at = 0; at < LARGE; at += LARGE / 10)
        if (torc_write(rq, large, LARGE / 10) < 0) return;
}

static void announces_more(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, 100);
    torc_write(rq, large, 40);
}

static void announces_much_more(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, LARGE + 1);
    for (int at = 0; at < LARGE; at += LARGE / 10)
        if (torc_write(rq, large, LARGE / 10) < 0) return;
}

static void writes_all_and_is_late(torc_req *rq, void *arg)
{
    (void)arg;
    torc_deadline(rq, 50);
    torc_start(rq, 200, NULL, 5);
    torc_write(rq, "whole", 5);
    torc_sleep(rq, 60000);
}

static void is_empty_and_late(torc_req *rq, void *arg)
{
    (void)arg;
    torc_deadline(rq, 50);
    torc_start(rq, 204, NULL, -1);
    torc_sleep(rq, 60000);
}

static void writes_chunks_and_is_late(torc_req *rq, void *arg)
{
    (void)arg;
    torc_deadline(rq, 50);
    torc_start(rq, 200, NULL, -1);
    torc_write(rq, "part", 4);
    torc_sleep(rq, 60000);
}

/* As middleware does that looks for a token in forms. */
static void looks_for_a_form(torc_req *rq, void *arg)
{
    torc_part *part;
    if (arg)
        assert_int_equal(torc_multipart_next(rq, &part), -EINVAL);
    else
        assert_null(torc_form(rq, "token").ptr);
    torc_start(rq, 200, NULL, -1);
    torc_write(rq, "hello", 5);
}

static void waits_around(torc_req *rq, void *arg)
{
    (void)arg;
    torc_sleep(rq, 500);
    torc_next(rq);
}

/* ---- one connection ---- */

static struct rig {
    struct lab_core core;
    struct router *router;
    struct middleware *middleware;
    struct mem_client *m;
    unsigned ended; /* requests */
    /* Of the last one. */
    int status;
    uint64_t bytes;
    enum http_end end;
    bool had_param, had_method;
} rig;

static void on_request_done(struct http_context *ctx, const struct torc_req *rq, const char *peer,
                            uint64_t bytes, enum http_end end)
{
    (void)ctx, (void)peer;
    rig.ended++;
    rig.status = rq->response.status;
    rig.bytes = bytes;
    rig.end = end;
    rig.had_param = torc_param(rq, "id").ptr;
    rig.had_method = torc_method(rq).ptr;
}

static void add_route(const char *path, torc_handler *fn, size_t arg)
{
    assert_int_equal(
        router_add(rig.router, HTTP_GET, slice_str(path), fn, (void *)(uintptr_t)arg, NULL), 0);
}

static void begin_behind(struct middleware *middleware)
{
    rig = (struct rig){.middleware = middleware};
    lab_core_open(&rig.core);
    rig.router = router_new();
    add_route("/small", replies, 5);
    add_route("/large", replies, LARGE);
    add_route("/early", replies_and_waits, 0);
    add_route("/ended", streams_and_waits, 0);
    add_route("/wait", waits, 0);
    add_route("/leaves", leaves, AT_ONCE);
    add_route("/leaves-begun", leaves, BEGUN);
    add_route("/leaves-chunks", leaves, IN_CHUNKS);
    add_route("/leaves-all", leaves, ALL_WRITTEN);
    add_route("/leaves-room", leaves, WAITS_FOR_ROOM);
    add_route("/x/:id", replies, 5);
    add_route("/stream", streams, 0);
    add_route("/chunks", streams_chunks, 0);
    add_route("/short", announces_more, 0);
    add_route("/short-large", announces_much_more, 0);
    add_route("/late", writes_all_and_is_late, 0);
    add_route("/late-empty", is_empty_and_late, 0);
    add_route("/late-chunks", writes_chunks_and_is_late, 0);
    add_route("/form", looks_for_a_form, false);
    add_route("/multipart", looks_for_a_form, true);
    if (middleware) assert_int_equal(middleware_wrap(middleware, rig.router), 0);
    router_freeze(rig.router);
    rig.core.http.router = rig.router;
    rig.core.http.on_request_done = on_request_done;
    rig.m = mem_connect(&rig.core.io);
}

static void begin(void)
{
    begin_behind(NULL);
}

static void run(void)
{
    while (!mem_run(&rig.core.io, 1000)) continue;
}

/* The client takes so many bytes a turn. */
static void at_pace(size_t bytes)
{
    mem_configure(&rig.core.io, &(struct mem_config){.pace = bytes, .patience = NS_PER_S});
}

static void push(const char *text)
{
    mem_push(rig.m, text, strlen(text));
}

static size_t received(void)
{
    size_t n;
    mem_out(rig.m, &n);
    return n;
}

/* Bytes of the body that the client has of a single response. */
static size_t body_received(void)
{
    size_t n;
    const char *out = mem_out(rig.m, &n);
    const char *end = out ? memmem(out, n, "\r\n\r\n", 4) : NULL;
    return end ? n - (size_t)(end + 4 - out) : 0;
}

/* Resets the connection once the client has at least this much. */
static void reset_after(size_t bytes)
{
    for (int i = 0; i < 10000 && received() < bytes; i++) mem_run(&rig.core.io, 1);
    assert_true(received() >= bytes);
    mem_reset(rig.m);
    run();
}

static uint64_t status_count(int class)
{
    return rig.core.http.stats.status[class];
}

/* Ends the connection, and checks the account. */
static void end(unsigned done, unsigned aborted, enum http_end by, unsigned lost)
{
    const struct http_stats *stats = &rig.core.http.stats;
    uint64_t n[2] = {0};
    if (!mem_closed(rig.m)) {
        mem_reset(rig.m);
        run();
    }
    for (int i = 0; i < 6; i++) n[0] += stats->status[i];
    for (size_t i = 0; i < ARRAY_LEN(stats->aborted); i++) n[1] += stats->aborted[i];
    assert_int_equal(n[0], done);
    assert_int_equal(n[1], aborted);
    assert_int_equal(stats->aborted[by], aborted);
    assert_int_equal(stats->lost, lost);
    assert_int_equal(rig.ended, done + aborted); /* each has its line */
    assert_null(lab_core_leak(&rig.core));
    mem_free(&rig.core.io, rig.m);
    lab_core_close(&rig.core);
    router_free(rig.router);
    middleware_free(rig.middleware);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void expect_last(int status, uint64_t bytes, enum http_end by)
{
    assert_int_equal(rig.status, status);
    assert_int_equal(rig.bytes, bytes);
    assert_int_equal(rig.end, by);
}

/* ---- complete ---- */

static void complete_responses_are_done(void **state)
{
    static const struct {
        const char *request;
        uint64_t bytes;
    } cases[] = {
        {GET("/small"), 5},
        {GET("/large"), LARGE},
        {GET("/stream"), LARGE},
        {GET("/chunks"), LARGE},
        {GET("/none"), 14},
        {"HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", LARGE},
        {"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        at_pace(PIECE);
        push(cases[i].request);
        run();
        expect_last(i == 4 ? 404 : 200, cases[i].bytes, END_DONE);
        end(1, 0, END_CLIENT, 0);
    }
}

/* Each in its turn, behind responses that leave slowly. */
static void pipelined_requests_are_done_in_order(void **state)
{
    (void)state;
    begin();
    at_pace(PIECE);
    push(GET("/small") GET("/large") GET("/small") GET("/stream") GET("/small"));
    run();
    assert_int_equal(status_count(2), 5);
    expect_last(200, 5, END_DONE);
    assert_true(received() > 2 * LARGE + 15);
    end(5, 0, END_CLIENT, 0);
}

/* A client that sends all of its body before it reads is not blocked by a response that closes. */
static void input_after_a_large_response_is_discarded(void **state)
{
    (void)state;
    begin();
    at_pace(PIECE);
    mem_set_window(rig.m, 0);
    push("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n");
    run();
    for (int i = 0; i < 40; i++) mem_push(rig.m, large, 16 * 1024);
    run();
    assert_int_equal(mem_waiting(rig.m), 0);
    assert_int_equal(rig.ended, 0);
    mem_set_window(rig.m, PIECE);
    run();
    assert_int_equal(body_received(), LARGE);
    expect_last(200, LARGE, END_DONE);
    end(1, 0, END_CLIENT, 0);
}

static bool has_received(const char *text)
{
    size_t n;
    const char *out = mem_out(rig.m, &n);
    return out && memmem(out, n, text, strlen(text));
}

/* What came before a deadline may be all that there is. */
static void a_whole_response_is_done_however_late(void **state)
{
    (void)state;
    begin();
    push(GET("/late")
             GET("/late-empty") "HEAD /late-chunks HTTP/1.1\r\nHost: a\r\n\r\n" GET("/small"));
    run();
    assert_int_equal(status_count(2), 4);
    expect_last(200, 5, END_DONE);
    end(4, 0, END_CLIENT, 0);

    begin();
    push(GET("/late-chunks") GET("/small"));
    run();
    assert_false(has_received("0\r\n\r\n"));
    assert_int_equal(rig.end, END_SERVER);
    end(0, 1, END_SERVER, 0);
}

/* Nothing of it was read, so nothing has failed. */
static void a_body_of_another_type_cuts_nothing_off(void **state)
{
#define WITH_TYPE(path, type)                                                                      \
    "GET " path " HTTP/1.1\r\nHost: a\r\nContent-Type: " type "\r\nContent-Length: 2\r\n\r\n{}"
    static const char *const types[] = {"application/json", "multipart/form-data",
                                        "multipart/form-data; boundary=\"a \""};
    (void)state;
    begin();
    push(WITH_TYPE("/form", "application/json"));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char text[256];
        snprintf(text, sizeof text, WITH_TYPE("/multipart", "%s"), types[i]);
        push(text);
    }
    push(GET("/small"));
    run();
    assert_true(has_received("\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    assert_int_equal(status_count(2), 5);
    end(5, 0, END_CLIENT, 0);
}

/* ---- not complete ---- */

static void reset_while_a_large_response_leaves(void **state)
{
    static const char *const requests[] = {GET("/large"), GET("/stream"), GET("/chunks")};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        begin();
        at_pace(PIECE);
        push(requests[i]);
        reset_after(2 * PIECE);
        assert_int_equal(rig.status, 200);
        assert_int_equal(rig.end, END_CLIENT);
        /* The sizes of chunks count as body. */
        assert_true(rig.bytes + (i == 2 ? 200 : 0) >= body_received());
        assert_true(rig.bytes <= body_received());
        assert_true(rig.bytes > PIECE);
        end(0, 1, END_CLIENT, 0);
    }
}

/* What a handler gives up is its own response: those before it are complete, and arrive. */
static void a_request_that_leaves_takes_no_other_with_it(void **state)
{
    static const struct {
        const char *path;
        int status;
    } cases[] = {{"/leaves", 0},
                 {"/leaves-begun", 200},
                 {"/leaves-chunks", 200},
                 {"/leaves-all", 200},
                 {"/leaves-room", 200}};
    (void)state;
    for (unsigned i = 0; i < 4 * ARRAY_LEN(cases); i++) {
        const char *before = i & 1 ? GET("/small") GET("/large") : GET("/small");
        size_t n, alone;
        char text[100];
        begin();
        push(before);
        run();
        alone = received();
        mem_push_end(rig.m);
        run();
        end(1 + (i & 1), 0, END_CLIENT, 0);

        begin();
        mem_set_window(rig.m, 0);
        push(before);
        if (!(i & 2)) run(); /* then what is before is in a send by itself */
        snprintf(text, sizeof text, GET("%s") GET("/small"), cases[i / 4].path);
        push(text);
        run();
        mem_push_end(rig.m);
        run();
        mem_set_window(rig.m, PIECE);
        run();
        const char *out = mem_out(rig.m, &n);
        assert_true(n >= alone);
        if (!(i & 2)) {
            assert_int_equal(n, alone);
            assert_memory_equal(out + n - 5, large, 5);
        }
        assert_true(mem_ended(rig.m) && mem_closed(rig.m));
        expect_last(cases[i / 4].status, rig.bytes, END_CLIENT);
        if (!(i & 2)) assert_int_equal(rig.bytes, 0);
        end(1 + (i & 1), 1, END_CLIENT, 0);
    }
}

/* What has left before counts, and what is complete is done. */
static void a_request_that_leaves_is_accounted_for(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        begin();
        push(all ? GET("/leaves-all") : GET("/leaves-begun"));
        run();
        mem_push_end(rig.m);
        run();
        assert_true(mem_closed(rig.m));
        assert_int_equal(body_received(), 9);
        expect_last(200, 9, all ? END_DONE : END_CLIENT);
        end(all, !all, END_CLIENT, 0);
    }
    begin(); /* the client resets while what is before is unsent */
    mem_set_window(rig.m, 0);
    push(GET("/small") GET("/leaves"));
    run();
    mem_push_end(rig.m);
    run();
    assert_int_equal(rig.ended, 2);
    mem_reset(rig.m);
    run();
    end(1, 1, END_CLIENT, 1);
}

/* What was in a send when it was given up counts as far as it leaves. */
static void a_request_that_leaves_counts_what_has_left(void **state)
{
    static const char *const requests[] = {GET("/leaves-begun"), GET("/leaves-room"),
                                           GET("/leaves-chunks"),
                                           GET("/small") GET("/leaves-room")};
    (void)state;
    for (unsigned i = 0; i < 3 * ARRAY_LEN(requests); i++) {
        unsigned before = i / 3 == 3;
        begin();
        mem_set_window(rig.m, 0);
        push(requests[i / 3]);
        run();
        mem_push_end(rig.m);
        run();
        mem_set_window(rig.m, i % 3 == 2 ? SIZE_MAX : 250);
        if (i % 3) mem_run(&rig.core.io, i % 3 == 2 ? 1000 : 2);
        if (i % 3 < 2) mem_reset(rig.m);
        run();
        assert_true(mem_closed(rig.m));
        if (before == 0 && i / 3 < 2) expect_last(200, body_received(), END_CLIENT);
        /* The sizes of chunks count as body, and so may bytes of a head that is unsent. */
        assert_true(rig.bytes <= received());
        end(before, 1, END_CLIENT, before && i % 3 < 2); /* lost, or perhaps so */
    }
}

static void reset_while_the_handler_waits(void **state)
{
    (void)state;
    begin();
    push(GET("/small") GET("/wait"));
    run();
    mem_reset(rig.m);
    run();
    expect_last(0, 0, END_CLIENT);
    end(1, 1, END_CLIENT, 0);
}

/* The response was sent; what the handler did afterwards does not change it. */
static void reset_after_an_early_response(void **state)
{
    (void)state;
    begin();
    push(GET("/early"));
    run();
    mem_reset(rig.m);
    run();
    expect_last(201, 5, END_DONE);
    end(1, 0, END_CLIENT, 0);

    begin();
    push(GET("/ended"));
    run();
    mem_reset(rig.m);
    run();
    expect_last(200, 5, END_DONE);
    end(1, 0, END_CLIENT, 0);

    begin();
    mem_set_window(rig.m, 0);
    at_pace(PIECE);
    push(GET("/early"));
    run();
    mem_reset(rig.m);
    run();
    expect_last(201, 0, END_CLIENT);
    end(0, 1, END_CLIENT, 0);
}

/* Small responses are done when they are queued. Those that never leave are counted. */
static void small_responses_that_are_lost_are_counted(void **state)
{
    (void)state;
    begin();
    at_pace(PIECE);
    push(GET("/small"));
    run();
    mem_set_window(rig.m, 0);
    push(GET("/small") GET("/small") GET("/none"));
    run();
    mem_reset(rig.m);
    run();
    assert_int_equal(status_count(2), 3);
    end(4, 0, END_CLIENT, 3);
}

static void heads_that_end_early(void **state)
{
    (void)state;
    static const char *const heads[] = {"G", "GET", "GET ", "GET /sm"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        begin();
        push(GET("/small"));
        run();
        push(heads[i]);
        mem_push_end(rig.m);
        run();
        expect_last(0, 0, END_CLIENT);
        assert_int_equal(rig.had_method, i == 3);
        end(1, 1, END_CLIENT, 0);
    }

    begin(); /* empty lines are no request */
    push(GET("/small") "\r\n\r\n");
    mem_push_end(rig.m);
    run();
    end(1, 0, END_CLIENT, 0);
}

/* Not those of the request before it, in whose memory it is. */
static void rejected_heads_have_no_parameters(void **state)
{
    static const char *const heads[] = {
        "BREW /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "DESCRIBE /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "B@EW /a HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    char text[3000] = "GET /x/";
    (void)state;
    memset(text + strlen(text), 'x', 2000); /* in memory of its own */
    strcat(text, " HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        begin();
        push(text);
        run();
        assert_true(rig.had_param);
        push(heads[i]);
        run();
        assert_int_equal(rig.status, i < 3 ? 501 : 400);
        assert_false(rig.had_param);
        end(2, 0, END_CLIENT, 0);
    }
}

/* Of which the parser took not one byte. */
static void heads_that_are_rejected_at_once(void **state)
{
    (void)state;
    for (int left = 0; left < 2; left++) {
        struct middleware *around = middleware_new();
        const char *why;
        assert_int_equal(middleware_add(around, SLICE("/"), waits_around, NULL, &why), 0);
        begin_behind(around);
        mem_configure(&rig.core.io, &(struct mem_config){.patience = left ? NS_PER_MS : NS_PER_S});
        push("\x16\x03\x01");
        run();
        if (left) mem_reset(rig.m);
        run();
        expect_last(left ? 0 : 400, left ? 0 : rig.bytes, left ? END_CLIENT : END_DONE);
        end(!left, left, END_CLIENT, 0);
    }
}

static void handler_that_announces_more(void **state)
{
    (void)state;
    begin();
    push(GET("/short"));
    run();
    expect_last(200, 40, END_SERVER);
    end(0, 1, END_SERVER, 0);
}

static void server_that_stops(void **state)
{
    (void)state;
    begin();
    push(GET("/wait"));
    run();
    http_abort(&rig.core.http);
    run();
    expect_last(0, 0, END_SERVER);
    end(0, 1, END_SERVER, 0);
}

/* A request that waits for its handler has left only if its client has. */
static void requests_that_leave_the_queue(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        begin();
        rig.core.http.fibers.max = 1;
        rig.core.limits.queue_timeout = 60 * NS_PER_S; /* more than the patience of run */
        push(GET("/wait"));
        struct mem_client *second = mem_connect(&rig.core.io);
        run();
        mem_push(second, GET("/wait"), sizeof GET("/wait") - 1);
        run();
        assert_int_equal(rig.core.http.stats.queued, 1);
        if (reset)
            mem_reset(second);
        else
            http_abort(&rig.core.http);
        run();
        assert_int_equal(rig.core.http.stats.queued, 0);
        assert_int_equal(rig.core.http.stats.queue_left, reset);
        assert_int_equal(rig.end, reset ? END_CLIENT : END_SERVER);
        mem_free(&rig.core.io, second);
        end(0, 2, reset ? END_CLIENT : END_SERVER, 0);
    }
}

static void client_that_takes_nothing(void **state)
{
    (void)state;
    begin();
    mem_configure(&rig.core.io, &(struct mem_config){.pace = PIECE, .patience = 3600 * NS_PER_S});
    mem_set_window(rig.m, 0);
    push(GET("/large"));
    run();
    expect_last(200, 0, END_TIMEOUT);
    end(0, 1, END_TIMEOUT, 0);
}

static void no_memory_for_a_response(void **state)
{
    (void)state;
    begin();
    rig.core.http.small.max = rig.core.http.whole.max = rig.core.http.pieces.max = 0;
    push(GET("/small"));
    run();
    rig.core.http.small.max = rig.core.http.whole.max = rig.core.http.pieces.max = UINT32_MAX;
    expect_last(0, 0, END_SERVER);
    end(0, 1, END_SERVER, 0);
}

/* A client that leaves while the rest is on its way could not have had a complete response. */
static void reset_after_a_handler_that_announced_more(void **state)
{
    (void)state;
    begin();
    at_pace(PIECE);
    push(GET("/short-large"));
    reset_after(LARGE - PIECE);
    assert_int_equal(rig.status, 200);
    assert_int_equal(rig.end, END_SERVER);
    end(0, 1, END_SERVER, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_responses_are_done),
        cmocka_unit_test(pipelined_requests_are_done_in_order),
        cmocka_unit_test(input_after_a_large_response_is_discarded),
        cmocka_unit_test(reset_while_a_large_response_leaves),
        cmocka_unit_test(a_request_that_leaves_takes_no_other_with_it),
        cmocka_unit_test(a_request_that_leaves_is_accounted_for),
        cmocka_unit_test(a_request_that_leaves_counts_what_has_left),
        cmocka_unit_test(reset_while_the_handler_waits),
        cmocka_unit_test(reset_after_an_early_response),
        cmocka_unit_test(small_responses_that_are_lost_are_counted),
        cmocka_unit_test(heads_that_end_early),
        cmocka_unit_test(rejected_heads_have_no_parameters),
        cmocka_unit_test(heads_that_are_rejected_at_once),
        cmocka_unit_test(a_whole_response_is_done_however_late),
        cmocka_unit_test(a_body_of_another_type_cuts_nothing_off),
        cmocka_unit_test(handler_that_announces_more),
        cmocka_unit_test(reset_after_a_handler_that_announced_more),
        cmocka_unit_test(server_that_stops),
        cmocka_unit_test(requests_that_leave_the_queue),
        cmocka_unit_test(client_that_takes_nothing),
        cmocka_unit_test(no_memory_for_a_response),
    };
    memset(large, 'x', sizeof large);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
