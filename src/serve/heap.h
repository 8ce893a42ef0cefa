#pragma once
/* Memory that a burst has left in the heap of the C library. jemalloc gives it back by itself.
 *
 * How much is free there takes a look at every free piece, during which others who allocate wait:
 * tens of milliseconds where there are many. So cores only ask whether a look is due, by what costs
 * little, and a thread that serves nobody takes it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one core holds for its clients, as the others know it; zeros at first. */
struct heap_share {
    size_t held; /* bytes */
};

/* Whether heap_look should be called, for which the caller then asks another thread: five seconds
 * at least after the last time, if the process has become larger by 8 MiB or the cores hold so much
 * less than they did. Otherwise the pause doubles with each look that finds nothing to give back,
 * up to 160 s: what handlers have allocated and freed is not known. Looks take 1 % of a CPU at
 * most. `held` is what the core holds now. Any thread; does not wait for others. */
bool heap_is_due(struct heap_share *share, uint64_t now, size_t held);

/* Gives what is free back to the kernel where it is much. Any thread but a core's. */
void heap_look(void);
