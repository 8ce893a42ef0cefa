#pragma once
/* Writing where a filter may refuse a system call at any time. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As write(2), by another call where that one is refused. Async-signal-safe. */
ssize_t emit(int fd, const void *bytes, size_t size);

/* Whether every call was refused, by its result and errno. */
static inline bool emit_refused(ssize_t n)
{
    return n < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES);
}
