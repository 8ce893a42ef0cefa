#pragma once
/* One core of torc-lab, from the connection up, on the engine in memory. */

#include "../support/mem_engine.h"
#include "http/context.h"

enum { LAB_CORE_MAX_BODY = 64 * 1024 }; /* --max-body, for every engine that runs the cases */

struct lab_core {
    struct io io;
    struct http_context core;
    struct http_limits limits; /* torc-lab's defaults, but for max_body */
    struct io_accept accept;
    struct router *router;
};

void lab_core_open(struct lab_core *lab);

/* NULL once every connection has ended and left nothing behind; else what is still there. */
const char *lab_core_left_behind(const struct lab_core *lab);

/* Asserts that everything came home: connections, requests, fibers, output, operations. */
void lab_core_close(struct lab_core *lab);
