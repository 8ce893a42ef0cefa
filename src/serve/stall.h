#pragma once
/* Names handlers that hold their core: a thread looks at the turns of every core. When a turn has
 * taken longer than --stall-warn, it counts that and, once in ten seconds, writes which route it
 * is, whether its thread computes or is blocked in a system call, and for one that computes, where
 * the C library can tell, the functions it is in. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct core;

struct stall_watch {
    struct core *cores;
    uint32_t n_cores;
    uint64_t limit;           /* ns */
    const _Atomic bool *asks; /* threads may be asked for a backtrace: the signals are torc's */

    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* guards `stop` */
    bool stop;
    pthread_cond_t stopping; /* of the monotonic clock */
    struct stall_seen *seen; /* by core */
};

/* Watches these cores, which serve; *asks may change meanwhile. Without a thread, says that nothing
 * is watched. */
void stall_start(struct stall_watch *w, struct core *cores, uint32_t n_cores, uint64_t limit,
                 const _Atomic bool *asks);

/* Stops, if it was started. */
void stall_stop(struct stall_watch *w);
