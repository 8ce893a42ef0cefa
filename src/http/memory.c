#include "http/memory.h"

#include "http/conn.h"

#include <errno.h>

/* While requests are held back: how often to look whether they may begin, and for clients to close.
 */
#define HOLD_NS    (5 * NS_PER_MS)
#define ENFORCE_NS (100 * NS_PER_MS)

static bool is_held(const struct http_context *ctx)
{
    return ctx->begin_below == 0;
}

/* ---- closing ---- */

/* A client that has acknowledged nothing for so long does not read. */
#define STUCK_NS NS_PER_S

/* What an earlier look found of a client is no longer known after so long without a look. */
#define LOOK_VALID (2 * NS_PER_S)

/* `freed`: bytes of *used that this gives back. One that is closing already has been counted. */
static void abort_for_memory(struct conn *c, size_t *used, size_t freed, const char *why)
{
    *used -= freed < *used ? freed : *used;
    if (c->state >= CONN_CLOSING) return;
    counter_add(&c->ctx->stats.over_memory, 1);
    http_warn(c->ctx, WARN_BUFFERS, "%s, and --buffer-memory is used up; connection closed", why);
    conn_abort_told(c, -ENOMEM);
}

/* A large send may take long without its client being at fault. So each look asks its socket, for
 * the next one. `valid`: there was one a moment ago. */
static bool is_stuck(struct conn *c, bool valid)
{
    bool since = c->ctx->io->now >= conn_progressed_at(c) + STUCK_NS;
    bool stuck = valid && since && c->timed && c->stuck;
    conn_probe(c);
    return stuck;
}

/* Aborts connections whose client does not read, until the rest is within the limit. */
static void enforce_unsent(struct http_context *ctx, size_t *used)
{
    bool valid = ctx->io->now - ctx->enforced_at < LOOK_VALID;
    ctx->enforced_at = ctx->io->now;
    for (struct list *l = ctx->open.next, *next; l != &ctx->open; l = next) {
        struct conn *c = container_of(l, struct conn, link);
        next = l->next;
        if (!c->sock.sending || (c->state == CONN_OPEN && !is_stuck(c, valid))) continue;
        if (*used <= ctx->limits->buffer_memory) continue;
        abort_for_memory(c, used, send_queue_memory(&c->unsent), "a client does not read");
    }
}

/* Whether the input of the connection is as it was STUCK_NS ago: its handler waits for something
 * else. To be asked now and then. */
static bool is_unread(const struct conn *c)
{
    struct spill *s = c->spill;
    uint64_t now = c->ctx->io->now;
    if (s->seen == c->unread.ptr) return now - s->seen_at >= STUCK_NS;
    s->seen = c->unread.ptr;
    s->seen_at = now;
    return false;
}

/* What the connection keeps of input that goes no further: its handler, or its client, is not
 * going on. */
static size_t stuck_input(const struct conn *c)
{
    if (c->state != CONN_OPEN) return 0;
    return c->unread.len ? spill_cap(c->spill) : c->protocol->head_kept(c);
}

/* Likewise those whose input goes no further, if they have more than an equal share: what the
 * others have is within the limit. */
static void enforce_input(struct http_context *ctx, size_t *used)
{
    size_t limit = ctx->limits->buffer_memory, share = limit / (ctx->n_open + 1);
    for (struct list *l = ctx->open.next, *next; l != &ctx->open && *used > limit; l = next) {
        struct conn *c = container_of(l, struct conn, link);
        next = l->next;
        size_t stuck = stuck_input(c);
        if (stuck <= share) continue;
        if (!c->unread.len)
            abort_for_memory(c, used, stuck, "a client does not complete its head");
        else if (is_unread(c))
            abort_for_memory(c, used, stuck, "no handler reads the input of a client");
    }
}

void memory_enforce(struct http_context *ctx)
{
    size_t used = http_buffered(ctx);
    if (used <= ctx->limits->buffer_memory || io_is_behind(ctx->io)) return;
    enforce_unsent(ctx, &used);
    if (!is_held(ctx)) enforce_input(ctx, &used); /* what is held back is unread, too */
}

/* ---- holding requests back ---- */

/* In turn: the next time, those come first that were not reached. */
static void begin_held(struct http_context *ctx)
{
    for (uint32_t n = ctx->n_open; n > 0 && !is_held(ctx); n--) {
        struct list *l = list_pop(&ctx->open);
        list_push(&ctx->open, l);
        struct conn *c = container_of(l, struct conn, link);
        if (c->state != CONN_OPEN || !c->unread.len) continue;
        stopwatch_start(&ctx->io->code);
        c->protocol->input(c);
        stopwatch_stop(&ctx->io->code);
        conn_resume(c);
    }
}

static void on_hold(struct wheel_timer *t)
{
    struct http_context *ctx = container_of(t, struct http_context, hold);
    uint64_t now = ctx->io->now;
    if (http_exceeds(ctx)) {
        if (now - ctx->enforced_at >= ENFORCE_NS) memory_enforce(ctx);
        wheel_set(&ctx->io->wheel, t, now + HOLD_NS);
    } else {
        ctx->begin_below = PIPELINE_UNSENT;
        begin_held(ctx);
    }
}

void memory_open(struct http_context *ctx)
{
    ctx->begin_below = PIPELINE_UNSENT;
    wheel_timer_init(&ctx->hold, on_hold);
}
