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
    w->last[i] = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    return true;
}

int watch_open(struct watch *w, const struct plan *p)
{
    *w = (struct watch){0};
    for (uint32_t i = 0; i < p->n_watched; i++) {
        w->pid[i] = p->watched[i];
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

/* ---- waiting for a CPU ---- */

bool waited_parse(const char *line, struct waited *out)
{
    /* On a CPU, waiting for one, how often on one (Linux,
     * Documentation/scheduler/sched-stats.rst). */
    return sscanf(line, "%*u %" SCNu64 " %" SCNu64, &out->ns, &out->turns) == 2;
}

static void add_file(struct waited *w, const char *path)
{
    char line[80];
    struct waited more;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = '\0';
    if (!waited_parse(line, &more)) return;
    w->ns += more.ns;
    w->turns += more.turns;
}

void waited_add_thread(struct waited *w, int tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
    add_file(w, path);
}

static void add_process(struct waited *w, int pid)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
        add_file(w, path);
    }
    if (dir) closedir(dir);
}

struct waited watch_waited(const struct watch *w)
{
    struct waited sum = {0};
    for (uint32_t i = 0; i < w->n; i++)
        if (!has_ended(w, i)) add_process(&sum, w->pid[i]);
    return sum;
}

struct waited waited_since(const struct waited *before, const struct waited *now)
{
    if (now->ns < before->ns || now->turns < before->turns) return (struct waited){0};
    return (struct waited){now->ns - before->ns, now->turns - before->turns};
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
