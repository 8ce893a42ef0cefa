#include "base/limit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { STACK_USUAL = 8 << 20 };

static bool fits(size_t size, int protection, int flags)
{
    void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED) return false;
    munmap(p, size);
    return true;
}

static bool is_set(int which)
{
    struct rlimit limit;
    return getrlimit(which, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/* What may not be written to counts as address space alone (getrlimit(2)). */
const char *limit_of_memory(size_t size)
{
    if (is_set(RLIMIT_AS) && !fits(size, PROT_NONE, 0))
        return " (the limit of address space: ulimit -v)";
    if (is_set(RLIMIT_DATA) && !fits(size, PROT_READ | PROT_WRITE, MAP_NORESERVE))
        return " (the limit of data: ulimit -d)";
    return "";
}

static size_t stack_size(void)
{
    pthread_attr_t attr;
    size_t size = STACK_USUAL;
    if (pthread_getattr_default_np(&attr) != 0) return size;
    pthread_attr_getstacksize(&attr, &size);
    pthread_attr_destroy(&attr);
    return size;
}

const char *limit_of_thread(int err)
{
    if (err != EAGAIN && err != ENOMEM) return "";
    size_t size = stack_size();
    if (err == ENOMEM || !fits(size, PROT_READ | PROT_WRITE, 0)) {
        const char *limit = limit_of_memory(size);
        return size > STACK_USUAL && !*limit ? " (the size of its stack: ulimit -s)" : limit;
    }
    return " (the limit of processes and threads: ulimit -u, or pids.max of a control group)";
}
