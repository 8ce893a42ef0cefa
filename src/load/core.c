#include "load/core.h"

#include "load/client.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

const char *const load_error_names[LOAD_ERRORS] = {
    [ERROR_CONNECT] = "connect", [ERROR_RESET] = "reset",     [ERROR_TIMEOUT] = "timeout",
    [ERROR_STATUS] = "status",   [ERROR_FRAMING] = "framing", [ERROR_BODY] = "body",
};

enum { MANY = 1 << 20 }; /* requests unsent, that are not worth going through one by one */

/* ---- requests ---- */

static bool is_open_loop(const struct load_core *c)
{
    return c->plan->rate > 0;
}

static bool is_asking(const struct load_core *c)
{
    return c->phase == PHASE_WARM || c->phase == PHASE_MEASURE;
}

static bool owes(const struct load_core *c)
{
    return c->owed_head != c->owed_tail;
}

bool load_core_connects(const struct load_core *c)
{
    return c->phase < PHASE_DRAIN || (c->phase == PHASE_DRAIN && owes(c));
}

static bool issued_all(const struct load_core *c)
{
    return c->plan->count && c->phase == PHASE_MEASURE && c->counts.issued == c->share;
}

/* In closed loop over a time no request is more to the point than another: what was asked before is
 * answered within it, or its reply is missed. */
static bool counts_all(const struct load_core *c)
{
    return !is_open_loop(c) && !c->plan->count;
}

/* A new request, due at `intended` (0: as it is sent); false where there are enough. */
static bool issue(struct load_core *c, uint64_t intended, struct pending *p)
{
    if (!is_asking(c) || issued_all(c)) return false;
    bool counted =
        counts_all(c) || (c->phase == PHASE_MEASURE && (!intended || intended >= c->measure_from));
    if (counted) counter_add(&c->counts.issued, 1);
    *p = (struct pending){.intended = intended, .request = c->next_request, .counted = counted};
    if (++c->next_request == c->plan->n_requests) c->next_request = 0;
    return true;
}

/* What an open loop asks next; false where nothing is due. */
static bool next_due(struct load_core *c, struct pending *p)
{
    if (owes(c)) {
        *p = c->owed[c->owed_head++];
        return true;
    }
    uint64_t due = schedule_due(&c->schedule);
    if (due > c->io.now || !issue(c, due, p)) return false;
    schedule_next(&c->schedule);
    return true;
}

/* One request for each connection in turn; a client stays in the list while it has room for
 * more. */
static void dispatch(struct load_core *c)
{
    while (!list_empty(&c->idle)) {
        struct client *client = container_of(list_pop(&c->idle), struct client, link);
        struct pending p;
        if (!client_has_room(client)) continue; /* the server has said meanwhile that it closes */
        if (!next_due(c, &p)) {
            list_push_front(&c->idle, &client->link);
            break;
        }
        client_take(client, &p);
        if (client_has_room(client)) list_push(&c->idle, &client->link);
    }
    bool waits = !list_empty(&c->idle) && is_asking(c) && !issued_all(c);
    c->io.alarm = waits ? schedule_due(&c->schedule) : WHEEL_NEVER;
}

static void on_alarm(struct io *io)
{
    dispatch(io->user);
}

void load_core_has_room(struct load_core *c, struct client *client)
{
    struct pending p;
    if (!is_open_loop(c)) {
        while (client_has_room(client) && issue(c, 0, &p)) client_take(client, &p);
        return;
    }
    if (list_empty(&client->link)) list_push(&c->idle, &client->link);
    if (owes(c) || schedule_due(&c->schedule) <= c->io.now)
        dispatch(c);
    else if (c->io.alarm == WHEEL_NEVER && is_asking(c))
        c->io.alarm = schedule_due(&c->schedule);
}

/* Never more than fit on all connections: nothing new is issued while there are any. */
static bool owe(struct load_core *c, const struct pending *p)
{
    if (c->owed_tail == c->owed_cap) {
        uint32_t n = c->owed_tail - c->owed_head, cap = n < 32 ? 64 : 2 * n;
        struct pending *more = calloc(cap, sizeof *more);
        if (!more) return false;
        if (n) memcpy(more, c->owed + c->owed_head, n * sizeof *more);
        free(c->owed);
        c->owed = more;
        c->owed_head = 0;
        c->owed_tail = n;
        c->owed_cap = cap;
    }
    c->owed[c->owed_tail++] = *p;
    if (!list_empty(&c->idle)) c->io.alarm = c->io.now; /* others take them on */
    return true;
}

static void settled(struct load_core *c)
{
    counter_add(&c->counts.settled, 1);
    if (c->plan->count && c->counts.settled == c->share) c->on_settled(c);
}

bool load_core_measures(const struct load_core *c, bool counted)
{
    return counts_all(c) ? c->phase == PHASE_MEASURE : counted;
}

void load_core_good(struct load_core *c, uint64_t intended, uint64_t sent, uint64_t now,
                    bool counted)
{
    counter_add(&c->counts.total, 1);
    if (c->phase == PHASE_MEASURE) counter_add(&c->counts.answered, 1);
    if (load_core_measures(c, counted)) {
        counter_add(&c->counts.replies, 1);
        histogram_add(c->raw, now - sent);
        if (is_open_loop(c)) histogram_add(c->corrected, now > intended ? now - intended : 0);
    }
    if (counted) settled(c);
}

void load_core_bad(struct load_core *c, enum load_error why, const struct pending *p)
{
    bool measured = p ? load_core_measures(c, p->counted) : c->phase == PHASE_MEASURE;
    counter_add(&c->counts.errors[why], 1);
    if (measured) counter_add(&c->counts.errors_measured[why], 1);
    if (p && p->counted) settled(c);
}

void load_core_return(struct load_core *c, const struct pending *p)
{
    bool again = is_open_loop(c) && (is_asking(c) || (c->phase == PHASE_DRAIN && p->counted));
    if (again && owe(c, p)) return;
    if (p->counted) counter_set(&c->counts.issued, c->counts.issued - 1);
}

/* ---- phases ---- */

static void touch_all(struct load_core *c)
{
    for (uint32_t i = 0; i < c->n_clients; i++)
        if (c->clients[i].state == CLIENT_OPEN) client_touch(&c->clients[i]);
}

/* Spread over the ramp; without one all at once. */
static void open_more(struct load_core *c)
{
    uint64_t ramp = c->plan->ramp, since = c->io.now - c->schedule.start;
    uint64_t want = ramp && since < ramp ? (uint64_t)c->n_clients * since / ramp + 1 : c->n_clients;
    while (c->started < c->n_clients && c->started < want)
        client_connect(&c->clients[c->started++]);
    if (c->started < c->n_clients)
        wheel_set(&c->io.wheel, &c->ramp, c->io.now + ramp / c->n_clients);
}

static void on_ramp(struct wheel_timer *t)
{
    struct load_core *c = container_of(t, struct load_core, ramp);
    if (c->phase < PHASE_DRAIN) open_more(c);
}

static void count_one_unsent(struct load_core *c, uint64_t due)
{
    c->unsent++;
    histogram_add(c->corrected, c->measure_to - due);
}

/* As if at equal distances: a rate that no machine can send leaves more than can be gone
 * through. */
static void count_many_unsent(struct load_core *c, uint64_t n)
{
    struct schedule *s = &c->schedule;
    double longest = (double)(c->measure_to - schedule_due(s)),
           least = longest - (double)(n - 1) * s->mean;
    histogram_add_even(c->corrected, least > 0 ? least : 0, s->mean, n);
    c->unsent += n;
    schedule_skip(s, c->measure_to);
}

/* What was due while measuring and found no connection has waited until now at least. */
static void count_unsent(struct load_core *c)
{
    struct schedule *s = &c->schedule;
    if (!is_open_loop(c) || c->plan->count) return;
    for (; owes(c); c->owed_head++)
        if (c->owed[c->owed_head].counted) count_one_unsent(c, c->owed[c->owed_head].intended);
    if (schedule_left(s, c->measure_from) > MANY) schedule_skip(s, c->measure_from);
    while (schedule_due(s) < c->measure_from) schedule_next(s);
    uint64_t n = schedule_left(s, c->measure_to);
    if (n > MANY) count_many_unsent(c, n);
    for (uint64_t due; (due = schedule_due(s)) < c->measure_to; schedule_next(s))
        count_one_unsent(c, due);
}

static void start_schedule(struct load_core *c, uint64_t now)
{
    const struct plan *p = c->plan;
    schedule_start(&c->schedule, p->rate / p->n_cores, p->poisson,
                   (p->seed + 1) * 0x9E3779B97F4A7C15 ^ c->index, (double)c->index / p->n_cores,
                   now);
    if (is_open_loop(c)) c->io.alarm = schedule_due(&c->schedule);
}

static void enter(struct load_core *c, enum phase phase)
{
    uint64_t now = c->io.now;
    enum phase before = c->phase;
    if (phase >= PHASE_DRAIN && is_open_loop(c))
        dispatch(c); /* what is due by now was due in time */
    c->phase = phase;
    if (phase == PHASE_WARM || (phase == PHASE_MEASURE && before == PHASE_CONNECT))
        start_schedule(c, now);
    if (phase == PHASE_MEASURE) c->measure_from = now;
    if (phase >= PHASE_DRAIN && c->measure_from && !c->measure_to) {
        c->measure_to = now;
        c->io.alarm = WHEEL_NEVER;
    }
    if (phase >= PHASE_DRAIN) counter_set(&c->counts.draining, 1);
    if (phase == PHASE_END)
        for (uint32_t i = 0; i < c->started; i++) {
            wheel_clear(&c->io.wheel, &c->clients[i].timer);
            client_close(&c->clients[i]);
        }
    else
        touch_all(c);
}

static void on_wake(struct io *io)
{
    struct load_core *c = io->user;
    enum phase order = (enum phase)atomic_load(&c->order);
    while (c->phase < order) {
        /* A phase that was passed while this core slept is not to be entered for nothing. */
        enum phase next = c->phase < PHASE_DRAIN && order >= PHASE_DRAIN ? PHASE_DRAIN : order;
        enter(c, next);
    }
}

/* ---- the thread ---- */

static void prepare_thread(struct load_core *c)
{
    char name[16];
    cpu_set_t set;
    snprintf(name, sizeof name, "torc-load-%u", c->index);
    pthread_setname_np(pthread_self(), name);
    atomic_store(&c->tid, gettid());
    /* Sleeps end when they are due and not up to 50 us later (PR_SET_TIMERSLACK(2const)). */
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (!c->plan->pin) return;
    CPU_ZERO(&set);
    CPU_SET(c->plan->cpu[c->index], &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static bool over(const struct load_core *c)
{
    return c->phase == PHASE_END && c->open == 0 && io_idle(&c->io);
}

static void *run(void *arg)
{
    struct load_core *c = arg;
    struct io_config config = c->plan->io;
    prepare_thread(c);
    config.wake_fd = c->wake_fd;
    c->error = io_open(&c->io, c->engine, &config);
    if (c->error < 0) {
        counter_set(&c->counts.connecting_done, c->n_clients);
        return NULL;
    }
    c->io.user = c;
    c->io.on_wake = on_wake;
    c->io.on_alarm = on_alarm;
    wheel_timer_init(&c->ramp, on_ramp);
    list_init(&c->idle);
    c->schedule.start = c->io.now;
    if (c->plan->ramp) c->phase = PHASE_WARM, start_schedule(c, c->io.now);
    open_more(c);
    on_wake(&c->io);
    while (!over(c)) io_turn(&c->io);
    count_unsent(c); /* last: replies are not to wait for it */
    wheel_clear(&c->io.wheel, &c->ramp);
    io_close(&c->io);
    return NULL;
}

static bool allocate(struct load_core *c)
{
    const struct plan *p = c->plan;
    c->clients = aligned_alloc(64, c->n_clients * sizeof *c->clients);
    c->differences = calloc(c->n_clients, sizeof *c->differences);
    c->samples = calloc(p->n_requests, sizeof *c->samples);
    c->corrected = calloc(1, sizeof *c->corrected);
    c->raw = calloc(1, sizeof *c->raw);
    c->filler = (struct filler){
        .random = (p->seed + c->index + 1) * 0x9E3779B97F4A7C15 | 1,
        .sequence = calloc(p->n_sequences + 1, sizeof(uint64_t)),
        .core = c->index,
        .cores = p->n_cores,
    };
    if (!c->clients || !c->differences || !c->samples || !c->corrected || !c->raw ||
        !c->filler.sequence)
        return false;
    memset(c->clients, 0, c->n_clients * sizeof *c->clients);
    for (uint32_t i = 0; i < c->n_clients; i++)
        if (!client_init(&c->clients[i], c)) return false;
    return true;
}

int load_core_start(struct load_core *c)
{
    if (!allocate(c)) return -ENOMEM;
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->wake_fd < 0) return -errno;
    return -pthread_create(&c->thread, NULL, run, c);
}

void load_core_order(struct load_core *c, enum phase phase)
{
    uint64_t one = 1;
    atomic_store(&c->order, phase);
    ssize_t n = write(c->wake_fd, &one, sizeof one);
    (void)n;
}

void load_core_join(struct load_core *c)
{
    if (c->thread) pthread_join(c->thread, NULL);
    close(c->wake_fd);
    for (uint32_t i = 0; c->clients && i < c->n_clients; i++) client_free(&c->clients[i]);
    for (uint32_t i = 0; c->samples && i < c->plan->n_requests; i++) free(c->samples[i].bytes);
    free(c->clients);
    free(c->differences);
    free(c->samples);
    free(c->owed);
    free(c->filler.sequence);
}
