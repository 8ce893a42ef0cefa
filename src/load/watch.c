#include "load/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
    w->cpu_ns[i] = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    return true;
}

int watch_open(struct watch *w, const struct plan *p)
{
    *w = (struct watch){0};
    for (uint32_t i = 0; i < p->n_watched; i++) {
        w->pid[i] = p->watched[i];
        w->pidfd[w->n++] = (int)syscall(SYS_pidfd_open, p->watched[i], 0);
        /* The clock of a number that is no process id may be another process's. */
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

/* True of a zombie, too, whose clock can still be read. */
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
        sum += w->cpu_ns[i];
    }
    return sum;
}

/* ---- run delay ---- */

bool run_delay_parse(const char *line, struct run_delay *out)
{
    /* Time on a CPU, run delay, number of timeslices (Linux,
     * Documentation/scheduler/sched-stats.rst). */
    return sscanf(line, "%*u %" SCNu64 " %" SCNu64, &out->ns, &out->runs) == 2;
}

static void add_file(struct run_delay *d, const char *path)
{
    char line[80];
    struct run_delay more;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = '\0';
    if (!run_delay_parse(line, &more)) return;
    d->ns += more.ns;
    d->runs += more.runs;
}

void run_delay_add_thread(struct run_delay *d, int tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
    add_file(d, path);
}

static void add_process(struct run_delay *d, int pid)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
        add_file(d, path);
    }
    if (dir) closedir(dir);
}

struct run_delay watch_run_delay(const struct watch *w)
{
    struct run_delay sum = {0};
    for (uint32_t i = 0; i < w->n; i++)
        if (!has_ended(w, i)) add_process(&sum, w->pid[i]);
    return sum;
}

struct run_delay run_delay_since(const struct run_delay *before, const struct run_delay *now)
{
    if (now->ns < before->ns || now->runs < before->runs) return (struct run_delay){0};
    return (struct run_delay){now->ns - before->ns, now->runs - before->runs};
}

static uint64_t ns_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_usec * 1000;
}

uint64_t watch_thread(pthread_t thread)
{
    clockid_t clock;
    struct timespec ts;
    if (pthread_getcpuclockid(thread, &clock) || clock_gettime(clock, &ts) < 0) return 0;
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void watch_self(uint64_t *user, uint64_t *system)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    *user = ns_of(&r.ru_utime);
    *system = ns_of(&r.ru_stime);
}
