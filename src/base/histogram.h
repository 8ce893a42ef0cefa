#pragma once
/* Log-linear histogram of durations: three significant digits from 1 ns to an hour, mergeable;
 * recording allocates nothing. A zeroed struct is an empty histogram. One thread records; any other
 * may merge from it at the same time. */

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_MAX_NS 3600000000000ull

enum {
    HISTOGRAM_SUB_BITS = 9, /* 512 steps per power of two: half a step is less than 0.1 % */
    HISTOGRAM_BITS = 42,    /* 2^42 ns is more than an hour */
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count, min, max; /* min and max are exact */
    uint64_t sum;             /* ns; wraps after 584 years of durations */
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *h);

/* Values above an hour count as an hour. */
void histogram_add(struct histogram *h, uint64_t ns);

/* Adds `n` values: `least`, least + step, least + 2 * step and so on (ns, not negative). The cost
 * depends on the number of buckets touched, not on `n`. */
void histogram_add_even(struct histogram *h, double least, double step, uint64_t n);

/* Adds `from` to `into`, which no other thread may use. A value that is being recorded in `from` at
 * the same time is either included or not. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest recorded value that at least the fraction `q` (0 to 1) of all values do not exceed,
 * to three significant digits; 0 if nothing was recorded. */
uint64_t histogram_quantile(const struct histogram *h, double q);

/* Iterates over the recorded values, smallest first; start with *at = 0. `ns` has three significant
 * digits. False at the end. */
bool histogram_next(const struct histogram *h, unsigned *at, uint64_t *ns, uint64_t *count);
