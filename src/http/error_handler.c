#include "http/error_handler.h"

#include "base/child.h"
#include "http/prefix.h"

#include <errno.h>
#include <stdlib.h>

struct error_handler {
    struct error_handler *next; /* of a prefix that is not longer */
    torc_error_fn *fn;
    void *arg;
    struct prefix prefix;
};

/* A call under way; on the stack. It may wait, so there may be several. */
struct error_call {
    const struct torc_req *rq;
    struct list link; /* in http_context.error_calls */
};

int error_handler_add(struct error_handler **list, slice prefix, torc_error_fn *fn, void *arg,
                      const char **why)
{
    *why = fn ? prefix_fault(prefix) : "it needs a function";
    if (*why) return -EINVAL;
    struct error_handler *h = malloc(sizeof *h + prefix.len), **at = list;
    *why = "out of memory";
    if (!h) return -ENOMEM;
    *h = (struct error_handler){.fn = fn, .arg = arg};
    prefix_init(&h->prefix, prefix, (char *)(h + 1));
    while (*at && (*at)->prefix.text.len > h->prefix.text.len) at = &(*at)->next;
    for (const struct error_handler *e = *at; e; e = e->next) {
        if (!slice_eq(e->prefix.text, h->prefix.text)) continue;
        free(h);
        *why = "there is one for this prefix";
        return -EEXIST;
    }
    h->next = *at;
    *at = h;
    return 0;
}

void error_handlers_free(struct error_handler *list)
{
    for (struct error_handler *next; list; list = next) {
        next = list->next;
        free(list);
    }
}

static bool is_asking(const struct torc_req *rq)
{
    const struct list *calls = &rq->ctx->error_calls;
    for (const struct list *l = calls->next; l != calls; l = l->next)
        if (container_of((struct list *)(uintptr_t)l, struct error_call, link)->rq == rq)
            return true;
    return false;
}

bool error_handler_respond(struct torc_req *rq, int status)
{
    const struct error_handler *h = rq->ctx->error_handlers;
    while (h && !prefix_has(&h->prefix, rq->target.path)) h = h->next;
    if (!h || status < 400 || status > 599 || is_asking(rq)) return false;
    struct error_call call = {.rq = rq};
    list_init(&call.link);
    list_push(&rq->ctx->error_calls, &call.link);
    h->fn(rq, status, h->arg);
    child_check();
    list_unlink(&call.link);
    if (rq->response.streamed) torc_end(rq); /* nobody else does where no handler runs */
    return rq->response.status;
}
