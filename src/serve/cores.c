#include "serve/cores.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- states and commands ---- */

static void on_state(struct core *c, enum loop_state state)
{
    struct torc_server *s = c->server;
    pthread_mutex_lock(&s->mutex);
    s->state[c - s->cores] = state;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static uint32_t count(struct torc_server *s, uint32_t from, uint32_t to, enum loop_state state)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) n += s->state[i] == state;
    return n;
}

/* A core that has ended can no longer be woken, so this looks first. */
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
    while (in_time && count(s, from, to, LOOP_DONE) + count(s, from, to, LOOP_FAILED) < to - from) {
        int err = deadline == WHEEL_NEVER
                      ? pthread_cond_wait(&s->changed, &s->mutex)
                      : pthread_cond_clockwait(&s->changed, &s->mutex, CLOCK_MONOTONIC, &until);
        in_time = err == 0;
    }
    pthread_mutex_unlock(&s->mutex);
    return in_time;
}

void cores_join(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_all; i++) core_join(&s->cores[i]);
}

/* ---- listening ---- */

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

static int add_listener(struct torc_server *s, struct core *c, struct sock_addr *addr)
{
    int fd = io_listen(s->engine, addr, s->options->backlog);
    if (fd < 0) return say_cannot_listen(addr, fd);
    acceptor_listen(&c->acceptor, fd);
    return 0;
}

static int listen_all(struct torc_server *s)
{
    struct options *o = s->options;
    if (look_for_others(o) < 0) return -1;
    for (uint32_t i = 0; i < s->n_cores; i++)
        for (uint32_t l = 0; l < o->n_listen; l++)
            if (add_listener(s, &s->cores[i], &o->listen[l]) < 0) return -1;
    return o->has_admin ? add_listener(s, &s->cores[s->n_cores], &o->admin) : 0;
}

/* ---- starting ---- */

static void prepare(struct torc_server *s, uint32_t i)
{
    struct core *c = &s->cores[i];
    const struct options *o = s->options;
    bool admin = i == s->n_cores;
    c->limits = admin ? &s->admin_limits : &o->limits;
    c->router = admin ? s->admin_router : s->router;
    c->index = i;
    c->on_state = on_state;
    c->server = s;
    c->acceptor.backlog = (uint32_t)o->backlog;
    if (!admin && s->log) c->log = access_log_ring(s->log, i);

    struct loop *l = &c->loop;
    l->engine = s->engine;
    l->config = o->io;
    l->config.max_sockets = c->limits->max_conns + LISTEN_MAX;
    l->cpu = !admin && o->pin ? o->cpu[i] : -1;
    if (admin) {
        l->config.depth = 32;
        l->config.buffers = 32;
        snprintf(l->name, sizeof l->name, "torc-admin");
    } else {
        snprintf(l->name, sizeof l->name, "torc-%u", i);
    }
}

static int allocate(struct torc_server *s)
{
    s->n_cores = s->options->n_cpus;
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
        prepare(s, i);
    }
    return 0;
}

int cores_start(struct torc_server *s)
{
    if (allocate(s) < 0 || listen_all(s) < 0) return -1;
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < s->n_all; i++) {
        int err = core_start(&s->cores[i]);
        if (err < 0)
            s->cores[i].loop.error = err; /* else it is the thread's own to set */
        else
            s->state[i] = LOOP_STARTING;
    }
    while (count(s, 0, s->n_all, LOOP_STARTING) > 0) pthread_cond_wait(&s->changed, &s->mutex);
    uint32_t failed = count(s, 0, s->n_all, LOOP_FAILED);
    pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < s->n_all; i++)
        if (s->state[i] == LOOP_FAILED)
            log_line("core %u cannot start its %s engine: %s", i, io_engine_name(s->engine),
                     strerror(-s->cores[i].loop.error));
    return failed ? -1 : 0;
}
