#pragma once
/* What a path leads to. */

#include "torc.h"

struct route {
    torc_handler *fn; /* first, where tools/trace/README.md has it read */
    void *arg;
    const struct route_limits *limits; /* NULL: those of the server */
};

/* What differs for a route; 0: it does not. */
struct route_limits {
    uint64_t max_body;     /* bytes */
    uint64_t body_timeout; /* ns */
};
