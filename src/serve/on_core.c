/* What a handler has of its core: the program's data, and a way out of the pin. */

#include "base/cpus.h"
#include "serve/core.h"

void torc_core_set(torc_req *rq, void *data)
{
    rq->ctx->core_data = data;
}

void *torc_core_data(const torc_req *rq)
{
    return rq->ctx->core_data;
}

void torc_unpinned(torc_req *rq, void (*fn)(void *arg), void *arg)
{
    struct core *c = rq->ctx->user;
    cpus_unpin();
    fn(arg);
    if (c->serves) loop_pin(&c->loop);
}
