#pragma once
/* Which CPUs a program runs on, as its users write it: how many (4), which (0-3,8; 0-0 is CPU 0
 * alone), or all. */

#include "base/slice.h"

#include <stdint.h>

enum { CPUS_MAX = 1024 };

/* The CPUs that this process may run on, in order; at least one. */
uint32_t cpus_usable(uint16_t cpu[CPUS_MAX]);

/* How many were named, and in cpu[] which; 0 where the text is none of the above; -1 where a CPU
 * cannot be had or stands twice, with the reason in `why`. */
int cpus_parse(const char *text, uint16_t cpu[CPUS_MAX], char *why, size_t size);
