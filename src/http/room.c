/* What happens at the limit of connections. Nothing is kept in order for it while there is room, as
 * that would cost every request something: a bounded number of connections is looked at when one is
 * to be spared. */

#include "http/conn.h"
#include "http/h1.h"
#include "http/http.h"
#include "http/visitor.h"

#include <errno.h>
#include <stdio.h>

enum { LOOK_MAX = 128, ASK_MAX = 1024 };

/* Shorter silence is no sign of anything: the bytes may be on their way. */
#define SILENCE_MIN         (100 * NS_PER_MS)
#define REQUEST_SILENCE_MIN NS_PER_S

/* Between two calls of http_watch that ask. */
#define WATCH_PAUSE (NS_PER_S / 2)

/* What an earlier look found of a client is no longer known after so long without a look. */
#define LOOK_VALID (2 * NS_PER_S)

/* What a connection waits for: the later in this list, the sooner it can be spared. */
enum silence_kind {
    BUSY, /* not for its client, or it is closing already */
    SENDING,
    IN_REQUEST,
    LINGERING,
    IDLE,   /* for the next request */
    UNUSED, /* for the first one */
};

struct silence {
    enum silence_kind kind;
    uint64_t since; /* ns; undefined if it is busy. SENDING: when progress was last seen */
};

/* Since its last byte; one that keeps sending has had a second to read its response. */
static uint64_t lingers_since(const struct conn *c)
{
    uint64_t last = c->read_deadline - LINGER_IDLE, began = c->write_deadline - LINGER_TIME,
             most = began + REQUEST_SILENCE_MIN - SILENCE_MIN;
    return last < most ? last : most;
}

static struct silence silence_of(const struct conn *c)
{
    if (c->state == CONN_LINGER && c->read_deadline != WHEEL_NEVER)
        return (struct silence){LINGERING, lingers_since(c)};
    if (c->state == CONN_OPEN && c->sock.sending)
        return (struct silence){SENDING, conn_progressed_at(c)};
    bool waits = c->state == CONN_OPEN && !c->close_after_response && !c->unread.len && !c->eof;
    uint64_t since = waits ? c->protocol->waiting_since(c) : WHEEL_NEVER;
    if (since == WHEEL_NEVER) return (struct silence){BUSY, 0};
    if (c->protocol->request(c)) return (struct silence){IN_REQUEST, since};
    if (c->unsent.bytes) return (struct silence){BUSY, 0};
    return (struct silence){c->used ? IDLE : UNUSED, since};
}

static void evict(struct conn *c)
{
    c->evicted = true;
    if (c->sock.sending) counter_add(&c->ctx->stats.timeouts[TIMEOUT_WRITE], 1);
    if (c->state == CONN_OPEN && !c->exchange && !c->sock.sending)
        conn_begin_close(c, false);
    else
        conn_abort(c, -ETIMEDOUT);
}

/* Whether an earlier look has found that the client of a connection that is sending does not read.
 * Each look asks all of its sockets, for the next one. While room is nearly used up, http_watch
 * does so before one is needed: otherwise silence would only count from the first look. */
static bool is_stuck(struct conn *c, bool valid)
{
    conn_probe(c);
    return valid && c->stuck;
}

/* Whether one is spared rather than the best so far, if any. */
static bool is_better(const struct silence *s, const struct silence *best)
{
    if (!best->kind || s->kind != best->kind) return s->kind > best->kind;
    return s->since < best->since;
}

/* The next look begins where this one ends. */
bool http_make_room(struct http_context *ctx)
{
    struct conn *found = NULL;
    /* Of a request that is in progress, more may have come while the core could not look. */
    struct silence best = {io_is_behind(ctx->io) ? IN_REQUEST : BUSY, 0};
    bool valid = ctx->io->now - ctx->looked_at < LOOK_VALID;
    uint64_t heard = io_heard_until(ctx->io);
    ctx->looked_at = ctx->io->now;
    uint32_t n = ctx->n_open < LOOK_MAX ? ctx->n_open : LOOK_MAX;
    for (; n > 0; n--) {
        struct list *l = list_pop(&ctx->open);
        list_push(&ctx->open, l);
        struct conn *c = container_of(l, struct conn, link);
        struct silence s = silence_of(c);
        uint64_t least = s.kind <= IN_REQUEST ? REQUEST_SILENCE_MIN : SILENCE_MIN;
        if (s.kind == BUSY || s.since + least > heard) continue;
        if (s.kind == SENDING && !is_stuck(c, valid)) continue;
        if (!is_better(&s, &best)) continue;
        found = c;
        best = s;
    }
    if (!found) return false;
    evict(found);
    counter_add(&ctx->stats.evicted, 1);
    return true;
}

void http_close_idle(struct http_context *ctx, uint32_t most)
{
    uint64_t heard = io_heard_until(ctx->io);
    for (struct list *l = ctx->open.next; most > 0 && l != &ctx->open; l = l->next) {
        struct conn *c = container_of(l, struct conn, link);
        struct silence s = silence_of(c);
        if (s.kind < IDLE || s.since + SILENCE_MIN > heard) continue;
        counter_add(&ctx->stats.evicted, 1);
        evict(c);
        most--;
    }
}

void http_yield(struct http_context *ctx)
{
    if (http_make_room(ctx)) return;
    for (struct list *l = ctx->open.next; l != &ctx->open; l = l->next) {
        struct conn *c = container_of(l, struct conn, link);
        c->limited = c->yields = true;
    }
}

void http_watch(struct http_context *ctx)
{
    uint32_t most = ctx->limits->max_conns, n = ctx->n_open < ASK_MAX ? ctx->n_open : ASK_MAX;
    uint64_t now = ctx->io->now;
    if (ctx->n_open < most - most / 8 || now - ctx->watched_at < WATCH_PAUSE) return;
    ctx->watched_at = now;
    if (n == ctx->n_open) ctx->looked_at = now;
    for (; n > 0; n--) {
        struct list *l = list_pop(&ctx->open);
        list_push(&ctx->open, l);
        struct conn *c = container_of(l, struct conn, link);
        if (silence_of(c).kind == SENDING) conn_probe(c);
    }
}

/* ---- clients for which there is no room ---- */

void http_forget_refused(struct conn *c)
{
    struct http_context *ctx = c->ctx;
    uint32_t i = 0;
    while (ctx->refused[i] != c) i++;
    ctx->n_refused--;
    for (; i < ctx->n_refused; i++) ctx->refused[i] = ctx->refused[i + 1];
    c->refused = false;
}

/* What was refused must not keep the next ones from being told: one that has had its response for a
 * while goes. */
static void remember_refused(struct conn *c)
{
    struct http_context *ctx = c->ctx;
    if (ctx->n_refused == HTTP_REFUSED_MAX) {
        struct conn *first = ctx->refused[0];
        http_forget_refused(first);
        conn_abort(first, -ECANCELED);
    }
    ctx->refused[ctx->n_refused++] = c;
    c->refused = true;
}

/* The client's method is not known, so there is no content. Those that linger take no place of the
 * others. */
void http_tell_refused(struct conn *c, bool linger)
{
    char response[256];
    slice server = http_server_line(c->ctx);
    int n = snprintf(response, sizeof response,
                     "HTTP/1.1 503 Service Unavailable\r\n%.*sRetry-After: 1\r\n"
                     "Content-Length: 0\r\nConnection: close\r\n\r\n",
                     (int)server.len, server.ptr);
    if (linger) remember_refused(c);
    if (send_queue_append(&c->unsent, c->ctx, response, (size_t)n) < 0)
        conn_abort(c, -ENOMEM);
    else
        conn_begin_close(c, linger);
}

void http_refuse(struct http_context *ctx, int fd)
{
    counter_add(&ctx->stats.refused, 1);
    struct conn *c = conn_open(ctx, fd, &h1_protocol);
    if (c) http_tell_refused(c, true);
}

/* Of a client that has as many connections as it may. Few of them linger: it would have more. */
static void refuse_excess(struct conn *c)
{
    bool linger = c->visitor->client->n_excess <= HTTP_REFUSED_MAX;
    counter_add(&c->ctx->stats.refused_client, 1);
    http_tell_refused(c, linger);
}

bool conn_admit(struct conn *c)
{
    bool known = visitor_enter(c->ctx, c->visitor);
    if (!known)
        conn_abort(c, -ENOMEM);
    else if (c->visitor->excess)
        refuse_excess(c);
    return known && !c->visitor->excess;
}
