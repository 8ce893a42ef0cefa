#include "base/histogram.h"

#include "base/assert.h"

#include <float.h>
#include <string.h>

enum { STEPS = 1 << HISTOGRAM_SUB_BITS };

static_assert(HISTOGRAM_MAX_NS < 1ull << HISTOGRAM_BITS, "an hour has a bucket");

/* Below 2 * STEPS each value has its own bucket; above, the leading SUB_BITS + 1 bits choose it. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns | STEPS) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(ns >> shift);
}

static uint64_t bucket_middle(unsigned i)
{
    if (i < 2 * STEPS) return i;
    unsigned shift = (i >> HISTOGRAM_SUB_BITS) - 1;
    return ((uint64_t)(i % STEPS + STEPS) << shift) + ((1ull << shift) >> 1);
}

/* The first value above the bucket of `ns`, at most HISTOGRAM_MAX_NS. */
static double bucket_end(uint64_t ns)
{
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns | STEPS) - HISTOGRAM_SUB_BITS;
    uint64_t end = ((ns >> shift) + 1) << shift;
    return (double)(end < HISTOGRAM_MAX_NS ? end : HISTOGRAM_MAX_NS);
}

/* Relaxed atomics, so that another thread can merge without a data race; plain loads and stores on
 * x86-64 and aarch64. */
static uint64_t load(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

/* Adds `n` values of one bucket, from `least` to `most`. */
static inline void record(struct histogram *h, uint64_t least, uint64_t most, uint64_t n,
                          uint64_t sum)
{
    if (h->count == 0 || least < h->min) store(&h->min, least);
    if (most > h->max) store(&h->max, most);
    store(&h->count, h->count + n);
    store(&h->sum, h->sum + sum);
    /* The bucket is written last, with release order: a thread that sees the value in its bucket
     * also sees a min and max that enclose it. */
    uint64_t *b = &h->bucket[bucket_of(least)];
    __atomic_store_n(b, *b + n, __ATOMIC_RELEASE);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    if (ns > HISTOGRAM_MAX_NS) ns = HISTOGRAM_MAX_NS;
    record(h, ns, ns, 1, ns);
}

/* Not ceil(): some compilers call libm for it, and the library does not link libm. */
static uint64_t round_up(double v)
{
    uint64_t whole = (uint64_t)v;
    return whole + ((double)whole < v);
}

void histogram_add_even(struct histogram *h, double least, double step, uint64_t n)
{
    for (uint64_t i = 0, next; i < n; i = next) {
        double from = least + step * (double)i;
        if (from >= (double)HISTOGRAM_MAX_NS) { /* and so do all later values */
            record(h, HISTOGRAM_MAX_NS, HISTOGRAM_MAX_NS, n - i, (n - i) * HISTOGRAM_MAX_NS);
            return;
        }
        double steps = (bucket_end((uint64_t)from) - from) / step; /* above 0 */
        next = steps < (double)(n - i) ? i + round_up(steps) : n;
        double to = least + step * (double)(next - 1);
        record(h, (uint64_t)from, (uint64_t)to, next - i, (next - i) * (uint64_t)((from + to) / 2));
    }
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t n = __atomic_load_n(&from->bucket[i], __ATOMIC_ACQUIRE);
        into->bucket[i] += n;
        count += n;
    }
    if (count == 0) return;
    uint64_t min = load(&from->min), max = load(&from->max);
    if (into->count == 0 || min < into->min) into->min = min;
    if (max > into->max) into->max = max;
    into->count += count;
    into->sum += load(&from->sum);
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    if (h->count == 0) return 0;
    /* 0.07 * 100 is slightly more than 7 in binary floating point; it must count as 7. */
    double exact = q > 0 ? q * (double)h->count : 0;
    uint64_t rank = exact < (double)h->count ? (uint64_t)exact : h->count;
    if (exact - (double)rank > exact * 2 * DBL_EPSILON) rank++;
    if (rank < 1) rank = 1;
    if (rank > h->count) rank = h->count;

    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen < rank) continue;
        uint64_t ns = bucket_middle(i);
        return ns < h->min ? h->min : ns > h->max ? h->max : ns;
    }
    return h->max;
}

bool histogram_next(const struct histogram *h, unsigned *at, uint64_t *ns, uint64_t *count)
{
    for (; *at < HISTOGRAM_BUCKETS; ++*at) {
        if (h->bucket[*at] == 0) continue;
        *ns = bucket_middle(*at);
        *count = h->bucket[*at];
        ++*at;
        return true;
    }
    return false;
}
