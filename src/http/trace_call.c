/* The trace of a request, in what its handler asks others. */

#include "http/observe.h"
#include "http/request.h"
#include "http/trace.h"

static_assert(TRACE_PARENT + 1 == TORC_TRACE_PARENT, "the size that torc.h says");

bool torc_trace_parent(torc_req *rq, char out[TORC_TRACE_PARENT])
{
    struct trace t;
    *out = '\0';
    if (!trace_of(&rq->head, &t)) return false;
    t.parent = trace_new_span();
    if (rq->ctx->recorder.records) observe_call(rq, t.parent);
    trace_format(&t, out);
    return true;
}
