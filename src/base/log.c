#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void log_line(const char *format, ...)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "torc: ");
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    size_t len = (size_t)(n + (m < 0 ? 0 : m));
    if (len > sizeof line - 2) len = sizeof line - 2;
    line[len++] = '\n';
    /* One write, so that lines of several threads do not mix. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}
