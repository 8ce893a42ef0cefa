/* How long a message takes from its POST until clients that listen for server-sent events have it.
 *
 *   sse PORT [CLIENTS [MESSAGES]]
 *
 * PORT is that of a torc-lab on this machine. The clients (1000) are one thread's; messages (200)
 * follow each other when all have the last one. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    PAUSE_US = 20000, /* before a message: the server waits by then */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(2);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("sse: connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void say(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text)) die("sse: send");
}

/* Until the stream has begun. */
static int listen_for_events(uint16_t port)
{
    char in[2048];
    int fd = connect_to(port);
    say(fd, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ssize_t n = recv(fd, in, sizeof in - 1, 0);
    if (n <= 0) die("sse: recv");
    in[n] = 0;
    if (strncmp(in, "HTTP/1.1 200 ", 13) == 0) return fd;
    fprintf(stderr, "sse: the server answers %.40s\n", in);
    exit(2);
}

/* Every client gets one more message; `took` (ns) is how long each waited for its last byte. */
static void deliver(int ep, int poster, unsigned clients, uint32_t *took)
{
    static const char post[] =
        "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    struct epoll_event ready[EVENTS];
    char in[4096];
    uint64_t from = now_ns();
    say(poster, post);
    for (unsigned left = clients; left > 0;) {
        int n = epoll_wait(ep, ready, EVENTS, 10000);
        if (n <= 0) die("sse: no message for 10 s");
        for (int i = 0; i < n; i++) {
            ssize_t got = recv(ready[i].data.fd, in, sizeof in, 0);
            if (got <= 0) die("sse: recv");
            if (ready[i].data.fd == poster || !memmem(in, (size_t)got, "data: x\n\n", 9)) continue;
            took[--left] = (uint32_t)(now_ns() - from);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void watch(int ep, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) die("sse: epoll_ctl");
}

static void use_all_descriptors(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* At least 1 and at most a million, or the usage. */
static unsigned number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*text && !*end && n >= 1 && n <= 1000000) return (unsigned)n;
    fprintf(stderr, "usage: sse PORT [CLIENTS [MESSAGES]]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)number(argc >= 2 && argc <= 4 ? argv[1] : "");
    unsigned clients = argc > 2 ? number(argv[2]) : 1000;
    unsigned messages = argc > 3 ? number(argv[3]) : 200;
    uint32_t *took = calloc((size_t)clients * messages, sizeof *took);
    if (!took) die("sse: calloc");
    use_all_descriptors();
    int ep = epoll_create1(EPOLL_CLOEXEC), poster = connect_to(port);
    for (unsigned i = 0; i < clients; i++) watch(ep, listen_for_events(port));
    watch(ep, poster);
    for (unsigned m = 0; m < messages; m++) {
        usleep(PAUSE_US);
        deliver(ep, poster, clients, took + (size_t)m * clients);
    }
    size_t n = (size_t)clients * messages;
    qsort(took, n, sizeof *took, by_size);
    printf("%u clients, %u messages: p50 %.2f ms  p99 %.2f ms  max %.2f ms\n", clients, messages,
           took[n / 2] / 1e6, took[n * 99 / 100] / 1e6, took[n - 1] / 1e6);
    free(took);
    return 0;
}
