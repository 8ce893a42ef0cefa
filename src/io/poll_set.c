#include "io/poll_set.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_NS (10 * NS_PER_MS) /* see poll_each */

static bool grow(struct poll_set *p)
{
    uint32_t room = p->room ? 2 * p->room : 8;
    struct pollfd *fds = realloc(p->fds, room * sizeof *fds);
    if (fds) p->fds = fds;
    struct poll_target *targets = realloc(p->targets, room * sizeof *targets);
    if (targets) p->targets = targets;
    if (fds && targets) p->room = room;
    return fds && targets;
}

void poll_set_free(struct poll_set *p)
{
    free(p->fds);
    free(p->targets);
}

int poll_set_init(struct poll_set *p)
{
    *p = (struct poll_set){0};
    if (grow(p)) return 0;
    poll_set_free(p);
    return -ENOMEM;
}

int poll_set_add(struct poll_set *p, int fd, int events, void *ptr, int kind)
{
    if (p->n == p->room && !grow(p)) return -ENOMEM;
    p->fds[p->n] = (struct pollfd){.fd = fd, .events = (short)events};
    p->targets[p->n++] = (struct poll_target){ptr, kind};
    return 0;
}

/* poll(2) takes no more descriptors than RLIMIT_NOFILE, which may be lowered at any time, and needs
 * memory for many: one after the other, now and then. */
static int poll_each(struct poll_set *p, uint64_t timeout_ns)
{
    struct timespec pause = {.tv_nsec = (long)(timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS)};
    int n = 0;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    for (uint32_t i = 0; i < p->n; i++) {
        int found = poll(&p->fds[i], 1, 0);
        if (found < 0) return -errno;
        n += found;
    }
    return n;
}

/* libc's ppoll is a cancellation point, which costs two atomic operations. */
int poll_set_wait(struct poll_set *p, uint64_t timeout_ns)
{
    struct timespec ts = {(time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S)};
    long n = syscall(SYS_ppoll, p->fds, p->n, timeout_ns == UINT64_MAX ? NULL : &ts, NULL, 0);
    if (LIKELY(n >= 0)) return (int)n;
    return errno == EINVAL || errno == ENOMEM ? poll_each(p, timeout_ns) : -errno;
}
