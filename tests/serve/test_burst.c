/* Memory that many clients took together is given back once they are gone. */

#include "client.h"
#include "server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void await_memory(const struct server *s, size_t most)
{
    size_t now = server_memory(s);
    for (int i = 0; i < SERVER_SECONDS * 10 && now >= most; i++, sleep_ms(100))
        now = server_memory(s);
    if (now >= most) print_error("%zu bytes, not less than %zu\n", now, most);
    assert_true(now < most);
}

static void memory_is_given_back(void **state)
{
    enum { KEPT = 16 << 20 };
    struct server s;
    static struct client c[400];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--write-timeout", "1h", "--write-buffer", "1m", "--buffer-memory", "1g");
    client_fetch(&s.addr, "/plaintext", &r);
    size_t before = server_memory(&s);
    char *zeros = calloc(1, 8 << 20);
    for (int i = 0; i < 400; i++) {
        size_t at = 0;
        client_open_to(&c[i], &s.addr, &(struct tcp_how){.receive_buffer = 4096});
        client_sendf(&c[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n");
        for (int idle = 0; idle < 20; sleep_ms(1)) {
            size_t last = at;
            client_send_some(&c[i], zeros, 8 << 20, &at);
            idle = at == last ? idle + 1 : 0;
        }
        if (server_memory(&s) > before + 4 * KEPT) break;
    }
    assert_true(server_memory(&s) > before + 2 * KEPT);
    for (int i = 0; i < 400; i++) client_close(&c[i]);
    await_memory(&s, before + KEPT);
    free(zeros);
    reply_free(&r);
    server_stop(&s);
}

/* What the allocator has in its heap: pieces too small for a mapping of their own, and large ones
 * once it has learned that they come again. */
static void what_the_heap_took_is_given_back(void **state)
{
    enum { CLIENTS = 120, BODY = 3 << 20, KEPT = 48 << 20 };
    struct server s;
    static struct client heads[1000], c[CLIENTS];
    static char field[15000];
    struct reply r = {0};
    char *zeros = calloc(1, BODY);
    (void)state;
    int n_heads = strcmp(server_engine, "threads") == 0 ? 0 : 1000;
    server_start(&s, "--write-timeout", "1h", "--buffer-memory", "2g", "--header-timeout", "1h");
    client_fetch(&s.addr, "/plaintext", &r);
    size_t before = server_memory(&s);
    memset(field, 'x', sizeof field - 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < n_heads; i++) {
            client_open(&heads[i], &s);
            client_sendf(&heads[i], "GET / HTTP/1.1\r\nX: %s", field);
        }
        for (int i = 0; i < CLIENTS; i++) {
            client_open_to(&c[i], &s.addr, &(struct tcp_how){.receive_buffer = 4096});
            client_sendf(&c[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                         (int)BODY);
            client_send(&c[i], zeros, BODY);
        }
        size_t now = 0;
        for (int i = 0; i < SERVER_SECONDS * 100 && now <= before + 2 * KEPT; i++, sleep_ms(10))
            now = server_memory(&s);
        assert_true(now > before + 2 * KEPT);
        for (int i = 0; i < n_heads; i++) client_close(&heads[i]);
        for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    }
    await_memory(&s, before + KEPT);
    free(zeros);
    reply_free(&r);
    server_stop(&s);
}

#ifdef __GLIBC__
/* That takes long, and requests would wait for it. */
static void no_core_looks_at_the_heap(void **state)
{
    static const char looked[] = "the heap is looked at by ";
    struct server s;
    struct reply r = {0};
    (void)state;
    server_start(&s);
    client_fetch(&s.addr, "/plaintext", &r);
    server_await_log(&s, looked);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    for (const char *at = server_log(&s); (at = strstr(at, looked)); at++)
        assert_memory_equal(at + strlen(looked), "torc-control\n", strlen("torc-control\n"));
    reply_free(&r);
    server_free(&s);
}
#endif

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    /* malloc_trim(3) leaves what is free at the end of every arena but the first. */
    setenv("MALLOC_ARENA_MAX", "1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_given_back),
    };
    const struct CMUnitTest of_malloc[] = {
        cmocka_unit_test(what_the_heap_took_is_given_back),
#ifdef __GLIBC__ /* others need no look */
        cmocka_unit_test(no_core_looks_at_the_heap),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (strstr(argv[1], "burst_server")) /* torc-lab has jemalloc, and holds less of a body */
        failed += cmocka_run_group_tests(of_malloc, NULL, NULL);
    return failed;
}
