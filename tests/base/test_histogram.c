#include "base/histogram.h"

#include "base/assert.h"
#include "random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct histogram h, other, whole;

static int setup(void **state)
{
    (void)state;
    histogram_reset(&h);
    histogram_reset(&other);
    histogram_reset(&whole);
    return 0;
}

static void is_within_a_thousandth(uint64_t got, uint64_t want)
{
    uint64_t off = got > want ? got - want : want - got;
    if (off > want / 1000) fail_msg("%lu is too far from %lu", got, want);
}

static void empty(void **state)
{
    (void)state;
    static struct histogram zero;
    assert_int_equal(histogram_quantile(&zero, 0.5), 0);
    assert_memory_equal(&zero, &h, sizeof(h));
    histogram_merge(&h, &zero);
    assert_memory_equal(&zero, &h, sizeof(h));
}

/* Each edge next to extreme values, so that clamping to min and max cannot hide an error. */
static void bucket_edges(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 42; bit++) {
        for (int d = -2; d <= 2; d++) {
            uint64_t ns = (1ull << bit) + (uint64_t)d;
            if (ns > HISTOGRAM_MAX_NS) continue;
            histogram_reset(&h);
            histogram_add(&h, 0);
            histogram_add(&h, ns);
            histogram_add(&h, UINT64_MAX);
            is_within_a_thousandth(histogram_quantile(&h, 0.5), ns);
        }
    }
}

static void a_single_value_is_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        uint64_t ns = random_log(41);
        histogram_reset(&h);
        histogram_add(&h, ns);
        assert_int_equal(histogram_quantile(&h, 0), ns);
        assert_int_equal(histogram_quantile(&h, 0.5), ns);
        assert_int_equal(histogram_quantile(&h, 1), ns);
        assert_int_equal(h.sum, ns);
    }
}

static void values_above_an_hour_count_as_an_hour(void **state)
{
    (void)state;
    histogram_add(&h, HISTOGRAM_MAX_NS);
    histogram_add(&h, HISTOGRAM_MAX_NS + 1);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.min, HISTOGRAM_MAX_NS);
    assert_int_equal(h.max, HISTOGRAM_MAX_NS);
    assert_int_equal(h.sum, 3 * HISTOGRAM_MAX_NS);
    assert_int_equal(histogram_quantile(&h, 0.5), HISTOGRAM_MAX_NS);
}

/* Values below 1024 are exact, so the result shows the rank. */
static void ranks(void **state)
{
    (void)state;
    for (uint64_t ns = 1; ns <= 100; ns++) histogram_add(&h, ns);
    assert_int_equal(histogram_quantile(&h, -1), 1);
    assert_int_equal(histogram_quantile(&h, 0), 1);
    assert_int_equal(histogram_quantile(&h, 0.001), 1);
    assert_int_equal(histogram_quantile(&h, 0.011), 2);
    assert_int_equal(histogram_quantile(&h, 0.991), 100);
    assert_int_equal(histogram_quantile(&h, 2), 100);
    for (unsigned p = 1; p <= 100; p++) {
        assert_int_equal(histogram_quantile(&h, p / 100.0), p);
        assert_int_equal(histogram_quantile(&h, p * 0.01), p);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t draw(int kind)
{
    switch (kind) {
    case 0: return random_below(HISTOGRAM_MAX_NS);
    case 1: return random_log(41);
    case 2: return 20000 + random_below(4000) + (random_below(50) ? 0 : random_log(30));
    case 3: return random_below(3) * 1000003;
    default: return random_below(1500);
    }
}

static void quantiles_agree_with_a_sorted_array(void **state)
{
    (void)state;
    enum { MAX = 20000 };
    static uint64_t all[MAX];
    static const size_t counts[] = {1, 2, 3, 10, 999, 1000, MAX};
    for (int kind = 0; kind < 5; kind++) {
        for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
            size_t n = counts[c];
            uint64_t sum = 0;
            histogram_reset(&h);
            for (size_t i = 0; i < n; i++) {
                all[i] = draw(kind);
                sum += all[i];
                histogram_add(&h, all[i]);
            }
            qsort(all, n, sizeof(all[0]), by_value);
            assert_int_equal(h.count, n);
            assert_int_equal(h.sum, sum);
            assert_int_equal(h.min, all[0]);
            assert_int_equal(h.max, all[n - 1]);
            for (unsigned m = 0; m <= 10000; m += m < 9900 ? 50 : 1) {
                size_t rank = (m * n + 9999) / 10000;
                uint64_t want = all[rank ? rank - 1 : 0];
                is_within_a_thousandth(histogram_quantile(&h, m / 10000.0), want);
            }
        }
    }
}

/* Every bucket holds as many as if the values had been added one by one; the sum may lose half a ns
 * per value. */
static void add_even_equals_adding_one_by_one(void **state)
{
    static const struct {
        double least, step;
        uint64_t n;
    } cases[] = {
        {0, 1, 5000},
        {0, 0, 7},
        {5, 0, 1},
        {5, 3, 0},
        {0, 0.25, 100000},
        {1023, 1, 3},
        {1024, 512, 4096},
        {3, 10, 300000},
        {12345.5, 1000.25, 200000},
        {17, 1e9, 3700},
        {0, 3.3333333333333335, 1000000},
        {3599999999990, 1, 30},
        {4e12, 5, 10},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        histogram_reset(&h);
        histogram_reset(&whole);
        histogram_add(&h, 777);
        histogram_add(&whole, 777);
        histogram_add_even(&h, cases[i].least, cases[i].step, cases[i].n);
        for (uint64_t k = 0; k < cases[i].n; k++)
            histogram_add(&whole, (uint64_t)(cases[i].least + cases[i].step * (double)k));
        assert_in_range(h.sum - whole.sum + whole.count, 0, 2 * whole.count);
        h.sum = whole.sum;
        assert_memory_equal(&h, &whole, sizeof h);
    }
}

static void add_even_cost_does_not_grow_with_count(void **state)
{
    (void)state;
    histogram_add_even(&h, 0, 0.0036, 1000000000000001);
    assert_int_equal(h.count, 1000000000000001);
    assert_int_equal(h.min, 0);
    assert_int_equal(h.max, HISTOGRAM_MAX_NS);
    is_within_a_thousandth(histogram_quantile(&h, 0.25), HISTOGRAM_MAX_NS / 4);
    is_within_a_thousandth(histogram_quantile(&h, 0.9), HISTOGRAM_MAX_NS / 10 * 9);
}

static void merge_equals_adding_to_one(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        uint64_t ns = draw(i % 5);
        histogram_add(i % 3 ? &h : &other, ns);
        histogram_add(&whole, ns);
    }
    static struct histogram into;
    histogram_merge(&into, &h);
    assert_memory_equal(&into, &h, sizeof(h));
    histogram_merge(&into, &other);
    assert_memory_equal(&into, &whole, sizeof(whole));
    histogram_reset(&other);
    histogram_merge(&into, &other);
    assert_memory_equal(&into, &whole, sizeof(whole));
}

static int stop;

static void *add_until_stopped(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED) && i < 1ull << 32; i++)
        histogram_add(&other, 1000 + i * 7919 % 1000000);
    return NULL;
}

static void merge_while_another_thread_adds(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, add_until_stopped, NULL), 0);
    uint64_t before = 0;
    int odd = 0;
    for (int i = 0; i < 100 || (before == 0 && i < 100000); i++) {
        histogram_reset(&h);
        histogram_merge(&h, &other);
        uint64_t in_buckets = 0;
        for (unsigned k = 0; k < HISTOGRAM_BUCKETS; k++) in_buckets += h.bucket[k];
        uint64_t median = histogram_quantile(&h, 0.5);
        odd += h.count != in_buckets || h.count < before;
        odd += h.count && (h.min < 1000 || h.max >= 1001000 || median < h.min || median > h.max);
        before = h.count;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_int_equal(odd, 0);
    assert_true(before > 0);
    histogram_reset(&h);
    histogram_merge(&h, &other);
    assert_memory_equal(&h, &other, sizeof(h));
}

/* Every value that was added, once each and in order, whatever the distribution. */
static void next_visits_every_value(void **state)
{
    enum { N = 5000 };
    static uint64_t all[N];
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        uint64_t ns, count, last = 0, seen = 0;
        unsigned at = 0, steps = 0;
        histogram_reset(&h);
        for (int i = 0; i < N; i++) {
            all[i] = draw(kind);
            histogram_add(&h, all[i]);
        }
        qsort(all, N, sizeof(all[0]), by_value);
        while (histogram_next(&h, &at, &ns, &count)) {
            assert_true(count > 0 && (steps++ == 0 || ns > last));
            last = ns;
            assert_true(seen + count <= N);
            for (uint64_t i = 0; i < count; i++) is_within_a_thousandth(ns, all[seen + i]);
            seen += count;
        }
        assert_int_equal(seen, N);
        assert_false(histogram_next(&h, &at, &ns, &count));
    }
}

static void next_at_the_ends(void **state)
{
    unsigned at = 0;
    uint64_t ns = 1, count = 2;
    (void)state;
    assert_false(histogram_next(&h, &at, &ns, &count));
    assert_int_equal(ns, 1);
    assert_int_equal(count, 2);
    histogram_add(&h, 0);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, UINT64_MAX);
    at = 0;
    assert_true(histogram_next(&h, &at, &ns, &count));
    assert_true(ns == 0 && count == 1);
    assert_true(histogram_next(&h, &at, &ns, &count));
    is_within_a_thousandth(ns, HISTOGRAM_MAX_NS);
    assert_int_equal(count, 2);
    assert_false(histogram_next(&h, &at, &ns, &count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(next_visits_every_value, setup),
        cmocka_unit_test_setup(next_at_the_ends, setup),
        cmocka_unit_test_setup(empty, setup),
        cmocka_unit_test_setup(bucket_edges, setup),
        cmocka_unit_test_setup(a_single_value_is_exact, setup),
        cmocka_unit_test_setup(values_above_an_hour_count_as_an_hour, setup),
        cmocka_unit_test_setup(ranks, setup),
        cmocka_unit_test_setup(quantiles_agree_with_a_sorted_array, setup),
        cmocka_unit_test_setup(add_even_equals_adding_one_by_one, setup),
        cmocka_unit_test_setup(add_even_cost_does_not_grow_with_count, setup),
        cmocka_unit_test_setup(merge_equals_adding_to_one, setup),
        cmocka_unit_test_setup(merge_while_another_thread_adds, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
