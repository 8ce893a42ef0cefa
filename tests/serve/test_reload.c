/* SIGHUP: new settings from the config file, for a server that serves meanwhile. */

#include "client.h"
#include "files.h"
#include "json.h"
#include "stats.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A server, and the config file that it reads. */
struct rig {
    struct server s;
    char *dir, *config;
    double loaded, refused;
};

static bool holds_threads(void)
{
    return strcmp(server_engine, "threads") == 0;
}

static void configure(struct rig *rig, const char *text)
{
    files_write(rig->dir, "config", text, strlen(text));
}

static void begin_list(struct rig *rig, const char *text, const char *const *more)
{
    const char *options[SERVER_ARGS];
    size_t n = 0;
    rig->dir = files_open();
    rig->config = files_path(rig->dir, "config");
    rig->loaded = rig->refused = 0;
    configure(rig, text);
    options[n++] = "--config";
    options[n++] = rig->config;
    options[n++] = "--threads"; /* each takes new settings */
    options[n++] = "20";
    for (; *more; more++) options[n++] = *more;
    options[n] = NULL;
    server_start_list(&rig->s, options);
}

#define begin(rig, text, ...)                                                                      \
    begin_list(rig, text, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void end(struct rig *rig)
{
    server_stop(&rig->s);
    free(rig->config);
    files_close(rig->dir);
}

static void reload(struct rig *rig, const char *text)
{
    configure(rig, text);
    server_signal(&rig->s, SIGHUP);
    stats_await(&rig->s, "reloads", ++rig->loaded);
    assert_true(stats_number(&rig->s, "reloads_refused") == rig->refused);
}

/* `why` is a part of the message. */
static void refuse(struct rig *rig, const char *text, const char *why)
{
    if (text) configure(rig, text);
    server_signal(&rig->s, SIGHUP);
    stats_await(&rig->s, "reloads_refused", ++rig->refused);
    server_await_log(&rig->s, why);
    assert_true(stats_number(&rig->s, "reloads") == rig->loaded);
}

static void upload(const struct server *s, size_t n, int status)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_sendf(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    client_send_zeros(&c, n);
    client_reply(&c, "POST", &r);
    assert_int_equal(r.status, status);
    client_close(&c);
    reply_free(&r);
}

static int socket_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* ---- what takes effect ---- */

static void test_limit(void **state)
{
    struct rig rig;
    struct reply r = {0};
    (void)state;
    begin(&rig, "max-body = 4\n");
    upload(&rig.s, 4, 200);
    upload(&rig.s, 5, 413);
    reload(&rig, "max-body = 1k\n");
    server_await_log(&rig.s, "max-body changed from 4 to 1k");
    server_await_log(&rig.s, "settings changed: 1\n");
    upload(&rig.s, 1024, 200);
    upload(&rig.s, 1025, 413);
    reload(&rig, ""); /* the default */
    upload(&rig.s, 1025, 200);
    client_fetch(&rig.s.admin, "/metrics", &r);
    assert_non_null(strstr(r.body, "\ntorc_reloads_total 2\n"));
    assert_non_null(strstr(r.body, "\ntorc_reloads_refused_total 0\n"));
    reply_free(&r);
    end(&rig);
}

/* The descriptor is ours, too. Left to the system is what was not before, as well. */
static void test_tcp_timeouts(void **state)
{
    struct rig rig;
    char listen_on[16];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    snprintf(listen_on, sizeof listen_on, "fd:%d", fd);
    begin(&rig, "tcp-user-timeout = 30s\n", "--listen", listen_on);
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
    reload(&rig, "tcp-user-timeout = 0\n");
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    reload(&rig, "tcp-user-timeout = 45s\n");
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 45000);
    reload(&rig, "tcp-keepalive = 2h\n"); /* too long to derive a timeout from it */
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
    reload(&rig, "tcp-keepalive = 0\n");
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    reload(&rig, "");
    assert_int_equal(socket_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    end(&rig);
    close(fd);
}

/* The command line wins, as at the start. */
static void test_command_line_wins(void **state)
{
    struct rig rig;
    (void)state;
    begin(&rig, "max-body = 1k\n", "--max-body", "4");
    upload(&rig.s, 5, 413);
    reload(&rig, "max-body = 2k\n");
    upload(&rig.s, 5, 413);
    end(&rig);
}

/* Of a connection that is idle already. */
static void test_timeout(void **state)
{
    struct rig rig;
    struct client idle;
    struct reply r = {0};
    (void)state;
    begin(&rig, "idle-timeout = 1h\n");
    client_open(&idle, &rig.s);
    client_get(&idle, "/plaintext", 200, &r);
    reload(&rig, "idle-timeout = 10ms\n");
    client_expect_end(&idle);
    stats_await(&rig.s, "total.timeouts_idle", 1);
    client_close(&idle);
    reload(&rig, "idle-timeout = 1h\n");
    client_open(&idle, &rig.s);
    client_get(&idle, "/plaintext", 200, &r);
    reload(&rig, "idle-timeout = 2h\nheader-timeout = 1m\n");
    client_get(&idle, "/plaintext", 200, &r);
    client_close(&idle);
    reply_free(&r);
    end(&rig);
}

static void test_root(void **state)
{
    struct rig rig;
    char text[300], *one, *two;
    (void)state;
    begin(&rig, "");
    one = files_path(rig.dir, "one");
    two = files_path(rig.dir, "two");
    assert_int_equal(mkdir(one, 0700), 0);
    assert_int_equal(mkdir(two, 0700), 0);
    files_write(one, "f", "1", 1);
    files_write(two, "f", "2", 1);
    client_expect(&rig.s.addr, "/static/f", 404, NULL);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "root = %s\n", i % 2 ? two : one);
        reload(&rig, text);
        client_expect(&rig.s.addr, "/static/f", 200, i % 2 ? "2" : "1");
    }
    refuse(&rig, "root = /no/such/directory\n", "/no/such/directory: No such file");
    client_expect(&rig.s.addr, "/static/f", 200, "1");
    reload(&rig, "");
    client_expect(&rig.s.addr, "/static/f", 404, NULL);
    free(one);
    free(two);
    end(&rig);
}

static size_t lines_of(const char *path)
{
    char *text = files_read(path);
    size_t n = 0;
    for (const char *at = text; at && (at = strchr(at, '\n')); at++) n++;
    free(text);
    return n;
}

static void await_lines(const char *path, size_t n)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && lines_of(path) != n; i++) sleep_ms(10);
    assert_int_equal(lines_of(path), n);
}

static void test_log(void **state)
{
    struct rig rig;
    char text[300];
    (void)state;
    char *dir = files_open(), *one = files_path(dir, "one"), *two = files_path(dir, "two"),
         *old = files_path(dir, "old");
    snprintf(text, sizeof text, "access-log = %s\n", one);
    begin(&rig, text);
    client_expect(&rig.s.addr, "/plaintext", 200, NULL);
    await_lines(one, 1);
    snprintf(text, sizeof text, "access-log = %s\n", two);
    reload(&rig, text);
    for (size_t n = 1; lines_of(two) == 0; n++) { /* its thread moves soon */
        assert_true(n < SERVER_SECONDS * 100);
        client_expect(&rig.s.addr, "/plaintext", 200, NULL);
        sleep_ms(10);
    }
    refuse(&rig, "access-log = /no/such/log\n", "cannot open --access-log /no/such/log");
    refuse(&rig, "", "access-log cannot change from");

    /* A file that is refused does not hinder a rotation. */
    assert_int_equal(rename(two, old), 0);
    refuse(&rig, "nonsense\n", "expected \"name = value\"");
    for (int i = 0; i < SERVER_SECONDS * 100 && access(two, F_OK) < 0; i++) sleep_ms(10);
    client_expect(&rig.s.addr, "/plaintext", 200, NULL);
    await_lines(two, 1);
    end(&rig);
    free(one);
    free(two);
    free(old);
    files_close(dir);
}

/* ---- what is refused ---- */

static void test_refused_whole(void **state)
{
    struct rig rig;
    (void)state;
    begin(&rig, "max-body = 4\n");
    refuse(&rig, "max-body = 1k\ndepth = 64\n", "config:2: depth cannot change from 512 to 64");
    refuse(&rig, "max-body = 1k\nmax-bdy = 1\n", "config:2: unknown option max-bdy, did you mean");
    refuse(&rig, "max-body = 1k\nqueue = x\n", "config:2: queue takes a number");
    refuse(&rig, "max-body = 1k\n\nmax-body = 2k\n",
           "config:3: max-body is given already, on line 1");
    refuse(&rig, "max-body = 1k\ncheck = yes\n",
           "config:2: check can only be given on the command");
    refuse(&rig, "max-body = 1k\npg = host=a password=secret\n",
           "config:2: pg cannot change without a restart");
    assert_null(strstr(server_log(&rig.s), "secret"));
    refuse(&rig, "max-body = 1k\npg postgresql://user:secret@host\n",
           ": expected \"name = value\", not \"pg...\"");
    assert_null(strstr(server_log(&rig.s), "secret"));
    assert_int_equal(unlink(rig.config), 0);
    refuse(&rig, NULL, "No such file or directory");
    assert_int_equal(mkfifo(rig.config, 0600), 0);
    refuse(&rig, NULL, "is not a regular file");
    assert_int_equal(unlink(rig.config), 0);
    upload(&rig.s, 5, 413);
    reload(&rig, "max-body = 1k\n");
    upload(&rig.s, 5, 200);
    end(&rig);
}

/* ---- what is in flight ---- */

static void test_uploads_keep_their_limit(void **state)
{
    struct rig rig;
    struct client whole, chunked, parts;
    struct reply r = {0};
    (void)state;
    begin(&rig, "max-body = 1k\n");
    client_open(&whole, &rig.s);
    client_ask(&whole, "POST", "/upload", "Content-Length: 8\r\n");
    client_open(&chunked, &rig.s);
    client_ask(&chunked, "POST", "/upload", "Transfer-Encoding: chunked\r\n");
    client_open(&parts, &rig.s);
    client_sendf(&parts, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Le");
    stats_await(&rig.s, "total.requests_started", 2);
    reload(&rig, "max-body = 4\nmin-body-rate = 1g\nbody-grace = 1ms\n");
    sleep_ms(20); /* longer than that grace */
    client_sendf(&whole, "12345678");
    client_reply(&whole, "POST", &r);
    assert_int_equal(r.status, 200);
    client_sendf(&chunked, "8\r\n12345678\r\n0\r\n\r\n");
    client_reply(&chunked, "POST", &r);
    assert_int_equal(r.status, 200);
    client_sendf(&parts, "ngth: 8\r\n\r\n12345678"); /* its head was not complete */
    client_reply(&parts, "POST", &r);
    assert_int_equal(r.status, 413);
    client_close(&whole);
    client_close(&chunked);
    client_close(&parts);
    reply_free(&r);
    end(&rig);
}

static void send_fields(struct client *c, int n)
{
    for (int i = 0; i < n; i++) client_sendf(c, "X-%d: y\r\n", i);
}

/* Once the request before it is answered, the server has what came with that. */
static void begin_head(struct client *c, int n, struct reply *r)
{
    char text[2048] = "GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n"
                      "GET /plaintext HTTP/1.1\r\nHost: a\r\n";
    size_t at = strlen(text);
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "X-%d: y\r\n", i);
    assert_true(at < sizeof text);
    client_send(c, text, at);
    client_reply(c, "GET", r);
    assert_int_equal(r->status, 200);
}

/* The memory for its fields was sized by the limit that it began with. */
static void test_heads_in_parts(void **state)
{
    struct rig rig;
    struct client c;
    struct reply r = {0};
    (void)state;
    for (int raised = 0; raised < 2; raised++) {
        begin(&rig, raised ? "max-header-fields = 40\n" : "max-header-fields = 1000\n");
        client_open(&c, &rig.s);
        begin_head(&c, 37, &r);
        reload(&rig, raised ? "max-header-fields = 1000\n" : "max-header-fields = 33\n");
        send_fields(&c, 200);
        client_sendf(&c, "\r\n");
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 431);
        client_close(&c);
        client_open(&c, &rig.s);
        client_sendf(&c, "GET /plaintext HTTP/1.1\r\nHost: a\r\n");
        send_fields(&c, 200);
        client_sendf(&c, "\r\n");
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, raised ? 200 : 431);
        client_close(&c);
        end(&rig);
    }
    reply_free(&r);
}

static void test_many_reloads_under_load(void **state)
{
    enum { CLIENTS = 8, RELOADS = 100, EACH = 10 };
    struct rig rig;
    struct client c[CLIENTS];
    struct reply r = {0};
    (void)state;
    begin(&rig, "", "--cores", server_two_cores());
    for (int i = 0; i < CLIENTS; i++) client_open(&c[i], &rig.s);
    for (int n = 0; n < RELOADS; n++) {
        for (int i = 0; i < CLIENTS; i++) {
            client_ask(&c[i], "POST", "/upload", "Content-Length: 2\r\n");
            for (int k = 0; k < 2; k++) client_sendf(&c[i], "%d", k);
            for (int k = 0; k < EACH; k++)
                client_ask(&c[i], "GET", k % 2 ? "/delay/1" : "/plaintext", "");
        }
        reload(&rig, n % 2 ? "max-body = 2\nidle-timeout = 1h\nwrite-timeout = 1h\nqueue = 7\n"
                           : "max-requests = 100\nbuffer-memory = 64m\nread-buffer = 8k\n");
        for (int i = 0; i < CLIENTS; i++)
            for (int k = 0; k <= EACH; k++) {
                client_reply(&c[i], k ? "GET" : "POST", &r);
                assert_int_equal(r.status, 200);
            }
    }
    for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    reply_free(&r);
    stats_await(&rig.s, "total.requests", CLIENTS * RELOADS * (EACH + 1));
    assert_true(stats_number(&rig.s, "total.responses_2xx") == CLIENTS * RELOADS * (EACH + 1));
    end(&rig);
}

/* ---- limits below what is in use ---- */

static void test_fewer_connections(void **state)
{
    enum { IDLE = 8 };
    struct rig rig;
    struct client idle[IDLE], held, late;
    struct reply r = {0};
    (void)state;
    begin(&rig, "max-connections = 20\n");
    for (int i = 0; i < IDLE; i++) {
        client_open(&idle[i], &rig.s);
        client_get(&idle[i], "/plaintext", 200, &r);
    }
    client_open(&held, &rig.s);
    client_ask(&held, "POST", "/upload", "Content-Length: 2\r\n");
    stats_await(&rig.s, "total.requests_started", IDLE + 1);
    sleep_ms(150); /* so that those are idle */
    reload(&rig, "max-connections = 1\n");
    for (int i = 0; i < IDLE; i++) {
        client_await_close(&idle[i]);
        client_close(&idle[i]);
    }
    stats_await(&rig.s, "total.connections_evicted", IDLE);

    client_open(&late, &rig.s);
    client_ask(&late, "GET", "/plaintext", "");
    reload(&rig, "max-connections = 3000\n"); /* more than at the start */
    client_reply(&late, "GET", &r);
    assert_true(r.status == 200 || r.status == 503); /* it may have been refused by then */
    client_sendf(&held, "ab");
    client_reply(&held, "POST", &r);
    assert_int_equal(r.status, 200);
    client_close(&held);
    client_close(&late);
    for (int i = 0; i < IDLE; i++) {
        client_open(&idle[i], &rig.s);
        client_get(&idle[i], "/plaintext", 200, &r);
    }
    for (int i = 0; i < IDLE; i++) client_close(&idle[i]);
    reply_free(&r);
    end(&rig);
}

static void test_fewer_requests(void **state)
{
    enum { HELD = 3 };
    struct rig rig;
    struct client held[HELD], waits, over;
    struct reply r = {0};
    (void)state;
    begin(&rig, "queue-timeout = 1h\n");
    for (int i = 0; i < HELD; i++) {
        client_open(&held[i], &rig.s);
        client_ask(&held[i], "POST", "/upload", "Content-Length: 2\r\n");
    }
    stats_await(&rig.s, "total.requests_started", HELD);
    reload(&rig, "queue-timeout = 1h\nmax-requests = 1\nqueue = 1\n");
    client_open(&waits, &rig.s);
    client_ask(&waits, "GET", "/plaintext", "");
    stats_await(&rig.s, "total.requests_waiting", 1);
    reload(&rig, "queue-timeout = 1h\nmax-requests = 1\nqueue = 0\n");
    client_open(&over, &rig.s);
    client_get(&over, "/plaintext", 503, &r);
    assert_true(stats_number(&rig.s, "total.requests_waiting") == 1);
    for (int i = 0; i < HELD; i++) {
        client_sendf(&held[i], "ab");
        client_reply(&held[i], "POST", &r);
        assert_int_equal(r.status, 200);
        client_close(&held[i]);
    }
    client_reply(&waits, "GET", &r);
    assert_int_equal(r.status, 200);
    client_get(&over, "/plaintext", 200, &r);
    client_close(&waits);
    client_close(&over);
    reply_free(&r);
    end(&rig);
}

/* Stacks that are free are no requests more than may be in progress. */
static void test_fewer_requests_than_there_were(void **state)
{
    enum { WERE = 4 };
    struct rig rig;
    struct client c[WERE];
    struct reply r = {0};
    (void)state;
    begin(&rig, "queue = 0\n");
    for (int i = 0; i < WERE; i++) {
        client_open(&c[i], &rig.s);
        client_ask(&c[i], "POST", "/upload", "Content-Length: 2\r\n");
    }
    stats_await(&rig.s, "total.requests_started", WERE);
    for (int i = 0; i < WERE; i++) {
        client_sendf(&c[i], "ab");
        client_reply(&c[i], "POST", &r);
        assert_int_equal(r.status, 200);
    }
    reload(&rig, "queue = 0\nmax-requests = 1\n");
    client_ask(&c[0], "POST", "/upload", "Content-Length: 2\r\n");
    stats_await(&rig.s, "total.requests_started", WERE + 1);
    for (int i = 1; i < WERE; i++) client_get(&c[i], "/plaintext", 503, &r);
    client_sendf(&c[0], "ab");
    client_reply(&c[0], "POST", &r);
    assert_int_equal(r.status, 200);
    client_get(&c[1], "/plaintext", 200, &r);
    for (int i = 0; i < WERE; i++) client_close(&c[i]);
    reply_free(&r);
    end(&rig);
}

/* A connection that has had more ends with its next request. */
static void test_fewer_requests_of_a_connection(void **state)
{
    struct rig rig;
    struct client c;
    struct reply r = {0};
    (void)state;
    begin(&rig, "max-connection-requests = 1000\n");
    client_open(&c, &rig.s);
    for (int i = 0; i < 5; i++) client_get(&c, "/plaintext", 200, &r);
    reload(&rig, "max-connection-requests = 3\n");
    client_get(&c, "/plaintext", 200, &r);
    assert_true(r.closes);
    client_expect_end(&c);
    client_close(&c);
    client_open(&c, &rig.s);
    reload(&rig, "");
    for (int i = 0; i < 5; i++) {
        client_get(&c, "/plaintext", 200, &r);
        assert_false(r.closes);
    }
    client_close(&c);
    reply_free(&r);
    end(&rig);
}

/* A client that has spent its tokens waits as long as the new rate says. */
static void test_rate(void **state)
{
    struct rig rig;
    struct client c;
    struct reply r = {0};
    (void)state;
    begin(&rig, "rate-limit = 1/h\n");
    client_open(&c, &rig.s);
    client_get(&c, "/plaintext", 200, &r);
    client_get(&c, "/plaintext", 429, &r);
    reload(&rig, "rate-limit = 1000/s\n");
    sleep_ms(10);
    client_get(&c, "/plaintext", 200, &r);
    reload(&rig, "");
    for (int i = 0; i < 10; i++) client_get(&c, "/plaintext", 200, &r);
    client_close(&c);
    end(&rig);

    begin(&rig, "");
    reload(&rig, "rate-limit = 1/h\n");
    client_open(&c, &rig.s);
    client_get(&c, "/plaintext", 200, &r);
    client_get(&c, "/plaintext", 429, &r);
    client_close(&c);
    reply_free(&r);
    end(&rig);
}

/* ---- when it comes ---- */

/* They are told what they set, as at the start. */
static void test_limits_of_threads(void **state)
{
    static const char rate[] = "--rate-limit hold for each thread alone",
                      shed[] = "--shed has no effect on the engine threads";
    struct rig rig;
    (void)state;
    begin(&rig, "shed = adaptive\n");
    assert_non_null(strstr(server_log(&rig.s), shed));
    assert_null(strstr(server_log(&rig.s), rate));
    reload(&rig, "shed = adaptive\nrate-limit = 100\n");
    server_await_log(&rig.s, rate);
    client_expect(&rig.s.addr, "/plaintext", 200, NULL);
    end(&rig);
}

static void test_one_after_another(void **state)
{
    struct rig rig;
    struct reply r = {0};
    char line[40];
    (void)state;
    begin(&rig, "");
    for (int i = 1; i <= 20; i++) {
        snprintf(line, sizeof line, "queue = %d\n", i);
        configure(&rig, line);
        server_signal(&rig.s, SIGHUP);
    }
    stats_await_more(&rig.s, "reloads", 1);
    for (int i = 0; i < SERVER_SECONDS * 100; i++) { /* the last file is what counts */
        client_fetch(&rig.s.admin, "/settings", &r);
        if (strstr(r.body, "\nqueue = 20\n")) break;
        sleep_ms(10);
    }
    assert_non_null(strstr(r.body, "\nqueue = 20\n"));
    reply_free(&r);
    end(&rig);
}

static void test_in_a_drain(void **state)
{
    struct rig rig;
    struct client held;
    struct reply r = {0};
    (void)state;
    begin(&rig, "max-body = 1k\n");
    client_open(&held, &rig.s);
    client_ask(&held, "POST", "/upload", "Content-Length: 2\r\n");
    stats_await(&rig.s, "total.requests_started", 1);
    configure(&rig, "max-body = 1\n");
    server_signal(&rig.s, SIGTERM);
    for (int i = 0; i < 5; i++) {
        server_signal(&rig.s, SIGHUP);
        sleep_ms(5);
    }
    client_sendf(&held, "ab");
    client_reply(&held, "POST", &r);
    assert_int_equal(r.status, 200);
    client_close(&held);
    reply_free(&r);
    end(&rig);
}

static void test_at_the_start(void **state)
{
    struct server s;
    struct server_how how = {.engine = server_engine};
    (void)state;
    char *dir = files_open(), *config = files_path(dir, "config");
    files_write(dir, "config", "listen = 127.0.0.1:0\ncores = 1\n", 31);
    signal(SIGHUP, SIG_IGN); /* as nohup does; the program inherits it */
    server_spawn(&s, &how, (const char *const[]){"--config", config, NULL});
    signal(SIGHUP, SIG_DFL);
    for (int i = 0; i < SERVER_SECONDS * 1000 && !strstr(server_log(&s), "ready "); i++) {
        server_signal(&s, SIGHUP);
        sleep_ms(1);
    }
    server_await_ready(&s);
    server_signal(&s, SIGHUP);
    server_await_log(&s, "reloaded ");
    client_expect(&s.addr, "/plaintext", 200, NULL);
    server_stop(&s);
    free(config);
    files_close(dir);
}

/* ---- --check ---- */

static void check(struct rig *rig, const char *text, bool as_json, struct server *out)
{
    char admin[300];
    struct server_how how = {.engine = server_engine};
    configure(rig, text);
    const char *log = strstr(server_log(&rig->s), "admin http://");
    assert_non_null(log);
    snprintf(admin, sizeof admin, "%.*s", (int)strcspn(log + 13, "\n"), log + 13);
    assert_int_equal(server_run(out, &how,
                                (const char *const[]){"--config", rig->config, "--admin", admin,
                                                      "--check", as_json ? "--json" : NULL, NULL}),
                     0);
}

static void test_check_tells_what_would_change(void **state)
{
    struct rig rig;
    struct server out;
    (void)state;
    begin(&rig, "max-body = 1k\n");
    check(&rig, "max-body = 2k\nlisten = 127.0.0.1:0\ndepth = 1024\ncores = 1\n", false, &out);
    assert_non_null(strstr(server_log(&out), "\nreload       max-body: 1k in the server at "));
    assert_non_null(strstr(server_log(&out), ", 2k here\n"));
    assert_non_null(strstr(server_log(&out), "\nrestart      depth: 512 in the server at "));
    assert_non_null(strstr(server_log(&out), "\nrunning      a reload would be refused"));
    server_free(&out);
    upload(&rig.s, 1025, 413); /* nothing has changed */
    end(&rig);
}

/* What test_rate finds to be done by a reload, --check has told. */
static void test_check_tells_that_limits_of_clients_need_no_restart(void **state)
{
    static const char text[] = "rate-limit = 5\nlisten = 127.0.0.1:0\ncores = 1\n";
    struct rig rig;
    struct server out;
    (void)state;
    begin(&rig, "");
    check(&rig, text, false, &out);
    assert_non_null(strstr(server_log(&out), "\nreload       rate-limit: 0 in"));
    server_free(&out);
    check(&rig, text, true, &out);
    assert_non_null(strstr(server_log(&out), "\"here\":\"5\",\"restart\":false"));
    server_free(&out);
    end(&rig);
}

static void test_options_without_effect(void **state)
{
    struct rig rig;
    (void)state;
    begin(&rig, "");
    reload(&rig, "rate-burst = 5\n");
    server_await_log(&rig.s, "--rate-burst has no effect without --rate-limit\n");
    end(&rig);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_tcp_timeouts),
        cmocka_unit_test(test_command_line_wins),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_refused_whole),
        cmocka_unit_test(test_uploads_keep_their_limit),
        cmocka_unit_test(test_heads_in_parts),
        cmocka_unit_test(test_many_reloads_under_load),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_in_a_drain),
        cmocka_unit_test(test_at_the_start),
        cmocka_unit_test(test_check_tells_what_would_change),
        cmocka_unit_test(test_check_tells_that_limits_of_clients_need_no_restart),
        cmocka_unit_test(test_options_without_effect),
    };
    const struct CMUnitTest of_cores[] = {
        cmocka_unit_test(test_fewer_connections),
        cmocka_unit_test(test_fewer_requests),
        cmocka_unit_test(test_fewer_requests_than_there_were),
        cmocka_unit_test(test_fewer_requests_of_a_connection),
    };
    const struct CMUnitTest of_threads[] = {
        cmocka_unit_test(test_limits_of_threads),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (holds_threads()) /* of which each has one connection */
        failed += cmocka_run_group_tests(of_threads, NULL, NULL);
    else
        failed += cmocka_run_group_tests(of_cores, NULL, NULL);
    return failed;
}
