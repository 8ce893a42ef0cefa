#pragma once
/* HTTP on one core: the interface for the loop that runs it. All calls on the core's thread. */

#include "http/context.h"

void http_open(struct http_context *ctx, struct io *io, const struct http_limits *limits,
               const struct router *router, unsigned index);

/* The limits that ctx->limits points to have other values than `before`. What has begun keeps what
 * it has: requests the limits of their head and body, connections what limits their client. What
 * waits for a client is timed again, from when that began. */
void http_limits_changed(struct http_context *ctx, const struct http_limits *before);

/* For http_open and http_limits_changed: room for what the limits allow. */
void http_size_pools(struct http_context *ctx);

/* Closes up to `most` connections between two requests; for a limit that has become less. */
void http_close_idle(struct http_context *ctx, uint32_t most);

/* Serves an accepted socket. A client that has as many connections as it may gets 503. */
void http_accept(struct http_context *ctx, int fd);

/* Begins to close the connection that can best be spared: one that waits for its client, and of
 * these one that never sent anything, else an idle one, else one that lingers, else one whose
 * client does not go on with its request; of equals the one that has waited longest, of those
 * looked at. Else has one that sends checked for progress, as after --write-timeout. False if none
 * is closed now. More calls look at more connections. */
bool http_make_room(struct http_context *ctx);

/* Clients wait for what this context's connections hold: one that is idle is closed, or else each
 * after its next response, with Connection: close. */
void http_yield(struct http_context *ctx);

/* While the limit of connections is near: asks those that send whether their clients read. What
 * http_make_room then knows of them is not news of its own look. */
void http_watch(struct http_context *ctx);

/* Tells the client of an accepted socket that there is no room (503), and closes it. These
 * connections come on top of the limit. They linger; where HTTP_REFUSED_MAX of them do already, the
 * first is closed for the next. No more than that may be refused in one turn. */
void http_refuse(struct http_context *ctx, int fd);

/* Calls fn(arg, request, peer) for each request in progress; `peer` is the client's address, or
 * NULL if it is not known. What runs every so often is among them. */
void http_each_request(const struct http_context *ctx,
                       void (*fn)(void *arg, const struct torc_req *rq, const char *peer),
                       void *arg);

/* Stops new requests and runs of ticks; connections end when their current request is done. */
void http_drain(struct http_context *ctx);

/* Ends all connections, and cancels ticks, at once; for a drain that takes too long. */
void http_abort(struct http_context *ctx);

/* Call about once a second: returns memory that a burst has left, and aborts connections where
 * buffer_memory is used up. Returns whether it should be called again soon. */
bool http_housekeeping(struct http_context *ctx);

/* Has the exit hooks end what they have in flight; false until nothing is. Call it when no
 * connection is left. */
bool http_stop(struct http_context *ctx);

/* Call when nothing is in flight: runs the exit hooks and asserts that every connection, request,
 * chunk and fiber has been freed. */
void http_close(struct http_context *ctx);
