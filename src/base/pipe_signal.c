#include "base/pipe_signal.h"

#include <errno.h>
#include <time.h>

static void only(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

/* It can be pending only if it was blocked before. */
void pipe_signal_hold(struct pipe_signal *p)
{
    sigset_t set;
    only(&set);
    pthread_sigmask(SIG_BLOCK, &set, &p->before);
    p->pending = false;
    if (!sigismember(&p->before, SIGPIPE)) return;
    sigemptyset(&set);
    sigpending(&set);
    p->pending = sigismember(&set, SIGPIPE);
}

void pipe_signal_release(const struct pipe_signal *p, bool raised)
{
    const struct timespec now = {0};
    int err = errno;
    sigset_t set;
    only(&set);
    if (raised && !p->pending) sigtimedwait(&set, NULL, &now);
    if (!sigismember(&p->before, SIGPIPE)) pthread_sigmask(SIG_SETMASK, &p->before, NULL);
    errno = err;
}
