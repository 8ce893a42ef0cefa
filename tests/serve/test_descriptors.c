/* More clients than descriptors. */

#include "client.h"
#include "stats.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { DESCRIPTORS = 64, CROWD = 150 };

static struct client crowd[CROWD];

static void open_all(const struct server *s)
{
    for (int i = 0; i < CROWD; i++) client_open(&crowd[i], s);
}

static void close_all(void)
{
    for (int i = 0; i < CROWD; i++) client_close(&crowd[i]);
}

static void few_descriptors(void *arg)
{
    rlim_t most = arg ? (rlim_t) * (const int *)arg : DESCRIPTORS;
    struct rlimit limit = {most, most};
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Connections whose handlers wait: nobody else's are spared for a new one. A client that has only
 * connected yet might be, so the server is stopped meanwhile. */
static void open_crowd(struct server *s)
{
    server_signal(s, SIGSTOP);
    open_all(s);
    for (int i = 0; i < CROWD; i++) client_ask(&crowd[i], "GET", "/delay/1000", "");
    server_signal(s, SIGCONT);
}

/* Serves the whole crowd: a client that has its reply closes and makes room for another. */
static void serve_crowd(void)
{
    struct reply r = {0};
    for (int left = CROWD; left > 0;) {
        struct pollfd p[CROWD];
        for (int i = 0; i < CROWD; i++) p[i] = (struct pollfd){crowd[i].fd, POLLIN, 0};
        assert_true(poll(p, CROWD, TCP_SECONDS * 1000) > 0);
        for (int i = 0; i < CROWD; i++) {
            if (!p[i].revents) continue;
            client_reply(&crowd[i], "GET", &r);
            assert_int_equal(r.status, 200);
            client_close(&crowd[i]);
            left--;
        }
    }
    reply_free(&r);
}

static void exhaust(const char *const *options, bool meets_limit)
{
    struct server s;
    struct client first;
    struct reply r = {0};
    server_start_prepared(&s, few_descriptors, NULL, options);
    client_open(&first, &s);
    client_get(&first, "/plaintext", 200, &r);
    client_ask(&first, "GET", "/delay/1000", "");
    double begun = now_seconds();
    open_crowd(&s);
    if (meets_limit) {
        stats_await_more(&s, "total.accept_failures", 1);
        server_await_log(&s, "torc: core 0 cannot accept: ");
        assert_non_null(strstr(server_log(&s), "ulimit -n"));
    } else {
        stats_await_more(&s, "total.connections_accepted", 2);
    }
    /* Open connections are served as usual, and accepting is retried at intervals: a busy loop
     * would cause thousands of failures each second. */
    sleep_ms(500);
    client_reply(&first, "GET", &r);
    assert_string_equal(r.body, "1000");
    client_close(&first);
    double failures = stats_number(&s, "total.accept_failures");
    double turns = stats_number(&s, "total.turns");
    double seconds = 1 + now_seconds() - begun;
    bool rests = failures <= 100 * seconds && turns <= 2000 * seconds;
    if (!rests) print_error("%g failures, %g turns in %g s\n", failures, turns, seconds);
    assert_true(rests);
    assert_true(stats_number(&s, "total.connections_accepted") < CROWD);
    serve_crowd();
    stats_await(&s, "total.connections_closed", CROWD + 1);
    assert_true(stats_number(&s, "total.connections_reset") == 0);
    reply_free(&r);
    server_stop(&s);
}

#define exhaust_with(meets_limit, ...)                                                             \
    exhaust((const char *const[]){"--admit-timeout", "1h" __VA_OPT__(, ) __VA_ARGS__, NULL},       \
            meets_limit)

/* Where descriptors run out before the limit is reached, silent clients make room as well. */
static void test_silent_clients_leave_descriptors(void **state)
{
    struct server s;
    (void)state;
    server_start_prepared(&s, few_descriptors, NULL,
                          (const char *const[]){"--max-connections", "1000", "--no-direct",
                                                "--header-timeout", "1h", NULL});
    open_all(&s);
    struct client c;
    struct reply r = {0};
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    close_all();
    reply_free(&r);
    server_stop(&s);
}

static bool has_direct(void)
{
    struct server s;
    server_start(&s);
    json_t *stats = stats_get(&s);
    bool has = json_has(json_at(stats, "features"), "direct");
    json_decref(stats);
    server_stop(&s);
    return has;
}

static void test_clients_wait_for_descriptors(void **state)
{
    (void)state;
    exhaust_with(false);
    exhaust_with(true, "--max-connections", "1000", "--no-direct");
    exhaust_with(true, "--max-connections", "1000", "--no-direct", "--no-multishot");
    /* A table of direct descriptors does not run into the limit, which does not apply to it. */
    exhaust_with(!has_direct(), "--max-connections", "1000");
}

static bool has_descriptor(const struct server *s, int fd)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s->pid, fd);
    return lstat(path, &st) == 0;
}

/* The number that the next descriptor of the server would have. */
static rlim_t next_descriptor(const struct server *s)
{
    int fd = 0;
    while (has_descriptor(s, fd)) fd++;
    return (rlim_t)fd;
}

/* False if the machine took so long that the client was silent before its core was held. */
static bool ask_a_held_core(void)
{
    struct server s;
    struct client holder, asks, newer;
    struct reply r = {0};
    struct rlimit low;
    server_start(&s, "--max-connections", "1000", "--no-direct", "--admit-timeout", "1h",
                 "--header-timeout", "1h");
    client_open(&holder, &s);
    stats_await(&s, "total.connections_accepted", 1);
    double begun = now_seconds();
    client_open(&asks, &s);
    stats_await(&s, "total.connections_accepted", 2);
    client_ask(&holder, "GET", "/crypto?ms=1500&where=inline", "");
    stats_await(&s, "total.requests_started", 1);
    bool in_time = now_seconds() - begun < 0.1; /* what counts as silence */
    low.rlim_cur = low.rlim_max = next_descriptor(&s);
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &low, NULL), 0);
    client_ask(&asks, "GET", "/plaintext", "");
    client_open(&newer, &s);
    client_ask(&newer, "GET", "/plaintext", "");
    client_reply(&holder, "GET", &r);
    if (in_time) {
        client_reply(&asks, "GET", &r);
        assert_int_equal(r.status, 200);
    }
    client_reply(&newer, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(&holder);
    client_close(&asks);
    client_close(&newer);
    reply_free(&r);
    server_stop(&s);
    return in_time;
}

/* Whose request came while its core was held has not been silent when that finds a newer one, for
 * which there is no descriptor. */
static void test_who_asks_a_held_core_keeps_its_place(void **state)
{
    (void)state;
    int tries = 0;
    while (!ask_a_held_core() && tries < 20) tries++;
    assert_true(tries < 20);
}

/* SIGTERM while some clients are connected, some wait in the queue, and a retry is scheduled. */
static void test_drain_without_descriptors(void **state)
{
    struct server s;
    (void)state;
    server_start_prepared(&s, few_descriptors, NULL,
                          (const char *const[]){"--max-connections", "1000", "--no-direct", NULL});
    open_all(&s);
    stats_await_more(&s, "total.accept_failures", 1);
    server_stop(&s);
    close_all();
}

static void test_limit_is_reduced_to_descriptors(void **state)
{
    struct server s;
    (void)state;
    server_start_prepared(&s, few_descriptors, NULL,
                          (const char *const[]){"--max-connections", "1000", NULL});
    /* The table is no larger than the limit either, which a message at the start says. */
    bool said = strstr(server_log(&s), "reduced from 1000 to ") != NULL;
    assert_true(said == has_direct());
    server_stop(&s);
}

/* Nor does the user learn of an option that was not given. */
static void test_default_is_reduced_to_descriptors(void **state)
{
    static int limits[] = {64, 40, 128, 129};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct server s;
        char line[96];
        unsigned all = (unsigned)limits[i] / 2 + 1, most = i == 0 && has_direct() ? 16 : all;
        snprintf(line, sizeof line, "each core takes %u connections at most: the descriptor limit",
                 most);
        server_start_prepared(&s, few_descriptors, &limits[i], (const char *const[]){NULL});
        const char *log = server_log(&s);
        assert_true(!strstr(log, line) == (limits[i] > 128));
        assert_null(strstr(log, "--max-connections"));
        server_stop(&s);
    }
}

/* Too few for a table of sockets in the ring: they are ordinary descriptors then. */
static void test_very_few_descriptors(void **state)
{
    static int limits[] = {32, 48, 49};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        server_start_prepared(&s, few_descriptors, &limits[i], (const char *const[]){NULL});
        client_open(&c, &s);
        client_get(&c, "/plaintext", 200, &r);
        client_close(&c);
        reply_free(&r);
        server_stop(&s);
    }
}

/* Those that the test was started with would count as well. */
static void only_own_descriptors(void *arg)
{
    for (int fd = 3; fd < DESCRIPTORS; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (arg) few_descriptors(arg);
}

/* A server that has taken the last one could never accept anybody, and is not ready. */
static void test_one_descriptor_is_left(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    const char *const options[] = {"--listen", "127.0.0.1:0", "--no-direct", NULL};
    (void)state;
    struct server_how how = {.engine = server_engine, .prepare = only_own_descriptors};
    int most = 0;
    server_spawn(&s, &how, options);
    server_await_ready(&s);
    for (int fd = 0; fd < DESCRIPTORS; fd++) most += has_descriptor(&s, fd);
    server_stop(&s);
    how.arg = &most;
    assert_int_equal(server_run(&s, &how, options), 1);
    assert_non_null(strstr(server_log(&s), "Too many open files"));
    server_free(&s);
    most++;
    server_spawn(&s, &how, options);
    server_await_ready(&s);
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients_wait_for_descriptors),
        cmocka_unit_test(test_silent_clients_leave_descriptors),
        cmocka_unit_test(test_who_asks_a_held_core_keeps_its_place),
        cmocka_unit_test(test_drain_without_descriptors),
        cmocka_unit_test(test_limit_is_reduced_to_descriptors),
        cmocka_unit_test(test_default_is_reduced_to_descriptors),
        cmocka_unit_test(test_very_few_descriptors),
        cmocka_unit_test(test_one_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
