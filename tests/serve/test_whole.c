/* Large responses: the memory for output bounds how many are given as a whole at once, and what
 * those in pieces take. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LARGE = 4 << 20,
    MEDIUM = 60 << 10,
    BUDGET = 4 << 20, /* --buffer-memory */
    /* Beside the budget: one response, and what one turn frees only at its end. */
    BOUND = BUDGET + LARGE + (1 << 20),
    PIPELINED = 100,
    STREAMS = 400,         /* clients of responses in pieces */
    STREAMED = 6000 << 10, /* bytes of each: more than a socket takes */
    /* Beside half of the budget, from which on writers get little: the write that used it up, and
     * for each client one small chunk, with what it asked. */
    STREAMS_BOUND = BUDGET / 2 + (1 << 20) + STREAMS * (9 << 10),
};

static void start_with(struct server *s, const char *root)
{
    server_start(s, "--buffer-memory", "4m", "--write-timeout", "1h", "--idle-timeout", "1h",
                 "--header-timeout", "1h", "--drain-timeout", "2s", "--root", root);
}

static void start(struct server *s)
{
    start_with(s, ".");
}

/* A client that does not read. */
static void ask_many(struct client *c, const struct server *s, const char *path, int times)
{
    client_open_to(c, &s->addr, &(struct tcp_how){.receive_buffer = 4096});
    for (int i = 0; i < times; i++) client_ask(c, "GET", path, "");
}

/* The most that is buffered after all have asked at once. */
static double peak_of(struct server *s, struct client *c, int n, const char *path, int times)
{
    double most = 0;
    server_signal(s, SIGSTOP);
    for (int i = 0; i < n; i++) ask_many(&c[i], s, path, times);
    server_signal(s, SIGCONT);
    stats_await_more(s, "total.requests_started", 2); /* one was before */
    for (int i = 0; i < 25; i++, sleep_ms(100)) {
        double now = stats_number(s, "total.buffered_bytes");
        if (now > most) most = now;
    }
    return most;
}

/* Those that read are served meanwhile. */
static void check_bound(const char *path, int n)
{
    struct server s;
    struct client *c = calloc((size_t)n, sizeof *c), good;
    struct reply r = {0};
    assert_non_null(c);
    start(&s);
    client_open(&good, &s);
    client_get(&good, "/small", 200, &r);
    double most = peak_of(&s, c, n, path, PIPELINED);
    if (most > BOUND) print_error("%g bytes buffered\n", most);
    assert_in_range(most, 1, BOUND);
    client_get(&good, "/small", 200, &r); /* who reads is served */
    client_get(&good, "/large", 200, &r);
    assert_int_equal(r.body_len, LARGE);
    stats_await_more(&s, "total.connections_over_memory", 1);
    client_close(&good);
    for (int i = 0; i < n; i++) client_close(&c[i]);
    stats_await(&s, "total.buffered_bytes", 0);
    reply_free(&r);
    server_stop(&s);
    free(c);
}

static void test_replies_are_bounded(void **state)
{
    (void)state;
    check_bound("/large", 50);
}

static void test_formatted_replies_are_bounded(void **state)
{
    (void)state;
    check_bound("/text", 50);
}

static void test_medium_replies_are_bounded(void **state)
{
    (void)state;
    check_bound("/medium", 200);
}

static void test_bodies_that_are_handed_over_are_bounded(void **state)
{
    (void)state;
    check_bound("/own", 50);
}

static void check_streams(struct server *s, const char *path)
{
    static struct client c[STREAMS];
    struct client good;
    struct reply r = {0};
    client_open(&good, s);
    client_get(&good, "/small", 200, &r);
    double most = peak_of(s, c, STREAMS, path, 1);
    if (most > STREAMS_BOUND) print_error("%s: %g bytes buffered\n", path, most);
    assert_in_range(most, BUDGET / 2, STREAMS_BOUND);
    client_get(&good, path, 200, &r);
    assert_int_equal(r.body_len, STREAMED);
    client_close(&good);
    for (int i = 0; i < STREAMS; i++) client_close(&c[i]);
    stats_await(s, "total.buffered_bytes", 0);
    reply_free(&r);
}

static void test_streams_are_bounded(void **state)
{
    static const char *const paths[] = {"/pieces", "/tiny"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        start(&s);
        check_streams(&s, paths[i]);
        server_stop(&s);
    }
}

static void test_files_are_bounded(void **state)
{
    struct server s;
    (void)state;
    char *dir = files_open();
    files_fill(dir, "file", STREAMED);
    start_with(&s, dir);
    check_streams(&s, "/static/file");
    server_stop(&s);
    files_close(dir);
}

/* Its head comes in parts, or with the requests that follow. */
static int read_all(const struct server *s, int i)
{
    enum { EACH = 3 };
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_sendf(&c, i % 2 ? "GET /large HTTP/1.1\r\nHo" : "\r\n");
    sleep_ms(50);
    client_sendf(&c, i % 2 ? "st: a\r\n\r\n" : "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int k = 1; k < EACH; k++) client_ask(&c, "GET", k % 2 ? "/own" : "/large", "");
    client_shut(&c);
    for (int k = 0; k < EACH; k++)
        if (!client_try_reply(&c, "GET", &r) || r.status != 200 || r.body_len != LARGE) return 1;
    return client_read_all(&c) && c.len == 0 ? 0 : 1;
}

/* Each in a process of its own: a client that does not read for a second counts as stuck. */
static void read_at_once(const struct server *s, int n, int (*read)(const struct server *, int))
{
    pid_t reader[8];
    assert_in_range(n, 1, sizeof reader / sizeof *reader);
    for (int i = 0; i < n; i++) {
        reader[i] = fork();
        assert_true(reader[i] >= 0);
        if (reader[i] == 0) _exit(read(s, i));
    }
    for (int i = 0; i < n; i++) {
        int status;
        assert_int_equal(waitpid(reader[i], &status, 0), reader[i]);
        assert_int_equal(status, 0);
    }
}

/* What is held back is not lost: every client that reads has all of its responses. */
static void test_readers_get_all(void **state)
{
    enum { N = 8, STUCK = 3 };
    struct server s;
    struct client stuck[STUCK];
    (void)state;
    start(&s);
    for (int i = 0; i < STUCK; i++) ask_many(&stuck[i], &s, "/large", PIPELINED);
    stats_await_more(&s, "total.requests_started", 1);
    read_at_once(&s, N, read_all);
    for (int i = 0; i < STUCK; i++) client_close(&stuck[i]);
    server_stop(&s);
}

static int read_large(const struct server *s, int i)
{
    struct client c;
    struct reply r = {0};
    (void)i;
    client_open(&c, s);
    client_ask(&c, "GET", "/large", "");
    return client_try_reply(&c, "GET", &r) && r.status == 200 && r.body_len == LARGE ? 0 : 1;
}

/* A response may be larger than all of the memory, and then is the only one. */
static void test_one_may_be_larger_than_all(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--buffer-memory", "1m");
    read_at_once(&s, 4, read_large);
    server_stop(&s);
}

/* A request that is held back when the drain begins is answered. */
static void test_held_requests_are_drained(void **state)
{
    enum { N = 4 };
    struct server s;
    struct client stuck[4], c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--buffer-memory", "1m", "--drain-timeout", "1h");
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_get(&c[i], "/small", 200, &r);
    }
    for (int i = 0; i < 4; i++) ask_many(&stuck[i], &s, "/large", PIPELINED);
    stats_await_more(&s, "total.requests_started", N + 1);
    for (int i = 0; i < N; i++) client_ask(&c[i], "GET", "/small", "");
    server_signal(&s, SIGTERM);
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_string_equal(r.body, "small");
        client_close(&c[i]);
    }
    for (int i = 0; i < 4; i++) client_close(&stuck[i]);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_are_bounded),
        cmocka_unit_test(test_formatted_replies_are_bounded),
        cmocka_unit_test(test_medium_replies_are_bounded),
        cmocka_unit_test(test_bodies_that_are_handed_over_are_bounded),
        cmocka_unit_test(test_streams_are_bounded),
        cmocka_unit_test(test_files_are_bounded),
        cmocka_unit_test(test_readers_get_all),
        cmocka_unit_test(test_one_may_be_larger_than_all),
        cmocka_unit_test(test_held_requests_are_drained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
