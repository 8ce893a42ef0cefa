#pragma once
/* CPU time of other processes and of this one, as the kernel's CPU clocks have it: to the
 * nanosecond, of all threads that live and lived, io_uring's kernel workers among them. And how
 * long threads waited for a CPU, as its scheduler has it: of those that live. */

#include "load/plan.h"

/* How long threads were ready to run and had no CPU: since they began, or between two readings. */
struct waited {
    uint64_t ns;
    uint64_t turns; /* how often they were given a CPU; 0: nothing is known */
};

struct watch {
    int pid[PLAN_WATCHED];
    clockid_t clock[PLAN_WATCHED];
    int pidfd[PLAN_WATCHED];     /* tells when it ends; -1: not to be had */
    uint64_t last[PLAN_WATCHED]; /* ns, what the clock said */
    uint32_t n;
    bool ended; /* one of them has */
};

/* 0, or -1 with a line on stderr where there is no such process. */
int watch_open(struct watch *w, const struct plan *p);

/* ns of all that are watched; of a process that has ended, what was read last. */
uint64_t watch_read(struct watch *w);

/* Of all that are watched. A process that has ended has waited for nothing. */
struct waited watch_waited(const struct watch *w);

void watch_close(struct watch *w);

/* ns of this process: on the CPU in its own code, and in the kernel's. */
void watch_self(uint64_t *user, uint64_t *system);

/* One line of /proc/PID/schedstat; false where it is none. */
bool waited_parse(const char *line, struct waited *out);

/* Adds what a thread of this process has waited; one that cannot be read adds nothing. */
void waited_add_thread(struct waited *w, int tid);

/* From `before` to `now`; nothing is known where a thread has ended meanwhile. */
struct waited waited_since(const struct waited *before, const struct waited *now);
