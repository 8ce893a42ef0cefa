#include "task/scope.h"

#include "base/probe.h"

#include <errno.h>

/* ---- the tree ---- */

void scope_init(struct scope *s, struct io *io, struct fiber_pool *fibers, void *user)
{
    s->io = io;
    s->fibers = fibers;
    s->user = user;
    s->label = NULL;
    list_init(&s->waits);
    list_init(&s->children);
    s->cancelled = 0;
    s->timed = s->apart = false;
    s->parent = NULL;
}

void scope_init_child(struct scope *s, struct scope *parent)
{
    scope_init(s, parent->io, parent->fibers, parent->user);
    s->parent = parent;
    s->apart = parent->apart;
    s->label = parent->label;
    s->childless = NULL;
    list_init(&s->sibling);
}

static void on_deadline(struct wheel_timer *t)
{
    scope_cancel(container_of(t, struct scope, timer), -ETIME);
}

static void start_clock(struct scope *s)
{
    if (s->timed && !s->cancelled) wheel_set(&s->io->wheel, &s->timer, s->deadline);
}

int scope_attach(struct scope *s)
{
    list_push(&s->parent->children, &s->sibling);
    start_clock(s);
    if (s->parent->cancelled) scope_cancel(s, s->parent->cancelled);
    return s->cancelled;
}

void scope_detach(struct scope *s)
{
    ASSERT(list_empty(&s->waits) && list_empty(&s->children));
    struct scope *parent = s->parent;
    if (s->timed) wheel_clear(&s->io->wheel, &s->timer);
    if (!parent) return;
    list_unlink(&s->sibling);
    if (list_empty(&parent->children) && parent->parent && parent->childless)
        parent->childless(parent);
}

void scope_set_deadline(struct scope *s, uint64_t deadline)
{
    if (!s->timed) wheel_timer_init(&s->timer, on_deadline);
    s->timed = true;
    s->deadline = deadline;
    if (!s->parent || scope_is_attached(s)) start_clock(s);
}

void scope_cancel(struct scope *s, int err)
{
    if (s->cancelled) return;
    s->cancelled = err;
    for (struct list *l = s->waits.next; l != &s->waits; l = l->next) {
        struct wait *w = container_of(l, struct wait, link);
        if (w->cancel && !w->woken) w->cancel(w);
    }
    for (struct list *l = s->children.next; l != &s->children; l = l->next)
        scope_cancel(container_of(l, struct scope, sibling), err);
}

/* ---- waiting ---- */

struct scope *scope_running(const struct fiber_pool *p)
{
    return fiber_may_park(p) ? fiber_owner(p) : NULL;
}

int scope_refuses(const struct scope *s)
{
    if (UNLIKELY(!s || !fiber_may_park(s->fibers))) return -EPERM;
    return s->cancelled;
}

static void resume(struct io_task *t)
{
    struct wait *w = container_of(t, struct wait, resume);
    struct scope *s = w->scope; /* `w` ends with the wait, and the scope may end as well */
    if (s->apart) {
        fiber_resume(s->fibers, w->fiber);
        return;
    }
    struct stopwatch *code = &s->io->code;
    const struct scope_watch *watch = s->fibers->watch;
    void *user = s->user;
    stopwatch_start(code);
    PROBE(resume, user, s);
    if (watch) watch->resumes(user);
    fiber_resume(s->fibers, w->fiber);
    if (watch) watch->left(user);
    stopwatch_stop(code);
}

int wait_park(struct scope *s, struct wait *w, void (*cancel)(struct wait *w))
{
    w->scope = s;
    w->fiber = fiber_self(s->fibers);
    w->cancel = cancel;
    w->resume = (struct io_task){.fn = resume};
    w->woken = false;
    list_push(&s->waits, &w->link);
    const struct scope_watch *watch = s->fibers->watch;
    if (watch && !s->apart) watch->parks(s->user, w->what, fiber_is_outermost(s->fibers));
    PROBE(wait, s->user, w->what);
    int saved = errno; /* of a thread in C, but of a fiber here */
    struct io *io = s->io;
    io->n_parked++;
    fiber_park(s->fibers);
    io->n_parked--;
    errno = saved;
    fiber_set_label(s->fibers, s->label);
    list_unlink(&w->link);
    return w->result;
}

void wait_wake(struct wait *w, int result)
{
    if (w->woken) return;
    w->woken = true;
    w->result = result;
    io_defer(w->scope->io, &w->resume);
}

void wait_overrule(struct wait *w, int result)
{
    wait_wake(w, result);
    w->result = result;
}

/* ---- sleep ---- */

struct sleep {
    struct wait wait;
    struct wheel_timer timer;
};

static void sleep_over(struct wheel_timer *t)
{
    wait_wake(&container_of(t, struct sleep, timer)->wait, 0);
}

static void sleep_cancel(struct wait *w)
{
    wheel_clear(&w->scope->io->wheel, &container_of(w, struct sleep, wait)->timer);
    wait_wake(w, w->scope->cancelled);
}

int scope_sleep(struct scope *s, uint64_t ns)
{
    struct sleep sleep = {.wait.what = "sleep"};
    int refused = scope_refuses(s);
    if (refused) return refused;
    wheel_timer_init(&sleep.timer, sleep_over);
    /* Not io->now, which may be old by now: a sleep must not be shorter than requested. */
    uint64_t now = clock_ns();
    wheel_set(&s->io->wheel, &sleep.timer, ns < WHEEL_NEVER - now ? now + ns : WHEEL_NEVER);
    return wait_park(s, &sleep.wait, sleep_cancel);
}

/* ---- calls ---- */

struct pending {
    struct wait wait;
    struct io_call call;
};

static void call_done(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io, (void)more;
    wait_wake(&container_of(container_of(op, struct io_call, op), struct pending, call)->wait, res);
}

static void call_cancel(struct wait *w)
{
    io_cancel(w->scope->io, &container_of(w, struct pending, wait)->call.op);
}

const char *scope_call_name(enum io_kind kind)
{
    switch (kind) {
    case IO_CONNECT: return "connect";
    case IO_OPEN:
    case IO_CREATE: return "file open";
    case IO_STATX: return "file status";
    case IO_READ: return "file read";
    case IO_WRITE: return "file write";
    case IO_SYNC: return "file sync";
    case IO_LINK:
    case IO_RENAME:
    case IO_UNLINK: return "file name";
    case IO_CLOSE: return "file close";
    case IO_POPULATE: return "file pages";
    case IO_POLL: return "descriptor";
    default: return "kernel";
    }
}

int scope_call(struct scope *s, const struct io_call *c, enum io_kind kind)
{
    int refused = scope_refuses(s);
    if (refused) return refused;
    struct pending p = {.wait.what = scope_call_name(kind), .call = *c};
    p.call.op = (struct io_op){.fn = call_done};
    io_call_start(s->io, &p.call, kind);
    int res = wait_park(s, &p.wait, call_cancel);
    /* If the call completed in spite of the cancel, its result, perhaps a descriptor, is still
     * returned. */
    return res < 0 && s->cancelled ? s->cancelled : res;
}
