#pragma once
/* CPU time of other processes and of this one, as the kernel's CPU clocks have it: to the
 * nanosecond, of all threads that live and lived, io_uring's kernel workers among them. */

#include "load/plan.h"

struct watch {
    clockid_t clock[PLAN_WATCHED];
    int pidfd[PLAN_WATCHED];     /* tells when it ends; -1: not to be had */
    uint64_t last[PLAN_WATCHED]; /* ns, what the clock said */
    uint32_t n;
    bool ended;                  /* one of them has */
};

/* 0, or -1 with a line on stderr where there is no such process. */
int watch_open(struct watch *w, const struct plan *p);

/* ns of all that are watched; of a process that has ended, what was read last. */
uint64_t watch_read(struct watch *w);

void watch_close(struct watch *w);

/* ns of this process: on the CPU in its own code, and in the kernel's. */
void watch_self(uint64_t *user, uint64_t *system);
