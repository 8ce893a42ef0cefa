/* A handler learns that its client has left or that the server drains: by asking, and by the end of
 * its waits. */

#include "client.h"
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* More than --read-buffer, and less than the kernel takes besides: an end of the stream must
 * arrive. */
enum { AHEAD = 90 * 1000 };

static void await_handler(struct server *s, const char *what, int value)
{
    char line[64];
    snprintf(line, sizeof line, "handler: %s %d\n", what, value);
    server_await_log(s, line);
}

/* Asks and waits until the handler runs; then sends what it does not read. */
static void ask(struct server *s, struct client *c, const char *path, size_t ahead)
{
    static const char request[] = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    char said[32];
    client_open(c, s);
    client_ask(c, "GET", path, "");
    snprintf(said, sizeof said, "%s", path + 1);
    await_handler(s, said, 0);
    for (size_t n = 0; n < ahead; n += sizeof request - 1) client_sendf(c, "%s", request);
}

static void test_reset_ends_a_wait(void **state)
{
    (void)state;
    for (size_t ahead = 0; ahead <= AHEAD; ahead += AHEAD) {
        struct server s;
        struct client c;
        server_start(&s);
        ask(&s, &c, "/sleeps", ahead);
        client_reset(&c);
        await_handler(&s, "woke with", -ECONNRESET);
        stats_await(&s, "total.connections_closed", 1);
        assert_true(stats_number(&s, "total.connections_reset") == 1);
        server_stop(&s);
    }
}

static void test_handler_sees_that_its_client_has_gone(void **state)
{
    (void)state;
    for (size_t ahead = 0; ahead <= AHEAD; ahead += AHEAD) {
        for (int close = 0; close < 2; close++) {
            struct server s;
            struct client c;
            server_start(&s);
            ask(&s, &c, "/asks", ahead);
            if (close)
                client_close(&c);
            else
                client_shut(&c);
            await_handler(&s, "was cancelled by", 0);
            await_handler(&s, "has no client", 0);
            if (!close) client_close(&c);
            server_stop(&s);
        }
    }
}

/* The client has closed, so what is sent to it is answered with a reset. */
static void test_first_write_to_nobody_ends_a_wait(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s);
    ask(&s, &c, "/writes", 0);
    client_close(&c);
    await_handler(&s, "wrote", 0);
    await_handler(&s, "woke with", -ECONNRESET);
    stats_await(&s, "total.connections_closed", 1);
    server_stop(&s);
}

/* Of a response to HEAD nothing is sent that a client which has closed could answer. */
static void test_client_of_head_has_gone(void **state)
{
    (void)state;
    for (int shut = 0; shut < 2; shut++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        server_start(&s);
        client_open(&c, &s);
        client_ask(&c, "HEAD", "/streams", "");
        await_handler(&s, "streams", 0);
        client_reply(&c, "HEAD", &r);
        assert_int_equal(r.status, 200);
        if (shut)
            client_shut(&c);
        else
            client_close(&c);
        await_handler(&s, "streamed until", -ECONNRESET);
        stats_await(&s, "total.connections_closed", 1);
        if (shut) client_close(&c);
        reply_free(&r);
        server_stop(&s);
    }
}

/* A client that only shuts its sending side keeps its handler, and a reset after that still ends
 * it. */
static void test_reset_after_the_end_of_the_stream(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s);
    ask(&s, &c, "/sleeps", 0);
    client_shut(&c);
    sleep_ms(100); /* nothing is to happen, which cannot be waited for */
    assert_null(strstr(server_log(&s), "woke with"));
    client_reset(&c);
    await_handler(&s, "woke with", -ECONNRESET);
    server_stop(&s);
}

static void test_handlers_end_in_a_drain(void **state)
{
    struct server s;
    struct client asks, streams;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--drain-timeout", "1h");
    ask(&s, &asks, "/asks", 0);
    ask(&s, &streams, "/streams", 0);
    server_signal(&s, SIGTERM);
    client_reply(&asks, "GET", &r);
    assert_string_equal(r.body, "draining");
    assert_true(r.closes);
    client_reply(&streams, "GET", &r);
    assert_true(r.body_len >= 3);
    assert_string_equal(r.body + r.body_len - 3, "end");
    client_close(&asks);
    client_close(&streams);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* What ends a torc_await: the end of the client's stream, its reset, the drain. */
static void test_await_client(void **state)
{
    (void)state;
    for (size_t ahead = 0; ahead <= AHEAD; ahead += AHEAD) {
        for (int reset = 0; reset < 2; reset++) {
            struct server s;
            struct client c;
            server_start(&s);
            ask(&s, &c, "/awaits", ahead);
            if (reset)
                client_reset(&c);
            else
                client_shut(&c);
            await_handler(&s, "awaited", reset ? -ECONNRESET : 1);
            if (!reset) client_close(&c);
            server_stop(&s);
        }
    }
}

static void test_await_drain(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--drain-timeout", "1h");
    ask(&s, &c, "/awaits", 0);
    server_signal(&s, SIGTERM);
    await_handler(&s, "awaited", 2);
    client_reply(&c, "GET", &r);
    assert_string_equal(r.body, "awaited");
    client_close(&c);
    reply_free(&r);
    assert_int_equal(server_wait(&s), 0);
    server_free(&s);
}

/* The end of the stream cancels a request whose handler has asked for that, and no other. */
static void test_requests_that_leave_with_their_clients(void **state)
{
    static const char *const paths[] = {"/leaves", "/leaves-stream", "/leaves-late"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (size_t ahead = 0; ahead <= AHEAD; ahead += AHEAD) {
            struct server s;
            struct client c;
            server_start(&s);
            client_open(&c, &s);
            client_ask(&c, "GET", paths[i], "");
            await_handler(&s, i < 2 ? "leaves" : "leaves-late", 0);
            for (size_t n = 0; n < ahead; n += 10) client_sendf(&c, "GET / HTTP");
            client_shut(&c);
            await_handler(&s, "woke with", -ECONNRESET);
            if (i < 2)
                await_handler(&s, "replied", i == 0 ? -ECONNRESET : -EALREADY);
            else
                await_handler(&s, "is cancelled", -ECONNRESET);
            stats_await(&s, "total.requests_aborted_client", 1);
            stats_await(&s, "total.connections_closed", 1);
            assert_null(strstr(server_log(&s), "without a response"));
            client_close(&c);
            server_stop(&s);
        }
    }
}

/* What was asked for before in the same piece is answered. */
static void test_requests_that_leave_take_no_other_with_them(void **state)
{
    static const char *const paths[] = {"/leaves", "/leaves-stream"};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof paths / sizeof *paths; i++) {
        struct server s;
        struct client c;
        struct reply r = {0};
        server_start(&s);
        client_open(&c, &s);
        client_sendf(&c,
                     "GET /says HTTP/1.1\r\nHost: a\r\n\r\n"
                     "GET %s HTTP/1.1\r\nHost: a\r\n\r\n%s",
                     paths[i / 2], i & 1 ? "GET /says HTTP/1.1\r\nHost: a\r\n\r\n" : "");
        client_shut(&c);
        client_reply(&c, "GET", &r);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "said");
        await_handler(&s, "woke with", -ECONNRESET);
        if (i < 2)
            client_expect_end(&c);
        else /* its head may have left */
            client_await_close(&c);
        stats_await(&s, "total.connections_closed", 1);
        assert_true(stats_number(&s, "total.requests_aborted_client") == 1);
        assert_true(stats_number(&s, "total.responses_lost") == 0);
        client_close(&c);
        reply_free(&r);
        server_stop(&s);
    }
}

static void test_a_complete_response_does_not_leave(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    ask(&s, &c, "/leaves-replied", 0);
    client_shut(&c);
    await_handler(&s, "slept", 0);
    client_reply(&c, "GET", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "complete");
    assert_true(stats_number(&s, "total.requests_aborted_client") == 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* ---- handlers that hold their core ---- */

/* A thread that serves one connection holds up no other. */
static void await_held(struct server *s, const char *route)
{
    char text[128];
    bool one = strcmp(server_engine, "threads") == 0;
    snprintf(text, sizeof text, "%s: its handler has %s", route,
             one ? "run on thread " : "held core 0 for ");
    server_await_log(s, text);
    server_await_log(s, one ? " s, without a wait: " : " s, while other requests wait: ");
}

static void test_handlers_that_hold_their_core_are_named(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--stall-warn", "50ms");
    client_open(&c, &s);
    client_ask(&c, "GET", "/spins", "");
    await_held(&s, "/spins");
    client_reply(&c, "GET", &r);
    assert_string_equal(r.body, "spun");
    assert_true(stats_number(&s, "total.stalls") >= 1);
    client_close(&c);
    server_stop(&s);

    server_start(&s, "--stall-warn", "50ms");
    client_open(&c, &s);
    client_ask(&c, "GET", "/blocks", "");
    await_held(&s, "/blocks");
    server_await_log(&s, "it is blocked in the system call clock_nanosleep");
    await_handler(&s, "slept", 0); /* nothing has interrupted it */
    client_reply(&c, "GET", &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Its core does not wait until what is told of it can be written. */
static void test_who_does_not_read_holds_no_core(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--stall-warn", "50ms");
    client_open(&c, &s);
    client_get(&c, "/spins-unread", 200, &r);
    assert_string_equal(r.body, "spun");
    assert_true(stats_number(&s, "total.stalls") >= 1);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* A process that keeps all others of least priority from this CPU; it has it already. */
static pid_t take_cpu(const cpu_set_t *cpu)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sched_setaffinity(0, sizeof *cpu, cpu) < 0) _exit(1);
        while (clock() < CLOCKS_PER_SEC / 20) continue;
        if (write(ends[1], "", 1) != 1) _exit(1);
        for (;;) continue;
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

/* Gives the server's threads but the one that watches least priority, and this CPU alone. */
static void starve(const struct server *s, const cpu_set_t *cpu)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task", (int)s->pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
        if (!tid) continue;
        snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)s->pid, (int)tid);
        FILE *f = fopen(path, "r");
        if (!f) continue; /* it has ended */
        bool known = fgets(name, sizeof name, f);
        fclose(f);
        if (!known || strncmp(name, "torc-", 5) != 0 || strcmp(name, "torc-watch\n") == 0) continue;
        assert_int_equal(sched_setscheduler(tid, SCHED_IDLE, &(struct sched_param){0}), 0);
        assert_int_equal(sched_setaffinity(tid, sizeof *cpu, cpu), 0);
    }
    closedir(dir);
}

static void test_a_core_without_a_cpu_is_told_from_one_that_computes(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    cpu_set_t all, one;
    int cpu = 0;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    server_start(&s, "--stall-warn", "500ms");
    client_open(&c, &s);
    client_get(&c, "/none", 404, &r);
    starve(&s, &one);
    pid_t other = take_cpu(&one);
    client_ask(&c, "GET", "/spins", "");
    await_held(&s, "/spins");
    server_await_log(&s, "other programs or a CPU quota kept it from one\n");
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
    client_reply(&c, "GET", &r);
    assert_string_equal(r.body, "spun");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* That it had no CPU while it was blocked is its own fault. */
static void test_a_handler_that_was_blocked_lacked_no_cpu(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--stall-warn", "2s");
    client_open(&c, &s);
    client_ask(&c, "GET", "/rests-and-spins", "");
    await_held(&s, "/rests-and-spins");
    assert_null(strstr(server_log(&s), "kept it from one"));
    client_reply(&c, "GET", &r);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* Without the files of proc(5), that it computes is a guess. */
static void test_what_cannot_be_told_is_not_told(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--stall-warn", "50ms");
    struct rlimit none, before;
    client_open(&c, &s);
    client_get(&c, "/none", 404, &r); /* it is accepted */
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, NULL, &before), 0);
    none =
        (struct rlimit){1, before.rlim_max}; /* poll(2), with which lines are written, needs one */
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &none, NULL), 0);
    client_ask(&c, "GET", "/blocks", "");
    await_held(&s, "/blocks");
    server_await_log(&s, "what it does cannot be told");
    client_reply(&c, "GET", &r);
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &before, NULL), 0); /* a leak check needs more */
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_nothing_is_watched_if_not_asked_for(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--stall-warn", "0");
    client_open(&c, &s);
    client_get(&c, "/spins", 200, &r);
    assert_null(strstr(server_log(&s), "its handler has "));
    assert_true(stats_number(&s, "total.stalls") == 0);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

/* In a drain a core ends as soon as it has no request, and the others last. */
static void test_a_core_that_has_ended_is_held_by_nobody(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s, "--cores", "2", "--stall-warn", "50ms", "--drain-timeout", "500ms");
    client_open(&c, &s);
    client_ask(&c, "GET", "/sleeps", "");
    server_await_log(&s, "handler: sleeps");
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    assert_null(strstr(server_log(&s), "its handler has "));
    client_close(&c);
    server_free(&s);
}

/* ---- deadlines ---- */

static void get(struct server *s, const char *path, struct reply *r)
{
    struct client c;
    client_open(&c, s);
    client_ask(&c, "GET", path, "");
    client_reply(&c, "GET", r);
    client_close(&c);
}

static void test_deadline(void **state)
{
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    get(&s, "/late", &r);
    assert_int_equal(r.status, 504);
    await_handler(&s, "woke with", -ETIME);
    get(&s, "/late-reply", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "in time");
    get(&s, "/late-group", &r); /* the request outlives the deadline of its group */
    assert_int_equal(r.status, 200);
    await_handler(&s, "joined with", -ETIME);
    await_handler(&s, "slept after", 0);
    assert_null(strstr(server_log(&s), "without a response"));
    reply_free(&r);
    server_stop(&s);
}

/* A body that the deadline cuts off must not look complete. */
static void test_deadline_cuts_a_stream_off(void **state)
{
    struct server s;
    struct client c;
    (void)state;
    server_start(&s);
    client_open(&c, &s);
    client_ask(&c, "GET", "/late-stream", "");
    assert_true(client_read_all(&c));
    assert_non_null(memmem(c.buf, c.len, "begun", 5));
    assert_null(memmem(c.buf, c.len, "more", 4));
    assert_null(memmem(c.buf, c.len, "\r\n0\r\n", 5));
    await_handler(&s, "wrote", -ETIME);
    client_close(&c);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_ends_a_wait),
        cmocka_unit_test(test_handler_sees_that_its_client_has_gone),
        cmocka_unit_test(test_first_write_to_nobody_ends_a_wait),
        cmocka_unit_test(test_client_of_head_has_gone),
        cmocka_unit_test(test_reset_after_the_end_of_the_stream),
        cmocka_unit_test(test_handlers_end_in_a_drain),
        cmocka_unit_test(test_await_client),
        cmocka_unit_test(test_await_drain),
        cmocka_unit_test(test_requests_that_leave_with_their_clients),
        cmocka_unit_test(test_requests_that_leave_take_no_other_with_them),
        cmocka_unit_test(test_a_complete_response_does_not_leave),
        cmocka_unit_test(test_handlers_that_hold_their_core_are_named),
        cmocka_unit_test(test_who_does_not_read_holds_no_core),
        cmocka_unit_test(test_a_core_without_a_cpu_is_told_from_one_that_computes),
        cmocka_unit_test(test_a_handler_that_was_blocked_lacked_no_cpu),
        cmocka_unit_test(test_what_cannot_be_told_is_not_told),
        cmocka_unit_test(test_nothing_is_watched_if_not_asked_for),
        cmocka_unit_test(test_a_core_that_has_ended_is_held_by_nobody),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_deadline_cuts_a_stream_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
