#include "serve/timeline.h"

#include "base/json.h"
#include "http/events.h"
#include "http/request.h"
#include "http/trace.h"
#include "serve/response_writer.h"
#include "serve/server_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* The trace event format of Chrome, which Perfetto reads: for each core a lane with a slice ("X")
 * for each time that it ran a request's code; for each request a span with its phases within, as
 * nestable asynchronous events ("b", "e"), since requests overlap. Times in us since the start. */

enum { BUCKETS = 1024 };

struct traced {
    uint64_t conn;
    const struct route *route;
    int method;         /* enum http_method, or -1 */
    int status;         /* 0: no response yet */
    struct trace trace; /* that it is part of; of parent 0: none */
    double head, end;
    const char *phase;   /* under way; NULL: it has ended */
    bool ended;          /* its handler has, or there was none */
    struct traced *next; /* in its bucket */
};

/* What is known of one core. Its records are looked at twice: to see when requests end, and to
 * write those that count. */
struct lane {
    const struct core *core;
    const struct response_writer *to;
    struct json *j; /* of it; NULL while nothing is written */
    struct record *records;
    size_t n;
    struct traced *traced;          /* by number of the first record, as `records` */
    uint32_t first;                 /* the number of the first one of both */
    struct traced *bucket[BUCKETS]; /* those that have not ended, by connection */
    struct ticks_origin now;
    double tick_ns;
    double now_us, since; /* us */
    double turn;          /* when the present one began */
    double slice;         /* when the code that runs was taken up; NAN: unknown */
};

/* ---- writing ---- */

static double us_of(const struct lane *l, uint64_t ticks)
{
    return l->now_us + (double)(int64_t)(ticks - l->now.ticks) * l->tick_ns / 1000;
}

static double us_at(const struct lane *l, uint64_t ns)
{
    return l->now_us + (double)(int64_t)(ns - l->now.ns) / 1000;
}

static void put_begin(const struct lane *l, const char *name, const char *ph, double at)
{
    json_begin(l->j, NULL, '{');
    json_put_string(l->j, "name", name);
    json_put_string(l->j, "ph", ph);
    json_put_double(l->j, "ts", at, 3);
    json_put_u64(l->j, "pid", 1);
    json_put_u64(l->j, "tid", l->core->index);
}

static void label_of(const struct lane *l, const struct traced *t, char out[REQUEST_ROUTE])
{
    struct request_label label = {l->core->router, t->route, t->method};
    if (t->route)
        request_label_put(&label, out);
    else
        memcpy(out, "no route", sizeof "no route");
}

static bool is_shown(const struct lane *l, const struct traced *t)
{
    return l->j && t->end >= l->since;
}

/* The number of a request is its own on its core alone. */
static void put_async(const struct lane *l, const struct traced *t, const char *name,
                      const char *ph, double at)
{
    char id[40];
    snprintf(id, sizeof id, "%u.%u", l->core->index, l->first + (uint32_t)(t - l->traced));
    put_begin(l, name, ph, at);
    json_put_string(l->j, "cat", "request");
    json_put_string(l->j, "id", id);
}

static void put_edge(const struct lane *l, const struct traced *t, const char *name, const char *ph,
                     double at)
{
    if (!is_shown(l, t)) return;
    put_async(l, t, name, ph, at);
    json_end(l->j, '}');
}

static void put_span(const struct lane *l, const char *key, uint64_t span)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, span);
    json_put_string(l->j, key, text);
}

static void put_trace(const struct lane *l, const struct trace *t)
{
    char id[33];
    if (!t->parent) return;
    snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, t->id[0], t->id[1]);
    json_put_string(l->j, "trace_id", id);
    put_span(l, "parent_id", t->parent);
}

static void put_call(const struct lane *l, const struct traced *t, uint64_t span, double at)
{
    if (!t || !is_shown(l, t)) return;
    put_async(l, t, "call", "n", at);
    json_begin(l->j, "args", '{');
    put_span(l, "span_id", span);
    json_end(l->j, '}');
    json_end(l->j, '}');
}

/* Connections are told apart by a number that does not say where they are in memory. */
static void put_request_begin(const struct lane *l, const struct traced *t)
{
    char label[REQUEST_ROUTE];
    if (!is_shown(l, t)) return;
    label_of(l, t, label);
    put_async(l, t, label, "b", t->head);
    json_begin(l->j, "args", '{');
    json_put_u64(l->j, "connection", (t->conn >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    put_trace(l, &t->trace);
    json_end(l->j, '}');
    json_end(l->j, '}');
}

static void put_end(const struct lane *l, const struct traced *t, double at, bool in_progress)
{
    char label[REQUEST_ROUTE];
    if (!is_shown(l, t)) return;
    label_of(l, t, label);
    put_async(l, t, label, "e", at);
    json_begin(l->j, "args", '{');
    json_put_u64(l->j, "status", (uint64_t)t->status);
    json_put_bool(l->j, "in_progress", in_progress);
    json_end(l->j, '}');
    json_end(l->j, '}');
}

static void put_slice(struct lane *l, const struct traced *t, double at)
{
    char label[REQUEST_ROUTE] = "began earlier";
    double from = l->slice;
    l->slice = NAN;
    if (!l->j || isnan(from) || at < l->since) return;
    if (t) label_of(l, t, label);
    put_begin(l, label, "X", from);
    json_put_double(l->j, "dur", at - from, 3);
    json_end(l->j, '}');
}

static void put_instant(const struct lane *l, const char *name, double at)
{
    if (!l->j || at < l->since) return;
    put_begin(l, name, "i", at);
    json_put_string(l->j, "s", "t");
    json_end(l->j, '}');
}

/* ---- the life of a request ---- */

static struct traced **bucket_of(struct lane *l, uint64_t conn)
{
    return &l->bucket[(conn >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

static void change_phase(const struct lane *l, struct traced *t, const char *phase, double at)
{
    if (!t || !t->phase) return;
    put_edge(l, t, t->phase, "e", at);
    put_edge(l, t, phase, "b", at);
    t->phase = phase;
}

/* No part of it is left in a bucket. */
static void finish(const struct lane *l, struct traced *t, double at, bool in_progress)
{
    if (!l->j) t->end = in_progress ? INFINITY : at;
    put_edge(l, t, t->phase, "e", at);
    put_end(l, t, at, in_progress);
    t->phase = NULL;
}

/* Of the connection, or those of them whose response was sent. */
static void finish_all(struct lane *l, uint64_t conn, double at, bool closed)
{
    struct traced **link = bucket_of(l, conn);
    while (*link) {
        struct traced *t = *link;
        if (t->phase && (t->conn != conn || !(closed || t->ended))) {
            link = &t->next;
            continue;
        }
        *link = t->next;
        if (t->phase) finish(l, t, at, false);
    }
}

/* The handler has begun at `at`, if it has. A turn may seem to have begun later: it is on another
 * clock. */
static void begin(struct lane *l, struct traced *t, const struct record *r, double head, double at)
{
    double end = t->end;
    struct trace trace = t->trace;
    struct traced **bucket = bucket_of(l, r->word[WORD_CONN]);
    *t = (struct traced){.conn = r->word[WORD_CONN],
                         .route = (const struct route *)(uintptr_t)r->word[WORD_ROUTE],
                         .method = event_method(r),
                         .head = head < at ? head : at,
                         .trace = trace,
                         .end = end,
                         .phase = "queue",
                         .next = *bucket};
    *bucket = t;
    put_request_begin(l, t);
    put_edge(l, t, t->phase, "b", t->head);
}

static void set_status(const struct lane *l, struct traced *t, uint64_t status, double at)
{
    if (!status || t->status == (int)status) return; /* one that was taken back was given before */
    t->status = (int)status;
    put_edge(l, t, "reply", "n", at);
}

static void on_reply(struct lane *l, struct traced *t, uint64_t status, double at)
{
    set_status(l, t, status, at);
    if (strcmp(t->phase, "queue") != 0) return;
    t->ended = true; /* no handler */
    change_phase(l, t, "send", at);
}

static void on_end(struct lane *l, struct traced *t, uint64_t status, double at)
{
    t->ended = true;
    set_status(l, t, status, at);
    change_phase(l, t, "send", at);
}

static void on_start(struct lane *l, struct traced *t, double at)
{
    l->slice = at;
    change_phase(l, t, "run", at);
}

/* ---- a core ---- */

/* All of it in one record, unless it still runs. */
static void on_request(struct lane *l, struct traced *t, const struct record *r)
{
    bool runs = record_is_open(r);
    double at = us_of(l, r->word[RECORD_AT]), until = us_of(l, r->word[RECORD_UNTIL]);
    begin(l, t, r, runs ? l->turn : us_at(l, r->word[WORD_BEGAN]), at);
    on_start(l, t, at);
    if (runs) return;
    put_slice(l, t, until);
    on_end(l, t, r->word[WORD_STATUS], until);
    if (r->word[WORD_SENT] > r->word[RECORD_UNTIL])
        finish_all(l, t->conn, us_of(l, r->word[WORD_SENT]), false);
}

static bool is_first(enum event kind)
{
    return kind <= EVENT_START;
}

/* NULL if it has none, or if its first record is overwritten. */
static struct traced *traced_of(const struct lane *l, const struct record *r)
{
    enum event kind = event_kind(r);
    if (is_first(kind)) return &l->traced[r - l->records];
    if (kind >= EVENT_ACCEPTED) return NULL;
    uint32_t i = (uint32_t)r->word[WORD_ID] - l->first;
    return i < l->n && l->traced[i].phase ? &l->traced[i] : NULL;
}

/* It comes before the first record of its request, whose number it has. */
static void take_trace(struct lane *l, const struct record *r)
{
    uint32_t i = (uint32_t)r->word[WORD_ID] - l->first;
    if (l->j || i >= l->n) return;
    l->traced[i].trace =
        (struct trace){{r->word[WORD_A], r->word[WORD_B]}, r->word[WORD_PARENT], 0};
}

static void look_at(struct lane *l, const struct record *r)
{
    double at = us_of(l, r->word[RECORD_AT]);
    struct traced *t = traced_of(l, r);
    uint64_t conn = r->word[WORD_CONN], a = r->word[WORD_A], b = r->word[WORD_B];
    switch (event_kind(r)) {
    case EVENT_REQUEST: on_request(l, t, r); break;
    case EVENT_ACCEPTED: put_instant(l, "accept", at); break;
    case EVENT_CLOSED: finish_all(l, conn, at, true); break;
    case EVENT_ALL_SENT: finish_all(l, conn, at, false); break;
    case EVENT_HEAD: begin(l, t, r, us_at(l, r->word[WORD_BEGAN]), at); break;
    case EVENT_START:
        begin(l, t, r, us_at(l, r->word[WORD_BEGAN]), at);
        /* fall through */
    case EVENT_RUN:
    case EVENT_RESUME: on_start(l, t, at); break;
    case EVENT_WAIT:
        if (!b) break;
        put_slice(l, t, at);
        change_phase(l, t, (const char *)(uintptr_t)a, at);
        break;
    case EVENT_LEAVE:
        put_slice(l, t, at);
        change_phase(l, t, "wait", at);
        break;
    case EVENT_CALL: put_call(l, t, a, at); break;
    case EVENT_TRACE: take_trace(l, r); break;
    case EVENT_END:
        put_slice(l, t, at);
        if (!t) break;
        on_end(l, t, b, at);
        if (!a) finish(l, t, at, false);
        break;
    case EVENT_REPLY:
        if (t) on_reply(l, t, a, at);
        break;
    }
}

static void look(struct lane *l)
{
    memset(l->bucket, 0, sizeof l->bucket);
    l->slice = NAN;
    for (size_t i = 0; i < l->n && !l->to->failed; i++) look_at(l, &l->records[i]);
    for (size_t i = 0; i < l->n && !l->to->failed; i++)
        if (l->traced[i].phase) finish(l, &l->traced[i], l->now_us, true);
}

static int lane_open(struct lane *l, const struct torc_server *s, const struct core *c, uint64_t ms)
{
    *l = (struct lane){.core = c, .to = l->to, .tick_ns = ticks_ns(&s->measures.since)};
    l->records = malloc(recorder_capacity(&c->http.recorder) * sizeof *l->records);
    if (!l->records) return -1;
    uint64_t first;
    l->n = recorder_copy(&c->http.recorder, l->records, &first);
    l->first = (uint32_t)first;
    l->now = ticks_origin(); /* no record is later */
    l->now_us = (double)(l->now.ns - s->started_at) / 1000;
    l->since = l->now_us - (double)ms * 1000;
    l->turn = us_at(l, counter_get(&c->loop.io.now));
    l->traced = calloc(l->n + 1, sizeof *l->traced);
    return l->traced ? 0 : -1;
}

static void put_name(const struct lane *l, const char *of, const char *name)
{
    put_begin(l, of, "M", 0);
    json_begin(l->j, "args", '{');
    json_put_string(l->j, "name", name);
    json_end(l->j, '}');
    json_end(l->j, '}');
}

static void put_core(struct json *j, struct lane *l, const char *program)
{
    char name[32];
    snprintf(name, sizeof name, "core %u", l->core->index);
    look(l);
    l->j = j;
    put_name(l, "process_name", program);
    put_name(l, "thread_name", name);
    look(l);
}

/* ---- all of it ---- */

/* The time of day at which its times begin, to lay them beside those of others. */
static uint64_t epoch_us(const struct torc_server *s)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t now = (uint64_t)wall.tv_sec * NS_PER_S + (uint64_t)wall.tv_nsec;
    return (now - (clock_ns() - s->started_at)) / 1000;
}

/* Core by core, so that no more than one is copied at a time. Ends early where nobody gets the
 * rest: who stops reading would hold up a drain. */
void timeline_put(struct json *j, const struct response_writer *to, const struct torc_server *s,
                  uint64_t ms)
{
    struct lane *l = malloc(sizeof *l);
    if (l) l->to = to;
    json_begin(j, NULL, '{');
    json_put_string(j, "displayTimeUnit", "ms");
    json_begin(j, "traceEvents", '[');
    uint32_t left_out = l ? 0 : s->n_cores;
    for (uint32_t i = 0; l && i < s->n_cores && !to->failed; i++) {
        if (lane_open(l, s, &s->cores[i], ms) == 0)
            put_core(j, l, s->name);
        else
            left_out++;
        free(l->records);
        free(l->traced);
    }
    json_end(j, ']');
    json_put_u64(j, "cores_left_out", left_out);
    json_put_u64(j, "epoch_us", epoch_us(s));
    json_end(j, '}');
    free(l);
}
