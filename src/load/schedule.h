#pragma once
/* When the requests of an open loop are due: at equal intervals, or as a Poisson process. The times
 * depend on the seed alone, and never on when requests are sent. */

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    double mean; /* ns between two requests; 0: a closed loop, which has no schedule */
    double at;   /* of the next request, in ns since the start */
    uint64_t start;
    uint64_t random; /* state; not 0 */
    bool poisson;
};

/* `rate` requests a second from `start` (ns) on. At equal intervals the first is due `offset` (0 to
 * 1) of an interval later, so that cores do not send at the same time. */
void schedule_start(struct schedule *s, double rate, bool poisson, uint64_t seed, double offset,
                    uint64_t start);

/* When the next request is due, in ns. */
static inline uint64_t schedule_due(const struct schedule *s)
{
    return s->start + (uint64_t)s->at;
}

void schedule_next(struct schedule *s);

/* How many of `n` connections are due `since` ns after the first, where they are opened over `ramp`
 * ns. */
uint64_t schedule_ramp(uint32_t n, uint64_t since, uint64_t ramp);

/* How many requests are due before `to`; of a Poisson process, about how many. */
uint64_t schedule_left(const struct schedule *s, uint64_t to);

/* Skips all that are due before `to` at once, those of a Poisson process as if at equal
 * intervals. */
void schedule_skip(struct schedule *s, uint64_t to);
