#pragma once
/* CPU time of other processes and of this one, as the kernel's CPU clocks have it: to the
 * nanosecond, of all threads that live and lived, io_uring's kernel workers among them. */

#include "load/plan.h"

struct watch {
    clockid_t clock[PLAN_WATCHED];
    uint32_t n;
};

/* 0, or -1 with a line on stderr where there is no such process. */
int watch_open(struct watch *w, const struct plan *p);

/* ns of all that are watched; a process that has ended counts no more. */
uint64_t watch_read(const struct watch *w);

/* ns of this process: on the CPU in its own code, and in the kernel's. */
void watch_self(uint64_t *user, uint64_t *system);
