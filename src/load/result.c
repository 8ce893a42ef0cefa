#include "load/result.h"

#include "base/json.h"
#include "torc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define FULL   0.95 /* share of its cores at which the generator limits what is measured */
#define WAITED 0.05 /* share of the time that it may wait for its cores */

/* A thread that wakes up on an idle CPU has waited, too: for as long as that takes to wake up, tens
 * of us in a virtual machine. Other programs keep it waiting for longer than this. */
#define WAKE_NS 100000

enum { ADVICE = 240 };

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static double per_second(const struct run *r, uint64_t n)
{
    return r->wall_ns ? (double)n / seconds(r->wall_ns) : 0;
}

static uint64_t errors(const struct run *r)
{
    uint64_t n = 0;
    for (int e = 0; e < LOAD_ERRORS; e++) n += r->counts.errors[e];
    return n;
}

/* Where an open loop is too fast, what is answered may all have been due before the time that is
 * measured. */
static bool any(const struct run *r)
{
    return r->counts.replies > 0 || r->counts.answered > 0;
}

static double own_share(const struct run *r)
{
    double wall = seconds(r->wall_ns) * r->plan->n_cores;
    return wall > 0 ? seconds(r->user_ns + r->system_ns) / wall : 0;
}

static double own_ns_per_request(const struct run *r)
{
    uint64_t n = r->counts.answered;
    return n ? (double)(r->user_ns + r->system_ns) / (double)n : 0;
}

static bool saturated(const struct run *r)
{
    return own_share(r) >= FULL;
}

static double waited_share(const struct run *r)
{
    double wall = seconds(r->wall_ns) * r->plan->n_cores;
    return wall > 0 ? seconds(r->waited.ns) / wall : 0;
}

static bool kept_waiting(const struct run *r)
{
    return waited_share(r) > WAITED && r->waited.ns > r->waited.turns * WAKE_NS;
}

enum load_limit result_limit(const struct run *r)
{
    if (saturated(r)) return LIMIT_CORES;
    if (r->connect_error == EADDRNOTAVAIL) return LIMIT_PORTS;
    if (kept_waiting(r)) return LIMIT_WAITED;
    if (r->unsent && !r->counts.errors[ERROR_CONNECT]) return LIMIT_RATE;
    return LIMIT_NONE;
}

/* NULL where nothing needs saying, or `text`. */
static const char *advice(const struct run *r, char text[ADVICE])
{
    static const char *const advices[] = {
        [LIMIT_CORES] =
            "the generator's cores were full, so it may be what limits the rate and adds to the "
            "latency: give it more (--cores), or compare the server's CPU time instead",
        [LIMIT_PORTS] =
            "the ports of this host were used up: widen net.ipv4.ip_local_port_range, or send "
            "more requests on each connection",
        [LIMIT_RATE] =
            "requests were due that found no free connection: the server is slower than --rate, "
            "or --connections are too few",
    };
    enum load_limit limit = result_limit(r);
    if (limit == LIMIT_NONE) return NULL;
    if (limit == LIMIT_WAITED)
        snprintf(text, ADVICE,
                 "other programs kept the generator from its CPU for %.0f %% of the run, which "
                 "limits the rate and adds to the latency: end them, or pin it to a CPU that they "
                 "leave alone "
                 "(--cores LIST)",
                 waited_share(r) * 100);
    else
        snprintf(text, ADVICE, "%s", advices[limit]);
    return text;
}

int result_status(const struct run *r)
{
    return errors(r) > 0 || !any(r) || r->interrupted || r->watch.ended;
}

/* ---- for people ---- */

static void print_time(double ns)
{
    if (ns < 1e6)
        printf("%8.1f us", ns / 1e3);
    else if (ns < 1e9)
        printf("%8.2f ms", ns / 1e6);
    else
        printf("%8.2f s ", ns / 1e9);
}

static void print_latency(const char *name, const struct histogram *h)
{
    if (h->count == 0) return;
    static const double q[] = {0.5, 0.9, 0.99, 0.999};
    printf("  %-12s", name);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) print_time((double)histogram_quantile(h, q[i]));
    print_time((double)h->max);
    print_time((double)h->sum / (double)h->count);
    putchar('\n');
}

static void print_kinds(const struct run *r)
{
    uint64_t outside = 0;
    if (!errors(r)) return;
    printf("ERRORS:");
    for (int e = 0; e < LOAD_ERRORS; e++)
        if (r->counts.errors[e]) printf(" %s %" PRIu64, load_error_names[e], r->counts.errors[e]);
    putchar('\n');
    for (int e = 0; e < LOAD_ERRORS; e++)
        if (r->counts.errors[e] && r->first[e].at)
            printf("  %-12s first: %s\n", load_error_names[e], r->first[e].text);
    for (enum load_error e = ERROR_STATUS; e <= ERROR_BODY; e++)
        outside += r->counts.errors[e] - r->counts.errors_measured[e];
    if (outside)
        printf(
            "  %" PRIu64
            " of the wrong replies came before or after what was measured, and are in the ERRORS "
            "alone\n",
            outside);
}

static void print_errors(const struct run *r)
{
    if (r->interrupted && r->counts.connects)
        puts("INTERRUPTED: what follows is what there was until then.");
    else if (!errors(r) && !any(r))
        puts("ERRORS: no request was answered");
    print_kinds(r);
    if (r->watch.ended)
        puts("ERRORS: a watched process ended, and its CPU time is what was last read of it");
}

static void print_status(const struct run *r)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(r->counts.status); i++) n += r->counts.status[i];
    if (n == 0) return;
    printf("  status      ");
    for (unsigned i = 0; i < ARRAY_LEN(r->counts.status); i++)
        if (r->counts.status[i]) printf(" %u: %" PRIu64, i, r->counts.status[i]);
    putchar('\n');
}

/* Which of several addresses it was, where a reader would expect the first. */
static void print_address(const struct plan *p)
{
    char text[SOCK_ADDR_TEXT], first[SOCK_ADDR_TEXT];
    if (p->n_addrs < 2) return;
    sock_addr_format(&p->addr, text);
    sock_addr_format(&p->addrs[0], first);
    if (strcmp(text, first) != 0) printf("to %s, as %s takes no connection; ", text, first);
}

int result_print(const struct run *r)
{
    char text[ADVICE];
    const struct plan *p = r->plan;
    print_errors(r);
    printf("%.2f s, %u connection%s on %u core%s (%s), ", seconds(r->wall_ns), p->connections,
           p->connections == 1 ? "" : "s", p->n_cores, p->n_cores == 1 ? "" : "s",
           io_engine_name(r->engine));
    print_address(p);
    if (p->rate > 0)
        printf("open loop: %.15g requests/s, %s\n", p->rate, p->poisson ? "Poisson" : "constant");
    else
        printf("closed loop%s\n", p->pipeline > 1 ? ", pipelined" : "");
    printf("  requests     %" PRIu64 " good, %.0f/s; %.1f MiB/s in, %.1f MiB/s out\n",
           r->counts.replies, per_second(r, r->counts.answered),
           per_second(r, r->bytes_in) / 1048576, per_second(r, r->bytes_out) / 1048576);
    print_status(r);
    if (r->raw.count || r->corrected.count) /* what was never sent has a corrected one */
        puts("  latency             p50        p90        p99      p99.9        max       mean");
    if (p->rate > 0) {
        print_latency("corrected", &r->corrected);
        print_latency("raw", &r->raw);
        if (r->unsent) printf("  unsent       %" PRIu64 " were due and never sent\n", r->unsent);
    } else {
        print_latency("", &r->raw);
    }
    printf("  generator    ");
    if (r->counts.answered) printf("%.2f us CPU per request, ", own_ns_per_request(r) / 1e3);
    printf("%.0f %% of its core%s", own_share(r) * 100, p->n_cores == 1 ? "" : "s");
    if (kept_waiting(r))
        printf(", waited for %s for %.0f %% of the time", p->n_cores == 1 ? "it" : "them",
               waited_share(r) * 100);
    putchar('\n');
    if (p->n_watched && r->counts.answered) {
        printf("  watched      %.2f us CPU per request",
               (double)r->watched_ns / (double)r->counts.answered / 1e3);
        if (r->watched_waited.ns > r->watched_waited.turns * WAKE_NS)
            printf(", %.2f s waiting for a CPU", seconds(r->watched_waited.ns));
        putchar('\n');
    }
    if (advice(r, text)) printf("note: %s.\n", text);
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    fprintf(stderr, "torc-load: cannot write the report: %s\n", strerror(errno));
    return -1;
}

/* ---- for programs ---- */

static void put_row(struct json *j, const uint64_t *v, size_t n)
{
    json_begin(j, NULL, '[');
    for (size_t i = 0; i < n; i++) json_put_u64(j, NULL, v[i]);
    json_end(j, ']');
}

static void put_latency(struct json *j, const char *name, const struct histogram *h)
{
    static const struct {
        const char *name;
        double q;
    } quantile[] = {
        {"p50", 0.5},  {"p75", 0.75},    {"p90", 0.9},
        {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999},
    };
    json_begin(j, name, '{');
    json_put_u64(j, "count", h->count);
    json_put_double(j, "mean", h->count ? (double)h->sum / (double)h->count : 0, 1);
    json_put_u64(j, "min", h->min);
    json_put_u64(j, "max", h->max);
    for (size_t i = 0; i < ARRAY_LEN(quantile); i++)
        json_put_u64(j, quantile[i].name, histogram_quantile(h, quantile[i].q));
    json_begin(j, "histogram", '[');
    uint64_t ns, count;
    for (unsigned at = 0; histogram_next(h, &at, &ns, &count);)
        put_row(j, (uint64_t[]){ns, count}, 2);
    json_end(j, ']');
    json_end(j, '}');
}

static void put_errors(struct json *j, const char *name, const uint64_t n[LOAD_ERRORS])
{
    json_begin(j, name, '{');
    for (int e = 0; e < LOAD_ERRORS; e++) json_put_u64(j, load_error_names[e], n[e]);
    json_end(j, '}');
}

static void put_counts(struct json *j, const struct run *r)
{
    const struct load_counts *c = &r->counts;
    json_begin(j, "status", '{');
    for (unsigned i = 0; i < ARRAY_LEN(c->status); i++) {
        char status[12];
        snprintf(status, sizeof status, "%u", i);
        if (c->status[i]) json_put_u64(j, status, c->status[i]);
    }
    json_end(j, '}');
    put_errors(j, "errors", c->errors);
    put_errors(j, "errors_measured", c->errors_measured);
    json_begin(j, "first_errors", '{');
    for (int e = 0; e < LOAD_ERRORS; e++)
        if (r->first[e].at) json_put_string(j, load_error_names[e], r->first[e].text);
    json_end(j, '}');
}

static void put_cpu(struct json *j, const struct run *r)
{
    json_begin(j, "cpu", '{');
    json_put_u64(j, "user_ns", r->user_ns);
    json_put_u64(j, "system_ns", r->system_ns);
    json_put_double(j, "share", own_share(r), 4);
    /* NaN: unknown, which is null. */
    json_put_double(j, "waited_share", r->waited.turns ? waited_share(r) : __builtin_nan(""), 4);
    json_put_double(j, "ns_per_request", own_ns_per_request(r), 1);
    json_end(j, '}');
}

static void put_watch(struct json *j, const struct run *r)
{
    if (!r->plan->n_watched) return;
    json_begin(j, "watch", '{');
    json_put_u64(j, "cpu_ns", r->watched_ns);
    if (r->watched_waited.turns)
        json_put_u64(j, "waited_ns", r->watched_waited.ns);
    else
        json_put_null(j, "waited_ns");
    json_put_bool(j, "ended", r->watch.ended);
    json_begin(j, "slices", '[');
    for (uint32_t i = 0; i < r->n_slices; i++) {
        const struct slice_of_run *s = &r->slices[i];
        put_row(j, (uint64_t[]){s->requests, s->cpu_ns, s->wall_ns}, 3);
    }
    json_end(j, ']');
    json_end(j, '}');
}

static void put_plan(struct json *j, const struct run *r)
{
    const struct plan *p = r->plan;
    char address[SOCK_ADDR_TEXT];
    sock_addr_format(&p->addr, address);
    json_put_u64(j, "format", 1);
    json_put_string(j, "program", "torc-load " TORC_VERSION);
    json_put_string(j, "engine", io_engine_name(r->engine));
    json_put_string(j, "address", address);
    json_put_u64(j, "cores", p->n_cores);
    json_put_u64(j, "connections", p->connections);
    json_put_u64(j, "pipeline", p->pipeline);
    json_put_string(j, "mode", p->rate > 0 ? "open" : "closed");
    json_put_double(j, "rate", p->rate, -1);
    json_put_string(j, "arrivals", p->poisson ? "poisson" : "constant");
}

static void put_traffic(struct json *j, const struct run *r)
{
    const struct load_counts *c = &r->counts;
    json_put_double(j, "seconds", seconds(r->wall_ns), 9);
    json_put_bool(j, "interrupted", r->interrupted);
    json_put_u64(j, "requests", c->replies);
    json_put_u64(j, "answered", c->answered);
    json_put_u64(j, "requests_total", c->total);
    json_put_double(j, "per_second", per_second(r, c->answered), 3);
    json_put_u64(j, "bytes_in", r->bytes_in);
    json_put_u64(j, "bytes_out", r->bytes_out);
    json_put_u64(j, "connects", c->connects);
    json_put_u64(j, "unsent", r->unsent);
}

int result_write_json(const struct run *r, struct output *to)
{
    char text[ADVICE];
    struct file_writer file;
    struct json *j = &(struct json){&file.out, false};
    file_writer_begin(&file, output_begin(to));
    json_begin(j, NULL, '{');
    put_plan(j, r);
    put_traffic(j, r);
    put_counts(j, r);
    json_begin(j, "latency_ns", '{');
    put_latency(j, "corrected", &r->corrected);
    put_latency(j, "raw", &r->raw);
    json_end(j, '}');
    put_cpu(j, r);
    json_begin(j, "io", '{');
    json_put_u64(j, "enters", r->io.enters);
    json_put_u64(j, "syscalls", r->io.syscalls);
    json_put_u64(j, "sqes", r->io.sqes);
    json_put_u64(j, "cqes", r->io.cqes);
    json_end(j, '}');
    put_watch(j, r);
    json_put_bool(j, "saturated", saturated(r));
    json_put_string(j, "advice", advice(r, text));
    json_end(j, '}');
    writer_char(j->out, '\n');
    file_writer_end(&file);
    return output_end(to);
}
