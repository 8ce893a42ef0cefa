#pragma once
/* The HTTP of one core, as the loop that runs it sees it. All of it on the core's thread. */

#include "http/context.h"

void http_open(struct http_context *ctx, struct io *io, const struct http_limits *limits,
               const struct router *router, unsigned index);

/* Serves an accepted socket. */
void http_accept(struct http_context *ctx, int fd);

/* No new requests; connections end when what is under way is done. */
void http_drain(struct http_context *ctx);

/* The drain has taken too long: all connections end now. */
void http_abort(struct http_context *ctx);

/* Once nothing is in flight: runs the exit hooks, and asserts that every connection, request, chunk
 * and fiber is home. */
void http_close(struct http_context *ctx);
