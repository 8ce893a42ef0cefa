#include "serve/loop.h"

#include "base/assert.h"
#include "base/limit.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#define THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define THREAD_SANITIZER 0
#endif

enum { CLOSE_MAX = 65536, ARENAS_KEPT = 1024 };

/* ---- the thread ---- */

void loop_pin(struct loop *l)
{
    if (l->n_cpus == 0 || cpus_pin(l->cpu, l->n_cpus, &l->before_pin)) return;
    if (!l->config.one_connection)
        log_line("cannot pin thread %s to CPU %u", l->name, l->cpu[0]);
    else if (strcmp(l->name, "torc-0") == 0) /* once for all of them */
        log_line("cannot keep the threads to the CPUs of --cores");
}

/* NULL unless the program is linked with jemalloc (jemalloc(3)). */
extern int mallctl(const char *name, void *old, size_t *old_len, void *value, size_t len)
    __attribute__((weak));

bool loop_has_jemalloc(void)
{
    return mallctl != NULL;
}

/* An arena stays for as long as the process: those of loops that have ended are used by others. */
static pthread_mutex_t arenas_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned unused_arena[ARENAS_KEPT];
static unsigned n_unused_arenas;

static bool take_arena(unsigned *arena)
{
    size_t size = sizeof *arena;
    pthread_mutex_lock(&arenas_mutex);
    bool found = n_unused_arenas > 0;
    if (found) *arena = unused_arena[--n_unused_arenas];
    pthread_mutex_unlock(&arenas_mutex);
    return found || mallctl("arenas.create", arena, &size, NULL, 0) == 0;
}

static void give_back_arena(const struct loop *l)
{
    static const char prefix[] = "arena.";
    if (!l->decay[0] || l->config.one_connection) return;
    unsigned long arena = strtoul(l->decay + sizeof prefix - 1, NULL, 10);
    pthread_mutex_lock(&arenas_mutex);
    if (n_unused_arenas < ARENAS_KEPT) unused_arena[n_unused_arenas++] = (unsigned)arena;
    pthread_mutex_unlock(&arenas_mutex);
}

/* Threads that serve one connection each share the arenas that jemalloc gives them, as there may be
 * hundreds; nor does each have a cache of what it has freed, which would take 40 KiB. */
static bool share_arena(unsigned *arena)
{
    size_t size = sizeof *arena;
    bool cache = false;
    mallctl("thread.tcache.enabled", NULL, NULL, &cache, sizeof cache);
    return mallctl("thread.arena", arena, &size, NULL, 0) == 0;
}

static bool own_arena(unsigned *arena)
{
    return take_arena(arena) && mallctl("thread.arena", NULL, NULL, arena, sizeof *arena) == 0;
}

static void choose_arena(struct loop *l)
{
    unsigned arena = 0;
    if (!mallctl) return;
    bool found = l->config.one_connection ? share_arena(&arena) : own_arena(&arena);
    if (!found) return;
    snprintf(l->decay, sizeof l->decay, "arena.%u.decay", arena);
}

void loop_return_memory(const struct loop *l)
{
    if (l->decay[0]) mallctl(l->decay, NULL, NULL, NULL, 0);
}

/* Where the system refuses close_range, which is of Linux 5.9, one after the other: at the start
 * few are open, with low numbers. */
static void close_from_to(int from, int to)
{
    if (to < from || syscall(SYS_close_range, from, to, 0) == 0) return;
    for (int fd = from; fd <= to && fd < CLOSE_MAX; fd++) close(fd);
}

/* Closes every descriptor but 0 to 2 and those of l->only: the table would keep them open when the
 * others close them, a client's socket or the old access log. */
static void close_others(const struct loop *l)
{
    const int *keep = l->only;
    int from = STDERR_FILENO + 1;
    for (uint32_t i = 0; i < l->n_only; from = keep[i++] + 1) close_from_to(from, keep[i] - 1);
    close_from_to(from, INT_MAX);
}

/* Gives the thread a descriptor table of its own. System calls then need no atomic reference to a
 * file, as in a single-threaded program, and cores that accept and close do not contend for one
 * lock. But what one thread opens or closes, the others do not see. */
static void unshare_descriptors(const struct loop *l)
{
    /* The thread sanitizer assumes that a descriptor number means the same file in all threads. */
    if (THREAD_SANITIZER || !l->private_descriptors) return;
    if (unshare(CLONE_FILES) < 0)
        log_line("thread %s shares its descriptors: the system refuses unshare(2)", l->name);
    else if (l->n_only > 0)
        close_others(l);
    else if (l->without > STDERR_FILENO)
        close(l->without);
}

/* A handler of the program's would find its descriptors closed, or other files under their numbers.
 * torc's own need none, and faults cannot be blocked. */
static void block_signals(const struct loop *l)
{
    static const int kept[] = {SIGTERM, SIGINT, SIGHUP,  SIGSEGV, SIGBUS,
                               SIGFPE,  SIGILL, SIGTRAP, SIGSYS};
    sigset_t set;
    if (l->n_only == 0) return;
    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) sigdelset(&set, kept[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_wake(struct io *io)
{
    struct loop *l = io->user;
    int command = atomic_load_explicit(&l->command, memory_order_acquire);
    if (command != LOOP_RUN) l->owner->command(l, (enum loop_command)command);
}

static void on_turn_end(struct io *io)
{
    struct loop *l = io->user;
    l->owner->turn_end(l, io->turn_end);
}

static bool is_finished(struct loop *l)
{
    return loop_is_stopping(l) && l->owner->finished(l) && io_idle(&l->io) &&
           io_close_inbox(&l->io);
}

static void report_broken(const struct loop *l)
{
    if (l->error == -EBADF) {
        log_line("thread %s: its descriptors were closed, as by close_range(2); the server ends",
                 l->name);
        return;
    }
    log_line("thread %s: %s failed: %s; the server ends", l->name, io_wait_call(l->engine),
             strerror(-l->error));
}

static void *run(void *arg)
{
    struct loop *l = arg;
    pthread_setname_np(pthread_self(), l->name);
    atomic_store(&l->tid, (int)syscall(SYS_gettid));
    loop_pin(l);
    choose_arena(l);
    block_signals(l);
    unshare_descriptors(l);
    l->error = io_open(&l->io, l->engine, &l->config);
    if (l->error < 0) {
        give_back_arena(l);
        l->owner->state(l, LOOP_FAILED);
        return NULL;
    }
    l->io.user = l;
    l->io.on_wake = on_wake;
    l->io.on_turn_end = on_turn_end;
    l->owner->state(l, LOOP_OPEN);
    l->owner->start(l);
    while (!is_finished(l) && !l->io.error) io_turn(&l->io);
    atomic_store(&l->tid, 0);
    l->error = l->io.error;
    if (l->error < 0) {
        report_broken(l);
        l->owner->state(l, LOOP_BROKEN);
        return NULL;
    }
    l->owner->end(l);
    l->owner->state(l, LOOP_DONE); /* what the loops share may be freed from now on */
    io_close(&l->io);
    give_back_arena(l);
    return NULL;
}

/* ---- interface ---- */

int loop_prepare(struct loop *l)
{
    l->config.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return l->config.wake_fd < 0 ? -errno : 0;
}

int loop_start(struct loop *l)
{
    int err = pthread_create(&l->thread, NULL, run, l);
    if (err) {
        l->thread = 0;
        l->refused_by = limit_of_thread(err);
    }
    return -err;
}

void loop_command(struct loop *l, enum loop_command command)
{
    int now = atomic_load_explicit(&l->command, memory_order_relaxed);
    if (now >= (int)command) return;
    atomic_store_explicit(&l->command, command, memory_order_release);
    io_wake(&l->io);
}

void loop_join(struct loop *l)
{
    if (l->thread) pthread_join(l->thread, NULL);
    if (l->config.wake_fd > 0) close(l->config.wake_fd);
}
