#pragma once
/* What a core knows of a connection's client, where a handler, the access log or a limit asks for
 * it: most connections have none of this. */

#include "http/context.h"

struct conn;

struct visitor {
    struct client *client; /* NULL: its address is not known, or not needed */
    uint64_t came_at;      /* io time */
    uint32_t requests;
    bool limited;              /* its requests are checked */
    bool excess;               /* beyond the connections that its client may have */
    char peer[SOCK_PEER_TEXT]; /* "" if not known */
};

/* NULL without memory. */
struct visitor *visitor_begin(struct http_context *ctx, const struct io_sock *sock);

/* That of the connection; one that has none gets one, without limits. NULL without memory. */
struct visitor *visitor_of(struct conn *c);

void visitor_end(struct http_context *ctx, struct visitor *v);

/* Of a request that begins: takes what it may use. 0; or the ns after which it should be repeated.
 * `last`: no more requests are to be served on the connection. */
uint64_t visitor_request(struct http_context *ctx, struct visitor *v, bool *last);

/* Whether the addresses of clients matter (io_peer). */
bool http_limits_clients(const struct http_limits *limits);

/* Switches off the limits of a client, and of what a connection may be used for; sheds nothing. */
void http_limits_exempt(struct http_limits *limits);

/* Whether requests are to be checked with their visitor. */
bool http_limits_visitors(const struct http_limits *limits);

static inline const char *visitor_peer(const struct visitor *v)
{
    return v && v->peer[0] ? v->peer : NULL;
}
