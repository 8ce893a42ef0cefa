#pragma once
/* Log-linear histogram of durations: three significant digits from 1 ns to an hour, mergeable, no
 * allocation while recording. All bytes zero is an empty histogram. One thread adds; any other may
 * merge from it meanwhile. */

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_MAX_NS 3600000000000ull

enum {
    HISTOGRAM_SUB_BITS = 9, /* 512 steps per power of two: half a step is below 0.1 % */
    HISTOGRAM_BITS = 42,    /* 2^42 ns is more than an hour */
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count, min, max; /* min and max are exact */
    uint64_t sum;             /* ns; wraps after 584 years of durations */
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *h);

/* Values beyond an hour count as an hour. */
void histogram_add(struct histogram *h, uint64_t ns);

/* As if each of `n` values were added: `least`, and on at equal distances of `step` (both in ns,
 * not negative). Takes time by the buckets they fall into, not by their number. */
void histogram_add_even(struct histogram *h, double least, double step, uint64_t n);

/* `into` belongs to the caller alone. A value that is being added to `from` is counted or not. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest recorded value that at least `q` (0 to 1) of all values do not exceed, to three
 * significant digits; 0 when nothing was recorded. */
uint64_t histogram_quantile(const struct histogram *h, double q);

/* Goes through the values that were recorded, smallest first: begin with *at = 0. `ns` is to three
 * significant digits. False when there are no more. */
bool histogram_next(const struct histogram *h, unsigned *at, uint64_t *ns, uint64_t *count);
