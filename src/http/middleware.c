#include "http/middleware.h"

#include "http/handler.h"
#include "http/prefix.h"
#include "http/response.h"

#include <errno.h>
#include <stdlib.h>

struct layer {
    struct layer *next; /* the one inside of it */
    torc_handler *fn;
    void *arg;
    struct prefix prefix;
};

/* What a route runs in place of its handler. */
struct chain {
    struct chain *next;
    struct route inner; /* the handler itself */
    uint32_t n;
    struct step {
        const struct layer *layer;
        bool look; /* whether it applies depends on the path */
    } step[];
};

struct middleware {
    struct layer *first, **last;
    uint32_t n;
    struct chain *chains;
};

/* ---- running ---- */

/* Runs what is inside of the middleware that has asked for it, and sees to it that there is a
 * response. */
static void run_rest(struct torc_req *rq)
{
    const struct chain *c = rq->chain;
    const struct route *run = &c->inner;
    while (rq->chain_at < c->n) {
        const struct step *s = &c->step[rq->chain_at++];
        if (s->look && !prefix_has(&s->layer->prefix, rq->target.path)) continue;
        s->layer->fn(rq, s->layer->arg);
        run = NULL;
        break;
    }
    rq->chain_at = c->n + 1; /* what has not run by now, never does */
    if (run) run->fn(rq, run->arg);
    handler_complete(rq);
}

static void run_chain(struct torc_req *rq, void *arg)
{
    rq->chain = arg;
    rq->chain_at = 0;
    run_rest(rq);
}

int torc_next(torc_req *rq)
{
    if (!rq->route || rq->route->fn != run_chain) return -EINVAL;
    if (request_scope(rq) != &rq->scope) return -EPERM;
    if (rq->chain_at > rq->chain->n) return -EALREADY;
    run_rest(rq);
    return rq->response.status ? rq->response.status : rq->cancelled ? rq->cancelled : -ENOMEM;
}

/* ---- building ---- */

struct middleware *middleware_new(void)
{
    struct middleware *m = calloc(1, sizeof *m);
    if (m) m->last = &m->first;
    return m;
}

void middleware_free(struct middleware *m)
{
    if (!m) return;
    for (struct layer *l = m->first, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    for (struct chain *c = m->chains, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(m);
}

int middleware_add(struct middleware *m, slice prefix, torc_handler *fn, void *arg,
                   const char **why)
{
    if (!fn) {
        *why = "it needs a function";
        return -EINVAL;
    }
    *why = prefix_fault(prefix);
    if (*why) return -EINVAL;
    struct layer *l = malloc(sizeof *l + prefix.len);
    *why = "out of memory";
    if (!l) return -ENOMEM;
    *l = (struct layer){.fn = fn, .arg = arg};
    prefix_init(&l->prefix, prefix, (char *)(l + 1));
    *m->last = l;
    m->last = &l->next;
    m->n++;
    return 0;
}

/* A route keeps its handler unless some middleware may apply to it. */
static int wrap(struct route *route, slice pattern, void *arg)
{
    struct middleware *m = arg;
    if (route->fn == run_chain) return 0; /* an earlier call ran out of memory after it */
    struct chain *c = malloc(sizeof *c + m->n * sizeof c->step[0]);
    if (!c) return -ENOMEM;
    c->n = 0;
    for (const struct layer *l = m->first; l; l = l->next) {
        enum prefix_match match = prefix_of_pattern(&l->prefix, pattern);
        if (match != PREFIX_NEVER) c->step[c->n++] = (struct step){l, match == PREFIX_SOMETIMES};
    }
    if (c->n == 0) {
        free(c);
        return 0;
    }
    c->inner = *route;
    c->next = m->chains;
    m->chains = c;
    route->fn = run_chain;
    route->arg = c;
    return 0;
}

static void respond_refused(struct torc_req *rq, void *arg)
{
    (void)arg;
    response_error(rq, rq->refused);
}

int middleware_wrap(struct middleware *m, struct router *r)
{
    if (!m->first) return 0;
    router_set_refusal(r, respond_refused, NULL);
    return router_each(r, wrap, m);
}
