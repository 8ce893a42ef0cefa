#pragma once
/* A set of CPUs as users write it: a count (4), a list (0-3,8; 0-0 is CPU 0 alone), or "all". */

#include "base/slice.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

enum { CPUS_MAX = 1024 };

/* The CPUs that a thread may use. */
struct cpus_mask {
    cpu_set_t set[8]; /* larger than the kernel's own mask, else EINVAL */
    bool known;
};

/* Of the calling thread. */
void cpus_mask_get(struct cpus_mask *m);

/* Lets the calling thread use these; without effect if they are not known. */
void cpus_mask_apply(const struct cpus_mask *m);

/* Pins the calling thread to these. What it could use before is kept in *before, which has to live
 * as long as the thread, for cpus_unpin. False if the system refuses. */
bool cpus_pin(const uint16_t *cpu, uint32_t n, struct cpus_mask *before);

/* Lets the calling thread use again what it could before; async-signal-safe. */
void cpus_unpin(void);

/* Lets a thread that the calling one has started use what that could before it was pinned. */
void cpus_unpin_started(pthread_t thread);

/* The CPUs in this process's affinity mask, in ascending order. Returns how many, at least one. */
uint32_t cpus_usable(uint16_t cpu[CPUS_MAX]);

/* Stores the CPUs that `text` names in cpu[] and returns how many. 0 if `text` has none of the
 * forms above; -1, with the reason in `why`, if a CPU is unavailable to this process or named
 * twice. */
int cpus_parse(const char *text, uint16_t cpu[CPUS_MAX], char *why, size_t size);
