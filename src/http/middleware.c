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

/* What a route runs in place of its handler: each step in turn, the handler as the last. */
struct chain {
    struct chain *next;
    uint32_t last; /* index of the handler */
    struct step {
        torc_handler *fn;
        void *arg;
        const struct prefix *look; /* it applies if this has the path; NULL: to all */
    } step[];
};

struct middleware {
    struct layer *first, **last;
    uint32_t n;
    struct chain *chains;
};

/* ---- running ---- */

/* Runs the next step that applies, and with it what is inside of it; then there is a response. */
static inline void run_rest(struct torc_req *rq)
{
    const struct chain *c = rq->chain;
    const struct step *s = &c->step[rq->chain_at];
    while (s->look && !prefix_has(s->look, rq->target.path)) s++;
    rq->chain_at = (uint32_t)(s - c->step) + 1;
    s->fn(rq, s->arg);
    rq->chain_at = c->last + 1; /* what has not run by now, never does */
    const struct response *r = &rq->response;
    if (UNLIKELY(!r->status || !r->ended || rq->groups)) handler_complete(rq);
}

static void run_chain(struct torc_req *rq, void *arg)
{
    rq->chain = arg;
    rq->chain_at = 0;
    rq->passed_on = false;
    run_rest(rq);
}

int torc_next(torc_req *rq)
{
    if (!rq->route || rq->route->fn != run_chain) return -EINVAL;
    if (request_scope(rq) != &rq->scope) return -EPERM;
    if (rq->chain_at > rq->chain->last) return rq->passed_on ? -EALREADY : -EINVAL;
    rq->passed_on = true;
    run_rest(rq);
    if (LIKELY(rq->response.status)) return rq->response.status;
    return rq->cancelled ? rq->cancelled : -ENOMEM;
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
    struct chain *c = malloc(sizeof *c + (m->n + 1) * sizeof c->step[0]);
    if (!c) return -ENOMEM;
    uint32_t n = 0;
    for (const struct layer *l = m->first; l; l = l->next) {
        enum prefix_match match = prefix_of_pattern(&l->prefix, pattern);
        if (match == PREFIX_NEVER) continue;
        const struct prefix *look = match == PREFIX_SOMETIMES ? &l->prefix : NULL;
        c->step[n++] = (struct step){l->fn, l->arg, look};
    }
    if (n == 0) {
        free(c);
        return 0;
    }
    c->step[n] = (struct step){route->fn, route->arg, NULL};
    c->last = n;
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
