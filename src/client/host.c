#include "client/host.h"

#include "base/cpus.h"
#include "http/request.h"
#include "task/dial.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http_context *context_of(const struct torc_host *h)
{
    return (struct http_context *)(uintptr_t)h;
}

/* ---- cores ---- */

struct torc_host *torc_host_of(torc_req *rq, int *err)
{
    *err = scope_refuses(request_scope(rq));
    return *err ? NULL : (struct torc_host *)rq->ctx;
}

uint64_t torc_host_now(const struct torc_host *h)
{
    return context_of(h)->io->now;
}

void torc_host_warn(struct torc_host *h, enum torc_host_cause cause, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    http_warn(context_of(h), (enum http_warning)(WARN_ABSENT + cause), "%s", text);
}

struct host_hook {
    struct exit_hook hook;
    struct torc_host_hook *of;
};

static bool on_stop(struct exit_hook *e)
{
    struct torc_host_hook *of = container_of(e, struct host_hook, hook)->of;
    return of->stop(of);
}

static void on_end(struct exit_hook *e)
{
    struct host_hook *h = container_of(e, struct host_hook, hook);
    h->of->end(h->of);
    free(h);
}

int torc_host_add_hook(struct torc_host *h, struct torc_host_hook *hook)
{
    struct host_hook *e = malloc(sizeof *e);
    if (!e) return -ENOMEM;
    *e = (struct host_hook){{.stop = on_stop, .fn = on_end}, hook};
    http_add_exit_hook(context_of(h), &e->hook);
    return 0;
}

int torc_host_start_thread(pthread_t *thread, const char *name, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) return err;
    cpus_unpin_started(*thread);
    pthread_setname_np(*thread, name);
    return 0;
}

/* ---- waiting ---- */

struct host_wait {
    struct wait wait;
    struct torc_host_wait *of;
};

static void on_cancel(struct wait *w)
{
    struct torc_host_wait *of = container_of(w, struct host_wait, wait)->of;
    of->leave(of);
    wait_wake(w, w->scope->cancelled);
}

int torc_host_park(torc_req *rq, struct torc_host_wait *w, const char *what)
{
    struct host_wait own = {.of = w, .wait.what = what};
    struct scope *s = request_scope(rq);
    w->state = &own.wait;
    if (s->cancelled) { /* in a wait since torc_host_of: nothing would tell this one of it */
        w->leave(w);
        return s->cancelled;
    }
    return wait_park(s, &own.wait, on_cancel);
}

void torc_host_wake(struct torc_host_wait *w, int result)
{
    wait_wake(w->state, result);
}

/* ---- addresses ---- */

_Static_assert((int)TORC_HOST_ADDRS == (int)RESOLVE_ADDRS, "as many as are found");
_Static_assert(sizeof(struct sockaddr_un) <= sizeof((struct torc_host_addr){0}.addr), "all fit");

int torc_host_check(const char *to)
{
    return dial_check(to);
}

int torc_host_find(torc_req *rq, const char *to, struct torc_host_addr out[TORC_HOST_ADDRS])
{
    struct dial_addr found[RESOLVE_ADDRS];
    int n = dial_find(request_scope(rq), &rq->ctx->resolver, to, found);
    for (int i = 0; i < n; i++) {
        memcpy(out[i].addr, &found[i].un, sizeof found[i].un);
        out[i].len = found[i].len;
    }
    return n;
}

/* ---- requests ---- */

_Static_assert(sizeof(struct request_resource) <= sizeof((struct torc_host_cleanup){0}.state),
               "the host's part fits");

static void release(struct request_resource *r)
{
    struct torc_host_cleanup *c = container_of((void *)r, struct torc_host_cleanup, state);
    list_unlink(&r->link);
    c->fn(c);
}

void torc_host_hold(torc_req *rq, struct torc_host_cleanup *c)
{
    request_hold(rq, (struct request_resource *)c->state, release);
}

void torc_host_let_go(struct torc_host_cleanup *c)
{
    list_unlink(&((struct request_resource *)c->state)->link);
}

/* ---- sources ---- */

struct torc_source {
    struct io *io;
    const struct torc_source_ops *ops;
    void *arg;
    struct io_call poll;
    int fd; /* wanted, with `events`; -1: none */
    short events;
    struct wheel_timer timer;
    struct io_task task;
    struct io_post post;
    bool freed; /* goes when nothing of it is in flight */
};

static void free_if_idle(struct torc_source *s)
{
    if (s->freed && !io_busy(&s->poll.op) && !s->task.queued) free(s);
}

static void start_poll(struct torc_source *s)
{
    s->poll.poll.fd = s->fd;
    s->poll.poll.events = s->events;
    io_call_start(s->io, &s->poll, IO_POLL);
}

static void on_poll(struct io *io, struct io_op *op, int res, bool more)
{
    struct torc_source *s =
        container_of(container_of(op, struct io_call, op), struct torc_source, poll);
    bool replaced =
        res == -ECANCELED || s->fd != s->poll.poll.fd || s->events != s->poll.poll.events;
    (void)io, (void)more;
    if (s->fd < 0) {
        free_if_idle(s);
    } else if (replaced) {
        start_poll(s);
    } else {
        s->fd = -1;
        s->ops->ready(s->arg, res);
    }
}

static void on_timer(struct wheel_timer *t)
{
    struct torc_source *s = container_of(t, struct torc_source, timer);
    s->ops->alarm(s->arg);
}

static void on_task(struct io_task *t)
{
    struct torc_source *s = container_of(t, struct torc_source, task);
    if (s->freed)
        free_if_idle(s);
    else
        s->ops->task(s->arg);
}

static void on_post(struct io_post *p)
{
    struct torc_source *s = container_of(p, struct torc_source, post);
    s->ops->posted(s->arg);
}

struct torc_source *torc_source_new(struct torc_host *h, const struct torc_source_ops *ops,
                                    void *arg)
{
    struct torc_source *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (struct torc_source){.io = context_of(h)->io, .ops = ops, .arg = arg, .fd = -1};
    s->poll.op.fn = on_poll;
    s->task.fn = on_task;
    s->post.fn = on_post;
    wheel_timer_init(&s->timer, on_timer);
    return s;
}

static void stop_poll(struct torc_source *s)
{
    s->fd = -1;
    io_cancel(s->io, &s->poll.op);
}

void torc_source_free(struct torc_source *s)
{
    wheel_clear(&s->io->wheel, &s->timer);
    stop_poll(s);
    s->freed = true;
    free_if_idle(s);
}

void torc_source_watch(struct torc_source *s, int fd, short events)
{
    if (s->fd == fd && s->events == events) return;
    bool busy = io_busy(&s->poll.op);
    if (busy) stop_poll(s);
    s->fd = fd;
    s->events = events;
    if (!busy) start_poll(s);
}

void torc_source_alarm(struct torc_source *s, uint64_t ns)
{
    uint64_t now = s->io->now;
    if (ns < WHEEL_NEVER - now)
        wheel_set(&s->io->wheel, &s->timer, now + ns);
    else
        wheel_clear(&s->io->wheel, &s->timer);
}

void torc_source_schedule(struct torc_source *s)
{
    io_defer(s->io, &s->task);
}

void torc_source_post(struct torc_source *s)
{
    io_post(s->io, &s->post);
}
