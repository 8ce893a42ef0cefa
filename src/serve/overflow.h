#pragma once
/* Names the route whose handler overflowed its stack, before the process ends of it. */

#include "http/context.h"

/* Per process, around the time in which a server runs: sets a handler of SIGSEGV. When a handler of
 * a request has overflowed its stack, it writes a line to stderr; in any case it restores the
 * disposition that was found, under which the fault occurs again. So what the process ends with
 * stays the same. */
void overflow_watch(void);
void overflow_unwatch(void);

/* Per core, on its thread: gives it a stack for signal handlers, unless it has one. */
struct overflow_stack {
    void *memory;
};

void overflow_begin(struct overflow_stack *s, const struct http_context *ctx);
void overflow_end(struct overflow_stack *s);
