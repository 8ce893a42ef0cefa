#include "load/plan.h"

#include "base/value.h"
#include "torc.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 30, PORT_TEXT = 6 };

static const char usage[] =
    "Usage: torc-load [OPTION]... URL...\n"
    "\n"
    "Sends HTTP/1.1 requests (no TLS) to a server, checks every reply, and says how long they "
    "took.\n"
    "  torc-load --connections 256 --duration 10s http://127.0.0.1:8080/plaintext\n"
    "  torc-load --rate 50000 --arrivals poisson http://127.0.0.1:8080/plaintext\n"
    "\n"
    "Several URLs of one server are asked in turn. Of several addresses that its name has, the "
    "first is\n"
    "asked that takes a connection.\n"
    "\n"
    "What is sent\n"
    "  --method NAME              of the request (default GET; POST where there is a body)\n"
    "  --header 'NAME: VALUE'     one more field; can be given several times\n"
    "  --body TEXT                a body of this text\n"
    "  --body-file FILE           a body of what the file holds\n"
    "  --body-size SIZE           a body of that many bytes\n"
    "  --chunked                  send the body in chunks, without its length\n"
    "  --template FILE            a whole request as its bytes; several are sent in turn. The URL "
    "then\n"
    "                             only names the server\n"
    "  In a URL, field, body or template, {rand:MIN:MAX} becomes a random number each time, and\n"
    "  {seq:START} the next of a sequence.\n"
    "\n"
    "How\n"
    "  --connections N            held open at a time, over all cores (default 64)\n"
    "  --duration TIME            that is measured, after --warmup (default 10s)\n"
    "  --requests N               that many requests instead, then it ends\n"
    "  --warmup TIME              of requests before anything is measured; only their errors "
    "count\n"
    "                             (default 0)\n"
    "  --ramp TIME                over which connections are opened (default 0)\n"
    "  --rate N                   open loop: so many requests a second in all, whether or not "
    "earlier\n"
    "                             ones are answered; latency counts from when each was due "
    "(default:\n"
    "                             closed loop, each connection asks again when it has its answer)\n"
    "  --arrivals NAME            when those are due: constant or poisson (default constant)\n"
    "  --pipeline N               requests in flight on a connection (default 1)\n"
    "  --requests-per-connection N  then it is closed and another opened; 0: no end (default 0)\n"
    "  --timeout TIME             of a reply or a connect; replies are awaited so long when the "
    "time is\n"
    "                             over, too (default 10s)\n"
    "  --seed N                   of random numbers and arrivals (default 1)\n"
    "\n"
    "What is expected\n"
    "  --expect-status N          status of every reply (default any from 200 to 299)\n"
    "  --expect-body TEXT         body of every reply, to the byte (default any)\n"
    "  --expect-body-file FILE    the same, of what the file holds\n"
    "\n"
    "Cores and engine\n"
    "  --cores N|LIST             one thread each, on its CPU: how many (4), or which (0-3,8) "
    "(default 1,\n"
    "                             on the first CPU)\n"
    "  --no-pin                   threads run where the system puts them\n"
    "  --engine NAME              of input and output: io_uring or epoll (default the best that "
    "works)\n"
    "  --depth N                  submission queue entries of a ring (default 512)\n"
    "\n"
    "What is reported\n"
    "  --json FILE                everything, for programs; - is stdout\n"
    "  --hdr FILE                 latencies as HdrHistogram percentiles; - is stdout\n"
    "  --watch PID                measure the CPU time of that process, too, the server's say; can "
    "be\n"
    "                             given several times\n"
    "  --quiet                    no progress on stderr\n"
    "  --version                  print the version and exit\n"
    "  --help, -h                 print this and exit\n"
    "\n"
    "A SIZE is in bytes or has k, m or g behind it (binary). A TIME has its unit: ms, s, m or h.\n"
    "Exit status: 0 when every reply was right and no watched process ended, 1 otherwise, 2 for "
    "wrong\n"
    "options, 3 when the engine asked for is not to be had.\n";

enum option_id {
    O_METHOD = 1,
    O_HEADER,
    O_BODY,
    O_BODY_FILE,
    O_BODY_SIZE,
    O_CHUNKED,
    O_TEMPLATE,
    O_CONNECTIONS,
    O_DURATION,
    O_REQUESTS,
    O_WARMUP,
    O_RAMP,
    O_RATE,
    O_ARRIVALS,
    O_PIPELINE,
    O_PER_CONNECTION,
    O_TIMEOUT,
    O_SEED,
    O_EXPECT_STATUS,
    O_EXPECT_BODY,
    O_EXPECT_BODY_FILE,
    O_CORES,
    O_NO_PIN,
    O_ENGINE,
    O_DEPTH,
    O_JSON,
    O_HDR,
    O_WATCH,
    O_QUIET,
    O_VERSION,
    O_HELP,
};

static const struct option options[] = {
    {"method", 1, NULL, O_METHOD},
    {"header", 1, NULL, O_HEADER},
    {"body", 1, NULL, O_BODY},
    {"body-file", 1, NULL, O_BODY_FILE},
    {"body-size", 1, NULL, O_BODY_SIZE},
    {"chunked", 0, NULL, O_CHUNKED},
    {"template", 1, NULL, O_TEMPLATE},
    {"connections", 1, NULL, O_CONNECTIONS},
    {"duration", 1, NULL, O_DURATION},
    {"requests", 1, NULL, O_REQUESTS},
    {"warmup", 1, NULL, O_WARMUP},
    {"ramp", 1, NULL, O_RAMP},
    {"rate", 1, NULL, O_RATE},
    {"arrivals", 1, NULL, O_ARRIVALS},
    {"pipeline", 1, NULL, O_PIPELINE},
    {"requests-per-connection", 1, NULL, O_PER_CONNECTION},
    {"timeout", 1, NULL, O_TIMEOUT},
    {"seed", 1, NULL, O_SEED},
    {"expect-status", 1, NULL, O_EXPECT_STATUS},
    {"expect-body", 1, NULL, O_EXPECT_BODY},
    {"expect-body-file", 1, NULL, O_EXPECT_BODY_FILE},
    {"cores", 1, NULL, O_CORES},
    {"no-pin", 0, NULL, O_NO_PIN},
    {"engine", 1, NULL, O_ENGINE},
    {"depth", 1, NULL, O_DEPTH},
    {"json", 1, NULL, O_JSON},
    {"hdr", 1, NULL, O_HDR},
    {"watch", 1, NULL, O_WATCH},
    {"quiet", 0, NULL, O_QUIET},
    {"version", 0, NULL, O_VERSION},
    {"help", 0, NULL, O_HELP},
    {0},
};

/* What the request forms are made of, until all options are known. */
struct forms {
    struct request_form form;
    const char *header[PLAN_HEADERS];
    slice template[PLAN_REQUESTS];
    uint32_t n_templates;
};

TORC_PRINTF(1, 2) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("torc-load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

#define fail(...) (say(__VA_ARGS__), -1)

/* ---- values ---- */

static int take_number(const char *name, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    uint64_t v;
    if (!slice_u64(slice_str(text), &v) || v < min || v > max)
        return fail("--%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not \"%.60s\"",
                    name, min, max, text);
    *out = v;
    return 0;
}

static int take_u32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t v;
    if (take_number(name, text, min, max, &v) < 0) return -1;
    *out = (uint32_t)v;
    return 0;
}

static int take_time(const char *name, const char *text, uint64_t min, uint64_t *out)
{
    if (!value_duration(slice_str(text), out) || *out < min || *out > 24 * 3600 * NS_PER_S)
        return fail("--%s takes a time with its unit, such as 500ms or 10s, not \"%.60s\"", name,
                    text);
    return 0;
}

static int take_rate(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= 0.001 && *out <= 1e8))
        return fail("--rate takes requests a second, from 0.001 to 100000000, not \"%.60s\"", text);
    return 0;
}

/* To its end, whatever it is: a pipe has no size to ask for. */
static int take_file(const char *name, const char *path, slice *out)
{
    FILE *f = fopen(path, "re");
    if (!f) return fail("--%s: cannot read %s: %s", name, path, strerror(errno));
    size_t len = 0, cap = 4096, got = 1;
    char *bytes = NULL;
    while (got > 0 && len < FILE_MAX) {
        char *more = realloc(bytes, cap *= 2);
        if (!more) break;
        bytes = more;
        while (len < cap && (got = fread(bytes + len, 1, cap - len, f)) > 0) len += got;
    }
    bool whole = bytes && feof(f) && !ferror(f);
    int err = ferror(f) ? errno : EFBIG;
    fclose(f);
    if (!whole) {
        free(bytes);
        return fail("--%s: cannot read %s: %s", name, path, strerror(err));
    }
    *out = slice_of(bytes, len);
    return 0;
}

static int take_header(struct forms *f, const char *text)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || strpbrk(text, "\r\n"))
        return fail("--header takes 'Name: value', not \"%.60s\"", text);
    if (f->form.n_headers == PLAN_HEADERS) return fail("--header: %d at most", PLAN_HEADERS);
    f->header[f->form.n_headers++] = text;
    return 0;
}

static int take_body(struct forms *f, const char *name, const char *text)
{
    uint64_t size;
    if (f->form.has_body) return fail("--%s: the body has been given already", name);
    f->form.has_body = true;
    if (strcmp(name, "body") == 0) {
        f->form.body = slice_str(text);
        return 0;
    }
    if (strcmp(name, "body-file") == 0) return take_file(name, text, &f->form.body);
    if (!value_size(slice_str(text), &size) || size > FILE_MAX)
        return fail("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"%.60s\"",
                    text);
    char *bytes = malloc(size + 1);
    if (!bytes) return fail("--body-size %s: out of memory", text);
    memset(bytes, 'x', size);
    f->form.body = slice_of(bytes, size);
    return 0;
}

static int take_template(struct forms *f, const char *path)
{
    if (f->n_templates == PLAN_REQUESTS) return fail("--template: %d at most", PLAN_REQUESTS);
    slice *t = &f->template[f->n_templates++];
    if (take_file("template", path, t) < 0) return -1;
    return t->len ? 0 : fail("--template %s is empty", path);
}

static int take_cores(struct plan *p, const char *text)
{
    char why[80];
    int n = cpus_parse(text, p->cpu, why, sizeof why);
    if (n < 0) return fail("--cores %.60s: %s", text, why);
    if (n == 0)
        return fail("--cores takes how many CPUs (2) or which (0-3,8), not \"%.60s\"", text);
    p->n_cores = (uint32_t)n;
    return 0;
}

static int take_engine(struct plan *p, const char *text)
{
    p->engine = text;
    return io_engine_find(text)
               ? 0
               : fail("--engine %.60s is not built in; takes io_uring or epoll", text);
}

static int take(struct plan *p, struct forms *f, int id, const char *name, const char *text)
{
    uint64_t v;
    switch ((enum option_id)id) {
    case O_METHOD:
        if (!*text || strpbrk(text, " \r\n\t")) return fail("--method takes a name such as PUT");
        f->form.method = text;
        return 0;
    case O_HEADER: return take_header(f, text);
    case O_BODY:
    case O_BODY_FILE:
    case O_BODY_SIZE: return take_body(f, name, text);
    case O_CHUNKED: f->form.chunked = true; return 0;
    case O_TEMPLATE: return take_template(f, text);
    case O_CONNECTIONS: return take_u32(name, text, 1, 1000000, &p->connections);
    case O_DURATION: return take_time(name, text, NS_PER_MS, &p->duration);
    case O_REQUESTS: return take_number(name, text, 1, UINT64_C(1) << 60, &p->count);
    case O_WARMUP: return take_time(name, text, 0, &p->warmup);
    case O_RAMP: return take_time(name, text, 0, &p->ramp);
    case O_RATE: return take_rate(text, &p->rate);
    case O_ARRIVALS:
        p->poisson = strcmp(text, "poisson") == 0;
        if (!p->poisson && strcmp(text, "constant") != 0)
            return fail("--arrivals takes constant or poisson, not \"%.60s\"", text);
        return 0;
    case O_PIPELINE: return take_u32(name, text, 1, 1024, &p->pipeline);
    case O_PER_CONNECTION: return take_number(name, text, 0, UINT64_C(1) << 60, &p->per_connection);
    case O_TIMEOUT: return take_time(name, text, NS_PER_MS, &p->timeout);
    case O_SEED: return take_number(name, text, 0, UINT64_MAX, &p->seed);
    case O_EXPECT_STATUS: return take_u32(name, text, 200, 599, &p->expect_status);
    case O_EXPECT_BODY: p->expect_body = slice_str(text); return 0;
    case O_EXPECT_BODY_FILE: return take_file(name, text, &p->expect_body);
    case O_CORES: return take_cores(p, text);
    case O_NO_PIN: p->pin = false; return 0;
    case O_ENGINE: return take_engine(p, text);
    case O_DEPTH: return take_u32(name, text, 1, 32768, &p->io.depth);
    case O_JSON: p->json = text; return 0;
    case O_HDR: p->hdr = text; return 0;
    case O_WATCH:
        if (p->n_watched == PLAN_WATCHED) return fail("--watch: %d at most", PLAN_WATCHED);
        if (take_number(name, text, 1, INT32_MAX, &v) < 0) return -1;
        p->watched[p->n_watched++] = (int)v;
        return 0;
    case O_QUIET: p->quiet = true; return 0;
    case O_VERSION: puts("torc-load " TORC_VERSION); return 1;
    case O_HELP: fputs(usage, stdout); return 1;
    }
    return 0;
}

/* What other generators call it: those that come from them try it first. */
static const char *meant(const char *option)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = {
        {"-c", "--connections"},    {"--clients", "--connections"},
        {"-d", "--duration"},       {"-n", "--requests"},
        {"-R", "--rate"},           {"--rps", "--rate"},
        {"-t", "--cores"},          {"--threads", "--cores"},
        {"-H", "--header"},         {"-s", "--template"},
        {"--script", "--template"}, {"-T", "--timeout"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i].theirs);
        if (strncmp(option, names[i].theirs, n) == 0 && (option[n] == '\0' || option[n] == '='))
            return names[i].ours;
    }
    return NULL;
}

static int unknown(const char *option)
{
    const char *ours = meant(option);
    if (ours) return fail("unknown option %s: here it is %s (see --help)", option, ours);
    if (strcmp(option, "-L") == 0 || strcmp(option, "--latency") == 0)
        return fail("unknown option %s: latencies are always reported", option);
    return fail("unknown option %s (see --help)", option);
}

/* ---- URLs ---- */

/* In any case of letters (RFC 3986, 3.1). */
static bool has_scheme(slice url, slice scheme)
{
    return url.len >= scheme.len && slice_ieq(slice_of(url.ptr, scheme.len), scheme);
}

/* Splits http://HOST[:PORT][/TARGET]; the fragment stays with the client (RFC 9110, 4.2.5). */
static int split_url(const char *url, slice *host, slice *target)
{
    slice rest = slice_str(url), part;
    if (has_scheme(rest, SLICE("https://")))
        return fail("\"%.100s\": TLS is not supported, only http://", url);
    if (!has_scheme(rest, SLICE("http://")))
        return fail("\"%.100s\" is not a URL such as http://127.0.0.1:8080/path", url);
    rest = slice_skip(rest, 7);
    size_t n = strcspn(rest.ptr, "/?#");
    *host = slice_of(rest.ptr, n);
    rest = slice_skip(rest, n);
    if (n == 0 || memchr(host->ptr, '@', n)) return fail("\"%.100s\" names no host", url);
    slice_cut(&rest, '#', &part);
    if (part.len == 0 || part.ptr[0] != '/') {
        if (part.len) return fail("\"%.100s\": put a / before the ?", url);
        part = SLICE("/");
    }
    for (size_t i = 0; i < part.len; i++)
        if ((unsigned char)part.ptr[i] <= ' ' || part.ptr[i] == 0x7f)
            return fail("\"%.100s\" has a character that belongs encoded", url);
    *target = part;
    return 0;
}

static int resolve(struct plan *p, slice host)
{
    char name[256], port[PORT_TEXT] = "80";
    const char *colon = memrchr(host.ptr, ':', host.len),
               *bracket = memrchr(host.ptr, ']', host.len);
    size_t n = colon && (!bracket || colon > bracket) ? (size_t)(colon - host.ptr) : host.len;
    size_t digits = host.len > n ? host.len - n - 1 : 0;
    uint64_t v = 80;
    if (n == 0) return fail("\"%.*s\" names no host", (int)host.len, host.ptr);
    if (!bracket && colon && memchr(host.ptr, ':', n))
        return fail("%.*s: an IPv6 address stands in brackets", (int)host.len, host.ptr);
    if (digits && (!slice_u64(slice_of(host.ptr + n + 1, digits), &v) || v == 0 || v > 65535))
        return fail("%.*s: no such port", (int)host.len, host.ptr);
    snprintf(port, sizeof port, "%u", (unsigned)v);
    bool six = n > 2 && host.ptr[0] == '[' && host.ptr[n - 1] == ']';
    if (n - 2 * six >= sizeof name) return fail("%.100s: too long a name", host.ptr);
    snprintf(name, sizeof name, "%.*s", (int)(n - 2 * six), host.ptr + six);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int err = getaddrinfo(name, port, &hints, &found);
    if (err) return fail("%s: %s", name, gai_strerror(err));
    for (const struct addrinfo *a = found; a && p->n_addrs < PLAN_ADDRS; a = a->ai_next) {
        struct sock_addr *to = &p->addrs[p->n_addrs++];
        memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
        to->len = a->ai_addrlen;
    }
    p->addr = p->addrs[0];
    freeaddrinfo(found);
    p->host = strndup(host.ptr, host.len);
    return p->host ? 0 : fail("out of memory");
}

static int add_url(struct plan *p, struct forms *f, const char *url)
{
    char why[120];
    slice host;
    if (split_url(url, &host, &f->form.target) < 0) return -1;
    if (!p->host && resolve(p, host) < 0) return -1;
    if (!slice_eq(host, slice_str(p->host)))
        return fail("\"%.100s\": all URLs of a run are of one server", url);
    f->form.host = slice_str(p->host);
    if (f->n_templates) return 0;
    if (p->n_requests == PLAN_REQUESTS) return fail("%d URLs at most", PLAN_REQUESTS);
    if (!request_make(&p->request[p->n_requests++], &f->form, &p->n_sequences, why, sizeof why))
        return fail("%s", why);
    return 0;
}

static int add_templates(struct plan *p, const struct forms *f)
{
    char why[120];
    for (uint32_t i = 0; i < f->n_templates; i++)
        if (!request_raw(&p->request[p->n_requests++], f->template[i], &p -> n_sequences, why,
                         sizeof why))
            return fail("--template: %s", why);
    return 0;
}

/* ---- all of it ---- */

static int check(const struct plan *p, const struct forms *f, int urls)
{
    if (urls == 0) return fail("no URL is given (see --help)");
    if (f->form.chunked && !f->form.has_body) return fail("--chunked needs a body");
    if (f->n_templates && (f->form.has_body || f->form.n_headers || f->form.method))
        return fail("--template is a whole request: it takes no method, field or body");
    if (p->poisson && p->rate == 0) return fail("--arrivals needs --rate");
    if (p->json && p->hdr && strcmp(p->json, "-") == 0 && strcmp(p->hdr, "-") == 0)
        return fail("--json - and --hdr - would mix on stdout: write one of them to a file");
    if (p->json && p->hdr && strcmp(p->json, p->hdr) == 0)
        return fail("--json and --hdr name one file, %.60s: it holds one of them", p->json);
    if (p->n_cores > p->connections)
        return fail("--connections %u is less than one for each of %u cores", p->connections,
                    p->n_cores);
    return 0;
}

int plan_read(struct plan *p, int argc, char **argv)
{
    static struct forms f; /* what it refers to is the program's until it ends, too */
    uint16_t usable[CPUS_MAX];
    cpus_usable(usable);
    f = (struct forms){0};
    *p = (struct plan){
        .n_cores = 1,
        .pin = true,
        .connections = 64,
        .pipeline = 1,
        .duration = 10 * NS_PER_S,
        .timeout = 10 * NS_PER_S,
        .seed = 1,
        .io = {.depth = 512,
               .buffers = 1024,
               .buffer_size = 16384,
               .max_sockets = 1,
               .iowq_bounded = 4,
               .iowq_unbounded = 4,
               .features = (1u << IO_FEATURES) - 1},
    };
    p->cpu[0] = usable[0];
    f.form.headers = f.header;
    opterr = 0;
    for (int id, at = 0; (id = getopt_long(argc, argv, ":h", options, &at)) != -1;) {
        if (id == '?' && optopt > ' ') return unknown((char[]){'-', (char)optopt, '\0'});
        if (id == '?') return unknown(argv[optind - 1]);
        if (id == ':') return fail("%s needs a value (see --help)", argv[optind - 1]);
        if (id == 'h') id = O_HELP;
        int done = take(p, &f, id, options[at].name, optarg);
        if (done) return done;
    }
    if (check(p, &f, argc - optind) < 0) return -1;
    for (int i = optind; i < argc; i++)
        if (add_url(p, &f, argv[i]) < 0) return -1;
    return add_templates(p, &f);
}
