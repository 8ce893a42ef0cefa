#include "serve/server.h"

#include "base/log.h"
#include "serve/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_START = 1, EXIT_OPTIONS = 2, EXIT_ENGINE = 3 };

enum { ADMIN_CONNECTIONS = 64 };

/* What a handler that ignores its cancellation is given after the drain has timed out. */
#define GRACE_NS (2 * NS_PER_S)

/* ---- set-up ---- */

/* Connections are descriptors; the soft limit is made for programs that use select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

torc_server *torc_server_new(const char *name)
{
    raise_descriptor_limit();
    struct torc_server *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->name = strdup(name);
    s->set = options_new();
    s->router = router_new();
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (!s->name || !s->set || !s->router || s->stop_fd < 0) {
        torc_server_free(s);
        return NULL;
    }
    s->options = options_get(s->set);
    return s;
}

void torc_server_free(torc_server *s)
{
    if (!s) return;
    free(s->name);
    free(s->about);
    options_free(s->set);
    router_free(s->router);
    router_free(s->admin_router);
    if (s->stop_fd >= 0) close(s->stop_fd);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->changed);
    free(s->workers);
    free(s->state);
    free(s);
}

const char *torc_server_error(const torc_server *s)
{
    return s->error;
}

static int fail(struct torc_server *s, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->error, sizeof s->error, format, args);
    va_end(args);
    return err;
}

int torc_server_set(torc_server *s, const char *option, const char *value)
{
    int err = options_set(s->set, option, value);
    return err < 0 ? fail(s, err, "%s", options_error(s->set)) : 0;
}

int torc_server_option(torc_server *s, const char *name, const char *takes, const char *help,
                       const char **value)
{
    int err = options_add(s->set, name, takes, help, value);
    return err < 0 ? fail(s, err, "option %s: %s", name, strerror(-err)) : 0;
}

int torc_server_about(torc_server *s, const char *text)
{
    char *about = strdup(text);
    if (!about) return fail(s, -ENOMEM, "out of memory");
    free(s->about);
    s->about = about;
    return 0;
}

int torc_route(torc_server *s, const char *method, const char *pattern, torc_handler *handler,
               void *arg)
{
    const char *why = "";
    int m = http_method_of(slice_str(method));
    if (m < 0) return fail(s, -EINVAL, "%s is not a method that is served", method);
    if (s->phase != SERVER_SETUP) return fail(s, -EBUSY, "routes are declared before the start");
    int err = router_add(s->router, (enum http_method)m, slice_str(pattern), handler, arg, &why);
    return err < 0 ? fail(s, err, "route %s %s: %s", method, pattern, why) : 0;
}

static void serve_mount(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    if (s->root)
        static_serve(rq, s->root);
    else
        torc_reply_error(rq, 404);
}

int torc_static(torc_server *s, const char *prefix)
{
    char pattern[256];
    size_t n = strlen(prefix);
    if (n == 0 || prefix[n - 1] != '/' || n + sizeof "*path" > sizeof pattern)
        return fail(s, -EINVAL,
                    "the prefix of static files begins and ends with a slash, unlike %s", prefix);
    snprintf(pattern, sizeof pattern, "%s*path", prefix);
    s->serves_files_only = n == 1;
    return torc_route(s, "GET", pattern, serve_mount, s);
}

void torc_server_stop(torc_server *s)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t n = write(s->stop_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

/* ---- choosing the engine ---- */

static void say(const char *line)
{
    log_line("%s", line);
}

/* 0, or an exit status with its reason said. */
static int choose_engine(struct torc_server *s)
{
    s->engine = io_choose(s->options->engine, &s->options->io, say);
    return s->engine ? 0 : EXIT_ENGINE;
}

/* No more connections than the engine can hold. */
static void fit_connections(struct torc_server *s)
{
    struct options *o = s->options;
    struct rlimit limit;
    s->admin_limits = o->limits;
    s->admin_limits.max_conns = ADMIN_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    uint64_t room = io_max_sockets(&o->io, limit.rlim_cur);
    room = room > LISTEN_MAX ? room - LISTEN_MAX : 1;
    if (room < s->admin_limits.max_conns) s->admin_limits.max_conns = (uint32_t)room;
    if (room >= o->limits.max_conns) return;
    log_line("--max-connections: %" PRIu64
             " instead of %u, as the descriptor limit allows no more (raise it, ulimit -n)",
             room, o->limits.max_conns);
    o->limits.max_conns = (uint32_t)room;
}

/* ---- workers ---- */

static void on_state(struct worker *w, enum worker_state state)
{
    struct torc_server *s = w->owner;
    pthread_mutex_lock(&s->mutex);
    s->state[w - s->workers] = state;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

/* A worker that has ended can no longer be woken, so this looks before it orders. */
static void order(struct torc_server *s, uint32_t from, uint32_t to, enum worker_order what)
{
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = from; i < to; i++)
        if (s->state[i] == WORKER_READY) worker_order(&s->workers[i], what);
    pthread_mutex_unlock(&s->mutex);
}

static uint32_t count(struct torc_server *s, uint32_t from, uint32_t to, enum worker_state state)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) n += s->state[i] == state;
    return n;
}

/* False when `deadline` (ns; WHEEL_NEVER for none) comes first. */
static bool wait_ended(struct torc_server *s, uint32_t from, uint32_t to, uint64_t deadline)
{
    bool in_time = true;
    pthread_mutex_lock(&s->mutex);
    while (count(s, from, to, WORKER_DONE) + count(s, from, to, WORKER_FAILED) < to - from &&
           in_time) {
        struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
        in_time = deadline == WHEEL_NEVER ? pthread_cond_wait(&s->changed, &s->mutex) == 0
                                          : pthread_cond_clockwait(&s->changed, &s->mutex,
                                                                   CLOCK_MONOTONIC, &until) == 0;
    }
    pthread_mutex_unlock(&s->mutex);
    return in_time;
}

static int say_cannot_listen(const struct sock_addr *addr, int err)
{
    char text[SOCK_ADDR_TEXT];
    if (err < 0) {
        sock_addr_format(addr, text);
        log_line("cannot listen on %s: %s", text, strerror(-err));
    }
    return err;
}

/* Another server on the same address would silently take a part of the clients. */
static int look_for_others(const struct options *o)
{
    int err = 0;
    for (uint32_t l = 0; l < o->n_listen && err == 0; l++)
        err = say_cannot_listen(&o->listen[l], sock_taken(&o->listen[l]));
    if (err == 0 && o->has_admin) err = say_cannot_listen(&o->admin, sock_taken(&o->admin));
    return err;
}

static int add_listener(struct torc_server *s, struct worker *w, struct sock_addr *addr)
{
    int fd = io_listen(s->engine, addr, s->options->backlog);
    if (fd < 0) return say_cannot_listen(addr, fd);
    worker_listen(w, fd);
    return 0;
}

static void prepare_worker(struct torc_server *s, uint32_t i)
{
    struct worker *w = &s->workers[i];
    const struct options *o = s->options;
    bool core = i < s->n_cores;
    w->engine = s->engine;
    w->config = o->io;
    w->limits = core ? &o->limits : &s->admin_limits;
    w->backlog = (uint32_t)o->backlog;
    w->router = core ? s->router : s->admin_router;
    w->index = i;
    w->cpu = core && o->pin ? o->cpu[i] : -1;
    w->on_state = on_state;
    w->owner = s;
    if (core && s->log) w->log = access_log_ring(s->log, i);
    if (!core) {
        w->config.depth = 32;
        w->config.buffers = 32;
    }
    w->config.max_sockets = w->limits->max_conns + LISTEN_MAX;
}

static int start_workers(struct torc_server *s)
{
    struct options *o = s->options;
    s->n_cores = o->n_cpus;
    s->n_workers = s->n_cores + o->has_admin;
    s->workers = aligned_alloc(64, s->n_workers * sizeof *s->workers);
    s->state = calloc(s->n_workers, sizeof *s->state);
    if (!s->workers || !s->state) {
        s->n_workers = s->n_cores = 0;
        return EXIT_START;
    }
    memset(s->workers, 0, s->n_workers * sizeof *s->workers);
    for (uint32_t i = 0; i < s->n_workers; i++) {
        s->state[i] = WORKER_FAILED;
        prepare_worker(s, i);
    }
    if (look_for_others(o) < 0) return EXIT_START;
    for (uint32_t i = 0; i < s->n_cores; i++)
        for (uint32_t l = 0; l < o->n_listen; l++)
            if (add_listener(s, &s->workers[i], &o->listen[l]) < 0) return EXIT_START;
    if (o->has_admin && add_listener(s, &s->workers[s->n_cores], &o->admin) < 0) return EXIT_START;

    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->n_workers; i++) {
        int err = worker_start(&s->workers[i]);
        if (err < 0)
            s->workers[i].error = err; /* else it is the thread's own to set */
        else
            s->state[i] = WORKER_STARTING;
    }
    while (count(s, 0, s->n_workers, WORKER_STARTING) > 0)
        pthread_cond_wait(&s->changed, &s->mutex);
    uint32_t failed = count(s, 0, s->n_workers, WORKER_FAILED);
    pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < s->n_workers; i++)
        if (s->state[i] == WORKER_FAILED)
            log_line("core %u cannot start its %s engine: %s", i, io_engine_name(s->engine),
                     strerror(-s->workers[i].error));
    return failed ? EXIT_START : 0;
}

static void say_ready(struct torc_server *s)
{
    const struct options *o = s->options;
    char text[SOCK_ADDR_TEXT];
    for (uint32_t i = 1; i < o->n_listen; i++) {
        sock_addr_format(&o->listen[i], text);
        log_line("also http://%s", text);
    }
    if (o->has_admin) {
        sock_addr_format(&o->admin, text);
        log_line("admin http://%s", text);
    }
    sock_addr_format(&o->listen[0], text);
    log_line("ready http://%s engine=%s cores=%u depth=%u pid=%d", text, io_engine_name(s->engine),
             s->n_cores, s->workers[0].io.config.depth, (int)getpid());
}

/* ---- running ---- */

static void block_signals(sigset_t *set, sigset_t *before)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, before);
    signal(SIGPIPE, SIG_IGN);
}

/* Until a signal or torc_server_stop asks for the end. */
static void wait_for_stop(struct torc_server *s, int signals)
{
    struct pollfd fds[] = {{signals, POLLIN, 0}, {s->stop_fd, POLLIN, 0}};
    for (;;) {
        struct signalfd_siginfo info;
        if (poll(fds, 2, -1) < 0) continue;
        if (fds[1].revents) return;
        if (!(fds[0].revents & POLLIN) || read(signals, &info, sizeof info) != sizeof info)
            continue;
        if (info.ssi_signo != SIGHUP) return;
        if (s->log) access_log_reopen(s->log);
    }
}

/* Who asks again while the server drains has been heard: once unblocked, the signal would end the
 * process with a status that says otherwise. */
/* One that comes from now on, before the process has ended, must not make of an orderly end
 * another. */
static void ignore_signals(int signals)
{
    struct signalfd_siginfo info;
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    while (read(signals, &info, sizeof info) == sizeof info) continue;
}

static void drain(struct torc_server *s)
{
    uint64_t until = clock_ns() + s->options->drain_timeout;
    s->phase = SERVER_DRAINING;
    order(s, 0, s->n_cores, WORKER_DRAIN);
    if (!wait_ended(s, 0, s->n_cores, until)) {
        log_line("the drain took longer than --drain-timeout; what is left is cut off");
        order(s, 0, s->n_cores, WORKER_ABORT);
    }
    order(s, s->n_cores, s->n_workers, WORKER_ABORT);
    if (!wait_ended(s, 0, s->n_workers, clock_ns() + GRACE_NS)) {
        log_line("a handler does not return; exiting without it");
        _exit(0);
    }
}

static void end_workers(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_workers; i++) worker_end(&s->workers[i]);
}

static void close_files(struct torc_server *s)
{
    if (s->log) access_log_close(s->log);
    if (s->root) static_close(s->root);
    s->log = NULL;
    s->root = NULL;
}

static int run(struct torc_server *s)
{
    struct options *o = s->options;
    o->io.peers = o->access_log != NULL;
    int status = choose_engine(s);
    if (status) return status;
    fit_connections(s);
    if (o->check) return server_check(s);
    if (!o->root && s->serves_files_only)
        log_line("without --root DIR there is no file to serve: every answer is 404");
    if (o->root && !(s->root = static_open(o->root, o, o->n_cpus))) {
        log_line("cannot open --root %s: %s", o->root, strerror(errno));
        return EXIT_START;
    }
    if (o->access_log &&
        !(s->log = access_log_open(o->access_log, o->access_log_format, o->n_cpus))) {
        log_line("cannot open --access-log %s: %s", o->access_log, strerror(errno));
        close_files(s);
        return EXIT_START;
    }
    if (o->has_admin && !(s->admin_router = admin_routes(s))) {
        close_files(s);
        return EXIT_START;
    }
    router_freeze(s->router);
    sigset_t set, before;
    block_signals(&set, &before);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->phase = SERVER_STARTING;
    s->started_at = clock_ns();
    status = start_workers(s);
    if (status == 0) {
        s->phase = SERVER_READY;
        say_ready(s);
        wait_for_stop(s, signals);
    }
    drain(s);
    end_workers(s);
    close_files(s);
    ignore_signals(signals);
    close(signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

int torc_server_main(torc_server *s, int argc, char **argv)
{
    if (options_read(s->set, argc, argv) < 0) {
        log_line("%s", options_error(s->set));
        return EXIT_OPTIONS;
    }
    if (s->options->version) {
        printf("%s\n", s->name);
        return 0;
    }
    if (s->options->help) {
        options_print_help(s->set, argc > 0 ? argv[0] : "torc", s->about, stdout);
        return 0;
    }
    return run(s);
}
