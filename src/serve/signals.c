#include "serve/signals.h"

#include "base/assert.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { SERVERS_MAX = 64 };

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ};
enum { WATCHED = ARRAY_LEN(watched) };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the rest but for the handler */
static struct sigaction found[WATCHED];                   /* dispositions to restore */
static unsigned n_servers;

/* Read by the handler, which counts itself so that a server is not freed under it. */
static struct server_signals *_Atomic servers[SERVERS_MAX];
static _Atomic unsigned handling;

/* ---- asking ---- */

void signals_ask(struct server_signals *w, unsigned what)
{
    int saved = errno;
    atomic_fetch_or(&w->asked, what);
    sem_post(&w->changed);
    errno = saved;
}

static void on_signal(int number)
{
    atomic_fetch_add(&handling, 1);
    for (int i = 0; i < SERVERS_MAX; i++) {
        struct server_signals *w = atomic_load(&servers[i]);
        if (w) signals_ask(w, number == SIGHUP ? ASKED_RELOAD : ASKED_STOP);
    }
    atomic_fetch_sub(&handling, 1);
}

unsigned signals_take(struct server_signals *w, unsigned wanted)
{
    for (;;) {
        unsigned asked = atomic_fetch_and(&w->asked, ~wanted | ASKED_STOP) & wanted;
        if (asked) return asked;
        sem_wait(&w->changed); /* or a signal has come */
    }
}

bool signals_stop_asked(const struct server_signals *w)
{
    return atomic_load(&w->asked) & ASKED_STOP;
}

void signals_forget_stop(struct server_signals *w)
{
    atomic_fetch_and(&w->asked, ~(unsigned)ASKED_STOP);
}

/* ---- dispositions ---- */

/* What a failed write to a pipe, or past the limit of a file's size, tells by its error, too. Not
 * SIG_IGN: a program that a handler executes would have that, but not a handler (execve(2)). */
static void on_failed_write(int number)
{
    (void)number;
}

static bool is_of_writes(int number)
{
    return number == SIGPIPE || number == SIGXFSZ;
}

/* SA_RESTART: the program's own system calls are not interrupted. SA_ONSTACK: a fiber's stack may
 * have little room left. */
static void change_disposition(int i)
{
    struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    sigaction(watched[i], NULL, &found[i]);
    if (is_of_writes(watched[i])) ours.sa_handler = on_failed_write;
    if (is_of_writes(watched[i]) && found[i].sa_handler != SIG_DFL) return;
    if (sigaction(watched[i], &ours, NULL) < 0 && watched[i] == SIGTERM)
        log_line("cannot catch signals: %s; SIGTERM ends the server without a drain",
                 strerror(errno));
}

static void restore_disposition(int i)
{
    struct sigaction now;
    sigaction(watched[i], NULL, &now);
    void (*ours)(int) = is_of_writes(watched[i]) ? on_failed_write : on_signal;
    if (now.sa_handler == ours) sigaction(watched[i], &found[i], NULL);
}

void signals_forked(void)
{
    for (int i = 0; n_servers > 0 && i < WATCHED; i++)
        if (!is_of_writes(watched[i])) restore_disposition(i);
    for (int i = 0; i < SERVERS_MAX; i++) atomic_store(&servers[i], NULL);
    n_servers = 0;
}

static void unblock(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &set, before);
}

/* ---- servers ---- */

static bool add(struct server_signals *w)
{
    for (int i = 0; i < SERVERS_MAX; i++) {
        if (servers[i]) continue;
        atomic_store(&servers[i], w);
        return true;
    }
    return false;
}

static void drop(struct server_signals *w)
{
    for (int i = 0; i < SERVERS_MAX; i++)
        if (servers[i] == w) atomic_store(&servers[i], NULL);
    while (atomic_load(&handling)) sched_yield();
}

bool signals_watch(struct server_signals *w)
{
    pthread_mutex_lock(&mutex);
    bool added = add(w);
    if (added && n_servers++ == 0)
        for (int i = 0; i < WATCHED; i++) change_disposition(i);
    pthread_mutex_unlock(&mutex);
    if (added) unblock(&w->before);
    return added;
}

void signals_unwatch(struct server_signals *w)
{
    pthread_sigmask(SIG_SETMASK, &w->before, NULL);
    pthread_mutex_lock(&mutex);
    if (--n_servers == 0)
        for (int i = 0; i < WATCHED; i++) restore_disposition(i);
    drop(w);
    pthread_mutex_unlock(&mutex);
}

void signals_init(struct server_signals *w)
{
    sem_init(&w->changed, 0, 0);
}

void signals_free(struct server_signals *w)
{
    sem_destroy(&w->changed);
}
