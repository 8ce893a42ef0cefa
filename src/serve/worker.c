#include "serve/worker.h"

#include "base/log.h"
#include "http/http.h"
#include "serve/access_log.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#define THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define THREAD_SANITIZER 0
#endif

#define RETRY_NS        (100 * NS_PER_MS)
#define HOUSEKEEPING_NS NS_PER_S
#define WARNING_NS      (10 * NS_PER_S)

/* ---- accepting ---- */

static void listen_start(struct listener *l)
{
    if (l->worker->accepting && !io_busy(&l->accept.op))
        io_accept_start(&l->worker->io, &l->accept);
}

static void accepting(struct worker *w, bool on)
{
    w->accepting = on;
    for (uint32_t i = 0; i < w->n_listeners; i++) {
        struct listener *l = &w->listener[i];
        if (on)
            listen_start(l);
        else
            io_cancel(&w->io, &l->accept.op);
    }
}

/* Whether what waits in the listen queues, all of which may be taken in one go, could be more than
 * the limit leaves room for. */
static bool near_limit(const struct worker *w, uint32_t factor)
{
    return w->limits->max_conns - w->core.n_open <= factor * w->n_listeners * (w->backlog + 1);
}

static void accept_singly(struct worker *w, bool on)
{
    w->singly = on;
    for (uint32_t i = 0; i < w->n_listeners; i++) {
        struct listener *l = &w->listener[i];
        l->accept.single = on;
        if (on) io_cancel(&w->io, &l->accept.op); /* it starts again when that has ended */
    }
}

/* Further clients than the limit allows wait in the listen queue, which the kernel bounds. */
static void admit(struct worker *w, int fd)
{
    uint32_t max = w->limits->max_conns;
    if (w->core.n_open < max)
        http_accept(&w->core, fd);
    else if (w->n_early < LISTEN_MAX)
        w->early[w->n_early++] = fd;
    else
        io_discard(&w->io, fd);
    if (w->core.n_open >= max) {
        if (w->accepting) accepting(w, false);
    } else if (!w->singly && near_limit(w, 1)) {
        accept_singly(w, true);
    }
}

static void on_retry(struct wheel_timer *t)
{
    listen_start(container_of(t, struct listener, retry));
}

static void on_accept(struct io *io, struct io_op *op, int res, bool more)
{
    struct listener *l =
        container_of(container_of(op, struct io_accept, op), struct listener, accept);
    struct worker *w = l->worker;
    if (res >= 0) {
        if (w->order != WORKER_RUN) {
            io_discard(io, res);
            return;
        }
        admit(w, res);
        return;
    }
    if (more || w->order != WORKER_RUN) return;
    if (res == -ECANCELED) {
        listen_start(l); /* room may have come meanwhile */
        return;
    }
    counter_add(&w->refused, 1);
    if (io->now - l->last_warning > WARNING_NS) {
        l->last_warning = io->now;
        log_line("core %u cannot accept: %s; %u connections are open (raise the descriptor limit, "
                 "ulimit -n)",
                 w->index, strerror(-res), w->core.n_open);
    }
    wheel_set(&io->wheel, &l->retry, io->now + RETRY_NS);
}

static void on_conn_close(struct http_context *core)
{
    struct worker *w = core->user;
    if (w->order != WORKER_RUN) return;
    if (w->n_early) {
        http_accept(core, w->early[--w->n_early]);
        return;
    }
    if (w->singly && !near_limit(w, 2)) accept_singly(w, false);
    /* Some room first, or each single close would start and stop the accepting. */
    uint32_t max = w->limits->max_conns;
    if (!w->accepting && core->n_open <= max - max / 16) accepting(w, true);
}

/* ---- running ---- */

static void on_housekeeping(struct wheel_timer *t)
{
    struct worker *w = container_of(t, struct worker, housekeeping);
    fiber_pool_trim(&w->core.fibers);
    wheel_set(&w->io.wheel, t, w->io.now + HOUSEKEEPING_NS);
}

static void on_wake(struct io *io)
{
    struct worker *w = io->user;
    int order = atomic_load_explicit(&w->order, memory_order_acquire);
    if (order >= WORKER_DRAIN && !w->core.draining) {
        accepting(w, false);
        /* Not only closed: the other cores' tables have copies of it, and it is to take no more. */
        for (uint32_t i = 0; i < w->n_listeners; i++)
            shutdown(w->listener[i].accept.listener, SHUT_RDWR);
        while (w->n_early) io_discard(io, w->early[--w->n_early]);
        http_drain(&w->core);
    }
    if (order >= WORKER_ABORT) http_abort(&w->core);
}

static void on_turn_end(struct io *io)
{
    struct worker *w = io->user;
    http_end_turn(&w->core, io->turn_end);
}

static void on_request_done(struct http_context *core, const struct torc_req *rq, const char *peer)
{
    struct worker *w = core->user;
    access_log_add(w->log, rq, peer ? peer : "-", rq->response.written);
}

static void pin(const struct worker *w)
{
    if (w->cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)w->cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
        log_line("core %u cannot be pinned to CPU %d", w->index, w->cpu);
}

/* An arena of its own for each core, where the program runs on jemalloc (mallctl, jemalloc(3)). */
extern int mallctl(const char *name, void *old, size_t *old_len, void *value, size_t len)
    __attribute__((weak));

bool worker_has_jemalloc(void)
{
    return mallctl != NULL;
}

static void own_arena(void)
{
    unsigned arena;
    size_t size = sizeof arena;
    if (mallctl && mallctl("arenas.create", &arena, &size, NULL, 0) == 0)
        mallctl("thread.arena", NULL, NULL, &arena, sizeof arena);
}

/* A descriptor table of its own for each core: calls on descriptors then need no atomic reference,
 * as in a program with one thread, and cores that accept and close do not meet on one lock. The
 * limit of descriptors is then each core's, too. Where it is refused, as in some containers, the
 * table is shared as usual. */
static void own_descriptors(void)
{
#if !THREAD_SANITIZER /* to which one number is one descriptor */
    if (unshare(CLONE_FILES) < 0) return;
#endif
}

static bool finished(const struct worker *w)
{
    if (w->order == WORKER_RUN || w->core.n_open > 0) return false;
    for (uint32_t i = 0; i < w->n_listeners; i++)
        if (io_busy(&w->listener[i].accept.op)) return false;
    return w->io.in_flight == 0 && !w->io.done.head && !w->io.tasks.head;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    char name[16];
    snprintf(name, sizeof name, w->cpu < 0 ? "torc-admin" : "torc-%u", w->index);
    pthread_setname_np(pthread_self(), name);
    pin(w);
    own_arena();
    own_descriptors();
    w->error = io_open(&w->io, w->engine, &w->config);
    if (w->error < 0) {
        w->on_state(w, WORKER_FAILED);
        return NULL;
    }
    w->io.user = w;
    w->io.on_wake = on_wake;
    w->io.on_turn_end = on_turn_end;
    http_open(&w->core, &w->io, w->limits, w->router, w->index);
    w->core.user = w;
    w->core.on_close = on_conn_close;
    if (w->log) {
        w->core.on_request_done = on_request_done;
        w->core.want_peer = true;
    }
    w->started_at = w->io.now;
    wheel_timer_init(&w->housekeeping, on_housekeeping);
    wheel_set(&w->io.wheel, &w->housekeeping, w->io.now + HOUSEKEEPING_NS);
    if (near_limit(w, 1)) accept_singly(w, true);
    accepting(w, true);
    w->on_state(w, WORKER_READY);
    while (!finished(w)) io_turn(&w->io);
    w->on_state(w, WORKER_DONE); /* from here on nobody wakes the engine */
    wheel_clear(&w->io.wheel, &w->housekeeping);
    http_close(&w->core);
    io_close(&w->io);
    return NULL;
}

void worker_listen(struct worker *w, int fd)
{
    ASSERT(w->n_listeners < LISTEN_MAX);
    struct listener *l = &w->listener[w->n_listeners++];
    l->worker = w;
    l->accept = (struct io_accept){.op = {.fn = on_accept}, .listener = fd};
    wheel_timer_init(&l->retry, on_retry);
}

int worker_start(struct worker *w)
{
    /* Made here, as what the thread opens itself is not seen by those that are to wake it. */
    w->config.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->config.wake_fd < 0) return -errno;
    int err = pthread_create(&w->thread, NULL, run, w);
    if (err) {
        w->thread = 0;
        close(w->config.wake_fd);
    }
    return -err;
}

void worker_order(struct worker *w, enum worker_order order)
{
    int now = atomic_load_explicit(&w->order, memory_order_relaxed);
    if (now >= (int)order) return;
    atomic_store_explicit(&w->order, order, memory_order_release);
    io_wake(&w->io);
}

void worker_end(struct worker *w)
{
    if (w->thread) {
        pthread_join(w->thread, NULL);
        close(w->config.wake_fd);
    }
    /* The thread's own table, with its copies of these, has ended with it. */
    for (uint32_t i = 0; i < w->n_listeners; i++) close(w->listener[i].accept.listener);
}
