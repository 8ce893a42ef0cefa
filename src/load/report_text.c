#include "load/report.h"

#include "base/value.h"
#include "load/result.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

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

/* One line for all kinds, then a sample of each. */
static void print_error_kinds(const struct run *r)
{
    uint64_t outside = 0;
    if (!result_errors(r)) return;
    printf("ERRORS:");
    for (int e = 0; e < LOAD_ERRORS; e++)
        if (r->counts.errors[e]) printf(" %s %" PRIu64, load_error_names[e], r->counts.errors[e]);
    putchar('\n');
    for (int e = 0; e < LOAD_ERRORS; e++)
        if (r->counts.errors[e] && r->sample[e].at)
            printf("  %-12s first: %s\n", load_error_names[e], r->sample[e].text);
    for (enum load_error e = ERROR_STATUS; e <= ERROR_BODY; e++)
        outside += r->counts.errors[e] - r->counts.errors_measured[e];
    if (outside)
        printf("  %" PRIu64 " of the wrong replies came outside the measured time and are counted "
               "under ERRORS only\n",
               outside);
}

static void print_no_replies(const struct run *r)
{
    if (r->counts.total == 0)
        puts("ERRORS: no request was answered");
    else
        printf("ERRORS: no request was answered in the measured time; replies at other times: "
               "%" PRIu64 " (a longer --duration measures them)\n",
               r->counts.total);
}

static void print_errors(const struct run *r)
{
    if (r->interrupted)
        puts("INTERRUPTED: these results cover the time until then.");
    else if (!result_errors(r) && !result_has_replies(r))
        print_no_replies(r);
    print_error_kinds(r);
    if (r->watch.ended)
        puts("ERRORS: a watched process ended; its CPU time is that of the last reading");
}

/* Which of several addresses was used, if not the first. */
static void print_address(const struct plan *p)
{
    char text[SOCK_ADDR_TEXT], first[SOCK_ADDR_TEXT];
    if (p->n_addrs < 2) return;
    sock_addr_format(&p->addr, text);
    sock_addr_format(&p->addrs[0], first);
    if (strcmp(text, first) != 0) printf("to %s, because %s accepts no connection; ", text, first);
}

/* A run of a few requests takes microseconds. */
static void print_duration(uint64_t ns)
{
    if (ns == 0 || ns >= NS_PER_S)
        printf("%.2f s", result_seconds(ns));
    else if (ns >= NS_PER_MS)
        printf("%.3f ms", (double)ns / NS_PER_MS);
    else
        printf("%.0f us", (double)ns / 1e3);
}

static void print_plan(const struct run *r)
{
    const struct plan *p = r->plan;
    print_duration(r->wall_ns);
    printf(", %u connection%s on %u core%s (%s), ", p->connections, p->connections == 1 ? "" : "s",
           p->n_cores, p->n_cores == 1 ? "" : "s", io_engine_name(r->engine));
    print_address(p);
    if (p->rate > 0)
        printf("open loop: %.15g requests/s, %s\n", p->rate, p->poisson ? "Poisson" : "constant");
    else
        printf("closed loop%s\n", p->pipeline > 1 ? ", pipelined" : "");
}

/* With three digits at least, so that a low rate is not 0. */
static void print_rate(double rate)
{
    int digits = rate == 0 || rate >= 100 ? 0 : rate >= 10 ? 1 : rate >= 1 ? 2 : 3;
    printf("%.*f/s; ", digits, rate);
}

static void print_bytes(double rate, const char *what)
{
    if (rate == 0 || rate >= 1048576 / 10)
        printf("%.1f MiB/s%s", rate / 1048576, what);
    else
        printf("%.2f KiB/s%s", rate / 1024, what);
}

static void print_replies(const struct run *r)
{
    const struct load_counts *c = &r->counts;
    uint64_t n = 0;
    printf("  requests     %" PRIu64 " good, ", c->replies);
    print_rate(result_per_second(r, c->answered));
    print_bytes(result_per_second(r, r->counts.bytes_in), " in, ");
    print_bytes(result_per_second(r, r->counts.bytes_out), " out\n");
    for (unsigned i = 0; i < ARRAY_LEN(c->status); i++) n += c->status[i];
    if (n == 0) return;
    printf("  status      ");
    for (unsigned i = 0; i < ARRAY_LEN(c->status); i++)
        if (c->status[i]) printf(" %u: %" PRIu64, i, c->status[i]);
    putchar('\n');
}

static void print_deadline(const struct run *r)
{
    char time[VALUE_TEXT];
    const struct load_counts *c = &r->counts;
    if (!r->plan->deadline) return;
    value_duration_text(r->plan->deadline, time);
    printf("  attempts     %" PRIu64 ", of these %" PRIu64 " retries; %" PRIu64
           " requests given up, %s after the last attempt\n",
           result_attempts(r), c->retries, c->errors_measured[ERROR_TIMEOUT], time);
}

static void print_latencies(const struct run *r)
{
    if (r->unanswered)
        printf("  unanswered   %" PRIu64 " were sent, without a reply at the end\n", r->unanswered);
    if (r->raw.count || r->corrected.count) /* unsent requests are in the latter only */
        puts("  latency             p50        p90        p99      p99.9        max       mean");
    if (r->plan->rate == 0) {
        print_latency("", &r->raw);
        return;
    }
    print_latency("corrected", &r->corrected);
    print_latency("raw", &r->raw);
    if (r->unsent) printf("  unsent       %" PRIu64 " were due and never sent\n", r->unsent);
}

static void print_cpu(const struct run *r)
{
    const struct plan *p = r->plan;
    printf("  generator    ");
    if (r->cpu_replies) printf("%.2f us CPU per request, ", result_cpu_ns_per_reply(r) / 1e3);
    printf("%.0f %% of its core%s", result_cpu_share(r) * 100, p->n_cores == 1 ? "" : "s");
    if (result_is_delayed(r))
        printf(", run delay %.0f %% of the time", result_run_delay_share(r) * 100);
    putchar('\n');
    if (!p->n_watched || !r->cpu_replies) return;
    printf("  watched      %.2f us CPU per request",
           (double)r->watched_ns / (double)r->cpu_replies / 1e3);
    if (result_run_delay_matters(&r->watched_run_delay))
        printf(", run delay %.2f s", result_seconds(r->watched_run_delay.ns));
    putchar('\n');
}

int report_text(const struct run *r)
{
    char text[RESULT_ADVICE];
    print_errors(r);
    print_plan(r);
    print_replies(r);
    print_deadline(r);
    print_latencies(r);
    print_cpu(r);
    if (result_advice(r, text)) printf("note: %s.\n", text);
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    fprintf(stderr, "torc-load: cannot write the report: %s\n", strerror(errno));
    return -1;
}
