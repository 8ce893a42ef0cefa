#include "serve/backtrace.h"

#include "base/assert.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
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

static void backtrace_symbols_fd(void *const *frames, int n, int fd)
{
    (void)frames, (void)n, (void)fd;
}
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards n_servers */
static unsigned n_servers;
static struct sigaction found;
static _Atomic int number; /* of the signal; 0: none */

static void on_signal(int signal)
{
    void *frames[32];
    int saved = errno;
    (void)signal;
    int n = backtrace(frames, ARRAY_LEN(frames));
    (void)n;
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
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

/* The program may have taken the signal for itself meanwhile. */
void backtrace_of_thread(int tid)
{
    struct sigaction now;
    int n = atomic_load(&number);
    if (n && sigaction(n, NULL, &now) == 0 && now.sa_handler == on_signal)
        syscall(SYS_tgkill, getpid(), tid, n);
}
