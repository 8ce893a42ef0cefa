#pragma once
/* One core of torc-lab, from the connection up, on the in-memory engine. */

#include "../support/mem_engine.h"
#include "http/context.h"
#include "http/middleware.h"

enum { LAB_CORE_MAX_BODY = 64 * 1024 }; /* --max-body, for every engine that runs the cases */

struct lab_core {
    struct io io;
    struct http_context http;
    struct http_limits limits; /* torc-lab's defaults, except max_body */
    struct io_accept accept;
    struct router *router;
};

/* `around` is middleware of the routes, which the caller frees; NULL: none. */
void lab_core_open_around(struct lab_core *r, struct middleware *around);

static inline void lab_core_open(struct lab_core *r)
{
    lab_core_open_around(r, NULL);
}

/* What a closed connection has leaked; NULL for nothing. */
const char *lab_core_leak(const struct lab_core *r);

/* Asserts that every connection, request, fiber, chunk and operation has been freed. */
void lab_core_close(struct lab_core *r);
