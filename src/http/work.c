/* torc_work: jobs of a request on the pool of threads. */

#include "base/child.h"
#include "http/request.h"
#include "task/offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool torc_work_cancelled(const torc_job *j)
{
    return j->cancelled;
}

static void wake(struct torc_job *j, struct wait *w)
{
    wait_wake(w, j->result);
}

static void describe(const struct request_label *label, char out[OFFLOAD_NAME])
{
    static const char prefix[] = "a job of ";
    _Static_assert(sizeof prefix + REQUEST_ROUTE <= OFFLOAD_NAME, "the longest route fits");
    memcpy(out, prefix, sizeof prefix);
    request_label_put(label, out + sizeof prefix - 1);
}

/* ---- what belongs to the caller ---- */

/* A job that is awaited whatever happens; on the fiber's stack. */
struct attended {
    struct torc_job job;
    struct request_label label;
    struct wait wait;
};

static void attended_describe(const struct torc_job *j, char out[OFFLOAD_NAME])
{
    describe(&container_of(j, struct attended, job)->label, out);
}

static void attended_done(struct torc_job *j)
{
    wake(j, &container_of(j, struct attended, job)->wait);
}

static void attended_cancel(struct wait *w)
{
    struct attended *a = container_of(w, struct attended, wait);
    if (offload_cancel(&a->job)) wait_wake(w, w->scope->cancelled);
}

static int attend(torc_req *rq, struct scope *s, torc_work_fn *fn, void *arg)
{
    struct attended a = {
        .job = {.fn = fn, .arg = arg, .describe = attended_describe, .done = attended_done},
        .label = request_label(rq),
        .wait.what = "work"};
    int err = offload_start(rq->ctx->pool, &a.job, rq->ctx->io);
    return err < 0 ? err : wait_park(s, &a.wait, attended_cancel);
}

/* ---- what cleans up after itself ---- */

/* A job that may outlive its request. The request holds it until it ends; who is last frees it. */
struct detachable {
    struct torc_job job;
    struct request_label label;
    struct request_resource held;
    void (*cleanup)(void *arg);
    struct wait wait;
    bool started;  /* and not known to have ended */
    bool released; /* by the request, while the post of the job's end was on its way */
};

static void finish(struct detachable *d)
{
    d->cleanup(d->job.arg);
    child_check();
    free(d);
}

static void detachable_describe(const struct torc_job *j, char out[OFFLOAD_NAME])
{
    describe(&container_of(j, struct detachable, job)->label, out);
}

static void detachable_done(struct torc_job *j)
{
    struct detachable *d = container_of(j, struct detachable, job);
    d->started = false;
    if (d->released)
        finish(d);
    else
        wake(j, &d->wait); /* without effect if the wait has ended */
}

static void detachable_orphaned(struct torc_job *j)
{
    finish(container_of(j, struct detachable, job));
}

static void detachable_cancel(struct wait *w)
{
    struct detachable *d = container_of(w, struct detachable, wait);
    if (offload_cancel(&d->job)) d->started = false;
    wait_wake(w, w->scope->cancelled);
}

static void release(struct request_resource *r)
{
    struct detachable *d = container_of(r, struct detachable, held);
    list_unlink(&r->link);
    if (!d->started)
        finish(d);
    else if (!offload_leave(&d->job))
        d->released = true;
}

static int detach(torc_req *rq, struct scope *s, struct detachable *d)
{
    request_hold(rq, &d->held, release);
    int err = s->cancelled;
    if (err == 0) err = offload_start(rq->ctx->pool, &d->job, rq->ctx->io);
    if (err < 0) return err;
    d->started = true;
    return wait_park(s, &d->wait, detachable_cancel);
}

/* ---- */

int torc_work(torc_req *rq, torc_work_fn *fn, void *arg, void (*cleanup)(void *arg))
{
    struct scope *s = request_scope(rq);
    int err = scope_refuses(s);
    if (!cleanup) return err < 0 ? err : attend(rq, s, fn, arg);
    struct detachable *d = err == -EPERM ? NULL : malloc(sizeof *d);
    if (!d) {
        cleanup(arg);
        return err == -EPERM ? err : -ENOMEM;
    }
    *d = (struct detachable){.job = {.fn = fn,
                                     .arg = arg,
                                     .describe = detachable_describe,
                                     .done = detachable_done,
                                     .orphaned = detachable_orphaned},
                             .label = request_label(rq),
                             .cleanup = cleanup,
                             .wait.what = "work"};
    return detach(rq, s, d);
}
