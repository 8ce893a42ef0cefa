/* The reports of made-up runs. */

#include "load/report.h"

#include "../base/random.h"
#include "json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct plan plan;
static struct run run;
static char path[] = "/tmp/torc-result-XXXXXX";
static char *text;
static json_t *json; /* what was written last */

static int set_up(void **state)
{
    (void)state;
    memset(&run, 0, sizeof run);
    plan = (struct plan){.n_cores = 2, .connections = 8, .pipeline = 3};
    run.plan = &plan;
    run.engine = io_engines[0];
    run.wall_ns = run.cpu_wall_ns = 2 * NS_PER_S;
    run.user_ns = 300 * NS_PER_MS;
    run.system_ns = 100 * NS_PER_MS;
    run.cores_ns = 400 * NS_PER_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    json_decref(json);
    json = NULL;
    return 0;
}

static const char *contents(void)
{
    FILE *f = fopen(path, "r");
    size_t cap = 1 << 22;
    assert_non_null(f);
    free(text);
    text = malloc(cap);
    assert_non_null(text);
    size_t n = fread(text, 1, cap - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

static void record(struct histogram *h, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        histogram_add(h, 20000 + random_below(8000) + (i % 100 ? 0 : random_log(34)));
}

static json_t *write_json(void)
{
    struct output to;
    assert_int_equal(output_open(&to, path), 0);
    assert_int_equal(report_json(&run, &to), 0);
    const char *written = contents();
    assert_int_equal(written[strlen(written) - 1], '\n');
    json_decref(json);
    return json = json_read(written);
}

static double number(const char *before, const char *name)
{
    char at[80];
    snprintf(at, sizeof at, "latency_ns.%s.%s", before, name);
    return json_number(json, at);
}

/* Counts, sums and quantiles of one histogram against the list of its values. */
static void agrees(const char *name, const struct histogram *h)
{
    static const struct {
        const char *key;
        double q;
    } quantiles[] = {{"p50", 0.5}, {"p75", 0.75}, {"p90", 0.9}, {"p99", 0.99}};
    char at[80];
    double last = number(name, "min");
    assert_true(number(name, "count") == (double)h->count);
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++) {
        double v = number(name, quantiles[i].key);
        assert_true(v >= last);
        last = v;
    }
    assert_true(number(name, "max") >= last);
    assert_true(last <= (double)histogram_quantile(h, 0.999));

    uint64_t count = 0, before = 0;
    double sum = 0;
    snprintf(at, sizeof at, "latency_ns.%s.histogram", name);
    json_t *list = json_at(json, at), *pair;
    size_t k = 0, i;
    assert_true(json_is_array(list));
    json_array_foreach(list, i, pair)
    {
        json_int_t ns_read, n_read;
        assert_int_equal(json_unpack(pair, "[II!]", &ns_read, &n_read), 0);
        uint64_t ns = (uint64_t)ns_read, n = (uint64_t)n_read;
        assert_true(n > 0);
        assert_true(count == 0 || ns > before);
        before = ns;
        count += n;
        sum += (double)ns * (double)n;
        /* The value whose rank is reached here is what the quantiles say. */
        for (; k < ARRAY_LEN(quantiles) && (double)count >= quantiles[k].q * (double)h->count;
             k++) {
            double v = number(name, quantiles[k].key),
                   off = v > (double)ns ? v - (double)ns : (double)ns - v;
            assert_true(off <= (double)ns / 1000);
        }
    }
    assert_int_equal(count, h->count);
    assert_int_equal(k, h->count ? ARRAY_LEN(quantiles) : 0);
    double mean = number(name, "mean"), listed = h->count ? sum / (double)h->count : 0;
    assert_true(mean >= listed * 0.999 - 1 && mean <= listed * 1.001 + 1);
}

static void json_agrees_with_itself(void **state)
{
    (void)state;
    plan.rate = 12345;
    plan.poisson = true;
    record(&run.raw, 5000);
    record(&run.corrected, 5017);
    run.unsent = 17;
    run.counts.replies = 5000;
    run.counts.answered = run.cpu_replies = 4000;
    run.counts.total = 5100;
    run.counts.status[200] = 4990;
    run.counts.status[599] = 10;
    run.counts.bytes_in = 1 << 20;
    run.counts.bytes_out = 1 << 19;
    run.counts.connects = 9;
    write_json();
    assert_true(json_number(json, "format") == 1);
    assert_true(json_is(json, "mode", "\"open\""));
    assert_true(json_is(json, "arrivals", "\"poisson\""));
    assert_true(json_number(json, "rate") == 12345);
    assert_true(json_number(json, "seconds") == 2);
    assert_true(json_number(json, "requests") == 5000);
    assert_true(json_number(json, "answered") == 4000);
    assert_true(json_number(json, "requests_total") == 5100);
    assert_true(json_number(json, "per_second") == 2000);
    assert_true(json_number(json, "connects") == 9);
    assert_true(json_number(json, "unsent") == 17);
    assert_true(json_number(json, "bytes_in") == 1 << 20);
    assert_true(json_number(json, "bytes_out") == 1 << 19);
    assert_true(json_number(json, "status.200") == 4990);
    assert_true(json_number(json, "status.599") == 10);
    for (int e = 0; e < LOAD_ERRORS; e++) {
        char at[40];
        snprintf(at, sizeof at, "errors.%s", load_error_names[e]);
        assert_true(json_number(json, at) == 0);
    }
    assert_true(json_number(json, "cpu.ns_per_request") == 100000);
    assert_true(json_number(json, "cpu.share") == 0.1);
    assert_true(json_is(json, "saturated", "false"));
    assert_null(json_at(json, "watch"));
    agrees("raw", &run.raw);
    agrees("corrected", &run.corrected);
}

/* With the digits that were given and no more. */
static void json_rates_are_exact(void **state)
{
    static const char *const rates[] = {"0", "0.001", "0.1", "12345.678", "12345678", "100000000"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        char want[32];
        plan.rate = strtod(rates[i], NULL);
        snprintf(want, sizeof want, "\"rate\":%s,", rates[i]);
        write_json();
        assert_non_null(strstr(text, want));
        assert_true(json_number(json, "rate") == plan.rate);
    }
}

static void json_of_an_empty_run_is_valid(void **state)
{
    (void)state;
    run.wall_ns = run.cpu_wall_ns = 0;
    run.interrupted = true;
    write_json();
    assert_true(json_number(json, "requests") == 0);
    assert_true(json_number(json, "per_second") == 0);
    assert_true(json_is(json, "interrupted", "true"));
    assert_true(json_is(json, "status", "{}"));
    agrees("raw", &run.raw);
    agrees("corrected", &run.corrected);
}

static void json_has_the_watched_processes(void **state)
{
    struct interval intervals[] = {{5, 10, 20, 30}, {5, 40, 50, 60}};
    (void)state;
    plan.n_watched = 1;
    run.watched_ns = 70;
    run.intervals = (struct intervals){.all = intervals, .n = 2};
    write_json();
    assert_true(json_number(json, "watch.cpu_ns") == 70);
    assert_true(json_is(json, "watch.slices", "[[10,20,30],[40,50,60]]"));
    assert_true(json_is(json, "watch.ended", "false"));
    run.watch.ended = true;
    assert_true(json_is(write_json(), "watch.ended", "true"));
}

static void json_has_what_a_deadline_did(void **state)
{
    struct interval intervals[] = {{5, 4, 20, 30}, {7, 1, 50, 60}};
    (void)state;
    assert_null(json_at(write_json(), "deadline"));
    plan.deadline = 500 * NS_PER_MS;
    run.counts.issued = 8;
    run.counts.retries = 4;
    run.counts.errors_measured[ERROR_TIMEOUT] = 2;
    run.intervals = (struct intervals){.all = intervals, .n = 2};
    write_json();
    assert_true(json_number(json, "deadline.ns") == 5e8);
    assert_true(json_number(json, "deadline.attempts") == 12);
    assert_true(json_number(json, "deadline.retries") == 4);
    assert_true(json_number(json, "deadline.given_up") == 2);
    assert_true(json_is(json, "deadline.slices", "[[5,4,30],[7,1,60]]"));
}

static void json_has_a_sample_of_each_error(void **state)
{
    (void)state;
    write_json();
    assert_true(json_is(json, "first_errors", "{}"));
    run.counts.errors[ERROR_BODY] = 5;
    run.counts.errors_measured[ERROR_BODY] = 3;
    run.counts.errors[ERROR_RESET] = 1;
    run.sample[ERROR_BODY] = (struct error_sample){7, "byte 1 differs: \"\\x00\" came"};
    run.sample[ERROR_RESET] = (struct error_sample){9, "closed"};
    write_json();
    assert_true(
        json_is(json, "first_errors",
                "{\"reset\":\"closed\",\"body\":\"byte 1 differs: \\\"\\\\x00\\\" came\"}"));
    assert_true(json_number(json, "errors.body") == 5);
    assert_true(json_number(json, "errors_measured.body") == 3);
    assert_true(json_number(json, "errors_measured.reset") == 0);
}

static void json_has_run_delay(void **state)
{
    (void)state;
    plan.n_watched = 1;
    write_json();
    assert_true(json_is(json, "cpu.waited_share", "null"));
    assert_true(json_is(json, "watch.waited_ns", "null"));
    run.run_delay = (struct run_delay){NS_PER_S, 10};
    run.watched_run_delay = (struct run_delay){12345, 1};
    write_json();
    assert_true(json_number(json, "cpu.waited_share") == 0.25); /* of 2 s on 2 cores */
    assert_true(json_number(json, "watch.waited_ns") == 12345);
    assert_non_null(strstr(json_text(json, "advice"),
                           "other programs kept the generator from its CPU for 25 %"));
}

static void json_has_advice(void **state)
{
    (void)state;
    run.cores_ns = 3900 * NS_PER_MS;
    write_json();
    assert_true(json_is(json, "saturated", "true"));
    assert_non_null(strstr(json_text(json, "advice"), "--cores"));
    run.cores_ns = 0;
    run.unsent = 1;
    assert_non_null(strstr(json_text(write_json(), "advice"), "--connections"));
}

/* ---- the HdrHistogram text ---- */

static const char *write_hdr(void)
{
    struct output to;
    assert_int_equal(output_open(&to, path), 0);
    assert_int_equal(report_hdr(&run, &to), 0);
    return contents();
}

static void hdr_is_a_percentile_distribution(void **state)
{
    (void)state;
    record(&run.corrected, 20000);
    const char *at = write_hdr();
    static const char head[] = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    assert_true(strncmp(at, head, sizeof head - 1) == 0);
    at += sizeof head - 1;
    double value = 0, percentile = 0;
    unsigned long long seen = 0;
    while (*at != '#') {
        double v, p, inverse;
        unsigned long long n;
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        int fields = sscanf(at, "%lf %lf %llu %lf", &v, &p, &n, &inverse);
        assert_true(v > value && p > percentile && n > seen && p <= 1);
        assert_true(p >= (double)n / 20000 - 1e-9 && p <= (double)n / 20000 + 1e-9);
        value = v;
        percentile = p;
        seen = n;
        if (n < 20000) {
            /* Two decimals of a quotient of twelve. */
            assert_int_equal(fields, 4);
            assert_true(inverse >= 1 / (1 - p) * 0.9999 - 0.01 &&
                        inverse <= 1 / (1 - p) * 1.0001 + 0.01);
        } else {
            assert_int_equal(memchr(at, '\n', (size_t)(end - at) + 1) == end, 1);
            assert_true(end[1] == '#'); /* no fourth column, and the last line */
        }
        at = end + 1;
    }
    assert_int_equal(seen, 20000);
    assert_true(percentile == 1);
    double mean, deviation, max;
    unsigned long long total;
    int buckets, sub;
    assert_int_equal(
        sscanf(at,
               "#[Mean    = %lf, StdDeviation   = %lf]\n#[Max     = %lf, Total count    = %llu]\n"
               "#[Buckets = %d, SubBuckets     = %d]\n",
               &mean, &deviation, &max, &total, &buckets, &sub),
        6);
    assert_int_equal(total, 20000);
    assert_true(max >= (double)run.corrected.max / 1e6 - 1e-6 &&
                max <= (double)run.corrected.max / 1e6 + 1e-6);
    assert_true(value <= max * 1.001);
    assert_true(mean > 0 && mean < max && deviation > 0);
}

static void hdr_of_an_empty_run_is_valid(void **state)
{
    (void)state;
    assert_non_null(strstr(write_hdr(), "Total count    =            0]"));
}

/* ---- files ---- */

static void unwritable_files_are_errors(void **state)
{
    struct output to;
    (void)state;
    record(&run.raw, 10);
    record(&run.corrected, 10);
    assert_int_equal(output_open(&to, "/nowhere/x"), -1);
    assert_int_equal(output_open(&to, "/dev/full"), 0);
    assert_int_equal(report_json(&run, &to), -1);
    assert_int_equal(output_open(&to, "/dev/full"), 0);
    assert_int_equal(report_hdr(&run, &to), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(json_agrees_with_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_rates_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_an_empty_run_is_valid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_the_watched_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_what_a_deadline_did, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_a_sample_of_each_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_run_delay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_advice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hdr_is_a_percentile_distribution, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hdr_of_an_empty_run_is_valid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unwritable_files_are_errors, set_up, tear_down),
    };
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
