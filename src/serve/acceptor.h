#pragma once
/* Accepts connections for one core from its listening sockets, up to a limit. Far from the limit it
 * accepts in batches, near it one connection at a time; at the limit it pauses, and clients wait in
 * the accept queue, which the kernel bounds. When descriptors run out it retries later. */

#include "io/io.h"

enum { LISTEN_MAX = 16 };

struct acceptor;

struct listener {
    struct io_accept accept;
    struct acceptor *acceptor;
    struct wheel_timer retry; /* after descriptors ran out */
    uint64_t last_warning;    /* io time */
};

struct acceptor {
    struct io *io;
    unsigned core;                             /* its index */
    const uint32_t *n_open;                    /* the core's connections */
    uint32_t max_conns;                        /* limit of *n_open */
    uint32_t backlog;                          /* connections that one accept queue can hold */
    void (*admit)(struct acceptor *a, int fd); /* takes over an accepted socket */
    struct listener listener[LISTEN_MAX];
    uint32_t n_listeners;
    bool accepting;
    bool single;                /* one connection per accept, so that the limit is kept exactly */
    bool stopped;               /* for good */
    int over_limit[LISTEN_MAX]; /* accepted when the limit was just reached, one per listener */
    uint32_t n_over_limit;
    uint64_t failures; /* accepts that failed because descriptors ran out */
};

/* Adds a listening socket, which acceptor_close closes. Call before acceptor_start. */
void acceptor_add_listener(struct acceptor *a, int fd);

/* This and the functions below, except acceptor_close, are called on the core's thread. */
void acceptor_start(struct acceptor *a, struct io *io, const uint32_t *n_open);

/* Tells the acceptor that a connection has closed: it may accept another one. */
void acceptor_conn_closed(struct acceptor *a);

/* Accepts no more connections. */
void acceptor_stop(struct acceptor *a);

/* After acceptor_stop: nothing is in flight any more. */
bool acceptor_idle(const struct acceptor *a);

/* Closes the listening sockets. Call when the core's thread has ended. */
void acceptor_close(struct acceptor *a);
