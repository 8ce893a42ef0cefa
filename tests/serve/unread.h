#pragma once
/* A stderr that nobody reads. */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The descriptor of a pipe that is full. Its other end stays open, too. */
static inline int unread_pipe(void)
{
    static const char page[4096];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) abort();
    int size = fcntl(ends[1], F_SETPIPE_SZ, (int)sizeof page);
    for (int n = 0; n < size; n += (int)sizeof page)
        if (write(ends[1], page, sizeof page) != sizeof page) abort();
    return ends[1];
}

/* From now on; returns a descriptor of what it was. */
static inline int unread_stderr(void)
{
    int before = dup(STDERR_FILENO);
    if (before < 0 || dup2(unread_pipe(), STDERR_FILENO) < 0) abort();
    return before;
}
