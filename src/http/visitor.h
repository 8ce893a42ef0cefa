#pragma once
/* What a core knows of a connection's client, where a handler, the access log or a limit asks for
 * it: most connections have none of this. The peer may be a trusted proxy, which says who the
 * client of each request is (forwarded.h). */

#include "http/context.h"

struct visitor {
    struct client *client; /* NULL: its address is not known, or not needed */
    uint64_t came_at;      /* io time */
    uint32_t requests;
    bool limited;          /* its requests are checked */
    bool excess;           /* beyond the connections that its client may have */
    bool secure;           /* it came by https to a proxy that told so for the whole connection */
    struct sock_addr addr; /* of its peer, */
    char peer[SOCK_PEER_TEXT];      /* and in words; "" if not known */
    char forwarded[SOCK_PEER_TEXT]; /* the client of the request, where a proxy told */
};

/* NULL without memory. */
struct visitor *visitor_begin(struct http_context *ctx, const struct io_sock *sock);

/* Counts it among the connections of its client; false without memory. */
bool visitor_enter(struct http_context *ctx, struct visitor *v);

/* That of a connection, with its address; one that has none (*at) gets one, without limits. NULL
 * without memory. */
struct visitor *visitor_of(struct http_context *ctx, const struct io_sock *sock,
                           struct visitor **at);

void visitor_end(struct http_context *ctx, struct visitor *v);

/* The address of the client of a request; NULL if not known. Valid until the next request. */
const char *visitor_client(const struct http_context *ctx, struct visitor *v, const struct head *h);

/* Whether the request came by https, as far as trusted proxies tell. */
bool visitor_is_secure(const struct http_context *ctx, const struct visitor *v,
                       const struct head *h);

/* Of a request that begins: takes what it may use. 0; or the ns after which it should be repeated.
 * `last`: no more requests are to be served on the connection. */
uint64_t visitor_request(struct http_context *ctx, struct visitor *v, const struct head *h,
                         bool *last);

/* Whether the addresses of clients matter (io_peer). */
bool http_limits_clients(const struct http_limits *limits);

/* Switches off the limits of a client, and of what a connection may be used for; sheds nothing, and
 * trusts no proxy. */
void http_limits_exempt(struct http_limits *limits);

/* Whether requests are to be checked with their visitor. */
bool http_limits_visitors(const struct http_limits *limits);
