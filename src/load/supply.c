#include "load/supply.h"

enum { MANY = 1 << 20 }; /* unsent requests: more than these are not counted one by one */

void supply_init(struct supply *s, struct record *record, struct io *io, uint32_t core)
{
    *s = (struct supply){.plan = record->plan, .record = record, .io = io, .core = core};
    list_init(&s->idle);
}

void supply_free(struct supply *s)
{
    queue_free(&s->returned);
    queue_free(&s->retries);
}

/* ---- issuing ---- */

static bool is_sending(const struct supply *s)
{
    return s->record->phase == PHASE_WARM || s->record->phase == PHASE_MEASURE;
}

static bool has_retries(const struct supply *s)
{
    return !queue_empty(&s->returned) || !queue_empty(&s->retries);
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

/* When the next new request is due, and the next retry; WHEEL_NEVER where there is none. */
static uint64_t new_due(const struct supply *s)
{
    return is_sending(s) && !issued_all(s) ? schedule_due(&s->schedule) : WHEEL_NEVER;
}

static uint64_t retry_due(const struct supply *s)
{
    return queue_empty(&s->retries) ? WHEEL_NEVER : queue_oldest(&s->retries)->sent;
}

/* When an open loop has something to send; 0: now. */
static uint64_t next_at(const struct supply *s)
{
    uint64_t fresh = new_due(s), retry = retry_due(s);
    if (!queue_empty(&s->returned)) return 0;
    return retry < fresh ? retry : fresh;
}

static struct pending next_retry(struct supply *s)
{
    struct pending p = queue_pop(&s->retries);
    if (p.counted) counter_add(&s->record->counts.retries, 1);
    return p;
}

/* The next request of an open loop; false where none is due. */
static bool next_due(struct supply *s, struct pending *p)
{
    uint64_t due = next_at(s);
    if (due > s->io->now) return false;
    if (!queue_empty(&s->returned)) {
        *p = queue_pop(&s->returned);
    } else if (retry_due(s) == due) {
        *p = next_retry(s);
    } else {
        issue(s, due, p);
        schedule_next(&s->schedule);
    }
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
    s->io->alarm = list_empty(&s->idle) ? WHEEL_NEVER : next_at(s);
}

void supply_fill(struct supply *s, struct pipeline *p)
{
    struct pending next;
    if (!record_open_loop(s->record)) {
        while (pipeline_has_room(p) && issue(s, 0, &next)) pipeline_add(p, &next, s->io);
        return;
    }
    if (list_empty(&p->link)) list_push(&s->idle, &p->link);
    uint64_t at = next_at(s);
    if (at <= s->io->now)
        supply_dispatch(s);
    else if (at < s->io->alarm)
        s->io->alarm = at;
}

/* ---- requests that are sent again ---- */

/* Whether an open loop would still send it. */
static bool is_wanted(const struct supply *s, const struct pending *p)
{
    const struct record *r = s->record;
    return record_open_loop(r) && (is_sending(s) || (r->phase == PHASE_DRAIN && p->counted));
}

/* An idle connection can send it. */
static void wake_at(struct supply *s, uint64_t at)
{
    if (!list_empty(&s->idle) && at < s->io->alarm) s->io->alarm = at;
}

/* Those that were returned are bounded by what all connections can have in flight: no new request
 * is issued while there are any. */
void supply_return(struct supply *s, const struct pending *p)
{
    struct record *r = s->record;
    if (is_wanted(s, p) && queue_push(&s->returned, p))
        wake_at(s, s->io->now);
    else if (p->counted)
        counter_set(&r->counts.issued, r->counts.issued - 1);
}

/* The pause is the same for all, so the first to give up is the first to try again. */
bool supply_retry(struct supply *s, const struct pending *p)
{
    struct pending again = *p;
    if (p->retries == s->plan->retries) return false;
    again.retries++;
    again.sent = s->io->now + s->plan->retry_pause;
    if (!queue_push(&s->retries, &again)) return false;
    wake_at(s, again.sent);
    return true;
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
    if (phase == PHASE_MEASURE) {
        s->measure_from = now;
        s->late = s->io->late;
    }
    if (phase >= PHASE_DRAIN && s->measure_from && !s->measure_to) {
        s->measure_to = now;
        s->late = s->io->late - s->late;
        s->io->alarm = list_empty(&s->idle) ? WHEEL_NEVER : next_at(s);
    }
    if (phase >= PHASE_DRAIN) counter_set(&r->counts.draining, 1);
}

/* ---- requests without a reply ---- */

/* At least: until the end of the measurement. */
static uint64_t waited(const struct supply *s, uint64_t due)
{
    return s->measure_to > due ? s->measure_to - due : 0;
}

static void count_one(struct supply *s, uint64_t due)
{
    s->unsent++;
    histogram_add(s->record->corrected, waited(s, due));
}

/* In a closed loop over a time every request is, once it measures. */
static bool is_measured(const struct supply *s, const struct pending *p)
{
    return record_counts_all(s->record) ? s->measure_from > 0 : p->counted;
}

void supply_abandon(struct supply *s, const struct pending *p, bool sent)
{
    struct load_counts *counts = &s->record->counts;
    uint64_t *attempts = p->retries ? &counts->retries : &counts->issued;
    bool open = record_open_loop(s->record);
    if (!is_measured(s, p)) return;
    if (!sent) counter_set(attempts, *attempts - 1);
    if (sent || p->retries) {
        s->unanswered++;
        if (open) histogram_add(s->record->corrected, waited(s, p->intended));
    } else if (open) {
        count_one(s, p->intended);
    }
}

static void abandon_queue(struct supply *s, struct queue *q, bool sent)
{
    while (!queue_empty(q)) {
        struct pending p = queue_pop(q);
        supply_abandon(s, &p, sent);
    }
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

/* How many requests of the count nobody has asked for yet. */
static uint64_t left_of_count(const struct supply *s)
{
    const struct record *r = s->record;
    return s->plan->count ? r->share - r->counts.issued - s->unsent : UINT64_MAX;
}

void supply_count_left(struct supply *s)
{
    struct schedule *t = &s->schedule;
    if (!record_open_loop(s->record)) return;
    abandon_queue(s, &s->returned, false);
    abandon_queue(s, &s->retries, true);
    if (schedule_left(t, s->measure_from) > MANY) schedule_skip(t, s->measure_from);
    while (schedule_due(t) < s->measure_from) schedule_next(t);
    uint64_t left = left_of_count(s), due = schedule_left(t, s->measure_to);
    uint64_t n = due < left ? due : left;
    if (n > MANY) {
        count_many(s, n);
        left -= n;
    }
    for (; left && (due = schedule_due(t)) < s->measure_to; left--, schedule_next(t))
        count_one(s, due);
}
