#include "serve/cores.h"

#include "http/tick.h"
#include "io/local.h"
#include "serve/access_log.h"
#include "serve/listening.h"
#include "serve/routing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { CORE_NAME = 24 };

/* ---- states and commands ---- */

static void on_state(struct core *c, enum loop_state state)
{
    struct torc_server *s = c->server;
    if (state == LOOP_OPEN || state == LOOP_BROKEN) c->is_open = state == LOOP_OPEN;
    if (state == LOOP_READY || state == LOOP_BROKEN) c->takes_posts = state == LOOP_READY;
    pthread_mutex_lock(&s->mutex);
    s->state[c - s->cores] = state;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    signals_ask(&s->signals, ASKED_STATE | (state == LOOP_BROKEN ? ASKED_STOP : 0));
}

static uint32_t count_in_state(struct torc_server *s, uint32_t from, uint32_t to,
                               enum loop_state state)
{
    uint32_t n = 0;
    for (uint32_t i = from; s->state && i < to; i++) n += s->state[i] == state;
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
    for (uint32_t i = from; s->state && i < to; i++)
        if (s->state[i] > LOOP_STARTING && s->state[i] < LOOP_FAILED)
            loop_command(&s->cores[i].loop, command);
    pthread_mutex_unlock(&s->mutex);
}

bool cores_await_end(struct torc_server *s, uint32_t from, uint32_t to, uint64_t deadline)
{
    struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
    bool in_time = true;
    pthread_mutex_lock(&s->mutex);
    while (s->state && in_time && count_ended(s, from, to) < to - from) {
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

void cores_forget(struct torc_server *s)
{
    if (cores_end_posts(s)) free(s->cores); /* or a thread may be about to use them */
    s->cores = NULL;
    s->n_cores = s->n_all = 0;
    free(s->state);
    free(s->admin_descriptors);
    s->state = NULL;
    s->admin_descriptors = NULL;
}

/* ---- starting ---- */

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
    if (!keep) return server_fail(s, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < s->n_all; i++) keep[n++] = s->cores[i].loop.config.wake_fd;
    keep[n++] = c->acceptor.listener[0].accept.listener;
    qsort(keep, n, sizeof *keep, compare);
    s->admin_descriptors = keep;
    c->loop.private_descriptors = true;
    c->loop.only = keep;
    c->loop.n_only = n;
    return 0;
}

static void init_core(struct torc_server *s, uint32_t i)
{
    struct core *c = &s->cores[i];
    const struct options *o = s->options;
    bool admin = i == s->n_cores;
    c->limits = admin ? s->admin_limits : o->limits;
    c->router = admin ? s->admin_router : s->router;
    if (!admin) c->hooks = (struct hooks){.list = s->hooks, .n = s->n_hooks, .asked = &s->signals};
    c->pool = s->pool;
    c->openers = s->openers;
    c->index = i;
    c->on_state = on_state;
    c->on_lost = listening_lost;
    c->server = s;
    c->signals = &s->signals;
    c->acceptor.backlog = (uint32_t)o->backlog;
    if (!admin && s->log) c->log = access_log_buffer(s->log, i);
    if (!admin) c->files = static_core_of(s->files, i);
    if (!admin) c->error_handlers = s->error_handlers;
    if (!admin) c->ends = s->ends;
    if (!admin) c->n_ends = s->n_ends;
    c->timing = !admin && o->timing;
    if (o->named) c->server_line = slice_of(o->server_line, o->server_line_len);

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
        return server_fail(s, -ENOMEM, "out of memory");
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
            return server_fail(s, -ENOMEM, "out of memory");
    return 0;
}

static const char *name_core(const struct torc_server *s, uint32_t i, char out[CORE_NAME])
{
    if (i == s->n_cores) return "the admin side";
    snprintf(out, CORE_NAME, "core %u", i);
    return out;
}

/* `more`: how many others have failed, too. */
static int fail_core(struct torc_server *s, uint32_t i, uint32_t more)
{
    const struct loop *l = &s->cores[i].loop;
    char name[CORE_NAME], why[512], others[48] = "";
    const char *who = name_core(s, i, name);
    if (more) snprintf(others, sizeof others, "; cores that cannot either: %u", more);
    if (!l->thread)
        return server_fail(s, l->error, "%s cannot start its thread: %s%s%s", who,
                           strerror(-l->error), l->refused_by, others);
    io_explain(&l->io, l->error, why, sizeof why);
    return server_fail(s, l->error, "%s cannot start its %s engine: %s%s", who,
                       io_engine_name(s->engine), why, others);
}

static int prepare_all(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_all; i++) {
        int err = loop_prepare(&s->cores[i].loop);
        if (err == 0) continue;
        return server_fail(s, err, "core %u cannot open an eventfd: %s", i, strerror(-err));
    }
    return s->options->has_admin ? set_apart_admin(s) : 0;
}

static void start_threads(struct torc_server *s)
{
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->n_all; i++) {
        int err = core_start(&s->cores[i]);
        if (err == 0) {
            s->state[i] = LOOP_STARTING;
            continue;
        }
        s->cores[i].loop.error = err; /* otherwise the thread sets it */
        break;
    }
    pthread_mutex_unlock(&s->mutex);
}

static uint32_t count(struct torc_server *s, enum loop_state state)
{
    pthread_mutex_lock(&s->mutex);
    uint32_t n = count_in_state(s, 0, s->n_all, state);
    pthread_mutex_unlock(&s->mutex);
    return n;
}

/* The index of a core whose start function has failed; n_all if there is none. */
static uint32_t find_unprepared(struct torc_server *s)
{
    uint32_t i = 0;
    pthread_mutex_lock(&s->mutex);
    while (i < s->n_all && (s->state[i] != LOOP_PREPARED || s->cores[i].hooks.error == 0)) i++;
    pthread_mutex_unlock(&s->mutex);
    return i;
}

/* Whether there is something to wait for until all cores are prepared, or ready. */
static bool is_starting(struct torc_server *s, bool stopped)
{
    if (count(s, LOOP_STARTING) > 0) return true;
    return !stopped && count(s, LOOP_OPEN) > 0 && count(s, LOOP_FAILED) == 0 &&
           find_unprepared(s) == s->n_all;
}

/* False if the server is stopped while start functions run. */
static bool await_prepared(struct torc_server *s)
{
    bool stopped = false;
    while (is_starting(s, stopped)) {
        unsigned wanted = s->n_hooks > 0 && !stopped ? ASKED_STATE | ASKED_STOP : ASKED_STATE;
        if (signals_take(&s->signals, wanted) & ASKED_STOP) stopped = true;
    }
    return !stopped;
}

static void serve_all(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_cores; i++) core_serve(&s->cores[i]);
    while (count(s, LOOP_PREPARED) > 0) signals_take(&s->signals, ASKED_STATE);
}

/* Its engine has failed while start functions ran. */
static int fail_broken(struct torc_server *s, uint32_t i)
{
    int err = s->cores[i].loop.error;
    char who[CORE_NAME];
    return server_fail(s, err, "%s cannot start: %s failed: %s", name_core(s, i, who),
                       io_wait_call(s->engine), strerror(-err));
}

/* As it had been asked to: that is no failure of the program. */
static int fail_stopped(struct torc_server *s)
{
    s->status = 0;
    return server_fail(s, -ESHUTDOWN, "the server was stopped before it was ready");
}

/* The first core in that state; n_all if there is none. */
static uint32_t find(struct torc_server *s, enum loop_state state)
{
    uint32_t i = 0;
    pthread_mutex_lock(&s->mutex);
    while (i < s->n_all && s->state[i] != state) i++;
    pthread_mutex_unlock(&s->mutex);
    return i;
}

/* Keeps one descriptor for a client until the cores have all that they need: the start fails where
 * none would be left. Not where each core has a table of its own, or the sockets are in one of the
 * ring. */
static int keep_for_client(struct torc_server *s, int *kept)
{
    const struct options *o = s->options;
    *kept = -1;
    if (o->private_descriptors || io_max_sockets(&o->io, 1) == 1) return 0;
    *kept = eventfd(0, EFD_CLOEXEC);
    if (*kept >= 0) return 0;
    return server_fail(s, -errno, "no descriptor is left for a client: %s", strerror(errno));
}

static int await_started(struct torc_server *s, int kept)
{
    bool prepared = await_prepared(s);
    if (kept >= 0) close(kept);
    uint32_t failed = count(s, LOOP_FAILED), broken = find(s, LOOP_BROKEN);
    if (failed > 0) return fail_core(s, find(s, LOOP_FAILED), failed - 1);
    if (broken < s->n_all) return fail_broken(s, broken);
    uint32_t i = find_unprepared(s);
    if (!prepared || (i < s->n_all && signals_stop_asked(&s->signals))) return fail_stopped(s);
    if (i < s->n_all) {
        int err = s->cores[i].hooks.error;
        return server_fail(s, err, "a start function has failed on core %u: %s", i, strerror(-err));
    }
    if (s->n_hooks > 0) serve_all(s);
    return 0;
}

int cores_start(struct torc_server *s)
{
    /* Start functions would do for nothing what is undone at once. */
    if (s->n_hooks > 0 && signals_stop_asked(&s->signals)) return fail_stopped(s);
    int failed = init_cores(s);
    if (failed == 0) failed = listening_open(s);
    if (failed == 0) failed = prepare_all(s);
    if (failed == 0 && !routing_freeze(s)) failed = server_fail(s, -ENOMEM, "out of memory");
    int kept = -1;
    if (failed == 0) failed = keep_for_client(s, &kept);
    if (failed < 0) return failed;
    start_threads(s);
    return await_started(s, kept);
}

/* ---- ending ---- */

/* The files of Unix sockets go while these are open. A start that has failed may be repeated, with
 * the sockets that the process was given. */
void cores_join(struct torc_server *s)
{
    struct options *o = s->options; /* NULL without memory for them */
    for (uint32_t l = 0; o && l < o->n_listen; l++)
        if (o->listen[l].path) local_remove(&o->listen[l]);
    for (uint32_t i = 0; i < s->n_all; i++) core_join(&s->cores[i], !s->has_started);
}
