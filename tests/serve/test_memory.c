/* Clients that send without reading, or read slowly, get back-pressure: the memory of the server
 * does not grow with what they send or request. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes that memory may grow by: buffers, stacks, and the sanitizer's quarantine of freed memory
 * (see small_quarantine). In each test, unbounded buffering would exceed it several times. */
enum { GROWTH = 48 << 20 };

/* The address sanitizer holds 256 MiB of freed memory by default. */
static void small_quarantine(void *arg)
{
    const char *had = getenv("ASAN_OPTIONS");
    char options[1024];
    (void)arg;
    snprintf(options, sizeof options, "%s:quarantine_size_mb=4", had ? had : "");
    setenv("ASAN_OPTIONS", options, 1);
}

#define start_lean(s, ...)                                                                         \
    server_start_prepared(s, small_quarantine, NULL,                                               \
                          (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* A child process sends the rest while this one reads. */
static pid_t send_in_child(struct client *c, const char *data, size_t n, size_t at)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(client_try_send(c, data + at, n - at) ? 0 : 1);
    return pid;
}

static void join(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Request i asks for the sum of i and 0, every tenth for a file: 160 MiB of responses in all. */
static void test_pipeline_without_reading_is_bounded(void **state)
{
    enum { N = 100000, FILE_SIZE = 16384, EACH = 64 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    char *dir = files_open(), *all = malloc((size_t)N * EACH);
    size_t n = 0, at = 0;
    assert_non_null(all);
    files_fill(dir, "file", FILE_SIZE);
    for (int i = 0; i < N; i++)
        n += (size_t)snprintf(all + n, EACH, "GET %s%.*d HTTP/1.1\r\nHost: a\r\n\r\n",
                              i % 10 ? "/baseline11?b=0&a=" : "/static/file?", 6, i);
    start_lean(&s, "--root", dir, "--write-timeout", "1h");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 65536});
    client_get(&c, "/static/file", 200, &r);
    size_t before = server_memory(&s);
    for (int i = 0; i < 50 && !client_send_some(&c, all, n, &at); i++) sleep_ms(10);
    double served = stats_settled(&s, "total.requests");
    size_t grown = server_memory(&s) > before ? server_memory(&s) - before : 0;
    if (served >= N || grown >= GROWTH) print_error("served %g, grown %zu\n", served, grown);
    assert_true(served < N); /* got back-pressure */
    assert_true(grown < GROWTH);

    pid_t sender = send_in_child(&c, all, n, at);
    for (int i = 0; i < N; i++) {
        char want[16];
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 200);
        snprintf(want, sizeof want, "%d", i);
        if (i % 10)
            assert_string_equal(r.body, want);
        else
            assert_int_equal(r.body_len, FILE_SIZE);
    }
    join(sender);
    grown = server_memory(&s) > before ? server_memory(&s) - before : 0;
    assert_true(grown < GROWTH);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    free(all);
    files_close(dir);
}

/* Requests pipelined after one that waits are not all read into memory. */
static void test_pipeline_after_a_wait_is_bounded(void **state)
{
    enum { N = 400000, EACH = 98 };
    struct server s;
    struct client c;
    struct reply r = {0};
    char request[EACH + 1];
    (void)state;
    char *all = malloc((size_t)N * EACH);
    size_t at = 0, n = (size_t)N * EACH; /* 37 MiB */
    assert_non_null(all);
    int len = snprintf(request, sizeof request,
                       "GET /pipeline HTTP/1.1\r\nHost: a\r\nX-Pad: %054d\r\n\r\n", 0);
    assert_int_equal(len, EACH);
    for (size_t i = 0; i < N; i++) memcpy(all + i * EACH, request, EACH);
    start_lean(&s, "--body-timeout", "1h");
    client_open(&c, &s);
    client_ask(&c, "GET", "/delay/3000", "");
    stats_await(&s, "total.requests_started", 1);
    size_t before = server_memory(&s);
    for (int i = 0; i < 50 && !client_send_some(&c, all, n, &at); i++) sleep_ms(10);
    size_t grown = server_memory(&s) > before ? server_memory(&s) - before : 0;
    assert_true(at < n); /* got back-pressure */
    assert_true(grown < GROWTH / 2);

    pid_t sender = send_in_child(&c, all, n, at);
    client_reply(&c, "GET", &r);
    assert_string_equal(r.body, "3000");
    for (int i = 0; i < N; i++) {
        client_reply(&c, "GET", &r);
        assert_int_equal(r.body_len, 2);
    }
    join(sender);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    free(all);
}

static void test_big_uploads_are_bounded(void **state)
{
    enum { SIZE = 20 << 20, CHUNK = 10000 };
    struct server s;
    struct client c;
    struct reply r = {0};
    char zeros[CHUNK] = {0}, want[32];
    (void)state;
    snprintf(want, sizeof want, "%d", SIZE);
    start_lean(&s);
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    size_t before = server_memory(&s);
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
    client_send_zeros(&c, SIZE);
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, want);

    client_ask(&c, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
    for (size_t left = SIZE; left > 0;) {
        size_t part = left < CHUNK ? left : CHUNK;
        client_sendf(&c, "%zX;ext=\"a\"\r\n", part);
        client_send(&c, zeros, part);
        client_sendf(&c, "\r\n");
        left -= part;
    }
    client_sendf(&c, "0\r\nTrailer: x\r\n\r\n");
    client_reply(&c, "POST", &r);
    assert_string_equal(r.body, want);
    size_t grown = server_memory(&s) > before ? server_memory(&s) - before : 0;
    assert_true(grown < GROWTH);
    assert_true(stats_number(&s, "total.body_bytes_received") == 2.0 * SIZE);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Echoes a body larger than all buffers on the way to a client that starts reading late. The client
 * has to stop sending, and nothing is lost. */
static void test_echo_has_back_pressure(void **state)
{
    enum { SIZE = 48 << 20 };
    struct server s;
    struct client c;
    struct reply r = {0};
    size_t at = 0;
    (void)state;
    char *data = malloc(SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++) data[i] = files_byte(i);
    start_lean(&s, "--write-timeout", "1h", "--body-timeout", "1h");
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 65536});
    client_get(&c, "/plaintext", 200, &r);
    size_t before = server_memory(&s);
    client_sendf(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
    for (int i = 0; i < 50; i++, sleep_ms(10)) assert_false(client_send_some(&c, data, SIZE, &at));
    stats_settled(&s, "total.body_bytes_received");
    size_t grown = server_memory(&s) > before ? server_memory(&s) - before : 0;
    assert_true(grown < GROWTH / 2);
    pid_t sender = send_in_child(&c, data, SIZE, at);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.body_len, SIZE);
    assert_memory_equal(r.body, data, SIZE);
    join(sender);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    free(data);
}

static void test_slow_reader_of_a_file_is_bounded(void **state)
{
    enum { SIZE = 64 << 20, STEP = 1 << 20 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    char *dir = files_open(), *part = malloc(STEP);
    assert_non_null(part);
    files_fill(dir, "large", SIZE);
    start_lean(&s, "--root", dir);
    client_open_to(&c, &s.addr, &(struct tcp_how){.receive_buffer = 65536});
    client_get(&c, "/plaintext", 200, &r);
    size_t before = server_memory(&s), most = 0;
    client_ask(&c, "GET", "/static/large", "");
    stats_await(&s, "total.requests_started", 2);
    /* Skip the head. */
    char last[4] = "";
    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        memmove(last, last + 1, 3);
        client_read(&c, last + 3, 1);
    }
    for (size_t at = 0; at < SIZE; at += STEP) {
        client_read(&c, part, STEP);
        for (size_t i = 0; i < STEP; i += 997) assert_int_equal(part[i], files_byte(at + i));
        if (at / STEP % 8 == 0) sleep_ms(10);
        size_t now = server_memory(&s);
        if (now > most) most = now;
    }
    if (most - before >= GROWTH / 2) print_error("grown by %zu\n", most - before);
    assert_true(most < before + GROWTH / 2);
    client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
    free(part);
    files_close(dir);
}

/* What a client sends on after an early answer is discarded as it comes. */
static void test_discarded_upload_is_not_kept(void **state)
{
    enum { SIZE = 128 << 20, STEP = 1 << 20 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    start_lean(&s, "--max-body", "1000");
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    size_t before = server_memory(&s), most = 0;
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
    for (size_t at = 0; at < SIZE; at += STEP) {
        client_send_zeros(&c, STEP);
        size_t now = server_memory(&s);
        if (now > most) most = now;
    }
    assert_true(most < before + GROWTH);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 413);
    client_expect_end(&c);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- clients that do not read ---- */

enum { FLOODERS = 40, CROWD = 150 };

/* Sends requests until the server takes no more for `patience` ms. */
static void flood(struct client *c, const struct server *s, const char *path, int patience)
{
    enum { N = 2000 };
    char request[128];
    size_t at = 0;
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    char *all = malloc((size_t)len * N);
    assert_non_null(all);
    for (int i = 0; i < N; i++) memcpy(all + i * len, request, (size_t)len);
    client_open_to(c, &s->addr, &(struct tcp_how){.receive_buffer = 4096});
    for (int idle = 0; idle < patience; sleep_ms(1)) {
        size_t before = at;
        bool all_sent = client_send_some(c, all, (size_t)len * N, &at);
        idle = all_sent || at != before ? 0 : idle + 1;
        if (all_sent) at = 0;
    }
    free(all);
}

/* Whether a stream of input can be limited: always on epoll, since Linux 6.17 on io_uring. */
static bool limits_input(void)
{
    struct utsname u;
    int major = 0, minor = 0;
    if (strcmp(server_engine, "epoll") == 0) return true;
    assert_int_equal(uname(&u), 0);
    return sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 17));
}

/* A client that floods and does not read costs what one turn brings: some output and input, not
 * whatever the server is willing to buffer. */
static void test_a_client_that_does_not_read_pins_little(void **state)
{
    static const char *const paths[] = {"/plaintext", "/static/file"};
    const size_t each = limits_input() ? 128 << 10 : 2 << 20;
    struct client c[FLOODERS];
    struct reply r = {0};
    (void)state;
    char *dir = files_open();
    files_fill(dir, "file", 500 * 1000);
    for (int k = 0; k < 2; k++) {
        struct server s;
        start_lean(&s, "--root", dir, "--write-timeout", "1h");
        for (int i = 0; i < FLOODERS; i++) flood(&c[i], &s, paths[k], 50);
        double buffered = stats_settled(&s, "total.buffered_bytes");
        if (buffered > (double)each * FLOODERS) print_error("%g bytes buffered\n", buffered);
        assert_in_range(buffered, 1, each * FLOODERS);
        client_fetch(&s.addr, "/plaintext", &r);
        assert_int_equal(r.status, 200);
        for (int i = 0; i < FLOODERS; i++) client_close(&c[i]);
        stats_await(&s, "total.buffered_bytes", 0);
        server_stop(&s);
    }
    reply_free(&r);
    files_close(dir);
}

enum { LIMIT = 1 << 20 };

/* The crowd is there and has made room. */
static void crowd_in(struct client c[CROWD], void (*pin)(struct client *c, const struct server *s),
                     struct client *good, struct server *s)
{
    struct reply r = {0};
    for (int i = 0; i < CROWD; i++) {
        pin(&c[i], s);
        client_get(good, "/plaintext", 200, &r);
    }
    stats_await_more(s, "total.connections_over_memory", 1);
    double used = LIMIT + 1;
    for (int i = 0; i < SERVER_SECONDS * 10 && used > LIMIT; i++, sleep_ms(100))
        used = stats_number(s, "total.buffered_bytes");
    assert_true(used <= LIMIT);
    reply_free(&r);
}

/* When the memory for buffers is used up, a crowd makes room; who reads is served. The log tells
 * why they were closed. */
static void check_limit(void (*pin)(struct client *c, const struct server *s), const char *why)
{
    struct server s;
    struct client c[CROWD], good;
    struct reply r = {0};
    start_lean(&s, "--buffer-memory", "1m", "--write-timeout", "1h", "--header-timeout", "1h");
    client_open(&good, &s);
    crowd_in(c, pin, &good, &s);
    server_expect_log(&s, why);
    server_expect_log(&s, ", and --buffer-memory is used up; connection closed");
    assert_null(strstr(server_log(&s), "out of memory"));
    client_get(&good, "/plaintext", 200, &r);
    client_close(&good);
    for (int i = 0; i < CROWD; i++)
        client_reset(&c[i]); /* the handlers of those that only end wait on */
    stats_await(&s, "total.buffered_bytes", 0);
    reply_free(&r);
    server_stop(&s);
}

static void pin_output(struct client *c, const struct server *s)
{
    flood(c, s, "/json", 5);
}

/* Behind a request whose handler waits. */
static void pin_input(struct client *c, const struct server *s)
{
    static const char zeros[256 << 10];
    client_open(c, s);
    client_ask(c, "GET", "/delay/60000", "");
    client_send_some(c, zeros, sizeof zeros, &(size_t){0});
}

/* The fields fit, but their end does not come. */
static void pin_head(struct client *c, const struct server *s)
{
    client_open(c, s);
    client_sendf(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: %015000d", 0);
}

static void test_memory_for_buffers_has_a_limit(void **state)
{
    (void)state;
    check_limit(pin_output, "a client does not read");
    check_limit(pin_input, "no handler reads the input of a client");
    check_limit(pin_head, "a client does not complete its head");
}

/* ---- one that reads slowly ---- */

enum { SLOW_FILE = 6 << 20, SLOW_STEP = 16 << 10 };

struct slow_reader {
    pthread_t thread;
    struct client client;
    _Atomic bool hurries;
    bool ok;
};

/* Half a MiB per second, until it hurries. */
static void *read_slowly(void *arg)
{
    struct slow_reader *r = arg;
    static char part[SLOW_STEP];
    size_t at = 0;
    ssize_t n;
    while ((n = recv(r->client.fd, part, sizeof part, 0)) > 0) {
        at += (size_t)n;
        if (!r->hurries) sleep_ms(1000 * (int)n / (512 << 10));
    }
    r->ok = at > SLOW_FILE;
    return NULL;
}

/* A MiB of a file, which it is sent at once, takes it longer than a client may take nothing. */
static void test_a_slow_reader_is_not_stuck(void **state)
{
    struct server s;
    struct client c[CROWD], good;
    struct slow_reader slow = {0};
    (void)state;
    char *dir = files_open();
    files_fill(dir, "file", SLOW_FILE);
    start_lean(&s, "--root", dir, "--buffer-memory", "1m", "--write-timeout", "1h");
    client_open_to(&slow.client, &s.addr, &(struct tcp_how){.receive_buffer = 65536});
    client_ask(&slow.client, "GET", "/static/file", "Connection: close\r\n");
    assert_int_equal(pthread_create(&slow.thread, NULL, read_slowly, &slow), 0);
    client_open(&good, &s);
    crowd_in(c, pin_output, &good, &s);
    slow.hurries = true;
    pthread_join(slow.thread, NULL);
    assert_true(slow.ok);
    client_close(&slow.client);
    client_close(&good);
    for (int i = 0; i < CROWD; i++) client_close(&c[i]);
    server_stop(&s);
    files_close(dir);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline_without_reading_is_bounded),
        cmocka_unit_test(test_pipeline_after_a_wait_is_bounded),
        cmocka_unit_test(test_big_uploads_are_bounded),
        cmocka_unit_test(test_echo_has_back_pressure),
        cmocka_unit_test(test_slow_reader_of_a_file_is_bounded),
        cmocka_unit_test(test_discarded_upload_is_not_kept),
        cmocka_unit_test(test_a_client_that_does_not_read_pins_little),
        cmocka_unit_test(test_memory_for_buffers_has_a_limit),
        cmocka_unit_test(test_a_slow_reader_is_not_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
