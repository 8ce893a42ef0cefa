/* A request that is given up, on a connection that still sends the responses before it. */

#include "http/h1_account.h"

#include <errno.h>

/* Bytes of the response that were queued. They are the last of the queue, so what is unsent of them
 * is as well. */
static size_t queued(const struct h1_exchange *x)
{
    const struct response *r = &x->rq.response;
    if (!r->in_parts) return 0;
    return x->framing + (request_gets_body(&x->rq) ? r->written : 0);
}

/* What is in a send leaves with what is before it. A writer that is cancelled takes back what it
 * has by reference itself, or does once its send has ended. */
void h1_give_up(struct torc_req *rq, int err)
{
    struct h1_exchange *x = h1_exchange_of(rq);
    struct conn *c = x->conn;
    if (rq->cancelled) return;
    size_t own = queued(x), unsent = c->unsent.bytes;
    rq->close_after_response = true;
    rq->response.given_up = !h1_response_sent(x);
    request_cancel(rq, err);
    if (own > unsent) own = unsent;
    own -= unsent - c->unsent.bytes;
    x->taken_back = conn_is_written(c) ? 0 : send_queue_take_back_most(&c->unsent, own);
    conn_took_back(c);
    conn_schedule(c);
}

/* What is in a send counts as it really went. The client may have sent more, which would reset the
 * connection and destroy what it is to read. */
bool h1_end_given_up(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    if (!x->rq.response.given_up || c->state != CONN_OPEN) return false;
    if (c->unsent.bytes && queued(x) > x->taken_back) {
        h1_await_sent(x);
        return true;
    }
    h1_abort(x);
    conn_begin_close(c, true);
    return true;
}
