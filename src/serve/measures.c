#include "serve/measures.h"

#include "serve/core.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* How long it looks after a reading, and how often: at irregular times, or a delay of as much would
 * be seen in the same state again and again. */
#define LOOK_FOR   (10 * NS_PER_S)
#define LOOK_LEAST (5 * NS_PER_MS)
#define LOOK_MORE  (10 * NS_PER_MS)

/* A reading that takes no longer is of one time. */
#define AT_ONCE (NS_PER_MS / 5)

enum { TRIES = 5 };

/* ---- looking ---- */

static void look_again(struct measures *m)
{
    wheel_set(&m->io->wheel, &m->look, m->io->now + LOOK_LEAST + ticks_now() % LOOK_MORE);
}

static void look(struct wheel_timer *t)
{
    struct measures *m = container_of(t, struct measures, look);
    uint32_t running = 0;
    for (uint32_t i = 0; i < m->n_cores; i++) running += stopwatch_runs(&m->cores[i].loop.io.code);
    if (running > m->running) m->running = running;
    if (m->io->now < m->until) look_again(m);
}

/* ---- reading ---- */

void measures_begin(struct measures *m, const struct core *cores, uint32_t n_cores,
                    bool holds_thread, uint64_t started_at)
{
    *m = (struct measures){.cores = cores,
                           .n_cores = n_cores,
                           .holds_thread = holds_thread,
                           .started_at = started_at,
                           .since = ticks_origin()};
    wheel_timer_init(&m->look, look);
}

void measures_end(struct measures *m)
{
    free(m->told);
    m->told = NULL;
}

/* A sum is read in several steps, and its unit is known a little better each time. */
static void at_least(uint64_t *sum, uint64_t v)
{
    if (v > *sum) *sum = v;
}

static void read_core(const struct measures *m, const struct core *c, struct measured *told)
{
    const struct http_stats *h = &c->http.stats;
    const struct io *io = &c->loop.io;
    uint64_t started = counter_get(&h->started), turn = counter_get(&io->now);
    double ns = ticks_ns(&m->since);
    at_least(&told->lifetime, lifetime_sum(&h->lifetime, started, turn, clock_ns()));
    at_least(&told->on_core, (uint64_t)((double)stopwatch_read(&io->code) * ns));
    told->held = m->holds_thread ? told->lifetime : told->on_core;
}

static void add(struct measured *sum, const struct measured *one)
{
    sum->lifetime += one->lifetime;
    sum->on_core += one->on_core;
    sum->held += one->held;
}

/* Reads the cores, into told[] if there is one, and adds them up: again where something has come
 * between, as when the thread lost its CPU. Returns the time of which the sums are. */
static uint64_t read_cores(const struct measures *m, struct measured *told, struct measured *sum)
{
    uint64_t begun, now = clock_ns();
    for (int tries = 0; tries < TRIES; tries++) {
        begun = now;
        *sum = (struct measured){0};
        for (uint32_t i = 0; i < m->n_cores; i++) {
            struct measured one = {0}, *to = told ? &told[i] : &one;
            read_core(m, &m->cores[i], to);
            add(sum, to);
        }
        now = clock_ns();
        if (now - begun <= AT_ONCE) break;
    }
    return now;
}

struct measured measures_now(const struct measures *m, uint64_t *wall)
{
    struct measured sum;
    *wall = read_cores(m, NULL, &sum) - m->started_at;
    return sum;
}

int measures_read(struct measures *m, struct io *io)
{
    struct measured sum;
    m->io = io;
    if (!m->told) m->told = calloc(m->n_cores, sizeof *m->told);
    if (!m->told) return -ENOMEM;
    m->read_at = read_cores(m, m->told, &sum);
    if (m->until <= io->now) look_again(m);
    m->until = io->now + LOOK_FOR;
    return 0;
}

/* ---- writing ---- */

static double seconds(uint64_t ns)
{
    return (double)ns / NS_PER_S;
}

static struct measured sum_of(const struct measures *m)
{
    struct measured sum = {0};
    for (uint32_t i = 0; i < m->n_cores; i++) add(&sum, &m->told[i]);
    return sum;
}

/* The sum of the cores' peaks: an upper bound of the process's. */
static uint64_t peak_of_concurrency(const struct measures *m)
{
    uint64_t peak = 0;
    for (uint32_t i = 0; i < m->n_cores; i++) peak += counter_get(&m->cores[i].http.stats.peak);
    return peak;
}

/* What was seen, a lower bound. The peak of anything is no less than its mean. */
static uint64_t peak_of_parallelism(const struct measures *m, const struct measured *sum,
                                    double wall)
{
    double exact = seconds(sum->on_core) / wall;
    uint64_t mean = (uint64_t)exact;
    if (exact > (double)mean) mean++;
    if (mean > m->n_cores) mean = m->n_cores;
    return mean > m->running ? mean : m->running;
}

static void put_sums(struct json *j, const struct measured *sum)
{
    json_put_double(j, "request_lifetime_seconds", seconds(sum->lifetime), 9);
    json_put_double(j, "request_oncore_seconds", seconds(sum->on_core), 9);
    json_put_double(j, "request_held_seconds", seconds(sum->held), 9);
}

void measures_put_core(const struct measures *m, struct json *j, uint32_t i)
{
    put_sums(j, &m->told[i]);
}

void measures_put(const struct measures *m, struct json *j)
{
    struct measured sum = sum_of(m);
    double wall = seconds(m->read_at - m->started_at);
    double lifetime = seconds(sum.lifetime), held = seconds(sum.held);
    double asynchrony = lifetime > 0 ? 1 - held / lifetime : 0;
    json_begin(j, "measures", '{');
    json_put_double(j, "wall_seconds", wall, 9);
    put_sums(j, &sum);
    json_put_double(j, "concurrency", lifetime / wall, 6);
    json_put_u64(j, "concurrency_peak", peak_of_concurrency(m));
    json_put_double(j, "parallelism", seconds(sum.on_core) / wall, 6);
    json_put_u64(j, "parallelism_peak", peak_of_parallelism(m, &sum, wall));
    json_put_double(j, "asynchrony", asynchrony > 0 ? asynchrony : 0, 6);
    json_end(j, '}');
}

static void text_of(const struct measures *m, struct writer *out, const char *name,
                    const char *help, size_t offset)
{
    writer_printf(out, "# HELP torc_%s_total %s, by core.\n# TYPE torc_%s_total counter\n", name,
                  help, name);
    for (uint32_t i = 0; i < m->n_cores; i++)
        writer_printf(out, "torc_%s_total{core=\"%u\"} %.9f\n", name, i,
                      seconds(*(const uint64_t *)((const char *)&m->told[i] + offset)));
}

void measures_text(const struct measures *m, struct writer *out)
{
    struct measured sum = sum_of(m);
    double wall = seconds(clock_ns() - m->started_at);
    text_of(m, out, "request_lifetime_seconds",
            "time from arrival to end, summed over requests, until now of those in progress",
            offsetof(struct measured, lifetime));
    text_of(m, out, "request_oncore_seconds", "time that the core ran the code of requests",
            offsetof(struct measured, on_core));
    text_of(m, out, "request_held_seconds", "time that requests held a thread",
            offsetof(struct measured, held));
    writer_printf(out,
                  "# HELP torc_parallelism_peak The most cores seen to run request code at once.\n"
                  "# TYPE torc_parallelism_peak gauge\n"
                  "torc_parallelism_peak %" PRIu64 "\n",
                  peak_of_parallelism(m, &sum, wall));
}
