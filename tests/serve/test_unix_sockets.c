/* A server that listens on Unix sockets. */

#include "client.h"
#include "refuse.h"
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/torc-test-unix-XXXXXX";
static char path[64], listen_on[80];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/socket", dir);
    snprintf(listen_on, sizeof listen_on, "unix:%s", path);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* nothing is left in it */
}

static bool exists(void)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static unsigned mode_of(const char *file)
{
    struct stat st;
    assert_int_equal(lstat(file, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    return st.st_mode & 0777;
}

static void expect_peer(const struct server_addr *addr)
{
    struct client c;
    struct reply r = {0};
    client_open_to(&c, addr, NULL);
    for (int i = 0; i < 2; i++) {
        client_get(&c, "/peer", 200, &r);
        assert_string_equal(r.body, "unix:");
    }
    client_close(&c);
    reply_free(&r);
}

static void test_serves(void **state)
{
    static const char *const more[] = {"--direct", "--no-direct"};
    char line[128];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s;
        server_start(&s, "--listen", listen_on, more[i], "--access-log", "-");
        snprintf(line, sizeof line, "torc: ready http://%s engine=", listen_on);
        server_await_log(&s, line);
        expect_peer(&s.addr);
        server_await_log(&s, "\nunix: - - [");
        assert_null(strstr(server_log(&s), "keep-alive"));
        server_stop(&s);
        assert_false(exists());
    }
}

/* Cores share the socket; each has its own of TCP. */
static void test_with_tcp_on_two_cores(void **state)
{
    enum { N = 40 };
    struct server s;
    struct client c[N];
    struct reply r = {0};
    (void)state;
    server_start(&s, "--cores", server_two_cores(), "--listen", "127.0.0.1:0", "--listen",
                 listen_on);
    struct server_addr local;
    server_addr_parse(listen_on, &local);
    for (int i = 0; i < N; i++) client_open_to(&c[i], i % 2 ? &local : &s.addr, NULL);
    for (int i = 0; i < N; i++) {
        client_get(&c[i], "/peer", 200, &r);
        assert_int_equal(strncmp(r.body, "unix:", 5) == 0, i % 2);
    }
    for (int i = 0; i < N; i++) client_close(&c[i]);
    reply_free(&r);
    server_stop(&s);
    assert_false(exists());
}

/* Whole responses, larger than what the kernel keeps, in both directions of a slow client. */
static void test_large_bodies(void **state)
{
    enum { SIZE = 4 << 20 };
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--listen", listen_on);
    client_open_to(&c, &s.addr, NULL);
    for (int i = 0; i < 3; i++) {
        client_ask(&c, "GET", "/large", "");
        sleep_ms(30);
        client_reply(&c, "GET", &r);
        assert_int_equal(r.body_len, SIZE);
    }
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_mode(void **state)
{
    struct server s;
    (void)state;
    mode_t before = umask(027);
    server_start(&s, "--listen", listen_on);
    assert_int_equal(mode_of(path), 0750);
    server_stop(&s);
    server_start(&s, "--listen", listen_on, "--socket-mode", "666");
    assert_int_equal(mode_of(path), 0666);
    server_stop(&s);
    umask(before);
}

static int run(struct server *s, const char *listen)
{
    const char *options[] = {"--listen", listen, "--cores", "1", NULL};
    return server_run(s, &(struct server_how){.engine = server_engine}, options);
}

/* A server that was killed has left its file; one that runs keeps it, and so does any other file.
 */
static void test_whose_file(void **state)
{
    struct server s, other;
    (void)state;
    server_start(&s, "--listen", listen_on);
    assert_int_equal(run(&other, listen_on), 1);
    assert_non_null(strstr(server_log(&other), "cannot listen on unix:"));
    assert_non_null(strstr(server_log(&other), "Address already in use"));
    server_free(&other);
    expect_peer(&s.addr);
    server_signal(&s, SIGKILL);
    server_wait(&s);
    server_free(&s);
    assert_true(exists());
    server_start(&s, "--listen", listen_on);
    expect_peer(&s.addr);
    server_stop(&s);
    assert_false(exists());
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(run(&other, listen_on), 1);
    server_free(&other);
    assert_true(exists());
    assert_int_equal(unlink(path), 0);
}

/* What another has put there by the end stays. */
static void test_another_file_stays(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, "--listen", listen_on);
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    server_stop(&s);
    assert_int_equal(unlink(path), 0);
}

/* While the one drains, the next can begin. */
static void test_next_server(void **state)
{
    struct server s, next;
    struct client c;
    (void)state;
    server_start(&s, "--listen", listen_on);
    client_open_to(&c, &s.addr, NULL);
    client_ask(&c, "GET", "/late", "");
    server_await_log(&s, "handler: waits\n");
    server_signal(&s, SIGTERM);
    while (tcp_try_connect(&s.addr.sa, s.addr.len, NULL) >= 0) sleep_ms(5);
    server_start(&next, "--listen", listen_on);
    client_close(&c);
    expect_peer(&next.addr);
    server_signal(&s, SIGTERM);
    server_wait(&s);
    server_free(&s);
    assert_true(exists());
    expect_peer(&next.addr);
    server_stop(&next);
    assert_false(exists());
}

/* Of the abstract namespace there is no file, and nothing is left of a server that is no more. */
static void test_abstract(void **state)
{
    struct server s, other;
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "unix:@torc-test-%d", (int)getpid());
    server_start(&s, "--listen", name);
    server_await_log(&s, name);
    expect_peer(&s.addr);
    assert_int_equal(run(&other, name), 1);
    server_free(&other);
    server_signal(&s, SIGKILL);
    server_wait(&s);
    server_free(&s);
    server_start(&s, "--listen", name);
    expect_peer(&s.addr);
    server_stop(&s);
}

/* The longest path is served, and one that is longer is named with the limit. */
static void test_long_paths(void **state)
{
    struct server s;
    char text[128] = "unix:";
    (void)state;
    size_t n = strlen("unix:") + 107;
    snprintf(text, sizeof text, "unix:%s/", dir);
    memset(text + strlen(text), 'a', n - strlen(text));
    text[n] = '\0';
    server_start(&s, "--listen", text);
    expect_peer(&s.addr);
    server_stop(&s);
    assert_int_equal(access(text + strlen("unix:"), F_OK), -1); /* it has removed its file */
    strcat(text, "a");
    assert_int_equal(run(&s, text), 2);
    server_expect_log(&s, "torc: --listen unix:/tmp/torc-test-unix-");
    server_expect_log(&s, "...: the path of a Unix socket may have at most 107 bytes, not 108\n");
    server_free(&s);
}

static void test_check(void **state)
{
    const char *options[] = {"--check", "--listen", listen_on, NULL};
    const char *wrong[] = {
        "unix:",
        "unix:@",
        "unix:/a b",
    };
    struct server s;
    char line[128];
    (void)state;
    assert_int_equal(server_run(&s, &(struct server_how){.engine = server_engine}, options), 0);
    snprintf(line, sizeof line, "listen       %s\n", listen_on);
    assert_non_null(strstr(server_log(&s), line));
    server_free(&s);
    assert_false(exists());
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(run(&s, wrong[i]), 2);
        assert_non_null(strstr(server_log(&s), "--listen takes ADDR:PORT"));
        server_free(&s);
    }
}

/* A trusted proxy may come this way; so few limits can be of the peer. */
static void test_trusted(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    server_start(&s, "--listen", listen_on, "--trust-proxy",
                 "unix:", "--max-connections-per-client", "1", "--rate-limit", "1/h");
    client_open_to(&c, &s.addr, NULL);
    for (int i = 1; i < 3; i++) {
        char field[64], want[64];
        snprintf(field, sizeof field, "X-Forwarded-For: 192.0.2.%d\r\n", i);
        snprintf(want, sizeof want, "http 192.0.2.%d", i);
        client_ask(&c, "GET", "/client", field);
        client_reply(&c, "GET", &r);
        assert_string_equal(r.body, want);
    }
    expect_peer(&s.addr);
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void refuse_removal(void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_unlinkat, .err = EPERM});
#ifdef SYS_unlink
    refuse_call(&(struct refusal){.call = SYS_unlink, .err = EPERM});
#endif
}

/* As of a server that has given up its rights meanwhile. */
static void test_a_file_that_stays_is_told_of(void **state)
{
    struct server s;
    struct server_how how = {server_engine, refuse_removal, NULL};
    char told[160];
    (void)state;
    server_spawn(&s, &how, (const char *const[]){"--listen", listen_on, "--cores", "1", NULL});
    server_await_ready(&s);
    server_signal(&s, SIGTERM);
    assert_int_equal(server_wait(&s), 0);
    snprintf(told, sizeof told, "torc: cannot remove the socket %s: Operation not permitted\n",
             path);
    server_expect_log(&s, told);
    server_free(&s);
    assert_int_equal(unlink(path), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves),       cmocka_unit_test(test_with_tcp_on_two_cores),
        cmocka_unit_test(test_large_bodies), cmocka_unit_test(test_mode),
        cmocka_unit_test(test_whose_file),   cmocka_unit_test(test_another_file_stays),
        cmocka_unit_test(test_next_server),  cmocka_unit_test(test_abstract),
        cmocka_unit_test(test_check),        cmocka_unit_test(test_trusted),
        cmocka_unit_test(test_long_paths),   cmocka_unit_test(test_a_file_that_stays_is_told_of),
    };
    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
