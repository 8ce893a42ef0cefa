#pragma once
/* What an engine counts. */

#include <stdint.h>

/* Written by the core, read by other threads with counter_get. */
struct io_stats {
    uint64_t turns;
    uint64_t woken;      /* turns that have waited; fewer than `turns` while one waits */
    uint64_t enters;     /* io_uring_enter, epoll_wait, ppoll, or recv that waits */
    uint64_t syscalls;   /* all system calls of the engine, enters included */
    uint64_t sqes;       /* operations submitted; without a ring: requested */
    uint64_t cqes;       /* completions reaped; without a ring: events and completions */
    uint64_t overflows;  /* turns in which the CQ had overflowed; no completion is lost */
    uint64_t no_buffers; /* times a recv stream stopped because no buffer was free */
    uint64_t rearmed;    /* streams started again by the engine */
    uint64_t sq_full;    /* times the SQ was full and submitted early */
    uint64_t posts;      /* functions run for other threads */
    uint64_t busy_ns;    /* time not spent waiting in the kernel: the sum of all turns */
    uint64_t turn_ns;    /* the longest turn, from the return of its wait to its last callback */
    uint64_t turn_cqes;  /* most completions of a turn */
};
