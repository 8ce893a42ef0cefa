/* Subscriptions: from any core to any, through a restart of Redis, with a slow reader. */

#include "redis_rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads until the stream has this, from its start. */
static void await_text(struct client *c, const char *text)
{
    while (!c->buf || !memmem(c->buf, c->len, text, strlen(text)))
        if (client_more(c) <= 0) fail_msg("no %s in %.*s", text, (int)c->len, c->buf ? c->buf : "");
}

static void test_across_cores(void **state)
{
    (void)state;
    enum { SUBSCRIBERS = 16 };
    struct redis_rig r;
    struct client c[SUBSCRIBERS];
    redis_rig_start(&r, "", "--cores", server_two_cores());
    for (int i = 0; i < SUBSCRIBERS; i++) {
        redis_rig_begin(&r, &c[i],
                        i % 2 ? "/subscribe?c=a&c=b&n=3" : "/subscribe?c=b&c=a&n=3&close=1");
        await_text(&c[i], "subscribed\n");
    }
    for (int i = 0; i < SUBSCRIBERS; i++) {
        char path[64], seen[32];
        snprintf(path, sizeof path, "/run?w=PUBLISH&w=c%d&w=x", i);
        redis_rig_run(&r, path, ":0"); /* nobody's channel */
        if (i >= 3) continue;
        snprintf(path, sizeof path, "/run?w=PUBLISH&w=%c&w=message+%d", i % 2 ? 'b' : 'a', i);
        redis_rig_run(&r, path, ":16");
        snprintf(seen, sizeof seen, "%c: message %d\n", i % 2 ? 'b' : 'a', i);
        for (int k = 0; k < SUBSCRIBERS; k++) await_text(&c[k], seen);
    }
    for (int i = 0; i < SUBSCRIBERS; i++) {
        await_text(&c[i], "0\r\n\r\n");
        client_close(&c[i]);
    }
    redis_rig_await(&r, "PUBLISH a x", ":0"); /* their connections have closed */
    redis_rig_stop(&r);
}

static void test_pattern(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "");
    redis_rig_begin(&r, &c, "/subscribe?p=news.*&n=1");
    await_text(&c, "subscribed\n");
    redis_rig_await(&r, "PUBLISH news.sport win", ":1");
    await_text(&c, "news.sport: win\n");
    client_close(&c);
    redis_rig_stop(&r);
}

static void test_large_message(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "");
    redis_rig_begin(&r, &c, "/subscribe?c=a&n=1");
    await_text(&c, "subscribed\n");
    redis_rig_ask(&r, "EVAL \"redis.call('PUBLISH','a',string.rep('x',10000)..'end')\" 0");
    await_text(&c, "xxxend\n");
    client_close(&c);
    redis_rig_stop(&r);
}

static void test_restart_is_reported(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "");
    redis_rig_begin(&r, &c, "/subscribe?c=a&n=2");
    await_text(&c, "subscribed\n");
    redis_rig_await(&r, "PUBLISH a before", ":1");
    await_text(&c, "a: before\n");
    redis_rig_down(&r);
    redis_rig_up(&r);
    await_text(&c, "resubscribed\n");
    redis_rig_await(&r, "PUBLISH a after", ":1");
    await_text(&c, "a: after\n");
    client_close(&c);
    redis_rig_stop(&r);
}

static void tell_address(const struct redis_rig *r, const char *path)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f, "127.0.0.1:%u", r->port);
    assert_int_equal(fclose(f), 0);
}

/* Its name then means another address, which a subscription finds by itself. */
static void test_move(void **state)
{
    (void)state;
    struct redis_rig r, moving = {0};
    struct client c;
    char path[128];
    redis_rig_start(&r, "");
    snprintf(path, sizeof path, "%s/address", r.dir);
    tell_address(&r, path);
    setenv("REDIS_MOVING", path, 1);
    redis_rig_start_server(&moving, "moving:1", "", (const char *const[]){NULL});
    redis_rig_begin(&moving, &c, "/subscribe?c=a&n=1");
    await_text(&c, "subscribed\n");
    redis_rig_move(&r);
    tell_address(&r, path);
    await_text(&c, "resubscribed\n");
    redis_rig_await(&r, "PUBLISH a after", ":1");
    await_text(&c, "a: after\n");
    client_close(&c);
    redis_rig_stop(&moving);
    unsetenv("REDIS_MOVING");
    unlink(path);
    redis_rig_stop(&r);
}

static void test_client_leaves(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "- 0 1 1");
    for (int i = 0; i < 5; i++) { /* there is one connection */
        redis_rig_begin(&r, &c, "/subscribe?c=a&n=1");
        await_text(&c, "subscribed\n");
        client_reset(&c);
    }
    redis_rig_await(&r, "PUBLISH a x", ":0");
    redis_rig_stop(&r);
}

/* One in each message that comes. */
static int colons(const char *bytes, size_t n)
{
    int found = 0;
    for (size_t i = 0; i < n; i++) found += bytes[i] == ':';
    return found;
}

/* More than is kept for a reader that does not read, and than sockets take: all of it comes later.
 */
static void test_slow_reader(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    static char bytes[64 * 1024];
    int seen = 0;
    redis_rig_start(&r, "");
    client_open_to(&c, &r.server.addr, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(&c, "GET", "/subscribe?c=a&n=10000", "");
    await_text(&c, "subscribed\n");
    redis_rig_ask(
        &r, "EVAL \"for i=1,10000 do redis.call('PUBLISH','a',string.rep('x',2000)..i) end\" 0");
    while (seen < 10000) {
        ssize_t n = tcp_try_receive(c.fd, bytes, sizeof bytes);
        assert_true(n > 0);
        seen += colons(bytes, (size_t)n);
    }
    assert_int_equal(seen, 10000);
    client_close(&c);
    redis_rig_stop(&r);
}

static void test_drain(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "", "--drain-timeout", "50ms");
    redis_rig_begin(&r, &c, "/subscribe?c=a&n=1");
    await_text(&c, "subscribed\n");
    server_stop(&r.server);
    client_close(&c);
    redis_rig_stop(&r);
}

int main(int argc, char **argv)
{
    redis_rig_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_across_cores),  cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_large_message), cmocka_unit_test(test_restart_is_reported),
        cmocka_unit_test(test_move),          cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_slow_reader),   cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
