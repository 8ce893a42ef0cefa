/* Queues of torc-lab, on the real Redis. */

#include "backends.h"
#include "lab_rig.h"

#include <signal.h>
#include <unistd.h>

static void start(const char *timeout)
{
    server_start(&lab, "--redis", backends_redis(), "--backend-timeout", timeout, "--drain-timeout",
                 "1h");
}

static void post_bytes(const char *path, const void *body, size_t n)
{
    struct client c;
    char fields[64];
    snprintf(fields, sizeof fields, "Content-Length: %zu\r\n", n);
    client_open(&c, &lab);
    client_ask(&c, "POST", path, fields);
    client_send(&c, body, n);
    client_reply(&c, "POST", &last);
    client_close(&c);
}

static const char *post(const char *path, const char *body, int status)
{
    post_bytes(path, body, strlen(body));
    reply_expect(&last, path, status);
    return last.body;
}

/* ---- Redis itself ---- */

/* Whether the reply to a command has this in it. */
static bool redis_says(const char *command, const char *text)
{
    struct server_addr addr;
    char reply[16384];
    size_t len = 0;
    server_addr_parse(backends_redis(), &addr);
    int fd = tcp_connect(&addr.sa, addr.len);
    assert_true(tcp_try_send(fd, command, strlen(command)) && tcp_try_send(fd, "\r\nQUIT\r\n", 8));
    for (ssize_t n; (n = tcp_try_receive(fd, reply + len, sizeof reply - 1 - len)) > 0;)
        len += (size_t)n;
    reply[len] = '\0';
    close(fd);
    return strstr(reply, text);
}

static void await_waiters(int n)
{
    char line[32];
    snprintf(line, sizeof line, "blocked_clients:%d\r", n);
    for (int i = 0; !redis_says("INFO clients", line); i++) {
        assert_true(i < SERVER_SECONDS * 50);
        sleep_ms(20);
    }
}

/* ---- push and pop ---- */

static void test_push_and_pop(void **state)
{
    static const char bytes[] = "\0\r\n%s \xff";
    (void)state;
    start("60000");
    assert_string_equal(post("/queue/a", "one", 200), "1\n");
    assert_string_equal(post("/queue/a", "two words", 200), "2\n");
    assert_string_equal(post("/queue/b%20c%25s", "elsewhere", 200), "1\n");
    post("/queue/a", "", 200);
    post_bytes("/queue/a", bytes, sizeof bytes);
    assert_string_equal(lab_get("/queue/a?wait=0", 200), "one");
    assert_string_equal(lab_get("/queue/a?wait=60000", 200), "two words");
    assert_string_equal(lab_get("/queue/a?wait=0", 200), "");
    lab_get("/queue/a?wait=60000", 200);
    assert_int_equal(last.body_len, sizeof bytes);
    assert_memory_equal(last.body, bytes, sizeof bytes);
    lab_get("/queue/a?wait=0", 204);
    lab_get("/queue/a?wait=20", 204);
    assert_string_equal(lab_get("/queue/b%20c%25s?wait=0", 200), "elsewhere");
    server_stop(&lab);
}

/* A response that has no body must not cost an element. */
static void test_head_takes_nothing(void **state)
{
    struct client c;
    (void)state;
    start("60000");
    post("/queue/a", "one", 200);
    client_open(&c, &lab);
    client_ask(&c, "HEAD", "/queue/a?wait=0", "");
    client_reply(&c, "HEAD", &last);
    assert_int_equal(last.status, 405);
    client_close(&c);
    assert_string_equal(lab_get("/queue/a?wait=0", 200), "one");
    server_stop(&lab);
}

static void wait_for_element(struct client *c, int n)
{
    for (int i = 0; i < n; i++) {
        client_open(&c[i], &lab);
        client_ask(&c[i], "GET", "/queue/a?wait=60000", "");
        await_waiters(i + 1);
    }
}

/* Those who wait are served in turn. */
static void test_others_wake_who_waits(void **state)
{
    enum { N = 3 };
    static const char *const elements[N] = {"first", "second", "third"};
    struct client c[N];
    (void)state;
    start("60000");
    wait_for_element(c, N);
    for (int i = 0; i < N; i++) {
        post("/queue/a", elements[i], 200);
        client_reply(&c[i], "GET", &last);
        reply_expect(&last, "pop", 200);
        assert_string_equal(last.body, elements[i]);
        client_close(&c[i]);
    }
    await_waiters(0);
    server_stop(&lab);
}

/* What is pushed afterwards is for the next. */
static void test_a_client_that_leaves_takes_nothing(void **state)
{
    struct client c[2];
    (void)state;
    start("60000");
    for (int i = 0; i < 5; i++) {
        wait_for_element(c, 2);
        client_close(&c[0]);
        client_reset(&c[1]);
        await_waiters(0);
        post("/queue/a", "kept", 200);
        assert_string_equal(lab_get("/queue/a?wait=60000", 200), "kept");
        lab_get("/queue/a?wait=0", 204);
    }
    server_stop(&lab);
}

static void test_a_drain_ends_waits(void **state)
{
    struct client c[2];
    (void)state;
    start("60000");
    wait_for_element(c, 2);
    server_signal(&lab, SIGTERM);
    for (int i = 0; i < 2; i++) {
        client_reply(&c[i], "GET", &last);
        reply_expect(&last, "pop", 204);
        client_close(&c[i]);
    }
    assert_int_equal(server_wait(&lab), 0);
    server_free(&lab);
    await_waiters(0);
}

/* ---- what is wrong ---- */

static void await_push(int status)
{
    for (int i = 0; i < SERVER_SECONDS * 20; i++) {
        post_bytes("/queue/other", "x", 1);
        if (last.status == status) return;
        sleep_ms(50);
    }
    reply_expect(&last, "push", status);
}

static void check_all(int status, const char *text)
{
    post("/queue/a", "x", status);
    lab_names(text);
    lab_refuses("/queue/a?wait=0", status, text);
    lab_refuses("/queue/a?wait=10", status, text);
}

static void test_slow_down_restarted(void **state)
{
    (void)state;
    start("2000");
    await_push(200);
    backends_do("pause", "redis");
    check_all(504, "in time");
    backends_do("resume", "redis");
    await_push(200);
    backends_do("halt", "redis");
    await_push(502);
    check_all(502, "Redis: ");
    backends_do("restart", "redis");
    await_push(200);
    assert_string_equal(lab_get("/queue/other?wait=0", 200), "x");
    server_stop(&lab);
}

static void test_refused(void **state)
{
    (void)state;
    start("60000");
    assert_true(redis_says("SET queue:text x", "+OK"));
    post("/queue/text", "x", 502);
    lab_names("WRONGTYPE");
    lab_refuses("/queue/text?wait=1000", 502, "WRONGTYPE");
    server_stop(&lab);
}

/* A pop that waits takes two more of --max-requests. Where there is no room for both, nobody may
 * take that for an empty queue. */
static void test_no_room_for_a_pop(void **state)
{
    char most[2] = "0";
    (void)state;
    for (int n = 1; n < 4; n++) {
        most[0] = (char)('0' + n);
        server_start(&lab, "--redis", backends_redis(), "--max-requests", most);
        post("/queue/a", "kept", 200);
        if (n < 3) lab_refuses("/queue/a?wait=60000", 503, "in progress (--max-requests)");
        assert_string_equal(lab_get(n < 3 ? "/queue/a?wait=0" : "/queue/a?wait=60000", 200),
                            "kept");
        server_stop(&lab);
    }
}

static void test_nowhere(void **state)
{
    (void)state;
    server_start(&lab, "--redis", "unix:/nowhere/redis");
    check_all(502, "Redis: there is no such socket");
    server_stop(&lab);
    server_start(&lab, "--redis", "torc.invalid:1", "--work-threads", "0");
    check_all(502, "Redis: names cannot be looked up with --work-threads 0");
    server_stop(&lab);
}

static void test_parameters(void **state)
{
    static const char *const waits[] = {"", "?wait=", "?wait=-1", "?wait=60001", "?wait=soon"};
    char path[64];
    (void)state;
    start("60000");
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        snprintf(path, sizeof path, "/queue/a%s", waits[i]);
        lab_refuses(path, 400, "wait must");
    }
    server_stop(&lab);
    server_start(&lab);
    check_all(501, "--redis");
    server_stop(&lab);
}

/* It is told of at the start; nothing is connected then. */
static void test_malformed_address(void **state)
{
    static const char *const addresses[] = {"nowhere", "a:",    "a:0",         "a:b",  ":1",
                                            "a:65536", "unix:", "redis://a:1", "[::1]"};
    char address[113 + 1] = "unix:", message[256];
    struct server s;
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        snprintf(message, sizeof message, "--redis takes HOST:PORT or unix:/PATH, not \"%s\"",
                 addresses[i]);
        server_refuses("--redis", addresses[i], message);
    }
    server_refuses("--redis", "redis://:secret@a:1",
                   "--redis takes HOST:PORT or unix:/PATH, without a user or a password");
    memset(address + 5, 'a', 108);
    snprintf(message, sizeof message,
             "--redis takes the path of a Unix socket, of at most 107 bytes, not \"%s\"", address);
    server_refuses("--redis", address, message);
    address[112] = '\0';
    assert_int_equal(
        server_run(&s, NULL, (const char *const[]){"--check", "--redis", address, NULL}), 0);
    server_free(&s);
}

static int setup(void **state)
{
    (void)state;
    backends_open();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    reply_free(&last);
    backends_close();
    return 0;
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_and_pop),
        cmocka_unit_test(test_head_takes_nothing),
        cmocka_unit_test(test_others_wake_who_waits),
        cmocka_unit_test(test_a_client_that_leaves_takes_nothing),
        cmocka_unit_test(test_a_drain_ends_waits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_room_for_a_pop),
        cmocka_unit_test(test_nowhere),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_malformed_address),
        cmocka_unit_test(test_slow_down_restarted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
