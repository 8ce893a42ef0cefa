#include "upstream.h"

#include "tcp.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROOM = 256 * 1024 };

struct visit {
    struct upstream *u;
    int fd;
    unsigned count; /* requests on this connection */
    char *in;       /* the request, NUL-terminated */
    size_t len, head;
};

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* ---- requests ---- */

static bool more(struct visit *v)
{
    ssize_t n = tcp_try_receive(v->fd, v->in + v->len, ROOM - 1 - v->len);
    if (n <= 0) return false;
    v->len += (size_t)n;
    v->in[v->len] = '\0';
    return true;
}

/* Reads a request with its body, whose end is that of its length or "0\r\n\r\n". */
static bool read_request(struct visit *v)
{
    char *end;
    v->len = 0;
    v->in[0] = '\0';
    while (!(end = strstr(v->in, "\r\n\r\n")))
        if (!more(v)) return false;
    v->head = (size_t)(end - v->in) + 4;
    if (strstr(v->in, " /early ") || strstr(v->in, " /ignore ") || strstr(v->in, " /mirror "))
        return true;
    const char *length = strstr(v->in, "\r\nContent-Length: ");
    bool chunked = strstr(v->in, "\r\nTransfer-Encoding: chunked");
    size_t body = length ? strtoul(length + 18, NULL, 10) : 0;
    while (length && v->len - v->head < body && v->len < ROOM - 1)
        if (!more(v)) return false;
    while (chunked && !strstr(v->in + v->head, "0\r\n\r\n"))
        if (!more(v)) return false;
    return true;
}

/* ---- responses ---- */

static bool send_text(struct visit *v, const char *text)
{
    return tcp_try_send(v->fd, text, strlen(text));
}

static bool send_body(struct visit *v, const char *body, size_t n)
{
    char head[100];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    bool to_head = strncmp(v->in, "HEAD ", 5) == 0;
    return send_text(v, head) && (to_head || tcp_try_send(v->fd, body, n));
}

/* In pieces, so that the parser meets each of them. */
static bool send_slowly(struct visit *v, const char *text)
{
    for (; *text; text++) {
        if (!tcp_try_send(v->fd, text, 1)) return false;
        if (*text == '\n') pause_a_little();
    }
    return true;
}

static bool send_big(struct visit *v)
{
    char *big = malloc(UPSTREAM_BIG);
    for (size_t i = 0; i < UPSTREAM_BIG; i++) big[i] = (char)('a' + i % 23);
    bool sent = send_body(v, big, UPSTREAM_BIG);
    free(big);
    return sent;
}

static bool send_big_head(struct visit *v)
{
    char line[1000];
    memset(line, 'x', sizeof line);
    bool sent = send_text(v, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; sent && i < 50; i++)
        sent = send_text(v, "X-Line: ") && tcp_try_send(v->fd, line, sizeof line) &&
               send_text(v, "\r\n");
    return sent && send_text(v, "Content-Length: 0\r\n\r\n");
}

/* A head of so many bytes, in one piece with its body. */
static bool send_head_of(struct visit *v, size_t size)
{
    static const char before[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ",
                      after[] = "\r\n\r\nok";
    char text[300], value[300];
    size_t n = size - (sizeof before - 1) - 4;
    memset(value, 'x', sizeof value);
    snprintf(text, sizeof text, "%s%.*s%s", before, (int)n, value, after);
    return send_text(v, text);
}

static bool send_redirect(struct visit *v, int left)
{
    char text[200];
    if (left == 0) return send_body(v, v->in, v->len);
    snprintf(
        text, sizeof text,
        "HTTP/1.1 302 Found\r\nLocation: ../a/./redirect%d?x#y\r\nContent-Length: 3\r\n\r\nold",
        left - 1);
    return send_text(v, text);
}

/* To itself, by its address. */
static bool send_across(struct visit *v)
{
    char text[200];
    snprintf(text, sizeof text,
             "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%u/a/redirect1\r\n"
             "Content-Length: 0\r\n\r\n",
             v->u->port);
    return send_text(v, text);
}

/* To the same host, written otherwise: its port is the default. */
static bool send_same(struct visit *v, int which)
{
    static const char *const hosts[] = {"A.INVALID:80", "a.invalid:", "a.invalid",
                                        "a.Invalid:0080"};
    char text[200];
    snprintf(text, sizeof text,
             "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://%s/echo\r\n"
             "Content-Length: 0\r\n\r\n",
             hosts[which]);
    return send_text(v, text);
}

static bool hold(struct visit *v)
{
    v->u->held++;
    while (!v->u->let_go) pause_a_little();
    v->u->held--;
    return send_body(v, "held", 4);
}

/* Notices whether others are here. */
static bool meet(struct visit *v)
{
    unsigned here = ++v->u->here, most = v->u->most;
    while (here > most && !atomic_compare_exchange_weak(&v->u->most, &most, here)) continue;
    for (int i = 0; i < 5; i++) pause_a_little();
    v->u->here--;
    return send_body(v, "met", 3);
}

/* Responds while it reads. */
static bool mirror(struct visit *v)
{
    char head[100];
    const char *length = strstr(v->in, "\r\nContent-Length: ");
    size_t left = length ? strtoul(length + 18, NULL, 10) : 0;
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", left);
    if (!send_text(v, head)) return false;
    for (size_t at = v->head; left > 0; at = 0) {
        size_t n = v->len - at;
        if (!tcp_try_send(v->fd, v->in + at, n)) return false;
        left -= n;
        v->len = 0;
        if (left > 0 && !more(v)) return false;
    }
    return true;
}

static bool never(struct visit *v)
{
    char byte;
    (void)!tcp_try_receive(v->fd, &byte, 1);
    return false;
}

static bool reset(struct visit *v)
{
    tcp_reset(v->fd);
    v->fd = -1;
    return false;
}

static const struct fixed {
    const char *path, *text;
    bool stays;
} fixed[] = {
    {"/chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A:  two \r\n\r\n"
     "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
     true},
    {"/folded", "HTTP/1.1 200 OK\r\nX-A: 1,\r\n\t2\r\nContent-Length: 2\r\n\r\nok", true},
    {"/close", "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nto the end", false},
    {"/old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
    {"/interim",
     "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 404 Not Found\r\nX-Late: 1\r\n"
     "Content-Length: 4\r\n\r\ngone",
     true},
    {"/none", "HTTP/1.1 204 No Content\r\n\r\n", true},
    {"/bad", "nonsense\r\n\r\n", false},
    {"/switch", "HTTP/1.1 101 Switching Protocols\r\n\r\n", false},
    {"/badchunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false},
    {"/twolengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false},
    {"/coded", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", true},
    {"/coded-chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n1\r\na\r\n0\r\n\r\n", true},
    {"/folded-coded",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true},
    {"/folded-chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chun\r\n ked\r\n\r\n1\r\na\r\n0\r\n\r\n", true},
    {"/twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
     false},
    {"/hint",
     "HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     true},
    {"/half", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", false},
    {"/halfhead", "HTTP/1.1 200 OK\r\nContent-Le", false},
    {"/secure", "HTTP/1.1 302 Found\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n", true},
    {"/nowhere", "HTTP/1.1 302 Found\r\nLocation: //a:0/\r\nContent-Length: 0\r\n\r\n", true},
    {"/other",
     "HTTP/1.1 307 Temporary Redirect\r\nLocation: //localhost.invalid/\r\n"
     "Content-Length: 0\r\n\r\n",
     true},
    {"/see", "HTTP/1.1 303 See Other\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n", true},
    {"/again", "HTTP/1.1 308 Permanent Redirect\r\nLocation: echo\r\nContent-Length: 0\r\n\r\n",
     true},
};

/* If it is closed with unread bytes, what has not left is lost. */
static bool settle(struct visit *v)
{
    int left = 1;
    for (int i = 0; i < 5000 && ioctl(v->fd, SIOCOUTQ, &left) == 0 && left > 0; i++)
        pause_a_little();
    return false;
}

/* As of a connection that was idle for too long, which is closed as the next request comes. */
static bool time_out(struct visit *v)
{
    send_text(v,
              "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nidle");
    return settle(v);
}

/* False where the connection ends. */
static bool answer(struct visit *v)
{
    char path[100];
    if (sscanf(v->in, "%*s %99[^ ?]", path) != 1) return false;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(path, fixed[i].path) == 0)
            return send_slowly(v, fixed[i].text) && fixed[i].stays;
    if (strcmp(path, "/more") == 0) /* at once: what comes later answers the next request */
        return send_text(v,
                         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n");
    if (strcmp(path, "/echo") == 0) return send_body(v, v->in, v->len);
    if (strcmp(path, "/body") == 0) return send_body(v, v->in + v->head, v->len - v->head);
    if (strcmp(path, "/big") == 0) return send_big(v);
    if (strcmp(path, "/bighead") == 0) return send_big_head(v);
    if (strcmp(path, "/head200") == 0) return send_head_of(v, 200);
    if (strcmp(path, "/head201") == 0) return send_head_of(v, 201);
    if (strcmp(path, "/held") == 0) return hold(v);
    if (strcmp(path, "/meet") == 0) return meet(v);
    if (strcmp(path, "/across") == 0) return send_across(v);
    if (strcmp(path, "/early") == 0) {
        send_text(v, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n"
                     "Content-Length: 4\r\n\r\nmuch");
        return settle(v);
    }
    if (strcmp(path, "/mirror") == 0) return mirror(v);
    if (strcmp(path, "/ignore") == 0) {
        send_text(v, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch");
        while (v->u->requests == 1) pause_a_little(); /* does not even close */
        return false;
    }
    if (strcmp(path, "/never") == 0) return never(v);
    if (strcmp(path, "/reset") == 0) return reset(v);
    if (strcmp(path, "/drop") == 0) return false;
    if (strcmp(path, "/second") == 0) return v->count == 1 && send_body(v, "first", 5);
    if (strcmp(path, "/idle") == 0 && v->count > 1) return time_out(v);
    if (strcmp(path, "/late") == 0) return time_out(v);
    if (strncmp(path, "/same", 5) == 0) return send_same(v, atoi(path + 5));
    if (strncmp(path, "/a/redirect", 11) == 0) return send_redirect(v, atoi(path + 11));
    return send_body(v, "ok", 2);
}

/* ---- connections ---- */

static void *visit(void *arg)
{
    struct visit *v = arg;
    v->in = malloc(ROOM);
    while (read_request(v)) {
        v->u->requests++;
        v->count++;
        if (!answer(v)) break;
    }
    if (v->fd >= 0) close(v->fd);
    v->u->running--;
    free(v->in);
    free(v);
    return NULL;
}

static void *serve(void *arg)
{
    struct upstream *u = arg;
    for (int fd; (fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_t thread;
        struct visit *v = calloc(1, sizeof *v);
        v->u = u;
        v->fd = fd;
        u->connections++;
        u->running++;
        pthread_create(&thread, NULL, visit, v);
        pthread_detach(thread);
    }
    return NULL;
}

void upstream_start(struct upstream *u, uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int one = 1;
    memset(u, 0, sizeof *u);
    u->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(u->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(u->listener, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(u->listener, 100), 0);
    assert_int_equal(getsockname(u->listener, (struct sockaddr *)&in, &len), 0);
    u->port = ntohs(in.sin_port);
    assert_int_equal(pthread_create(&u->thread, NULL, serve, u), 0);
}

void upstream_await_held(const struct upstream *u, unsigned n)
{
    for (int i = 0; u->held < n; i++) {
        assert_true(i < TCP_SECONDS * 500);
        pause_a_little();
    }
}

void upstream_stop(struct upstream *u)
{
    shutdown(u->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(u->thread, NULL), 0);
    close(u->listener);
    for (int i = 0; u->running; i++) {
        assert_true(i < TCP_SECONDS * 500);
        pause_a_little();
    }
}
