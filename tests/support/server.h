#pragma once
/* A server process for black-box tests: started with options, ended in bounded time, its output
 * captured. Everything here asserts with cmocka; a test must stop the server it starts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cmocka.h>

enum {
    SERVER_SECONDS = 60, /* limit for any step, including sanitizers and a busy machine */
    SERVER_ARGS = 64,
};

/* Set by server_choose. */
extern const char *server_program;
extern const char *server_engine;

/* argv: the program, the engine, and optionally a pattern of test names. Exits with 2 on anything
 * else, and with 77 (skipped) if the kernel refuses the engine. Raises the descriptor limit. */
void server_choose(int argc, char **argv);

/* "2" if this process may use two CPUs; otherwise "1", with a message. */
const char *server_two_cores(void);

void sleep_ms(unsigned ms);
double now_seconds(void); /* CLOCK_MONOTONIC */

struct server_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_storage storage;
    };
    socklen_t len;
};

struct server {
    pid_t pid;                      /* 0 once it has ended and been waited for */
    int log;                        /* memfd with everything written to stdout and stderr */
    char *text;                     /* last result of server_log */
    struct server_addr addr, admin; /* len 0 if there is none */
};

/* How server_spawn runs the program. */
struct server_how {
    const char *engine;         /* NULL: no --engine option */
    void (*prepare)(void *arg); /* called in the child before exec */
    void *arg;
};

/* Starts the program with these options (strings up to a NULL); does not wait. */
void server_spawn(struct server *s, const struct server_how *how, const char *const *options);

/* Waits for the ready line and reads the addresses from it. */
void server_await_ready(struct server *s);

/* Starts the server with the chosen engine, one core, and listeners on 127.0.0.1 for clients and
 * admin at ports chosen by the kernel, unless the options override it (later ones win, except
 * --listen); waits until it is ready. */
void server_start_list(struct server *s, const char *const *options);
#define server_start(s, ...)                                                                       \
    server_start_list(s, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* Likewise, with another program than the chosen one. */
void server_start_program_list(struct server *s, const char *program, const char *const *options);
#define server_start_program(s, program, ...)                                                      \
    server_start_program_list(s, program, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* Likewise, with `prepare` called in the child. */
void server_start_prepared(struct server *s, void (*prepare)(void *arg), void *arg,
                           const char *const *options);

/* Everything written so far; valid until the next call. */
const char *server_log(struct server *s);

/* Waits until the output contains `text`. */
void server_await_log(struct server *s, const char *text);

/* Asserts that it does. */
void server_expect_log(struct server *s, const char *text);

/* Whether a line of the text matches the extended regular expression; prints both if not. */
bool text_matches(const char *text, const char *pattern);

void server_signal(struct server *s, int signal);

/* Waits until it ends. Returns the exit status, or 128 + the signal. Prints its output if it ended
 * by a signal or a sanitizer reported an error. */
int server_wait(struct server *s);

/* Asserts that it is the status of one that SIGSEGV ended. The sanitizers end such a process by
 * themselves, with another status. */
void server_expect_fault(int status);

/* False while it runs. Does not wait. */
bool server_has_ended(struct server *s, int *status);

/* Sends SIGTERM, asserts exit status 0, and frees the struct's contents. */
void server_stop(struct server *s);

/* Frees the contents of the struct after the server has ended. */
void server_free(struct server *s);

/* Resident memory in bytes. */
size_t server_memory(const struct server *s);

/* Parses ADDR:PORT or unix:PATH as printed by the server. */
void server_addr_parse(const char *text, struct server_addr *out);

/* Runs the program with just these options until it ends; returns its exit status. Its output is in
 * s, which the caller frees. */
int server_run(struct server *s, const struct server_how *how, const char *const *options);

/* Asserts that the program does not start with this value of an option, as a wrong one (exit status
 * 2), and that its output has the line "torc: MESSAGE". */
void server_refuses(const char *option, const char *value, const char *message);
