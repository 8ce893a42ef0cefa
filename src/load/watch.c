#include "load/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool read_clock(struct watch *w, uint32_t i)
{
    struct timespec ts;
    if (clock_gettime(w->clock[i], &ts) < 0) return false;
    w->last[i] = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    return true;
}

int watch_open(struct watch *w, const struct plan *p)
{
    *w = (struct watch){0};
    for (uint32_t i = 0; i < p->n_watched; i++) {
        w->pidfd[w->n++] = (int)syscall(SYS_pidfd_open, p->watched[i], 0);
        /* A number beyond those of processes makes the clock of another, this one's. */
        bool gone = w->pidfd[i] < 0 && errno == ESRCH;
        if (gone || clock_getcpuclockid(p->watched[i], &w->clock[i]) || !read_clock(w, i)) {
            fprintf(stderr, "torc-load: --watch %d: no such process\n", p->watched[i]);
            watch_close(w);
            return -1;
        }
    }
    return 0;
}

void watch_close(struct watch *w)
{
    while (w->n)
        if (w->pidfd[--w->n] >= 0) close(w->pidfd[w->n]);
}

/* Also where nobody has waited for it yet, and its clock still stands there to be read. */
static bool has_ended(const struct watch *w, uint32_t i)
{
    struct pollfd p = {w->pidfd[i], POLLIN, 0};
    return p.fd >= 0 && poll(&p, 1, 0) > 0;
}

uint64_t watch_read(struct watch *w)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        if (has_ended(w, i) || !read_clock(w, i)) w->ended = true;
        sum += w->last[i];
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
