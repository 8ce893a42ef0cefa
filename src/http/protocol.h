#pragma once
/* The interface of a protocol to its connection, which knows nothing else about it. HTTP/1.1
 * implements it (h1.h). */

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct http_limits;
struct torc_req;

struct protocol {
    /* Called when bytes or the end of the stream have arrived, output has been sent, or conn_resume
     * was called. Consumes what it can of c->unread. */
    void (*input)(struct conn *c);
    /* While c->direct: where the bytes that come next belong; empty if nothing is to be received.
     * It stays so, and the memory too, until `received`. */
    slice (*room)(const struct conn *c);
    /* Bytes were received into that memory; or, with res <= 0, nothing, but the memory is no longer
     * in use. */
    void (*received)(struct conn *c, int res);
    /* c->read_deadline has passed. */
    void (*timeout)(struct conn *c);
    /* Since when (ns) it has waited for the client to send something; WHEEL_NEVER: it does not. */
    uint64_t (*waiting_since)(const struct conn *c);
    /* The limits change: corrects c->read_deadline. */
    void (*retime)(struct conn *c, const struct http_limits *from, const struct http_limits *to);
    /* The request in progress, or NULL. */
    const struct torc_req *(*request)(const struct conn *c);
    /* Bytes kept of the head of a request that its client has not completed for a second. */
    size_t (*head_kept)(const struct conn *c);
    /* The server drains: start nothing new. */
    void (*drain)(struct conn *c);
    /* The connection is aborted: every wait of its request returns `err` from now on. */
    void (*cancel)(struct conn *c, int err);
    /* Frees the protocol's state; false as long as a handler has not returned. */
    bool (*finish)(struct conn *c);
};
