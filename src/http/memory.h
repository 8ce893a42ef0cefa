#pragma once
/* What happens when buffer_memory is used up.
 *
 * A response that is given as a whole is kept whole, as its handler does not wait. So the core
 * bounds how many there are: while what is unsent of the large ones exceeds buffer_memory, no
 * request begins; it stays where it is, unread, until output has left. Only the large ones count,
 * so that each one that does is on its way to a client, and either leaves or is closed here:
 * requests do not wait for each other. Output in pieces is bounded by the connection, as its
 * handler waits. */

#include "http/context.h"

/* Unsent bytes of a connection at which no further request is begun on it. */
enum { PIPELINE_UNSENT = 16 * 1024 };

void memory_open(struct http_context *ctx);

/* Closes connections whose client does not read, or does not complete a head, or whose input nobody
 * reads, until the rest is within buffer_memory. */
void memory_enforce(struct http_context *ctx);
