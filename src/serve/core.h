#pragma once
/* A core of the server: a loop, the acceptor that brings it connections, and HTTP on them. The
 * admin listener has a core of its own, unpinned and with its own routes. */

#include "base/recorder.h"
#include "http/http.h"
#include "serve/acceptor.h"
#include "serve/loop.h"

struct access_log_buffer;

struct core {
    struct loop loop;
    struct http_context http;
    struct acceptor acceptor;
    struct wheel_timer housekeeping;
    unsigned idle_seconds;         /* without a connection */
    struct access_log_buffer *log; /* NULL without an access log */
    uint64_t stalls;               /* counted by the thread that watches (stall.h) */

    /* For torc_post, from any thread. */
    _Atomic bool is_ready;     /* its engine is open, and has not failed */
    _Atomic uint32_t n_posted; /* functions that have not run */

    /* Set before core_start. */
    const struct http_limits *limits;
    const struct router *router;
    struct static_core *files; /* NULL where no files are served */
    struct offload *pool;
    struct recorder recorder; /* of --timeline; without records if that is off */
    bool timing;              /* of --timing */
    struct tick *ticks;       /* freed by core_join */
    uint32_t n_ticks;
    unsigned index;
    void (*on_state)(struct core *c, enum loop_state state); /* called on the core's thread */
    void *server;
};

/* Starts the core's thread. The fields above, the loop's engine, config, name and cpu, and the
 * acceptor's backlog and listeners are set before. 0 or negative errno; on_state then reports its
 * progress. */
int core_start(struct core *c);

/* Waits for the thread, if it was started, and closes the listening sockets. */
void core_join(struct core *c);
