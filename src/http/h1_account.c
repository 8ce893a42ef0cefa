#include "http/h1_account.h"

#include "http/visitor.h"

#include <errno.h>

/* Bytes of the response body that were sent, or are queued on a connection that goes on. Unsent
 * ones are the last of the queue, or were; the chunk sizes between them count as body. */
static uint64_t body_sent(const struct h1_exchange *x)
{
    const struct torc_req *rq = &x->rq;
    if (!rq->response.status || !request_gets_body(rq)) return 0;
    uint64_t written = rq->response.written;
    uint64_t unsent = x->conn->state == CONN_OPEN ? 0 : x->conn->unsent.bytes;
    if (rq->response.given_up) unsent += x->taken_back;
    return written > unsent ? written - unsent : 0;
}

void h1_account_report(const struct h1_exchange *x, enum http_end end)
{
    struct http_context *ctx = x->conn->ctx;
    const char *client = visitor_client(ctx, x->conn->visitor, &x->rq.head);
    ctx->on_request_done(ctx, &x->rq, client, body_sent(x), end);
}

bool h1_response_sent(const struct h1_exchange *x)
{
    const struct response *r = &x->rq.response;
    if (!r->status || r->incomplete || r->given_up || x->conn->unsent.bytes) return false;
    if (x->state != H1_HANDLER || !r->streamed) return true;
    return r->length < 0 ? r->whole : r->written >= (uint64_t)r->length;
}

static enum http_end reason_of_abort(const struct h1_exchange *x)
{
    int err = x->rq.cancelled; /* 0: the client's end of stream within a head */
    if (x->rq.response.incomplete) return END_SERVER; /* whatever became of the rest */
    if (err == -ETIMEDOUT) return x->conn->too_slow ? END_SLOW : END_TIMEOUT;
    return err == 0 || err == -ECONNRESET ? END_CLIENT : END_SERVER;
}

void h1_account_abort(struct h1_exchange *x)
{
    struct send_queue *unsent = &x->conn->unsent;
    const struct response *r = &x->rq.response;
    bool sent = h1_response_sent(x);
    /* It is counted here, and not once more by the connection. */
    if (!sent && r->status && !r->in_parts && unsent->bytes) send_queue_unend_response(unsent);
    enum http_end end = sent ? END_DONE : reason_of_abort(x);
    /* Who is told of the end cannot respond any more: not in a head that the client has ended,
     * either. */
    if (!x->rq.cancelled) x->rq.cancelled = -ECONNRESET;
    /* Empty lines before a head are no request. One that was rejected for its first byte is. */
    if (x->state != H1_HEAD || x->parser.head_bytes > x->parser.empty_bytes) h1_account(x, end);
}
