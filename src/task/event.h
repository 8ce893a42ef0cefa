#pragma once
/* An event: signalled from any thread, awaited by any number of fibers on any core. It counts its
 * signals, and a waiter says how many it has seen: so none is missed between two waits, and many
 * signals may become one wake-up. */

#include "task/scope.h"

struct event;

/* NULL if out of memory. */
struct event *event_new(void);

/* Ends every wait with -EIDRM and frees the event when the last waiter has left it. Nobody may
 * signal it or begin to wait for it from now on. Any thread. NULL is allowed. */
void event_free(struct event *e);

/* Any thread; not from a signal handler. What the caller wrote before is visible to those it
 * wakes. */
void event_signal(struct event *e);

/* Signals so far. Any thread. */
uint64_t event_count(const struct event *e);

/* A fiber that waits for an event; on its stack. Others may end the wait by wait_wake. */
struct event_waiter {
    struct wait wait;
    struct list link; /* in the core's waiters */
    uint64_t seen;
};

/* Parks until event_count(e) is not *seen, and sets *seen to it. 0, -EIDRM, -ENOMEM, the scope's
 * error, or what wait_wake gave. */
int event_wait(struct scope *s, struct event *e, uint64_t *seen, struct event_waiter *w);
