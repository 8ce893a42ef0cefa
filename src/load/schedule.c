#include "load/schedule.h"

#include <math.h>

/* SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t next_random(struct schedule *s)
{
    uint64_t z = s->random += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

/* Exponential by inversion: 53 random bits in [0, 1), so the logarithm is of (0, 1]. */
static double interval(struct schedule *s)
{
    if (!s->poisson) return s->mean;
    return -log1p(-(double)(next_random(s) >> 11) * 0x1p-53) * s->mean;
}

void schedule_start(struct schedule *s, double rate, bool poisson, uint64_t seed, double offset,
                    uint64_t start)
{
    *s = (struct schedule){
        .mean = rate > 0 ? 1e9 / rate : 0, .start = start, .random = seed, .poisson = poisson};
    s->at = poisson ? interval(s) : offset * s->mean;
}

void schedule_next(struct schedule *s)
{
    s->at += interval(s);
}

uint64_t schedule_ramp(uint32_t n, uint64_t since, uint64_t ramp)
{
    return since < ramp ? (uint64_t)((unsigned __int128)n * since / ramp) + 1 : n;
}

uint64_t schedule_left(const struct schedule *s, uint64_t to)
{
    if (s->mean == 0 || schedule_due(s) >= to) return 0;
    return (uint64_t)ceil(((double)(to - s->start) - s->at) / s->mean);
}

void schedule_skip(struct schedule *s, uint64_t to)
{
    s->at += (double)schedule_left(s, to) * s->mean;
    while (s->mean > 0 && schedule_due(s) < to) s->at += s->mean; /* one more after rounding */
}
