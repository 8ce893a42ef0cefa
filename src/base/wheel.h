#pragma once
/* One hierarchical timer wheel per core. A timer never fires early: its deadline is rounded up to
 * the next tick of 2^17 ns (131 µs). Setting a later deadline on an armed timer only stores it (the
 * common case: an idle deadline pushed out on each request); the timer is moved when its old slot
 * comes up.
 *
 * Level 0 has a slot per tick, each level above slots 64 times as wide. A timer is on the level of
 * the highest base-64 digit in which its tick differs from the wheel's, in the slot of its own
 * digit there. So on each level only slots ahead of the wheel's own digit are occupied, all timers
 * of a level come before those of the next, and where a timer is follows from its tick. */

#include "base/list.h"

#include <stdint.h>

enum {
    WHEEL_TICK_BITS = 17,
    WHEEL_SLOT_BITS = 6,
    WHEEL_SLOTS = 1 << WHEEL_SLOT_BITS,
    WHEEL_LEVELS = 8, /* 48 bits of ticks: every deadline that 64 bits of ns can say */
};

#define WHEEL_NEVER UINT64_MAX

struct wheel_timer;
typedef void wheel_fn(struct wheel_timer *t);

struct wheel_timer {
    struct list link;  /* in a slot while armed, else pointing at itself */
    uint64_t deadline; /* ns; WHEEL_NEVER when idle */
    uint64_t slotted;  /* ns of the deadline its slot was chosen for; <= deadline */
    wheel_fn *fn;      /* runs on the core's main stack; may set or clear any timer */
};

struct wheel {
    uint64_t tick;                   /* the last tick processed */
    uint32_t armed;                  /* timers */
    struct list due;                 /* armed for a tick that was processed already */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit per non-empty slot */
    struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

/* `now` of this and of wheel_run is in ns and never goes back. */
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

/* Arms the timer for `deadline`, or moves it there; a deadline in the past fires on the next
 * wheel_run, WHEEL_NEVER clears. */
static inline void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
    if (t->slotted <= deadline && deadline != WHEEL_NEVER)
        t->deadline = deadline;
    else
        wheel_place(w, t, deadline);
}

/* After this the callback will not run. No effect on an idle timer. */
void wheel_clear(struct wheel *w, struct wheel_timer *t);

/* Runs the callback of each timer whose deadline's tick is at or before `now`, in no particular
 * order; each is idle when its callback runs. A timer that a callback arms anew for the past fires
 * on the next run, so this ends. Not to be called from a callback. */
void wheel_run(struct wheel *w, uint64_t now);

/* When wheel_run is next needed, in ns: never later than the earliest deadline's tick (it may be
 * earlier, to bring timers down a level or to find one pushed out); 0 when that has passed,
 * WHEEL_NEVER when nothing is armed. */
uint64_t wheel_next(const struct wheel *w);
