/* Who the client of a request is, and how it came. */

#include "http/h1_exchange.h"
#include "http/visitor.h"

static struct conn *conn_of(const struct torc_req *rq)
{
    return h1_exchange_of((struct torc_req *)(uintptr_t)rq)->conn;
}

static struct visitor *known(struct conn *c)
{
    return visitor_of(c->ctx, &c->sock, &c->visitor);
}

slice h1_peer(const struct torc_req *rq)
{
    const char *text = visitor_client(rq->ctx, known(conn_of(rq)), &rq->head);
    return text ? slice_str(text) : (slice){0};
}

/* Without a proxy to tell, it did not. */
bool h1_is_secure(const struct torc_req *rq)
{
    const struct proxies *p = &rq->ctx->limits->proxies;
    const struct visitor *v = p->trusted.n ? known(conn_of(rq)) : conn_of(rq)->visitor;
    return v && visitor_is_secure(rq->ctx, v, &rq->head);
}
