#pragma once
/* What the connections of one core share. */

#include "io/io.h"
#include "io/local.h"
#include "load/reference.h"
#include "load/supply.h"

struct load_context {
    struct io io;
    const struct plan *plan;
    struct record record;
    struct supply supply;
    struct filler filler;
    struct reference *references; /* by request */
    uint32_t open;                /* clients that are not CLIENT_CLOSED */
    struct sockaddr_un local;     /* the server's, where it is a Unix socket */
};
