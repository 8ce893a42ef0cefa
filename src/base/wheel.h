#pragma once
/* Hierarchical timer wheel, one per core. A timer never fires early: its deadline is rounded up to
 * the next tick of 2^17 ns (131 µs). Setting a later deadline on an armed timer only stores it (the
 * common case: an idle deadline that every request postpones); the timer moves when its old slot
 * comes up.
 *
 * Level 0 has one slot per tick; each higher level has slots 64 times as wide. A timer is on the
 * level of the highest base-64 digit in which its tick differs from the wheel's tick, in the slot
 * of its own digit there. So on each level only slots ahead of the wheel's digit are occupied, all
 * timers of a level come before those of the next, and a timer's position follows from its tick. */

#include "base/list.h"

#include <stdint.h>

enum {
    WHEEL_TICK_BITS = 17,
    WHEEL_SLOT_BITS = 6,
    WHEEL_SLOTS = 1 << WHEEL_SLOT_BITS,
    WHEEL_LEVELS = 8, /* 48 bits of ticks: every deadline that 64 bits of ns can hold */
};

#define WHEEL_NEVER UINT64_MAX

struct wheel_timer;
typedef void wheel_fn(struct wheel_timer *t);

struct wheel_timer {
    struct list link;  /* in a slot while armed, else pointing at itself */
    uint64_t deadline; /* ns; WHEEL_NEVER when idle */
    uint64_t slotted;  /* deadline that its slot was chosen for; <= deadline */
    wheel_fn *fn;      /* runs on the core's main stack; may set or clear any timer */
};

struct wheel {
    uint64_t tick;   /* the last tick processed */
    uint32_t armed;  /* number of armed timers */
    struct list due; /* timers whose tick was already processed when they were armed */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit per non-empty slot */
    struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

/* `now` here and in wheel_run is in ns and never decreases. */
void wheel_init(struct wheel *w, uint64_t now);

static inline void wheel_timer_init(struct wheel_timer *t, wheel_fn *fn)
{
    list_init(&t->link);
    t->deadline = WHEEL_NEVER;
    t->slotted = WHEEL_NEVER;
    t->fn = fn;
}

static inline int wheel_is_armed(const struct wheel_timer *t)
{
    return t->deadline != WHEEL_NEVER;
}

void wheel_place(struct wheel *w, struct wheel_timer *t, uint64_t deadline);

/* Arms the timer for `deadline` (ns) or moves it there. A deadline in the past fires in the next
 * wheel_run; WHEEL_NEVER disarms. */
static inline void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
    if (t->slotted <= deadline && deadline != WHEEL_NEVER)
        t->deadline = deadline;
    else
        wheel_place(w, t, deadline);
}

/* Disarms the timer: its callback will not run. No effect on an idle timer. */
void wheel_clear(struct wheel *w, struct wheel_timer *t);

/* Runs the callbacks of timers whose tick is at or before `now`, in no particular order, but of at
 * most `max`: those that are left are the first of the next run. A timer is idle when its callback
 * runs. A timer that a callback re-arms for the past fires in the next run, so this terminates.
 * Must not be called from a callback. */
void wheel_run(struct wheel *w, uint64_t now, unsigned max);

/* When wheel_run must run next, in ns: never later than the earliest deadline's tick, possibly
 * earlier, to move timers down a level or to find a postponed one. 0 if that time has passed,
 * WHEEL_NEVER if nothing is armed. */
uint64_t wheel_next(const struct wheel *w);
