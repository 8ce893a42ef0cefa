/* Memory that many clients took together is given back once they are gone. */

#include "client.h"
#include "server.h"

#include <stdlib.h>

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
    for (int i = 0; i < SERVER_SECONDS * 10; i++, sleep_ms(100))
        if (server_memory(&s) < before + KEPT) break;
    size_t after = server_memory(&s);
    if (after >= before + KEPT) print_error("%zu bytes before, %zu after\n", before, after);
    assert_true(after < before + KEPT);
    free(zeros);
    reply_free(&r);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
