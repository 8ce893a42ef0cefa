#include "load/interval.h"

#include <stdlib.h>

bool intervals_init(struct intervals *v)
{
    *v = (struct intervals){.all = calloc(INTERVALS_MAX, sizeof *v->all), .ticks = 1};
    return v->all;
}

static struct interval both(const struct interval *a, const struct interval *b)
{
    return (struct interval){
        .attempts = a->attempts + b->attempts,
        .answered = a->answered + b->answered,
        .cpu_ns = a->cpu_ns + b->cpu_ns,
        .wall_ns = a->wall_ns + b->wall_ns,
    };
}

static void join_pairs(struct intervals *v)
{
    v->n /= 2;
    v->ticks *= 2;
    for (uint32_t i = 0; i < v->n; i++) v->all[i] = both(&v->all[2 * i], &v->all[2 * i + 1]);
}

void intervals_add(struct intervals *v, const struct interval *from, const struct interval *to)
{
    v->all[v->n++] = (struct interval){
        .attempts = to->attempts - from->attempts,
        .answered = to->answered - from->answered,
        .cpu_ns = to->cpu_ns - from->cpu_ns,
        .wall_ns = to->wall_ns - from->wall_ns,
    };
    if (v->n == INTERVALS_MAX) join_pairs(v);
}
