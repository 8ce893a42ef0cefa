#pragma once
/* Says what overflowed its stack, before the process ends of it: the route whose handler or job it
 * was, or the function that a core or a thread of the pool ran. */

#include "http/context.h"

/* Per process, around the time in which a server runs: sets a handler of SIGSEGV. Where a stack has
 * overflowed, it writes a line to stderr; in any case it restores the disposition that was found,
 * under which the fault occurs again. So what the process ends with stays the same. */
void overflow_watch(void);
void overflow_unwatch(void);

/* Per core, with its context, and per thread of the pool, with NULL; on the thread: gives it a
 * stack for signal handlers, unless it has one. */
void overflow_begin(const struct http_context *ctx);
void overflow_end(void);

/* What this thread runs from now on outside handlers and jobs, for the message: static memory; NULL
 * for nothing in particular. */
void overflow_running(const char *what);
