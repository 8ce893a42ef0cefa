/* A server that is started with listening sockets, as by systemd. */

#include "client.h"
#include "stats.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3, ROOM = 64 };

/* Sockets for the servers that follow; it stays ours. */
static struct held {
    int fd[2];
    unsigned n;
    struct server_addr addr;
    bool foreign; /* LISTEN_PID is of another process */
} held;

static int open_tcp(struct server_addr *out)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 128), 0);
    out->len = sizeof out->storage;
    assert_int_equal(getsockname(fd, &out->sa, &out->len), 0);
    return fd;
}

static int hold_one(void **state)
{
    (void)state;
    held = (struct held){.n = 1};
    held.fd[0] = open_tcp(&held.addr);
    return 0;
}

static int release(void **state)
{
    (void)state;
    for (unsigned i = 0; i < held.n; i++) close(held.fd[i]);
    return 0;
}

/* In the child, as systemd does. */
static void pass(void *arg)
{
    char text[16];
    (void)arg;
    int high[2];
    for (unsigned i = 0; i < held.n; i++) high[i] = fcntl(held.fd[i], F_DUPFD_CLOEXEC, ROOM);
    for (unsigned i = 0; i < held.n; i++) dup2(high[i], FIRST + (int)i);
    snprintf(text, sizeof text, "%d", (int)getpid() + held.foreign);
    setenv("LISTEN_PID", text, 1);
    snprintf(text, sizeof text, "%u", held.n);
    setenv("LISTEN_FDS", text, 1);
    setenv("LISTEN_FDNAMES", "http", 1);
}

static void start_list(struct server *s, const char *const *options)
{
    server_spawn(s, &(struct server_how){.engine = server_engine, .prepare = pass}, options);
    server_await_ready(s);
}

#define START(s, ...)                                                                              \
    start_list(s, (const char *const[]){"--admin", "127.0.0.1:0", __VA_ARGS__ __VA_OPT__(, ) NULL})

static void expect_served(const struct server_addr *addr)
{
    struct client c;
    struct reply r = {0};
    client_open_to(&c, addr, NULL);
    client_get(&c, "/peer", 200, &r);
    client_close(&c);
    reply_free(&r);
}

static void expect_addr(const struct server *s)
{
    assert_int_equal(s->addr.len, held.addr.len);
    assert_memory_equal(&s->addr.storage, &held.addr.storage, held.addr.len);
}

/* Without --listen, by its name, and by its descriptor. */
static void test_serves(void **state)
{
    static const char *const how[][2] = {
        {"--cores", "1"}, {"--listen", "systemd"}, {"--listen", "fd:3"}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct server s;
        START(&s, how[i][0], how[i][1]);
        expect_addr(&s);
        expect_served(&held.addr);
        server_stop(&s);
    }
}

/* Children of handlers do not see the variables. */
static void test_variables_are_removed(void **state)
{
    struct server s;
    struct client c;
    struct reply r = {0};
    (void)state;
    START(&s);
    client_open_to(&c, &held.addr, NULL);
    client_get(&c, "/environment", 200, &r);
    assert_string_equal(r.body, "none");
    client_close(&c);
    reply_free(&r);
    server_stop(&s);
}

static void test_of_another_process(void **state)
{
    struct server s;
    const char *const options[] = {"--listen", "systemd", NULL};
    (void)state;
    held.foreign = true;
    START(&s, "--listen", "127.0.0.1:0");
    assert_true(memcmp(&s.addr.storage, &held.addr.storage, held.addr.len) != 0);
    server_stop(&s);
    const struct server_how how = {.engine = server_engine, .prepare = pass};
    assert_int_equal(server_run(&s, &how, options), 2);
    assert_non_null(
        strstr(server_log(&s), "--listen systemd: the sockets of LISTEN_FDS are for the "));
    server_free(&s);
}

/* Whoever connects to them would wait. */
static void test_not_asked_for(void **state)
{
    struct server s;
    (void)state;
    START(&s, "--listen", "127.0.0.1:0");
    server_expect_log(&s, "the sockets of LISTEN_FDS are not served");
    server_stop(&s);
    START(&s, "--listen", "127.0.0.1:0", "--listen", "fd:3");
    assert_null(strstr(server_log(&s), "LISTEN_FDS"));
    server_stop(&s);
}

static void test_what_is_no_listener(void **state)
{
    static const char *const wrong[] = {"fd:0", "fd:3", "fd:999"};
    struct server s;
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    close(held.fd[0]);
    held.fd[0] = pair[0];
    for (size_t i = 0; i < 3; i++) {
        const char *const options[] = {"--listen", wrong[i], NULL};
        const struct server_how how = {.engine = server_engine, .prepare = pass};
        assert_int_equal(server_run(&s, &how, options), 2);
        assert_non_null(strstr(server_log(&s), " is no listening socket: "));
        server_free(&s);
    }
    close(pair[1]);
}

static void test_given_twice(void **state)
{
    static const char *const again[] = {"fd:3", "systemd"};
    struct server s;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *const options[] = {"--listen", "fd:3", "--listen", again[i], NULL};
        const struct server_how how = {.engine = server_engine, .prepare = pass};
        assert_int_equal(server_run(&s, &how, options), 2);
        assert_non_null(strstr(server_log(&s), " overlaps another --listen\n"));
        server_free(&s);
    }
}

struct local {
    char dir[64];
    struct sockaddr_un un;
    struct server_addr addr;
};

/* The second socket that is held. */
static void open_local(struct local *l, int backlog)
{
    *l = (struct local){.dir = "/tmp/torc-test-inherited-XXXXXX", .un.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->un.sun_path, sizeof l->un.sun_path, "%s/socket", l->dir);
    l->addr.len = sizeof l->un;
    memcpy(&l->addr.storage, &l->un, sizeof l->un);
    held.fd[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(held.fd[1], &l->addr.sa, l->addr.len), 0);
    assert_int_equal(listen(held.fd[1], backlog), 0);
    held.n = 2;
}

static void close_local(const struct local *l)
{
    unlink(l->un.sun_path);
    assert_int_equal(rmdir(l->dir), 0);
}

static void test_unix_socket(void **state)
{
    struct local local;
    struct server s;
    (void)state;
    open_local(&local, 16);
    for (int i = 0; i < 2; i++) {
        START(&s, "--cores", server_two_cores());
        server_await_log(&s, local.un.sun_path);
        expect_served(&local.addr);
        expect_served(&held.addr);
        server_stop(&s);
        assert_int_equal(access(local.un.sun_path, F_OK), 0); /* it is not ours */
    }
    close_local(&local);
}

/* A reload reads the options again, when the variables have gone. */
static void test_reload(void **state)
{
    char config[] = "/tmp/torc-test-inherited-XXXXXX";
    struct server s;
    (void)state;
    int fd = mkstemp(config);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "idle-timeout = 30s\n", 19), 19);
    START(&s, "--config", config);
    assert_int_equal(pwrite(fd, "idle-timeout = 40s\n", 19, 0), 19);
    close(fd);
    server_signal(&s, SIGHUP);
    server_await_log(&s, "settings changed: 1");
    expect_served(&held.addr);
    server_stop(&s);
    unlink(config);
}

/* All clients connect while the server is stopped, so that they are in the queue at once, which is
 * longer than the server would make its own. At the limit they wait for one another; none is left
 * without an answer. */
static void crowd(const struct server_addr *addr)
{
    enum { N = 60 };
    static struct client c[N];
    struct server s;
    START(&s, "--cores", "1", "--backlog", "1", "--max-connections", "8", "--admit-timeout", "1h");
    server_signal(&s, SIGSTOP);
    for (int i = 0; i < N; i++) {
        client_open_to(&c[i], addr, NULL);
        client_ask(&c[i], "GET", "/peer", "");
    }
    server_signal(&s, SIGCONT);
    for (int i = 0; i < N; i++) {
        struct reply r = {0};
        client_reply(&c[i], "GET", &r);
        assert_int_equal(r.status, 200);
        reply_free(&r);
        client_close(&c[i]);
    }
    server_stop(&s);
}

static void test_longer_queue(void **state)
{
    (void)state;
    crowd(&held.addr);
}

static void test_longer_queue_of_a_unix_socket(void **state)
{
    struct local local;
    (void)state;
    open_local(&local, 128);
    crowd(&local.addr);
    close_local(&local);
}

/* ---- sockets that others shut down ---- */

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    while ((text = strstr(text, what))) n++, text++;
    return n;
}

/* The server drains, and says once why it does. */
static void expect_end(struct server *s, struct client *asks, const char *address)
{
    char line[256];
    struct reply r = {0};
    snprintf(line, sizeof line, "the listening socket %s was shut down from outside", address);
    server_await_log(s, line);
    client_reply(asks, "GET", &r);
    assert_int_equal(r.status, 200);
    client_close(asks);
    reply_free(&r);
    assert_int_equal(server_wait(s), 1);
    assert_int_equal(count(server_log(s), "was shut down"), 1);
    server_free(s);
}

static void shut_down(const struct server_addr *addr, int fd, const char *address)
{
    struct server s;
    struct client c;
    START(&s, "--cores", server_two_cores(), "--drain-timeout", "60s");
    client_open_to(&c, addr, NULL);
    client_ask(&c, "GET", "/slow", "");
    server_await_log(&s, "handler: begins");
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    expect_end(&s, &c, address);
}

static void test_shut_down(void **state)
{
    char address[64];
    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u",
             ntohs(((const struct sockaddr_in *)&held.addr.storage)->sin_port));
    shut_down(&held.addr, held.fd[0], address);
}

static void test_unix_socket_is_shut_down(void **state)
{
    struct local local;
    char address[128];
    (void)state;
    open_local(&local, 16);
    snprintf(address, sizeof address, "unix:%s", local.un.sun_path);
    shut_down(&local.addr, held.fd[1], address);
    close_local(&local);
}

/* ---- two servers at a time ---- */

static void start_on(struct server *s, const char *engine)
{
    const char *const options[] = {"--cores", "1", "--listen", "fd:3", NULL};
    server_spawn(s, &(struct server_how){.engine = engine, .prepare = pass}, options);
    server_await_ready(s);
}

static void ask(struct client *c)
{
    struct reply r = {0};
    client_get(c, "/peer", 200, &r);
    reply_free(&r);
}

/* An open connection holds up neither of them, whoever takes the next. */
static void share(const char *first, const char *second)
{
    enum { CLIENTS = 20 };
    struct server one, other;
    struct client old, c[CLIENTS];
    start_on(&one, first);
    client_open_to(&old, &held.addr, NULL);
    ask(&old);
    start_on(&other, second);
    for (int i = 0; i < CLIENTS; i++) {
        client_open_to(&c[i], &held.addr, NULL);
        ask(&c[i]);
        ask(&old);
    }
    for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    client_close(&old);
    server_stop(&one);
    expect_served(&held.addr);
    server_stop(&other);
}

/* What one does to the socket, the other finds. */
static void test_two_engines_share_it(void **state)
{
    static const char *const others[] = {"epoll", "threads"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        share(server_engine, others[i]);
        share(others[i], server_engine);
    }
}

/* ---- one server after the other ---- */

static atomic_bool stop;
static atomic_uint served, refused, cut;

/* Connects again and again; none is refused. A server that drains may close a connection on which
 * no request comes soon: on a busy machine, that is repeated. */
static void *client(void *arg)
{
    static const char request[] = "GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    (void)arg;
    while (!atomic_load(&stop)) {
        char reply[1024];
        int fd = tcp_try_connect(&held.addr.sa, held.addr.len, NULL);
        if (fd < 0) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        ssize_t n = tcp_try_send(fd, request, sizeof request - 1)
                        ? tcp_try_receive(fd, reply, sizeof reply)
                        : 0;
        atomic_fetch_add(n > 12 && memcmp(reply, "HTTP/1.1 200", 12) == 0 ? &served : &cut, 1);
        close(fd);
    }
    return NULL;
}

static void await_served(unsigned more)
{
    unsigned want = atomic_load(&served) + more;
    double until = now_seconds() + SERVER_SECONDS;
    while (atomic_load(&served) < want && now_seconds() < until) sleep_ms(2);
    assert_true(atomic_load(&served) >= want);
}

/* The socket stays open: clients wait in its queue while there is no server. */
static void test_restarts(void **state)
{
    enum { CLIENTS = 4, ROUNDS = 4 };
    pthread_t thread[CLIENTS];
    struct server s;
    (void)state;
    START(&s, "--cores", server_two_cores());
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, client, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        await_served(20);
        server_stop(&s);
        START(&s, "--cores", server_two_cores());
    }
    await_served(20);
    atomic_store(&stop, true);
    for (int i = 0; i < CLIENTS; i++) pthread_join(thread[i], NULL);
    server_stop(&s);
    assert_int_equal(atomic_load(&refused), 0);
    print_message("served %u, closed before the request %u\n", atomic_load(&served),
                  atomic_load(&cut));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_serves, hold_one, release),
        cmocka_unit_test_setup_teardown(test_variables_are_removed, hold_one, release),
        cmocka_unit_test_setup_teardown(test_of_another_process, hold_one, release),
        cmocka_unit_test_setup_teardown(test_not_asked_for, hold_one, release),
        cmocka_unit_test_setup_teardown(test_what_is_no_listener, hold_one, release),
        cmocka_unit_test_setup_teardown(test_given_twice, hold_one, release),
        cmocka_unit_test_setup_teardown(test_unix_socket, hold_one, release),
        cmocka_unit_test_setup_teardown(test_reload, hold_one, release),
        cmocka_unit_test_setup_teardown(test_longer_queue, hold_one, release),
        cmocka_unit_test_setup_teardown(test_longer_queue_of_a_unix_socket, hold_one, release),
        cmocka_unit_test_setup_teardown(test_shut_down, hold_one, release),
        cmocka_unit_test_setup_teardown(test_unix_socket_is_shut_down, hold_one, release),
        cmocka_unit_test_setup_teardown(test_two_engines_share_it, hold_one, release),
        cmocka_unit_test_setup_teardown(test_restarts, hold_one, release),
    };
    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
