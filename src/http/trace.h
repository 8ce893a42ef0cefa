#pragma once
/* The trace that a request is part of, as its field traceparent says (W3C Trace Context). */

#include "http/head.h"

/* What a traceparent names: a trace, and the span that is the parent of what its receiver does. */
struct trace {
    uint64_t id[2];  /* not both 0 */
    uint64_t parent; /* not 0 */
    uint8_t flags;
};

enum { TRACE_PARENT = 55 }; /* characters of version 00 */

/* False if it is malformed. Of a version that is not known yet it takes what all versions have. */
bool trace_parse(slice traceparent, struct trace *out);

/* In version 00, and terminated. */
void trace_format(const struct trace *t, char out[TRACE_PARENT + 1]);

/* False if the head has no such field, more than one, or a malformed one. */
bool trace_of(const struct head *h, struct trace *out);

/* For a span of this thread: random, and not 0. */
uint64_t trace_new_span(void);
