#include "http/observe.h"

#include "base/decimal.h"
#include "http/events.h"
#include "http/h1_exchange.h"
#include "http/handler.h"
#include "http/response.h"

#include <string.h>

/* ---- records ---- */

static void record(struct torc_req *rq, enum event kind, uint64_t a, uint64_t b)
{
    recorder_add(rq->ctx->recorder, ticks_now(), event_word(kind, rq->spent.id, 0), a, b);
}

/* The first of a request, in the turn in which its head came. The route may be unknown: NULL. */
static void record_first(struct torc_req *rq, enum event kind, const struct route *route)
{
    struct recorder *r = rq->ctx->recorder;
    uint64_t now = rq->ctx->io->now;
    if (UNLIKELY(r->turn != now)) {
        r->turn = now;
        recorder_add(r, ticks_now(), EVENT_TURN, clock_ns() - now, 0);
    }
    rq->spent.id = ++r->last_id;
    recorder_add(r, ticks_now(), event_word(kind, rq->spent.id, route ? rq->head.method : -1),
                 (uintptr_t)h1_exchange_of(rq)->conn, (uintptr_t)route);
}

/* ---- a request ---- */

static void note_head(struct torc_req *rq)
{
    rq->observed = true;
    rq->spent = (struct spent){.head = rq->ctx->io->now};
}

void observe_queued(struct torc_req *rq)
{
    note_head(rq);
    if (rq->ctx->recorder) record_first(rq, EVENT_HEAD, rq->route);
}

static void take_up(struct torc_req *rq)
{
    rq->spent.on_core = true;
    if (rq->ctx->timing) rq->spent.taken_up = clock_ns();
}

static void let_go(struct torc_req *rq)
{
    rq->spent.on_core = false;
    if (rq->ctx->timing) rq->spent.ran += clock_ns() - rq->spent.taken_up;
}

/* In place of handler_run. */
static void run(void *arg)
{
    struct torc_req *rq = arg;
    bool queued = rq->observed;
    if (!queued) note_head(rq);
    take_up(rq);
    rq->spent.started = rq->spent.taken_up;
    if (rq->ctx->recorder) {
        if (queued)
            record(rq, EVENT_RUN, 0, 0);
        else
            record_first(rq, EVENT_START, rq->route);
    }
    handler_run(rq);
    rq->spent.on_core = false; /* its head is out, and with that the times that it tells */
    if (rq->ctx->recorder)
        record(rq, EVENT_END, h1_exchange_of(rq)->conn->unsent.bytes,
               (uint64_t)rq->response.status);
}

static void record_reply(struct torc_req *rq)
{
    if (rq->spent.replied || !rq->response.status) return;
    rq->spent.replied = true;
    record(rq, EVENT_REPLY, (uint64_t)rq->response.status, 0);
}

/* ---- its fibers ---- */

static void on_park(void *user, const char *what, bool last)
{
    struct torc_req *rq = user;
    if (!rq || !rq->observed) return;
    if (last) let_go(rq);
    if (!rq->ctx->recorder) return;
    record_reply(rq);
    record(rq, EVENT_WAIT, (uintptr_t)what, last);
}

static void on_resume(void *user)
{
    struct torc_req *rq = user;
    if (!rq || !rq->observed) return;
    take_up(rq);
    if (rq->ctx->recorder) record(rq, EVENT_RESUME, 0, 0);
}

/* The fiber was suspended again, has returned, or was the handler's own: only then it was told. */
static void on_leave(void *user)
{
    struct torc_req *rq = user;
    if (!rq || !rq->observed || !rq->spent.on_core) return;
    let_go(rq);
    if (rq->ctx->recorder) record(rq, EVENT_LEAVE, 0, 0);
}

static const struct scope_watch watch = {on_park, on_resume, on_leave};

/* ---- its response ---- */

#define PUT_TEXT(p, literal) ((char *)memcpy(p, literal, sizeof(literal) - 1) + sizeof(literal) - 1)

__attribute__((always_inline)) static inline char *put_ms(char *p, uint64_t ns)
{
    return ns < 500 ? PUT_TEXT(p, "0.000") : decimal_put_thousandths(p, (ns + 500) / 1000);
}

/* Server-Timing (W3C), of the time until now. Returns the end of the line. */
static char *put_line(char *p, const struct torc_req *rq)
{
    const struct spent *s = &rq->spent;
    uint64_t now = clock_ns(), started = s->started ? s->started : now;
    uint64_t ran = s->ran + (s->on_core ? now - s->taken_up : 0);
    p = put_ms(PUT_TEXT(p, "Server-Timing: queue;dur="), started - s->head);
    p = put_ms(PUT_TEXT(p, ", run;dur="), ran);
    p = put_ms(PUT_TEXT(p, ", wait;dur="), now - started - ran);
    memcpy(p, rq->ctx->timing_core, TIMING_CORE);
    return p + rq->ctx->timing_core_len;
}

/* The field is for this attempt alone: another response may follow one that failed. Without memory
 * for it the response does without. A response that has no other fields borrows the core's line. */
static int respond_timed(struct torc_req *rq, slice body)
{
    struct response *r = &rq->response;
    uint32_t before = r->fields_len;
    bool borrowed = r->fields_cap == 0;
    if (LIKELY(borrowed)) r->fields = rq->ctx->timing_line;
    char *line = borrowed ? r->fields : response_line_room(rq, TIMING_LINE);
    if (LIKELY(line != NULL)) r->fields_len += (uint32_t)(put_line(line, rq) - line);
    int err = h1_respond(rq, body);
    r->fields_len = before;
    if (borrowed) r->fields = NULL;
    return err;
}

static int respond(struct torc_req *rq, slice body)
{
    if (UNLIKELY(!rq->observed)) { /* no handler */
        note_head(rq);
        if (rq->ctx->recorder) record_first(rq, EVENT_HEAD, NULL);
    }
    int err = rq->ctx->timing ? respond_timed(rq, body) : h1_respond(rq, body);
    if (rq->ctx->recorder && !rq->spent.on_core && err >= 0) record_reply(rq);
    return err;
}

/* Where there is no field to add. */
static int respond_recorded(struct torc_req *rq, slice body)
{
    return LIKELY(rq->observed && rq->spent.on_core) ? h1_respond(rq, body) : respond(rq, body);
}

/* ---- its connection ---- */

static void on_sent(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = container_of(container_of(op, struct io_send, op)->sock, struct conn, sock);
    conn_on_sent(io, op, res, more);
    if (res >= 0 && !c->unsent.bytes) event_of_conn(c->ctx->recorder, EVENT_SENT, c);
}

/* ---- switching it on ---- */

/* The end of each Server-Timing line. */
static void put_core(struct http_context *ctx)
{
    char *p = decimal_put(PUT_TEXT(ctx->timing_core, ", core;desc=\""), ctx->index);
    ctx->timing_core_len = (uint8_t)(PUT_TEXT(p, "\"\r\n") - ctx->timing_core);
}

void http_observe(struct http_context *ctx, bool timing, struct recorder *recorder)
{
    if (!timing && !recorder) return;
    ctx->timing = timing;
    if (timing) put_core(ctx);
    ctx->recorder = recorder;
    ctx->observed_exchange = *ctx->exchange;
    ctx->observed_exchange.respond = timing ? respond : respond_recorded;
    ctx->exchange = &ctx->observed_exchange;
    ctx->run = run;
    ctx->fibers.watch = &watch;
    if (recorder) ctx->on_sent = on_sent;
}
