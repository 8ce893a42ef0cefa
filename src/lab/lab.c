/* torc-lab: the routes that benchmarks ask for, as a plain user of the public API. */

#include "torc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUM_MAX INT64_C(1000000000000)

enum {
    FILE_READ = 4096, /* bytes of one read of /file */
    PIECE = 4096,     /* of a body; on the stack, which may be as small as 16 KiB */
    FILE_READS_MAX = 100,
    DELAY_MAX = 60000,
    BURN_MAX = 1000000, /* ns */
};

/* ---- parameters ---- */

static bool whole(torc_slice text, int64_t *out)
{
    char digits[24], *end;
    if (text.len == 0 || text.len >= sizeof digits) return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    *out = strtoll(digits, &end, 10);
    bool plain = digits[0] == '-' || (digits[0] >= '0' && digits[0] <= '9');
    return plain && end == digits + text.len;
}

/* A whole number within the bounds; else the request is answered with the reason, and false. */
static bool number(torc_req *rq, torc_slice name, torc_slice text, int64_t min, int64_t max,
                   int64_t *out)
{
    if (whole(text, out) && *out >= min && *out <= max) return true;
    torc_replyf(rq, 400, "%.*s must be a whole number from %" PRId64 " to %" PRId64 "\n",
                (int)name.len, name.ptr, min, max);
    return false;
}

/* seq or all: one after another, or together. */
static bool mode(torc_req *rq, bool *together)
{
    torc_slice m = torc_query_param(rq, "mode");
    if (m.len == 3 && (memcmp(m.ptr, "seq", 3) == 0 || memcmp(m.ptr, "all", 3) == 0)) {
        *together = m.ptr[0] == 'a';
        return true;
    }
    torc_replyf(rq, 400, "mode must be seq or all\n");
    return false;
}

/* ---- a planted cost ---- */

static const char *burn_option;

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* A turn takes the same time each time, and touches no memory. Not inlined: every copy has its own
 * speed. */
__attribute__((noinline)) static void spin(int64_t turns)
{
    while (turns-- > 0) __asm__ volatile("");
}

static int ascending(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* What a call takes in ns, in the middle of several tries: the fastest would be of a moment at
 * which the CPU ran faster than it does for requests. */
static double spin_ns(int64_t turns)
{
    enum { CALLS = 100, TRIES = 101 };
    int64_t took[TRIES];
    for (int i = 0; i < TRIES; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < CALLS; k++) spin(turns);
        took[i] = now_ns() - start;
    }
    qsort(took, TRIES, sizeof took[0], ascending);
    return (double)took[TRIES / 2] / CALLS;
}

/* The turns of a call that takes so many ns, from what a short and a long one take. */
static int64_t turns_for(int64_t ns)
{
    enum { SHORT = 100, LONG = 1100 };
    double little = spin_ns(SHORT), turn = (spin_ns(LONG) - little) / (LONG - SHORT);
    return turn > 0 ? SHORT + (int64_t)(((double)ns - little) / turn) : 0;
}

/* What a measurement finds of a cost that is known tells how far it can be trusted. The clock is
 * not read for it: where that takes 50 ns and waits for all that is under way, 150 ns became
 * 500. */
__attribute__((noinline, cold)) static bool burn(torc_req *rq)
{
    static _Thread_local int64_t turns = -1;
    if (turns < 0) {
        int64_t ns;
        torc_slice text = {burn_option, strlen(burn_option)};
        if (!number(rq, TORC_S("--burn-ns"), text, 0, BURN_MAX, &ns)) return false;
        turns = ns ? turns_for(ns) : 0;
        if (turns < 0) turns = 0; /* so little is not to be had */
    }
    spin(turns);
    return true;
}

/* ---- routes ---- */

static void plaintext(torc_req *rq, void *arg)
{
    (void)arg;
    if (burn_option && !burn(rq)) return;
    torc_reply(rq, 200, "text/plain", TORC_S("Hello, World!"));
}

static void json(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "application/json", TORC_S("{\"message\":\"Hello, World!\"}"));
}

static void pipeline(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("ok"));
}

static void baseline11(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t sum = 0, v;
    torc_slice name, value, body;
    static const char *const needed[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        if (torc_query_param(rq, needed[i]).ptr) continue;
        torc_replyf(rq, 400, "%s is missing\n", needed[i]);
        return;
    }
    for (size_t at = 0; torc_query_next(rq, &at, &name, &value);) {
        if (!number(rq, name, value, -SUM_MAX, SUM_MAX, &v)) return;
        sum += v;
    }
    if (torc_method(rq).ptr[0] == 'P') {
        if (torc_body_all(rq, &body) < 0) return;
        if (!number(rq, TORC_S("the body"), body, -SUM_MAX, SUM_MAX, &v)) return;
        sum += v;
    }
    torc_replyf(rq, 200, "%" PRId64, sum);
}

static void delay(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t ms;
    if (!number(rq, TORC_S("the delay"), torc_param(rq, "ms"), 0, DELAY_MAX, &ms)) return;
    if (torc_sleep(rq, (unsigned)ms) < 0) return;
    torc_replyf(rq, 200, "%" PRId64, ms);
}

static void upload(torc_req *rq, void *arg)
{
    (void)arg;
    char buf[PIECE];
    int64_t total = 0;
    ssize_t n;
    while ((n = torc_body_read(rq, buf, sizeof buf)) > 0) total += n;
    if (n == 0) torc_replyf(rq, 200, "%" PRId64, total);
}

static void echo(torc_req *rq, void *arg)
{
    (void)arg;
    char buf[PIECE];
    torc_slice type = torc_header(rq, "content-type");
    int64_t length;
    char type_text[256] = "application/octet-stream";
    if (type.len > 0 && type.len < sizeof type_text) {
        memcpy(type_text, type.ptr, type.len);
        type_text[type.len] = '\0';
    }
    if (!whole(torc_header(rq, "content-length"), &length)) length = -1;
    ssize_t n = torc_body_read(rq, buf, sizeof buf);
    if (n < 0) return;
    if (torc_start(rq, 200, type_text, length) < 0) return;
    for (; n > 0; n = torc_body_read(rq, buf, sizeof buf))
        if (torc_write(rq, buf, (size_t)n) < 0) return;
}

/* One read of /file, of a group or of a sequence. */
struct file_read {
    torc_file *file;
    int64_t offset;
    ssize_t got;
};

static int read_one(torc_req *rq, void *arg)
{
    struct file_read *r = arg;
    char buf[FILE_READ];
    r->got = torc_file_read(rq, r->file, buf, sizeof buf, r->offset);
    return r->got < 0 ? (int)r->got : 0;
}

/* Reads this program's own file, which is there wherever the program runs. */
static void file(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t n, total = 0;
    bool together;
    torc_file *f;
    if (!number(rq, TORC_S("n"), torc_query_param(rq, "n"), 1, FILE_READS_MAX, &n) ||
        !mode(rq, &together))
        return;
    struct file_read *reads = torc_alloc(rq, sizeof *reads * (size_t)n);
    if (!reads || torc_file_open(rq, "/proc/self/exe", &f) < 0) return;
    int64_t blocks = torc_file_size(f) / FILE_READ;
    torc_group *g = together ? torc_group_open(rq) : NULL;
    int err = together && !g ? -1 : 0;
    for (int64_t i = 0; i < n && err == 0; i++) {
        reads[i] = (struct file_read){f, i % blocks * FILE_READ, 0};
        err = together ? torc_spawn(g, read_one, &reads[i]) : read_one(rq, &reads[i]);
    }
    if (g) {
        int joined = torc_group_join(g);
        if (err == 0) err = joined;
    }
    torc_file_close(rq, f);
    if (err < 0) return;
    for (int64_t i = 0; i < n; i++) total += reads[i].got;
    torc_replyf(rq, 200, "%" PRId64, total);
}

/* A directory without its slash; what is relative to it would be looked for beside it. */
static void static_slash(torc_req *rq, void *arg)
{
    (void)arg;
    torc_slice query = torc_query(rq);
    size_t size = sizeof "/static/?" + query.len;
    char *location = torc_alloc(rq, size);
    if (!location) return;
    int n = snprintf(location, size, "/static/%s%.*s", query.ptr ? "?" : "", (int)query.len,
                     query.ptr ? query.ptr : "");
    if (torc_set_header(rq, TORC_S("Location"), (torc_slice){location, (size_t)n}) == 0)
        torc_reply_error(rq, 301);
}

static const char about[] =
    "The torc server with the routes that benchmarks ask for:\n"
    "  GET /plaintext            Hello, World!\n"
    "  GET /json                 {\"message\":\"Hello, World!\"}\n"
    "  GET /pipeline             ok\n"
    "  GET, POST /baseline11?a=&b=  the sum of the query's values and of the body\n"
    "  GET /delay/MS             answers after MS milliseconds, 0 to 60000\n"
    "  POST /upload              the number of bytes sent\n"
    "  POST /echo                the bytes sent\n"
    "  GET /file?n=&mode=seq|all n reads of a file, one after another or together; bytes read\n"
    "  GET /static/...           the files below --root";

int main(int argc, char **argv)
{
    static const struct {
        const char *method, *pattern;
        torc_handler *handler;
    } routes[] = {
        {"GET", "/plaintext", plaintext},
        {"GET", "/json", json},
        {"GET", "/pipeline", pipeline},
        {"GET", "/baseline11", baseline11},
        {"POST", "/baseline11", baseline11},
        {"GET", "/delay/:ms", delay},
        {"POST", "/upload", upload},
        {"POST", "/echo", echo},
        {"GET", "/file", file},
        {"GET", "/static", static_slash},
    };
    torc_server *s = torc_server_new("torc-lab " TORC_VERSION);
    int err = s ? torc_server_about(s, about) : -1;
    for (size_t i = 0; err == 0 && i < sizeof routes / sizeof *routes; i++)
        err = torc_route(s, routes[i].method, routes[i].pattern, routes[i].handler, NULL);
    if (err == 0) err = torc_static(s, "/static/");
    if (err == 0)
        err = torc_server_option(s, "burn-ns", "N",
                                 "CPU time that each /plaintext burns on top, to see "
                                 "whether a bench finds it",
                                 &burn_option);
    if (err < 0) {
        fprintf(stderr, "torc-lab: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
