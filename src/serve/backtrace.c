#include "serve/backtrace.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <execinfo.h>
#else
static int backtrace(void **frames, int n)
{
    (void)frames, (void)n;
    return 0;
}

static char **backtrace_symbols(void *const *frames, int n)
{
    (void)frames, (void)n;
    return NULL;
}
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards n_servers */
static unsigned n_servers;
static struct sigaction found;
static _Atomic int number; /* of the signal; 0: none */

/* The thread that is asked, or one of those below. One that answers after the wait for it has ended
 * finds that nobody asks it any more; while it is at it, nobody else is asked. */
static _Atomic int asked;
enum { NOBODY = 0, ANSWERS = -1, HAS_ANSWERED = -2 };

enum { WAIT_MS = 1000 }; /* so late is no thread that only waits for a CPU */

/* Its answer. */
static void *frames[32];
static int n_frames;

/* It writes nothing: that could wait for who reads stderr. */
static void on_signal(int signal)
{
    int saved = errno, me = (int)syscall(SYS_gettid);
    (void)signal;
    if (atomic_compare_exchange_strong(&asked, &me, ANSWERS)) {
        n_frames = backtrace(frames, ARRAY_LEN(frames));
        atomic_store(&asked, HAS_ANSWERED);
    }
    errno = saved;
}

/* Counted down, as programs choose theirs from SIGRTMIN on. One that is blocked may be awaited, as
 * by sigwait(3) or signalfd(2), and a core would take it away. */
static int unused_signal(void)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    for (int n = SIGRTMAX; n >= SIGRTMIN; n--)
        if (!sigismember(&blocked, n) && sigaction(n, NULL, &found) == 0 &&
            found.sa_handler == SIG_DFL)
            return n;
    return 0;
}

static void install(void)
{
    struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    void *frame;
    int n = unused_signal();
    sigemptyset(&ours.sa_mask);
    (void)backtrace(&frame, 1); /* the first call allocates, which a signal handler must not */
    atomic_store(&number, n && sigaction(n, &ours, NULL) == 0 ? n : 0);
}

void backtrace_install(void)
{
    pthread_mutex_lock(&mutex);
    if (n_servers++ == 0) install();
    pthread_mutex_unlock(&mutex);
}

void backtrace_uninstall(void)
{
    struct sigaction now;
    pthread_mutex_lock(&mutex);
    int n = atomic_load(&number);
    if (--n_servers == 0 && n && sigaction(n, NULL, &now) == 0 && now.sa_handler == on_signal)
        sigaction(n, &found, NULL);
    pthread_mutex_unlock(&mutex);
}

void backtrace_allow(void)
{
    sigset_t set;
    int n = atomic_load(&number);
    if (!n) return;
    sigemptyset(&set);
    sigaddset(&set, n);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- asking ---- */

static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER; /* one at a time */

/* Whether it has answered. It may block the signal, or have no CPU. */
static bool ask(int tid, int signal)
{
    const struct timespec pause = {0, NS_PER_MS};
    if (atomic_load(&asked) == ANSWERS) return false;
    atomic_store(&asked, tid);
    int err = (int)syscall(SYS_tgkill, getpid(), tid, signal);
    for (int ms = 0; !err && ms < WAIT_MS && atomic_load(&asked) != HAS_ANSWERED; ms++)
        nanosleep(&pause, NULL);
    return !atomic_compare_exchange_strong(&asked, &tid, NOBODY) && tid == HAS_ANSWERED;
}

/* Whole lines, until one does not fit. */
static void write_frames(void)
{
    char **names = backtrace_symbols(frames, n_frames), line[1024];
    bool fits = true;
    for (int i = 0; names && fits && i < n_frames; i++) {
        size_t len = strnlen(names[i], sizeof line - 1);
        memcpy(line, names[i], len);
        line[len++] = '\n';
        fits = log_write(line, len);
    }
    free(names);
}

/* The program may have taken the signal for itself meanwhile. */
void backtrace_of_thread(int tid)
{
    struct sigaction now;
    int n = atomic_load(&number);
    if (!n || sigaction(n, NULL, &now) < 0 || now.sa_handler != on_signal) return;
    pthread_mutex_lock(&asking);
    if (ask(tid, n)) write_frames();
    pthread_mutex_unlock(&asking);
}
