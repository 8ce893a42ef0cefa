#include "load/supply.h"

#include <stdlib.h>

enum { MANY = 1 << 20 }; /* unsent requests: more than these are not counted one by one */

void supply_init(struct supply *s, struct record *record, struct io *io, uint32_t core)
{
    *s = (struct supply){.plan = record->plan, .record = record, .io = io, .core = core};
    list_init(&s->idle);
}

void supply_free(struct supply *s)
{
    free(s->retry);
}

/* ---- issuing ---- */

static bool is_sending(const struct supply *s)
{
    return s->record->phase == PHASE_WARM || s->record->phase == PHASE_MEASURE;
}

static bool has_retries(const struct supply *s)
{
    return s->retry_head != s->retry_tail;
}

bool supply_continues(const struct supply *s)
{
    enum phase phase = s->record->phase;
    return phase < PHASE_DRAIN || (phase == PHASE_DRAIN && has_retries(s));
}

static bool issued_all(const struct supply *s)
{
    const struct record *r = s->record;
    return s->plan->count && r->phase == PHASE_MEASURE && r->counts.issued == r->share;
}

/* A new request, due at `intended` (0: when it is sent); false where there are no more. */
static bool issue(struct supply *s, uint64_t intended, struct pending *p)
{
    struct record *r = s->record;
    if (!is_sending(s) || issued_all(s)) return false;
    bool counted = record_counts_all(r) ||
                   (r->phase == PHASE_MEASURE && (!intended || intended >= s->measure_from));
    if (counted) counter_add(&r->counts.issued, 1);
    *p = (struct pending){.intended = intended, .request = s->next_request, .counted = counted};
    if (++s->next_request == s->plan->n_requests) s->next_request = 0;
    return true;
}

/* The next request of an open loop; false where none is due. */
static bool next_due(struct supply *s, struct pending *p)
{
    if (has_retries(s)) {
        *p = s->retry[s->retry_head++];
        return true;
    }
    uint64_t due = schedule_due(&s->schedule);
    if (due > s->io->now || !issue(s, due, p)) return false;
    schedule_next(&s->schedule);
    return true;
}

void supply_dispatch(struct supply *s)
{
    struct pending p;
    while (!list_empty(&s->idle) && next_due(s, &p)) {
        /* One request each in turn. */
        struct pipeline *pipeline = container_of(list_pop(&s->idle), struct pipeline, link);
        pipeline_add(pipeline, &p, s->io);
        if (pipeline_has_room(pipeline)) list_push(&s->idle, &pipeline->link);
    }
    bool waits = !list_empty(&s->idle) && is_sending(s) && !issued_all(s);
    s->io->alarm = waits ? schedule_due(&s->schedule) : WHEEL_NEVER;
}

void supply_fill(struct supply *s, struct pipeline *p)
{
    struct pending next;
    if (!record_open_loop(s->record)) {
        while (pipeline_has_room(p) && issue(s, 0, &next)) pipeline_add(p, &next, s->io);
        return;
    }
    if (list_empty(&p->link)) list_push(&s->idle, &p->link);
    if (has_retries(s) || schedule_due(&s->schedule) <= s->io->now)
        supply_dispatch(s);
    else if (s->io->alarm == WHEEL_NEVER && is_sending(s))
        s->io->alarm = schedule_due(&s->schedule);
}

/* ---- retries ---- */

/* They are bounded by what all connections can have in flight: no new request is issued while there
 * are any. */
static bool retry_later(struct supply *s, const struct pending *p)
{
    if (s->retry_tail == s->retry_cap) {
        uint32_t n = s->retry_tail - s->retry_head, cap = n < 32 ? 64 : 2 * n;
        struct pending *more = calloc(cap, sizeof *more);
        if (!more) return false;
        if (n) memcpy(more, s->retry + s->retry_head, n * sizeof *more);
        free(s->retry);
        s->retry = more;
        s->retry_head = 0;
        s->retry_tail = n;
        s->retry_cap = cap;
    }
    s->retry[s->retry_tail++] = *p;
    if (!list_empty(&s->idle)) s->io->alarm = s->io->now; /* an idle connection can send it */
    return true;
}

void supply_return(struct supply *s, const struct pending *p)
{
    struct record *r = s->record;
    bool retry = record_open_loop(r) && (is_sending(s) || (r->phase == PHASE_DRAIN && p->counted));
    if (retry && retry_later(s, p)) return;
    if (p->counted) counter_set(&r->counts.issued, r->counts.issued - 1);
}

/* ---- phases ---- */

static void start_schedule(struct supply *s)
{
    const struct plan *p = s->plan;
    schedule_start(&s->schedule, p->rate / p->n_cores, p->poisson,
                   (p->seed + 1) * 0x9E3779B97F4A7C15 ^ s->core, (double)s->core / p->n_cores,
                   s->io->now);
    if (record_open_loop(s->record)) s->io->alarm = schedule_due(&s->schedule);
}

void supply_enter(struct supply *s, enum phase phase)
{
    struct record *r = s->record;
    enum phase before = r->phase;
    if (phase >= PHASE_DRAIN && record_open_loop(r))
        supply_dispatch(s); /* what is due by now was due in time */
    r->phase = phase;
    if (phase == PHASE_WARM || (phase == PHASE_MEASURE && before == PHASE_CONNECT))
        start_schedule(s);
    /* An open loop issues by the time of the turn; a closed one counts replies until right now. */
    uint64_t now = record_open_loop(r) ? s->io->now : clock_ns();
    if (phase == PHASE_MEASURE) s->measure_from = now;
    if (phase >= PHASE_DRAIN && s->measure_from && !s->measure_to) {
        s->measure_to = now;
        s->io->alarm = WHEEL_NEVER;
    }
    if (phase >= PHASE_DRAIN) counter_set(&r->counts.draining, 1);
}

/* ---- unsent requests ---- */

static void count_one(struct supply *s, uint64_t due)
{
    s->unsent++;
    histogram_add(s->record->corrected, s->measure_to - due);
}

/* As if at equal intervals: a rate that no machine can send leaves too many to count one by one. */
static void count_many(struct supply *s, uint64_t n)
{
    struct schedule *t = &s->schedule;
    double longest = (double)(s->measure_to - schedule_due(t)),
           least = longest - (double)(n - 1) * t->mean;
    histogram_add_even(s->record->corrected, least > 0 ? least : 0, t->mean, n);
    s->unsent += n;
    schedule_skip(t, s->measure_to);
}

/* Their latency is at least the time from when they were due to the end of the measurement. */
void supply_count_unsent(struct supply *s)
{
    struct schedule *t = &s->schedule;
    if (!record_open_loop(s->record) || s->plan->count) return;
    for (; has_retries(s); s->retry_head++)
        if (s->retry[s->retry_head].counted) count_one(s, s->retry[s->retry_head].intended);
    if (schedule_left(t, s->measure_from) > MANY) schedule_skip(t, s->measure_from);
    while (schedule_due(t) < s->measure_from) schedule_next(t);
    uint64_t n = schedule_left(t, s->measure_to);
    if (n > MANY) count_many(s, n);
    for (uint64_t due; (due = schedule_due(t)) < s->measure_to; schedule_next(t)) count_one(s, due);
}
