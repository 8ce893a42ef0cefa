#include "serve/admin.h"

#include "base/counter.h"
#include "base/json.h"
#include "http/request.h"
#include "serve/inflight.h"
#include "serve/program_metrics.h"
#include "serve/response_writer.h"
#include "serve/server_state.h"
#include "serve/settings.h"
#include "serve/timeline.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- metrics, of /metrics and /stats.json ---- */

/* SECONDS: a counter of ns, reported in seconds; GAUGE_SECONDS and MOST_SECONDS likewise. The total
 * of a MOST is the largest of the cores' values, else their sum. */
enum kind { COUNTER, GAUGE, MOST, SECONDS, GAUGE_SECONDS, MOST_SECONDS };

struct metric {
    const char *name, *help;
    enum kind kind;
    size_t offset; /* of a uint64_t in struct core, or struct offload_stats */
};

#define AT(field) offsetof(struct core, field)

static const struct metric metrics[] = {
    {"connections_accepted", "connections accepted", COUNTER, AT(http.stats.accepted)},
    {"connections_closed", "connections closed", COUNTER, AT(http.stats.closed)},
    {"connections_reset", "connections reset by the client", COUNTER, AT(http.stats.resets)},
    {"connections_evicted", "connections closed to make room for others", COUNTER,
     AT(http.stats.evicted)},
    {"connections_refused", "connections for which there was no room", COUNTER,
     AT(http.stats.refused)},
    {"connections_refused_client",
     "connections refused because their client had --max-connections-per-client", COUNTER,
     AT(http.stats.refused_client)},
    {"connections_retired_age", "connections closed after --max-connection-age", COUNTER,
     AT(http.stats.retired_age)},
    {"connections_retired_requests", "connections closed after --max-connection-requests", COUNTER,
     AT(http.stats.retired_requests)},
    {"connections_vanished", "connections whose client did not answer the kernel any more", COUNTER,
     AT(http.stats.vanished)},
    {"connections_bad_proxy", "closed for their PROXY header", COUNTER, AT(http.stats.bad_proxy)},
    {"accept_failures", "accepts that lacked descriptors", COUNTER, AT(acceptor.failures)},
    {"requests_started", "requests whose head was received completely", COUNTER,
     AT(http.stats.started)},
    {"requests", "requests that ended, of these", COUNTER, AT(http.stats.requests)},
    {"requests_peak", "peak of requests in progress", GAUGE, AT(http.stats.peak)},
    {"requests_bad", "malformed requests", COUNTER, AT(http.stats.bad_requests)},
    {"requests_rejected", "requests rejected at --max-requests, or without memory", COUNTER,
     AT(http.stats.rejected)},
    {"requests_waiting", "requests that wait at --max-requests", GAUGE, AT(http.stats.queued)},
    {"requests_waited", "requests that have waited at --max-requests", COUNTER,
     AT(http.stats.queued_total)},
    {"requests_waited_timeout", "of these, requests rejected after --queue-timeout", COUNTER,
     AT(http.stats.queue_timeouts)},
    {"requests_waited_left", "of these, requests whose client left meanwhile", COUNTER,
     AT(http.stats.queue_left)},
    {"requests_throttled", "requests rejected because their client exceeded --rate-limit", COUNTER,
     AT(http.stats.throttled)},
    {"requests_shed", "requests rejected by --shed because their core had too many", COUNTER,
     AT(http.stats.shed)},
    {"shedding", "1 while late requests are shed, else 0", GAUGE, AT(http.stats.shedding)},
    {"shed_delay_seconds", "delay before their handler from which on requests are late",
     GAUGE_SECONDS, AT(http.stats.shed_delay)},
    {"responses_2xx", "responses with a 2xx status", COUNTER, AT(http.stats.status[2])},
    {"responses_3xx", "responses with a 3xx status", COUNTER, AT(http.stats.status[3])},
    {"responses_4xx", "responses with a 4xx status", COUNTER, AT(http.stats.status[4])},
    {"responses_5xx", "responses with a 5xx status", COUNTER, AT(http.stats.status[5])},
    {"requests_aborted_client",
     "requests without a complete response because the client closed or reset the connection",
     COUNTER, AT(http.stats.aborted[END_CLIENT])},
    {"requests_aborted_timeout",
     "requests without a complete response because the client took no data in time", COUNTER,
     AT(http.stats.aborted[END_TIMEOUT])},
    {"requests_aborted_slow",
     "requests without a complete response because the client took data at less than "
     "--min-read-rate",
     COUNTER, AT(http.stats.aborted[END_SLOW])},
    {"requests_aborted_server", "requests without a complete response because the server gave up",
     COUNTER, AT(http.stats.aborted[END_SERVER])},
    {"responses_lost",
     "complete responses of less than 64 KiB that were still queued when the connection ended",
     COUNTER, AT(http.stats.lost)},
    {"timeouts_header", "heads not received completely in time, or not begun on a new connection",
     COUNTER, AT(http.stats.timeouts[TIMEOUT_HEADER])},
    {"timeouts_idle", "connections closed because they were idle", COUNTER,
     AT(http.stats.timeouts[TIMEOUT_IDLE])},
    {"timeouts_body", "bodies of which nothing more, or too little, arrived in time", COUNTER,
     AT(http.stats.timeouts[TIMEOUT_BODY])},
    {"timeouts_write", "sends that made no progress in time", COUNTER,
     AT(http.stats.timeouts[TIMEOUT_WRITE])},
    {"timeouts_read_rate", "connections cut because their client read at less than --min-read-rate",
     COUNTER, AT(http.stats.timeouts[TIMEOUT_READ_RATE])},
    {"upstream_connections", "connections to other servers that are open", GAUGE,
     AT(http.stats.upstream_open)},
    {"upstream_connects", "connections opened to other servers", COUNTER,
     AT(http.stats.upstream_connects)},
    {"upstream_requests", "requests sent to other servers, repeated ones included", COUNTER,
     AT(http.stats.upstream_requests)},
    {"upstream_repeated", "requests repeated, as a keep-alive connection was dead or answered 408",
     COUNTER, AT(http.stats.upstream_repeated)},
    {"upstream_waited", "requests that waited for a connection to another server", COUNTER,
     AT(http.stats.upstream_waited)},
    {"upstream_rejected", "requests that found too many others waiting for a connection", COUNTER,
     AT(http.stats.upstream_rejected)},
    {"buffered_bytes", "memory of unused input and unsent output", GAUGE, AT(http.stats.buffered)},
    {"connections_over_memory", "connections aborted because --buffer-memory was used up", COUNTER,
     AT(http.stats.over_memory)},
    {"body_bytes_received", "bytes of request bodies received", COUNTER, AT(http.stats.body_in)},
    {"bytes_sent", "bytes sent", COUNTER, AT(http.stats.bytes_out)},
    {"ticks", "runs of functions of torc_every", COUNTER, AT(http.stats.ticks)},
    {"ticks_missed", "runs left out, as the one before still ran or at --max-requests", COUNTER,
     AT(http.stats.ticks_missed)},
    {"names_looked_up", "names that were looked up", COUNTER, AT(http.resolver.stats.lookups)},
    {"names_cached", "names whose addresses were known", COUNTER, AT(http.resolver.stats.cached)},
    {"names_failed", "names looked up in vain", COUNTER, AT(http.resolver.stats.failures)},
    {"stalls", "times a handler held its core for --stall-warn", COUNTER, AT(stalls)},
    {"events_recorded", "events recorded for /timeline.json", COUNTER, AT(http.recorder.written)},
    {"busy_seconds", "time not spent waiting in the kernel", SECONDS, AT(loop.io.stats.busy_ns)},
    {"turns", "turns of the event loop", COUNTER, AT(loop.io.stats.turns)},
    {"enters", "calls that wait in the kernel", COUNTER, AT(loop.io.stats.enters)},
    {"syscalls", "system calls made by the engine", COUNTER, AT(loop.io.stats.syscalls)},
    {"posts", "functions run for other threads", COUNTER, AT(loop.io.stats.posts)},
    {"sqes", "operations submitted", COUNTER, AT(loop.io.stats.sqes)},
    {"cqes", "completions reaped", COUNTER, AT(loop.io.stats.cqes)},
    {"turn_longest_seconds", "longest turn", MOST_SECONDS, AT(loop.io.stats.turn_ns)},
    {"turn_cqes_peak", "most completions reaped in a turn", MOST, AT(loop.io.stats.turn_cqes)},
    {"cq_overflows", "turns with an overflowed queue", COUNTER, AT(loop.io.stats.overflows)},
    {"buffers_short", "receives that found no buffer free", COUNTER, AT(loop.io.stats.no_buffers)},
    {"streams_rearmed", "multishot operations restarted", COUNTER, AT(loop.io.stats.rearmed)},
    {"sq_full", "submissions made early: full queue", COUNTER, AT(loop.io.stats.sq_full)},
};

#undef AT
#define AT(field) offsetof(struct offload_stats, field)

/* Of the pool, which the cores share. */
static const struct metric pool_metrics[] = {
    {"threads", "threads for work", GAUGE, AT(threads)},
    {"busy", "threads that run a job", GAUGE, AT(busy)},
    {"queued", "jobs that wait for a thread", GAUGE, AT(queued)},
    {"queued_peak", "peak of jobs that waited for a thread", GAUGE, AT(queued_peak)},
    {"jobs", "jobs that have run", COUNTER, AT(jobs)},
    {"cancelled", "jobs that were told to end, or never begun", COUNTER, AT(cancelled)},
    {"rejected", "jobs rejected because the queue was full", COUNTER, AT(rejected)},
    {"wait_seconds", "time that jobs waited for a thread", SECONDS, AT(waited_ns)},
    {"wait_max_seconds", "longest time that a job waited for a thread", GAUGE_SECONDS,
     AT(waited_max_ns)},
    {"run_seconds", "time that jobs ran", SECONDS, AT(ran_ns)},
};

#undef AT
#define AT(field) offsetof(struct core, field)

static uint64_t value_of(const void *from, size_t offset)
{
    return counter_get((const uint64_t *)((const char *)from + offset));
}

static uint64_t total(const struct torc_server *s, const struct metric *m)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < s->n_cores; i++) {
        uint64_t v = value_of(&s->cores[i], m->offset);
        all = m->kind == MOST || m->kind == MOST_SECONDS ? (v > all ? v : all) : all + v;
    }
    return all;
}

static double seconds(uint64_t ns)
{
    return (double)ns / NS_PER_S;
}

/* ---- routes ---- */

static void healthz(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("ok\n"));
}

static void readyz(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    if (s->phase == SERVER_READY)
        torc_reply(rq, 200, "text/plain", TORC_S("ready\n"));
    else
        torc_reply(rq, 503, "text/plain",
                   s->phase == SERVER_DRAINING ? TORC_S("draining\n") : TORC_S("starting\n"));
}

/* Replies 503 and returns false until the cores have counters; reads the measures. */
static bool require_started(struct torc_server *s, torc_req *rq)
{
    bool started = s->phase >= SERVER_READY;
    if (started && measures_read(&s->measures, rq->ctx->io) == 0) return true;
    torc_reply(rq, 503, "text/plain", started ? TORC_S("no memory\n") : TORC_S("starting\n"));
    return false;
}

static bool is_gauge(const struct metric *m)
{
    return m->kind != COUNTER && m->kind != SECONDS;
}

static bool is_time(const struct metric *m)
{
    return m->kind >= SECONDS;
}

static const char *suffix(const struct metric *m)
{
    return is_gauge(m) ? "" : "_total";
}

static void write_info(struct writer *out, const struct torc_server *s)
{
    writer_printf(out,
                  "# HELP torc_info Version and configuration.\n# TYPE torc_info gauge\n"
                  "torc_info{version=\"%s\",engine=\"%s\",cores=\"%u\",depth=\"%u\"} 1\n",
                  TORC_VERSION, io_engine_name(s->engine), s->n_cores,
                  s->cores[0].loop.io.config.depth);
    writer_printf(out,
                  "# HELP torc_uptime_seconds Time since the start.\n"
                  "# TYPE torc_uptime_seconds gauge\n"
                  "torc_uptime_seconds %.3f\n",
                  seconds(clock_ns() - s->started_at));
}

/* What precedes the samples: `part` begins the name, `by` ends the help. */
static void write_head(struct writer *out, const struct metric *m, const char *part, const char *by)
{
    writer_printf(out, "# HELP torc_%s%s%s %s%s.\n# TYPE torc_%s%s%s %s\n", part, m->name,
                  suffix(m), m->help, by, part, m->name, suffix(m),
                  is_gauge(m) ? "gauge" : "counter");
}

static void write_value(struct writer *out, const struct metric *m, uint64_t v)
{
    if (is_time(m))
        writer_printf(out, " %.9f\n", seconds(v));
    else
        writer_printf(out, " %" PRIu64 "\n", v);
}

static void write_metric(struct writer *out, const struct torc_server *s, const struct metric *m)
{
    write_head(out, m, "", ", by core");
    for (uint32_t c = 0; c < s->n_cores; c++) {
        writer_printf(out, "torc_%s%s{core=\"%u\"}", m->name, suffix(m), c);
        write_value(out, m, value_of(&s->cores[c], m->offset));
    }
}

static void write_pool(struct writer *out, const struct torc_server *s)
{
    struct offload_stats stats;
    offload_read_stats(s->pool, &stats);
    for (size_t i = 0; i < ARRAY_LEN(pool_metrics); i++) {
        const struct metric *m = &pool_metrics[i];
        write_head(out, m, "work_", "");
        writer_printf(out, "torc_work_%s%s", m->name, suffix(m));
        write_value(out, m, value_of(&stats, m->offset));
    }
}

static void write_access_log_dropped(struct writer *out, const struct torc_server *s)
{
    writer_text(out, "# HELP torc_access_log_dropped_total access log lines dropped, by core.\n"
                     "# TYPE torc_access_log_dropped_total counter\n");
    for (uint32_t c = 0; c < s->n_cores; c++)
        writer_printf(out, "torc_access_log_dropped_total{core=\"%u\"} %" PRIu64 "\n", c,
                      access_buffer_dropped(s->cores[c].log));
}

static void write_reloads(struct writer *out, const struct torc_server *s)
{
    writer_printf(out,
                  "# HELP torc_reloads_total times that new settings were loaded.\n"
                  "# TYPE torc_reloads_total counter\n"
                  "torc_reloads_total %" PRIu64 "\n"
                  "# HELP torc_reloads_refused_total times that new settings were refused.\n"
                  "# TYPE torc_reloads_refused_total counter\n"
                  "torc_reloads_refused_total %" PRIu64 "\n",
                  counter_get(&s->reload.n_loaded), counter_get(&s->reload.n_refused));
}

/* Prometheus text exposition format, version 0.0.4. */
static void metrics_text(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    struct response_writer w;
    struct writer *out = response_writer_begin(&w, rq);
    if (!require_started(s, rq)) return;
    if (torc_start(rq, 200, "text/plain; version=0.0.4; charset=utf-8", -1) < 0) return;
    write_info(out, s);
    for (size_t i = 0; i < ARRAY_LEN(metrics) && !w.failed; i++) write_metric(out, s, &metrics[i]);
    measures_text(&s->measures, out);
    write_pool(out, s);
    write_reloads(out, s);
    if (s->log) write_access_log_dropped(out, s);
    program_metrics_text(s, out);
    response_writer_flush(out);
}

static void put_metric(struct json *j, const struct metric *m, uint64_t v)
{
    if (is_time(m))
        json_put_double(j, m->name, seconds(v), 9);
    else
        json_put_u64(j, m->name, v);
}

static void put_pool(struct json *j, const struct torc_server *s)
{
    struct offload_stats stats;
    offload_read_stats(s->pool, &stats);
    json_begin(j, "work", '{');
    for (size_t i = 0; i < ARRAY_LEN(pool_metrics); i++)
        put_metric(j, &pool_metrics[i], value_of(&stats, pool_metrics[i].offset));
    json_end(j, '}');
}

static void put_config(struct json *j, const struct io_config *config, double wall)
{
    json_put_u64(j, "depth", config->depth);
    json_put_u64(j, "cq_depth", config->cq_depth);
    json_put_u64(j, "buffers", config->buffers);
    json_put_u64(j, "buffer_size", config->buffer_size);
    json_put_double(j, "uptime_seconds", wall, 3);
    json_begin(j, "features", '[');
    for (int f = 0; f < IO_FEATURES; f++)
        if (config->features & 1u << f) json_put_string(j, NULL, io_feature_names[f]);
    json_end(j, ']');
}

static void put_core(struct json *j, const struct torc_server *s, uint32_t index)
{
    const struct core *c = &s->cores[index];
    json_begin(j, NULL, '{');
    json_put_u64(j, "core", index);
    json_put_i64(j, "cpu", c->loop.n_cpus == 1 ? c->loop.cpu[0] : -1);
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        put_metric(j, &metrics[i], value_of(c, metrics[i].offset));
    measures_put_core(&s->measures, j, index);
    json_end(j, '}');
}

static void stats_json(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    struct response_writer w;
    struct json j = {response_writer_begin(&w, rq), false};
    if (!require_started(s, rq)) return;
    double wall = seconds(clock_ns() - s->started_at);
    if (torc_start(rq, 200, "application/json", -1) < 0) return;
    json_begin(&j, NULL, '{');
    json_put_string(&j, "version", TORC_VERSION);
    json_put_string(&j, "engine", io_engine_name(s->engine));
    json_put_u64(&j, "cores", s->n_cores);
    put_config(&j, &s->cores[0].loop.io.config, wall);
    json_put_u64(&j, "reloads", counter_get(&s->reload.n_loaded));
    json_put_u64(&j, "reloads_refused", counter_get(&s->reload.n_refused));
    measures_put(&s->measures, &j);
    json_begin(&j, "total", '{');
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        put_metric(&j, &metrics[i], total(s, &metrics[i]));
    json_end(&j, '}');
    put_pool(&j, s);
    json_begin(&j, "program", '{');
    program_metrics_json(s, &j);
    json_end(&j, '}');
    json_begin(&j, "per_core", '[');
    for (uint32_t c = 0; c < s->n_cores && !w.failed; c++) put_core(&j, s, c);
    json_end(&j, ']');
    json_end(&j, '}');
    writer_char(j.out, '\n');
    response_writer_flush(j.out);
}

static void requests_json(torc_req *rq, void *arg)
{
    if (require_started(arg, rq)) inflight_reply(rq, arg);
}

static void timeline_json(torc_req *rq, void *arg)
{
    if (require_started(arg, rq)) timeline_reply(rq, arg);
}

static void settings(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    pthread_mutex_lock(&s->mutex);
    char *text = settings_text(s->now);
    pthread_mutex_unlock(&s->mutex);
    if (text)
        torc_reply(rq, 200, "text/plain", slice_str(text));
    else
        torc_reply_error(rq, 503);
    free(text);
}

static void index_page(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(
        rq, 200, "text/plain",
        TORC_S(
            "/healthz     200 if the process is alive\n"
            "/readyz      200 if it accepts connections, 503 while it starts or drains\n"
            "/metrics     counters by core, as Prometheus text\n"
            "/stats.json  counters by core and in total, configuration, and concurrency, "
            "parallelism and asynchrony\n"
            "/requests.json  the requests in progress: route, age, what each waits for\n"
            "/settings    the options in use, as a config file\n"
            "/timeline.json?ms=N  what the cores did in the last N ms, with --timeline, as trace "
            "events of Chrome\n"));
}

struct router *admin_routes(struct torc_server *s)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {
        {"/", index_page},
        {"/healthz", healthz},
        {"/readyz", readyz},
        {"/metrics", metrics_text},
        {"/stats.json", stats_json},
        {"/requests.json", requests_json},
        {"/timeline.json", timeline_json},
        {"/settings", settings},
    };
    struct router *r = router_new();
    for (size_t i = 0; r && i < ARRAY_LEN(routes); i++)
        if (router_add(r, HTTP_GET, slice_str(routes[i].path), routes[i].fn, s, NULL) < 0) {
            router_free(r);
            r = NULL;
        }
    if (r) router_freeze(r);
    return r;
}
