#include "load/run.h"

#include "base/limit.h"
#include "load/address.h"
#include "load/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_START = 1, EXIT_ENGINE = 3 };

#define INTERVAL_NS (100 * NS_PER_MS)

/* ---- the cores ---- */

static uint64_t sum(const struct run *r, size_t offset)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        const struct load_counts *counts = &r->cores[i].context.record.counts;
        n += counter_get((const uint64_t *)((const char *)counts + offset));
    }
    return n;
}

#define SUM(field) sum(r, offsetof(struct load_counts, field))

static void command(struct run *r, enum phase phase)
{
    for (uint32_t i = 0; i < r->plan->n_cores; i++) load_core_command(&r->cores[i], phase);
}

static struct run_delay cores_run_delay(const struct run *r)
{
    struct run_delay sum = {0};
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        int tid = atomic_load(&r->cores[i].tid);
        if (tid) run_delay_add_thread(&sum, tid);
    }
    return sum;
}

static uint64_t cores_cpu(const struct run *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->plan->n_cores; i++) sum += watch_thread(r->cores[i].thread);
    return sum;
}

static bool has_failed(const struct run *r)
{
    for (uint32_t i = 0; i < r->plan->n_cores; i++)
        if (atomic_load(&r->cores[i].failed)) return true;
    return false;
}

static bool is_broken(const struct run *r)
{
    for (uint32_t i = 0; i < r->plan->n_cores; i++)
        if (atomic_load(&r->cores[i].broken)) return true;
    return false;
}

/* Sleeps until `until` (ns), or until a core completes its share or breaks, or a signal
 * comes. */
static void wait_until(struct run *r, uint64_t until)
{
    struct pollfd fds[] = {{r->signal_fd, POLLIN, 0}, {r->completed_fd, POLLIN, 0}};
    uint64_t now = clock_ns(), left = until > now ? until - now : 0;
    struct timespec ts = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
    int n = ppoll(fds, 2, &ts, NULL);
    if (is_broken(r) || has_failed(r)) r->over = true;
    if (n <= 0) return;
    uint64_t count;
    struct signalfd_siginfo info;
    if (fds[0].revents && read(r->signal_fd, &info, sizeof info) == sizeof info)
        r->interrupted = r->over = true;
    if (fds[1].revents && read(r->completed_fd, &count, sizeof count) < 0) return;
}

/* ---- progress ---- */

/* What was last reported, and when. */
struct progress {
    uint64_t start, at; /* ns */
    uint64_t answered;
};

/* A line a second; on a terminal each replaces the one before. */
static void report_progress(const struct run *r, struct progress *p, const struct interval *now)
{
    bool terminal = isatty(STDERR_FILENO);
    uint64_t since = now->wall_ns - p->at, replies = now->answered - p->answered, errors = 0;
    if (r->plan->quiet || since < NS_PER_S) return;
    for (int e = 0; e < LOAD_ERRORS; e++) errors += SUM(errors[e]);
    fprintf(stderr, "%s%u s, %" PRIu64 " replies/s, %" PRIu64 " errors%s",
            terminal ? "\r\033[K" : "", (unsigned)((now->wall_ns - p->start) / NS_PER_S),
            (uint64_t)(replies * NS_PER_S / since), errors, terminal ? "" : "\n");
    p->at = now->wall_ns;
    p->answered = now->answered;
}

static void clear_progress(const struct run *r)
{
    if (!r->plan->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

/* ---- measuring ---- */

/* Totals since the start of the run. */
static struct interval read_totals(struct run *r)
{
    return (struct interval){
        .attempts = SUM(issued) + SUM(retries),
        .answered = SUM(answered),
        .cpu_ns = watch_read(&r->watch),
        .wall_ns = clock_ns(),
    };
}

static bool completed_all(const struct run *r)
{
    return r->plan->count && SUM(completed) >= r->plan->count;
}

/* When the counts were last seen to change, and when they were last looked at. */
struct stall {
    uint64_t since, seen, at;
};

/* The time for which this program stood still, as it does with its machine, is not the server's. */
static void leave_out_stop(struct stall *s, uint64_t now)
{
    uint64_t step = now - s->at;
    if (step > 2 * INTERVAL_NS) s->since += step - INTERVAL_NS;
    s->at = now;
}

/* A run of a number of requests ends, too, when nothing happens any more: each attempt ends in
 * time, so only without connections to send by. */
static bool is_stalled(const struct run *r, struct stall *s, uint64_t now)
{
    const struct plan *p = r->plan;
    uint64_t seen = SUM(completed) + SUM(total) + SUM(issued) + SUM(retries);
    /* The longest time between two requests of a core; one gap in 10^8 of a Poisson process is
     * longer. */
    double gap = p->rate > 0 ? p->n_cores / p->rate * (p->poisson ? 20 : 1) : 0;
    leave_out_stop(s, now);
    if (seen != s->seen || !p->count) *s = (struct stall){now, seen, now};
    return now - s->since > plan_longest_wait(p) + NS_PER_S + (uint64_t)(gap * 1e9);
}

/* Until the duration is over, all requests are completed, or nothing more is to be expected. The
 * totals at the end. */
static struct interval measure_intervals(struct run *r, struct interval first)
{
    uint64_t start = first.wall_ns, next = start + INTERVAL_NS,
             end = r->plan->count ? WHEEL_NEVER : start + r->plan->duration;
    struct interval last = first, now = first;
    struct progress progress = {start, start, 0};
    struct stall stall = {start, 0, start};
    uint32_t ticks = 0; /* since `last` */
    do {                /* all may have been completed by now */
        wait_until(r, next < end ? next : end);
        now = read_totals(r);
        if (now.wall_ns < next && now.wall_ns < end) continue;
        if (++ticks >= r->intervals.ticks) {
            intervals_add(&r->intervals, &last, &now);
            last = now;
            ticks = 0;
        }
        while (next <= now.wall_ns) next += INTERVAL_NS;
        if (is_stalled(r, &stall, now.wall_ns)) break;
        report_progress(r, &progress, &now);
    } while (now.wall_ns < end && !completed_all(r) && !r->over);
    if (now.wall_ns > last.wall_ns) intervals_add(&r->intervals, &last, &now);
    return now;
}

/* What is known of this process at some time. */
struct reading {
    uint64_t from, to; /* ns; when it was read */
    uint64_t replies;
    uint64_t cores_ns, user_ns, system_ns;
};

static struct reading read_own(const struct run *r)
{
    struct reading now = {.from = clock_ns(), .replies = SUM(total), .cores_ns = cores_cpu(r)};
    /* After the cores' clocks: reading these brings that of the process up to date. */
    watch_self(&now.user_ns, &now.system_ns);
    now.to = clock_ns();
    return now;
}

static void take_own(struct run *r, const struct reading *from, const struct reading *to)
{
    r->cpu_wall_ns = to->to - from->from;
    r->cpu_replies = to->replies - from->replies;
    r->cores_ns = to->cores_ns > from->cores_ns ? to->cores_ns - from->cores_ns : 0;
    r->user_ns = to->user_ns - from->user_ns;
    r->system_ns = to->system_ns - from->system_ns;
}

static void measure(struct run *r)
{
    struct run_delay own = cores_run_delay(r), watched = watch_run_delay(&r->watch), now;
    struct interval first = read_totals(r);
    struct reading before = read_own(r), after;
    command(r, PHASE_MEASURE); /* after all readings: replies may come at once */
    struct interval last = measure_intervals(r, first);
    after = read_own(r);
    command(r, PHASE_DRAIN); /* what follows takes time */
    now = cores_run_delay(r);
    r->run_delay = run_delay_since(&own, &now);
    now = watch_run_delay(&r->watch);
    r->watched_run_delay = run_delay_since(&watched, &now);
    clear_progress(r);
    r->started_at = first.wall_ns;
    r->wall_ns = last.wall_ns - first.wall_ns;
    r->watched_ns = last.cpu_ns - first.cpu_ns;
    take_own(r, &before, &after);
}

/* ---- the phases ---- */

/* Until every connection has been attempted. */
static void wait_connected(struct run *r)
{
    while (SUM(connecting_done) < r->plan->connections && !r->over)
        wait_until(r, clock_ns() + 2 * NS_PER_MS);
}

/* Every request in flight gets its reply or times out, by the timers of its client; one second more
 * is for a slow machine. */
static void drain(struct run *r)
{
    uint64_t longest = plan_longest_wait(r->plan) + NS_PER_S, now = clock_ns();
    struct stall wait = {.since = now, .at = now};
    command(r, PHASE_DRAIN);
    while (now - wait.since < longest && !r->over &&
           (SUM(draining) < r->plan->n_cores || SUM(completed) < SUM(issued))) {
        wait_until(r, now + NS_PER_MS);
        now = clock_ns();
        leave_out_stop(&wait, now);
    }
    command(r, PHASE_END);
}

static void run_phases(struct run *r)
{
    const struct plan *p = r->plan;
    if (p->ramp) {
        wait_until(r, clock_ns() + p->ramp);
    } else {
        wait_connected(r);
        if (SUM(connects) == 0) r->over = true; /* there is no server */
    }
    if (!r->over && p->warmup) {
        command(r, PHASE_WARM);
        wait_until(r, clock_ns() + p->warmup);
    }
    if (!r->over) measure(r);
    drain(r);
}

/* ---- before and after ---- */

static void print_notice(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "torc-load: %s\n", line);
}

static int choose_engine(struct run *r, struct plan *p)
{
    p->io.rings = p->n_cores;
    int err;
    r->engine = io_choose(p->engine, &p->io, print_notice, NULL, &err);
    return r->engine ? 0 : EXIT_ENGINE;
}

/* Each connection is a descriptor. */
static int raise_descriptor_limit(const struct plan *p)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= UINT64_C(64) + p->connections + 4 * p->n_cores + p->n_watched) return 0;
    fprintf(stderr,
            "torc-load: --connections %u%s needs a descriptor limit of more than %" PRIu64
            " (raise it, ulimit -n)\n",
            p->connections, p->n_watched ? " with --watch" : "", (uint64_t)limit.rlim_cur);
    return EXIT_START;
}

static int start_cores(struct run *r)
{
    const struct plan *p = r->plan;
    size_t size = (p->n_cores * sizeof *r->cores + 63) & ~(size_t)63;
    r->signal_fd = signals_open();
    r->completed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->cores = aligned_alloc(64, size);
    if (!intervals_init(&r->intervals) || !r->cores || r->signal_fd < 0 || r->completed_fd < 0) {
        fputs("torc-load: out of memory or descriptors\n", stderr);
        return EXIT_START;
    }
    memset(r->cores, 0, size);
    for (uint32_t i = 0; i < p->n_cores; i++) {
        int err = load_core_start(&r->cores[i], p, r->engine, i, r->completed_fd);
        if (err < 0) {
            fprintf(stderr, "torc-load: core %u cannot start: %s%s\n", i, strerror(-err),
                    limit_of_thread(-err));
            return EXIT_START;
        }
    }
    return 0;
}

static void add_fields(void *to, const void *from, size_t size)
{
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < size / sizeof *t; i++) t[i] += f[i];
}

/* The sample of all cores is the earliest. */
static void keep_earliest(struct error_sample *to, const struct error_sample *other)
{
    if (other->at && (!to->at || other->at < to->at)) *to = *other;
}

static void add_core(struct run *r, const struct load_core *c)
{
    const struct record *record = &c->context.record;
    add_fields(&r->counts, &record->counts, sizeof r->counts);
    add_fields(&r->io, &c->context.io.stats, sizeof r->io);
    histogram_merge(&r->raw, record->raw);
    histogram_merge(&r->corrected, record->corrected);
    for (int e = 0; e < LOAD_ERRORS; e++) keep_earliest(&r->sample[e], &record->sample[e]);
    r->unsent += c->context.supply.unsent;
    r->unanswered += c->context.supply.unanswered;
    r->late_ns += c->context.supply.late;
    if (record->connect_error) r->connect_error = record->connect_error;
}

/* A number of requests took until the last one was completed, which is before the main thread was
 * woken for it. */
static void end_with_last_reply(struct run *r)
{
    uint64_t ended = r->started_at;
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        const struct record *record = &r->cores[i].context.record;
        if (record->share && !record->completed_at) return;
        if (record->completed_at > ended) ended = record->completed_at;
    }
    if (ended > r->started_at && ended < r->started_at + r->wall_ns)
        r->wall_ns = ended - r->started_at;
}

/* Over a time, each core measured from when it learned of the beginning until it learned of the
 * end, which a core that is busy does late: as long as their mean. */
static void measured_as_long_as_cores(struct run *r)
{
    uint64_t sum = 0, n = 0;
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        const struct supply *s = &r->cores[i].context.supply;
        if (s->measure_to <= s->measure_from) continue; /* it slept through all of it */
        sum += s->measure_to - s->measure_from;
        n++;
    }
    if (n) r->wall_ns = sum / n;
}

static int collect(struct run *r)
{
    int status = 0;
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        struct load_core *c = &r->cores[i];
        load_core_join(c);
        if (c->error < 0) {
            char why[512];
            io_explain(&c->context.io, c->error, why, sizeof why);
            fprintf(stderr, "torc-load: core %u cannot start its %s engine: %s\n", i,
                    io_engine_name(r->engine), why);
            status = EXIT_START;
        }
        add_core(r, c);
        load_core_free(c);
    }
    if (r->plan->count)
        end_with_last_reply(r);
    else
        measured_as_long_as_cores(r);
    if (r->plan->rate == 0) r->corrected = r->raw;
    free(r->cores);
    r->cores = NULL;
    return status;
}

int run_plan(struct run *r, const struct plan *plan)
{
    static struct plan own; /* with the features of this kernel, and one address */
    own = *plan;
    memset(r, 0, sizeof *r);
    r->plan = &own;
    int status = choose_engine(r, &own);
    if (status == 0) status = raise_descriptor_limit(&own);
    if (status == 0 && watch_open(&r->watch, &own) < 0) status = EXIT_START;
    if (status) return status;
    own.addr = *address_choose(own.addrs, own.n_addrs, own.timeout);
    status = start_cores(r);
    if (status) return status; /* the process ends, and the cores with it */
    run_phases(r);
    if (is_broken(r)) {
        for (uint32_t i = 0; i < own.n_cores; i++) pthread_detach(r->cores[i].thread);
        return EXIT_START; /* as above; what the kernel still holds cannot be freed */
    }
    status = collect(r);
    signals_close(r->signal_fd);
    close(r->completed_fd);
    watch_close(&r->watch);
    return status;
}
