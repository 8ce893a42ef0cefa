#pragma once
/* One core of torc-lab, from the connection up, on the engine in memory. */

#include "../support/mem_engine.h"
#include "http/context.h"

enum { RIG_MAX_BODY = 64 * 1024 }; /* --max-body, for every engine that runs the cases */

struct rig {
    struct io io;
    struct http_context core;
    struct http_limits limits; /* torc-lab's defaults, but for max_body */
    struct io_accept accept;
    struct router *router;
};

void rig_open(struct rig *r);

/* NULL once every connection has ended and left nothing behind; else what is still there. */
const char *rig_left_behind(const struct rig *r);

/* Asserts that everything came home: connections, requests, fibers, output, operations. */
void rig_close(struct rig *r);
