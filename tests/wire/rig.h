#pragma once
/* One core of torc-lab, from the connection up, on the in-memory engine. */

#include "../support/mem_engine.h"
#include "http/context.h"

enum { RIG_MAX_BODY = 64 * 1024 }; /* --max-body, for every engine that runs the cases */

struct rig {
    struct io io;
    struct http_context http;
    struct http_limits limits; /* torc-lab's defaults, except max_body */
    struct io_accept accept;
    struct router *router;
};

void rig_open(struct rig *r);

/* What a closed connection has leaked; NULL for nothing. */
const char *rig_leak(const struct rig *r);

/* Asserts that every connection, request, fiber, chunk and operation has been freed. */
void rig_close(struct rig *r);
