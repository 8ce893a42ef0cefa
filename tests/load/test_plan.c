/* The command line: the plan that each option makes, and the message for each wrong one. */

#include "load/plan.h"
#include "torc.h"

#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define URL "http://127.0.0.1:8080/x"

enum { ARGS = 160 };

static struct plan plan;
static char said[16384];
static char dir[] = "/tmp/torc-plan-XXXXXX";

/* plan_read with stdout and stderr captured in `said`. */
static int read_list(char *const *words)
{
    char *argv[ARGS + 2] = {(char *)(uintptr_t) "torc-load"};
    int argc = 1, saved[2];
    while (*words) argv[argc++] = *words++;
    int memory = memfd_create("said", MFD_CLOEXEC);
    assert_true(memory >= 0);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        saved[i] = dup(i + 1);
        dup2(memory, i + 1);
    }
    int status = plan_read(&plan, argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
    }
    ssize_t n = pread(memory, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(memory);
    return status;
}

#define READ(...) read_list((char *[]){__VA_ARGS__, NULL})

#define GOOD(...)                                                                                  \
    do {                                                                                           \
        if (READ(__VA_ARGS__) != 0) fail_msg("%s", said);                                          \
        assert_string_equal(said, "");                                                             \
    } while (0)

/* One line, to the letter. */
#define BAD(line, ...)                                                                             \
    do {                                                                                           \
        assert_int_equal(READ(__VA_ARGS__), -1);                                                   \
        assert_string_equal(said, "torc-load: " line "\n");                                        \
    } while (0)

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int turn;
    char *p = path[turn ^= 1];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static char *file_of(const char *name, const char *bytes, size_t n)
{
    char *path = (char *)(uintptr_t)path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    return path;
}

static bool sends(uint32_t i, const char *want)
{
    return i < plan.n_requests && slice_eq(plan.request[i].bytes, slice_str(want));
}

static void options_have_defaults(void **state)
{
    (void)state;
    GOOD(URL);
    assert_null(plan.engine);
    assert_int_equal(plan.n_cores, 1);
    assert_true(plan.pin);
    assert_int_equal(plan.connections, 64);
    assert_int_equal(plan.pipeline, 1);
    assert_int_equal(plan.per_connection, 0);
    assert_int_equal(plan.duration, 10 * NS_PER_S);
    assert_int_equal(plan.timeout, 10 * NS_PER_S);
    assert_int_equal(plan.warmup + plan.ramp + plan.count, 0);
    assert_true(plan.rate == 0 && !plan.poisson && !plan.quiet);
    assert_int_equal(plan.seed, 1);
    assert_int_equal(plan.expect_status, 0);
    assert_null(plan.expect_body.ptr);
    assert_int_equal(plan.n_watched, 0);
    assert_null(plan.json);
    assert_null(plan.hdr);
    assert_int_equal(plan.io.depth, 512);
    assert_int_equal(plan.n_requests, 1);
    assert_true(sends(0, "GET /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"));
}

/* ---- numbers ---- */

#define NUMBER(option, field, min, max, range)                                                     \
    do {                                                                                           \
        GOOD(option, #min, URL);                                                                   \
        assert_int_equal(plan.field, UINT64_C(min));                                               \
        GOOD(option "=" #max, URL);                                                                \
        assert_int_equal(plan.field, UINT64_C(max));                                               \
        BAD(option " takes a whole number from " range ", not \"-1\"", option, "-1", URL);         \
        BAD(option " takes a whole number from " range ", not \"\"", option, "", URL);             \
        BAD(option " takes a whole number from " range ", not \"1.5\"", option, "1.5", URL);       \
        BAD(option " takes a whole number from " range ", not \" 1\"", option, " 1", URL);         \
        BAD(option " takes a whole number from " range ", not \"99999999999999999999\"", option,   \
            "99999999999999999999", URL);                                                          \
        BAD(option " takes a whole number from " range ", not \"" URL "\"", option, URL);          \
        BAD(option " takes a whole number from " range ", and none is given", URL, option);        \
    } while (0)

static void numbers_are_within_their_range(void **state)
{
    (void)state;
    NUMBER("--connections", connections, 1, 1000000, "1 to 1000000");
    NUMBER("--requests", count, 1, 1152921504606846976, "1 to 1152921504606846976");
    NUMBER("--pipeline", pipeline, 1, 1024, "1 to 1024");
    NUMBER("--requests-per-connection", per_connection, 0, 1152921504606846976,
           "0 to 1152921504606846976");
    NUMBER("--seed", seed, 0, 18446744073709551615, "0 to 18446744073709551615");
    NUMBER("--expect-status", expect_status, 200, 599, "200 to 599");
    NUMBER("--depth", io.depth, 1, 32768, "1 to 32768");
    BAD("--connections takes a whole number from 1 to 1000000, not \"0\"", "--connections", "0",
        URL);
    BAD("--connections takes a whole number from 1 to 1000000, not \"1000001\"", "--connections",
        "1000001", URL);
    BAD("--requests takes a whole number from 1 to 1152921504606846976, not \"0\"", "--requests=0",
        URL);
    BAD("--pipeline takes a whole number from 1 to 1024, not \"1025\"", "--pipeline", "1025", URL);
    BAD("--expect-status takes a whole number from 200 to 599, not \"100\"", "--expect-status",
        "100", URL);
    BAD("--expect-status takes a whole number from 200 to 599, not \"600\"", "--expect-status",
        "600", URL);
    BAD("--depth takes a whole number from 1 to 32768, not \"0\"", "--depth", "0", URL);
}

#define TIME(option, field)                                                                        \
    do {                                                                                           \
        GOOD(option, "1ms", URL);                                                                  \
        assert_int_equal(plan.field, NS_PER_MS);                                                   \
        GOOD(option, "2s", URL);                                                                   \
        assert_int_equal(plan.field, 2 * NS_PER_S);                                                \
        GOOD(option, "3m", URL);                                                                   \
        assert_int_equal(plan.field, 180 * NS_PER_S);                                              \
        GOOD(option, "24h", URL);                                                                  \
        assert_int_equal(plan.field, 24 * 3600 * NS_PER_S);                                        \
        static const char *const wrong[] = {                                                       \
            "25h", "10", "", "s", "-1s", "1.5s", "1 s", "1us", "99999999999999999999s", "1sx"};    \
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {                                            \
            char line[160];                                                                        \
            snprintf(line, sizeof line,                                                            \
                     "torc-load: %s takes a time with its unit, such as 500ms or "                 \
                     "10s, not \"%s\"\n",                                                          \
                     option, wrong[i]);                                                            \
            assert_int_equal(READ(option, (char *)(uintptr_t)wrong[i], URL), -1);                  \
            assert_string_equal(said, line);                                                       \
        }                                                                                          \
        BAD(option " takes a time with its unit, such as 500ms or 10s, and none is given", URL,    \
            option);                                                                               \
    } while (0)

static void times_need_a_unit(void **state)
{
    (void)state;
    TIME("--duration", duration);
    TIME("--warmup", warmup);
    TIME("--ramp", ramp);
    TIME("--timeout", timeout);
    GOOD("--warmup", "0", "--ramp", "0", URL);
    BAD("--duration takes a time with its unit, such as 500ms or 10s, not \"0\"", "--duration", "0",
        URL);
    BAD("--timeout takes a time with its unit, such as 500ms or 10s, not \"0ms\"", "--timeout",
        "0ms", URL);
}

static void rates_are_within_their_range(void **state)
{
    static const struct {
        const char *text;
        double want;
    } good[] = {
        {"0.001", 0.001}, {"1", 1}, {"2.5", 2.5}, {"1e8", 1e8}, {"50000", 50000},
    };
    static const char *const wrong[] = {"0",      "-1",        "",    "x",   "1x",
                                        "0.0009", "100000001", "nan", "inf", "1e999"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        GOOD("--rate", (char *)(uintptr_t)good[i].text, URL);
        assert_true(plan.rate == good[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char line[160];
        snprintf(line, sizeof line,
                 "torc-load: --rate takes requests a second, from 0.001 to 100000000, not \"%s\"\n",
                 wrong[i]);
        assert_int_equal(READ("--rate", (char *)(uintptr_t)wrong[i], URL), -1);
        assert_string_equal(said, line);
    }
    BAD("--rate takes requests a second, from 0.001 to 100000000, and none is given", URL,
        "--rate");
}

static void arrivals_are_constant_or_poisson(void **state)
{
    (void)state;
    GOOD("--rate", "1", "--arrivals", "poisson", URL);
    assert_true(plan.poisson);
    GOOD("--rate", "1", "--arrivals", "constant", URL);
    assert_false(plan.poisson);
    BAD("--arrivals takes constant or poisson, not \"Poisson\"", "--rate", "1", "--arrivals",
        "Poisson", URL);
    BAD("--arrivals takes constant or poisson, not \"\"", "--arrivals=", URL);
    BAD("--arrivals needs --rate", "--arrivals", "poisson", URL);
    BAD("--arrivals takes constant or poisson, and none is given", URL, "--arrivals");
}

/* ---- requests ---- */

static void methods_and_fields_are_sent(void **state)
{
    (void)state;
    GOOD("--method", "DELETE", "--header", "A: b", "--header", "C:d", URL);
    assert_true(sends(0, "DELETE /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nA: b\r\nC:d\r\n\r\n"));
    BAD("--method takes a name such as PUT, not \"\"", "--method", "", URL);
    BAD("--method takes a name such as PUT, not \"GET /\"", "--method", "GET /", URL);
    BAD("--method takes a name such as PUT, not \"GET??\"", "--method", "GET\r\n", URL);
    BAD("--method takes a name such as PUT, and none is given", URL, "--method");
    BAD("--header takes 'Name: value', not \"x\"", "--header", "x", URL);
    BAD("--header takes 'Name: value', not \": x\"", "--header", ": x", URL);
    BAD("--header takes 'Name: value', not \"a: b??c: d\"", "--header", "a: b\r\nc: d", URL);
    BAD("--header takes 'Name: value', and none is given", URL, "--header");

    char *many[ARGS] = {0};
    int n = 0;
    for (int i = 0; i < PLAN_HEADERS; i++) {
        many[n++] = (char *)(uintptr_t) "--header";
        many[n++] = (char *)(uintptr_t) "a:b";
    }
    many[n++] = (char *)(uintptr_t)URL;
    assert_int_equal(read_list(many), 0);
    many[n++] = (char *)(uintptr_t) "--header=a:b";
    assert_int_equal(read_list(many), -1);
    assert_string_equal(said, "torc-load: --header: 64 at most\n");
}

static void bodies_are_sent(void **state)
{
    char *file = file_of("body", "a\0b", 3);
    (void)state;
    GOOD("--body", "hi", URL);
    assert_true(
        sends(0, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 2\r\n\r\nhi"));
    GOOD("--body", "", "--method", "PUT", URL);
    assert_true(sends(0, "PUT /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n\r\n"));
    GOOD("--body-size", "3", URL);
    assert_true(
        sends(0, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 3\r\n\r\nxxx"));
    GOOD("--body-size", "20m", URL);
    assert_true(plan.request[0].bytes.len > 20 << 20);
    GOOD("--body-file", file, URL);
    static const char want[] =
        "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 3\r\n\r\na\0b";
    assert_true(slice_eq(plan.request[0].bytes, SLICE(want)));
    GOOD("--body", "hi", "--chunked", URL);
    assert_true(sends(0, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: "
                         "chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
    BAD("--chunked needs a body", "--chunked", URL);
    BAD("--body: the body is already given", "--body-size", "1", "--body", "x", URL);
    BAD("--body-size: the body is already given", "--body", "x", "--body-size", "1", URL);
    BAD("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"1025m\"", "--body-size",
        "1025m", URL);
    BAD("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"-1\"", "--body-size", "-1",
        URL);
    BAD("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"\"", "--body-size", "",
        URL);
    BAD("--body-file: cannot read /nowhere/x: No such file or directory", "--body-file",
        "/nowhere/x", URL);
    BAD("--body-file: cannot read /: Is a directory", "--body-file", "/", URL);
    BAD("a chunked body cannot have placeholders: its chunks have fixed sizes", "--chunked",
        "--body", "{seq:1}", URL);
    BAD("\"{seq:}\" is not {rand:MIN:MAX} or {seq:START}", "--body", "{seq:}", URL);
}

static void templates_are_sent(void **state)
{
    char *a = file_of("a", "GET /{seq:0} HTTP/1.1\r\n\r\n", 25), *empty = file_of("empty", "", 0);
    (void)state;
    GOOD("--template", a, "--template", a, URL, "http://127.0.0.1:8080/unused");
    assert_int_equal(plan.n_requests, 2);
    assert_int_equal(plan.n_sequences, 2);
    assert_int_equal(plan.request[1].head.part[1].number, 1);
    assert_int_equal(READ("--template", empty, URL), -1);
    assert_non_null(strstr(said, "/empty is empty\n"));
    BAD("--template: cannot read /nowhere/x: No such file or directory", "--template", "/nowhere/x",
        URL);
    BAD("--template is a whole request: --method, --header and --body do not apply", "--template",
        a, "--body", "x", URL);
    BAD("--template is a whole request: --method, --header and --body do not apply", "--template",
        a, "--header", "a:b", URL);
    BAD("--template is a whole request: --method, --header and --body do not apply", "--template",
        a, "--method", "GET", URL);
    char *bad = file_of("bad", "{rand:2:1}", 10);
    BAD("--template: \"{rand:2:1}\" is not {rand:MIN:MAX} or {seq:START}", "--template", bad, URL);
}

static void expected_bodies_are_read(void **state)
{
    char *file = file_of("want", "x\0y", 3);
    (void)state;
    GOOD("--expect-body", "", URL);
    assert_non_null(plan.expect_body.ptr);
    assert_int_equal(plan.expect_body.len, 0);
    GOOD("--expect-body-file", file, URL);
    assert_true(slice_eq(plan.expect_body, SLICE("x\0y")));
    BAD("--expect-body-file: cannot read /nowhere/x: No such file or directory",
        "--expect-body-file", "/nowhere/x", URL);
}

/* ---- the rest ---- */

static void cores_and_engines_must_exist(void **state)
{
    char first[16];
    uint16_t usable[CPUS_MAX];
    uint32_t n = cpus_usable(usable);
    (void)state;
    snprintf(first, sizeof first, "%u-%u", usable[n - 1], usable[n - 1]);
    GOOD("--cores", first, "--no-pin", URL);
    assert_int_equal(plan.n_cores, 1);
    assert_int_equal(plan.cpu[0], usable[n - 1]);
    assert_false(plan.pin);
    BAD("--cores takes how many CPUs (2) or which (0-3,8), not \"x\"", "--cores", "x", URL);
    BAD("--cores takes how many CPUs (2) or which (0-3,8), not \"\"", "--cores", "", URL);
    assert_int_equal(READ("--cores", "0", URL), -1);
    assert_int_equal(READ("--cores", "99999", URL), -1);
    assert_true(strncmp(said, "torc-load: --cores 99999: ", 26) == 0);
    if (n > 1) {
        GOOD("--cores", "2", URL);
        assert_int_equal(plan.n_cores, 2);
        BAD("--connections 1: each of the 2 cores needs at least one", "--cores", "2",
            "--connections", "1", URL);
    }
    for (const struct io_engine *const *e = io_engines; *e; e++) {
        GOOD("--engine", (char *)(uintptr_t)io_engine_name(*e), URL);
        assert_string_equal(plan.engine, io_engine_name(*e));
    }
    BAD("--engine takes io_uring or epoll: threads is not built in", "--engine", "threads", URL);
    BAD("--engine takes io_uring or epoll, not \"select\"", "--engine", "select", URL);
}

static void reports_must_be_different_files(void **state)
{
    (void)state;
    GOOD("--json", "a", "--hdr", "b", "--quiet", "--watch", "1", "--watch", "2147483647", URL);
    assert_string_equal(plan.json, "a");
    assert_string_equal(plan.hdr, "b");
    assert_true(plan.quiet);
    assert_int_equal(plan.n_watched, 2);
    assert_int_equal(plan.watched[1], 2147483647);
    GOOD("--json", "-", "--hdr", "b", URL);
    GOOD("--json", "a", "--hdr", "-", URL);
    BAD("--json - and --hdr - would mix on stdout: write one of them to a file", "--json", "-",
        "--hdr", "-", URL);
    BAD("--json and --hdr name the same file, a", "--json", "a", "--hdr", "a", URL);
    BAD("--watch takes a whole number from 1 to 2147483647, not \"0\"", "--watch", "0", URL);
    BAD("--watch takes a whole number from 1 to 2147483647, not \"2147483648\"", "--watch",
        "2147483648", URL);
}

static void unknown_options_are_rejected(void **state)
{
    (void)state;
    BAD("unknown option --nothing (see --help)", "--nothing", URL);
    BAD("unknown option --nothing (see --help)", "--nothing=3", URL);
    BAD("--quiet takes yes or no, not \"3\"", "--quiet=3", URL);
    BAD("unknown option -x (see --help)", "-x", URL);
    BAD("unknown option -xyz (see --help)", "--quiet", "-xyz", URL);
    BAD("unknown option -c: here it is --connections (see --help)", "-c", "64", URL);
    BAD("unknown option -t: here it is --cores (see --help)", "-t2", URL);
    BAD("unknown option --threads: here it is --cores (see --help)", "--threads", "2", URL);
    BAD("unknown option --threads: here it is --cores (see --help)", "--threads=2", URL);
    BAD("unknown option --threadsx (see --help)", "--threadsx", URL);
    BAD("unknown option --latency: latencies are always reported", "--latency", URL);
    BAD("no URL given (see --help)", "--quiet");
    GOOD("--", URL);
}

static void help_and_version_end_the_reading(void **state)
{
    (void)state;
    assert_int_equal(READ("--version"), 1);
    assert_string_equal(said, "torc-load " TORC_VERSION "\n");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(i == 0   ? READ("--help")
                         : i == 1 ? READ("-h")
                                  : READ("--quiet", "-h", "--nothing"),
                         1);
        assert_true(strncmp(said, "Usage: torc-load ", 17) == 0);
    }
}

/* Each option has a description, beside its name or on the next line. */
static void every_option_has_help(void **state)
{
    int n = 0;
    (void)state;
    assert_int_equal(READ("--help"), 1);
    for (const char *at = said; (at = strstr(at, "\n  --")); n++) {
        const char *text = strstr(at + 3, "  ");
        at += 3;
        text += strspn(text, " ");
        if (*text < 'a' || *text > 'z') fail_msg("%.40s", at);
    }
    assert_int_equal(n, 31);
    for (const char *line = said, *end; (end = strchr(line, '\n')); line = end + 1)
        if (end - line > 103) fail_msg("%.*s", (int)(end - line), line);
}

/* ---- URLs ---- */

static uint16_t port(void)
{
    return ntohs(plan.addr.sa.sa_family == AF_INET6 ? plan.addr.in6.sin6_port
                                                    : plan.addr.in.sin_port);
}

static void urls_name_host_and_target(void **state)
{
    (void)state;
    GOOD("http://127.0.0.1");
    assert_int_equal(port(), 80);
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    GOOD("HTTP://127.0.0.1:/a");
    assert_int_equal(port(), 80);
    GOOD("http://127.0.0.1:65535/a/b?c=d&e={rand:1:1}#fragment");
    assert_int_equal(port(), 65535);
    assert_int_equal(plan.request[0].head.n, 4);
    assert_true(slice_eq(plan.request[0].head.part[0].text, SLICE("GET /a/b?c=d&e=")));
    GOOD("http://127.0.0.1/#f");
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    GOOD("http://127.0.0.1#f");
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    GOOD("http://[::1]:81/a");
    assert_int_equal(plan.addr.sa.sa_family, AF_INET6);
    assert_int_equal(port(), 81);
    assert_true(sends(0, "GET /a HTTP/1.1\r\nHost: [::1]:81\r\n\r\n"));
    GOOD("http://[::1]");
    assert_int_equal(plan.addr.sa.sa_family, AF_INET6);
    assert_int_equal(port(), 80);
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"));
    GOOD("http://127.0.0.1:1/");
    assert_int_equal(plan.n_addrs, 1);
    GOOD("http://localhost:1/");
    assert_true(plan.n_addrs >= 1);
    assert_int_equal(plan.addr.sa.sa_family, plan.addrs[0].sa.sa_family);
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n"));
}

static void wrong_urls_are_rejected(void **state)
{
    (void)state;
    BAD("\"https://a/\": TLS is not supported, only http://", "https://a/");
    BAD("\"HTTPS://a\": TLS is not supported, only http://", "HTTPS://a");
    BAD("\"https:a\" is not a URL such as http://127.0.0.1:8080/path", "https:a");
    BAD("\"127.0.0.1:80\" is not a URL such as http://127.0.0.1:8080/path", "127.0.0.1:80");
    BAD("\"\" is not a URL such as http://127.0.0.1:8080/path", "");
    BAD("\"http://\" has no host", "http://");
    BAD("\"http:///a\" has no host", "http:///a");
    BAD("\":80\" has no host", "http://:80/a");
    BAD("\"http://me@127.0.0.1/\": user names are not supported", "http://me@127.0.0.1/");
    BAD("\"http://127.0.0.1?a\": put a / before the ?", "http://127.0.0.1?a");
    BAD("\"http://127.0.0.1/a b\" has a character that must be percent-encoded",
        "http://127.0.0.1/a b");
    BAD("\"http://127.0.0.1/a??X: y\" has a character that must be percent-encoded",
        "http://127.0.0.1/a\r\nX: y");
    BAD("127.0.0.1:0: invalid port", "http://127.0.0.1:0/");
    BAD("127.0.0.1:65536: invalid port", "http://127.0.0.1:65536/");
    BAD("127.0.0.1:x: invalid port", "http://127.0.0.1:x/");
    BAD("127.0.0.1:-1: invalid port", "http://127.0.0.1:-1/");
    BAD("::1: an IPv6 address needs brackets", "http://::1/");
    BAD("fe80::1:80: an IPv6 address needs brackets", "http://fe80::1:80/");
    assert_int_equal(READ("http://[::1/"), -1);
    assert_int_equal(READ("http://[]/"), -1);
    assert_int_equal(READ("http://[::1]x/"), -1);
}

static void several_urls_name_one_server(void **state)
{
    (void)state;
    GOOD("http://127.0.0.1:8080/a", "--quiet", "http://127.0.0.1:8080/b");
    assert_int_equal(plan.n_requests, 2);
    assert_true(plan.quiet);
    assert_true(sends(1, "GET /b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"));
    BAD("\"http://127.0.0.1:8081/b\": all URLs must name the same server",
        "http://127.0.0.1:8080/a", "http://127.0.0.1:8081/b");
    BAD("\"http://127.0.0.2:8080/\": all URLs must name the same server", "http://127.0.0.1:8080/a",
        "http://127.0.0.2:8080/");
    char *many[ARGS] = {0};
    for (int i = 0; i < PLAN_REQUESTS; i++) many[i] = (char *)(uintptr_t)URL;
    assert_int_equal(read_list(many), 0);
    assert_int_equal(plan.n_requests, PLAN_REQUESTS);
    many[PLAN_REQUESTS] = (char *)(uintptr_t)URL;
    assert_int_equal(read_list(many), -1);
    assert_string_equal(said, "torc-load: 64 URLs at most\n");
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"body", "a", "empty", "bad", "want"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) unlink(path_of(names[i]));
    return rmdir(dir);
}

/* Of the leak sanitizer: what plan_read allocates is never freed. */
void __lsan_disable(void) __attribute__((weak));

int main(void)
{
    if (__lsan_disable) __lsan_disable();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(numbers_are_within_their_range),
        cmocka_unit_test(times_need_a_unit),
        cmocka_unit_test(rates_are_within_their_range),
        cmocka_unit_test(arrivals_are_constant_or_poisson),
        cmocka_unit_test(methods_and_fields_are_sent),
        cmocka_unit_test(bodies_are_sent),
        cmocka_unit_test(templates_are_sent),
        cmocka_unit_test(expected_bodies_are_read),
        cmocka_unit_test(cores_and_engines_must_exist),
        cmocka_unit_test(reports_must_be_different_files),
        cmocka_unit_test(unknown_options_are_rejected),
        cmocka_unit_test(help_and_version_end_the_reading),
        cmocka_unit_test(every_option_has_help),
        cmocka_unit_test(urls_name_host_and_target),
        cmocka_unit_test(wrong_urls_are_rejected),
        cmocka_unit_test(several_urls_name_one_server),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
