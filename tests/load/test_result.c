/* Reports, from runs that never were: JSON that agrees with itself, and the HdrHistogram text. */

#include "load/result.h"

#include "../base/random.h"
#include "json.h"

#include <errno.h>
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
    run.wall_ns = 2 * NS_PER_S;
    run.user_ns = 300 * NS_PER_MS;
    run.system_ns = 100 * NS_PER_MS;
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
    assert_int_equal(result_write_json(&run, &to), 0);
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
    run.counts.answered = 4000;
    run.counts.total = 5100;
    run.counts.status[200] = 4990;
    run.counts.status[599] = 10;
    run.bytes_in = 1 << 20;
    run.bytes_out = 1 << 19;
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

/* As it was given, to the last digit and no further. */
static void json_rates(void **state)
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

static void json_of_nothing(void **state)
{
    (void)state;
    run.wall_ns = 0;
    run.interrupted = true;
    write_json();
    assert_true(json_number(json, "requests") == 0);
    assert_true(json_number(json, "per_second") == 0);
    assert_true(json_is(json, "interrupted", "true"));
    assert_true(json_is(json, "status", "{}"));
    agrees("raw", &run.raw);
    agrees("corrected", &run.corrected);
}

static void json_of_what_was_watched(void **state)
{
    struct slice_of_run slices[] = {{10, 20, 30}, {40, 50, 60}};
    (void)state;
    plan.n_watched = 1;
    run.watched_ns = 70;
    run.slices = slices;
    run.n_slices = 2;
    write_json();
    assert_true(json_number(json, "watch.cpu_ns") == 70);
    assert_true(json_is(json, "watch.slices", "[[10,20,30],[40,50,60]]"));
    assert_true(json_is(json, "watch.ended", "false"));
    run.watch.ended = true;
    assert_true(json_is(write_json(), "watch.ended", "true"));
}

/* Of the first error of each kind, those that were. */
static void json_of_errors(void **state)
{
    (void)state;
    write_json();
    assert_true(json_is(json, "first_errors", "{}"));
    run.counts.errors[ERROR_BODY] = 5;
    run.counts.errors_measured[ERROR_BODY] = 3;
    run.counts.errors[ERROR_RESET] = 1;
    run.first[ERROR_BODY] = (struct first_error){7, "byte 1 differs: \"\\x00\" came"};
    run.first[ERROR_RESET] = (struct first_error){9, "closed"};
    write_json();
    assert_true(
        json_is(json, "first_errors",
                "{\"reset\":\"closed\",\"body\":\"byte 1 differs: \\\"\\\\x00\\\" came\"}"));
    assert_true(json_number(json, "errors.body") == 5);
    assert_true(json_number(json, "errors_measured.body") == 3);
    assert_true(json_number(json, "errors_measured.reset") == 0);
}

static void json_of_waiting(void **state)
{
    (void)state;
    plan.n_watched = 1;
    write_json();
    assert_true(json_is(json, "cpu.waited_share", "null"));
    assert_true(json_is(json, "watch.waited_ns", "null"));
    run.waited = (struct waited){NS_PER_S, 10};
    run.watched_waited = (struct waited){12345, 1};
    write_json();
    assert_true(json_number(json, "cpu.waited_share") == 0.25); /* of 2 s on 2 cores */
    assert_true(json_number(json, "watch.waited_ns") == 12345);
    assert_non_null(strstr(json_text(json, "advice"),
                           "other programs kept the generator from its CPU for 25 %"));
}

/* ---- what limits ---- */

static void limits(void **state)
{
    (void)state;
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.unsent = 1;
    assert_int_equal(result_limit(&run), LIMIT_RATE);
    run.waited = (struct waited){NS_PER_S, 1000}; /* 1 ms each, a quarter of the time */
    assert_int_equal(result_limit(&run), LIMIT_WAITED);
    run.unsent = 0;
    assert_int_equal(result_limit(&run), LIMIT_WAITED);
    run.connect_error = EADDRNOTAVAIL;
    assert_int_equal(result_limit(&run), LIMIT_PORTS);
    run.user_ns = 3900 * NS_PER_MS;
    assert_int_equal(result_limit(&run), LIMIT_CORES);
}

static void limits_of_waiting(void **state)
{
    (void)state;
    run.waited = (struct waited){NS_PER_S * 2 * 2 / 20, 10}; /* 5 % */
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.waited.ns++;
    assert_int_equal(result_limit(&run), LIMIT_WAITED);
    /* As many as it takes for the waking up alone: 20 us each. */
    run.waited = (struct waited){NS_PER_S, 50000};
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.waited = (struct waited){0};
    assert_int_equal(result_limit(&run), LIMIT_NONE);
    run.wall_ns = 0;
    run.waited = (struct waited){NS_PER_S, 10};
    assert_int_equal(result_limit(&run), LIMIT_NONE);
}

/* Nobody was there to be slow. */
static void limits_where_connections_failed(void **state)
{
    (void)state;
    run.unsent = 1;
    run.connect_error = ECONNREFUSED;
    run.counts.errors[ERROR_CONNECT] = 1;
    assert_int_equal(result_limit(&run), LIMIT_NONE);
}

static void json_says_what_limits(void **state)
{
    (void)state;
    run.user_ns = 3900 * NS_PER_MS;
    write_json();
    assert_true(json_is(json, "saturated", "true"));
    assert_non_null(strstr(json_text(json, "advice"), "--cores"));
    run.user_ns = 0;
    run.unsent = 1;
    assert_non_null(strstr(json_text(write_json(), "advice"), "--connections"));
}

static void every_error_is_a_failure(void **state)
{
    (void)state;
    assert_int_equal(result_status(&run), 1);
    run.counts.answered = 1; /* of those that were due before */
    assert_int_equal(result_status(&run), 0);
    run.counts.replies = 1;
    assert_int_equal(result_status(&run), 0);
    run.interrupted = true;
    assert_int_equal(result_status(&run), 1);
    run.interrupted = false;
    run.watch.ended = true;
    assert_int_equal(result_status(&run), 1);
    run.watch.ended = false;
    for (int e = 0; e < LOAD_ERRORS; e++) {
        run.counts.errors[e] = 1;
        assert_int_equal(result_status(&run), 1);
        run.counts.errors[e] = 0;
    }
}

/* ---- the HdrHistogram text ---- */

static const char *write_hdr(void)
{
    struct output to;
    assert_int_equal(output_open(&to, path), 0);
    assert_int_equal(result_write_hdr(&run, &to), 0);
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

static void hdr_of_nothing(void **state)
{
    (void)state;
    assert_non_null(strstr(write_hdr(), "Total count    =            0]"));
}

/* ---- files ---- */

static void unwritable_files(void **state)
{
    struct output to;
    (void)state;
    record(&run.raw, 10);
    record(&run.corrected, 10);
    assert_int_equal(output_open(&to, "/nowhere/x"), -1);
    assert_int_equal(output_open(&to, "/dev/full"), 0);
    assert_int_equal(result_write_json(&run, &to), -1);
    assert_int_equal(output_open(&to, "/dev/full"), 0);
    assert_int_equal(result_write_hdr(&run, &to), -1);
}

static void put(const char *bytes)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(bytes, f);
    assert_int_equal(fclose(f), 0);
}

/* It is there until something is written, and then nothing of it is. */
static void an_old_file(void **state)
{
    static char old[100000];
    struct output to;
    (void)state;
    memset(old, 'x', sizeof old - 1);
    put(old);
    assert_int_equal(output_open(&to, path), 0);
    assert_string_equal(contents(), old);
    output_drop(&to);
    assert_string_equal(contents(), old);
    write_json();
}

static void a_new_file_goes_unless_written(void **state)
{
    struct output to;
    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(output_open(&to, path), 0);
    assert_int_equal(access(path, F_OK), 0);
    output_drop(&to);
    assert_int_equal(access(path, F_OK), -1);
    write_json();
}

static void one_file_by_two_names(void **state)
{
    struct output a, b;
    char other[sizeof path + 1];
    (void)state;
    snprintf(other, sizeof other, "%sx", path);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(output_open(&a, path), 0);
    assert_int_equal(output_open(&b, other), 0);
    assert_true(output_same(&a, &b));
    output_drop(&b);
    assert_false(output_same(&a, &b));
    assert_int_equal(unlink(other), 0);
    assert_int_equal(output_open(&b, other), 0);
    assert_false(output_same(&a, &b));
    output_drop(&a);
    output_drop(&b);
    assert_int_equal(output_open(&a, "/dev/null"), 0);
    assert_int_equal(output_open(&b, "/dev/null"), 0);
    assert_false(output_same(&a, &b));
    output_drop(&a);
    output_drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(json_agrees_with_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_rates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_what_was_watched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_of_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_where_connections_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_says_what_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_error_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hdr_is_a_percentile_distribution, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hdr_of_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unwritable_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_file_goes_unless_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_file_by_two_names, set_up, tear_down),
    };
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
