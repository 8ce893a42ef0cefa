#pragma once
/* What a run measures over time. */

#include <stdbool.h>
#include <stdint.h>

enum { INTERVALS_MAX = 1 << 16 };

struct interval {
    uint64_t attempts; /* at measured requests */
    uint64_t answered;
    uint64_t cpu_ns; /* of the watched processes */
    uint64_t wall_ns;
};

/* Of a run, in order. Each is of a tenth of a second; in a long run of two of them, or four … */
struct intervals {
    struct interval *all;
    uint32_t n;
    uint32_t ticks; /* tenths of a second that the next one should be of */
};

/* None; false if out of memory. The caller frees `all`. */
bool intervals_init(struct intervals *v);

/* Adds what was measured from one time to another, each a total. Where there are INTERVALS_MAX
 * then, each two become one. */
void intervals_add(struct intervals *v, const struct interval *from, const struct interval *to);
