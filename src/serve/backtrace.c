#include "serve/backtrace.h"

#include "base/assert.h"
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

/* Those that can be asked at a time, by whichever servers the process has. */
enum { ASKED_MAX = 16 };

/* `asked` is the thread, or one of those below. One that answers after the asking has ended finds
 * that nobody asks it any more; while it is at it, its place is not taken by another. */
struct backtrace {
    _Atomic int asked;
    int n_frames;
    void *frames[32];
};
enum { NOBODY = 0, ANSWERS = -1, HAS_ANSWERED = -2, ANSWERS_LATE = -3 };

static struct backtrace backtraces[ASKED_MAX];

static bool turns(struct backtrace *b, int from, int to)
{
    return atomic_compare_exchange_strong(&b->asked, &from, to);
}

/* It writes nothing: that could wait for who reads stderr. */
static void on_signal(int signal)
{
    int saved = errno, me = (int)syscall(SYS_gettid);
    (void)signal;
    for (struct backtrace *b = backtraces; b < backtraces + ASKED_MAX; b++) {
        if (!turns(b, me, ANSWERS)) continue;
        b->n_frames = backtrace(b->frames, ARRAY_LEN(b->frames));
        if (!turns(b, ANSWERS, HAS_ANSWERED)) atomic_store(&b->asked, NOBODY);
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

/* A thread that blocks the signal may have been asked: what is ignored is not pending any more
 * (sigaction(2)), and so ends no process. */
static void uninstall(void)
{
    static const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction now;
    int n = atomic_exchange(&number, 0);
    if (!n || sigaction(n, NULL, &now) < 0 || now.sa_handler != on_signal) return;
    sigaction(n, &ignore, NULL);
    sigaction(n, &found, NULL);
}

void backtrace_uninstall(void)
{
    pthread_mutex_lock(&mutex);
    if (--n_servers == 0) uninstall();
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

/* The program may have taken the signal for itself meanwhile. */
static int usable_signal(void)
{
    struct sigaction now;
    int n = atomic_load(&number);
    return n && sigaction(n, NULL, &now) == 0 && now.sa_handler == on_signal ? n : 0;
}

/* False if the answer is there, with which the place is the caller's still. */
static bool ends_unanswered(struct backtrace *b)
{
    int asked = atomic_load(&b->asked);
    return (asked > 0 && turns(b, asked, NOBODY)) || turns(b, ANSWERS, ANSWERS_LATE);
}

struct backtrace *backtrace_ask(int tid)
{
    int n = usable_signal();
    if (!n) return NULL;
    for (struct backtrace *b = backtraces; b < backtraces + ASKED_MAX; b++) {
        if (!turns(b, NOBODY, tid)) continue;
        if (syscall(SYS_tgkill, getpid(), tid, n) == 0) return b;
        /* A signal of an earlier asking may have reached the thread meanwhile. */
        if (!ends_unanswered(b)) atomic_store(&b->asked, NOBODY);
        break;
    }
    return NULL;
}

bool backtrace_answered(const struct backtrace *b)
{
    return atomic_load(&b->asked) == HAS_ANSWERED;
}

/* Whole lines, until one does not fit. */
static void write_frames(const struct backtrace *b, const char *name)
{
    char **names = backtrace_symbols(b->frames, b->n_frames), line[1024];
    bool fits = true;
    if (names) log_line("%s is in:", name);
    for (int i = 0; names && fits && i < b->n_frames; i++) {
        size_t len = strnlen(names[i], sizeof line - 1);
        memcpy(line, names[i], len);
        line[len++] = '\n';
        fits = log_write(line, len);
    }
    free(names);
}

void backtrace_end(struct backtrace *b, const char *name)
{
    if (ends_unanswered(b)) return;
    write_frames(b, name);
    atomic_store(&b->asked, NOBODY);
}
