#include "load/plan.h"

#include "base/option.h"
#include "base/value.h"
#include "http/fields/field.h"
#include "load/fields.h"
#include "load/input.h"
#include "load/url.h"
#include "torc.h"

#include <stdlib.h>

/* The parts of requests, until all options are known. What they refer to is never freed. */
static struct forms {
    struct request_form form;
    const char *header[PLAN_HEADERS];
    slice template[PLAN_REQUESTS];
    uint32_t n_templates;
    const char *url[PLAN_REQUESTS];
    uint32_t n_urls;
    uint64_t pid; /* of the last --watch */
} forms;

static struct option_set set;

#define TIME_MAX  (24 * 3600 * NS_PER_S)
#define fail(...) option_fail(&set, __VA_ARGS__)

/* ---- options with a parser of their own ---- */

static int take_rate(struct option_set *s, const struct option *o, const char *text)
{
    double *rate = &((struct plan *)s->values)->rate;
    if (!torc_slice_double(slice_str(text), rate)) *rate = 0;
    return *rate >= 0.001 && *rate <= 1e8 ? 0 : option_not_valid(s, o, text);
}

static int take_arrivals(struct option_set *s, const struct option *o, const char *text)
{
    bool *poisson = &((struct plan *)s->values)->poisson;
    *poisson = strcmp(text, "poisson") == 0;
    return *poisson || strcmp(text, "constant") == 0 ? 0 : option_not_valid(s, o, text);
}

/* N, or N,PAUSE. */
static int take_retry(struct option_set *s, const struct option *o, const char *text)
{
    struct plan *p = s->values;
    const char *comma = strchr(text, ',');
    slice count = comma ? slice_of(text, (size_t)(comma - text)) : slice_str(text);
    uint64_t n, pause = 0;
    bool good = slice_u64(count, &n) && n <= PLAN_RETRIES;
    if (good && comma) good = value_duration(slice_str(comma + 1), &pause) && pause <= TIME_MAX;
    if (!good) return option_not_valid(s, o, text);
    p->retries = (uint32_t)n;
    p->retry_pause = pause;
    return 0;
}

static int take_file(const char *name, const char *path, slice *out)
{
    int err = input_read(path, out);
    return err ? fail("--%s: cannot read %.200s: %s", name, path, strerror(-err)) : 0;
}

static int take_source(struct option_set *s, const struct option *o, const char *text)
{
    char which[SOCK_ADDR_TEXT];
    struct source *source = &((struct plan *)s->values)->source;
    if (!source_parse(text, source)) return option_not_valid(s, o, text);
    int err = source_check(source, which);
    return err ? fail("--source: no connection can come from %s: %s", which, strerror(-err)) : 0;
}

static int take_method(struct option_set *s, const struct option *o, const char *text)
{
    forms.form.method = text;
    return field_name_valid(slice_str(text)) ? 0 : option_not_valid(s, o, text);
}

static int take_header(struct option_set *s, const struct option *o, const char *text)
{
    if (!fields_valid(text)) return option_not_valid(s, o, text);
    if (forms.form.n_headers == PLAN_HEADERS) return fail("--header: %d at most", PLAN_HEADERS);
    forms.header[forms.form.n_headers++] = text;
    return 0;
}

static int begin_body(const struct option *o)
{
    if (forms.form.has_body) return fail("--%s: the body is already given", o->name);
    forms.form.has_body = true;
    return 0;
}

static int take_body(struct option_set *s, const struct option *o, const char *text)
{
    (void)s;
    forms.form.body = slice_str(text);
    return begin_body(o);
}

static int take_body_file(struct option_set *s, const struct option *o, const char *text)
{
    (void)s;
    int err = begin_body(o);
    return err ? err : take_file(o->name, text, &forms.form.body);
}

static int take_body_size(struct option_set *s, const struct option *o, const char *text)
{
    uint64_t size;
    int err = begin_body(o);
    if (err) return err;
    if (!value_size(slice_str(text), &size) || size > INPUT_MAX)
        return option_not_valid(s, o, text);
    char *bytes = malloc(size + 1);
    if (!bytes) return fail("--body-size %s: out of memory", text);
    memset(bytes, 'x', size);
    forms.form.body = slice_of(bytes, size);
    return 0;
}

static int take_template(struct option_set *s, const struct option *o, const char *text)
{
    (void)s;
    if (forms.n_templates == PLAN_REQUESTS) return fail("--template: %d at most", PLAN_REQUESTS);
    slice *t = &forms.template[forms.n_templates++];
    int err = take_file(o->name, text, t);
    if (err) return err;
    return t->len ? 0 : fail("--template %.200s is empty", text);
}

static int take_expect_body(struct option_set *s, const struct option *o, const char *text)
{
    (void)o;
    ((struct plan *)s->values)->expect_body = slice_str(text);
    return 0;
}

static int take_expect_body_file(struct option_set *s, const struct option *o, const char *text)
{
    return take_file(o->name, text, &((struct plan *)s->values)->expect_body);
}

static int take_cores(struct option_set *s, const struct option *o, const char *text)
{
    char why[80];
    struct plan *p = s->values;
    int n = cpus_parse(text, p->cpu, why, sizeof why);
    if (n < 0) return fail("--cores %.60s: %s", text, why);
    p->n_cores = (uint32_t)n;
    return n ? 0 : option_not_valid(s, o, text);
}

static int take_engine(struct option_set *s, const struct option *o, const char *text)
{
    const struct io_engine *engine = io_engine_find(text);
    if (!engine && io_engine_known(text))
        return fail("--engine takes %s: %s is not built in", o->what, text);
    if (!engine || io_holds_thread(engine)) return option_not_valid(s, o, text);
    ((struct plan *)s->values)->engine = io_engine_name(engine);
    return 0;
}

static int add_watched(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    struct plan *p = s->values;
    for (uint32_t i = 0; i < p->n_watched; i++)
        if (p->watched[i] == (int)forms.pid) return 0; /* its CPU time counts once */
    if (p->n_watched == PLAN_WATCHED) return fail("--watch: %d at most", PLAN_WATCHED);
    p->watched[p->n_watched++] = (int)forms.pid;
    return 0;
}

static int print_version(struct option_set *s, const struct option *o, const char *text)
{
    (void)s, (void)o;
    if (text[0] == 'n') return 0;
    puts("torc-load " TORC_VERSION);
    return 1;
}

static int print_help(struct option_set *s, const struct option *o, const char *text)
{
    (void)o;
    if (text[0] == 'n') return 0;
    option_print_help(
        s, "torc-load",
        "Sends HTTP/1.1 requests (no TLS) to a server, checks every reply, and measures rate and "
        "latency.\n"
        "  torc-load --connections 256 --duration 10s http://127.0.0.1:8080/plaintext\n"
        "  torc-load --rate 50000 --arrivals poisson http://127.0.0.1:8080/plaintext\n"
        "\n"
        "Several URLs of one server are requested in turn. If its name has several addresses, the\n"
        "first one that accepts is used. unix:PATH:/TARGET is at a Unix socket. In a URL, field,\n"
        "body or template, {rand:MIN:MAX} is a random number, {seq:START} the next of a sequence.",
        stdout);
    return 1;
}

/* ---- the table ---- */

enum group { GROUP_REQUESTS, GROUP_LOAD, GROUP_CHECKS, GROUP_CORES, GROUP_REPORTS };

static const char *const titles[] = {
    [GROUP_REQUESTS] = "Requests",      [GROUP_LOAD] = "Load",       [GROUP_CHECKS] = "Checks",
    [GROUP_CORES] = "Cores and engine", [GROUP_REPORTS] = "Reports",
};

#define AT(field) .at = offsetof(struct plan, field), .size = sizeof(((struct plan *)0)->field)
#define RANGE(lo, hi)                                                                              \
    .min = UINT64_C(lo), .max = UINT64_C(hi), .what = "a whole number from " #lo " to " #hi
#define TIME(least) .min = (least), .max = TIME_MAX

static const struct option table[] = {
    {"method", "NAME", "the request method", NULL, GROUP_REQUESTS, OPTION_CUSTOM,
     .then = take_method, .what = "a name such as PUT", .shown = "GET; POST where there is a body"},
    {"header", "'NAME: VALUE'", "a header field; may be given several times", NULL, GROUP_REQUESTS,
     OPTION_CUSTOM, .then = take_header, .what = "'Name: value'"},
    {"body", "TEXT", "send this text as the body", NULL, GROUP_REQUESTS, OPTION_CUSTOM,
     .then = take_body},
    {"body-file", "FILE", "send the contents of the file as the body", NULL, GROUP_REQUESTS,
     OPTION_CUSTOM, .then = take_body_file},
    {"body-size", "SIZE", "send a body of this size", NULL, GROUP_REQUESTS, OPTION_CUSTOM,
     .then = take_body_size, .what = "bytes, such as 4096 or 20m, at most 1g"},
    {"chunked", NULL, "send the body in chunks, without Content-Length", NULL, GROUP_REQUESTS,
     OPTION_FLAG, .to = &forms.form.chunked},
    {"template", "FILE",
     "send the bytes of the file as the request; several are sent in turn. The URL then only names "
     "the server",
     NULL, GROUP_REQUESTS, OPTION_CUSTOM, .then = take_template},

    {"connections", "N", "connections held open, over all cores", "64", GROUP_LOAD, OPTION_NUMBER,
     AT(connections), RANGE(1, 1000000)},
    {"duration", "TIME", "how long to measure, after --warmup", "10s", GROUP_LOAD, OPTION_DURATION,
     AT(duration), TIME(NS_PER_MS)},
    {"requests", "N", "end after this number of requests instead", NULL, GROUP_LOAD, OPTION_NUMBER,
     AT(count), RANGE(1, 1152921504606846976)},
    {"warmup", "TIME",
     "send requests for this long before the measurement; only their errors count", "0", GROUP_LOAD,
     OPTION_DURATION, AT(warmup), TIME(0)},
    {"ramp", "TIME", "open the connections over this time; requests sent meanwhile do not count",
     "0", GROUP_LOAD, OPTION_DURATION, AT(ramp), TIME(0)},
    {"rate", "N",
     "open loop: requests a second in total, whether or not earlier ones are answered; latency "
     "counts from when each was due",
     NULL, GROUP_LOAD, OPTION_CUSTOM, .then = take_rate,
     .what = "requests a second, from 0.001 to 100000000",
     .shown = "closed loop: the next request follows the reply"},
    {"arrivals", "NAME", "how the requests of --rate are spaced: constant or poisson", "constant",
     GROUP_LOAD, OPTION_CUSTOM, .then = take_arrivals, .what = "constant or poisson"},
    {"pipeline", "N", "requests in flight on each connection", "1", GROUP_LOAD, OPTION_NUMBER,
     AT(pipeline), RANGE(1, 1024)},
    {"requests-per-connection", "N",
     "close each connection after so many and open another; 0: never", "0", GROUP_LOAD,
     OPTION_NUMBER, AT(per_connection), RANGE(0, 1152921504606846976)},
    {"timeout", "TIME", "the longest wait for a reply or a connect, also after the measurement",
     "10s", GROUP_LOAD, OPTION_DURATION, AT(timeout), TIME(NS_PER_MS)},
    {"deadline", "TIME",
     "with --rate: how long a client waits for the reply to an attempt before it gives up and "
     "closes its connection",
     NULL, GROUP_LOAD, OPTION_DURATION, AT(deadline), TIME(NS_PER_MS), .shown = "none"},
    {"retry", "N[,PAUSE]",
     "with --deadline: how often a client tries again, after a pause; latency counts from when the "
     "first attempt was due",
     NULL, GROUP_LOAD, OPTION_CUSTOM, .then = take_retry,
     .what = "a number from 0 to 1000, or one and a pause, such as 3,100ms", .shown = "0"},
    {"source", "ADDRESS[-LAST]",
     "addresses of this machine that connections come from, in turn, such as "
     "127.0.0.2-127.0.0.11",
     NULL, GROUP_LOAD, OPTION_CUSTOM, .then = take_source,
     .what = "an address or FIRST-LAST, at most 65536, such as 127.0.0.2-127.0.0.11",
     .shown = "as the system chooses"},
    {"seed", "N", "seed of random numbers and arrivals", "1", GROUP_LOAD, OPTION_NUMBER, AT(seed),
     RANGE(0, 18446744073709551615)},

    {"expect-status", "N", "the status that every reply must have", NULL, GROUP_CHECKS,
     OPTION_NUMBER, AT(expect_status), RANGE(200, 599), .shown = "any from 200 to 299"},
    {"expect-body", "TEXT", "the body that every reply must have", NULL, GROUP_CHECKS,
     OPTION_CUSTOM, .then = take_expect_body, .shown = "any"},
    {"expect-body-file", "FILE", "the same, from a file", NULL, GROUP_CHECKS, OPTION_CUSTOM,
     .then = take_expect_body_file},

    {"cores", "N|LIST", "how many cores (4), or which (0-3,8); each runs one thread", "1",
     GROUP_CORES, OPTION_CUSTOM, .then = take_cores, .what = "how many CPUs (2) or which (0-3,8)",
     .shown = "1, on the first CPU"},
    {"pin", NULL, "pin each thread to its CPU", "yes", GROUP_CORES, OPTION_FLAG, AT(pin)},
    {"engine", "NAME", "the I/O engine: io_uring or epoll", NULL, GROUP_CORES, OPTION_CUSTOM,
     .then = take_engine, .what = "io_uring or epoll", .shown = "the best available"},
    {"depth", "N", "entries of the submission queue of io_uring", "512", GROUP_CORES, OPTION_NUMBER,
     AT(io.depth), RANGE(1, 32768)},

    {"json", "FILE", "write the full report as JSON; - is stdout", NULL, GROUP_REPORTS, OPTION_TEXT,
     AT(json), .what = "a file name, or - for stdout"},
    {"hdr", "FILE", "write latencies as HdrHistogram percentiles; - is stdout", NULL, GROUP_REPORTS,
     OPTION_TEXT, AT(hdr), .what = "a file name, or - for stdout"},
    {"watch", "PID",
     "measure the CPU time of this process, such as the server; may be given several times", NULL,
     GROUP_REPORTS, OPTION_NUMBER, .to = &forms.pid, .size = sizeof forms.pid, RANGE(1, 2147483647),
     .then = add_watched},
    {"quiet", NULL, "report no progress on stderr", NULL, GROUP_REPORTS, OPTION_FLAG, AT(quiet)},
    {"version", NULL, "print the version and exit", NULL, GROUP_REPORTS, OPTION_CUSTOM,
     .then = print_version, .command = true},
    {"help", NULL, "print this help and exit; also -h", NULL, GROUP_REPORTS, OPTION_CUSTOM,
     .then = print_help, .command = true},
};

static const struct option_alias aliases[] = {
    {"-c", "--connections"},
    {"--clients", "--connections"},
    {"--concurrency", "--connections"},
    {"-d", "--duration"},
    {"-n", "--requests"},
    {"-R", "--rate"},
    {"--rps", "--rate"},
    {"-t", "--cores"},
    {"--threads", "--cores"},
    {"-H", "--header"},
    {"-s", "--template"},
    {"--script", "--template"},
    {"-T", "--timeout"},
    {"-L", "latencies are always reported"},
    {"--latency", "latencies are always reported"},
};

static int take_url(struct option_set *s, const char *text)
{
    (void)s;
    if (strcmp(text, "--") == 0) return 0;
    if (forms.n_urls == PLAN_REQUESTS) return fail("%d URLs at most", PLAN_REQUESTS);
    forms.url[forms.n_urls++] = text;
    return 0;
}

static const struct option_program generator = {
    .table = table,
    .count = ARRAY_LEN(table),
    .groups = titles,
    .n_groups = ARRAY_LEN(titles),
    .usage = "[OPTION]... URL...",
    .notes =
        "A SIZE is in bytes, or ends in k, m or g (binary). A TIME ends in its unit: ms, s, m or "
        "h.\nExit status: 0 if every reply was right and no watched process ended, 1 otherwise, 2 "
        "for wrong\noptions, 3 if the requested engine is unavailable.\n",
    .aliases = aliases,
    .n_aliases = ARRAY_LEN(aliases),
    .argument = take_url,
};

/* ---- requests ---- */

/* The first URL's host is the server. */
static bool resolve(struct plan *p, slice host, char *why, size_t size)
{
    p->host = strndup(host.ptr, host.len);
    if (!p->host) snprintf(why, size, "out of memory");
    uint32_t n = p->host ? url_resolve(p->host, p->addrs, PLAN_ADDRS, why, size) : 0;
    if (n == 0) return false;
    p->n_addrs = source_reaches(&p->source, p->addrs, n);
    if (p->n_addrs == 0) {
        snprintf(why, size, "--source and the server's address are not of one family");
        return false;
    }
    p->addr = p->addrs[0];
    return true;
}

static int add_url(struct plan *p, const char *url)
{
    char why[400];
    slice host;
    if (!url_split(url, &host, &forms.form.target, why, sizeof why) ||
        (!p->host && !resolve(p, host, why, sizeof why)))
        return fail("%s", why);
    if (!slice_eq(host, slice_str(p->host)))
        return fail("\"%.100s\": all URLs must name the same server", url);
    forms.form.host = url_authority(p->host);
    if (forms.n_templates) return 0;
    if (p->n_requests == PLAN_REQUESTS) return fail("%d URLs at most", PLAN_REQUESTS);
    if (!request_make(&p->request[p->n_requests++], &forms.form, &p->n_sequences, why, sizeof why))
        return fail("%s", why);
    return 0;
}

static int add_templates(struct plan *p)
{
    char why[120];
    for (uint32_t i = 0; i < forms.n_templates; i++)
        if (!request_raw(&p->request[p->n_requests++], forms.template[i], &p -> n_sequences, why,
                         sizeof why))
            return fail("--template: %s", why);
    return 0;
}

/* ---- the command line ---- */

static int check_deadline(const struct plan *p)
{
    if ((p->retries || p->retry_pause) && !p->deadline) return fail("--retry needs --deadline");
    if (p->deadline && p->rate == 0) return fail("--deadline needs --rate");
    if (p->deadline && p->pipeline > 1)
        return fail("--deadline and --pipeline: a client that gives up has one request in flight");
    if (p->deadline > p->timeout) return fail("--deadline is longer than --timeout");
    return 0;
}

static int check(const struct plan *p)
{
    char why[160];
    if (forms.n_urls == 0) return fail("no URL given (see --help)");
    if (forms.form.chunked && !forms.form.has_body) return fail("--chunked needs a body");
    if (forms.n_templates && (forms.form.has_body || forms.form.n_headers || forms.form.method))
        return fail("--template is a whole request: --method, --header and --body do not apply");
    if (!fields_check(&forms.form, why, sizeof why)) return fail("%s", why);
    if (p->poisson && p->rate == 0) return fail("--arrivals needs --rate");
    if (check_deadline(p) < 0) return -1;
    if (p->json && p->hdr && strcmp(p->json, "-") == 0 && strcmp(p->hdr, "-") == 0)
        return fail("--json - and --hdr - would mix on stdout: write one of them to a file");
    if (p->json && p->hdr && strcmp(p->json, p->hdr) == 0)
        return fail("--json and --hdr name the same file, %.60s", p->json);
    if (p->n_cores > p->connections)
        return fail("--connections %u: each of the %u cores needs at least one", p->connections,
                    p->n_cores);
    return 0;
}

int plan_read(struct plan *p, int argc, char **argv)
{
    forms = (struct forms){0};
    forms.form.headers = forms.header;
    *p = (struct plan){
        .io = {.buffers = 1024,
               .buffer_size = 16384,
               .max_sockets = 1,
               .iowq_bounded = 4,
               .iowq_unbounded = 4,
               .features = (1u << IO_FEATURES) - 1},
    };
    int err = option_set_init(&set, &generator, p);
    if (err == 0) err = option_read_command(&set, argc, argv, true);
    if (err == 0) err = option_read_command(&set, argc, argv, false);
    if (err == 0) err = check(p);
    for (uint32_t i = 0; i < forms.n_urls && err == 0; i++) err = add_url(p, forms.url[i]);
    if (err == 0) err = add_templates(p);
    if (err >= 0) return err;
    fprintf(stderr, "torc-load: %s\n", set.error);
    return -1;
}
