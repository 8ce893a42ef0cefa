#include "load/signals.h"

#include "base/assert.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* As by nohup(1), and in what a script starts in the background. A blocked signal would be read all
 * the same. */
static bool is_ignored(int signal)
{
    struct sigaction now;
    return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void ending(sigset_t *set)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(set);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!is_ignored(all[i])) sigaddset(set, all[i]);
}

int signals_open(void)
{
    sigset_t set;
    ending(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void signals_close(int fd)
{
    struct signalfd_siginfo info;
    sigset_t set;
    while (read(fd, &info, sizeof info) == sizeof info) continue;
    close(fd);
    ending(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
