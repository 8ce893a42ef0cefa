/* A server whose handlers connect to another one, in each way that torc.h has. */

#include "torc.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *address(torc_req *rq)
{
    torc_slice to = torc_query_param(rq, "to");
    char *text = torc_alloc(rq, to.len + 1);
    if (!text) return "";
    memcpy(text, to.ptr, to.len);
    text[to.len] = '\0';
    return text;
}

static void fail(torc_req *rq, const char *what, int err)
{
    fprintf(stderr, "handler: %s %d\n", what, err);
    torc_replyf(rq, 502, "%s: %s", what, strerror(-err));
}

/* Hands the body of the request on, and the answer back, as it comes. */
static void passes(torc_req *rq, void *arg)
{
    char buf[4096];
    torc_stream *s = (torc_stream *)buf;
    ssize_t n;
    (void)arg;
    int err = torc_connect(rq, address(rq), &s);
    if (err < 0) {
        if (s) abort();
        fail(rq, "connect", err);
        return;
    }
    while ((n = torc_body_read(rq, buf, sizeof buf)) > 0)
        if ((err = torc_stream_write(rq, s, buf, (size_t)n)) < 0) break;
    if (err == 0) err = torc_stream_shutdown(rq, s);
    if (err < 0) {
        fail(rq, "write", err);
        return;
    }
    torc_start(rq, 200, "application/octet-stream", -1);
    while ((n = torc_stream_read(rq, s, buf, sizeof buf)) > 0)
        if (torc_write(rq, buf, (size_t)n) < 0) break;
    if (n < 0) fprintf(stderr, "handler: read %d\n", (int)n);
    if (n == 0) torc_stream_close(s);
}

/* Leaves open what it has. */
static void leaves(torc_req *rq, void *arg)
{
    torc_stream *s;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int err = torc_connect(rq, address(rq), &s);
        if (err < 0) {
            fail(rq, "connect", err);
            return;
        }
    }
    torc_reply(rq, 200, "text/plain", TORC_S("left"));
}

/* Reads what never comes. */
static void waits(torc_req *rq, void *arg)
{
    char byte;
    torc_stream *s;
    (void)arg;
    int err = torc_connect(rq, address(rq), &s);
    fprintf(stderr, "handler: waits %d\n", err);
    if (err == 0) fprintf(stderr, "handler: read %d\n", (int)torc_stream_read(rq, s, &byte, 1));
}

/* ---- with a socket of its own, as a client library has ---- */

static int own_connect(torc_req *rq, const char *to)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    in.sin_port = htons((uint16_t)atoi(strrchr(to, ':') + 1));
    if (connect(fd, (struct sockaddr *)&in, sizeof in) < 0 && errno == EINPROGRESS)
        torc_poll(rq, fd, POLLOUT);
    return fd;
}

static int await_end(torc_req *rq, void *arg)
{
    int got = torc_poll(rq, *(int *)arg, POLLRDHUP);
    return got < 0 ? got : 0;
}

/* Asks twice, on a socket that it closes and opens again; another fiber waits for the end of it. */
static void polls(torc_req *rq, void *arg)
{
    const char *to = address(rq);
    char text[64] = "";
    size_t len = 0;
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int fd = own_connect(rq, to), got;
        torc_group *g = torc_group_open(rq);
        if (!g || torc_spawn(g, await_end, &fd) < 0 || write(fd, "ask", 3) != 3) break;
        shutdown(fd, SHUT_WR);
        for (ssize_t n = 1; n != 0;) {
            got = torc_poll(rq, fd, POLLIN);
            if (got < 0) break;
            n = read(fd, text + len, sizeof text - 1 - len);
            if (n > 0) len += (size_t)n;
        }
        torc_group_join(g);
        close(fd);
    }
    fprintf(stderr, "handler: closed %d\n", torc_poll(rq, 10000, POLLIN));
    torc_replyf(rq, 200, "%s", text);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *method, *path;
        torc_handler *fn;
    } routes[] = {{"POST", "/passes", passes},
                  {"GET", "/leaves", leaves},
                  {"GET", "/waits", waits},
                  {"GET", "/polls", polls}};
    torc_server *s = torc_server_new("connecting 1.0");
    for (size_t i = 0; s && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, routes[i].method, routes[i].path, routes[i].fn, NULL) < 0) return 1;
    int status = s ? torc_server_main(s, argc, argv) : 1;
    torc_server_free(s);
    return status;
}
