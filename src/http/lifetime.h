#pragma once
/* How long requests have been in progress, summed over those of a core: the completed ones from
 * arrival to end, the others from arrival until now. The core publishes three sums at the end of
 * each turn; whoever reads them adds what has happened since. */

#include "base/counter.h"

#include <stdatomic.h>

/* Sums of times, here and below, wrap around; their differences are exact. */
struct lifetime {
    uint64_t version;              /* odd while the others change */
    uint64_t started, in_progress; /* requests */
    uint64_t arrivals, ends;       /* sums of times: of all that started, of all that ended */
};

/* On the core. `ends`: the sum of those that were added since. */
static inline void lifetime_publish(struct lifetime *l, uint64_t started, uint64_t completed,
                                    uint64_t arrivals, uint64_t ends)
{
    counter_add(&l->version, 1);
    atomic_thread_fence(memory_order_release);
    counter_set(&l->started, started);
    counter_set(&l->in_progress, started - completed);
    counter_set(&l->arrivals, arrivals);
    counter_add(&l->ends, ends);
    __atomic_store_n(&l->version, l->version + 1, __ATOMIC_RELEASE);
}

/* A consistent copy; from any thread. */
static inline struct lifetime lifetime_copy(const struct lifetime *l)
{
    struct lifetime c;
    do {
        c.version = __atomic_load_n(&l->version, __ATOMIC_ACQUIRE);
        c.started = counter_get(&l->started);
        c.in_progress = counter_get(&l->in_progress);
        c.arrivals = counter_get(&l->arrivals);
        c.ends = counter_get(&l->ends);
        atomic_thread_fence(memory_order_acquire);
    } while ((c.version & 1) || c.version != counter_get(&l->version));
    return c;
}

/* The sum at the time `now`, in ns. `started` have started so far, those that are new since the end
 * of the last turn at `turn`, when the present one began. */
static inline uint64_t lifetime_sum(const struct lifetime *l, uint64_t started, uint64_t turn,
                                    uint64_t now)
{
    struct lifetime c = lifetime_copy(l);
    uint64_t sum = c.ends + c.in_progress * now - c.arrivals;
    return started > c.started && now > turn ? sum + (started - c.started) * (now - turn) : sum;
}
