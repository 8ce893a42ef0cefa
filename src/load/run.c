#include "load/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_START = 1, EXIT_ENGINE = 3 };

#define SLICE_NS (100 * NS_PER_MS)

/* ---- what the cores have come to ---- */

static uint64_t sum(const struct run *r, size_t offset)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->plan->n_cores; i++)
        n += counter_get((const uint64_t *)((const char *)&r->cores[i].counts + offset));
    return n;
}

#define SUM(field) sum(r, offsetof(struct load_counts, field))

static void order(struct run *r, enum phase phase)
{
    for (uint32_t i = 0; i < r->plan->n_cores; i++) load_core_order(&r->cores[i], phase);
}

static void on_settled(struct load_core *c)
{
    struct run *r = c->owner;
    uint64_t one = 1;
    ssize_t n = write(r->wake_fd, &one, sizeof one);
    (void)n;
}

/* Sleeps until `until` (ns), a core's news or a signal. */
static void doze(struct run *r, int signals, uint64_t until)
{
    struct pollfd fds[] = {{signals, POLLIN, 0}, {r->wake_fd, POLLIN, 0}};
    uint64_t now = clock_ns(), left = until > now ? until - now : 0;
    struct timespec ts = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
    if (ppoll(fds, 2, &ts, NULL) <= 0) return;
    uint64_t count;
    struct signalfd_siginfo info;
    if (fds[0].revents && read(signals, &info, sizeof info) == sizeof info) r->interrupted = true;
    if (fds[1].revents && read(r->wake_fd, &count, sizeof count) < 0) return;
}

/* ---- progress ---- */

static void progress(const struct run *r, const char *what, uint64_t rate)
{
    bool terminal = isatty(STDERR_FILENO);
    if (r->plan->quiet || !what) {
        if (terminal && !r->plan->quiet) fputs("\r\033[K", stderr);
        return;
    }
    uint64_t errors = 0;
    for (int e = 0; e < LOAD_ERRORS; e++) errors += SUM(errors[e]);
    fprintf(stderr, "%s%s, %" PRIu64 " replies/s, %" PRIu64 " errors%s", terminal ? "\r\033[K" : "",
            what, rate, errors, terminal ? "" : "\n");
}

/* ---- the phases ---- */

/* Until every connection has been tried once. */
static void wait_connected(struct run *r, int signals)
{
    while (SUM(connecting_done) < r->plan->connections && !r->interrupted)
        doze(r, signals, clock_ns() + 2 * NS_PER_MS);
}

static void add_slice(struct run *r, struct slice_of_run now, struct slice_of_run *last)
{
    if (r->n_slices == SLICES_MAX) return;
    r->slices[r->n_slices++] = (struct slice_of_run){
        now.requests - last->requests, now.cpu_ns - last->cpu_ns, now.wall_ns - last->wall_ns};
    *last = now;
}

static bool measured_all(const struct run *r)
{
    return r->plan->count && SUM(settled) >= r->plan->count;
}

/* A count that is never reached, as the server does not answer any more, ends all the same. */
static bool stuck(const struct run *r, uint64_t *seen, uint64_t *since, uint64_t now)
{
    const struct plan *p = r->plan;
    uint64_t come = SUM(settled) + SUM(total);
    /* Of a core's share of the rate; of a Poisson process one gap in 10^8 is longer. */
    double gap = p->rate > 0 ? p->n_cores / p->rate * (p->poisson ? 20 : 1) : 0;
    if (come != *seen || !p->count) {
        *seen = come;
        *since = now;
    }
    return now - *since > p->timeout + NS_PER_S + (uint64_t)(gap * 1e9);
}

static struct waited cores_waited(const struct run *r)
{
    struct waited sum = {0};
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        int tid = atomic_load(&r->cores[i].tid);
        if (tid) waited_add_thread(&sum, tid);
    }
    return sum;
}

static void measure(struct run *r, int signals)
{
    struct waited waited = cores_waited(r), watched = watch_waited(&r->watch), until;
    uint64_t start = clock_ns(), next = start + SLICE_NS, since = start, seen = 0, told = start;
    uint64_t end = r->plan->count ? WHEEL_NEVER : start + r->plan->duration, told_answered = 0;
    uint64_t user, system;
    struct slice_of_run last = {SUM(answered), watch_read(&r->watch), start}, first = last,
                        now = last;
    uint64_t in = SUM(bytes_in), out = SUM(bytes_out);
    watch_self(&user, &system);
    order(r, PHASE_MEASURE); /* only now, or what comes at once would be missed */
    while (now.wall_ns < end && !measured_all(r) && !r->interrupted) {
        doze(r, signals, next < end ? next : end);
        now = (struct slice_of_run){SUM(answered), watch_read(&r->watch), clock_ns()};
        if (now.wall_ns < next && now.wall_ns < end) continue;
        add_slice(r, now, &last);
        while (next <= now.wall_ns) next += SLICE_NS;
        if (stuck(r, &seen, &since, now.wall_ns)) break;
        if (now.wall_ns - told >= NS_PER_S) {
            char what[40];
            snprintf(what, sizeof what, "%u s", (unsigned)((now.wall_ns - start) / NS_PER_S));
            progress(r, what, (now.requests - told_answered) * NS_PER_S / (now.wall_ns - told));
            told = now.wall_ns;
            told_answered = now.requests;
        }
    }
    until = cores_waited(r);
    r->waited = waited_since(&waited, &until);
    until = watch_waited(&r->watch);
    r->watched_waited = waited_since(&watched, &until);
    progress(r, NULL, 0);
    r->wall_ns = now.wall_ns - start;
    r->watched_ns = now.cpu_ns - first.cpu_ns;
    watch_self(&r->user_ns, &r->system_ns);
    r->user_ns -= user;
    r->system_ns -= system;
    r->bytes_in = SUM(bytes_in) - in;
    r->bytes_out = SUM(bytes_out) - out;
}

/* Whoever is still owed a reply gets it, or finds it overdue: the clients' timers see to that, and
 * a second more is for a machine that is slow. */
static void drain(struct run *r, int signals)
{
    uint64_t until = clock_ns() + r->plan->timeout + NS_PER_S;
    order(r, PHASE_DRAIN);
    while (clock_ns() < until && !r->interrupted &&
           (SUM(draining) < r->plan->n_cores || SUM(settled) < SUM(issued)))
        doze(r, signals, clock_ns() + NS_PER_MS);
    order(r, PHASE_END);
}

static void run_phases(struct run *r, int signals)
{
    if (!r->plan->ramp) wait_connected(r, signals);
    if (SUM(connects) == 0 && !r->plan->ramp) r->interrupted = true; /* nobody is there */
    if (r->plan->ramp) doze(r, signals, clock_ns() + r->plan->ramp);
    if (!r->interrupted && r->plan->warmup) {
        order(r, PHASE_WARM);
        doze(r, signals, clock_ns() + r->plan->warmup);
    }
    if (!r->interrupted) measure(r, signals);
    drain(r, signals);
}

/* ---- before and after ---- */

static void say(const char *line)
{
    fprintf(stderr, "torc-load: %s\n", line);
}

static int choose_engine(struct run *r, struct plan *p)
{
    r->engine = io_choose(p->engine, &p->io, say);
    return r->engine ? 0 : EXIT_ENGINE;
}

static bool takes_connections(const struct sock_addr *a, uint64_t timeout)
{
    struct timespec ts = {(time_t)(timeout / NS_PER_S), (long)(timeout % NS_PER_S)};
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    struct pollfd p = {fd, POLLOUT, 0};
    int err = connect(fd, &a->sa, a->len) < 0 ? errno : 0;
    if (err == EINPROGRESS && ppoll(&p, 1, &ts, NULL) == 1) {
        socklen_t len = sizeof err;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    }
    close(fd);
    return err == 0;
}

void run_choose_address(struct plan *p)
{
    for (uint32_t i = 0; p->n_addrs > 1 && i < p->n_addrs; i++)
        if (takes_connections(&p->addrs[i], p->timeout)) {
            p->addr = p->addrs[i];
            return;
        }
}

/* Each connection is a descriptor. */
static int fit_descriptors(const struct plan *p)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= p->connections + 64 + 4 * p->n_cores) return 0;
    fprintf(stderr,
            "torc-load: --connections %u needs a descriptor limit of more than %" PRIu64
            " (raise it, ulimit -n)\n",
            p->connections, (uint64_t)limit.rlim_cur);
    return EXIT_START;
}

static uint64_t part(uint64_t n, uint32_t i, uint32_t parts)
{
    return n / parts + (i < n % parts);
}

static int start_cores(struct run *r)
{
    const struct plan *p = r->plan;
    for (uint32_t i = 0; i < p->n_cores; i++) {
        struct load_core *c = &r->cores[i];
        c->plan = p;
        c->engine = r->engine;
        c->index = i;
        c->n_clients = (uint32_t)part(p->connections, i, p->n_cores);
        c->share = part(p->count, i, p->n_cores);
        c->on_settled = on_settled;
        c->owner = r;
        c->wake_fd = -1;
        int err = load_core_start(c);
        if (err < 0) {
            fprintf(stderr, "torc-load: core %u cannot start: %s\n", i, strerror(-err));
            return EXIT_START;
        }
    }
    return 0;
}

static void add_stats(struct io_stats *to, const struct io_stats *from)
{
    uint64_t *t = (uint64_t *)to;
    const uint64_t *f = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *t; i++) t[i] += f[i];
}

static void keep_first(struct first_error *to, const struct first_error *other)
{
    if (other->at && (!to->at || other->at < to->at)) *to = *other;
}

static int collect(struct run *r)
{
    int status = 0;
    uint64_t *t = (uint64_t *)&r->counts;
    for (uint32_t i = 0; i < r->plan->n_cores; i++) {
        struct load_core *c = &r->cores[i];
        load_core_join(c);
        if (c->error < 0) {
            fprintf(stderr, "torc-load: core %u cannot start its %s engine: %s\n", i,
                    io_engine_name(r->engine), strerror(-c->error));
            status = EXIT_START;
        }
        const uint64_t *f = (const uint64_t *)&c->counts;
        for (size_t k = 0; k < sizeof r->counts / sizeof *t; k++) t[k] += f[k];
        add_stats(&r->io, &c->io.stats);
        if (c->raw) histogram_merge(&r->raw, c->raw);
        if (c->corrected) histogram_merge(&r->corrected, c->corrected);
        for (int e = 0; e < LOAD_ERRORS; e++) keep_first(&r->first[e], &c->first[e]);
        r->unsent += c->unsent;
        if (c->connect_error) r->connect_error = c->connect_error;
        free(c->raw);
        free(c->corrected);
    }
    if (r->plan->rate == 0) r->corrected = r->raw;
    return status;
}

int run_plan(struct run *r, const struct plan *plan)
{
    static struct plan own; /* with the features that this kernel has */
    sigset_t set;
    own = *plan;
    memset(r, 0, sizeof *r);
    r->plan = &own;
    int status = choose_engine(r, &own);
    if (status == 0) status = fit_descriptors(&own);
    if (status == 0 && watch_open(&r->watch, &own) < 0) status = EXIT_START;
    if (status) return status;
    run_choose_address(&own);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->slices = calloc(SLICES_MAX, sizeof *r->slices);
    r->cores = aligned_alloc(64, (own.n_cores * sizeof *r->cores + 63) & ~(size_t)63);
    if (!r->slices || !r->cores || signals < 0 || r->wake_fd < 0) {
        fputs("torc-load: out of memory or descriptors\n", stderr);
        return EXIT_START;
    }
    memset(r->cores, 0, own.n_cores * sizeof *r->cores);
    status = start_cores(r);
    if (status) return status; /* the process ends, and the cores with it */
    run_phases(r, signals);
    status = collect(r);
    close(signals);
    close(r->wake_fd);
    watch_close(&r->watch);
    free(r->cores);
    r->cores = NULL;
    return status;
}
