#pragma once
/* Messages to the operator, on stderr: one line each, "torc: …", written whole. A line is lost
 * rather than waited for where nobody reads. */

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
