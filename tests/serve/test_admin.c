/* The admin listener: health, readiness, and exact counters after known traffic. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- health ---- */

static void test_health_and_readiness(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_open_admin(&c, &s);
    client_get(&c, "/healthz", 200, &r);
    assert_string_equal(r.body, "ok\n");
    client_get(&c, "/readyz", 200, &r);
    assert_string_equal(r.body, "ready\n");
    client_get(&c, "/", 200, &r);
    assert_non_null(strstr(r.body, "/stats.json"));
    client_get(&c, "/nothing", 404, &r);
    client_ask(&c, "POST", "/healthz", "Content-Length: 0\r\n");
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, 405);
    client_ask(&c, "HEAD", "/metrics", "");
    client_reply(&c, "HEAD", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
    client_close(&c);

    /* The public listener does not serve the admin routes. */
    client_open(&c, &s);
    client_get(&c, "/healthz", 404, &r);
    client_get(&c, "/metrics", 404, &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Nor that of the request which had its memory before. */
static void test_a_head_on_its_way_has_no_route(void **state)
{
    struct server s;
    struct client admin, c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", "1");
    client_open_admin(&admin, &s);
    client_open(&c, &s);
    client_get(&c, "/plaintext", 200, &r);
    client_send(&c, "PO", 2);
    do client_get(&admin, "/requests.json", 200, &r);
    while (!strstr(r.body, "\"in_progress\":1,"));
    assert_non_null(strstr(r.body, "{\"method\":null,\"route\":null,"));
    client_close(&c);
    client_close(&admin);
    reply_free(&r);
    server_stop(&s);
}

/* The requests in progress, with what they wait for; the connections between requests are none. */
static void test_requests_in_progress(void **state)
{
    enum { N = 3 };
    struct server s;
    struct client idle, waits[N], reads;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    stats_requests(&s, &r);
    assert_string_equal(r.body, "{\"cores_that_do_not_answer\":[],\"requests\":[],"
                                "\"in_progress\":0,\"listed\":0}\n");
    client_open(&idle, &s);
    client_get(&idle, "/plaintext", 200, &r);
    for (int i = 0; i < N; i++) {
        client_open(&waits[i], &s);
        client_ask(&waits[i], "GET", "/delay/60000", "");
    }
    client_open(&reads, &s);
    client_ask(&reads, "POST", "/upload", "Content-Length: 5\r\n");
    stats_await(&s, "total.requests_started", N + 2);
    stats_requests(&s, &r);
    assert_non_null(strstr(r.body, "\"in_progress\":4,\"listed\":4}"));
    assert_non_null(strstr(r.body, "{\"method\":\"GET\",\"route\":\"/delay/:ms\",\"core\":0,"));
    assert_non_null(strstr(r.body, "\"waits_for\":[\"sleep\"]}"));
    assert_non_null(strstr(r.body, "\"route\":\"/upload\""));
    assert_non_null(strstr(r.body, "\"waits_for\":[\"body\"]}"));
    assert_null(strstr(r.body, "plaintext"));
    for (int i = 0; i < N; i++) client_reset(&waits[i]);
    client_close(&reads);
    client_close(&idle);
    reply_free(&r);
    server_stop(&s);
}

/* Threads of cores that serve clients. */
static int count_cores(const struct server *s)
{
    char path[64], comm[20];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)s->pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (const struct dirent *e; (e = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/comm", (int)s->pid, e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(comm, sizeof comm, f))
            n += strncmp(comm, "torc-", 5) == 0 && isdigit(comm[5]);
        if (f) fclose(f);
    }
    closedir(tasks);
    return n;
}

/* In a drain: there is nothing to wait for. */
static void test_requests_where_a_core_has_ended(void **state)
{
    struct server s;
    struct client c, admin;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", server_two_cores(), "--drain-timeout", "1h");
    client_open(&c, &s);
    client_ask(&c, "GET", "/delay/60000", "");
    stats_await(&s, "total.requests_started", 1);
    server_signal(&s, SIGTERM);
    while (count_cores(&s) != 1) sleep_ms(10);
    client_open_admin(&admin, &s);
    client_get(&admin, "/requests.json", 200, &r);
    assert_non_null(strstr(r.body, "{\"cores_that_do_not_answer\":[],"));
    assert_non_null(strstr(r.body, "\"in_progress\":1,\"listed\":1}"));
    client_close(&admin);
    client_reset(&c);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* Clients beyond the limit of the admin listener wait and are then served. */
static void test_admin_clients_beyond_the_limit_wait(void **state)
{
    enum { N = 200 };
    struct server s;
    static struct client c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s);
    for (int i = 0; i < N; i++) {
        client_open_admin(&c[i], &s);
        client_ask(&c[i], "GET", "/healthz", "");
    }
    for (int i = 0; i < N; i++) {
        client_reply(&c[i], "GET", &r);
        assert_string_equal(r.body, "ok\n");
        client_close(&c[i]);
    }
    reply_free(&r);
    server_stop(&s);
}

/* Clients that connect and say nothing do not keep others from asking. */
static void test_silent_clients_do_not_block_health(void **state)
{
    enum { N = 200 };
    struct server s;
    static struct client c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--idle-timeout", "1h", "--header-timeout", "1h");
    for (int i = 0; i < N; i++) client_open_admin(&c[i], &s);
    client_fetch(&s.admin, "/healthz", &r);
    assert_int_equal(r.status, 200);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
}

/* ---- exact counts ---- */

static double total(json_t *stats, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "total.%s", name);
    return json_number(stats, path);
}

static void check_total(json_t *stats, const char *name, double want)
{
    double v = total(stats, name);
    if (v != want) print_error("%s is %.0f, expected %.0f\n", name, v, want);
    assert_true(v == want);
}

/* Asserts that every total is the sum over the cores. Call without traffic. */
static void check_sums(json_t *stats, int cores)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_at(stats, "total"), name, value)
    {
        double sum = 0, want = json_number_value(value);
        if (strncmp(name, "turn_", 5) == 0) continue; /* the most of a core */
        for (int c = 0; c < cores; c++) {
            char path[128];
            snprintf(path, sizeof path, "per_core.%d.%s", c, name);
            sum += json_number(stats, path);
        }
        /* The engine's counters change while they are read. */
        bool moves = strcmp(name, "busy_seconds") == 0 || strcmp(name, "turns") == 0 ||
                     strcmp(name, "enters") == 0 || strcmp(name, "syscalls") == 0 ||
                     strcmp(name, "cqes") == 0;
        if (fabs(sum - want) > (moves ? want / 10 + 10 : 1e-6)) print_error("%s\n", name);
        assert_true(fabs(sum - want) <= (moves ? want / 10 + 10 : 1e-6));
    }
    assert_true(json_object_size(json_at(stats, "total")) > 20);
    assert_null(json_at(stats, "per_core.2"));
}

static void upload_to(struct client *c, const char *path, size_t n, bool chunked, struct reply *r)
{
    char *body = malloc(n + 1);
    assert_non_null(body);
    memset(body, 'x', n);
    body[n] = '\0';
    if (chunked)
        client_sendf(c,
                     "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "%zx\r\n%s\r\n0\r\n\r\n",
                     path, n, body);
    else
        client_sendf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", path, n,
                     body);
    free(body);
    client_reply(c, "POST", r);
}

static void upload(struct client *c, size_t n, bool chunked, struct reply *r)
{
    char want[32];
    upload_to(c, "/upload", n, chunked, r);
    snprintf(want, sizeof want, "%zu", n);
    assert_string_equal(r->body, want);
}

static void test_counters_match_traffic(void **state)
{
    enum { ROUNDS = 12, FILE_SIZE = 100 * 1000 };
    struct server s;
    struct reply r = {0};
    uint64_t received = 0;
    (void)state;
    char *dir = files_open();
    files_fill(dir, "file", FILE_SIZE);
    const char *cores = server_two_cores();
    server_start(&s, "--cores", cores, "--root", dir, "--max-body", "64k");
    for (int i = 0; i < ROUNDS; i++) {
        struct client c;
        client_open(&c, &s);
        client_get(&c, "/plaintext", 200, &r);   /* 2xx: 1 */
        client_get(&c, "/static/file", 200, &r); /* 2 */
        char *etag = reply_field(&r, "ETag"), fields[128];
        snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
        free(etag);
        client_ask(&c, "GET", "/static/file", fields); /* 3xx: 1 */
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 304);
        client_get(&c, "/nothing", 404, &r);        /* 4xx: 1 */
        client_get(&c, "/delay/x", 400, &r);        /* 2 */
        client_ask(&c, "DELETE", "/plaintext", ""); /* 3 */
        client_reply(&c, "DELETE", &r);
        assert_int_equal(r.status, 405);
        upload(&c, 5000, false, &r);                    /* 2xx: 3 */
        upload(&c, 7000, true, &r);                     /* 4 */
        client_sendf(&c, "NO:SUCH / HTTP/1.1\r\n\r\n"); /* 4xx: 4, malformed */
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 400);
        assert_true(r.closes);
        client_expect_end(&c);
        received += c.received;
        client_close(&c);
    }
    stats_await(&s, "total.connections_closed", ROUNDS);
    json_t *stats = stats_get(&s);
    check_total(stats, "connections_accepted", ROUNDS);
    check_total(stats, "connections_reset", 0);
    check_total(stats, "accept_failures", 0);
    check_total(stats, "requests_started", 8 * ROUNDS);
    check_total(stats, "requests", 8 * ROUNDS);
    check_total(stats, "requests_bad", ROUNDS);
    check_total(stats, "requests_rejected", 0);
    check_total(stats, "responses_2xx", 4 * ROUNDS);
    check_total(stats, "responses_3xx", ROUNDS);
    check_total(stats, "responses_4xx", 4 * ROUNDS);
    check_total(stats, "responses_5xx", 0);
    check_total(stats, "timeouts_header", 0);
    check_total(stats, "timeouts_idle", 0);
    check_total(stats, "timeouts_body", 0);
    check_total(stats, "timeouts_write", 0);
    check_total(stats, "body_bytes_received", 12000.0 * ROUNDS);
    check_total(stats, "bytes_sent", (double)received);
    check_sums(stats, atoi(cores));
    assert_true(json_number(stats, "cores") == atoi(cores));
    assert_true(total(stats, "turns") > 0 && total(stats, "syscalls") >= total(stats, "enters"));
    json_decref(stats);
    reply_free(&r);
    server_stop(&s);
    files_close(dir);
}

static void test_bodies_that_no_handler_reads_count(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    upload_to(&c, "/nothing", 5000, false, &r);
    assert_int_equal(r.status, 404);
    upload_to(&c, "/nothing", 7000, true, &r);
    assert_int_equal(r.status, 404);
    client_get(&c, "/plaintext", 200, &r); /* it has come to the end of both */
    assert_true(stats_number(&s, "total.body_bytes_received") == 12000);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- the three measures ---- */

/* The last byte of each body is held back until all are in progress, so that the peak is known. */
static void test_peak_of_concurrency(void **state)
{
    enum { N = 40 };
    struct server s;
    struct client c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "POST", "/upload", "Content-Length: 1\r\n");
    }
    stats_await(&s, "total.requests_started", N);
    for (int i = 0; i < N; i++) {
        client_sendf(&c[i], "x");
        client_reply(&c[i], "POST", &r);
        assert_string_equal(r.body, "1");
    }
    for (int i = 0; i < 2 * N; i++) client_get(&c[0], "/plaintext", 200, &r);
    stats_await(&s, "total.requests", 3 * N);
    json_t *stats = stats_get(&s);
    assert_true(json_number(stats, "measures.concurrency_peak") == N);
    check_total(stats, "requests_peak", N);
    json_decref(stats);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
}

static bool near(double a, double b, double part)
{
    return fabs(a - b) <= part * (fabs(a) + fabs(b)) + 1e-3;
}

static double change(json_t *before, json_t *after, const char *path)
{
    return json_number(after, path) - json_number(before, path);
}

/* Requests in progress count until now: none of these has ended. */
static void test_measures_of_requests_that_wait(void **state)
{
    enum { N = 30 };
    struct server s;
    struct client c[N];
    (void)state;
    server_start(&s);
    for (int i = 0; i < N; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/delay/30000", "");
    }
    stats_await(&s, "total.requests_started", N);
    json_t *before = stats_get(&s);
    sleep_ms(100);
    json_t *after = stats_get(&s);
    double wall = change(before, after, "measures.wall_seconds");
    double l = change(before, after, "measures.request_lifetime_seconds") / wall;
    if (!near(l, N, 0.05)) print_error("L %g\n", l);
    assert_true(near(l, N, 0.05));
    assert_true(json_number(after, "total.requests") == 0);
    assert_true(change(before, after, "measures.request_held_seconds") < 0.05 * N * wall);
    json_decref(before);
    json_decref(after);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    server_stop(&s);
}

/* Each of n connections has a request that waits; returns the asynchrony of these. */
static double wait_together(const struct server *s, struct client *c, int n, double requests)
{
    enum { MS = 50 };
    struct reply r = {0};
    json_t *before = stats_get(s);
    for (int i = 0; i < n; i++) client_ask(&c[i], "GET", "/delay/50", "");
    for (int i = 0; i < n; i++) {
        client_reply(&c[i], "GET", &r);
        assert_string_equal(r.body, "50");
    }
    stats_await(s, "total.requests", requests);
    json_t *after = stats_get(s);
    double wall = change(before, after, "measures.wall_seconds");
    double progress = change(before, after, "measures.request_lifetime_seconds");
    double held = change(before, after, "measures.request_held_seconds");
    double l = progress / wall, a = 1 - held / progress;
    if (l > n + 1 || a > 1) print_error("L %g A %g\n", l, a);
    assert_true(progress >= n * MS / 1000.0); /* never early */
    assert_true(l <= n + 1 && a <= 1);
    json_decref(before);
    json_decref(after);
    reply_free(&r);
    return a;
}

/* N connections that wait nearly all the time: asynchrony is near 1. A core that stands still while
 * it runs the code of one holds the others, too, so that is of the best of some rounds. */
static void test_measures(void **state)
{
    enum { N = 20, ROUNDS = 10 };
    struct server s;
    struct client c[N];
    double best = 0, held;
    (void)state;
    server_start(&s);
    for (int i = 0; i < N; i++) client_open(&c[i], &s);
    for (int round = 1; round <= ROUNDS; round++) {
        double a = wait_together(&s, c, N, N * round);
        if (a > best) best = a;
    }
    if (best < 0.8) print_error("A %g\n", best);
    assert_true(best >= 0.8);
    json_t *after = stats_get(&s);
    double peak = total(after, "requests_peak");
    assert_true(peak >= N / 2.0 && peak <= N);

    /* The reported measures follow from the counters by their definitions. */
    double uptime = json_number(after, "measures.wall_seconds");
    double sum = json_number(after, "measures.request_lifetime_seconds");
    double code = json_number(after, "measures.request_oncore_seconds");
    held = json_number(after, "measures.request_held_seconds");
    assert_true(near(json_number(after, "measures.concurrency"), sum / uptime, 0.001));
    assert_true(near(json_number(after, "measures.parallelism"), code / uptime, 0.001));
    assert_true(near(json_number(after, "measures.asynchrony"), 1 - held / sum, 0.001));
    assert_true(json_number(after, "measures.parallelism_peak") >= 1);
    assert_true(json_number(after, "measures.concurrency_peak") == peak);
    json_decref(after);
    for (int i = 0; i < N; i++) client_close(&c[i]);
    server_stop(&s);
}

static void test_stats_without_traffic(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--buffers", "5", "--buffer-size", "512", "--depth", "16");
    json_t *stats = stats_get(&s);
    check_total(stats, "requests", 0);
    check_total(stats, "connections_accepted", 0);
    assert_true(json_number(stats, "measures.concurrency") == 0);
    assert_true(json_number(stats, "measures.asynchrony") == 0);
    assert_true(json_number(stats, "buffers") == 8);
    assert_true(json_number(stats, "buffer_size") == 512);
    assert_true(json_number(stats, "depth") == 16);
    json_decref(stats);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_and_readiness),
        cmocka_unit_test(test_a_head_on_its_way_has_no_route),
        cmocka_unit_test(test_requests_in_progress),
        cmocka_unit_test(test_requests_where_a_core_has_ended),
        cmocka_unit_test(test_admin_clients_beyond_the_limit_wait),
        cmocka_unit_test(test_silent_clients_do_not_block_health),
        cmocka_unit_test(test_counters_match_traffic),
        cmocka_unit_test(test_bodies_that_no_handler_reads_count),
        cmocka_unit_test(test_peak_of_concurrency),
        cmocka_unit_test(test_measures_of_requests_that_wait),
        cmocka_unit_test(test_measures),
        cmocka_unit_test(test_stats_without_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
