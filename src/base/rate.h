#pragma once
/* Bytes at a rate. */

#include "base/clock.h"

/* The time (ns) that `bytes` take at `rate` > 0 bytes per second, up to 1 GiB/s; UINT64_MAX / 2 for
 * what is centuries. */
static inline uint64_t rate_time(uint64_t bytes, uint64_t rate)
{
    uint64_t seconds = bytes / rate, rest = bytes % rate;
    if (seconds > UINT64_MAX / NS_PER_S / 2 - 1) return UINT64_MAX / 2;
    return seconds * NS_PER_S + rest * NS_PER_S / rate;
}
