#include "server.h"

#include "sanitizer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *server_program;
const char *server_engine;

/* ---- time ---- */

double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- servers that a failed test leaves behind ---- */

enum { LEFT_MAX = 64 };

static struct {
    pid_t pid;
    int log;
} left[LEFT_MAX];

static void end_left(void)
{
    static char text[1 << 16];
    for (int i = 0; i < LEFT_MAX; i++) {
        if (!left[i].pid) continue;
        ssize_t n = pread(left[i].log, text, sizeof text - 1, 0);
        fprintf(stderr, "left by a failed test, server %d:\n%.*s", (int)left[i].pid,
                (int)(n > 0 ? n : 0), text);
        kill(left[i].pid, SIGKILL);
        waitpid(left[i].pid, NULL, 0);
    }
}

static void note(pid_t from, pid_t to, int log)
{
    for (int i = 0; i < LEFT_MAX; i++) {
        if (left[i].pid != from) continue;
        left[i].pid = to;
        left[i].log = log;
        return;
    }
}

/* ---- choosing ---- */

void server_choose(int argc, char **argv)
{
    struct rlimit limit;
    if (argc < 3 || argc > 4 || access(argv[1], X_OK) != 0) {
        fprintf(stderr, "usage: %s PROGRAM ENGINE [PATTERN of test names]\n", argv[0]);
        exit(2);
    }
    if (argc == 4) cmocka_set_test_filter(argv[3]);
    server_program = argv[1];
    server_engine = argv[2];
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    atexit(end_left);
    struct server s;
    struct server_how how = {.engine = server_engine};
    int status = server_run(&s, &how, (const char *const[]){"--check", NULL});
    if (status <= 1) { /* 1: the directories that it serves are not there yet */
        server_free(&s);
        return;
    }
    fputs(server_log(&s), stderr);
    server_free(&s);
    exit(status == 3 ? 77 : 2);
}

const char *server_two_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) >= 2) return "2";
    print_message("one CPU only: not on two cores\n");
    return "1";
}

/* ---- starting ---- */

static _Noreturn void child(const struct server *s, const struct server_how *how, char **argv,
                            pid_t parent)
{
    /* A killed test leaves no server behind. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) _exit(126);
    if (dup2(s->log, STDOUT_FILENO) < 0 || dup2(s->log, STDERR_FILENO) < 0) _exit(126);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (how && how->prepare) how->prepare(how->arg);
    execv(server_program, argv);
    _exit(127);
}

void server_spawn(struct server *s, const struct server_how *how, const char *const *options)
{
    const char *argv[SERVER_ARGS] = {server_program};
    size_t n = 1;
    if (how && how->engine) {
        argv[n++] = "--engine";
        argv[n++] = how->engine;
    }
    for (; *options; options++) {
        assert_true(n < SERVER_ARGS - 1);
        argv[n++] = *options;
    }
    *s = (struct server){.log = memfd_create("server log", MFD_CLOEXEC)};
    assert_true(s->log >= 0);
    assert_true(fcntl(s->log, F_SETFL, O_APPEND) == 0);
    fflush(NULL);
    pid_t parent = getpid();
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) child(s, how, (char **)(uintptr_t)argv, parent);
    note(0, s->pid, s->log);
}

static void parse_path(const char *path, struct server_addr *out)
{
    struct sockaddr_un *a = (struct sockaddr_un *)&out->storage;
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof a->sun_path);
    strcpy(a->sun_path, path);
    out->len = sizeof *a;
    if (path[0] != '@') return;
    a->sun_path[0] = '\0';
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

void server_addr_parse(const char *text, struct server_addr *out)
{
    char host[128];
    if (strncmp(text, "unix:", 5) == 0) {
        parse_path(text + 5, out);
        return;
    }
    const char *colon = strrchr(text, ':');
    assert_non_null(colon);
    size_t n = (size_t)(colon - text);
    bool v6 = text[0] == '[';
    if (v6) {
        text++;
        n -= 2;
    }
    assert_true(n < sizeof host);
    memcpy(host, text, n);
    host[n] = '\0';
    memset(out, 0, sizeof *out);
    unsigned port = (unsigned)atoi(colon + 1);
    if (v6) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)&out->storage;
        *a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        assert_int_equal(inet_pton(AF_INET6, host, &a->sin6_addr), 1);
        out->len = sizeof *a;
    } else {
        struct sockaddr_in *a = (struct sockaddr_in *)&out->storage;
        *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        assert_int_equal(inet_pton(AF_INET, host, &a->sin_addr), 1);
        out->len = sizeof *a;
    }
}

/* The address after `before` at the start of a line; len 0 if there is none. */
static void find_addr(const char *log, const char *before, struct server_addr *out)
{
    char text[128];
    const char *at = strstr(log, before);
    out->len = 0;
    if (!at) return;
    assert_true(at == log || at[-1] == '\n');
    at += strlen(before);
    size_t n = strcspn(at, " \n");
    assert_true(n < sizeof text);
    memcpy(text, at, n);
    text[n] = '\0';
    server_addr_parse(text, out);
}

void server_await_ready(struct server *s)
{
    server_await_log(s, "torc: ready ");
    server_await_log(s, " pid=");
    const char *log = server_log(s);
    find_addr(log, "torc: ready http://", &s->addr);
    find_addr(log, "torc: admin http://", &s->admin);
}

void server_start_prepared(struct server *s, void (*prepare)(void *arg), void *arg,
                           const char *const *options)
{
    static const char *const usual[] = {"--cores", "1", "--admin", "127.0.0.1:0"};
    const char *argv[SERVER_ARGS];
    size_t n = 0;
    bool listens = false;
    for (const char *const *o = options; *o; o++) listens |= strcmp(*o, "--listen") == 0;
    for (; n < sizeof usual / sizeof *usual; n++) argv[n] = usual[n];
    if (!listens) {
        argv[n++] = "--listen";
        argv[n++] = "127.0.0.1:0";
    }
    for (; *options; options++) {
        assert_true(n < SERVER_ARGS - 4);
        argv[n++] = *options;
    }
    argv[n] = NULL;
    struct server_how how = {.engine = server_engine, .prepare = prepare, .arg = arg};
    server_spawn(s, &how, argv);
    server_await_ready(s);
}

void server_start_list(struct server *s, const char *const *options)
{
    server_start_prepared(s, NULL, NULL, options);
}

void server_start_program_list(struct server *s, const char *program, const char *const *options)
{
    const char *chosen = server_program;
    server_program = program;
    server_start_list(s, options);
    server_program = chosen;
}

/* ---- output ---- */

const char *server_log(struct server *s)
{
    struct stat st;
    assert_int_equal(fstat(s->log, &st), 0);
    free(s->text);
    s->text = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(s->text);
    ssize_t n = pread(s->log, s->text, (size_t)st.st_size, 0);
    assert_true(n == st.st_size);
    return s->text;
}

void server_await_log(struct server *s, const char *text)
{
    int status = -1;
    for (double until = now_seconds() + SERVER_SECONDS; now_seconds() < until; sleep_ms(1)) {
        bool ended = server_has_ended(s, &status);
        if (strstr(server_log(s), text)) return;
        if (ended) break;
    }
    fprintf(stderr, "waiting for \"%s\", status %d, log:\n%s\n", text, status, server_log(s));
    fail();
}

void server_expect_log(struct server *s, const char *text)
{
    bool found = strstr(server_log(s), text);
    if (!found) print_error("no \"%s\" in:\n%s", text, server_log(s));
    assert_true(found);
}

bool text_matches(const char *text, const char *pattern)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE), 0);
    bool found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    if (!found) print_error("no match for %s:\n%s\n", pattern, text);
    return found;
}

size_t server_memory(const struct server *s)
{
    char path[64], line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %zu kB", &kib) == 1) break;
    fclose(f);
    assert_true(kib > 0);
    return kib * 1024;
}

/* ---- end ---- */

void server_signal(struct server *s, int signal)
{
    assert_true(s->pid > 0);
    assert_int_equal(kill(s->pid, signal), 0);
}

/* The exit status from waitpid; prints a message if the end was unexpected. */
static int status_of(struct server *s, int raw)
{
    note(s->pid, 0, -1);
    s->pid = 0;
    const char *log = server_log(s);
    bool killed = WIFSIGNALED(raw) && WTERMSIG(raw) != SIGTERM;
    if (killed || strstr(log, "Sanitizer") || strstr(log, "runtime error"))
        fprintf(stderr, "the server ended with wait status 0x%x, its log:\n%s\n", raw, log);
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

bool server_has_ended(struct server *s, int *status)
{
    int raw;
    if (s->pid == 0) return true;
    pid_t pid = waitpid(s->pid, &raw, WNOHANG);
    if (pid == 0) return false;
    assert_int_equal(pid, s->pid);
    *status = status_of(s, raw);
    return true;
}

int server_wait(struct server *s)
{
    int status = -1;
    assert_true(s->pid > 0);
    for (double until = now_seconds() + SERVER_SECONDS; now_seconds() < until; sleep_ms(1))
        if (server_has_ended(s, &status)) return status;
    fprintf(stderr, "the server did not end, its log:\n%s\n", server_log(s));
    kill(s->pid, SIGKILL);
    waitpid(s->pid, &status, 0);
    note(s->pid, 0, -1);
    s->pid = 0;
    fail();
    return -1;
}

void server_expect_fault(int status)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(THREAD_SANITIZER)
    assert_int_equal(status, 128 + SIGSEGV);
#endif
    assert_int_not_equal(status, 0);
}

void server_free(struct server *s)
{
    assert_int_equal(s->pid, 0);
    close(s->log);
    free(s->text);
    *s = (struct server){.log = -1};
}

void server_stop(struct server *s)
{
    server_signal(s, SIGTERM);
    int status = server_wait(s);
    if (status != 0) fprintf(stderr, "exit status %d, log:\n%s\n", status, server_log(s));
    assert_int_equal(status, 0);
    server_free(s);
}

int server_run(struct server *s, const struct server_how *how, const char *const *options)
{
    server_spawn(s, how, options);
    return server_wait(s);
}

void server_refuses(const char *option, const char *value, const char *message)
{
    struct server s;
    char line[512];
    int status = server_run(&s, NULL, (const char *const[]){"--check", option, value, NULL});
    snprintf(line, sizeof line, "torc: %s\n", message);
    if (status != 2 || !strstr(server_log(&s), line))
        print_error("%s %s: status %d, wanted %s%s", option, value, status, line, server_log(&s));
    assert_int_equal(status, 2);
    server_expect_log(&s, line);
    server_free(&s);
}
