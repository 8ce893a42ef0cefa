#include "serve/stall.h"

#include "base/cond.h"
#include "base/limit.h"
#include "base/log.h"
#include "http/request.h"
#include "serve/backtrace.h"
#include "serve/core.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define LOOK_MIN NS_PER_MS
#define LOOK_MAX (NS_PER_S / 4)
#define STOPPED  NS_PER_S        /* so late is no thread that only waits for a CPU */
#define QUIET    (10 * NS_PER_S) /* after a message, per core */
#define ANSWER   NS_PER_S        /* so long a thread may take to say where it is */

/* What a thread has done so far, and does. */
struct progress {
    char state;       /* as in proc(5): R for running; '?' if it cannot be told */
    uint64_t used;    /* ns that it had a CPU */
    uint64_t blocked; /* times that it gave up its CPU to wait */
};

struct stall_seen {
    uint64_t turn, since;   /* the turn that was running, and when that was first seen */
    uint64_t busy_at;       /* when it was first seen to run; 0: not yet */
    struct progress before; /* of its thread, at that time */
    uint64_t said_at;       /* of the last message; 0: none */
    bool counted, told;
    bool unasked;            /* it computes, and its thread could not be asked so far */
    struct backtrace *asked; /* of its thread; NULL: none is awaited */
    uint64_t asked_at;
};

/* ---- telling ---- */

static bool read_line(int tid, const char *file, char *out, int size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, file);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool got = fgets(out, size, f) != NULL;
    fclose(f);
    return got;
}

/* The state of the thread, as in proc(5): R for running; '?' if it cannot be told. */
static char state_of(int tid)
{
    char line[512];
    const char *name_end = read_line(tid, "stat", line, sizeof line) ? strrchr(line, ')') : NULL;
    return name_end && name_end[1] == ' ' ? name_end[2] : '?';
}

/* Those that a handler is most often found in. */
static const char *name_of(long call)
{
    static const struct {
        long number;
        const char *name;
    } calls[] = {
        {SYS_clock_nanosleep, "clock_nanosleep"},
        {SYS_nanosleep, "nanosleep"},
        {SYS_futex, "futex"},
        {SYS_read, "read"},
        {SYS_pread64, "pread64"},
        {SYS_readv, "readv"},
        {SYS_write, "write"},
        {SYS_pwrite64, "pwrite64"},
        {SYS_writev, "writev"},
        {SYS_recvfrom, "recvfrom"},
        {SYS_recvmsg, "recvmsg"},
        {SYS_sendto, "sendto"},
        {SYS_sendmsg, "sendmsg"},
        {SYS_connect, "connect"},
        {SYS_accept, "accept"},
        {SYS_accept4, "accept4"},
        {SYS_ppoll, "ppoll"},
        {SYS_pselect6, "pselect6"},
        {SYS_epoll_pwait, "epoll_pwait"},
        {SYS_wait4, "wait4"},
        {SYS_waitid, "waitid"},
        {SYS_openat, "openat"},
        {SYS_flock, "flock"},
        {SYS_fcntl, "fcntl"},
        {SYS_fsync, "fsync"},
        {SYS_fdatasync, "fdatasync"},
        {SYS_getdents64, "getdents64"},
#ifdef SYS_poll /* not on arm64 */
        {SYS_poll, "poll"},
        {SYS_select, "select"},
        {SYS_epoll_wait, "epoll_wait"},
        {SYS_open, "open"},
#endif
    };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (calls[i].number == call) return calls[i].name;
    return NULL;
}

static void describe_blocked(int tid, char *out, size_t size)
{
    char line[128];
    long call = -1;
    if (!read_line(tid, "syscall", line, sizeof line) || sscanf(line, "%ld", &call) != 1)
        snprintf(out, size, "it is blocked in a system call");
    else if (name_of(call))
        snprintf(out, size, "it is blocked in the system call %s", name_of(call));
    else
        snprintf(out, size, "it is blocked in system call %ld", call);
}

static struct progress progress_of(int tid)
{
    static const char key[] = "voluntary_ctxt_switches:";
    struct progress p = {.state = state_of(tid)};
    char path[64], line[128];
    if (read_line(tid, "schedstat", line, sizeof line)) sscanf(line, "%" SCNu64, &p.used);
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, sizeof key - 1) == 0)
            p.blocked = strtoull(line + sizeof key, NULL, 10);
    if (f) fclose(f);
    return p;
}

/* One that has not blocked since `before`, `ns` ago, was kept from running for the rest. */
static void describe_running(const struct progress *before, const struct progress *now, uint64_t ns,
                             char *out, size_t size)
{
    uint64_t used = now->used - before->used;
    if (before->state == 'R' && before->blocked == now->blocked && used < ns / 2)
        snprintf(out, size,
                 "it computes, with a CPU for %" PRIu64 " %% of that time: other programs or a CPU "
                 "quota kept it from one",
                 used * 100 / ns);
    else
        snprintf(out, size, "it computes");
}

static void describe(int tid, char state, char *out, size_t size)
{
    if (state == '?') /* as without /proc, or a descriptor for it */
        snprintf(out, size, "what it does cannot be told");
    else
        describe_blocked(tid, out, size);
}

/* A signal would end what a thread is blocked in. So many can be asked at a time: others have to
 * wait for their answers. */
static void ask(const struct stall_watch *w, int tid, struct stall_seen *seen, uint64_t now)
{
    if (!atomic_load(w->asks) || seen->asked) return;
    seen->asked = backtrace_ask(tid);
    seen->asked_at = now;
    seen->unasked = !seen->asked;
}

static void tell(const struct stall_watch *w, const struct core *c, struct stall_seen *seen,
                 uint64_t now)
{
    const struct route *route = atomic_load(&c->http.fibers.label);
    slice pattern = route ? request_pattern_of(c->router, route) : slice_str("(no route)");
    int tid = atomic_load(&c->loop.tid);
    const struct progress p = progress_of(tid);
    char what[160];
    bool one = c->loop.config.one_connection; /* whose thread holds up nobody else */
    if (p.state == 'R')
        describe_running(&seen->before, &p, now - seen->busy_at, what, sizeof what);
    else
        describe(tid, p.state, what, sizeof what);
    log_line("%.*s: its handler has %s %u for %.2f s, %s: %s", (int)pattern.len, pattern.ptr,
             one ? "run on thread" : "held core", c->index, (double)(now - seen->since) / NS_PER_S,
             one ? "without a wait" : "while other requests wait", what);
    if (p.state == 'R') ask(w, tid, seen, now);
}

/* By name, as others may have been told of meanwhile. */
static void tell_where(const struct core *c, struct stall_seen *seen)
{
    char name[32];
    snprintf(name, sizeof name, "%s %u", c->loop.config.one_connection ? "thread" : "core",
             c->index);
    backtrace_end(seen->asked, name);
    seen->asked = NULL;
}

/* ---- watching ---- */

static void look(const struct stall_watch *w, uint32_t i, uint64_t now)
{
    struct core *c = &w->cores[i];
    struct stall_seen *seen = &w->seen[i];
    if (seen->asked && (backtrace_answered(seen->asked) || now - seen->asked_at >= ANSWER))
        tell_where(c, seen);
    const struct io_stats *stats = &c->loop.io.stats;
    uint64_t turn = counter_get(&stats->turns);
    int tid = atomic_load(&c->loop.tid); /* 0: it has ended, as cores do one by one in a drain */
    if (!tid || !seen->since || turn != seen->turn || counter_get(&stats->woken) != turn) {
        seen->turn = turn;
        seen->since = now;
        seen->busy_at = 0;
        seen->counted = seen->told = seen->unasked = false;
        return;
    }
    if (seen->unasked && state_of(tid) == 'R') ask(w, tid, seen, now);
    if (seen->told) return;
    bool first = !seen->busy_at;
    if (first) {
        seen->busy_at = now;
        seen->before = progress_of(tid);
    }
    if (now - seen->since < w->limit) return;
    if (!seen->counted) counter_add(&c->stalls, 1);
    seen->counted = true;
    /* The machine stood still. Whether it has a CPU while it runs is known at the next look. */
    if (first && seen->before.state == 'R') return;
    seen->told = true;
    if (seen->said_at && now - seen->said_at < QUIET) return;
    seen->said_at = now;
    tell(w, c, seen, now);
}

static void look_at_all(const struct stall_watch *w, uint64_t now)
{
    for (uint32_t i = 0; i < w->n_cores; i++) look(w, i, now);
}

/* ns; when to look again. */
static uint64_t next_look(const struct stall_watch *w, uint64_t now)
{
    uint64_t pause = w->limit / 4;
    for (uint32_t i = 0; i < w->n_cores; i++)
        if (w->seen[i].asked) pause = 0;
    if (pause < LOOK_MIN) pause = LOOK_MIN;
    if (pause > LOOK_MAX) pause = LOOK_MAX;
    return now + pause;
}

/* A look that is this late was held up by what holds all of the process, as SIGSTOP does: that is
 * no handler's fault. */
static void forgive(const struct stall_watch *w, uint64_t late)
{
    if (late < STOPPED) return;
    for (uint32_t i = 0; i < w->n_cores; i++)
        if (w->seen[i].since) w->seen[i].since += late;
}

static void *watch(void *arg)
{
    struct stall_watch *w = arg;
    pthread_setname_np(pthread_self(), "torc-watch");
    pthread_mutex_lock(&w->mutex);
    for (uint64_t due = clock_ns(); !w->stop;) {
        uint64_t now = clock_ns();
        if (now > due) forgive(w, now - due);
        pthread_mutex_unlock(&w->mutex);
        look_at_all(w, now);
        pthread_mutex_lock(&w->mutex);
        due = next_look(w, now);
        struct timespec until = {(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};
        if (!w->stop) pthread_cond_timedwait(&w->stopping, &w->mutex, &until);
    }
    pthread_mutex_unlock(&w->mutex);
    for (uint32_t i = 0; i < w->n_cores; i++)
        if (w->seen[i].asked) tell_where(&w->cores[i], &w->seen[i]);
    return NULL;
}

/* The thread takes no signals that are meant for others. */
static int start_thread(struct stall_watch *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&w->thread, NULL, watch, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

static void free_all(struct stall_watch *w)
{
    pthread_cond_destroy(&w->stopping);
    pthread_mutex_destroy(&w->mutex);
    free(w->seen);
}

void stall_start(struct stall_watch *w, struct core *cores, uint32_t n_cores, uint64_t limit,
                 const _Atomic bool *asks)
{
    *w = (struct stall_watch){.cores = cores, .n_cores = n_cores, .limit = limit, .asks = asks};
    pthread_mutex_init(&w->mutex, NULL);
    cond_init_monotonic(&w->stopping);
    w->seen = calloc(n_cores, sizeof *w->seen);
    int err = w->seen ? start_thread(w) : ENOMEM;
    w->started = err == 0;
    if (w->started) return;
    log_line("cannot watch for handlers that hold a core: %s%s", strerror(err),
             limit_of_thread(err));
    free_all(w);
}

void stall_stop(struct stall_watch *w)
{
    if (!w->started) return;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->stopping);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    free_all(w);
    w->started = false;
}
