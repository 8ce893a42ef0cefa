#pragma once
/* CPU time of other processes and of this one, from the kernel's CPU clocks: to the nanosecond, of
 * all threads, living and ended, io_uring's kernel workers among them. And run delay, from the
 * kernel's scheduler statistics: of living threads only. */

#include "load/plan.h"

#include <pthread.h>

/* How long threads were runnable without a CPU: since they started, or between two readings. */
struct run_delay {
    uint64_t ns;
    uint64_t runs; /* how often they got a CPU; 0: unknown */
};

struct watch {
    int pid[PLAN_WATCHED];
    clockid_t clock[PLAN_WATCHED];
    int pidfd[PLAN_WATCHED];       /* readable once the process has ended; -1: unavailable */
    uint64_t cpu_ns[PLAN_WATCHED]; /* ns, the last reading */
    uint32_t n;
    bool ended; /* at least one of them has */
};

/* 0, or -1 with a line on stderr where there is no such process. */
int watch_open(struct watch *w, const struct plan *p);

/* CPU time of all watched processes, in ns; of one that has ended, the last reading. */
uint64_t watch_read(struct watch *w);

/* Of all watched processes that have not ended. */
struct run_delay watch_run_delay(const struct watch *w);

void watch_close(struct watch *w);

/* CPU time of a thread of this process, in ns; 0 once it has ended. */
uint64_t watch_thread(pthread_t thread);

/* CPU time of this process, in ns. That of a thread that runs is up to a tick old, unless its own
 * was read just before. */
void watch_self(uint64_t *user, uint64_t *system);

/* One line of /proc/PID/schedstat; false where it is malformed. */
bool run_delay_parse(const char *line, struct run_delay *out);

/* Adds that of a thread of this process, unless it cannot be read. */
void run_delay_add_thread(struct run_delay *d, int tid);

/* From `before` to `now`; unknown where a thread has ended meanwhile. */
struct run_delay run_delay_since(const struct run_delay *before, const struct run_delay *now);
