#include "load/watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int watch_open(struct watch *w, const struct plan *p)
{
    *w = (struct watch){0};
    for (uint32_t i = 0; i < p->n_watched; i++) {
        struct timespec ts;
        int err = clock_getcpuclockid(p->watched[i], &w->clock[w->n]);
        if (err || clock_gettime(w->clock[w->n], &ts) < 0) {
            fprintf(stderr, "torc-load: --watch %d: no such process\n", p->watched[i]);
            return -1;
        }
        w->n++;
    }
    return 0;
}

uint64_t watch_read(const struct watch *w)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        struct timespec ts;
        if (clock_gettime(w->clock[i], &ts) == 0)
            sum += (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    }
    return sum;
}

static uint64_t ns_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_usec * 1000;
}

void watch_self(uint64_t *user, uint64_t *system)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    *user = ns_of(&r.ru_utime);
    *system = ns_of(&r.ru_stime);
}
