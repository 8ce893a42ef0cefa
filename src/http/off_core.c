#include "http/off_core.h"

#include "http/request.h"
#include "io/cached.h"
#include "task/offload.h"

#include <string.h>

/* ---- turns ---- */

struct turn {
    struct wait wait;
    struct list link;
};

/* One worker of a ring is left for what else needs one, as to open a file. */
void off_core_open(struct http_context *ctx)
{
    enum { BY_POOL = 2 };
    uint32_t workers = ctx->io->config.iowq_bounded, by_ring = workers > 1 ? workers - 1 : 1;
    ctx->off_core.most = io_engine_has_ring(ctx->io->engine) ? by_ring : BY_POOL;
    list_init(&ctx->off_core.waiting);
}

static void turn_cancel(struct wait *w)
{
    list_unlink(&container_of(w, struct turn, wait)->link);
    wait_wake(w, w->scope->cancelled);
}

int off_core_begin(torc_req *rq)
{
    struct off_core *o = &rq->ctx->off_core;
    struct scope *s = request_scope(rq);
    int refused = scope_refuses(s);
    if (refused) return refused;
    if (o->busy < o->most) {
        o->busy++;
        return 0;
    }
    struct turn turn = {.wait.what = "its turn for a disk"};
    list_push(&o->waiting, &turn.link);
    return wait_park(s, &turn.wait, turn_cancel);
}

/* The next one takes the place of this. */
void off_core_end(torc_req *rq)
{
    struct off_core *o = &rq->ctx->off_core;
    struct list *next = list_pop(&o->waiting);
    if (next)
        wait_wake(&container_of(next, struct turn, link)->wait, 0);
    else
        o->busy--;
}

/* ---- calls ---- */

/* On the fiber's stack. */
struct job {
    struct torc_job job;
    struct request_label label;
    struct wait wait;
    int (*fn)(void *arg);
    void *arg;
};

bool off_core_helps(const torc_req *rq, const struct offload *pool)
{
    return io_calls_hold(rq->ctx->io) && pool;
}

static int run(struct torc_job *j, void *arg)
{
    const struct job *job = arg;
    (void)j;
    return job->fn(job->arg);
}

static void describe(const struct torc_job *j, char out[OFFLOAD_NAME])
{
    static const char of[] = " of ";
    const struct job *job = container_of(j, struct job, job);
    _Static_assert(OFF_CORE_WHAT + sizeof of + REQUEST_ROUTE <= OFFLOAD_NAME, "it fits");
    size_t n = strnlen(job->wait.what, OFF_CORE_WHAT);
    memcpy(out, job->wait.what, n);
    memcpy(out + n, of, sizeof of);
    request_label_put(&job->label, out + n + sizeof of - 1);
}

static void done(struct torc_job *j)
{
    wait_wake(&container_of(j, struct job, job)->wait, j->result);
}

static void cancel(struct wait *w)
{
    struct job *j = container_of(w, struct job, wait);
    if (offload_cancel(&j->job)) wait_wake(w, w->scope->cancelled);
}

int off_core_call(torc_req *rq, struct offload *pool, const char *what, int (*fn)(void *arg),
                  void *arg)
{
    struct job j = {.job = {.fn = run, .describe = describe, .done = done},
                    .label = request_label(rq),
                    .wait.what = what,
                    .fn = fn,
                    .arg = arg};
    j.job.arg = &j;
    /* No cancel would end the wait if there was one since the wake in off_core_begin. */
    int err = scope_refuses(request_scope(rq));
    if (err == 0) err = offload_start(pool, &j.job, rq->ctx->io);
    return err < 0 ? err : wait_park(request_scope(rq), &j.wait, cancel);
}
