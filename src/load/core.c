#include "load/core.h"

#include "base/wake.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

static uint64_t share(uint64_t n, uint32_t i, uint32_t parts)
{
    return n / parts + (i < n % parts);
}

/* ---- phases ---- */

/* Spread over the ramp; without one all at once. */
static void connect_more(struct load_core *c)
{
    struct io *io = &c->context.io;
    uint64_t ramp = c->context.plan->ramp, since = io->now - c->ramp_start;
    uint64_t want = schedule_ramp(c->n_clients, since, ramp);
    while (c->started < c->n_clients && c->started < want)
        client_connect(&c->clients[c->started++]);
    if (c->started < c->n_clients) wheel_set(&io->wheel, &c->ramp, io->now + ramp / c->n_clients);
}

static void on_ramp(struct wheel_timer *t)
{
    struct load_core *c = container_of(t, struct load_core, ramp);
    if (c->context.record.phase < PHASE_DRAIN) connect_more(c);
}

static void enter(struct load_core *c, enum phase phase)
{
    supply_enter(&c->context.supply, phase);
    for (uint32_t i = 0; i < c->started; i++) {
        struct client *client = &c->clients[i];
        if (phase == PHASE_END) {
            client_end(client);
        } else if (client->state == CLIENT_OPEN) {
            client_schedule(client);
        }
    }
}

static void on_wake(struct io *io)
{
    struct load_core *c = io->user;
    enum phase command = (enum phase)atomic_load(&c->command), now = c->context.record.phase;
    if (now >= command) return;
    /* A core that slept through several commands still drains before it ends, for a turn: what is
     * due by now is sent at its end. */
    bool drains = now < PHASE_DRAIN && command > PHASE_DRAIN;
    enter(c, drains ? PHASE_DRAIN : command);
    if (drains) wake_by(c->wake_fd);
}

static void on_alarm(struct io *io)
{
    struct load_core *c = io->user;
    supply_dispatch(&c->context.supply);
}

/* ---- the thread ---- */

static void prepare_thread(struct load_core *c)
{
    const struct plan *p = c->context.plan;
    char name[16];
    cpu_set_t set;
    snprintf(name, sizeof name, "torc-load-%u", c->index);
    pthread_setname_np(pthread_self(), name);
    atomic_store(&c->tid, gettid());
    /* Sleeps end on time rather than up to 50 us later (PR_SET_TIMERSLACK(2const)). */
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (!p->pin) return;
    CPU_ZERO(&set);
    CPU_SET(p->cpu[c->index], &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static int open_engine(struct load_core *c)
{
    struct io *io = &c->context.io;
    struct io_config config = c->context.plan->io;
    config.wake_fd = c->wake_fd;
    int err = io_open(io, c->engine, &config);
    if (err < 0) return err;
    io->user = c;
    io->on_wake = on_wake;
    io->on_alarm = on_alarm;
    return 0;
}

static bool is_over(const struct load_core *c)
{
    const struct load_context *x = &c->context;
    return x->record.phase == PHASE_END && x->open == 0 && io_idle(&x->io);
}

/* Without one of its cores a run measures nothing. */
static void report_failed(struct load_core *c)
{
    atomic_store(&c->failed, true);
    wake_by(c->context.record.completed_fd);
}

/* What the kernel still holds can be neither closed nor freed. */
static void report_broken(struct load_core *c)
{
    const struct io *io = &c->context.io;
    fprintf(stderr, "torc-load: core %u: %s failed: %s\n", c->index, io_wait_call(c->engine),
            strerror(-io->error));
    atomic_store(&c->broken, true);
    wake_by(c->context.record.completed_fd);
}

static void *run(void *arg)
{
    struct load_core *c = arg;
    struct load_context *x = &c->context;
    prepare_thread(c);
    c->error = open_engine(c);
    if (c->error < 0) {
        report_failed(c);
        return NULL;
    }
    wheel_timer_init(&c->ramp, on_ramp);
    c->ramp_start = x->io.now;
    if (x->plan->ramp) supply_enter(&x->supply, PHASE_WARM);
    connect_more(c);
    on_wake(&x->io);
    while (!is_over(c) && !x->io.error) io_turn(&x->io);
    if (x->io.error) {
        report_broken(c);
        return NULL;
    }
    supply_count_left(&x->supply); /* last: no reply waits for it */
    wheel_clear(&x->io.wheel, &c->ramp);
    io_close(&x->io);
    return NULL;
}

/* ---- starting and ending ---- */

static bool init_context(struct load_core *c, const struct plan *p, int completed_fd)
{
    struct load_context *x = &c->context;
    x->plan = p;
    bool ok = record_init(&x->record, p, share(p->count, c->index, p->n_cores), completed_fd);
    supply_init(&x->supply, &x->record, &x->io, c->index);
    x->references = calloc(p->n_requests, sizeof *x->references);
    x->filler = (struct filler){
        .random = (p->seed + c->index + 1) * 0x9E3779B97F4A7C15 | 1,
        .sequence = calloc(p->n_sequences + 1, sizeof(uint64_t)),
        .core = c->index,
        .cores = p->n_cores,
    };
    return ok && x->references && x->filler.sequence;
}

static bool init_clients(struct load_core *c)
{
    const struct plan *p = c->context.plan;
    c->clients = calloc(c->n_clients, sizeof *c->clients);
    if (!c->clients) return false;
    for (uint32_t i = 0; i < c->n_clients; i++)
        if (!client_init(&c->clients[i], &c->context, i * p->n_cores + c->index)) return false;
    return true;
}

int load_core_start(struct load_core *c, const struct plan *plan, const struct io_engine *engine,
                    uint32_t index, int completed_fd)
{
    c->engine = engine;
    c->index = index;
    c->n_clients = (uint32_t)share(plan->connections, index, plan->n_cores);
    if (!init_context(c, plan, completed_fd) || !init_clients(c)) return -ENOMEM;
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->wake_fd < 0) return -errno;
    return -pthread_create(&c->thread, NULL, run, c);
}

void load_core_command(struct load_core *c, enum phase phase)
{
    atomic_store(&c->command, phase);
    wake_by(c->wake_fd);
}

void load_core_join(struct load_core *c)
{
    pthread_join(c->thread, NULL);
    close(c->wake_fd);
}

void load_core_free(struct load_core *c)
{
    struct load_context *x = &c->context;
    for (uint32_t i = 0; i < c->n_clients; i++) client_free(&c->clients[i]);
    for (uint32_t i = 0; i < x->plan->n_requests; i++) reference_free(&x->references[i]);
    free(c->clients);
    free(x->references);
    free(x->filler.sequence);
    supply_free(&x->supply);
    record_free(&x->record);
}
