#pragma once
/* Messages to the operator on stderr: one line each, prefixed with "torc: ", written in one piece.
 * If nobody reads and stderr is full, the line is dropped: a core does not wait for the reader. */

#include <stdbool.h>
#include <stddef.h>

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that is made already, with its end, in the same way: false if it is dropped.
 * Async-signal-safe. */
bool log_write(const char *line, size_t len);
