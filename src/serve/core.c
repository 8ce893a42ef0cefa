#include "serve/core.h"

#include "base/child.h"
#include "http/observe.h"
#include "http/tick.h"
#include "http/waiting.h"
#include "serve/backtrace.h"
#include "serve/overflow.h"
#include "task/offload.h"

#include <stdlib.h>
#include <string.h>

#define HOUSEKEEPING_NS NS_PER_S
#define TRIM_NS         (10 * NS_PER_MS)  /* between the parts of a trim */
#define YIELD_NS        (100 * NS_PER_MS) /* between two looks for who waits, while somebody does */

/* A core without connections looks each second for memory to return for so long after the last one:
 * jemalloc returns what has been free for 10 s. Then it sleeps, but for a look every so often,
 * whether it can still be woken, too (base/wake.h). */
enum { IDLE_SECONDS = 16 };
#define SLEEP_NS (4 * NS_PER_S)

static _Thread_local struct core *here;

struct core *core_here(void)
{
    return here;
}

void core_forked(void)
{
    child_here = here || offload_running();
    if (!here) return;
    waiting_forked(&here->http);
    fiber_pool_forked(&here->http.fibers);
    io_forked(&here->loop.io);
}

static struct core *core_of(const struct loop *l)
{
    return container_of((struct loop *)(uintptr_t)l, struct core, loop);
}

/* ---- callbacks of HTTP, the acceptor and the timer ---- */

static const torc_outcome outcomes[] = {
    [END_DONE] = TORC_DONE,     [END_CLIENT] = TORC_CLIENT_LEFT, [END_TIMEOUT] = TORC_TIMED_OUT,
    [END_SLOW] = TORC_TOO_SLOW, [END_SERVER] = TORC_GIVEN_UP,
};

static void tell_end(const struct core *c, const struct torc_req *rq, uint64_t bytes,
                     enum http_end end, uint64_t now)
{
    const torc_summary summary = {
        .status = rq->response.status,
        .outcome = outcomes[end],
        .body_bytes = bytes,
        .duration_ns = now - rq->arrived,
    };
    for (uint32_t i = 0; i < c->n_ends; i++)
        c->ends[i].fn((struct torc_req *)(uintptr_t)rq, &summary, c->ends[i].arg);
    child_check();
}

/* Reads the clock, as handlers may have run for long since the turn began. Who has neither a log
 * nor a function of torc_on_end does not come here. */
void core_request_done(struct http_context *ctx, const struct torc_req *rq, const char *peer,
                       uint64_t bytes, enum http_end end)
{
    struct core *c = ctx->user;
    uint64_t now = clock_ns();
    if (c->log) access_buffer_add(c->log, rq, peer ? peer : "-", bytes, end, now);
    tell_end(c, rq, bytes, end, now);
}

static void on_conn_close(struct http_context *ctx, bool evicted)
{
    struct core *c = ctx->user;
    acceptor_conn_closed(&c->acceptor, evicted);
}

/* Each core at its own part of the second, so that they do not all make room for the same client.
 */
static void await_housekeeping(struct core *c)
{
    uint64_t now = c->loop.io.now, part = c->index % 100 * (HOUSEKEEPING_NS / 100);
    uint64_t past = (now + HOUSEKEEPING_NS - part) % HOUSEKEEPING_NS;
    wheel_set(&c->loop.io.wheel, &c->housekeeping, now + HOUSEKEEPING_NS - past);
}

static struct core *in_use(struct acceptor *a)
{
    struct core *c = container_of(a, struct core, acceptor);
    if (UNLIKELY(c->idle_seconds == IDLE_SECONDS)) await_housekeeping(c);
    c->idle_seconds = 0;
    return c;
}

static void on_admit(struct acceptor *a, int fd)
{
    http_accept(&in_use(a)->http, fd);
}

static void on_refuse(struct acceptor *a, int fd)
{
    http_refuse(&in_use(a)->http, fd);
}

static bool on_make_room(struct acceptor *a)
{
    return http_make_room(&container_of(a, struct core, acceptor)->http);
}

static void on_lost(struct acceptor *a, uint32_t index)
{
    struct core *c = container_of(a, struct core, acceptor);
    c->on_lost(c, index);
}

/* A thread that its connection holds does not see who waits in the accept queue: it looks. */
static bool yield(struct core *c)
{
    if (!c->loop.config.one_connection || !c->serves) return false;
    if (!acceptor_is_awaited(&c->acceptor)) return false;
    http_yield(&c->http);
    return true;
}

static void return_memory(struct core *c)
{
    loop_return_memory(&c->loop);
    if (loop_has_jemalloc()) return;
    if (heap_is_due(&c->heap, c->loop.io.now, http_buffered(&c->http)))
        signals_ask(c->signals, ASKED_HEAP);
}

static void on_housekeeping(struct wheel_timer *t)
{
    struct core *c = container_of(t, struct core, housekeeping);
    warnings_tell(&c->http.warnings, c->loop.io.now);
    io_check(&c->loop.io);
    if (c->serves) acceptor_check(&c->acceptor);
    if (c->http.n_open == 0 && c->idle_seconds == IDLE_SECONDS) {
        return_memory(c);
        wheel_set(&c->loop.io.wheel, t, c->loop.io.now + SLEEP_NS);
        return;
    }
    bool more = http_housekeeping(&c->http);
    if (!more) return_memory(c);
    uint64_t pause = more ? TRIM_NS : yield(c) ? YIELD_NS : HOUSEKEEPING_NS;
    if (pause == HOUSEKEEPING_NS && c->http.n_open == 0) c->idle_seconds++;
    wheel_set(&c->loop.io.wheel, t, c->loop.io.now + pause);
}

/* ---- callbacks of the loop ---- */

static void begin_serving(struct core *c)
{
    if (c->hooks.n > 0) loop_pin(&c->loop);
    acceptor_start(&c->acceptor, &c->loop.io, &c->http.n_open, &c->http.n_refused);
    ticks_start(&c->http, c->ticks, c->n_ticks);
    c->serves = true;
    c->on_state(c, LOOP_READY);
}

static void on_serve(struct io_post *p)
{
    struct core *c = container_of(p, struct core, serve);
    if (!c->http.draining) begin_serving(c);
}

static void on_hooks_started(struct hooks *h)
{
    struct core *c = container_of(h, struct core, hooks);
    c->on_state(c, LOOP_PREPARED);
}

/* Not pinned: the threads that a start function makes inherit the CPUs. */
static void prepare(struct core *c)
{
    cpus_unpin();
    hooks_start(&c->hooks, &c->http, on_hooks_started);
}

static void on_start(struct loop *l)
{
    struct core *c = core_of(l);
    struct io *io = &l->io;
    here = c;
    http_open(&c->http, io, &c->limits, c->router, c->index);
    c->http.pool = c->http.resolver.pool = c->pool;
    c->http.openers = c->openers;
    overflow_begin(&c->http);
    backtrace_allow();
    c->http.user = c;
    c->http.server_line = c->server_line;
    http_observe(&c->http, c->timing, &c->recorder);
    c->http.files = c->files;
    c->http.on_close = on_conn_close;
    if (c->log || c->n_ends) c->http.on_request_done = core_request_done;
    if (c->log) c->http.want_peer = true;
    c->http.error_handlers = c->error_handlers;
    wheel_timer_init(&c->housekeeping, on_housekeeping);
    await_housekeeping(c);
    c->acceptor.core = c->index;
    c->acceptor.max_conns = c->limits.max_conns;
    c->acceptor.admit_timeout = c->limits.admit_timeout;
    c->acceptor.admit = on_admit;
    c->acceptor.refuse = on_refuse;
    c->acceptor.make_room = on_make_room;
    c->acceptor.lost = on_lost;
    if (c->hooks.n > 0)
        prepare(c);
    else
        begin_serving(c);
}

static void on_command(struct loop *l, enum loop_command command)
{
    struct core *c = core_of(l);
    if (!c->http.draining) {
        if (c->serves) acceptor_drain(&c->acceptor);
        http_drain(&c->http);
        hooks_drain(&c->hooks);
    }
    if (command >= LOOP_ABORT) {
        if (c->serves) acceptor_stop(&c->acceptor);
        http_abort(&c->http);
        hooks_abort(&c->hooks);
    }
}

static void on_turn_end(struct loop *l, uint64_t now)
{
    http_end_turn(&core_of(l)->http, now);
}

static void on_turn_end_shedding(struct loop *l, uint64_t now)
{
    struct http_context *ctx = &core_of(l)->http;
    on_turn_end(l, now);
    shed_end_turn(&ctx->shed, l->io.now, now);
    counter_set(&ctx->stats.shedding, ctx->shed.active);
    counter_set(&ctx->stats.shed_delay, shed_delay(&ctx->shed));
}

static bool is_finished(const struct loop *l)
{
    struct core *c = core_of(l);
    return c->http.n_open == 0 && (!c->serves || acceptor_idle(&c->acceptor)) &&
           ticks_idle(&c->http) && core_end_posts(c) && hooks_stop(&c->hooks, &c->http) &&
           http_stop(&c->http);
}

static void on_end(struct loop *l)
{
    struct core *c = core_of(l);
    wheel_clear(&l->io.wheel, &c->housekeeping);
    overflow_end();
    http_close(&c->http);
    here = NULL;
}

static void on_state(struct loop *l, enum loop_state state)
{
    struct core *c = core_of(l);
    c->on_state(c, state);
}

static const struct loop_owner owner = {
    .start = on_start,
    .command = on_command,
    .turn_end = on_turn_end,
    .finished = is_finished,
    .end = on_end,
    .state = on_state,
};

/* The same, where requests may be shed: others pay nothing for it. */
static const struct loop_owner shedding_owner = {
    .start = on_start,
    .command = on_command,
    .turn_end = on_turn_end_shedding,
    .finished = is_finished,
    .end = on_end,
    .state = on_state,
};
/* ---- new settings ---- */

struct core_root *core_root_new(const char *path)
{
    size_t size = strlen(path) + 1;
    struct core_root *r = malloc(sizeof *r + size);
    if (!r) return NULL;
    r->refs = 1;
    memcpy(r->path, path, size);
    return r;
}

void core_root_release(struct core_root *r)
{
    if (r && --r->refs == 0) free(r);
}

static void on_change(struct io_post *p)
{
    struct core *c = container_of(p, struct core, change.post);
    struct http_limits before = c->limits;
    c->limits = *c->change.limits;
    http_limits_changed(&c->http, &before);
    acceptor_set_limits(&c->acceptor, c->limits.max_conns, c->limits.admit_timeout);
    uint32_t served = c->http.n_open - c->http.n_refused;
    if (served > c->limits.max_conns) http_close_idle(&c->http, served - c->limits.max_conns);
    core_root_release(c->root);
    c->root = c->change.root;
    c->change.root = NULL;
    backtrace_allow();
    c->change.done(c);
}

bool core_start_change(struct core *c)
{
    c->change.post.fn = on_change;
    return c->is_open && io_post(&c->loop.io, &c->change.post) == 0;
}

/* ---- interface ---- */

void core_serve(struct core *c)
{
    c->serve.fn = on_serve;
    io_post(&c->loop.io, &c->serve); /* refused only where the engine has failed */
}

int core_start(struct core *c)
{
    c->loop.owner = c->limits.shed ? &shedding_owner : &owner;
    return loop_start(&c->loop);
}

void core_join(struct core *c, bool leave_kept)
{
    loop_join(&c->loop);
    acceptor_close(&c->acceptor, leave_kept);
    recorder_free(&c->recorder);
    core_root_release(c->root);
    core_root_release(c->change.root);
    c->root = c->change.root = NULL;
    free(c->ticks);
    c->ticks = NULL;
}
