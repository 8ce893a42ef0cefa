/* torc_post: functions that any thread hands to a core. */

#include "base/child.h"
#include "serve/cores.h"
#include "serve/overflow.h"
#include "serve/process.h"
#include "serve/server_state.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { POSTED_MAX = 65536 }; /* per core */

#define POSTING_NS (5 * NS_PER_S)

struct posted {
    struct io_post post;
    struct core *core;
    void (*fn)(void *arg);
    void *arg;
};

static void run(struct io_post *p)
{
    struct posted *allocated = container_of(p, struct posted, post), own = *allocated;
    free(allocated);
    atomic_fetch_sub(&own.core->n_posted, 1);
    fiber_set_label(&own.core->http.fibers, NULL); /* no handler's */
    overflow_running("a function posted by torc_post");
    own.fn(own.arg);
    child_check();
    overflow_running(NULL);
}

/* Takes the place of one more function. The core may have refused posts meanwhile: it does so
 * before it looks for places that are taken, so that one of the two sees the other. */
static int take_place(struct core *c)
{
    uint32_t n = atomic_fetch_add(&c->n_posted, 1);
    if (n < POSTED_MAX && c->takes_posts) return 0;
    atomic_fetch_sub(&c->n_posted, 1);
    return n < POSTED_MAX ? -ESHUTDOWN : -EAGAIN;
}

/* A place that is given back wakes nobody: the core has to look again by itself. */
bool core_end_posts(struct core *c)
{
    atomic_store(&c->takes_posts, false);
    if (atomic_load(&c->n_posted) == 0) return true;
    io_wake(&c->loop.io);
    return false;
}

static int post(struct core *c, void (*fn)(void *arg), void *arg)
{
    struct posted *p = malloc(sizeof *p);
    if (!p) return -ENOMEM;
    *p = (struct posted){{.fn = run}, c, fn, arg};
    int err = io_post(&c->loop.io, &p->post);
    if (err < 0) free(p);
    return err;
}

/* A core that has been ready can be posted to for as long as its memory is there: its inbox is
 * closed when it ends, and io_post is safe against that. */
static int post_to(struct torc_server *s, unsigned core, void (*fn)(void *arg), void *arg)
{
    if (!s->has_cores) return -ESHUTDOWN;
    if (s->process && s->process != process_id()) return -ECHILD; /* no core runs there */
    if (core >= s->n_cores || !fn) return -EINVAL;
    struct core *c = &s->cores[core];
    if (!c->takes_posts) return -ESHUTDOWN;
    int err = take_place(c);
    if (err < 0) return err;
    err = post(c, fn, arg);
    if (err < 0) atomic_fetch_sub(&c->n_posted, 1);
    return err;
}

int torc_post(torc_server *s, unsigned core, void (*fn)(void *arg), void *arg)
{
    atomic_fetch_add(&s->n_posting, 1);
    int err = post_to(s, core, fn, arg);
    atomic_fetch_sub(&s->n_posting, 1);
    return err;
}

/* Who posts once nobody did finds no cores. A process that was forked while another thread posted
 * waits for nobody: there it stays counted. */
bool cores_end_posts(struct torc_server *s)
{
    const struct timespec pause = {.tv_nsec = NS_PER_MS / 10};
    uint64_t until = clock_ns() + POSTING_NS;
    bool none;
    s->has_cores = false;
    while (!(none = s->n_posting == 0) && clock_ns() < until) nanosleep(&pause, NULL);
    return none;
}
