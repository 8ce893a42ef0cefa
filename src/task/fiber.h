#pragma once
/* Fibers: functions with stacks of their own that one core switches between. A fiber runs until it
 * parks or returns; it is never preempted. A fiber that never parks costs two context switches, and
 * the stack used last, which is still in the cache, is reused first. */

#include "base/list.h"
#include "task/stack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;
struct scope_watch;

typedef void fiber_fn(void *arg);

struct fiber_pool {
    struct fiber *running; /* NULL on the core's own stack */
    struct fiber_stack core_stack;
    struct list free;                /* most recently used first */
    size_t stack_size;               /* bytes, without the guard */
    uint32_t max;                    /* most fibers in use at once; may change, even to fewer */
    uint32_t total;                  /* fibers with a stack, in use or free */
    uint32_t in_use;                 /* fibers that have started and not returned */
    uint32_t n_emptied;              /* fibers in `emptied` */
    uint32_t min_free;               /* fewest free fibers since the last trim */
    uint32_t surplus;                /* free fibers that the trim under way has not unmapped yet */
    uint32_t n_created;              /* stacks created so far, to spread them over the cache sets */
    const struct scope_watch *watch; /* see scope.h; NULL for none */
    pthread_t thread;                /* the only one that may use it */
    const void *_Atomic label;       /* of what ran last, for a thread that watches this one */
    struct list emptied[2]; /* could not be unmapped, but have no memory; [1]: those apart */
};

/* `stack_size` (bytes) is rounded up to pages. The pool belongs to the calling thread. */
void fiber_pool_init(struct fiber_pool *p, size_t stack_size, uint32_t max);

/* In a process that the pool's thread has forked: no fiber may park there any more, and when the
 * one that runs returns to the core, the process ends. */
void fiber_pool_forked(struct fiber_pool *p);

/* Unmaps the stacks; asserts that every fiber has returned. The pool may be used again. What the
 * system does not unmap stays in it, and gives its memory back. */
void fiber_pool_drain(struct fiber_pool *p);

/* Unmaps half of the stacks that have been free since the last trim, in parts of TRIM_MAX, because
 * the core serves nobody meanwhile. Those that the system does not unmap give their memory back,
 * and are tried again later. Returns whether it should be called again soon, for the next part.
 * Call it every second or so otherwise, on the core's own stack. */
bool fiber_pool_trim(struct fiber_pool *p);

/* Runs fn(arg) on a fiber until it first parks or returns. May be called on a fiber, which then
 * continues as well. 0; -EAGAIN if `max` fibers are in use, -ENOMEM if no stack can be mapped: then
 * fn has not run. `owner` is what fiber_owner and fiber_overflowed return. */
int fiber_start_for(struct fiber_pool *p, fiber_fn *fn, void *arg, void *owner);

static inline int fiber_start(struct fiber_pool *p, fiber_fn *fn, void *arg)
{
    return fiber_start_for(p, fn, arg, NULL);
}

/* Likewise, on a stack of `stack_size` bytes that is mapped for it, and unmapped when it returns.
 */
int fiber_start_apart(struct fiber_pool *p, size_t stack_size, fiber_fn *fn, void *arg,
                      void *owner);

/* The owner of the running fiber. */
void *fiber_owner(const struct fiber_pool *p);

/* Suspends the running fiber until fiber_resume. */
void fiber_park(struct fiber_pool *p);

/* Whether the caller runs on a fiber of the pool. May be called from any thread. */
bool fiber_may_park(const struct fiber_pool *p);

/* Whether the core's own stack runs next when the running fiber is suspended or returns: no other
 * fiber has started it. */
bool fiber_is_outermost(const struct fiber_pool *p);

struct fiber_overflow {
    void *owner;
    size_t stack_size; /* bytes */
    bool apart;        /* that is its own: fiber_start_apart */
};

/* For a handler of SIGSEGV: whether the running fiber has overflowed its stack to `address`, and
 * then what is known of it. */
bool fiber_overflowed(const struct fiber_pool *p, const void *address, struct fiber_overflow *out);

/* Continues a parked fiber; only from the core's own stack. */
void fiber_resume(struct fiber_pool *p, struct fiber *f);

/* Tells other threads what runs now. */
static inline void fiber_set_label(struct fiber_pool *p, const void *label)
{
    atomic_store_explicit(&p->label, label, memory_order_relaxed);
}

/* The running fiber; NULL on the core's own stack. */
static inline struct fiber *fiber_self(const struct fiber_pool *p)
{
    return p->running;
}
