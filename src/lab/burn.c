#include "burn.h"

#include "option.h"

#include <stdlib.h>
#include <time.h>

enum { BURN_MAX = 1000000 }; /* ns */

const char *burn_option;
static int64_t burn_ns;

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Every iteration takes the same time and touches no memory. Not inlined, because the speed depends
 * on where the loop is placed: the calibration must measure the same copy. */
__attribute__((noinline)) static void spin(int64_t iterations)
{
    while (iterations-- > 0) __asm__ volatile("");
}

static int compare_int64(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return (a > b) - (a < b);
}

/* The time of a call in ns: the median of several samples. The minimum would be of a moment at
 * which the CPU ran faster than it does under load. */
static double spin_ns(int64_t iterations)
{
    enum { CALLS = 100, SAMPLES = 101 };
    int64_t sample[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < CALLS; k++) spin(iterations);
        sample[i] = now_ns() - start;
    }
    qsort(sample, SAMPLES, sizeof sample[0], compare_int64);
    return (double)sample[SAMPLES / 2] / CALLS;
}

/* The iterations of a call that takes `ns`, interpolated from a short and a long call. */
static int64_t iterations_for(int64_t ns)
{
    enum { SHORT = 100, LONG = 1100 };
    double base = spin_ns(SHORT), iteration = (spin_ns(LONG) - base) / (LONG - SHORT);
    return iteration > 0 ? SHORT + (int64_t)(((double)ns - base) / iteration) : 0;
}

/* Counts iterations rather than reading the clock: reading it takes about 50 ns and drains the
 * pipeline, so that 150 ns became 500. */
__attribute__((noinline, cold)) void burn(void)
{
    static _Thread_local int64_t iterations = -1;
    if (iterations < 0) {
        iterations = burn_ns ? iterations_for(burn_ns) : 0;
        if (iterations < 0) iterations = 0; /* a call alone takes longer */
    }
    spin(iterations);
}

int burn_read(void)
{
    return option_number("burn-ns", burn_option, 0, BURN_MAX, &burn_ns);
}
