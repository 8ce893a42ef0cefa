#pragma once
/* The end of a thread's work, for which another waits for a bounded time: pthread_join does not
 * stop waiting, and pthread_clockjoin_np is not in musl. */

#include "base/clock.h"
#include "base/cond.h"

#include <stdbool.h>

struct latch {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done; /* the work is */
    bool left; /* nobody waits for it any more */
};

static inline void latch_init(struct latch *l)
{
    *l = (struct latch){.done = false};
    pthread_mutex_init(&l->mutex, NULL);
    cond_init_monotonic(&l->changed);
}

static inline void latch_free(struct latch *l)
{
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->changed);
}

/* The work is done. False if nobody waits for it any more: what they shared is the caller's. */
static inline bool latch_end(struct latch *l)
{
    pthread_mutex_lock(&l->mutex);
    l->done = true;
    bool left = l->left;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    return !left;
}

/* Waits until the work is done. False if `deadline` (ns, of clock_ns) passes first. */
static inline bool latch_await(struct latch *l, uint64_t deadline)
{
    struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
    int err = 0;
    pthread_mutex_lock(&l->mutex);
    while (!l->done && err == 0) err = pthread_cond_timedwait(&l->changed, &l->mutex, &until);
    bool done = l->done;
    pthread_mutex_unlock(&l->mutex);
    return done;
}

static inline bool latch_is_done(struct latch *l)
{
    return latch_await(l, 0);
}

/* Waits no more: what they share is then no longer the caller's. False if the work is done by now.
 */
static inline bool latch_leave(struct latch *l)
{
    pthread_mutex_lock(&l->mutex);
    l->left = !l->done;
    bool left = l->left;
    pthread_mutex_unlock(&l->mutex);
    return left;
}
