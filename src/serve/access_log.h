#pragma once
/* The access log. Each core writes lines into a ring buffer of its own, and one thread writes them
 * to the file, as soon as a buffer is a quarter full, or after a while. A core never waits: a line
 * that does not fit is dropped and counted. The thread says on stderr how many were lost, once in
 * ten seconds. */

#include "http/request.h"
#include "serve/options.h"

struct access_log;        /* the file and its thread */
struct access_log_buffer; /* of one core */
struct access_move;       /* access_file.h */

enum { ACCESS_FLUSH_MS = 50 };

/* Opens the log, with a buffer for each core; "-" is stdout. A line stays in a buffer for at most
 * `flush_ms`; -1: until the buffer is a quarter full. NULL, errno and the reason in `why` if that
 * fails. */
struct access_log *access_log_open(const char *path, enum log_format format, uint32_t cores,
                                   int flush_ms, char *why, size_t size);

/* The buffer of core `index`. */
struct access_log_buffer *access_log_buffer(struct access_log *log, uint32_t index);

/* The descriptor of the file, which its thread may replace; before the first reopening. */
int access_log_descriptor(const struct access_log *log);

/* Reopens the file after a rotation. Async-signal-safe. */
void access_log_reopen(struct access_log *log);

/* Has the log go on in another file: lines that are in the buffers by now get into the old one.
 * Takes `to`. */
void access_log_move(struct access_log *log, struct access_move *to);

/* Waits until the lines that are in the buffers are in the file, or for two seconds. */
void access_log_flush(struct access_log *log);

/* Writes the remaining lines, ends the thread and closes the file. Call when no core writes. False
 * if a disk takes nothing for four seconds, which it logs, with the number of lines that are not
 * written: the thread then goes on with the log, and releases it once it can. */
bool access_log_close(struct access_log *log);
