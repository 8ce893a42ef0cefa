#pragma once
/* A scope groups the waits of all fibers of one request. Cancelling it, because the client has gone
 * or the server stops, ends every wait in it. */

#include "io/io.h"
#include "task/fiber.h"

struct scope {
    struct io *io;
    struct fiber_pool *fibers;
    struct list waits; /* waits of parked fibers */
    int cancelled;     /* 0, or the negative errno that every wait returns from then on */
};

/* One wait of one fiber, on that fiber's stack. */
struct wait {
    struct list link;
    struct scope *scope;
    struct fiber *fiber;
    struct io_task resume; /* resumes the fiber, later in this turn, from the core's own stack */
    void (*cancel)(struct wait *w); /* ends the wait early, now or by a completion */
    int result;
    bool woken;
};

void scope_init(struct scope *s, struct io *io, struct fiber_pool *fibers);

/* Every wait, pending or future, returns `err`; a call that has already completed keeps its result.
 * Only the first call has an effect. */
void scope_cancel(struct scope *s, int err);

/* Whether a wait must not begin: the scope's error, or -EPERM outside the fibers of its core, as on
 * another thread. */
int scope_refuses(const struct scope *s);

/* Parks the running fiber until wait_wake and returns the result given there. Arrange for the wake
 * before the call. `cancel` may be NULL: then cancelling the scope does not end the wait. */
int wait_park(struct scope *s, struct wait *w, void (*cancel)(struct wait *w));

/* Resumes the fiber with `result` later in this turn. It never runs the fiber at once, so any code
 * on the core may call it. If called twice, the first result counts. */
void wait_wake(struct wait *w, int result);

/* Parks for at least `ns`; WHEEL_NEVER: until cancelled. 0 or the scope's error. */
int scope_sleep(struct scope *s, uint64_t ns);

/* Submits a copy of the call and parks until its final completion. Returns its result, or the
 * scope's error if it was cancelled before it completed. The memory the call points to must stay
 * valid until this returns. */
int scope_call(struct scope *s, const struct io_call *c, enum io_kind kind);
