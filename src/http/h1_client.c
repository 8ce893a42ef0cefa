/* Who the client of a request is. */

#include "http/h1_exchange.h"
#include "http/visitor.h"

slice h1_peer(const struct torc_req *rq)
{
    struct conn *c = h1_exchange_of((struct torc_req *)(uintptr_t)rq)->conn;
    const char *text = visitor_peer(visitor_of(c));
    return text ? slice_str(text) : (slice){0};
}
