#pragma once
/* A scope is what the fibers of one request have in common: whatever any of them waits for ends
 * when the scope is cancelled, because the client has gone away or the server drains. */

#include "io/io.h"
#include "task/fiber.h"

struct scope {
    struct io *io;
    struct fiber_pool *fibers;
    struct list waits; /* of parked fibers */
    int cancelled;     /* 0, or the negative errno that every wait of it returns from now on */
};

/* One wait of one fiber; lives on the fiber's stack. */
struct wait {
    struct list link;
    struct scope *scope;
    struct fiber *fiber;
    struct io_task resume; /* goes on with the fiber in this turn, from the core's own stack */
    void (*cancel)(struct wait *w); /* ends the wait early; it or a later completion wakes it */
    int result;
    bool woken;
};

void scope_init(struct scope *s, struct io *io, struct fiber_pool *fibers);

/* Every wait, now and from now on, returns `err`, but for a call that was done already. */
void scope_cancel(struct scope *s, int err);

/* Parks the running fiber until wait_wake and returns the result it was given. The event that wakes
 * it must have been arranged before. `cancel` may be NULL: then the wait is not cut short. */
int wait_park(struct scope *s, struct wait *w, void (*cancel)(struct wait *w));

/* Lets the fiber go on with `result`, later in this turn; never runs it at once, so it may be
 * called from anywhere on the core. Waking twice keeps the first result. */
void wait_wake(struct wait *w, int result);

/* Parks for that long, never less; WHEEL_NEVER: until cancelled. 0 or the scope's error. */
int scope_sleep(struct scope *s, uint64_t ns);

/* Submits a copy of the call and parks until its final completion. Its result; once the scope is
 * cancelled, that or the scope's error. The memory that the call points to stays in place
 * meanwhile. */
int scope_call(struct scope *s, const struct io_call *c, enum io_kind kind);
