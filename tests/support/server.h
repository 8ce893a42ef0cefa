#pragma once
/* A server process for black-box tests: started with options, ended in bounded time, what it says
 * kept.
 * Everything here asserts with cmocka; whoever starts a server stops it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cmocka.h>

enum {
    SERVER_SECONDS = 60, /* what any step is given, sanitizers and a busy machine included */
    SERVER_ARGS = 64,
};

/* Chosen by server_choose. */
extern const char *server_program;
extern const char *server_engine;

/* argv: the program to be started, the engine it is to be given, and maybe a pattern of the names
 * of tests to run. Exits with 2 on anything else and with 77, which skips, where the kernel refuses
 * the engine. Raises the descriptor limit. */
void server_choose(int argc, char **argv);

/* "2" where this process may use two CPUs; else "1", said in a message. */
const char *server_two_cores(void);

void sleep_ms(unsigned ms);

struct server_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_storage storage;
    };
    socklen_t len;
};

struct server {
    pid_t pid;                      /* 0 once it has ended and been waited for */
    int log;                        /* a file in memory: everything it wrote to stdout and stderr */
    char *text;                     /* what server_log returned last */
    struct server_addr addr, admin; /* len 0 where there is none */
};

/* What server_spawn does beyond the options. */
struct server_how {
    const char *engine;         /* NULL: --engine is not given */
    void (*prepare)(void *arg); /* runs in the child before exec */
    void *arg;
};

/* Starts the program with these options (strings up to a NULL) and does not wait. */
void server_spawn(struct server *s, const struct server_how *how, const char *const *options);

/* Waits for the ready line, from which the addresses are taken. */
void server_await_ready(struct server *s);

/* The usual start: the chosen engine, one core, 127.0.0.1 and an admin listener, both at a port of
 * the kernel's choice, unless the options say otherwise (later ones win, but for --listen). */
void server_start_list(struct server *s, const char *const *options);
#define server_start(s, ...)                                                                       \
    server_start_list(s, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* The same, with `prepare` run in the child. */
void server_start_prepared(struct server *s, void (*prepare)(void *arg), void *arg,
                           const char *const *options);

/* All that it has written so far; lives until the next call. */
const char *server_log(struct server *s);

/* Waits until it has written that. */
void server_await_log(struct server *s, const char *text);

void server_signal(struct server *s, int signal);

/* Waits for its end: the exit status, or 128 + the signal that ended it. Prints its log where it
 * ended by a signal or a sanitizer complained. */
int server_wait(struct server *s);

/* False while it runs. Never waits. */
bool server_has_ended(struct server *s, int *status);

/* SIGTERM, and asserts that it exits with 0; then frees what the struct holds. */
void server_stop(struct server *s);

/* Frees what the struct holds of a server that has ended. */
void server_free(struct server *s);

/* Bytes of resident memory. */
size_t server_memory(const struct server *s);

/* Parses ADDR:PORT as the server prints it. */
void server_addr_parse(const char *text, struct server_addr *out);

/* Runs the program to its end with just these options: its exit status; what it wrote is in s,
 * which is to be freed. */
int server_run(struct server *s, const struct server_how *how, const char *const *options);
