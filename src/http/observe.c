#include "http/observe.h"

#include "base/decimal.h"
#include "http/events.h"
#include "http/h1_exchange.h"
#include "http/handler.h"
#include "http/response.h"
#include "http/trace.h"

#include <string.h>

/* ---- records ---- */

static void record(struct torc_req *rq, enum event kind, uint64_t a, uint64_t b)
{
    struct recorder *r = &rq->ctx->recorder;
    struct record *to = r->next;
    record_set(to, WORD_KIND, event_word(kind, 0));
    record_set(to, WORD_ID, rq->spent.id);
    record_set(to, WORD_A, a);
    record_set(to, WORD_B, b);
    recorder_add_now(r);
}

/* The first of several of a request; of an EVENT_START the open one, which has the rest. What its
 * connection sends is recorded apart. */
static void note_as(struct torc_req *rq, enum event kind, const struct route *route)
{
    struct recorder *r = &rq->ctx->recorder;
    struct record *to = r->next;
    struct conn *c = h1_exchange_of(rq)->conn;
    c->recorded = rq->ctx->not_recorded;
    record_set(to, WORD_KIND, event_word(kind, route ? rq->head.method : -1));
    record_set(to, WORD_CONN, (uintptr_t)c);
    record_set(to, WORD_ROUTE, (uintptr_t)route);
    record_set(to, WORD_BEGAN, rq->spent.head);
    rq->spent.noted = true;
    rq->spent.id = (uint32_t)r->written;
    rq->exchange = &rq->ctx->noted_exchange;
}

/* Right before the first record of its request, which has no room for it. */
__attribute__((noinline)) static void note_trace(struct torc_req *rq)
{
    struct trace t;
    struct recorder *r = &rq->ctx->recorder;
    struct record *to = r->next;
    if (!trace_of(&rq->head, &t)) return;
    record_set(to, WORD_KIND, event_word(EVENT_TRACE, 0));
    record_set(to, WORD_ID, (uint32_t)(r->written + 1));
    record_set(to, WORD_A, t.id[0]);
    record_set(to, WORD_B, t.id[1]);
    record_set(to, WORD_PARENT, t.parent);
    recorder_add_now(r);
}

static void note_head(struct torc_req *rq, const struct route *route)
{
    note_trace(rq);
    note_as(rq, EVENT_HEAD, route);
    recorder_add_now(&rq->ctx->recorder);
}

/* Once it is to wait. */
static void note_start(struct torc_req *rq)
{
    struct recorder *r = &rq->ctx->recorder;
    struct record *open = r->next;
    note_as(rq, EVENT_START, rq->route);
    record_set(open, RECORD_UNTIL, open->word[RECORD_AT]);
    recorder_add(r);
}

/* ---- a request ---- */

static void observe(struct torc_req *rq)
{
    rq->observed = true;
    rq->spent = (struct spent){.head = rq->ctx->io->now};
}

void observe_queued(struct torc_req *rq)
{
    observe(rq);
    if (rq->ctx->recorder.records) note_head(rq, rq->route);
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

/* These run in place of handler_run. The first one opens the record of a request; flattened, or
 * handler_run is called. */
__attribute__((flatten)) static void run_recorded(void *arg)
{
    struct torc_req *rq = arg;
    if (UNLIKELY(rq->head.n_fields > 1)) note_trace(rq); /* there is Host besides */
    struct record *to = rq->ctx->recorder.next;
    uint64_t kind = event_word(EVENT_REQUEST, rq->head.method), route = (uintptr_t)rq->route;
    record_set(to, WORD_KIND, kind);
    record_set(to, WORD_ROUTE, route);
    record_open(to);
    handler_run(rq);
}

static void run_noted(void *arg)
{
    record(arg, EVENT_RUN, 0, 0);
    handler_run(arg);
}

static void run_timed(void *arg)
{
    struct torc_req *rq = arg;
    if (!rq->observed) observe(rq);
    take_up(rq);
    rq->spent.started = rq->spent.taken_up;
    if (LIKELY(!rq->ctx->recorder.records))
        handler_run(rq);
    else if (rq->spent.noted)
        run_noted(rq);
    else
        run_recorded(rq);
    rq->spent.on_core = false; /* its head is out, and with that the times that it tells */
}

/* These are exchange_ops.handler_returned. The first one adds the open record: all of the request
 * was in one turn. */
static void recorded_returned(struct torc_req *rq)
{
    struct recorder *r = &rq->ctx->recorder;
    struct record *to = r->next;
    struct conn *c = h1_exchange_of(rq)->conn;
    uint64_t began = rq->ctx->io->now, status = (uint64_t)rq->response.status;
    h1_handler_returned(rq);
    c->recorded = to;
    record_set(to, WORD_CONN, (uintptr_t)c);
    record_set(to, WORD_BEGAN, began);
    record_set(to, WORD_STATUS, status);
    record_set(to, RECORD_UNTIL, ticks_now());
    recorder_add(r);
}

static void noted_returned(struct torc_req *rq)
{
    rq->spent.on_core = false;
    record(rq, EVENT_END, h1_exchange_of(rq)->conn->unsent.bytes, (uint64_t)rq->response.status);
    h1_handler_returned(rq);
}

static void record_reply(struct torc_req *rq)
{
    if (rq->spent.replied || !rq->response.status) return;
    rq->spent.replied = true;
    record(rq, EVENT_REPLY, (uint64_t)rq->response.status, 0);
}

void observe_unserved(struct torc_req *rq)
{
    if (!rq->observed) observe(rq);
    if (!rq->ctx->recorder.records) return;
    if (!rq->spent.noted) note_head(rq, NULL);
    record_reply(rq);
}

void observe_call(struct torc_req *rq, uint64_t span)
{
    if (!rq->observed) observe(rq);
    if (!rq->spent.noted) note_start(rq);
    record(rq, EVENT_CALL, span, 0);
}

/* ---- its fibers ---- */

static void on_park(void *user, const char *what, bool last)
{
    struct torc_req *rq = user;
    if (!rq) return;
    if (!rq->observed) observe(rq);
    if (last) let_go(rq);
    if (!rq->ctx->recorder.records) return;
    if (!rq->spent.noted) note_start(rq);
    record_reply(rq);
    record(rq, EVENT_WAIT, (uintptr_t)what, last);
}

static void on_resume(void *user)
{
    struct torc_req *rq = user;
    if (!rq) return;
    take_up(rq);
    if (rq->ctx->recorder.records) record(rq, EVENT_RESUME, 0, 0);
}

/* The fiber was suspended again, has returned, or was the handler's own: only then it was told. */
static void on_leave(void *user)
{
    struct torc_req *rq = user;
    if (!rq || !rq->spent.on_core) return;
    let_go(rq);
    if (rq->ctx->recorder.records) record(rq, EVENT_LEAVE, 0, 0);
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
static int respond_with(struct torc_req *rq, slice body)
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

static int respond_timed(struct torc_req *rq, slice body)
{
    if (UNLIKELY(!rq->observed)) observe(rq); /* no handler */
    return respond_with(rq, body);
}

/* ---- switching it on ---- */

/* The end of each Server-Timing line. */
static void put_core(struct http_context *ctx)
{
    char *p = decimal_put(PUT_TEXT(ctx->timing_core, ", core;desc=\""), ctx->index);
    ctx->timing_core_len = (uint8_t)(PUT_TEXT(p, "\"\r\n") - ctx->timing_core);
}

void http_observe(struct http_context *ctx, bool timing, const struct recorder *recorder)
{
    static struct record none;
    if (!timing && !recorder->records) return;
    struct exchange_ops *own = &ctx->observed_exchange, *noted = &ctx->noted_exchange;
    *own = *ctx->exchange;
    ctx->timing = timing;
    if (timing) {
        put_core(ctx);
        own->respond = respond_timed;
    }
    *noted = *own;
    ctx->run = ctx->run_late = run_timed;
    if (recorder->records) {
        ctx->recorder = *recorder;
        ctx->run = timing ? run_timed : run_recorded;
        ctx->run_late = timing ? run_timed : run_noted;
        own->handler_returned = recorded_returned;
        noted->handler_returned = noted_returned;
        ctx->not_recorded = &none;
        ctx->on_sent = conn_on_sent_recorded;
    }
    ctx->exchange = own;
    ctx->fibers.watch = &watch;
}
