/* Who asks for the end of a connection; conn.c brings it about. */

#include "http/conn.h"

#include <errno.h>

/* Time to begin for a request that the client has sent when the drain begins: it may be in the
 * socket still. */
#define DRAIN_IDLE (50 * NS_PER_MS)

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

/* Who has just connected is about to send, and does not expect to be closed on, as the client of an
 * idle connection does. */
uint64_t conn_drain_until(const struct conn *c)
{
    uint64_t soon = c->ctx->io->now + DRAIN_IDLE, first = c->ctx->first_until;
    return c->used || first < soon ? soon : first;
}

/* A first request that crosses the end must not have it reset, or the client could not tell. */
void conn_close_idle(struct conn *c)
{
    c->brief = c->ctx->draining && !c->used;
    conn_begin_close(c, c->brief);
}

void conn_drain(struct conn *c)
{
    if (c->state != CONN_OPEN) return;
    c->protocol->drain(c);
    conn_schedule(c);
}
