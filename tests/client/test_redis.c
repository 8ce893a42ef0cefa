/* Handlers that ask Redis: commands, and a Redis that is slow, down, restarted or absent. */

#include "redis_rig.h"
#include "stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static void expect(struct client *c, const char *method_path, const char *body)
{
    struct reply r = {0};
    client_get(c, method_path, 200, &r);
    assert_string_equal(r.body, body);
    reply_free(&r);
}

/* Until the answer is this one, as after a restart. */
static void await_answer(struct server *s, const char *path, const char *body)
{
    for (int i = 0; i < SERVER_SECONDS * 100; i++) {
        struct client c;
        struct reply r = {0};
        client_open(&c, s);
        client_get(&c, path, 200, &r);
        bool fits = strcmp(r.body, body) == 0;
        reply_free(&r);
        client_close(&c);
        if (fits) return;
        sleep_ms(10);
    }
    fail_msg("%s never answers %s", path, body);
}

/* ---- up ---- */

static void test_commands(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "- 3");
    client_open(&c, &r.server);
    expect(&c, "/run?w=SET&w=k&w=a%0Ab%00c", "+OK");
    expect(&c, "/run?w=STRLEN&w=k", ":5");
    expect(&c, "/run?w=GET&w=none", "nil");
    expect(&c, "/run?w=rpush&w=l&w=1&w=&w=3&free=1", ":3");
    expect(&c, "/run?w=LRANGE&w=l&w=0&w=-1", "*3 $1 $ $3");
    expect(&c, "/run?w=LRANGE&w=no&w=0&w=-1", "*0");
    expect(&c, "/run?w=EVAL&w=return+%7B1,%7B%7D,%7B%27a%27,false%7D%7D&w=0", "*3 :1 *0 *2 $a nil");
    expect(&c, "/run?w=INCR&w=l",
           "-WRONGTYPE Operation against a key holding the wrong kind of value");
    assert_true(stats_number(&r.server, "program.redis_errors_total") == 1);
    assert_true(stats_number(&r.server, "program.redis_connects_total") == 1);
    assert_true(stats_number(&r.server, "program.redis_connections") == 1);
    expect(&c, "/format?w=f+%25s&w=x+y", "0 0 x y EREMOTEIO EINVAL EINVAL");
    redis_rig_await(&r, "GET k", "$-1"); /* they went to another database */
    client_close(&c);
    redis_rig_stop(&r);
}

static void test_refused_commands(void **state)
{
    (void)state;
    static const char *const commands[] = {"MULTI",
                                           "EXEC",
                                           "watch&w=k",
                                           "SELECT&w=1",
                                           "Subscribe&w=c",
                                           "MONITOR",
                                           "WAIT&w=0&w=0",
                                           "CLIENT&w=reply&w=off",
                                           "REPLCONF&w=ACK&w=0",
                                           "SCRIPT&w=DEBUG&w=YES",
                                           "POST",
                                           "",
                                           "RESET",
                                           "QUIT"};
    struct redis_rig r;
    struct client c;
    char path[128];
    redis_rig_start(&r, "");
    client_open(&c, &r.server);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        snprintf(path, sizeof path, "/run?w=%s", commands[i]);
        expect(&c, path, "!EINVAL");
    }
    expect(&c, "/run", "!EINVAL");
    expect(&c, "/run?w=CLIENT&w=SETNAME&w=reply", "+OK");
    expect(&c, "/run?w=ECHO&w=its+own", "$its own");
    expect(&c, "/run?w=EVAL&w=return+1&w=0", ":1");
    client_close(&c);
    redis_rig_stop(&r);
}

static void test_large_replies(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?w=SETRANGE&w=big&w=5000000&w=x", ":5000001");
    redis_rig_run(&r, "/run?w=EVAL&w=return+%23redis.call(%27GET%27,%27big%27)&w=0", ":5000001");
    for (int i = 0; i < 3; i++) {
        struct client c;
        struct reply reply = {0};
        client_open(&c, &r.server);
        client_get(&c, "/run?w=GET&w=big&free=1", 200, &reply);
        assert_int_equal(reply.body[0], '$');
        reply_free(&reply);
        client_close(&c);
    }
    redis_rig_stop(&r);
}

/* What the kernel does not take at once is sent whatever its bytes are. */
/* "return {{...1...}}", as a query. */
static void nested_path(char *out, int arrays)
{
    out += sprintf(out, "/run?w=EVAL&w=return+");
    for (int i = 0; i < arrays; i++) out += sprintf(out, "%%7B");
    *out++ = '1';
    for (int i = 0; i < arrays; i++) out += sprintf(out, "%%7D");
    sprintf(out, "&w=0");
}

static void nested_body(char *out, int arrays)
{
    for (int i = 0; i < arrays; i++) out += sprintf(out, "*1 ");
    sprintf(out, ":1");
}

/* Replies that are deeper than any of Redis' own; who shares the connection with one that is too
 * deep does not suffer. */
static void test_deep_replies(void **state)
{
    (void)state;
    char path[1024], body[512];
    struct redis_rig r;
    struct client c, before, deep, after;
    redis_rig_start(&r, "");
    client_open(&c, &r.server);
    for (int arrays = 8; arrays <= 64; arrays *= 2) {
        nested_path(path, arrays);
        nested_body(body, arrays);
        expect(&c, path, body);
        nested_path(path, arrays + 1);
        nested_body(body, arrays + 1);
        expect(&c, path, arrays < 64 ? body : "!EMSGSIZE");
    }
    client_close(&c);
    nested_path(path, 100);
    kill(r.pid, SIGSTOP);
    redis_rig_begin(&r, &before, "/run?w=INCR&w=n");
    redis_rig_begin(&r, &deep, path);
    redis_rig_begin(&r, &after, "/run?w=APPEND&w=s&w=text");
    server_await_log(&r.server, "runs INCR\n");
    server_await_log(&r.server, "runs APPEND\n");
    kill(r.pid, SIGCONT);
    redis_rig_answer(&before, ":1");
    redis_rig_answer(&deep, "!EMSGSIZE");
    redis_rig_answer(&after, ":4");
    redis_rig_run(&r, "/run?w=PING", "+PONG");
    assert_true(stats_number(&r.server, "program.redis_connects_total") == 1);
    assert_true(stats_number(&r.server, "program.redis_lost_total") == 0);
    redis_rig_stop(&r);
}

static void test_large_commands(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/zeros?n=8388608", "a reply");
    redis_rig_run(&r, "/run?w=STRLEN&w=big", ":8388608");
    redis_rig_stop(&r);
}

/* One for which there is none is not sent, and the others on its connection do not suffer; nor does
 * a connection open without. */
static void test_no_memory(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    redis_rig_start(&r, "- 1");
    redis_rig_run(&r, "/clock", "set");
    redis_rig_run(&r, "/memory?most=1", "set");
    redis_rig_run(&r, "/run?w=PING", "!ENOMEM");
    redis_rig_run(&r, "/clock?ms=100", "set");
    redis_rig_run(&r, "/subscribe?c=c", "!ENOMEM");
    redis_rig_run(&r, "/clock?ms=200", "set");
    redis_rig_run(&r, "/memory?most=1000000", "set");
    redis_rig_run(&r, "/run?w=PING", "+PONG");
    kill(r.pid, SIGSTOP);
    redis_rig_begin(&r, &c, "/run?w=INCR&w=n");
    server_await_log(&r.server, "runs INCR\n");
    redis_rig_run(&r, "/zeros?n=8388608", "ENOMEM");
    kill(r.pid, SIGCONT);
    redis_rig_answer(&c, ":1");
    redis_rig_run(&r, "/run?w=EXISTS&w=big", ":0");
    redis_rig_run(&r, "/memory", "set");
    redis_rig_run(&r, "/zeros?n=8388608", "a reply");
    assert_true(stats_number(&r.server, "program.redis_connects_total") == 1);
    assert_true(stats_number(&r.server, "program.redis_lost_total") == 0);
    redis_rig_stop(&r);
}

static void test_commands_share_connections(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "- 0 2");
    for (int i = 0; i < 5; i++) redis_rig_run(&r, "/many?n=700", "done");
    redis_rig_await_info(&r, "connected_clients:3\r"); /* this one, too */
    redis_rig_stop(&r);
}

static void test_password(void **state)
{
    (void)state;
    struct redis_rig r, wrong = {0};
    char address[32];
    redis_rig_start(&r, "secret");
    redis_rig_ask(&r, "CONFIG SET requirepass secret");
    redis_rig_run(&r, "/run?w=SET&w=k&w=v", "+OK");
    redis_rig_run(&r, "/run?ms=1&w=BLPOP&w=none&w=0", "!ETIME");
    snprintf(address, sizeof address, "127.0.0.1:%u", r.port);
    redis_rig_start_server(&wrong, address, "guess", (const char *const[]){NULL});
    redis_rig_run(&wrong, "/run?w=GET&w=k", "!EACCES");
    redis_rig_run(&wrong, "/subscribe?c=c", "!EACCES");
    assert_non_null(strstr(server_log(&wrong.server), "WRONGPASS"));
    assert_null(strstr(server_log(&wrong.server), "Permission denied"));
    redis_rig_stop(&wrong);
    redis_rig_stop(&r);
}

/* ---- slow ---- */

static void test_slow(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?w=SET&w=k&w=v", "+OK");
    redis_rig_run(&r, "/run?w=DEBUG&w=SLEEP&w=0.3", "+OK");
    kill(r.pid, SIGSTOP);
    for (int i = 0; i < 3; i++) redis_rig_run(&r, "/run?ms=20&w=INCR&w=late", "!ETIME");
    kill(r.pid, SIGCONT);
    redis_rig_run(&r, "/run?w=GET&w=k", "$v"); /* and not the reply to another */
    redis_rig_run(&r, "/run?w=GET&w=late", "$3");
    redis_rig_stop(&r);
}

static void test_queue_is_bounded(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "- 0 1 1 4");
    redis_rig_run(&r, "/run?w=PING", "+PONG");
    kill(r.pid, SIGSTOP);
    for (int i = 0; i < 4; i++) redis_rig_run(&r, "/run?ms=5&w=PING", "!ETIME");
    redis_rig_run(&r, "/run?w=PING", "!EAGAIN"); /* those that were left count, too */
    assert_true(stats_number(&r.server, "program.redis_refused_total") == 1);
    assert_true(stats_number(&r.server, "program.redis_waiting") == 4);
    kill(r.pid, SIGCONT);
    await_answer(&r.server, "/run?w=PING", "+PONG");
    assert_true(stats_number(&r.server, "program.redis_commands_total") == 6);
    assert_true(stats_number(&r.server, "program.redis_waiting") == 0);
    redis_rig_stop(&r);
}

/* It takes connections, but does not greet. */
static void test_connect_timeout(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "- 1 1 1 4 50");
    kill(r.pid, SIGSTOP);
    redis_rig_run(&r, "/run?w=PING", "!ETIMEDOUT");
    redis_rig_run(&r, "/run?w=BLPOP&w=k&w=0", "!ETIMEDOUT");
    kill(r.pid, SIGCONT);
    await_answer(&r.server, "/run?w=PING", "+PONG");
    redis_rig_stop(&r);
}

/* ---- down, restarted, absent ---- */

/* The kernel gives up a connection to a machine that is gone after a minute, whether or not it has
 * bytes for it. */
static void test_vanished_machine(void **state)
{
    (void)state;
    struct redis_rig r;
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?w=PING", "+PONG");
    redis_rig_run(&r, "/patience", "60 60\n");
    redis_rig_stop(&r);
}

static void test_restart(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    struct reply reply = {0};
    redis_rig_start(&r, "");
    redis_rig_run(&r, "/run?w=PING", "+PONG");
    client_open(&c, &r.server);
    client_ask(&c, "GET", "/run?w=BLPOP&w=k&w=0", "");
    redis_rig_await_info(&r, "blocked_clients:1");
    redis_rig_down(&r);
    client_reply(&c, "GET", &reply);
    assert_string_equal(reply.body, "!ECONNABORTED");
    reply_free(&reply);
    await_answer(&r.server, "/run?w=PING", "!ECONNREFUSED");
    assert_true(stats_number(&r.server, "program.redis_lost_total") >= 1);
    assert_true(stats_number(&r.server, "program.redis_connect_failures_total") >= 1);
    assert_true(stats_number(&r.server, "program.redis_connections") == 0);
    for (int i = 0; i < 20; i++) expect(&c, "/run?w=BLPOP&w=k&w=0", "!ECONNREFUSED");
    expect(&c, "/subscribe?c=c", "!ECONNREFUSED");
    redis_rig_up(&r);
    await_answer(&r.server, "/run?w=PING", "+PONG");
    expect(&c, "/run?w=RPUSH&w=k&w=v", ":1");
    expect(&c, "/run?w=BLPOP&w=k&w=0", "*2 $k $v");
    client_close(&c);
    redis_rig_stop(&r);
}

static void test_absent(void **state)
{
    (void)state;
    struct redis_rig r = {0};
    redis_rig_start_server(&r, "unix:/nonexistent/redis", "", (const char *const[]){NULL});
    redis_rig_run(&r, "/run?w=PING", "!ENOENT");
    redis_rig_run(&r, "/run?w=BLPOP&w=k&w=0", "!ENOENT");
    redis_rig_stop(&r);
}

#define TEXT_107                                                                                   \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "1234567890123456"

static void test_addresses(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"nowhere", "EINVAL"},
                                           {":1", "EINVAL"},
                                           {"a:b", "EINVAL"},
                                           {"unix:", "EINVAL"},
                                           {"[::1:1", "EINVAL"},
                                           {"127.0.0.1:65536", "EINVAL"},
                                           {"unix:/" TEXT_107, "ENAMETOOLONG"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct server s;
        char said[64];
        setenv("REDIS_OPTIONS", wrong[i][0], 1);
        int status = server_run(&s, &(struct server_how){0}, (const char *const[]){NULL});
        snprintf(said, sizeof said, "torc_redis_new: %s", wrong[i][1]);
        if (status != 1 || !strstr(server_log(&s), said))
            fail_msg("%s: %d, %s", wrong[i][0], status, server_log(&s));
        server_free(&s);
    }
}

/* Redis listens on one of the addresses that it may have. */
static void test_name(void **state)
{
    (void)state;
    struct redis_rig r, named = {0};
    char address[32];
    redis_rig_start(&r, "");
    snprintf(address, sizeof address, "localhost:%u", r.port);
    redis_rig_start_server(&named, address, "", (const char *const[]){NULL});
    redis_rig_run(&named, "/run?w=SET&w=k&w=v", "+OK");
    redis_rig_run(&named, "/run?w=RPUSH&w=l&w=v", ":1");
    redis_rig_run(&named, "/run?w=BLPOP&w=l&w=0", "*2 $l $v");
    redis_rig_await(&r, "GET k", "$1");
    redis_rig_down(&r);
    await_answer(&named.server, "/run?w=PING", "!ECONNREFUSED");
    redis_rig_up(&r);
    await_answer(&named.server, "/run?w=PING", "+PONG");
    redis_rig_stop(&named);
    redis_rig_stop(&r);
}

/* ---- a server that breaks off ---- */

static int listen_with(struct redis_rig *r, const char *redis)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    char address[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(a.sin_port));
    *r = (struct redis_rig){0};
    redis_rig_start_server(r, address, redis, (const char *const[]){NULL});
    return fd;
}

static int listen_somewhere(struct redis_rig *r)
{
    return listen_with(r, "");
}

/* Takes one connection and one command, and answers that. */
static void serve_once(int listener, const char *answer)
{
    char bytes[256];
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
    if (*answer) assert_true(tcp_try_send(fd, answer, strlen(answer)));
    close(fd);
}

/* Likewise, behind a SELECT. */
static void serve_greeted(int listener, const char *answer)
{
    char bytes[256];
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
    assert_true(tcp_try_send(fd, "+OK\r\n", 5));
    assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
    if (*answer) assert_true(tcp_try_send(fd, answer, strlen(answer)));
    close(fd);
}

static void answered_by(void serve(int listener, const char *answer), int listener,
                        struct redis_rig *r, const char *path, const char *const *answers,
                        const char *body)
{
    struct client c;
    struct reply reply = {0};
    client_open(&c, &r->server);
    client_ask(&c, "GET", path, "");
    for (; *answers; answers++) serve(listener, *answers);
    client_reply(&c, "GET", &reply);
    assert_string_equal(reply.body, body);
    reply_free(&reply);
    client_close(&c);
}

static void answered(int listener, struct redis_rig *r, const char *path,
                     const char *const *answers, const char *body)
{
    answered_by(serve_once, listener, r, path, answers, body);
}

/* The first command of a pool. */
static void answered_first(const char *path, const char *answer, const char *body)
{
    struct redis_rig r;
    int fd = listen_somewhere(&r);
    answered(fd, &r, path, (const char *const[]){answer, NULL}, body);
    close(fd);
    redis_rig_stop(&r);
}

static void test_what_was_sent_is_not_repeated(void **state)
{
    (void)state;
    answered_first("/run?w=INCR&w=k", "", "!ECONNABORTED");
    answered_first("/run?w=INCR&w=k", ":1\r", "!ECONNABORTED");
    answered_first("/run?w=INCR&w=k", ":1\r\n", ":1");
    /* Sent once the connection's id is known. */
    answered_first("/run?w=BLPOP&w=k&w=0", ":5\r\n", "!ECONNABORTED");
}

/* The connection ends before it is open: whoever waits for it is told so once, and not that the
 * command may have taken effect. */
static void test_connections_that_do_not_open(void **state)
{
    static const char full[] = "-ERR max number of clients reached\r\n",
                      denied[] = "-DENIED Redis is running in protected mode\r\n";
    static const struct {
        const char *redis, *path, *answer, *line;
    } cases[] = {
        {"secret", "/run?w=INCR&w=k", "", "it has ended the connection"},
        {"secret", "/run?w=INCR&w=k", full, "ERR max number of clients reached"},
        {"secret", "/run?repeat=1&w=GET&w=k", "", "it has ended the connection"},
        {"secret", "/subscribe?c=c", "", "it has ended the connection"},
        {"", "/run?w=BLPOP&w=k&w=0", "", "it has ended the connection"},
        {"", "/run?w=BLPOP&w=k&w=0", full, "ERR max number of clients reached"},
        {"", "/run?w=BLPOP&w=k&w=0", denied, "DENIED Redis is running in protected mode"},
        /* Without a greeting it seemed open: the command was sent, but nobody has read it. */
        {"", "/run?w=INCR&w=k", full, "ERR max number of clients reached"},
        {"", "/run?w=INCR&w=k", denied, "DENIED Redis is running in protected mode"},
        {"", "/run?repeat=1&w=GET&w=k", full, "ERR max number of clients reached"},
        {"", "/subscribe?c=c", full, "ERR max number of clients reached"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_rig r;
        char line[128];
        bool command = strncmp(cases[i].path, "/run", 4) == 0;
        int fd = listen_with(&r, cases[i].redis);
        answered(fd, &r, cases[i].path, (const char *const[]){cases[i].answer, NULL},
                 "!ECONNREFUSED");
        snprintf(line, sizeof line, ": %s\n", cases[i].line);
        server_await_log(&r.server, line);
        assert_true(stats_number(&r.server, "program.redis_connect_failures_total") == 1);
        assert_true(stats_number(&r.server, "program.redis_refused_total") == command);
        assert_true(stats_number(&r.server, "program.redis_commands_total") == 0);
        assert_true(stats_number(&r.server, "program.redis_connects_total") == 0);
        assert_null(strstr(server_log(&r.server), "refused\n")); /* one reason is enough */
        assert_true(stats_number(&r.server, "program.redis_lost_total") == 0);
        assert_true(stats_number(&r.server, "program.redis_connections") == 0);
        close(fd);
        redis_rig_stop(&r);
    }
}

/* While the server takes connections and ends each before it answers, the pauses between them grow;
 * what was sent on one may have taken effect, unless the server says that it has not let it in. */
static void test_failures_in_a_row(void **state)
{
    static const struct {
        const char *answer, *body;
        bool sent;
    } cases[] = {{"-ERR max number of clients reached\r\n", "!ECONNREFUSED", false},
                 {"", "!ECONNABORTED", true}};
    static const unsigned pauses[] = {100, 200, 400, 800, 1600, 2000, 2000};
    enum { PAUSES = sizeof pauses / sizeof *pauses };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_rig r;
        char path[32];
        int fd = listen_somewhere(&r);
        const char *const answers[] = {cases[i].answer, NULL};
        redis_rig_run(&r, "/clock", "set");
        for (size_t k = 0; k < PAUSES; k++) {
            answered(fd, &r, "/run?w=INCR&w=k", answers, cases[i].body);
            snprintf(path, sizeof path, "/clock?ms=%u", pauses[k] - 1);
            redis_rig_run(&r, path, "set");
            redis_rig_run(&r, "/run?w=INCR&w=k", "!ECONNREFUSED"); /* without an attempt */
            redis_rig_run(&r, "/clock?ms=1", "set");
        }
        assert_true(stats_number(&r.server, "program.redis_connect_failures_total") == PAUSES);
        assert_true(stats_number(&r.server, "program.redis_connects_total") == 0);
        answered(fd, &r, "/run?w=INCR&w=k", (const char *const[]){":1\r\n", NULL}, ":1");
        double sent = cases[i].sent ? PAUSES : 0;
        assert_true(stats_number(&r.server, "program.redis_connects_total") == 1);
        assert_true(stats_number(&r.server, "program.redis_commands_total") == sent + 1);
        assert_true(stats_number(&r.server, "program.redis_lost_total") == sent);
        assert_true(stats_number(&r.server, "program.redis_refused_total") == 2 * PAUSES - sent);
        /* The next failure is the first of its row. */
        answered(fd, &r, "/run?w=INCR&w=k", answers, cases[i].body);
        redis_rig_run(&r, "/clock?ms=100", "set");
        answered(fd, &r, "/run?w=INCR&w=k", (const char *const[]){":2\r\n", NULL}, ":2");
        close(fd);
        redis_rig_stop(&r);
    }
}

/* On connections that have opened. */
static void test_what_may_be_is_repeated(void **state)
{
    (void)state;
    struct redis_rig r;
    int fd = listen_with(&r, "- 1");
    answered_by(serve_greeted, fd, &r, "/run?repeat=1&w=GET&w=k",
                (const char *const[]){"", "+a\r\n", NULL}, "+a");
    answered_by(serve_greeted, fd, &r, "/run?repeat=1&w=GET&w=k",
                (const char *const[]){"", "", "+b\r\n", NULL}, "+b");
    answered_by(serve_greeted, fd, &r, "/run?repeat=1&w=GET&w=k",
                (const char *const[]){"", "", "", NULL}, "!ECONNABORTED");
    close(fd);
    redis_rig_stop(&r);
}

/* The connection breaks and the deadline passes in one turn: there is no other try, which nothing
 * would end. */
static void test_deadline_before_another_try(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c, holder;
    struct reply reply = {0};
    char bytes[256];
    int listener = listen_with(&r, "- 1");
    client_open(&c, &r.server);
    client_open(&holder, &r.server);
    client_ask(&c, "GET", "/run?ms=1000&repeat=1&w=GET&w=k", "");
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
    assert_true(tcp_try_send(fd, "+OK\r\n", 5));
    assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
    client_ask(&holder, "GET", "/hold?ms=1300", "");
    server_await_log(&r.server, "holds the core\n");
    close(fd);
    client_reply(&holder, "GET", &reply);
    reply_free(&reply);
    client_reply(&c, "GET", &reply);
    assert_string_equal(reply.body, "!ETIME");
    reply_free(&reply);
    client_close(&holder);
    client_close(&c);
    close(listener);
    redis_rig_stop(&r);
}

/* A Unix socket at that path; the connections that its queue takes are made. */
static int listen_full(const char *path, size_t *queued)
{
    const struct timeval patience = {.tv_sec = SERVER_SECONDS};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    for (*queued = 0;; ++*queued) {
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int err = connect(client, (struct sockaddr *)&a, sizeof a) < 0 ? errno : 0;
        close(client);
        if (err) {
            assert_int_equal(err, EAGAIN);
            return fd;
        }
    }
}

/* Its queue has room again, or does not before connect_timeout. */
static void test_unix_socket_that_is_full(void **state)
{
    static const char *const options[] = {"- 0 1 1 4 60000", "- 0 1 1 4 50"};
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct redis_rig r = {0};
        struct client c;
        char dir[] = "/tmp/torc-redis.XXXXXX", path[64], address[80];
        size_t queued;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/socket", dir);
        snprintf(address, sizeof address, "unix:%s", path);
        int listener = listen_full(path, &queued);
        redis_rig_start_server(&r, address, options[i], (const char *const[]){NULL});
        redis_rig_begin(&r, &c, "/run?w=INCR&w=k");
        server_await_log(&r.server, "runs INCR\n");
        redis_rig_run(&r, "/hold", "held"); /* and it has tried */
        for (; i == 0 && queued > 0; queued--) close(accept(listener, NULL, NULL));
        if (i == 0) serve_once(listener, ":1\r\n");
        redis_rig_answer(&c, i == 0 ? ":1" : "!ETIMEDOUT");
        close(listener);
        unlink(path);
        rmdir(dir);
        redis_rig_stop(&r);
    }
}

/* The client of a command that blocks leaves while its connection opens, which then serves the
 * next: or a deadline that is shorter than that would open one in vain again and again. */
static void test_connection_of_one_who_left(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client first, second;
    char bytes[256];
    int listener = listen_with(&r, "- 0 1 1"); /* one of each kind */
    redis_rig_begin(&r, &first, "/run?w=BLPOP&w=k&w=0");
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
    client_reset(&first);
    server_await_log(&r.server, "ended with ECONNRESET\n");
    redis_rig_begin(&r, &second, "/run?w=BLPOP&w=k&w=0");
    assert_true(tcp_try_send(fd, ":5\r\n", 4));
    ssize_t n = tcp_try_receive(fd, bytes, sizeof bytes);
    assert_true(n > 0 && memmem(bytes, (size_t)n, "BLPOP", 5));
    assert_true(tcp_try_send(fd, "*-1\r\n", 5));
    redis_rig_answer(&second, "nil");
    assert_true(stats_number(&r.server, "program.redis_connects_total") == 1);
    close(fd);
    close(listener);
    redis_rig_stop(&r);
}

/* A command is sent on a connection that the server has ended: what it answered, or said, before
 * that is not lost. */
static void test_replies_before_a_write_that_fails(void **state)
{
    static const struct {
        const char *answer, *first, *late;
    } cases[] = {
        {":1\r\n", ":1", "!ECONNABORTED"},
        {"-ERR max number of clients reached\r\n", "!ECONNREFUSED", "!ECONNREFUSED"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_rig r;
        struct client first, late;
        char bytes[256];
        int listener = listen_somewhere(&r);
        redis_rig_begin(&r, &first, "/run?w=INCR&w=k");
        int fd = accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        assert_true(tcp_try_receive(fd, bytes, sizeof bytes) > 0);
        redis_rig_begin(&r, &late, "/late?w=INCR&w=k");
        server_await_log(&r.server, "holds the core\n");
        assert_true(tcp_try_send(fd, cases[i].answer, strlen(cases[i].answer)));
        tcp_reset(fd);
        redis_rig_answer(&first, cases[i].first);
        redis_rig_answer(&late, cases[i].late);
        close(listener);
        redis_rig_stop(&r);
    }
}

static void test_no_redis(void **state)
{
    (void)state;
    answered_first("/run?w=GET&w=k", "HTTP/1.1 400 Bad\r\n\r\n", "!EPROTO");
    answered_first("/run?w=GET&w=k", "#t\r\n", "!EPROTO");
    answered_first("/run?w=GET&w=k", "+a\r\n+unasked\r\n", "+a");
    answered_first("/run?w=GET&w=k", "*2\r\n$1\r\na\r\n", "!ECONNABORTED");
}

/* A server that knows no AUTH tells what it got, which is not passed on. */
static void test_password_is_not_told(void **state)
{
    static const char unknown[] =
        "-ERR unknown command `AUTH`, with args beginning with: `secret`, \r\n";
    (void)state;
    struct redis_rig r;
    int fd = listen_with(&r, "secret");
    answered(fd, &r, "/run?w=GET&w=k", (const char *const[]){unknown, NULL}, "!EACCES");
    server_await_log(&r.server, ": ERR unknown command \n");
    assert_null(strstr(server_log(&r.server), "secret"));
    close(fd);
    redis_rig_stop(&r);
}

/* It announces far more than comes. */
static void test_announced_only(void **state)
{
    (void)state;
    struct redis_rig r;
    struct client c;
    struct reply reply = {0};
    int fd = listen_with(&r, "- 1");
    client_open(&c, &r.server);
    client_ask(&c, "GET", "/run?w=GET&w=k", "");
    serve_greeted(fd, "*10000000\r\n");
    client_reply(&c, "GET", &reply);
    assert_int_equal(reply.body[0], '!');
    reply_free(&reply);
    client_close(&c);
    answered_by(serve_greeted, fd, &r, "/run?w=GET&w=k", (const char *const[]){"+a\r\n", NULL},
                "+a");
    close(fd);
    redis_rig_stop(&r);
}

int main(int argc, char **argv)
{
    redis_rig_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_refused_commands),
        cmocka_unit_test(test_large_replies),
        cmocka_unit_test(test_deep_replies),
        cmocka_unit_test(test_large_commands),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_commands_share_connections),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_vanished_machine),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_what_was_sent_is_not_repeated),
        cmocka_unit_test(test_connections_that_do_not_open),
        cmocka_unit_test(test_failures_in_a_row),
        cmocka_unit_test(test_what_may_be_is_repeated),
        cmocka_unit_test(test_deadline_before_another_try),
        cmocka_unit_test(test_unix_socket_that_is_full),
        cmocka_unit_test(test_connection_of_one_who_left),
        cmocka_unit_test(test_replies_before_a_write_that_fails),
        cmocka_unit_test(test_no_redis),
        cmocka_unit_test(test_announced_only),
        cmocka_unit_test(test_password_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
