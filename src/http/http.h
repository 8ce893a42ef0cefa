#pragma once
/* HTTP on one core: the interface for the loop that runs it. All calls on the core's thread. */

#include "http/context.h"

void http_open(struct http_context *ctx, struct io *io, const struct http_limits *limits,
               const struct router *router, unsigned index);

/* Serves an accepted socket. */
void http_accept(struct http_context *ctx, int fd);

/* Stops new requests; connections end when their current request is done. */
void http_drain(struct http_context *ctx);

/* Ends all connections at once; for a drain that takes too long. */
void http_abort(struct http_context *ctx);

/* Call about once a second: returns memory that a burst has left, and aborts connections where
 * buffer_memory is used up. Returns whether it should be called again soon. */
bool http_housekeeping(struct http_context *ctx);

/* Call when nothing is in flight: runs the exit hooks and asserts that every connection, request,
 * chunk and fiber has been freed. */
void http_close(struct http_context *ctx);
