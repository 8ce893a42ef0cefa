#pragma once

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>

/* How often a thread looks for work that cannot be woken. */
#define WAKE_LOOK_NS (10 * NS_PER_MS)

/* Set for good once a wake was refused. */
extern _Atomic bool wake_refused;

/* Adds one to the eventfd. Where the system refuses every call that could, or the eventfd was
 * closed, says so once and has threads look for work every so often (wake_refused). Keeps errno.
 * Async-signal-safe. */
void wake_by(int eventfd);

static inline bool wake_is_refused(void)
{
    return atomic_load_explicit(&wake_refused, memory_order_relaxed);
}
