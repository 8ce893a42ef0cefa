#include "load/report.h"

#include "base/json.h"
#include "load/result.h"
#include "torc.h"

#include <inttypes.h>

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
        if (r->sample[e].at) json_put_string(j, load_error_names[e], r->sample[e].text);
    json_end(j, '}');
}

static void put_cpu(struct json *j, const struct run *r)
{
    json_begin(j, "cpu", '{');
    json_put_u64(j, "user_ns", r->user_ns);
    json_put_u64(j, "system_ns", r->system_ns);
    json_put_double(j, "share", result_cpu_share(r), 4);
    /* NaN becomes null: unknown. */
    json_put_double(j, "waited_share",
                    r->run_delay.runs ? result_run_delay_share(r) : __builtin_nan(""), 4);
    json_put_double(j, "ns_per_request", result_cpu_ns_per_reply(r), 1);
    json_end(j, '}');
}

/* With a deadline only. */
static void put_deadline(struct json *j, const struct run *r)
{
    const struct load_counts *c = &r->counts;
    if (!r->plan->deadline) return;
    json_begin(j, "deadline", '{');
    json_put_u64(j, "ns", r->plan->deadline);
    json_put_u64(j, "attempts", result_attempts(r));
    json_put_u64(j, "retries", c->retries);
    json_put_u64(j, "given_up", c->errors_measured[ERROR_TIMEOUT]);
    json_begin(j, "slices", '[');
    for (uint32_t i = 0; i < r->intervals.n; i++) {
        const struct interval *s = &r->intervals.all[i];
        put_row(j, (uint64_t[]){s->attempts, s->answered, s->wall_ns}, 3);
    }
    json_end(j, ']');
    json_end(j, '}');
}

static void put_watch(struct json *j, const struct run *r)
{
    if (!r->plan->n_watched) return;
    json_begin(j, "watch", '{');
    json_put_u64(j, "cpu_ns", r->watched_ns);
    if (r->watched_run_delay.runs)
        json_put_u64(j, "waited_ns", r->watched_run_delay.ns);
    else
        json_put_null(j, "waited_ns");
    json_put_bool(j, "ended", r->watch.ended);
    json_begin(j, "slices", '[');
    for (uint32_t i = 0; i < r->intervals.n; i++) {
        const struct interval *s = &r->intervals.all[i];
        put_row(j, (uint64_t[]){s->answered, s->cpu_ns, s->wall_ns}, 3);
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
    json_put_double(j, "seconds", result_seconds(r->wall_ns), 9);
    json_put_bool(j, "interrupted", r->interrupted);
    json_put_u64(j, "requests", c->replies);
    json_put_u64(j, "answered", c->answered);
    json_put_u64(j, "requests_total", c->total);
    json_put_double(j, "per_second", result_per_second(r, c->answered), 3);
    json_put_u64(j, "bytes_in", r->counts.bytes_in);
    json_put_u64(j, "bytes_out", r->counts.bytes_out);
    json_put_u64(j, "connects", c->connects);
    json_put_u64(j, "unsent", r->unsent);
    json_put_u64(j, "unanswered", r->unanswered);
}

int report_json(const struct run *r, struct output *to)
{
    char text[RESULT_ADVICE];
    struct file_writer file;
    struct json *j = &(struct json){&file.out, false};
    file_writer_begin(&file, output_begin(to));
    json_begin(j, NULL, '{');
    put_plan(j, r);
    put_traffic(j, r);
    put_counts(j, r);
    put_deadline(j, r);
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
    json_put_bool(j, "saturated", result_saturated(r));
    json_put_string(j, "advice", result_advice(r, text));
    json_end(j, '}');
    writer_char(j->out, '\n');
    file_writer_end(&file);
    return output_end(to);
}
