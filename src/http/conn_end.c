/* Who asks for the end of a connection; conn.c brings it about. */

#include "http/conn.h"

#include <errno.h>

void conn_begin_close(struct conn *c, bool linger)
{
    c->close_after_response = true;
    c->linger |= linger;
    c->unread = (slice){0};
    conn_set_direct(c, false);
    c->read_deadline = WHEEL_NEVER;
    conn_schedule(c);
}

void conn_abort(struct conn *c, int err)
{
    if (err == -ENOMEM && c->state < CONN_CLOSING)
        http_warn(c->ctx, WARN_NO_MEMORY, "out of memory for a request; connection closed");
    conn_abort_told(c, err);
}

void conn_abort_told(struct conn *c, int err)
{
    if (c->state >= CONN_CLOSING) return;
    c->state = CONN_CLOSING;
    c->unread = (slice){0};
    c->protocol->cancel(c, err);
    conn_schedule(c);
}

void conn_stop(struct conn *c)
{
    if (c->state >= CONN_CLOSING) return;
    conn_abort(c, -ESHUTDOWN);
}

void conn_drain(struct conn *c)
{
    if (c->state != CONN_OPEN) return;
    c->protocol->drain(c);
    conn_schedule(c);
}
