/* The engine threads as a server's users see it: a connection holds its thread to its end. */

#include "client.h"
#include "server.h"
#include "stats.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void expect(struct client *c, const char *path, const char *body)
{
    struct reply r = {0};
    client_get(c, path, 200, &r);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

static void the_ready_line_tells(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, "--threads", "3", "--cores", "1");
    assert_non_null(strstr(server_log(&s), "threads: 3, with a connection at a time each\n"));
    assert_non_null(strstr(server_log(&s), " engine=threads cores=1 "));
    server_stop(&s);
}

/* A connection that has no thread waits in the accept queue, and is served once another closes. */
static void connections_beyond_the_threads_wait(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    struct server s;
    struct client held[THREADS], next;
    struct reply r = {0};
    server_start(&s, "--threads", "3", "--drain-timeout", "100ms"); /* two are held to the end */
    for (int i = 0; i < THREADS; i++) {
        client_open(&held[i], &s);
        client_ask(&held[i], "GET", "/delay/60000", "");
    }
    stats_await(&s, "total.requests_started", THREADS);
    client_open(&next, &s);
    client_ask(&next, "GET", "/plaintext", "");
    sleep_ms(100);
    assert_true(stats_number(&s, "total.connections_accepted") == THREADS);
    client_reset(&held[0]);
    client_reply(&next, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(&next);
    for (int i = 1; i < THREADS; i++) client_close(&held[i]);
    reply_free(&r);
    server_stop(&s);
}

/* Clients that keep their connections without asking for anything give way to those who wait. Each
 * thread looks for itself, so which of them do is not said. */
static void idle_connections_make_room(void **state)
{
    (void)state;
    enum { THREADS = 2, CLIENTS = 6 };
    struct server s;
    struct client c[CLIENTS];
    server_start(&s, "--threads", "2");
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&c[i], &s);
        expect(&c[i], "/pipeline", "ok");
    }
    for (int ended = 0; ended < CLIENTS - THREADS;) {
        struct pollfd p[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) p[i] = (struct pollfd){c[i].fd, POLLIN, 0};
        assert_true(poll(p, CLIENTS, TCP_SECONDS * 1000) > 0);
        for (int i = 0; i < CLIENTS; i++) {
            if (!p[i].revents) continue;
            client_expect_end(&c[i]);
            client_close(&c[i]);
            ended++;
        }
    }
    for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    server_stop(&s);
}

/* Each thread waits for its own; no thread runs more than one request. */
static void a_sleep_holds_its_thread(void **state)
{
    (void)state;
    struct server s;
    struct client a, b;
    server_start(&s, "--threads", "1");
    client_open(&a, &s);
    client_ask(&a, "GET", "/delay/300", "");
    stats_await(&s, "total.requests_started", 1);
    client_open(&b, &s);
    client_ask(&b, "GET", "/plaintext", "Connection: close\r\n");
    struct reply r = {0};
    client_reply(&a, "GET", &r);
    assert_string_equal(r.body, "300");
    client_close(&a);
    client_reply(&b, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(&b);
    reply_free(&r);
    server_stop(&s);
}

static void a_drain_ends_waiting_and_serving_threads(void **state)
{
    (void)state;
    struct server s;
    struct client busy, idle;
    struct reply r = {0};
    server_start(&s, "--threads", "8");
    client_open(&busy, &s);
    client_open(&idle, &s);
    expect(&idle, "/pipeline", "ok");
    client_ask(&busy, "GET", "/delay/300", "");
    stats_await(&s, "total.requests_started", 2);
    server_signal(&s, SIGTERM);
    client_expect_end(&idle);
    client_reply(&busy, "GET", &r);
    assert_string_equal(r.body, "300");
    client_close(&busy);
    client_close(&idle);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* The first thread that stops shuts the listener down for all. */
static void an_idle_drain_has_nothing_to_wait_for(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, "--threads", "8", "--drain-timeout", "20s");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_null(strstr(server_log(&s), "drain exceeded"));
    server_free(&s);
}

/* Those that had to wait when the drain began get a thread as long as the drain lasts. */
static void drain_with_waiting(const char *listen)
{
    enum { THREADS = 2, WAITING = 4 };
    struct server s;
    struct client c[THREADS + WAITING];
    struct reply r = {0};
    server_start(&s, "--threads", "2", "--drain-timeout", "1h", "--listen", listen);
    for (int i = 0; i < THREADS; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/delay/1800", "");
    }
    stats_await(&s, "total.requests_started", THREADS);
    for (int i = THREADS; i < THREADS + WAITING; i++) {
        client_open(&c[i], &s);
        client_ask(&c[i], "GET", "/delay/10", "");
    }
    server_signal(&s, SIGTERM);
    for (int i = 0; i < THREADS + WAITING; i++) {
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 200);
        client_close(&c[i]);
    }
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

static void a_drain_serves_who_waits_for_a_thread(void **state)
{
    char local[64];
    (void)state;
    snprintf(local, sizeof local, "unix:@torc-test-drain-%d", (int)getpid());
    drain_with_waiting("127.0.0.1:0");
    drain_with_waiting(local);
}

/* One after the other, until nobody listens any more. */
static void *come_again(void *arg)
{
    static const char text[] = "GET /delay/100 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t len = strlen(arg);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    char rest[4096];
    memcpy(a.sun_path + 1, arg, len); /* an abstract name */
    for (int err = 0; err == 0 || err == EAGAIN;) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        err = connect(fd, (struct sockaddr *)&a, size) == 0 ? 0 : errno;
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (err == 0 && send(fd, text, sizeof text - 1, MSG_NOSIGNAL) > 0)
            while (poll(&readable, 1, -1) > 0 && recv(fd, rest, sizeof rest, 0) > 0) continue;
        close(fd);
        if (err) poll(NULL, 0, 1);
    }
    return NULL;
}

/* Who comes after its begin is not waited for, or it would go on as long as somebody comes. */
static void a_drain_ends_while_others_come(void **state)
{
    enum { COMERS = 24 };
    pthread_t comer[COMERS];
    struct server s;
    char local[64], *name = strchr(strcpy(local, "unix:@"), '@') + 1;
    (void)state;
    snprintf(name, 40, "torc-test-comers-%d", (int)getpid());
    server_start(&s, "--threads", "2", "--drain-timeout", "1h", "--listen", local);
    for (int i = 0; i < COMERS; i++)
        assert_int_equal(pthread_create(&comer[i], NULL, come_again, name), 0);
    stats_await(&s, "total.requests", COMERS);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    for (int i = 0; i < COMERS; i++) pthread_join(comer[i], NULL);
    server_free(&s);
}

/* ---- idle threads ---- */

/* Where nothing is open, nothing has to be looked after each second. */
static void idle_threads_sleep(void **state)
{
    (void)state;
    enum { THREADS = 50, TRIES = 20 };
    struct server s;
    int tries = 0;
    server_start(&s, "--threads", "50");
    for (double turns = 1e9; turns > 5 * THREADS; tries++) {
        assert_true(tries < TRIES);
        turns = stats_number(&s, "total.turns");
        sleep_ms(4000); /* looking each second takes ten turns of a thread and more */
        turns = stats_number(&s, "total.turns") - turns;
    }
    server_stop(&s);
}

/* The number that the next descriptor of the server would have. */
static rlim_t next_descriptor(const struct server *s)
{
    char path[64];
    for (rlim_t fd = 0;; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s->pid, (int)fd);
        struct stat st;
        if (lstat(path, &st) < 0) return fd;
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One of them tries again, ten times a second. */
static void out_of_descriptors_one_thread_tries(void **state)
{
    (void)state;
    enum { PER_SECOND = 10, SPARE = 5 };
    struct server s;
    struct client c;
    struct rlimit before, low;
    server_start(&s, "--threads", "50");
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, NULL, &before), 0);
    low = (struct rlimit){next_descriptor(&s), before.rlim_max};
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &low, NULL), 0);
    double from = seconds();
    client_open(&c, &s);
    server_await_log(&s, "cannot accept: Too many open files");
    sleep_ms(1000);
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &before, NULL), 0);
    assert_true(stats_number(&s, "total.accept_failures") <=
                PER_SECOND * (seconds() - from) + SPARE);
    expect(&c, "/pipeline", "ok");
    client_close(&c);
    server_stop(&s);
}

/* The admin side answers however many clients keep it from nothing. */
static void silent_admin_clients_lock_nobody_out(void **state)
{
    (void)state;
    enum { SILENT = 8 };
    struct server s;
    struct client silent[SILENT], c;
    server_start(&s, "--threads", "1");
    for (int i = 0; i < SILENT; i++) client_open_admin(&silent[i], &s);
    client_open_admin(&c, &s);
    expect(&c, "/healthz", "ok\n");
    client_close(&c);
    for (int i = 0; i < SILENT; i++) client_close(&silent[i]);
    server_stop(&s);
}

static void bad_numbers_of_threads(void **state)
{
    (void)state;
    static const char *const wrong[] = {"0", "10001", "-1", "many", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct server s;
        struct server_how how = {.engine = server_engine};
        int status = server_run(&s, &how, (const char *const[]){"--threads", wrong[i], NULL});
        assert_int_equal(status, 2);
        assert_non_null(strstr(server_log(&s), "--threads takes "));
        server_free(&s);
    }
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ready_line_tells),
        cmocka_unit_test(connections_beyond_the_threads_wait),
        cmocka_unit_test(idle_connections_make_room),
        cmocka_unit_test(a_sleep_holds_its_thread),
        cmocka_unit_test(a_drain_ends_waiting_and_serving_threads),
        cmocka_unit_test(a_drain_serves_who_waits_for_a_thread),
        cmocka_unit_test(a_drain_ends_while_others_come),
        cmocka_unit_test(an_idle_drain_has_nothing_to_wait_for),
        cmocka_unit_test(idle_threads_sleep),
        cmocka_unit_test(out_of_descriptors_one_thread_tries),
        cmocka_unit_test(silent_admin_clients_lock_nobody_out),
        cmocka_unit_test(bad_numbers_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
