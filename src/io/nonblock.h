#pragma once
/* O_NONBLOCK of a descriptor, by one of two system calls, of which a filter may refuse one. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>

/* 0 or negative errno. */
static inline int nonblock_set(int fd, bool on)
{
    int value = on;
    if (ioctl(fd, FIONBIO, &value) == 0) return 0;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}
