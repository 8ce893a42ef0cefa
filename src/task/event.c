#include "task/event.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WAKES = 64 }; /* at once; what else the core has to do comes in between */

struct event {
    _Atomic uint64_t count;
    _Atomic uint32_t n_subscribers; /* so that a signal that nobody awaits takes no lock */
    _Atomic uint32_t refs;          /* the owner and each subscriber */
    _Atomic bool freed;
    pthread_mutex_t mutex; /* guards what follows; posts are made with it held */
    struct list subscribers;
};

/* A core on which fibers wait for the event. */
struct subscriber {
    struct list link; /* in event.subscribers */
    struct event *event;
    struct io *io;
    struct io_post post;  /* from the signalling thread */
    struct io_task wake;  /* wakes some of the waiters */
    struct io_task leave; /* runs after the last fiber has left, unless another comes */
    struct list waiters;  /* oldest first: none has seen more than those after it */
    uint32_t fibers;      /* in event_wait, woken ones included */
    bool left;            /* to be freed by the post that is under way */
};

/* ---- the event ---- */

struct event *event_new(void)
{
    struct event *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->mutex, NULL);
    list_init(&e->subscribers);
    return e;
}

static void unref(struct event *e)
{
    if (atomic_fetch_sub(&e->refs, 1) > 1) return;
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

uint64_t event_count(const struct event *e)
{
    return atomic_load(&e->count);
}

void event_signal(struct event *e)
{
    /* A waiter subscribes and then looks at the count; this is done in the opposite order, so that
     * one of the two notices the other. */
    atomic_fetch_add(&e->count, 1);
    if (!atomic_load(&e->n_subscribers)) return;
    pthread_mutex_lock(&e->mutex);
    for (struct list *l = e->subscribers.next; l != &e->subscribers; l = l->next) {
        struct subscriber *s = container_of(l, struct subscriber, link);
        io_post(s->io, &s->post);
    }
    pthread_mutex_unlock(&e->mutex);
}

void event_free(struct event *e)
{
    if (!e) return;
    atomic_store(&e->freed, true);
    event_signal(e);
    unref(e);
}

/* ---- the subscriber of a core ---- */

static void subscriber_free(struct subscriber *s)
{
    unref(s->event);
    free(s);
}

static void on_wake(struct io_task *t)
{
    struct subscriber *s = container_of(t, struct subscriber, wake);
    uint64_t count = event_count(s->event);
    for (int n = 0; n < WAKES && !list_empty(&s->waiters); n++) {
        struct event_waiter *w = container_of(s->waiters.next, struct event_waiter, link);
        if (w->seen == count) return;
        list_unlink(&w->link);
        wait_wake(&w->wait, 0);
    }
    if (!list_empty(&s->waiters)) io_defer(s->io, t);
}

static void on_post(struct io_post *p)
{
    struct subscriber *s = container_of(p, struct subscriber, post);
    if (s->left)
        subscriber_free(s);
    else
        io_defer(s->io, &s->wake);
}

static void on_leave(struct io_task *t)
{
    struct subscriber *s = container_of(t, struct subscriber, leave);
    struct event *e = s->event;
    if (s->fibers > 0) return;
    if (s->wake.queued) { /* first that one */
        io_defer(s->io, t);
        return;
    }
    pthread_mutex_lock(&e->mutex);
    list_unlink(&s->link);
    atomic_fetch_sub(&e->n_subscribers, 1);
    pthread_mutex_unlock(&e->mutex);
    s->left = true; /* and nobody posts from now on */
    if (!atomic_load(&s->post.queued)) subscriber_free(s);
}

static struct subscriber *subscriber_new(struct event *e, struct io *io)
{
    struct subscriber *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (struct subscriber){.event = e,
                             .io = io,
                             .post = {.fn = on_post},
                             .wake = {.fn = on_wake},
                             .leave = {.fn = on_leave}};
    list_init(&s->link);
    list_init(&s->waiters);
    list_push(&e->subscribers, &s->link);
    atomic_fetch_add(&e->refs, 1);
    atomic_fetch_add(&e->n_subscribers, 1);
    return s;
}

static struct subscriber *subscribe(struct event *e, struct io *io)
{
    struct subscriber *found = NULL;
    pthread_mutex_lock(&e->mutex);
    for (struct list *l = e->subscribers.next; l != &e->subscribers && !found; l = l->next) {
        struct subscriber *s = container_of(l, struct subscriber, link);
        if (s->io == io) found = s;
    }
    if (!found) found = subscriber_new(e, io);
    pthread_mutex_unlock(&e->mutex);
    return found;
}

/* ---- waiting ---- */

static void waiter_cancel(struct wait *wait)
{
    wait_wake(wait, wait->scope->cancelled);
}

static int park(struct scope *s, struct subscriber *here, struct event_waiter *w)
{
    if (event_count(here->event) != w->seen) return 0;
    list_init(&w->link);
    list_push(&here->waiters, &w->link);
    int result = wait_park(s, &w->wait, waiter_cancel);
    list_unlink(&w->link);
    return result;
}

int event_wait(struct scope *s, struct event *e, uint64_t *seen, struct event_waiter *w)
{
    int result = scope_refuses(s);
    if (result) return result;
    if (event_count(e) == *seen) {
        struct subscriber *here = subscribe(e, s->io);
        if (!here) return -ENOMEM;
        here->fibers++;
        *w = (struct event_waiter){.wait.what = "event", .seen = *seen};
        result = park(s, here, w);
        if (result == 0 && atomic_load(&e->freed)) result = -EIDRM;
        if (--here->fibers == 0) io_defer(here->io, &here->leave);
    }
    if (result == 0) *seen = event_count(e);
    return result;
}
