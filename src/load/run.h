#pragma once
/* A run from its first connection to its last: the main thread's part. */

#include "load/core.h"
#include "load/watch.h"

enum { SLICES_MAX = 1 << 16 };

/* What happened in a tenth of a second. */
struct slice_of_run {
    uint64_t requests, cpu_ns /* of the watched */, wall_ns;
};

struct run {
    const struct plan *plan;
    const struct io_engine *engine;
    struct load_core *cores;
    struct watch watch;
    int wake_fd; /* an eventfd: a core has settled its share */
    bool interrupted;
    uint64_t wall_ns;             /* measured */
    uint64_t user_ns, system_ns;  /* this process's, meanwhile */
    uint64_t watched_ns;          /* the watched processes', meanwhile */
    struct waited waited;         /* the cores' threads, meanwhile */
    struct waited watched_waited; /* the watched processes', meanwhile */
    uint64_t bytes_in, bytes_out; /* of all connections, meanwhile */
    struct slice_of_run *slices;
    uint32_t n_slices;

    /* of all cores together, when it is over */
    struct load_counts counts;
    struct first_error first[LOAD_ERRORS];
    struct io_stats io;
    struct histogram corrected, raw;
    uint64_t unsent;
    int connect_error;
};

/* Makes `addr` the first of several addresses that takes a connection within the plan's timeout, so
 * that all of a run goes to one; where none does, the first. */
void run_choose_address(struct plan *p);

/* 0 when it ran to an end, whatever the replies were; else an exit status, its reason said. */
int run_plan(struct run *r, const struct plan *plan);
