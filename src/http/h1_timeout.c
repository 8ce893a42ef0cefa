/* What becomes of a request, or of a connection without one, whose time has passed. */

#include "base/counter.h"
#include "http/h1_exchange.h"

static void close_idle(struct conn *c)
{
    if (c->exchange) h1_abort(c->exchange);
    conn_close_idle(c);
}

static void idle_timeout_passed(struct conn *c)
{
    struct http_context *ctx = c->ctx;
    if (!ctx->draining) {
        if (c->unsent.bytes) { /* not idle: the last response is still being sent */
            c->read_deadline = ctx->io->now + ctx->limits->idle_timeout;
            return;
        }
        counter_add(&ctx->stats.timeouts[c->used ? TIMEOUT_IDLE : TIMEOUT_HEADER], 1);
    }
    close_idle(c);
}

/* Whether a request has come, and waits for others to make room. */
static bool is_held(const struct conn *c)
{
    const struct h1_exchange *x = c->exchange;
    return c->unread.len && (!x || x->state == H1_HEAD);
}

void h1_timeout(struct conn *c)
{
    struct h1_exchange *x = c->exchange;
    uint64_t *timeouts = c->ctx->stats.timeouts;
    if (is_held(c)) { /* it is not the client that is late */
        c->read_deadline = c->ctx->io->now + c->ctx->limits->header_timeout;
    } else if (io_is_behind(c->ctx->io) && (!x || x->state != H1_QUEUED)) { /* nor need it be */
        c->read_deadline = c->ctx->io->behind_until;
    } else if (h1_is_idle(x)) {
        idle_timeout_passed(c);
    } else if (x->state == H1_HEAD) {
        counter_add(&timeouts[TIMEOUT_HEADER], 1);
        h1_release_head(x);
        h1_reject_head(x, 408);
    } else if (x->state == H1_QUEUED) {
        h1_queue_expire(x);
        h1_respond_error(x, 503);
    } else if (x->state == H1_DISCARD) {
        counter_add(&timeouts[TIMEOUT_BODY], 1);
        x->rq.close_after_response = true;
        h1_request_done(x);
    } else if (x->reader) {
        h1_expire_reader(x);
    }
}
