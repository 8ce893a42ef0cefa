#pragma once
/* Messages to the operator on stderr: one line each, prefixed with "torc: ", written in one piece.
 * If nobody reads and stderr is full, the line is dropped: a core does not wait for the reader. */

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
