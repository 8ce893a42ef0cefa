#pragma once
/* A run from its first connection to its last, and what it measured. */

#include "load/core.h"
#include "load/interval.h"
#include "load/watch.h"

struct run {
    const struct plan *plan;
    const struct io_engine *engine;
    struct load_core *cores;
    struct watch watch;
    int signal_fd;
    int completed_fd; /* an eventfd: a core has completed its share */
    bool interrupted; /* by a signal */
    bool over;        /* so nothing more is awaited; nor without a server, or with a broken core */

    /* of the measurement */
    uint64_t started_at;  /* ns */
    uint64_t wall_ns;     /* what a core measured; of a number of requests: until the last one was
                             completed */
    uint64_t cpu_wall_ns; /* the time that CPU times and run delays are of */
    uint64_t cpu_replies; /* the good replies of that time */
    uint64_t user_ns, system_ns; /* CPU time of this process */
    uint64_t cores_ns;           /* of that, the cores' threads' */
    uint64_t watched_ns;         /* CPU time of the watched processes */
    struct run_delay run_delay;  /* of the cores' threads */
    struct run_delay watched_run_delay;
    struct intervals intervals;

    /* of all cores, once they have ended */
    struct load_counts counts;
    struct error_sample sample[LOAD_ERRORS];
    struct io_stats io;
    struct histogram corrected, raw;
    uint64_t unsent, unanswered; /* as of struct supply */
    uint64_t late_ns;            /* likewise */
    int connect_error;
};

/* 0 when it ran to its end, whatever the replies were; else an exit status, its reason on
 * stderr. */
int run_plan(struct run *r, const struct plan *plan);
