/* The command line: the plan that each option makes, and the message for each wrong one. */

#include "plan_reading.h"
#include "torc.h"

#include <inttypes.h>
#include <stdlib.h>

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
        BAD(option " takes a whole number from " range ", but no value was given", URL, option);   \
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

#define TIME(option, least, field)                                                                 \
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
                     "torc-load: %s takes a time from " least " to 24h with a unit, such as "      \
                     "500ms, 10s or 2m, not \"%s\"\n",                                             \
                     option, wrong[i]);                                                            \
            assert_int_equal(READ(option, (char *)(uintptr_t)wrong[i], URL), -1);                  \
            assert_string_equal(said, line);                                                       \
        }                                                                                          \
        BAD(option " takes a time from " least                                                     \
                   " to 24h with a unit, such as 500ms, 10s or 2m, but no value was given",        \
            URL, option);                                                                          \
    } while (0)

static void times_need_a_unit(void **state)
{
    (void)state;
    TIME("--duration", "1ms", duration);
    TIME("--warmup", "0", warmup);
    TIME("--ramp", "0", ramp);
    TIME("--timeout", "1ms", timeout);
    GOOD("--warmup", "0", "--ramp", "0", URL);
    BAD("--duration takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, not \"0\"",
        "--duration", "0", URL);
    BAD("--timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, not \"0ms\"",
        "--timeout", "0ms", URL);
}

static void rates_are_within_their_range(void **state)
{
    static const struct {
        const char *text;
        double want;
    } good[] = {
        {"0.001", 0.001}, {"1", 1}, {"2.5", 2.5}, {"1e8", 1e8}, {"50000", 50000},
    };
    static const char *const wrong[] = {"0",   "-1",  "",      "x",    "1x", "0.0009", "100000001",
                                        "nan", "inf", "1e999", "0x10", " 5", "5 "};
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
    BAD("--rate takes requests a second, from 0.001 to 100000000, but no value was given", URL,
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
    BAD("--arrivals takes constant or poisson, but no value was given", URL, "--arrivals");
}

/* Deadlines are of an open loop, and end within the timeout. */
static void clients_try_again_after_a_deadline(void **state)
{
    static const char *const wrong[] = {"",     "-1",    "1001",   "x",    "1,",  "1,5", "1,-5ms",
                                        ",5ms", "1,25h", "1,5ms,", "1 ,0", "1.5", "1;0", "1,5ms,5"};
    (void)state;
    GOOD(URL);
    assert_int_equal(plan.deadline + plan.retries + plan.retry_pause, 0);
    assert_int_equal(plan_longest_wait(&plan), 10 * NS_PER_S);
    GOOD("--rate", "1", "--deadline", "500ms", "--retry", "3,100ms", URL);
    assert_int_equal(plan.deadline, 500 * NS_PER_MS);
    assert_int_equal(plan.retries, 3);
    assert_int_equal(plan.retry_pause, 100 * NS_PER_MS);
    assert_int_equal(plan_longest_wait(&plan), 11800 * NS_PER_MS);
    GOOD("--retry", "1000", "--rate", "1", "--deadline", "10s", URL);
    assert_int_equal(plan.retries, 1000);
    assert_int_equal(plan.retry_pause, 0);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char line[160];
        snprintf(line, sizeof line,
                 "torc-load: --retry takes a number from 0 to 1000, or one and a pause, such as "
                 "3,100ms, not \"%s\"\n",
                 wrong[i]);
        assert_int_equal(
            READ("--rate", "1", "--deadline", "1s", "--retry", (char *)(uintptr_t)wrong[i], URL),
            -1);
        assert_string_equal(said, line);
    }
    BAD("--deadline takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, not \"0\"",
        "--deadline", "0", URL);
    BAD("--retry needs --deadline", "--rate", "1", "--retry", "3", URL);
    BAD("--retry needs --deadline", "--rate", "1", "--retry", "0,1s", URL);
    BAD("--deadline needs --rate", "--deadline", "1s", URL);
    BAD("--deadline is longer than --timeout", "--rate", "1", "--deadline", "11s", URL);
    BAD("--deadline and --pipeline: a client that gives up has one request in flight", "--rate",
        "1", "--deadline", "1s", "--pipeline", "2", URL);
}

/* ---- other options ---- */

static void sources_are_addresses_of_this_machine(void **state)
{
    (void)state;
    GOOD(URL);
    assert_int_equal(plan.source.count, 0);
    GOOD("--source", "127.0.0.2", URL);
    assert_int_equal(plan.source.count, 1);
    GOOD("--source", "127.0.0.255-127.0.1.2", URL);
    assert_int_equal(plan.source.count, 4);
    assert_int_equal(plan.n_addrs, 1);
    static const char *const wrong[] = {"",
                                        "-",
                                        "127.0.0.1-",
                                        "-127.0.0.1",
                                        "127.0.0.3-127.0.0.2",
                                        "127.0.0.1-::1",
                                        "127.0.0.1-127.2.0.0",
                                        "localhost",
                                        "127.0.0.1:80",
                                        "fd00::1-fe00::1",
                                        "::1-::2-::3"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(READ("--source", (char *)(uintptr_t)wrong[i], URL), -1);
        assert_non_null(strstr(said, "--source takes an address or FIRST-LAST, at most 65536"));
    }
    BAD("--source: no connection can come from 192.0.2.1: Cannot assign requested address",
        "--source", "192.0.2.1", URL);
    BAD("--source and the server's address are not of one family", "--source", "127.0.0.2",
        "http://[::1]:8080/");
}

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
        if (io_holds_thread(*e)) continue; /* a generator has many connections */
        GOOD("--engine", (char *)(uintptr_t)io_engine_name(*e), URL);
        assert_string_equal(plan.engine, io_engine_name(*e));
    }
    BAD("--engine takes io_uring or epoll, not \"threads\"", "--engine", "threads", URL);
    BAD("--engine takes io_uring or epoll, not \"select\"", "--engine", "select", URL);
}

static void reports_must_be_different_files(void **state)
{
    (void)state;
    GOOD("--json", "a", "--hdr", "b", "--quiet", "--watch", "1", "--watch", "2147483647", "--watch",
         "1", URL);
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
    BAD("unknown option -c: use --connections (see --help)", "-c", "64", URL);
    BAD("unknown option --concurrency: use --connections (see --help)", "--concurrency=64", URL);
    BAD("unknown option --conns, did you mean --connections? (see --help)", "--conns=64", URL);
    BAD("unknown option -t: use --cores (see --help)", "-t2", URL);
    BAD("unknown option --threads: use --cores (see --help)", "--threads", "2", URL);
    BAD("unknown option --threads: use --cores (see --help)", "--threads=2", URL);
    BAD("unknown option --threadsx (see --help)", "--threadsx", URL);
    BAD("unknown option --latency: latencies are always reported", "--latency", URL);
    BAD("no URL given (see --help)", "--quiet");
    GOOD("--", URL);
    BAD("\"--requests\" is not a URL such as http://127.0.0.1:8080/path", "--quiet", "--",
        "--requests", URL);
}

static void help_and_version_end_the_reading(void **state)
{
    (void)state;
    assert_int_equal(READ("--version"), 1);
    assert_string_equal(said, "torc-load " TORC_VERSION "\n");
    GOOD("--no-version", "--help=no", URL);
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
    assert_int_equal(n, 34);
    for (const char *line = said, *end; (end = strchr(line, '\n')); line = end + 1)
        if (end - line > 103) fail_msg("%.*s", (int)(end - line), line);
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
        cmocka_unit_test(clients_try_again_after_a_deadline),
        cmocka_unit_test(sources_are_addresses_of_this_machine),
        cmocka_unit_test(cores_and_engines_must_exist),
        cmocka_unit_test(reports_must_be_different_files),
        cmocka_unit_test(unknown_options_are_rejected),
        cmocka_unit_test(help_and_version_end_the_reading),
        cmocka_unit_test(every_option_has_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
