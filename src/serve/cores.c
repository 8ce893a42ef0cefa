#include "serve/cores.h"

#include "base/log.h"
#include "http/tick.h"
#include "io/local.h"
#include "serve/access_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAKEN_RETRY_NS NS_PER_S

/* ---- states and commands ---- */

static void on_state(struct core *c, enum loop_state state)
{
    struct torc_server *s = c->server;
    if (state == LOOP_READY || state == LOOP_BROKEN) c->is_ready = state == LOOP_READY;
    pthread_mutex_lock(&s->mutex);
    s->state[c - s->cores] = state;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    if (state == LOOP_BROKEN) torc_server_stop(s);
}

static uint32_t count_in_state(struct torc_server *s, uint32_t from, uint32_t to,
                               enum loop_state state)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) n += s->state[i] == state;
    return n;
}

static uint32_t count_ended(struct torc_server *s, uint32_t from, uint32_t to)
{
    return count_in_state(s, from, to, LOOP_DONE) + count_in_state(s, from, to, LOOP_FAILED) +
           count_in_state(s, from, to, LOOP_BROKEN);
}

bool cores_broken(struct torc_server *s)
{
    pthread_mutex_lock(&s->mutex);
    bool broken = count_in_state(s, 0, s->n_all, LOOP_BROKEN) > 0;
    pthread_mutex_unlock(&s->mutex);
    return broken;
}

/* Checks the state, as a core that has ended must not be woken. */
void cores_command(struct torc_server *s, uint32_t from, uint32_t to, enum loop_command command)
{
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = from; i < to; i++)
        if (s->state[i] == LOOP_READY) loop_command(&s->cores[i].loop, command);
    pthread_mutex_unlock(&s->mutex);
}

bool cores_await_end(struct torc_server *s, uint32_t from, uint32_t to, uint64_t deadline)
{
    struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
    bool in_time = true;
    pthread_mutex_lock(&s->mutex);
    while (in_time && count_ended(s, from, to) < to - from) {
        in_time = pthread_cond_timedwait(&s->changed, &s->mutex, &until) == 0;
    }
    pthread_mutex_unlock(&s->mutex);
    return in_time;
}

void cores_detach(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_all; i++)
        if (s->cores[i].loop.thread) pthread_detach(s->cores[i].loop.thread);
}

/* ---- listening ---- */

static int fail_listen(const struct sock_addr *addr, int err)
{
    char text[SOCK_ADDR_TEXT];
    sock_addr_format(addr, text);
    log_line("cannot listen on %s: %s", text, strerror(-err));
    return err;
}

static int is_taken(const struct sock_addr *addr)
{
    return addr->path ? local_taken(addr) : sock_taken(addr);
}

/* The kernel closes the sockets of a ring some time after its process has ended, so one that was
 * killed and started again finds its own addresses taken for a moment. */
static int check_unused(const struct sock_addr *addr)
{
    const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    uint64_t until = clock_ns() + TAKEN_RETRY_NS;
    int err;
    while ((err = is_taken(addr)) < 0 && clock_ns() < until) nanosleep(&pause, NULL);
    return err < 0 ? fail_listen(addr, err) : 0;
}

/* With SO_REUSEPORT, another server on the same address would silently share the clients. */
static int check_all_unused(const struct options *o)
{
    int err = 0;
    for (uint32_t l = 0; l < o->n_listen && err == 0; l++)
        if (o->given[l] < 0) err = check_unused(&o->listen[l]);
    return err == 0 && o->has_admin ? check_unused(&o->admin) : err;
}

/* `given`: the descriptor of a socket that the process was started with, or -1. */
static int add_listener(struct torc_server *s, struct core *c, struct sock_addr *addr, int given)
{
    int fd = given, err = 0;
    if (given < 0)
        fd = io_listen(s->engine, addr, s->options->backlog);
    else
        err = io_adopt(s->engine, given);
    if (fd < 0 || err < 0) return fail_listen(addr, fd < 0 ? fd : err);
    err = sock_keep_alive(fd, &s->options->keepalive);
    if (err < 0) log_line("cannot set TCP keep-alive: %s; continuing without", strerror(-err));
    acceptor_add_listener(&c->acceptor, fd)->kept = given >= 0;
    return 0;
}

/* Threads that serve one connection each take it from one queue. */
static int add_listeners(struct torc_server *s, struct core *c)
{
    struct options *o = s->options;
    if (io_holds_thread(s->engine) && c != s->cores) {
        acceptor_share_listeners(&c->acceptor, &s->cores[0].acceptor);
        return 0;
    }
    for (uint32_t l = 0; l < o->n_listen; l++) {
        /* There is no SO_REUSEPORT for Unix sockets, and one that was given is one. */
        bool one = o->listen[l].sa.sa_family == AF_UNIX || o->given[l] >= 0;
        if (one && c != s->cores)
            acceptor_add_shared(&c->acceptor, &s->cores[0].acceptor.listener[l]);
        else if (add_listener(s, c, &o->listen[l], o->given[l]) < 0)
            return -1;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The admin core has a descriptor table of its own: clients that use up the others' must not keep
 * it from answering. It keeps what wakes the cores, as it asks them for what they do. */
static int set_apart_admin(struct torc_server *s)
{
    struct core *c = &s->cores[s->n_cores];
    uint32_t n = 0;
    int *keep = calloc(s->n_all + 1, sizeof *keep);
    if (!keep) return -1;
    for (uint32_t i = 0; i < s->n_all; i++) keep[n++] = s->cores[i].loop.config.wake_fd;
    keep[n++] = c->acceptor.listener[0].accept.listener;
    qsort(keep, n, sizeof *keep, compare);
    s->admin_descriptors = keep;
    c->loop.private_descriptors = true;
    c->loop.only = keep;
    c->loop.n_only = n;
    return 0;
}

static int listen_all(struct torc_server *s)
{
    struct options *o = s->options;
    if (check_all_unused(o) < 0) return -1;
    for (uint32_t i = 0; i < s->n_cores; i++)
        if (add_listeners(s, &s->cores[i]) < 0) return -1;
    return o->has_admin ? add_listener(s, &s->cores[s->n_cores], &o->admin, -1) : 0;
}

/* ---- starting ---- */

static void init_core(struct torc_server *s, uint32_t i)
{
    struct core *c = &s->cores[i];
    const struct options *o = s->options;
    bool admin = i == s->n_cores;
    c->limits = admin ? s->admin_limits : o->limits;
    c->router = admin ? s->admin_router : s->router;
    c->pool = s->pool;
    c->index = i;
    c->on_state = on_state;
    c->server = s;
    c->acceptor.backlog = (uint32_t)o->backlog;
    if (!admin && s->log) c->log = access_log_buffer(s->log, i);
    if (!admin) c->files = static_core_of(s->files, i);
    if (!admin) c->error_handlers = s->error_handlers;
    if (!admin) c->ends = s->ends;
    if (!admin) c->n_ends = s->n_ends;
    c->timing = !admin && o->timing;

    struct loop *l = &c->loop;
    l->engine = s->engine;
    l->config = o->io;
    l->config.max_sockets = (admin ? c->limits.max_conns : s->room) + ACCEPTOR_SPARE;
    bool one = io_holds_thread(s->engine) && !admin;
    if (o->pin && !admin) {
        l->cpu = one ? o->cpu : &o->cpu[i];
        l->n_cpus = one ? o->n_cpus : 1;
    }
    l->config.one_connection = one;
    if (one) l->config.buffers = 1; /* a connection has no use for more */
    l->private_descriptors = o->private_descriptors;
    if (s->log) l->without = access_log_descriptor(s->log);
    if (admin) {
        l->config.depth = 32;
        l->config.buffers = 32;
        snprintf(l->name, sizeof l->name, "torc-admin");
    } else {
        snprintf(l->name, sizeof l->name, "torc-%u", i);
    }
}

static int init_root(struct torc_server *s, struct core *c)
{
    if (!s->options->root) return 0;
    c->root = core_root_new(s->options->root);
    return c->root ? 0 : -1;
}

static int init_ticks(struct torc_server *s, struct core *c)
{
    if (s->n_ticks == 0) return 0;
    c->ticks = ticks_new(s->ticks, s->n_ticks);
    c->n_ticks = s->n_ticks;
    return c->ticks ? 0 : -1;
}

static int init_recorder(const struct torc_server *s, struct core *c)
{
    return s->options->timeline ? recorder_init(&c->recorder, s->options->timeline) : 0;
}

static int init_cores(struct torc_server *s)
{
    s->n_all = s->n_cores + s->options->has_admin;
    s->cores = aligned_alloc(64, s->n_all * sizeof *s->cores);
    s->state = calloc(s->n_all, sizeof *s->state);
    if (!s->cores || !s->state) {
        s->n_all = s->n_cores = 0;
        return -1;
    }
    memset(s->cores, 0, s->n_all * sizeof *s->cores);
    for (uint32_t i = 0; i < s->n_all; i++) {
        s->state[i] = LOOP_FAILED;
        init_core(s, i);
    }
    s->has_cores = true;
    for (uint32_t i = 0; i < s->n_cores; i++)
        if (init_ticks(s, &s->cores[i]) < 0 || init_root(s, &s->cores[i]) < 0 ||
            init_recorder(s, &s->cores[i]) < 0)
            return -1;
    return 0;
}

static void report_failed(const struct torc_server *s, uint32_t i)
{
    const struct loop *l = &s->cores[i].loop;
    char why[512];
    if (!l->thread) {
        log_line("core %u cannot start its thread: %s%s", i, strerror(-l->error), l->refused_by);
        return;
    }
    io_explain(&l->io, l->error, why, sizeof why);
    log_line("core %u cannot start its %s engine: %s", i, io_engine_name(s->engine), why);
}

static int prepare_all(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_all; i++) {
        int err = loop_prepare(&s->cores[i].loop);
        if (err == 0) continue;
        log_line("core %u cannot open an eventfd: %s", i, strerror(-err));
        return -1;
    }
    return s->options->has_admin ? set_apart_admin(s) : 0;
}

int cores_start(struct torc_server *s)
{
    if (init_cores(s) < 0 || listen_all(s) < 0 || prepare_all(s) < 0) return -1;
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->n_all; i++) {
        int err = core_start(&s->cores[i]);
        if (err < 0)
            s->cores[i].loop.error = err; /* otherwise the thread sets it */
        else
            s->state[i] = LOOP_STARTING;
    }
    while (count_in_state(s, 0, s->n_all, LOOP_STARTING) > 0)
        pthread_cond_wait(&s->changed, &s->mutex);
    uint32_t failed = count_in_state(s, 0, s->n_all, LOOP_FAILED);
    pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < s->n_all; i++)
        if (s->state[i] == LOOP_FAILED) report_failed(s, i);
    return failed ? -1 : 0;
}

/* ---- ending ---- */

/* The files of Unix sockets go while these are open. */
void cores_join(struct torc_server *s)
{
    struct options *o = s->options;
    for (uint32_t l = 0; l < o->n_listen; l++)
        if (o->listen[l].path) local_remove(&o->listen[l]);
    for (uint32_t i = 0; i < s->n_all; i++) core_join(&s->cores[i]);
}
