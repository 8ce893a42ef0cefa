/* What few responses need: bodies that are handed over, and interim responses. */

#include "http/h1_exchange.h"
#include "http/status.h"

#include <errno.h>
#include <stdio.h>

static int refuse_owned(struct body_owner owner, int err)
{
    body_release(owner);
    return err;
}

int h1_write_owned(struct torc_req *rq, slice body, struct body_owner owner)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    if (rq->cancelled) return refuse_owned(owner, rq->cancelled);
    if (send_queue_append_owned(&c->unsent, c->ctx, body, owner) < 0) {
        conn_abort(c, -ENOMEM); /* the head announced a body that cannot be sent */
        return refuse_owned(owner, -ENOMEM);
    }
    rq->response.written = body.len;
    conn_schedule(c);
    return 0;
}

/* RFC 9110, 15.2: not to HTTP/1.0, nor where the head does not tell the version. Its wait keeps
 * neither another one nor the response back. */
int h1_interim(struct torc_req *rq, int status, slice lines)
{
    struct conn *c = h1_exchange_of(rq)->conn;
    struct send_queue *q = &c->unsent;
    char text[64];
    if (rq->cancelled) return rq->cancelled;
    if (rq->head.minor <= 0) return 0;
    slice reason = http_reason(status);
    int n =
        snprintf(text, sizeof text, "HTTP/1.1 %d %.*s\r\n", status, (int)reason.len, reason.ptr);
    if (send_queue_append(q, c->ctx, text, (size_t)n) < 0 ||
        send_queue_append(q, c->ctx, lines.ptr, lines.len) < 0 ||
        send_queue_append(q, c->ctx, "\r\n", 2) < 0) {
        conn_abort(c, -ENOMEM); /* half of it may be there */
        return -ENOMEM;
    }
    conn_schedule(c);
    size_t limit = send_queue_limit(q, c->ctx);
    return q->bytes < limit ? 0 : conn_wait_room(c, request_scope(rq), limit);
}
