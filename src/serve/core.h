#pragma once
/* A core of the server: a loop that serves HTTP to what its acceptor takes. The admin side is one
 * too, unpinned and with routes of its own. */

#include "http/http.h"
#include "serve/acceptor.h"
#include "serve/loop.h"

struct access_log_ring;

struct core {
    struct loop loop;
    struct http_context http;
    struct acceptor acceptor;
    struct wheel_timer housekeeping;
    struct access_log_ring *log; /* NULL without */
    uint64_t started_at;         /* ns */

    /* Set before core_start. */
    const struct http_limits *limits;
    const struct router *router;
    unsigned index;
    void (*on_state)(struct core *c, enum loop_state state); /* on its thread */
    void *server;
};

/* Once engine, config and cpu of the loop, backlog and listeners of the acceptor, and what is above
 * are set. 0 or negative errno; on_state tells what comes of it. */
int core_start(struct core *c);

/* Waits for the thread, if there is one, and closes what the core was given. */
void core_join(struct core *c);
