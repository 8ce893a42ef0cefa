#pragma once
/* Sums up stretches of time, each of which begins and ends on one thread; other threads may read
 * the sum, and whether a stretch runs. A boundary costs one reading of the CPU's cycle counter
 * (x86-64: the TSC; aarch64: the virtual counter), elsewhere one of the clock.
 *
 * While a stretch runs, `ticks` is the sum less the time at which it began, and so negative: a
 * counter that began with the machine exceeds any sum of times since then. */

#include "base/clock.h"
#include "base/counter.h"

#include <stdbool.h>

struct stopwatch {
    uint64_t ticks;
};

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return clock_ns();
#endif
}

static inline void stopwatch_start(struct stopwatch *w)
{
    counter_set(&w->ticks, w->ticks - ticks_now());
}

static inline void stopwatch_stop(struct stopwatch *w)
{
    counter_set(&w->ticks, w->ticks + ticks_now());
}

/* From any thread. */
static inline bool stopwatch_runs(const struct stopwatch *w)
{
    return (int64_t)counter_get(&w->ticks) < 0;
}

/* The sum in ticks, that of a running stretch until now; from any thread. */
static inline uint64_t stopwatch_read(const struct stopwatch *w)
{
    uint64_t ticks = counter_get(&w->ticks);
    if ((int64_t)ticks >= 0) return ticks;
    ticks += ticks_now();
    return (int64_t)ticks < 0 ? 0 : ticks; /* the counters of two CPUs may differ by a little */
}

/* An instant on both clocks. Their rate follows from two of them, so nothing has to be calibrated
 * before the first stretch. */
struct ticks_origin {
    uint64_t ticks, ns;
};

static inline struct ticks_origin ticks_origin(void)
{
    return (struct ticks_origin){ticks_now(), clock_ns()};
}

/* Nanoseconds in a tick, by the time that has passed since the origin. */
static inline double ticks_ns(const struct ticks_origin *since)
{
    struct ticks_origin now = ticks_origin();
    if (now.ticks <= since->ticks || now.ns <= since->ns) return 1;
    return (double)(now.ns - since->ns) / (double)(now.ticks - since->ticks);
}
