/* A program around a server, as test_embedding.c needs it: it has a thread of its own, which takes
 * signals, before the server starts, and prints what the server left behind. Options beyond those
 * of a server: --lines FILE, which handlers of all cores write to through one descriptor. */

#include <torc.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

static void own_handler(int signal)
{
    (void)signal;
}

static void print_dispositions(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
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
    if (!server || torc_server_option(server, "lines", "FILE", "file to write", &lines_path) < 0 ||
        torc_route(server, "GET", "/line", on_line, NULL) < 0 ||
        torc_route(server, "GET", "/busy", on_busy, NULL) < 0 ||
        torc_route(server, "GET", "/sleep", on_sleep, NULL) < 0 ||
        torc_route(server, "GET", "/hang", on_hang, NULL) < 0)
        return 100;
    if (pthread_create(&thread, NULL, idle_thread, NULL) != 0) return 101;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    struct sigaction own = {.sa_handler = own_handler};
    sigaction(SIGHUP, &own, NULL);
    int status = torc_server_main(server, argc, argv);
    fprintf(stderr, "embedder: status %d, signals", status);
    print_dispositions();
    torc_server_free(server);
    return status;
}
