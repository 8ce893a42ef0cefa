/* The life cycle of a server: set-up through the public API, start, drain and end. */

#include "base/cond.h"
#include "base/log.h"
#include "base/stdio.h"
#include "http/tick.h"
#include "http/visitor.h"
#include "serve/admin.h"
#include "serve/backtrace.h"
#include "serve/check.h"
#include "serve/connections.h"
#include "serve/cores.h"
#include "serve/effect.h"
#include "serve/mount.h"
#include "serve/overflow.h"
#include "serve/program_metrics.h"
#include "serve/reload.h"
#include "serve/routing.h"
#include "serve/server_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_START = 1, EXIT_OPTIONS = 2, EXIT_ENGINE = 3, EXIT_ABANDONED = 4 };

/* Time that handlers have to return once they are cancelled, when the drain has timed out. */
#define ABORT_GRACE_NS (2 * NS_PER_S)

/* ---- set-up ---- */

/* Each connection needs a descriptor, and the soft limit is low only for the sake of select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

torc_server *torc_server_new(const char *name)
{
    stdio_reserve();
    raise_descriptor_limit();
    struct torc_server *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->name = strdup(name);
    s->set = options_new();
    bool routes = routing_init(s);
    signals_init(&s->signals);
    pthread_mutex_init(&s->mutex, NULL);
    cond_init_monotonic(&s->changed);
    if (!s->name || !s->set || !routes) {
        torc_server_free(s);
        return NULL;
    }
    s->options = options_get(s->set);
    s->now = s->set;
    return s;
}

static void begin_work(void)
{
    overflow_begin(NULL);
}

/* 0, or an exit status with the reason logged. */
static int open_pool(struct torc_server *s)
{
    const struct options *o = s->options;
    s->pool = offload_new(options_work_threads(o), o->work_queue);
    if (!s->pool) {
        log_line("out of memory");
        return EXIT_START;
    }
    offload_set_hooks(s->pool, begin_work, overflow_end);
    /* A thread that a core starts shares the core's descriptors, if it has a table of its own. */
    if (o->private_descriptors) offload_start_all(s->pool);
    return 0;
}

/* False if a job still runs at `deadline` (ns). */
static bool close_pool(struct torc_server *s, uint64_t deadline)
{
    if (s->pool && !offload_stop(s->pool, deadline)) return false;
    offload_free(s->pool);
    s->pool = NULL;
    return true;
}

static void close_files(struct torc_server *s)
{
    if (s->log) access_log_close(s->log);
    if (s->files) static_close(s->files);
    s->log = NULL;
    s->files = NULL;
}

/* An abandoned handler or job may have returned since; while it has not, it uses the server. The
 * kernel may still write to what a broken core has submitted. */
static bool reclaim(struct torc_server *s)
{
    if (cores_broken(s) || !cores_await_end(s, 0, s->n_all, 0)) return false;
    if (!close_pool(s, 0)) return false;
    cores_join(s);
    close_files(s);
    return true;
}

void torc_server_free(torc_server *s)
{
    if (!s) return;
    if (s->phase == SERVER_ABANDONED && !reclaim(s)) {
        cores_detach(s);
        if (s->pool) offload_detach(s->pool);
        return;
    }
    free(s->name);
    free(s->about);
    reload_free(s);
    options_free(s->set);
    routing_end(s);
    router_free(s->admin_router);
    mounts_free(s);
    signals_free(&s->signals);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->changed);
    free(s->ticks);
    program_metrics_free(s);
    measures_end(&s->measures);
    free(s->cores);
    free(s->admin_descriptors);
    free(s->state);
    free(s);
}

const char *torc_server_error(const torc_server *s)
{
    return s->error;
}

int server_fail(struct torc_server *s, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->error, sizeof s->error, format, args);
    va_end(args);
    return err;
}

static int fail_started(struct torc_server *s, const char *what)
{
    return server_fail(s, -EBUSY, "%s before the server starts", what);
}

int torc_server_set(torc_server *s, const char *option, const char *value)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "options must be set");
    int err = options_set(s->set, option, value);
    return err < 0 ? server_fail(s, err, "%s", options_error(s->set)) : 0;
}

int torc_server_option(torc_server *s, const char *name, const char *takes, const char *help,
                       const char **value)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "options must be declared");
    int err = options_add(s->set, name, takes, help, value);
    const char *why = err == -EEXIST ? "there is one of that name" : strerror(-err);
    return err < 0 ? server_fail(s, err, "option %s: %s", name, why) : 0;
}

int torc_server_about(torc_server *s, const char *text)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "the description must be set");
    char *about = strdup(text);
    if (!about) return server_fail(s, -ENOMEM, "out of memory");
    free(s->about);
    s->about = about;
    return 0;
}

int torc_every(torc_server *s, unsigned ms, torc_handler *fn, void *arg)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "what runs every so often must be added");
    if (ms == 0) return server_fail(s, -EINVAL, "a period is at least a millisecond");
    struct tick_plan *ticks = realloc(s->ticks, (s->n_ticks + 1) * sizeof *ticks);
    if (!ticks) return server_fail(s, -ENOMEM, "out of memory");
    ticks[s->n_ticks++] = (struct tick_plan){ms * NS_PER_MS, {.fn = fn, .arg = arg}};
    s->ticks = ticks;
    return 0;
}

void torc_server_stop(torc_server *s)
{
    signals_ask(&s->signals, ASKED_STOP);
}

void torc_server_reload(torc_server *s)
{
    signals_ask(&s->signals, ASKED_RELOAD);
}

/* ---- choosing the engine ---- */

static void log_reason(const char *line)
{
    log_line("%s", line);
}

/* 0, or an exit status with the reason logged. */
static int choose_engine(struct torc_server *s)
{
    struct options *o = s->options;
    o->io.rings = o->n_cpus + o->has_admin;
    s->engine = io_choose(o->engine, &o->io, log_reason);
    if (s->engine && o->io.walk && (o->root || s->mounts))
        log_line(
            "openat2 is not permitted, as by a seccomp profile or RestrictSUIDSGID= of systemd; "
            "static files are opened step by step instead, which takes longer");
    if (!s->engine) return EXIT_ENGINE;
    s->n_cores = io_holds_thread(s->engine) ? o->threads : o->n_cpus;
    effect_log(s->set, s->engine);
    return 0;
}

/* ---- running ---- */

static void log_ready(struct torc_server *s)
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
    if (io_holds_thread(s->engine))
        log_line("threads: %u, with a connection at a time each", s->n_cores);
    sock_addr_format(&o->listen[0], text);
    log_line("ready http://%s engine=%s cores=%u depth=%u pid=%d", text, io_engine_name(s->engine),
             o->n_cpus, s->cores[0].loop.io.config.depth, (int)getpid());
}

/* Returns when SIGTERM, SIGINT or torc_server_stop asks the server to stop. A reload that is asked
 * for while one is under way follows it. */
static void wait_for_stop(struct torc_server *s)
{
    bool again = false;
    for (unsigned asked; !((asked = signals_wait(&s->signals)) & ASKED_STOP);) {
        if (asked & ASKED_TAKEN) reload_finish(s);
        again |= asked & ASKED_RELOAD;
        if (!again || s->reload.next) continue;
        again = false;
        reload_begin(s);
    }
}

static bool abandon(const char *what)
{
    log_line("a %s did not return after cancellation; stopping without it", what);
    return false;
}

/* False if a handler or a job has not returned even after it was cancelled. */
static bool drain(struct torc_server *s)
{
    uint64_t until = clock_ns() + options_get(s->now)->drain_timeout;
    s->phase = SERVER_DRAINING;
    cores_command(s, 0, s->n_cores, LOOP_DRAIN);
    if (!cores_await_end(s, 0, s->n_cores, until)) {
        log_line("drain exceeded --drain-timeout; aborting the remaining connections");
        cores_command(s, 0, s->n_cores, LOOP_ABORT);
    }
    cores_command(s, s->n_cores, s->n_all, LOOP_ABORT);
    if (!cores_await_end(s, 0, s->n_all, clock_ns() + ABORT_GRACE_NS)) return abandon("handler");
    if (cores_broken(s)) return true;
    uint64_t now = clock_ns();
    return close_pool(s, (now > until ? now : until) + ABORT_GRACE_NS) || abandon("job");
}

/* Threads that serve one connection each share what --file-cache gives each CPU. */
static uint32_t files_per_core(const struct torc_server *s)
{
    const struct options *o = s->options;
    if (!io_holds_thread(s->engine)) return o->file_cache;
    uint32_t share = o->file_cache * o->n_cpus / s->n_cores;
    return share ? share : 1;
}

static int open_files(struct torc_server *s)
{
    const struct options *o = s->options;
    struct file_cache_limits limits = {files_per_core(s), o->file_cache_ttl};
    if (!o->root && s->serves_files_only)
        log_line("no --root given: every request will be answered with 404");
    if (!mounts_check(s)) return EXIT_START;
    s->files = static_open(&limits, s->n_cores);
    if (!s->files) {
        log_line("no memory for the cache of open files (--file-cache)");
        return EXIT_START;
    }
    if (o->access_log)
        s->log = access_log_open(o->access_log, o->access_log_format, s->n_cores, ACCESS_FLUSH_MS);
    return o->access_log && !s->log ? EXIT_START : 0;
}

static int serve_and_drain(struct torc_server *s)
{
    s->started_at = clock_ns();
    int status = cores_start(s) < 0 ? EXIT_START : 0;
    if (status == 0) {
        measures_begin(&s->measures, s->cores, s->n_cores, io_holds_thread(s->engine),
                       s->started_at);
        s->phase = SERVER_READY;
        if (s->options->stall_warn)
            stall_start(&s->stalls, s->cores, s->n_cores, s->options->stall_warn);
        log_ready(s);
        wait_for_stop(s);
    }
    bool drained = drain(s);
    stall_stop(&s->stalls);
    if (!drained) {
        s->phase = SERVER_ABANDONED;
        return EXIT_ABANDONED;
    }
    if (cores_broken(s)) {
        s->phase = SERVER_ABANDONED;
        return EXIT_START;
    }
    cores_join(s);
    close_files(s);
    return status;
}

static int serve(struct torc_server *s)
{
    if (!signals_watch(&s->signals)) {
        log_line("too many servers run in this process");
        close_files(s);
        close_pool(s, 0);
        return EXIT_START;
    }
    overflow_watch();
    s->backtraces = s->options->stall_warn;
    if (s->backtraces) backtrace_install();
    int status = serve_and_drain(s);
    overflow_unwatch();
    if (s->backtraces && s->phase != SERVER_ABANDONED) backtrace_uninstall();
    signals_unwatch(&s->signals);
    return status;
}

static int flush_stdout(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    log_line("cannot write to stdout: %s", strerror(errno));
    return EXIT_START;
}

/* Whether the descriptor limit, which a ring's table of sockets may not exceed, has room for it. */
static bool table_fits(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > ACCEPTOR_SPARE;
}

static int run(struct torc_server *s)
{
    struct options *o = s->options;
    options_divide(o);
    o->io.ordinary = o->access_log || http_limits_clients(&o->limits) || !table_fits();
    o->io.peers = !s->serves_files_only || o->config || o->limits.proxies.trusted.n;
    int status = choose_engine(s);
    if (status) return status;
    connections_begin(s);
    if (o->check) {
        status = server_check(s);
        return status ? status : flush_stdout();
    }
    status = open_files(s);
    if (status == 0 && o->has_admin && !(s->admin_router = admin_routes(s))) status = EXIT_START;
    if (status == 0) status = open_pool(s);
    if (status) {
        close_files(s);
        return status;
    }
    if (!routing_freeze(s)) {
        log_line("out of memory");
        close_files(s);
        close_pool(s, 0);
        return EXIT_START;
    }
    return serve(s);
}

static int read_options_and_run(struct torc_server *s, int argc, char **argv)
{
    if (reload_prepare(s, argc, argv) < 0) {
        log_line("out of memory");
        return EXIT_START;
    }
    if (options_read(s->set, argc, argv) < 0) {
        log_line("%s", options_error(s->set));
        return EXIT_OPTIONS;
    }
    if (s->options->version) {
        printf("%s\n", s->name);
        return flush_stdout();
    }
    if (s->options->help) {
        options_print_help(s->set, argc > 0 ? argv[0] : "torc", s->about, stdout);
        return flush_stdout();
    }
    return run(s);
}

int torc_server_main(torc_server *s, int argc, char **argv)
{
    int phase = SERVER_SETUP;
    if (!atomic_compare_exchange_strong(&s->phase, &phase, SERVER_STARTING)) return -EBUSY;
    stdio_reserve(); /* the program may have closed what torc_server_new found, as a daemon does */
    int status = read_options_and_run(s, argc, argv);
    if (s->phase != SERVER_ABANDONED) s->phase = SERVER_ENDED;
    return status;
}
