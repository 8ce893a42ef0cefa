#pragma once
/* Fibers: functions with a stack of their own that one core switches between. A fiber runs until it
 * parks or returns; nothing interrupts it. One that never parks costs two register swaps, and its
 * stack, being the last one used, is hot. */

#include "base/list.h"
#include "task/stack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

typedef void fiber_fn(void *arg);

struct fiber_pool {
    struct fiber *running; /* NULL on the core's own stack */
    struct fiber_stack own;
    struct list free;  /* last used first */
    size_t stack_size; /* bytes, without the guard below */
    uint32_t max;      /* fibers at most */
    uint32_t total;    /* that have a stack */
    uint32_t in_use;   /* started and not returned */
    uint32_t min_free; /* fewest free ones since the last trim */
    uint32_t made;     /* stacks ever made, to spread them over the sets of a cache */
};

/* `stack_size` is rounded up to pages. */
void fiber_pool_init(struct fiber_pool *p, size_t stack_size, uint32_t max);

/* Unmaps the stacks; asserts that every fiber has returned. The pool may be used again. */
void fiber_pool_drain(struct fiber_pool *p);

/* Unmaps half of the stacks that were free ever since the last trim, and no more than a core can be
 * kept busy with; for a timer of a second or so, on the core's own stack. */
void fiber_pool_trim(struct fiber_pool *p);

/* Runs fn(arg) on a fiber until it first parks or returns. Called on the core's own stack or on a
 * fiber, which then goes on once the new one has parked or returned. 0; -EAGAIN when `max` fibers
 * are out, -ENOMEM when there is no stack: fn has then not run. */
int fiber_start(struct fiber_pool *p, fiber_fn *fn, void *arg);

/* Leaves the running fiber until fiber_resume. Not on the core's own stack. */
void fiber_park(struct fiber_pool *p);

/* Goes on with a parked fiber; only on the core's own stack. */
void fiber_resume(struct fiber_pool *p, struct fiber *f);

/* The running fiber; NULL on the core's own stack. */
static inline struct fiber *fiber_self(const struct fiber_pool *p)
{
    return p->running;
}
