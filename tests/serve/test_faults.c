/* Clients that reset, close and half-close their connections in every state, thousands of times,
 * with every configuration of the engine. Afterwards the server still serves, has nothing in
 * progress, and drains. At its end it asserts that every buffer and object was returned, and the
 * sanitizers look for leaks. */

#include "files.h"
#include "stats.h"
#include "visitor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16, SPECS = 32 };

static void check_nothing_left(const struct server *s)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_get(&c, "/plaintext", 200, &r);
    assert_string_equal(r.body, "Hello, World!");
    double accepted = stats_number(s, "total.connections_accepted");
    stats_await(s, "total.connections_closed", accepted - 1);
    /* The reply to the last one may be here before it is counted. */
    stats_await(s, "total.requests", stats_number(s, "total.requests_started"));
    client_close(&c);
    reply_free(&r);
}

/* ---- in each configuration ---- */

static char *root;

static void start_with(struct server *s, const char *const *more)
{
    const char *options[SERVER_ARGS] = {"--root",         root, "--header-timeout", "1h",
                                        "--body-timeout", "1h", "--write-timeout",  "1h",
                                        "--idle-timeout", "1h"};
    size_t n = 10;
    while (*more) options[n++] = *more++;
    options[n] = NULL;
    server_start_list(s, options);
}

static void run_faults(const char *const *options, int times)
{
    struct server s;
    static struct visitor v[SLOTS];
    random_seed(0x5eed5eed5eed5eed);
    start_with(&s, options);
    for (int i = 0; i < times; i++) {
        struct visitor *visitor = &v[random_below(SLOTS)];
        visitor_read_some(visitor);
        visitor_leave(visitor, false);
        visitor_go(visitor, &s, (enum place)random_below(PLACES), random_below(2));
    }
    for (int i = 0; i < SLOTS; i++) visitor_leave(&v[i], false);
    check_nothing_left(&s);
    server_stop(&s);
}

#define faults(times, ...) run_faults((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, times)

static void test_any_fault_leaves_nothing(void **state)
{
    (void)state;
    faults(4000);
}

static void test_faults_on_two_cores(void **state)
{
    (void)state;
    faults(1500, "--cores", server_two_cores());
}

static void test_faults_with_one_buffer(void **state)
{
    (void)state;
    faults(1000, "--buffers", "1");
    faults(500, "--buffers", "1", "--buffer-size", "64");
}

static void test_faults_with_small_queues(void **state)
{
    (void)state;
    faults(1000, "--depth", "1", "--cq-depth", "1");
    faults(500, "--depth", "1", "--cq-depth", "1", "--buffers", "1");
    faults(300, "--depth", "1", "--cq-depth", "1", "--buffers", "1", "--no-multishot");
}

static void test_faults_with_small_limits(void **state)
{
    (void)state;
    faults(500, "--write-buffer", "4k", "--read-buffer", "4k", "--file-cache-ttl", "0ms");
    faults(500, "--max-connections", "20", "--max-requests", "96");
}

/* A flag for each feature that --help lists, which switches it from its default. */
static int opposite_flags(char flags[SPECS][64])
{
    struct server s;
    int n = 0;
    assert_int_equal(server_run(&s, NULL, (const char *const[]){"--help", NULL}), 0);
    const char *at = strstr(server_log(&s), "Features of the io_uring engine");
    assert_non_null(at);
    const char *end = strstr(at, "\n\n");
    while ((at = strstr(at, "  --[no-]")) && at < end) {
        char name[40];
        at += strlen("  --[no-]");
        assert_int_equal(sscanf(at, "%39[a-z-]", name), 1);
        const char *by_default = strstr(at, "(default");
        assert_true(by_default && by_default < end && n < SPECS);
        by_default += strlen("(default");
        by_default += strspn(by_default, " \n");
        snprintf(flags[n++], 64, "--%s%s", *by_default == 'y' ? "no-" : "", name);
    }
    server_free(&s);
    return n;
}

static void test_faults_without_each_feature(void **state)
{
    char flags[SPECS][64];
    (void)state;
    if (strcmp(server_engine, "io_uring") != 0) return;
    int n = opposite_flags(flags);
    assert_true(n >= 10);
    for (int i = 0; i < n; i++) faults(250, flags[i]);
    faults(250, "--no-defer-taskrun", "--no-coop-taskrun");
    faults(250, "--no-buf-ring", "--buffers", "1");
    faults(250, "--no-multishot", "--buffers", "1");
    faults(250, "--no-direct", "--no-multishot", "--no-buf-ring", "--no-single-issuer",
           "--no-submit-all", "--no-restrict", "--no-ring-fd", "--no-iowq-cap", "--sqarray",
           "--no-coop-taskrun");
}

static void test_faults_with_access_log(void **state)
{
    (void)state;
    faults(500, "--access-log", "/dev/null", "--access-log-format", "json");
}

/* ---- without any activity ---- */

/* When every client waits for the server or is waited for, the loop only runs its timers. */
static void run_quiet(const char *const *options)
{
    struct server s;
    struct visitor v[PLACES];
    random_seed(1);
    start_with(&s, options);
    for (unsigned i = 0; i < PLACES; i++) visitor_go(&v[i], &s, (enum place)i, true);
    stats_await(&s, "total.connections_accepted", PLACES);
    /* One that half-closes while it waits, and one that pipelines more than is read. */
    struct client shut, held;
    client_open(&shut, &s);
    client_ask(&shut, "GET", "/delay/60000", "");
    client_shut(&shut);
    client_open(&held, &s);
    client_ask(&held, "GET", "/delay/60000", "");
    for (int i = 0; i < 20; i++) client_sendf(&held, "POST /%05000d HTTP/1.1\r\n\r\n", 0);
    sleep_ms(300);
    double before = stats_number(&s, "total.turns");
    sleep_ms(500);
    double turns = stats_number(&s, "total.turns") - before;
    if (turns > 100) print_error("%g turns\n", turns);
    assert_true(turns <= 100);
    for (unsigned i = 0; i < PLACES; i++) client_reset(&v[i].c);
    client_reset(&held);
    client_reset(&shut);
    server_stop(&s);
}

#define quiet(...) run_quiet((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void test_no_busy_loop_without_activity(void **state)
{
    (void)state;
    quiet("--drain-timeout", "1ms");
    quiet("--drain-timeout", "1ms", "--buffers", "1");
    quiet("--drain-timeout", "1ms", "--buffers", "1", "--no-multishot", "--no-direct");
    quiet("--drain-timeout", "1ms", "--buffers", "1", "--no-buf-ring");
    quiet("--drain-timeout", "1ms", "--depth", "1", "--cq-depth", "1", "--buffers", "1");
    quiet("--drain-timeout", "1ms", "--no-defer-taskrun", "--no-single-issuer");
}

/* ---- while the server drains ---- */

static void run_drain(const char *const *options)
{
    struct server s;
    static struct visitor v[SLOTS];
    start_with(&s, options);
    for (int i = 0; i < SLOTS; i++)
        visitor_go(&v[i], &s, (enum place)random_below(PLACES), random_below(2));
    stats_await(&s, "total.connections_accepted", SLOTS);
    server_signal(&s, SIGTERM);
    for (int i = 0; i < SLOTS; i++) visitor_leave(&v[i], true);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

static void test_faults_during_a_drain(void **state)
{
    (void)state;
    random_seed(0xd7a1d7a1d7a1d7a1);
    const char *cores = server_two_cores();
    for (int i = 0; i < 6; i++) {
        run_drain((const char *const[]){"--drain-timeout", "1h", NULL});
        run_drain((const char *const[]){"--drain-timeout", "1ms", NULL});
        run_drain((const char *const[]){"--drain-timeout", "1h", "--cores", cores, NULL});
        run_drain((const char *const[]){"--drain-timeout", "1ms", "--buffers", "1", "--depth", "1",
                                        "--cq-depth", "1", NULL});
    }
}

static int set_up(void **state)
{
    (void)state;
    root = files_open();
    files_fill(root, "file", VISITOR_FILE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    files_close(root);
    return 0;
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_fault_leaves_nothing),
        cmocka_unit_test(test_faults_on_two_cores),
        cmocka_unit_test(test_faults_with_one_buffer),
        cmocka_unit_test(test_faults_with_small_queues),
        cmocka_unit_test(test_faults_with_small_limits),
        cmocka_unit_test(test_faults_without_each_feature),
        cmocka_unit_test(test_faults_with_access_log),
        cmocka_unit_test(test_no_busy_loop_without_activity),
        cmocka_unit_test(test_faults_during_a_drain),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
