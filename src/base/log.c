#include "base/log.h"

#include "base/emit.h"
#include "base/libc.h"
#include "base/pipe_signal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

static bool is_regular(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* A full pipe must not block a core. RWF_NOWAIT needs support by the file; where that is missing,
 * poll first. Pipes have it: if poll is refused, what is left had better be written. A file that
 * would wait for the disk gives EAGAIN, too: XFS does whenever the time of the last change has to
 * be updated. Files get the line all the same. */
static bool write_now(const char *line, size_t len)
{
    struct iovec v = {(void *)(uintptr_t)line, len};
    if (pwritev2(STDERR_FILENO, &v, 1, -1, RWF_NOWAIT) >= 0) return true;
    if (errno == EPIPE) return false;
    if (errno == EAGAIN) return is_regular(STDERR_FILENO) && emit(STDERR_FILENO, line, len) >= 0;
    struct pollfd p = {STDERR_FILENO, POLLOUT, 0};
    int n = poll(&p, 1, 0);
    if (n == 0 || (n > 0 && !(p.revents & POLLOUT))) return false;
    return emit(STDERR_FILENO, line, len) >= 0;
}

/* Where nobody reads the pipe any more, that must not end the program: the signal is taken back. */
bool log_write(const char *line, size_t len)
{
    struct pipe_signal signal;
    pipe_signal_hold(&signal);
    bool done = write_now(line, len);
    pipe_signal_release(&signal, !done && errno == EPIPE);
    return done;
}

void log_line(const char *format, ...)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "torc: ");
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    size_t len = (size_t)n + (m < 0 ? 0 : (size_t)m);
    if (len > sizeof line - 2) len = sizeof line - 2;
    line[len++] = '\n';
    log_write(line, len); /* in one call, so that lines of several threads do not mix */
}
