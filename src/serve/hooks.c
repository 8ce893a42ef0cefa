#include "serve/hooks.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

static void run_starts(struct torc_req *rq, void *arg)
{
    struct hooks *h = arg;
    for (uint32_t i = 0; i < h->n && h->error == 0; i++) {
        const struct core_hook *hook = &h->list[i];
        if (h->asked && signals_stop_asked(h->asked)) h->error = -ESHUTDOWN;
        if (h->error) break;
        int err = hook->start ? hook->start(rq, hook->arg) : 0;
        h->n_started += err >= 0;
        h->error = err < 0 ? err : rq->cancelled;
    }
}

static void run_stops(struct torc_req *rq, void *arg)
{
    struct hooks *h = arg;
    while (h->n_started > 0) {
        const struct core_hook *hook = &h->list[--h->n_started];
        if (hook->stop) hook->stop(rq, hook->arg);
    }
}

static void on_started(struct errand *e)
{
    struct hooks *h = container_of(e, struct hooks, errand);
    h->started(h);
}

static void on_stopped(struct errand *e)
{
    (void)e;
}

void hooks_start(struct hooks *h, struct http_context *ctx, void (*started)(struct hooks *h))
{
    h->started = started;
    h->route = (struct route){.fn = run_starts, .arg = h};
    h->errand.done = on_started;
    int err = errand_start(&h->errand, ctx, &h->route);
    if (err == 0) return;
    h->error = err;
    started(h);
}

void hooks_drain(struct hooks *h)
{
    if (!h->stopping) errand_cancel(&h->errand);
}

void hooks_abort(struct hooks *h)
{
    h->aborted = true;
    errand_cancel(&h->errand);
}

bool hooks_stop(struct hooks *h, struct http_context *ctx)
{
    if (h->errand.running) return false;
    if (h->stopping || h->n_started == 0) return true;
    h->stopping = true;
    h->route = (struct route){.fn = run_stops, .arg = h};
    h->errand.done = on_stopped;
    int err = errand_start(&h->errand, ctx, &h->route);
    if (err < 0) log_line("the stop functions of a core cannot run: %s", strerror(-err));
    if (h->aborted) errand_cancel(&h->errand);
    return !h->errand.running;
}
