#include "load/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void ending(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
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
