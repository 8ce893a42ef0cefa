#pragma once
/* A core of the server: a loop, the acceptor that brings it connections, and HTTP on them. The
 * admin listener has a core of its own, unpinned and with its own routes. */

#include "base/recorder.h"
#include "http/http.h"
#include "serve/acceptor.h"
#include "serve/access_buffer.h"
#include "serve/heap.h"
#include "serve/hooks.h"
#include "serve/loop.h"
#include "serve/signals.h"
#include "torc.h"

struct core;

/* The directory of --root, which requests in progress keep. Of one core. */
struct core_root {
    unsigned refs;
    char path[];
};

/* What torc_on_end has added. */
struct end_fn {
    torc_end_fn *fn;
    void *arg;
};

/* A core's part of new settings. */
struct core_change {
    struct io_post post;
    const struct http_limits *limits;
    struct core_root *root;       /* the core takes it */
    void (*done)(struct core *c); /* called on the core's thread */
};

struct core {
    struct loop loop;
    struct http_context http;
    struct acceptor acceptor;
    struct wheel_timer housekeeping;
    unsigned idle_seconds; /* without a connection */
    struct heap_share heap;
    struct access_log_buffer *log; /* NULL without an access log */
    uint64_t stalls;               /* counted by the thread that watches (stall.h) */

    _Atomic bool is_open; /* its engine is, and has not failed */

    /* For torc_post, from any thread. */
    _Atomic bool takes_posts;  /* it has been ready, and its stop functions have not begun */
    _Atomic uint32_t n_posted; /* functions that have not run */

    bool serves;          /* or has served: the acceptor was started */
    struct io_post serve; /* of core_serve */

    /* Set before core_start. */
    struct http_limits limits; /* later only its own thread changes these two */
    struct core_root *root;    /* NULL without --root; freed by core_join */
    const struct router *router;
    const struct error_handler *error_handlers;
    const struct end_fn *ends; /* n_ends of them */
    uint32_t n_ends;
    struct static_core *files; /* NULL where no files are served */
    struct offload *pool, *openers;
    struct recorder recorder; /* of --timeline, for http.recorder; or without records */
    bool timing;              /* of --timing */
    slice server_line;        /* of --server-name; absent: the usual one */
    struct tick *ticks;       /* freed by core_join */
    uint32_t n_ticks;
    struct hooks hooks; /* their list and number */
    unsigned index;
    void (*on_state)(struct core *c, enum loop_state state); /* called on the core's thread, */
    void (*on_lost)(struct core *c, uint32_t listener);      /* and so is this: see acceptor.lost */
    void *server;
    struct server_signals *signals; /* of the server, whose control thread it asks */

    struct core_change change; /* the one under way */
};

/* The core whose thread this is, or NULL. */
struct core *core_here(void);

/* In a process that the thread of a core or a job has forked. */
void core_forked(void);

/* Starts the core's thread. The fields above, the loop's engine, config, name and cpu, and the
 * acceptor's backlog and listeners are set before. 0 or negative errno; on_state then reports its
 * progress. */
int core_start(struct core *c);

/* Has a core that is LOOP_PREPARED accept connections; it is LOOP_READY then. One without start
 * functions does so by itself. From any thread. */
void core_serve(struct core *c);

/* Refuses what torc_post brings from now on. True once what it took before has run; until then the
 * core goes on. On its thread, before the stop functions. */
bool core_end_posts(struct core *c);

/* For http.on_request_done of a core: has the access log and torc_on_end told. */
void core_request_done(struct http_context *ctx, const struct torc_req *rq, const char *peer,
                       uint64_t bytes, enum http_end end);

/* NULL without memory. `path` is copied. */
struct core_root *core_root_new(const char *path);
void core_root_release(struct core_root *r);

/* Has a core that was ready take c->change, between two turns, and call `done`. False if it has
 * ended. */
bool core_start_change(struct core *c);

/* Waits for the thread, if it was started, and closes the listening sockets; with `leave_kept`, not
 * those that the process was given. */
void core_join(struct core *c, bool leave_kept);
