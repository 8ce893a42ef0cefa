#pragma once
/*
 * What the control programs share: options, listener, the answer, and finding request ends.
 *
 * The floor answers the bytes of torc-lab's /plaintext to whatever ends in an empty line. It does
 * no HTTP, so what a server costs over its floor is what the server itself costs. Nothing here may
 * be used outside bench/: there are no limits, no deadlines, and a client that does not read its
 * answers is dropped or mixed up.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The answer's two halves around the 29 characters of the date (RFC 9110, section 5.6.7). */
#define FLOOR_BEFORE_DATE "HTTP/1.1 200 OK\r\nServer: torc\r\nDate: "
#define FLOOR_AFTER_DATE  "\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
#define FLOOR_DATE_BYTES  29

enum {
    FLOOR_ANSWER_BYTES =
        sizeof FLOOR_BEFORE_DATE - 1 + FLOOR_DATE_BYTES + sizeof FLOOR_AFTER_DATE - 1,
    /* One receive is at most this long; a request ends in 4 bytes, so it holds at most that / 4. */
    FLOOR_RECV_BYTES = 2048,
    FLOOR_ANSWERS_MAX = FLOOR_RECV_BYTES / 4 + 1,
};

struct floor_options {
    struct sockaddr_in listen;
    int cpu; /* -1: wherever the caller's affinity mask begins */
};

static inline _Noreturn void floor_die(const char *what, const char *name)
{
    fprintf(stderr, "floor: %s: %s\n", name, what);
    exit(2);
}

static inline void floor_parse_listen(struct sockaddr_in *out, const char *text)
{
    char host[INET_ADDRSTRLEN];
    unsigned port;
    char rest;
    *out = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf(text, "%15[0-9.]:%u%c", host, &port, &rest) != 2 || port > 65535 ||
        inet_pton(AF_INET, host, &out->sin_addr) != 1)
        floor_die("takes ADDR:PORT, an IPv4 address and a port", "--listen");
    out->sin_port = htons((uint16_t)port);
}

/* --cores as the server takes it, as far as one thread goes: a count of 1, or a list of one CPU. */
static inline int floor_parse_cores(const char *text)
{
    unsigned first, last;
    char rest;
    if (strcmp(text, "1") == 0) return -1;
    if (sscanf(text, "%u-%u%c", &first, &last, &rest) != 2 || first != last || first >= CPU_SETSIZE)
        floor_die("takes 1 or a list of one CPU such as 0-0", "--cores");
    return (int)first;
}

static inline struct floor_options floor_parse(int argc, char **argv)
{
    struct floor_options options = {.cpu = -1};
    floor_parse_listen(&options.listen, "127.0.0.1:0");
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--listen") != 0 && strcmp(name, "--cores") != 0)
            floor_die("unknown option; known: --listen ADDR:PORT, --cores 1|CPU-CPU", name);
        if (value == NULL) floor_die("needs a value", name);
        if (name[2] == 'l')
            floor_parse_listen(&options.listen, value);
        else
            options.cpu = floor_parse_cores(value);
    }
    return options;
}

static inline void floor_check(int result, const char *what)
{
    if (result >= 0) return;
    perror(what);
    exit(1);
}

static inline void floor_on_term(int number)
{
    (void)number;
    _exit(0);
}

/* Pins the thread, raises the descriptor limit, and listens (connections inherit TCP_NODELAY).
 * Returns the listener; floor_ready says where it is, once all the rest is set up. */
static inline int floor_start(struct floor_options *options, int type)
{
    cpu_set_t set;
    floor_check(sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
    int cpu = options->cpu;
    while (cpu < 0 || (cpu < CPU_SETSIZE && options->cpu < 0 && !CPU_ISSET(cpu, &set))) cpu++;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    floor_check(sched_setaffinity(0, sizeof set, &set), "--cores");

    struct rlimit files;
    floor_check(getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
    files.rlim_cur = files.rlim_max;
    floor_check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
    signal(SIGTERM, floor_on_term);
    signal(SIGINT, floor_on_term);

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0), one = 1;
    floor_check(fd, "socket");
    floor_check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "SO_REUSEADDR");
    floor_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    struct sockaddr_in *address = &options->listen;
    socklen_t length = sizeof *address;
    floor_check(bind(fd, (struct sockaddr *)address, length), "bind");
    floor_check(listen(fd, 4096), "listen");
    floor_check(getsockname(fd, (struct sockaddr *)address, &length), "getsockname");
    return fd;
}

/* Says so on stderr. Nothing that takes time or can fail may come after it: it would be part of
 * what is measured, and its failure would be told as one of the connections. */
static inline void floor_ready(const struct floor_options *options, const char *engine)
{
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &options->listen.sin_addr, host, sizeof host);
    fprintf(stderr, "floor: ready http://%s:%u engine=%s pid=%d\n", host,
            ntohs(options->listen.sin_port), engine, (int)getpid());
}

/* FLOOR_ANSWERS_MAX answers one after the other: the first n of them are n answers in one send.
 * The date is that of the start. Static memory. */
static inline const char *floor_answers(void)
{
    static char answers[FLOOR_ANSWERS_MAX * FLOOR_ANSWER_BYTES] __attribute__((aligned(64)));
    char date[FLOOR_DATE_BYTES + 1], one[FLOOR_ANSWER_BYTES + 1];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    snprintf(one, sizeof one, "%s%s%s", FLOOR_BEFORE_DATE, date, FLOOR_AFTER_DATE);
    for (size_t i = 0; i < FLOOR_ANSWERS_MAX; i++)
        memcpy(answers + i * FLOOR_ANSWER_BYTES, one, FLOOR_ANSWER_BYTES);
    return answers;
}

/* One byte more of a connection whose last *matched bytes began an empty line; true at its end. */
static inline bool floor_step(uint8_t *matched, char byte)
{
    if (byte == "\r\n\r\n"[*matched]) return ++*matched == 4 ? (*matched = 0, true) : false;
    *matched = byte == '\r';
    return false;
}

/* Counts the requests that end in these bytes. *matched carries the beginning of an empty line
 * over to the next receive (0 at first). Where the fourth byte ahead belongs to no empty line,
 * four bytes are skipped at once. */
static inline unsigned floor_count(uint8_t *matched, const char *bytes, size_t length)
{
    const char *at = bytes, *end = bytes + length;
    unsigned count = 0;
    while (at < end) {
        if (*matched == 0 && end - at >= 4 && at[3] != '\r' && at[3] != '\n')
            at += 4;
        else
            count += floor_step(matched, *at++);
    }
    return count;
}
