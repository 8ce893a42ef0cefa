#include "http/waiting.h"

#include "base/child.h"
#include "task/event.h"
#include "task/group.h"

#include <errno.h>

/* ---- asking ---- */

bool torc_client_gone(const torc_req *rq)
{
    return rq->cancelled || rq->exchange->client_ended(rq);
}

bool torc_draining(const torc_req *rq)
{
    return rq->ctx->draining;
}

/* A fiber that waits for one of the above; on its stack. Without a wait: the request is to be
 * cancelled; in its memory. */
struct asker {
    struct wait *wait;
    struct asker *next; /* of the same request */
    unsigned what;
    bool tells; /* the result of the wait is what has come true, otherwise 0 */
};

static unsigned answer(const torc_req *rq, unsigned what)
{
    unsigned now = 0;
    if (what & TORC_CLIENT_GONE && torc_client_gone(rq)) now |= TORC_CLIENT_GONE;
    if (what & TORC_DRAINING && torc_draining(rq)) now |= TORC_DRAINING;
    return now;
}

/* A response that is complete is still sent, as the client may read it. */
static void cancel_for(torc_req *rq)
{
    const struct response *r = &rq->response;
    if (!rq->cancelled && (!r->ended || r->incomplete)) rq->exchange->cancel(rq, -ECONNRESET);
}

void waiting_answer(struct torc_req *rq)
{
    for (struct asker *a = rq->askers; a; a = a->next) {
        unsigned now = answer(rq, a->what);
        if (!now) continue;
        if (a->wait)
            wait_wake(a->wait, a->tells ? (int)now : 0);
        else
            cancel_for(rq);
    }
}

static void asker_cancel(struct wait *w)
{
    wait_wake(w, w->scope->cancelled);
}

static void push_asker(torc_req *rq, struct asker *a)
{
    a->next = rq->askers;
    rq->askers = a;
}

static void remove_asker(torc_req *rq, const struct asker *a)
{
    struct asker **at = &rq->askers;
    while (*at != a) at = &(*at)->next;
    *at = a->next;
}

int torc_await(torc_req *rq, unsigned what)
{
    struct scope *s = request_scope(rq);
    struct wait w = {.what = "client or drain"};
    struct asker a = {.wait = &w, .what = what, .tells = true};
    int result = scope_refuses(s);
    if (result) return result;
    if (!what || what & ~(unsigned)(TORC_CLIENT_GONE | TORC_DRAINING)) return -EINVAL;
    unsigned now = answer(rq, what);
    if (now) return (int)now;
    push_asker(rq, &a);
    result = wait_park(s, &w, asker_cancel);
    remove_asker(rq, &a);
    return result;
}

int torc_cancel_when_gone(torc_req *rq)
{
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    struct asker *a = arena_alloc(&rq->arena, sizeof *a);
    if (!a) return -ENOMEM;
    *a = (struct asker){.what = TORC_CLIENT_GONE};
    push_asker(rq, a);
    if (torc_client_gone(rq)) cancel_for(rq);
    return rq->cancelled;
}

/* ---- waiting ---- */

int torc_sleep(torc_req *rq, unsigned ms)
{
    return scope_sleep(request_scope(rq), ms * NS_PER_MS);
}

int torc_deadline(torc_req *rq, unsigned ms)
{
    struct scope *s = request_scope(rq);
    int refused = scope_refuses(s);
    if (!refused) scope_set_deadline(s, clock_ns() + ms * NS_PER_MS);
    return refused;
}

/* ---- groups ---- */

struct torc_group {
    struct group group;
    struct torc_req *rq;
    struct torc_group *next; /* of the same request */
};

void waiting_forked(struct http_context *ctx)
{
    static struct torc_group none;
    struct scope *s = scope_running(&ctx->fibers);
    struct torc_req *rq = s ? s->user : NULL;
    if (rq && !rq->groups) rq->groups = &none;
}

void waiting_join_groups(struct torc_req *rq)
{
    child_check();
    struct torc_group *joined = NULL;
    while (rq->groups != joined) { /* a member may open another */
        struct torc_group *newest = rq->groups;
        for (struct torc_group *g = newest; g != joined; g = g->next) group_join(&g->group);
        joined = newest;
    }
}

torc_group *torc_group_open(torc_req *rq)
{
    struct scope *s = request_scope(rq);
    struct torc_group *g = s ? arena_alloc(&rq->arena, sizeof *g) : NULL;
    if (!g) return NULL;
    group_init(&g->group, s);
    g->rq = rq;
    g->next = rq->groups;
    rq->groups = g;
    return g;
}

struct task {
    torc_task *fn;
    torc_req *rq;
    void *arg;
};

static int run_task(void *ctx, void *arg)
{
    (void)arg;
    /* A copy: the original is on the spawner's stack, which continues when this fiber first
     * waits. */
    struct task t = *(struct task *)ctx;
    int result = t.fn(t.rq, t.arg);
    child_check();
    return result;
}

int torc_spawn(torc_group *g, torc_task *fn, void *arg)
{
    if (!g) return -ENOMEM;
    struct task t = {fn, g->rq, arg};
    return group_spawn(&g->group, run_task, &t, NULL);
}

int torc_group_deadline(torc_group *g, unsigned ms)
{
    if (!g) return -ENOMEM;
    if (!request_scope(g->rq)) return -EPERM;
    scope_set_deadline(&g->group.scope, clock_ns() + ms * NS_PER_MS);
    return 0;
}

int torc_group_join(torc_group *g)
{
    return g ? group_join(&g->group) : -ENOMEM;
}

/* ---- events ---- */

/* A torc_event is a struct event. */
static struct event *event_of(torc_event *e)
{
    return (struct event *)e;
}

torc_event *torc_event_new(void)
{
    return (torc_event *)event_new();
}

void torc_event_free(torc_event *e)
{
    event_free(event_of(e));
}

void torc_event_signal(torc_event *e)
{
    event_signal(event_of(e));
}

uint64_t torc_event_count(const torc_event *e)
{
    return event_count((const struct event *)e);
}

int torc_event_wait(torc_req *rq, torc_event *e, uint64_t *seen)
{
    struct scope *s = request_scope(rq);
    struct event_waiter w = {.seen = 0};
    struct asker drain = {.wait = &w.wait, .what = TORC_DRAINING};
    int refused = scope_refuses(s);
    if (refused) return refused;
    push_asker(rq, &drain);
    int result = event_wait(s, event_of(e), seen, &w);
    remove_asker(rq, &drain);
    return result;
}
