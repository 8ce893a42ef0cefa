/* A program around a server, as test_embedding.c and test_forking.c need it: it has a thread of its
 * own, which takes signals, before the server starts, and prints what the server left behind.
 * Options beyond those of a server: --lines FILE, which handlers of all cores write to through one
 * descriptor. */

#include "overflow.h"

#include <torc.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static torc_server *server;
static const char *lines_path;
static int lines_fd = -1;
static pthread_once_t lines_once = PTHREAD_ONCE_INIT;

/* By whichever handler comes first, as syslog(3) opens its socket. */
static void open_lines(void)
{
    lines_fd = open(lines_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static void on_line(torc_req *rq, void *arg)
{
    char line[64];
    (void)arg;
    pthread_once(&lines_once, open_lines);
    torc_slice text = torc_query_param(rq, "text");
    int n = snprintf(line, sizeof line, "%.*s\n", (int)text.len, text.ptr);
    ssize_t written = write(lines_fd, line, (size_t)n);
    torc_replyf(rq, written == n ? 200 : 500, "core %d\n", torc_core(rq));
}

/* What the calls that must come before the start say while the server runs. */
static void on_busy(torc_req *rq, void *arg)
{
    char *argv[] = {"again", NULL};
    const char *value;
    (void)arg;
    torc_replyf(rq, 200, "%d %d %d %d %d", torc_server_main(server, 1, argv),
                torc_server_set(server, "depth", "8"),
                torc_server_option(server, "more", NULL, "more", &value),
                torc_server_about(server, "another"),
                torc_route(server, "GET", "/more", on_busy, NULL));
}

static void on_sleep(torc_req *rq, void *arg)
{
    (void)arg;
    if (torc_sleep(rq, 300) == 0) torc_reply(rq, 200, NULL, TORC_S("slept"));
}

/* The child has what the server had open until its core ends. */
static void on_fork(torc_req *rq, void *arg)
{
    (void)arg;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (alarm(60);;) pause();
    }
    torc_replyf(rq, child < 0 ? 500 : 200, "forked");
}

/* ---- children that come back ---- */

enum { CHILD_SECONDS = 60 };

/* As before execve(2), which fails. */
static pid_t fork_once(void)
{
    pid_t child = fork();
    if (child == 0) alarm(CHILD_SECONDS);
    return child;
}

/* The exit status of a child, or its signal, negative. */
static int end_of(pid_t child)
{
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void fork_posted(void *arg)
{
    pid_t child = fork_once();
    if (child) *(int *)arg = end_of(child);
}

static void on_fork_in_handler(torc_req *rq, void *arg)
{
    (void)arg;
    pid_t child = fork_once();
    if (child == 0 && torc_sleep(rq, 1) != -EPERM) _exit(1);
    if (child == 0 && torc_post(server, 0, fork_posted, NULL) != -ECHILD) _exit(2);
    torc_replyf(rq, 200, "%d", child ? end_of(child) : 0);
}

/* The child gives no answer. The file may have a name, which is the server's. */
static void on_fork_with_a_file(torc_req *rq, void *arg)
{
    torc_file *file;
    (void)arg;
    int err = torc_file_temp(rq, getenv("FORK_DIRECTORY"), &file);
    pid_t child = err == 0 ? fork_once() : -1;
    if (child == 0) {
        torc_file_close(rq, file);
        return;
    }
    int end = child > 0 ? end_of(child) : -1;
    if (err == 0) err = torc_file_link(rq, file, getenv("FORK_FILE"), true);
    torc_replyf(rq, 200, "%d %d", end, err);
}

static int fork_in_member(torc_req *rq, void *arg)
{
    pid_t *child = arg;
    (void)rq;
    *child = fork_once();
    return 0;
}

static void on_fork_in_group(torc_req *rq, void *arg)
{
    pid_t child = -1;
    (void)arg;
    torc_group *g = torc_group_open(rq);
    int err = torc_spawn(g, fork_in_member, &child);
    if (child == 0 && torc_group_join(g) != -EPERM) _exit(1);
    torc_replyf(rq, 200, "%d", child ? end_of(child) : err);
}

static int fork_in_job(torc_job *job, void *arg)
{
    (void)job, (void)arg;
    pid_t child = fork_once();
    return child ? end_of(child) : 0;
}

static void on_fork_in_job(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", torc_work(rq, fork_in_job, NULL, NULL));
}

static void on_fork_in_post(torc_req *rq, void *arg)
{
    int end = -1;
    (void)arg;
    torc_post(server, torc_core(rq), fork_posted, &end);
    while (end < 0 && torc_sleep(rq, 1) == 0) continue;
    torc_replyf(rq, 200, "%d", end);
}

static int end_of_released;

static void fork_and_release(void *arg)
{
    (void)arg;
    pid_t child = fork_once();
    if (child) end_of_released = end_of(child);
}

static void on_fork_in_release(torc_req *rq, void *arg)
{
    static const char body[64 << 10];
    (void)arg;
    torc_reply_own(rq, 200, NULL, (torc_slice){body, sizeof body}, fork_and_release, NULL);
}

static void on_released(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", end_of_released);
}

/* Meanwhile requests come that the core then finds together. */
static void on_hold(torc_req *rq, void *arg)
{
    (void)arg;
    usleep(1000000);
    torc_reply(rq, 200, NULL, TORC_S("held"));
}

/* What ends a process by default ends one that a handler has forked. */
static void on_fork_and_kill(torc_req *rq, void *arg)
{
    int told[2], end = 0;
    char byte = 0;
    (void)arg;
    if (pipe(told) < 0) return;
    pid_t child = fork_once();
    if (child == 0) {
        ssize_t n = write(told[1], &byte, 1);
        while (n >= 0) pause();
        _exit(1);
    }
    if (read(told[0], &byte, 1) == 1 && kill(child, SIGTERM) == 0) end = end_of(child);
    close(told[0]);
    close(told[1]);
    torc_replyf(rq, 200, "%d", end);
}

static bool add_forks(void)
{
    return torc_route(server, "GET", "/fork/handler", on_fork_in_handler, NULL) == 0 &&
           torc_route(server, "GET", "/fork/file", on_fork_with_a_file, NULL) == 0 &&
           torc_route(server, "GET", "/fork/group", on_fork_in_group, NULL) == 0 &&
           torc_route(server, "GET", "/fork/job", on_fork_in_job, NULL) == 0 &&
           torc_route(server, "GET", "/fork/post", on_fork_in_post, NULL) == 0 &&
           torc_route(server, "GET", "/fork/release", on_fork_in_release, NULL) == 0 &&
           torc_route(server, "GET", "/fork/released", on_released, NULL) == 0 &&
           torc_route(server, "GET", "/fork/hold", on_hold, NULL) == 0 &&
           torc_route(server, "GET", "/fork/kill", on_fork_and_kill, NULL) == 0;
}

/* ---- */

static void on_overflow(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", overflow_stack());
}

static bool add_overflow_apart(void)
{
    const torc_route_limits limits = {.stack_size = 256 * 1024};
    return torc_route(server, "GET", "/overflow/apart", on_overflow, NULL) == 0 &&
           torc_route_limit(server, "GET", "/overflow/apart", &limits) == 0;
}

static void on_fault(torc_req *rq, void *arg)
{
    volatile uintptr_t nowhere = 64;
    (void)arg;
    *(volatile char *)nowhere = 1;
    torc_reply(rq, 200, NULL, TORC_S("not here"));
}

static int descend_in_group(torc_req *rq, void *arg)
{
    (void)arg;
    if (torc_sleep(rq, 1) < 0) return -1;
    overflow_stack();
    return 0;
}

static void on_group_overflow(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, descend_in_group, NULL);
    torc_group_join(g);
    torc_replyf(rq, 200, "joined");
}

struct elsewhere {
    torc_req *rq;
    torc_group *group;
    int result[7];
};

static int do_nothing(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return 0;
}

static void *wait_elsewhere(void *arg)
{
    struct elsewhere *e = arg;
    char byte;
    torc_slice body;
    torc_stream *stream;
    e->result[0] = torc_sleep(e->rq, 1);
    e->result[1] = (int)torc_body_read(e->rq, &byte, 1);
    e->result[2] = torc_body_all(e->rq, &body);
    e->result[3] = torc_spawn(e->group, do_nothing, NULL);
    e->result[4] = torc_group_join(e->group);
    e->result[5] = torc_write(e->rq, "x", 1);
    e->result[6] = torc_connect(e->rq, "127.0.0.1:1", &stream);
    return NULL;
}

/* What waiting calls return on a thread that is not the core's. */
static void on_thread(torc_req *rq, void *arg)
{
    struct elsewhere e = {.rq = rq, .group = torc_group_open(rq)};
    pthread_t thread;
    (void)arg;
    if (!e.group || pthread_create(&thread, NULL, wait_elsewhere, &e) != 0) return;
    pthread_join(thread, NULL);
    torc_replyf(rq, 200, "%d %d %d %d %d %d %d", e.result[0], e.result[1], e.result[2], e.result[3],
                e.result[4], e.result[5], e.result[6]);
}

static _Atomic int written_elsewhere = 1; /* what the write of another thread returned */

static int write_much(torc_req *rq, void *arg)
{
    static const char much[16 << 20];
    (void)arg;
    return torc_write(rq, much, sizeof much);
}

static void *write_elsewhere(void *arg)
{
    written_elsewhere = torc_write(arg, "x", 1);
    return NULL;
}

/* While a fiber waits for its client, who does not read. */
static void on_write_elsewhere(torc_req *rq, void *arg)
{
    pthread_t thread;
    (void)arg;
    torc_start(rq, 200, NULL, -1);
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, write_much, NULL);
    if (pthread_create(&thread, NULL, write_elsewhere, rq) == 0) pthread_join(thread, NULL);
    torc_group_join(g);
}

static void on_written(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", written_elsewhere);
}

/* Ends when the request is cancelled, and relies on its client to slow it down. */
static void on_endless(torc_req *rq, void *arg)
{
    char piece[1024] = {0};
    (void)arg;
    torc_start(rq, 200, NULL, -1);
    while (torc_write(rq, piece, sizeof piece) == 0) continue;
}

/* ---- groups that another fiber uses ---- */

static torc_group *lent;
static torc_event *given_back;

static int wait_for_it(torc_req *rq, void *arg)
{
    uint64_t seen = 0;
    (void)arg;
    return torc_event_wait(rq, given_back, &seen);
}

static void on_lend(torc_req *rq, void *arg)
{
    (void)arg;
    lent = torc_group_open(rq);
    if (torc_spawn(lent, wait_for_it, NULL) < 0) return;
    torc_replyf(rq, 200, "%d", torc_group_join(lent));
}

static void on_borrow(torc_req *rq, void *arg)
{
    (void)arg;
    int spawned = torc_spawn(lent, do_nothing, NULL), joined = torc_group_join(lent);
    torc_replyf(rq, 200, "%d %d", spawned, joined);
    torc_event_signal(given_back);
}

static int join_it(torc_req *rq, void *arg)
{
    (void)rq;
    return torc_group_join(arg);
}

static int join_it_in_another(torc_req *rq, void *arg)
{
    torc_group *inner = torc_group_open(rq);
    torc_spawn(inner, join_it, arg);
    return torc_group_join(inner);
}

/* Functions that join the group they run in. */
static void on_own_group(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *a = torc_group_open(rq), *b = torc_group_open(rq);
    torc_spawn(a, join_it, a);
    torc_spawn(b, join_it_in_another, b);
    int first = torc_group_join(a), second = torc_group_join(b);
    torc_replyf(rq, 200, "%d %d", first, second);
}

static int nap(torc_req *rq, void *arg)
{
    (void)arg;
    errno = 77;
    return torc_sleep(rq, 20);
}

static int leave_behind(torc_req *rq, void *arg)
{
    torc_group **inner = arg;
    *inner = torc_group_open(rq);
    return torc_spawn(*inner, nap, NULL);
}

/* Joins a group that a function of another one has opened and left. */
static void on_inner_group(torc_req *rq, void *arg)
{
    torc_group *inner = NULL, *outer = torc_group_open(rq);
    (void)arg;
    errno = 5;
    torc_spawn(outer, leave_behind, &inner);
    int mine = errno, first = torc_group_join(inner), second = torc_group_join(outer);
    torc_replyf(rq, 200, "%d %d %d", mine, first, second);
}

/* Sets errno, waits while others do so, and says what it is then. */
static void on_errno(torc_req *rq, void *arg)
{
    torc_slice n = torc_query_param(rq, "n");
    int mine = n.len ? n.ptr[0] : 0;
    (void)arg;
    errno = mine;
    if (torc_sleep(rq, 50) < 0) return;
    torc_replyf(rq, 200, "%s", errno == mine ? "mine" : "another's");
}

/* A signal that the program waits for, here only once the server has ended. */
static bool queued;

static void on_queue(torc_req *rq, void *arg)
{
    (void)arg;
    queued = sigqueue(getpid(), SIGRTMAX, (union sigval){0}) == 0;
    torc_replyf(rq, queued ? 200 : 500, "queued");
}

static void print_queued(void)
{
    const struct timespec now = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMAX);
    bool is_there = sigtimedwait(&set, NULL, &now) == SIGRTMAX;
    fprintf(stderr, "embedder: the signal is %s\n", is_there ? "there" : "gone");
}

/* Ignores its cancellation, and the rule that a handler must not block. */
static void on_hang(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    for (;;) pause();
}

static void *idle_thread(void *arg)
{
    (void)arg;
    for (;;) pause();
    return NULL;
}

/* Notes the signal in a pipe, as programs do that have a loop of their own. */
static int notes[2];
static volatile sig_atomic_t notes_lost;

static void note(int signal)
{
    char byte = (char)signal;
    int saved = errno;
    if (write(notes[1], &byte, 1) != 1) notes_lost = 1;
    errno = saved;
}

/* As a daemon does, but for stderr, which the test reads. */
static void close_descriptors(void)
{
    for (int fd = 0; fd < 64; fd++)
        if (fd != STDERR_FILENO) close(fd);
}

static void own_handler(int signal)
{
    (void)signal;
}

static void print_dispositions(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ};
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction a;
        sigaction(signals[i], NULL, &a);
        fprintf(stderr, " %s%s",
                a.sa_handler == SIG_DFL       ? "default"
                : a.sa_handler == SIG_IGN     ? "ignored"
                : a.sa_handler == own_handler ? "own"
                                              : "foreign",
                sigismember(&mask, signals[i]) ? "+blocked" : "");
    }
    fprintf(stderr, "\n");
}

int main(int argc, char **argv)
{
    pthread_t thread;
    server = torc_server_new("embedder 1.0");
    if (server && (torc_server_option(server, "listen", NULL, "", &lines_path) != -EEXIST ||
                   !strstr(torc_server_error(server), "listen: there is one of that name")))
        return 1;
    if (!server || torc_server_option(server, "lines", "FILE", "file to write", &lines_path) < 0 ||
        torc_route(server, "GET", "/line", on_line, NULL) < 0 ||
        torc_route(server, "GET", "/busy", on_busy, NULL) < 0 ||
        torc_route(server, "GET", "/sleep", on_sleep, NULL) < 0 ||
        torc_route(server, "GET", "/fork", on_fork, NULL) < 0 || !add_forks() ||
        torc_route(server, "GET", "/overflow/:how", on_overflow, NULL) < 0 ||
        torc_route(server, "GET", "/overflow/group", on_group_overflow, NULL) < 0 ||
        !add_overflow_apart() || torc_route(server, "GET", "/fault", on_fault, NULL) < 0 ||
        torc_route(server, "POST", "/thread", on_thread, NULL) < 0 ||
        torc_route(server, "GET", "/thread", on_thread, NULL) < 0 ||
        torc_route(server, "GET", "/thread/write", on_write_elsewhere, NULL) < 0 ||
        torc_route(server, "GET", "/thread/written", on_written, NULL) < 0 ||
        torc_route(server, "GET", "/endless", on_endless, NULL) < 0 ||
        torc_route(server, "GET", "/errno", on_errno, NULL) < 0 ||
        torc_route(server, "GET", "/lend", on_lend, NULL) < 0 ||
        torc_route(server, "GET", "/borrow", on_borrow, NULL) < 0 ||
        torc_route(server, "GET", "/queue", on_queue, NULL) < 0 ||
        torc_route(server, "GET", "/group/own", on_own_group, NULL) < 0 ||
        torc_route(server, "GET", "/group/inner", on_inner_group, NULL) < 0 ||
        !(given_back = torc_event_new()) || torc_route(server, "GET", "/hang", on_hang, NULL) < 0)
        return 100;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMAX);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (pthread_create(&thread, NULL, idle_thread, NULL) != 0) return 101;
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    struct sigaction own = {.sa_handler = own_handler};
    sigaction(SIGHUP, &own, NULL);
    struct sigaction noted = {.sa_handler = note};
    if (pipe(notes) < 0) return 102;
    sigaction(SIGUSR1, &noted, NULL);
    if (getenv("EMBEDDER_IS_DAEMON")) close_descriptors();
    int status = torc_server_main(server, argc, argv);
    if (notes_lost) fprintf(stderr, "embedder: a note is lost\n");
    fprintf(stderr, "embedder: status %d, signals", status);
    print_dispositions();
    if (queued) print_queued();
    torc_server_free(server);
    torc_event_free(given_back);
    return status;
}
