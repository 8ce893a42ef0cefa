/* The life cycle of a server. torc_server_start returns once it serves. From then on a thread of
 * the server's own, the control thread, waits for what is asked of it, and ends it: others may wait
 * for that (torc_server_join), but need not. */

#include "serve/life.h"

#include "base/limit.h"
#include "base/log.h"
#include "base/stdio.h"
#include "serve/check.h"
#include "serve/cores.h"
#include "serve/heap.h"
#include "serve/needs.h"
#include "serve/process.h"
#include "serve/reload.h"
#include "task/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Time that handlers have to return once they are cancelled, when the drain has timed out. One may
 * be in a call that a busy disk keeps. */
#define ABORT_GRACE_NS (5 * NS_PER_S)

/* ---- the end ---- */

static bool abandon(const char *what)
{
    log_line("a %s did not return after cancellation; stopping without it", what);
    return false;
}

/* False if a handler or a job has not returned even after it was cancelled, or a reload waits. */
static bool drain(struct torc_server *s)
{
    s->is_ending = true;
    uint64_t until = clock_ns() + (s->now ? options_get(s->now)->limits.drain_timeout : 0);
    cores_command(s, 0, s->n_cores, LOOP_DRAIN);
    if (!cores_await_end(s, 0, s->n_cores, until)) {
        log_line("drain exceeded --drain-timeout; aborting the remaining connections");
        cores_command(s, 0, s->n_cores, LOOP_ABORT);
    }
    cores_command(s, s->n_cores, s->n_all, LOOP_ABORT);
    if (!cores_await_end(s, 0, s->n_all, clock_ns() + ABORT_GRACE_NS)) return abandon("handler");
    if (cores_broken(s)) return true;
    uint64_t now = clock_ns();
    if (!needs_close_pool(s, (now > until ? now : until) + ABORT_GRACE_NS)) return abandon("job");
    if (reload_await(s, clock_ns() + ABORT_GRACE_NS)) return true;
    log_line("a reload still waits, as for a disk; stopping without it");
    return false;
}

/* Ends the cores and all they use. False where that has to stay: a handler, a job or a reload has
 * not returned, or the kernel may still write to what a broken core has submitted. */
static bool end_all(struct torc_server *s)
{
    bool drained = drain(s);
    stall_stop(&s->stalls);
    process_end();
    if (!drained) s->status = EXIT_ABANDONED;
    if (drained && (cores_broken(s) || s->lost_listener)) s->status = EXIT_START;
    if (!drained || cores_broken(s)) {
        needs_flush_log(s);
        return false;
    }
    cores_join(s);
    if (!needs_close_files(s)) s->status = EXIT_ABANDONED;
    return true;
}

/* What was abandoned may have returned since. */
static bool reclaim(struct torc_server *s)
{
    if (cores_broken(s) || !cores_await_end(s, 0, s->n_all, 0)) return false;
    if (!needs_close_pool(s, 0) || !reload_await(s, 0)) return false;
    cores_join(s);
    needs_close_files(s);
    return true;
}

/* ---- the start ---- */

/* Leaves the server as it was before the start, but for what a core left behind still uses. A stop
 * that has ended the start stays asked for until the cores are no more: they look for it. */
static void undo(struct torc_server *s, int err)
{
    bool ended = end_all(s);
    if (err == -ESHUTDOWN) signals_forget_stop(&s->signals);
    if (ended) {
        cores_forget(s);
        needs_forget(s);
        s->process = 0; /* another may start it */
    }
    s->phase = ended ? SERVER_SETUP : SERVER_ABANDONED;
}

/* Returns when SIGTERM, SIGINT or torc_server_stop asks the server to stop. A reload that is asked
 * for while one is under way follows it. A look at the heap may last for a tenth of a second, for
 * which no request waits here. */
static void wait_for_stop(struct torc_server *s)
{
    const unsigned all = ASKED_STOP | ASKED_RELOAD | ASKED_CHECKED | ASKED_TAKEN | ASKED_HEAP;
    bool again = false;
    for (unsigned asked; !((asked = signals_take(&s->signals, all)) & ASKED_STOP);) {
        if (asked & ASKED_TAKEN) reload_finish(s);
        if (asked & ASKED_CHECKED) reload_go_on(s);
        if (asked & ASKED_HEAP) heap_look();
        if ((asked & ASKED_RELOAD) && s->log) access_log_reopen(s->log);
        again |= asked & ASKED_RELOAD;
        if (!again || reload_is_under_way(s)) continue;
        again = false;
        reload_begin(s);
    }
}

static void *control(void *arg)
{
    struct torc_server *s = arg;
    pthread_setname_np(pthread_self(), "torc-control");
    wait_for_stop(s);
    s->phase = SERVER_DRAINING;
    int phase = end_all(s) ? SERVER_ENDED : SERVER_ABANDONED;
    pthread_mutex_lock(&s->mutex);
    s->phase = phase;
    pthread_cond_broadcast(&s->over);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* It inherits the mask of signals, as the cores do. */
static int start_control(struct torc_server *s)
{
    int err = pthread_create(&s->control, NULL, control, s);
    s->is_controlled = err == 0;
    if (err == 0) return 0;
    return server_fail(s, -err, "cannot start the control thread: %s%s", strerror(err),
                       limit_of_thread(err));
}

static int serve(struct torc_server *s)
{
    address_text *addresses = NULL;
    int phase = SERVER_STARTING, err = needs_open(s);
    s->started_at = clock_ns();
    if (err == 0) err = cores_start(s);
    if (err == 0) err = needs_write_addresses(s, &addresses);
    if (err < 0) return err;
    measures_begin(&s->measures, s->cores, s->n_cores, io_holds_thread(s->engine), s->started_at);
    if (s->options->stall_warn)
        stall_start(&s->stalls, s->cores, s->n_cores, s->options->stall_warn, &s->backtraces);
    s->status = 0;
    s->has_started = true; /* the control thread may end it at once */
    err = start_control(s);
    if (err == 0) {
        s->addresses = addresses;
        atomic_compare_exchange_strong(&s->phase, &phase, SERVER_READY); /* or it drains */
        return 0;
    }
    free(addresses);
    s->has_started = false;
    s->status = EXIT_START;
    return err;
}

static int fail_started(struct torc_server *s, int phase)
{
    const char *why = phase == SERVER_ABANDONED ? "what it has left behind is not done yet"
                      : phase == SERVER_TESTED  ? "it is that of a torc_test"
                      : phase == SERVER_ENDED   ? "it has ended, and another has to be made"
                                                : "it has started already";
    return server_fail(s, -EBUSY, "the server cannot start: %s", why);
}

int torc_server_start(torc_server *s)
{
    int phase = SERVER_SETUP;
    if (!atomic_compare_exchange_strong(&s->phase, &phase, SERVER_STARTING))
        return fail_started(s, phase);
    s->error[0] = '\0';
    s->is_ending = s->lost_listener = false;
    stdio_reserve(); /* the program may have closed what torc_server_new found, as a daemon does */
    stack_find_loaded();
    process_begin();
    s->status = EXIT_START;
    s->process = getpid();
    int err = needs_options(s);
    if (err == 0) err = needs_engine(s);
    if (err == 0) err = s->options->check ? server_check(s) : serve(s);
    if (err != 0) undo(s, err);
    return err;
}

/* ---- waiting ---- */

/* A core, or a thread of torc_work: the server ends only once what runs there has returned. */
static bool is_of(const struct torc_server *s)
{
    const struct core *c = core_here();
    const struct torc_job *j = offload_running();
    return (c && c->server == s) || (j && j->pool == s->pool);
}

int life_awaitable(const struct torc_server *s)
{
    if (s->process && s->process != getpid()) return -ECHILD;
    return is_of(s) ? -EDEADLK : 0;
}

int torc_server_join(torc_server *s)
{
    if (s->phase < SERVER_READY) return -EINVAL;
    int refused = life_awaitable(s);
    if (refused) return refused;
    pthread_mutex_lock(&s->mutex);
    while (s->phase < SERVER_ENDED) pthread_cond_wait(&s->over, &s->mutex);
    if (s->is_controlled) pthread_join(s->control, NULL); /* it is done with the mutex */
    s->is_controlled = false;
    int status = s->status;
    pthread_mutex_unlock(&s->mutex);
    return status;
}

bool life_end(struct torc_server *s)
{
    int refused = life_awaitable(s);
    if (refused == -EDEADLK) {
        log_line("torc_server_free was called on a thread of the server: it is stopped, not freed");
        torc_server_stop(s);
    }
    if (refused) return false;
    if (s->is_controlled) {
        torc_server_stop(s);
        torc_server_join(s);
    }
    if (s->phase != SERVER_ABANDONED || reclaim(s)) return true;
    cores_detach(s);
    if (s->pool) offload_detach(s->pool);
    if (s->openers) offload_detach(s->openers);
    reload_detach(s);
    return false;
}

void torc_server_stop(torc_server *s)
{
    signals_ask(&s->signals, ASKED_STOP);
}

void torc_server_reload(torc_server *s)
{
    signals_ask(&s->signals, ASKED_RELOAD);
}
