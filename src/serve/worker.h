#pragma once
/* One core: a thread, its engine, its listeners and its connections. The admin side is a worker
 * too, unpinned and with routes of its own. */

#include "http/context.h"
#include "serve/options.h"

#include <pthread.h>
#include <stdatomic.h>

struct access_log_ring;
struct worker;

/* One listening socket of one core. */
struct listener {
    struct io_accept accept;
    struct worker *worker;
    struct wheel_timer retry; /* after descriptors ran out */
    uint64_t last_warning;    /* io time */
};

/* What a worker is asked for; each includes those before it. */
enum worker_order { WORKER_RUN, WORKER_DRAIN, WORKER_ABORT };

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_FAILED, WORKER_DONE };

struct worker {
    /* Written by its own thread, read by the admin side: on cache lines of their own. */
    _Alignas(64) struct io io;
    struct http_context core;
    struct wheel_timer housekeeping;
    struct listener listener[LISTEN_MAX];
    uint32_t n_listeners;
    bool accepting, singly; /* singly: so near the limit that it is to be met exactly */
    int early[LISTEN_MAX];  /* taken when the last place had just gone: one for each listener */
    uint32_t n_early;
    uint64_t refused; /* accepts that ended for want of descriptors */
    uint64_t started_at;
    struct access_log_ring *log;

    /* Set before the thread starts. */
    _Alignas(64) pthread_t thread;
    const struct io_engine *engine;
    struct io_config config;
    const struct http_limits *limits;
    const struct router *router;
    unsigned index;
    uint32_t backlog;                                            /* of each listener */
    int cpu;                                                     /* to be pinned to; -1 for none */
    void (*on_state)(struct worker *w, enum worker_state state); /* on its thread */
    void *owner;

    _Atomic int order; /* enum worker_order */
    int error;         /* of WORKER_FAILED: negative errno */
};

/* Adds a listening socket, which worker_end closes. Before worker_start. */
void worker_listen(struct worker *w, int fd);

/* 0 or negative errno. What comes of it is told by on_state. */
int worker_start(struct worker *w);

/* From any thread. Orders only grow. */
void worker_order(struct worker *w, enum worker_order order);

/* Waits for the thread, if there is one, and closes what the worker was given. */
void worker_end(struct worker *w);

/* Whether the program runs on jemalloc, which gives each core an arena of its own. */
bool worker_has_jemalloc(void);
