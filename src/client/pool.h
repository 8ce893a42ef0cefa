#pragma once
/* The connections of one core to other servers: kept alive between requests, bounded for each
 * origin, with a queue of those who wait for one. */

#include "task/stream.h"

struct http_stats;
struct resolver;

struct pool_limits {
    uint32_t connections; /* to an origin */
    uint32_t waiting;     /* requests that wait for one of these */
    uint64_t idle;        /* ns after which an unused connection is closed */
};

struct pool {
    struct io *io;
    struct resolver *names; /* NULL: there are none */
    struct http_stats *stats;
    struct pool_limits limits;
    struct list origins; /* those with connections or waiting requests */
    bool draining;       /* no connection is kept */
};

struct pool_origin;

struct pool_conn {
    struct stream *stream;
    struct pool_origin *origin;
    struct list link; /* in the idle ones */
    struct wheel_timer timer;
    bool reused; /* another request has used it before: its peer may have closed it meanwhile */
};

void pool_init(struct pool *p, struct io *io, struct resolver *names, struct http_stats *stats,
               const struct pool_limits *limits);

/* Closes the idle connections, and from now on those that are given back. */
void pool_drain(struct pool *p);

/* Waits for a connection to an address as dial() takes it. `fresh`: one that nobody has used. 0,
 * and the caller gives it back; -EAGAIN if too many wait already; the errors of dial. */
int pool_take(struct pool *p, struct scope *scope, const char *to, bool fresh,
              struct pool_conn **out);

/* Gives a connection back. `keep`: another request may use it. Does not wait. */
void pool_give(struct pool_conn *c, bool keep);
