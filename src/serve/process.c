#include "serve/process.h"

#include "base/cpus.h"
#include "base/log.h"
#include "base/wake.h"
#include "serve/core.h"
#include "serve/signals.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static pthread_mutex_t mutex =
    PTHREAD_MUTEX_INITIALIZER; /* guards n_servers and changes of found */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned n_servers;
static rlim_t found; /* the soft limit */
static _Atomic pid_t id;

static void restore_limit(void)
{
    struct rlimit limit;
    if (n_servers == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    if (limit.rlim_cur != limit.rlim_max || found >= limit.rlim_max) return;
    limit.rlim_cur = found;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The child has one thread, and takes no lock. */
static void in_child(void)
{
    restore_limit();
    n_servers = 0;
    id = getpid();
    cpus_unpin();
    signals_forked();
    core_forked();
}

static void watch_forks(void)
{
    id = getpid();
    pthread_atfork(NULL, NULL, in_child);
}

void process_watch(void)
{
    pthread_once(&once, watch_forks);
}

static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        found = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (found == limit.rlim_max || setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    }
    log_line("cannot raise the limit of descriptors (ulimit -n): %s", strerror(errno));
}

void process_begin(void)
{
    process_watch();
    pthread_mutex_lock(&mutex);
    id = getpid();
    if (n_servers == 0) {
        raise_limit();
        atomic_store(&wake_refused, false); /* of servers before: their eventfds were closed */
    }
    n_servers++;
    pthread_mutex_unlock(&mutex);
}

void process_end(void)
{
    pthread_mutex_lock(&mutex);
    if (n_servers == 1) restore_limit();
    n_servers--;
    pthread_mutex_unlock(&mutex);
}

pid_t process_id(void)
{
    return id;
}
