/* A program that is not a server, but has one for a while: it tests its own handlers over plain
 * sockets, on each core's own state, and goes on when the server has ended. It reads no command
 * line of torc's, and its signals stay as they are. Valid as C++, too: cc embedded.c $(pkg-config
 * --cflags --libs torc) -o embedded && ./embedded epoll */

#include <torc.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the service ---- */

struct counter { /* of one core: no lock is needed */
    unsigned requests;
};

static int start_core(torc_req *rq, void *arg)
{
    struct counter *c = (struct counter *)calloc(1, sizeof *c);
    (void)arg;
    if (!c) return -1;
    torc_core_set(rq, c); /* a pool of connections could be opened here: it may wait */
    return 0;
}

static void stop_core(torc_req *rq, void *arg)
{
    (void)arg;
    free(torc_core_data(rq));
}

static void count(torc_req *rq, void *arg)
{
    struct counter *c = (struct counter *)torc_core_data(rq);
    (void)arg;
    torc_replyf(rq, 200, "%u", ++c->requests);
}

static torc_server *new_service(const char *engine, const char *address)
{
    torc_server *s = torc_server_new("embedded 1.0");
    if (s && torc_server_set(s, "engine", engine) == 0 && torc_server_set(s, "cores", "1") == 0 &&
        torc_server_set(s, "threads", "1") == 0 && torc_server_set(s, "listen", address) == 0 &&
        torc_server_each_core(s, start_core, stop_core, NULL) == 0 &&
        torc_route(s, "GET", "/count", count, NULL) == 0)
        return s;
    fprintf(stderr, "embedded: %s\n", s ? torc_server_error(s) : "out of memory");
    torc_server_free(s);
    return NULL;
}

/* ---- asking it ---- */

/* The number that it answers, or -1. */
static int ask(int port)
{
    static const char request[] = "GET /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct sockaddr_in a;
    char answer[1024];
    size_t n = 0;
    ssize_t got = 1;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons((unsigned short)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        write(fd, request, sizeof request - 1) < 0)
        got = 0;
    for (; got > 0 && n<sizeof answer - 1; n += got> 0 ? (size_t)got : 0)
        got = read(fd, answer + n, sizeof answer - 1 - n);
    answer[n] = '\0';
    if (fd >= 0) close(fd);
    const char *body = strstr(answer, "\r\n\r\n");
    return body && strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ? atoi(body + 4) : -1;
}

int main(int argc, char **argv)
{
    const char *engine = argc > 1 ? argv[1] : "epoll";
    char address[32];
    torc_server *s = new_service(engine, "127.0.0.1:0");
    if (!s) return 1;
    if (torc_server_start(s) < 0) {
        fprintf(stderr, "embedded: %s\n", torc_server_error(s));
        torc_server_free(s);
        return 3;
    }
    int port = torc_server_port(s, 0), first = ask(port), second = ask(port);

    /* Another server cannot have the address, says why, and can once it is free. */
    snprintf(address, sizeof address, "%s", torc_server_address(s, 0));
    torc_server *other = new_service(engine, address);
    if (!other) return 1;
    int taken = torc_server_start(other);
    printf("taken: %s\n", torc_server_error(other));
    torc_server_stop(s);
    int status = torc_server_join(s);
    torc_server_free(s);
    int start = torc_server_start(other), third = start == 0 ? ask(port) : -1;
    torc_server_free(other); /* stops it, too */

    printf("answers: %d %d, then %d\n", first, second, third);
    return first == 1 && second == 2 && taken < 0 && status == 0 && third == 1 && ask(port) == -1
               ? 0
               : 1;
}
