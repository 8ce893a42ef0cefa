#include "serve/admin.h"

/* The admin side: health, readiness and counters, on a listener and a thread of its own, so that it
 * answers while the cores are full. It only reads what the cores count. */

#include "base/counter.h"
#include "serve/server_state.h"

#include <inttypes.h>
#include <stdio.h>

/* Text that is sent as it fills up. */
struct text {
    torc_req *rq;
    size_t len;
    char buf[4096];
};

static void flush(struct text *t)
{
    torc_write(t->rq, t->buf, t->len);
    t->len = 0;
}

TORC_PRINTF(2, 3) static void add(struct text *t, const char *format, ...)
{
    if (t->len > sizeof t->buf - 512) flush(t);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->buf + t->len, sizeof t->buf - t->len, format, args);
    va_end(args);
    if (n > 0)
        t->len += (size_t)n < sizeof t->buf - t->len ? (size_t)n : sizeof t->buf - t->len - 1;
}

/* ---- what is counted, once for both formats ---- */

enum kind { COUNTER, GAUGE, SECONDS /* a counter kept in ns */ };

struct metric {
    const char *name, *help;
    enum kind kind;
    size_t offset; /* of a uint64_t in struct core */
};

#define AT(field) offsetof(struct core, field)

static const struct metric metrics[] = {
    {"connections_accepted", "connections accepted", COUNTER, AT(http.stats.accepted)},
    {"connections_closed", "connections closed", COUNTER, AT(http.stats.closed)},
    {"connections_reset", "connections that the client broke off", COUNTER, AT(http.stats.resets)},
    {"accept_failures", "accepts that ended for want of descriptors", COUNTER,
     AT(acceptor.refused)},
    {"requests_started", "requests whose head was complete", COUNTER, AT(http.stats.started)},
    {"requests", "requests ended", COUNTER, AT(http.stats.requests)},
    {"requests_peak", "most requests in progress at once", GAUGE, AT(http.stats.peak)},
    {"requests_bad", "requests refused as malformed", COUNTER, AT(http.stats.bad_requests)},
    {"requests_rejected", "requests refused for want of a fiber or of memory", COUNTER,
     AT(http.stats.rejected)},
    {"responses_2xx", "responses by class", COUNTER, AT(http.stats.status[2])},
    {"responses_3xx", "responses by class", COUNTER, AT(http.stats.status[3])},
    {"responses_4xx", "responses by class", COUNTER, AT(http.stats.status[4])},
    {"responses_5xx", "responses by class", COUNTER, AT(http.stats.status[5])},
    {"timeouts_header", "heads that were not complete in time", COUNTER,
     AT(http.stats.timeouts[TIMEOUT_HEADER])},
    {"timeouts_idle", "idle connections closed", COUNTER, AT(http.stats.timeouts[TIMEOUT_IDLE])},
    {"timeouts_body", "bodies that did not go on in time", COUNTER,
     AT(http.stats.timeouts[TIMEOUT_BODY])},
    {"timeouts_write", "sends in which nothing moved", COUNTER,
     AT(http.stats.timeouts[TIMEOUT_WRITE])},
    {"body_bytes_received", "bytes of request bodies", COUNTER, AT(http.stats.body_in)},
    {"bytes_sent", "bytes sent", COUNTER, AT(http.stats.bytes_out)},
    {"request_seconds", "sum over ended requests of the time from arrival to answer", SECONDS,
     AT(http.stats.progress_ns)},
    {"busy_seconds", "time outside the kernel's wait", SECONDS, AT(loop.io.stats.busy_ns)},
    {"turns", "turns of the event loop", COUNTER, AT(loop.io.stats.turns)},
    {"enters", "io_uring_enter or epoll_wait calls", COUNTER, AT(loop.io.stats.enters)},
    {"syscalls", "system calls made by the engine", COUNTER, AT(loop.io.stats.syscalls)},
    {"sqes", "operations submitted", COUNTER, AT(loop.io.stats.sqes)},
    {"cqes", "completions reaped", COUNTER, AT(loop.io.stats.cqes)},
    {"cq_overflows", "turns that found completions the queue had no room for", COUNTER,
     AT(loop.io.stats.overflows)},
    {"buffers_short", "receives that ended for want of a buffer", COUNTER,
     AT(loop.io.stats.no_buffers)},
    {"streams_rearmed", "multishot operations started again", COUNTER, AT(loop.io.stats.rearmed)},
    {"sq_full", "submissions made early because the queue was full", COUNTER,
     AT(loop.io.stats.sq_full)},
};

static uint64_t value_of(const struct core *c, size_t offset)
{
    return counter_get((const uint64_t *)((const char *)c + offset));
}

static uint64_t total(const struct torc_server *s, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->n_cores; i++) sum += value_of(&s->cores[i], offset);
    return sum;
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

/* The cores set up what is read here; that they have is known by the phase. */
static bool is_up(struct torc_server *s, torc_req *rq)
{
    if (s->phase >= SERVER_READY) return true;
    torc_reply(rq, 503, "text/plain", TORC_S("starting\n"));
    return false;
}

static const char *suffix(const struct metric *m)
{
    return m->kind == GAUGE ? "" : "_total";
}

static void prometheus(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    struct text t = {.rq = rq};
    if (!is_up(s, rq)) return;
    if (torc_start(rq, 200, "text/plain; version=0.0.4; charset=utf-8", -1) < 0) return;
    add(&t,
        "# HELP torc_info What runs.\n# TYPE torc_info gauge\n"
        "torc_info{version=\"%s\",engine=\"%s\",cores=\"%u\",depth=\"%u\"} 1\n",
        TORC_VERSION, io_engine_name(s->engine), s->n_cores, s->cores[0].loop.io.config.depth);
    add(&t,
        "# HELP torc_uptime_seconds Time since the start.\n# TYPE torc_uptime_seconds gauge\n"
        "torc_uptime_seconds %.3f\n",
        seconds(clock_ns() - s->started_at));
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        const struct metric *m = &metrics[i];
        add(&t, "# HELP torc_%s%s %s, by core.\n# TYPE torc_%s%s %s\n", m->name, suffix(m), m->help,
            m->name, suffix(m), m->kind == GAUGE ? "gauge" : "counter");
        for (uint32_t c = 0; c < s->n_cores; c++) {
            uint64_t v = value_of(&s->cores[c], m->offset);
            if (m->kind == SECONDS)
                add(&t, "torc_%s_total{core=\"%u\"} %.9f\n", m->name, c, seconds(v));
            else
                add(&t, "torc_%s%s{core=\"%u\"} %" PRIu64 "\n", m->name, suffix(m), c, v);
        }
    }
    if (s->log) {
        add(&t, "# HELP torc_access_log_dropped_total Log lines that found no room, by core.\n"
                "# TYPE torc_access_log_dropped_total counter\n");
        for (uint32_t c = 0; c < s->n_cores; c++)
            add(&t, "torc_access_log_dropped_total{core=\"%u\"} %" PRIu64 "\n", c,
                access_log_dropped(s->cores[c].log));
    }
    flush(&t);
}

static void add_number(struct text *t, const struct metric *m, uint64_t v)
{
    if (m->kind == SECONDS)
        add(t, "\"%s\":%.9f", m->name, seconds(v));
    else
        add(t, "\"%s\":%" PRIu64, m->name, v);
}

/* Concurrency, parallelism and asynchrony since the start; see "The three measures" in
 * README.md. */
static void add_measures(struct text *t, struct torc_server *s, double wall)
{
    double progress = seconds(total(s, AT(http.stats.progress_ns)));
    double busy = seconds(total(s, AT(loop.io.stats.busy_ns)));
    double async = progress > 0 ? 1 - busy / progress : 0;
    add(t,
        "\"measures\":{\"concurrency\":%.6f,\"concurrency_peak\":%" PRIu64
        ",\"parallelism\":%.6f,\"asynchrony\":%.6f},",
        progress / wall, total(s, AT(http.stats.peak)), busy / wall, async > 0 ? async : 0);
}

static void stats_json(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    struct text t = {.rq = rq};
    if (!is_up(s, rq)) return;
    double wall = seconds(clock_ns() - s->started_at);
    const struct io_config *config = &s->cores[0].loop.io.config;
    if (torc_start(rq, 200, "application/json", -1) < 0) return;
    add(&t,
        "{\"version\":\"%s\",\"engine\":\"%s\",\"cores\":%u,\"depth\":%u,\"cq_depth\":%u,"
        "\"buffers\":%u,\"buffer_size\":%u,\"uptime_seconds\":%.3f,\"features\":[",
        TORC_VERSION, io_engine_name(s->engine), s->n_cores, config->depth, config->cq_depth,
        config->buffers, config->buffer_size, wall);
    bool first = true;
    for (int f = 0; f < IO_FEATURES; f++) {
        if (!(config->features & 1u << f)) continue;
        add(&t, "%s\"%s\"", first ? "" : ",", io_feature_names[f]);
        first = false;
    }
    add(&t, "],");
    add_measures(&t, s, wall);
    add(&t, "\"total\":{");
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        if (i) add(&t, ",");
        add_number(&t, &metrics[i], total(s, metrics[i].offset));
    }
    add(&t, "},\"per_core\":[");
    for (uint32_t c = 0; c < s->n_cores; c++) {
        add(&t, "%s{\"core\":%u,\"cpu\":%d", c ? "," : "", c, s->cores[c].loop.cpu);
        for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
            add(&t, ",");
            add_number(&t, &metrics[i], value_of(&s->cores[c], metrics[i].offset));
        }
        add(&t, "}");
    }
    add(&t, "]}\n");
    flush(&t);
}

static void index_page(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain",
               TORC_S("/healthz     the process is up\n"
                      "/readyz      it accepts connections; 503 while it starts or drains\n"
                      "/metrics     counters, as Prometheus text\n"
                      "/stats.json  the same by core and in total, the three measures, sizes\n"));
}

struct router *admin_routes(struct torc_server *s)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {
        {"/", index_page},        {"/healthz", healthz},       {"/readyz", readyz},
        {"/metrics", prometheus}, {"/stats.json", stats_json},
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
