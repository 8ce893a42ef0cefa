#pragma once
/* When the requests of an open loop are due: at equal distances, or as a Poisson process. The times
 * follow from the seed alone; how late they are sent changes nothing. */

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    double mean; /* ns between two; 0: a closed loop, nothing is ever due */
    double at;   /* ns since the start */
    uint64_t start;
    uint64_t random; /* state; not 0 */
    bool poisson;
};

/* `rate` a second, the first at `start` (ns) or, constant, `offset` (0 to 1) of a distance later,
 * so that several cores do not send at once. */
void schedule_start(struct schedule *s, double rate, bool poisson, uint64_t seed, double offset,
                    uint64_t start);

/* When the next is due, in ns. */
static inline uint64_t schedule_due(const struct schedule *s)
{
    return s->start + (uint64_t)s->at;
}

void schedule_next(struct schedule *s);

/* How many are due before `to`, or about so many of a Poisson process. */
uint64_t schedule_left(const struct schedule *s, uint64_t to);

/* Passes over all that are due before `to` at once; those of a Poisson process are then where they
 * would be at equal distances. */
void schedule_skip(struct schedule *s, uint64_t to);
