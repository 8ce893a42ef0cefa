#pragma once
/* How connections come to a core: its listening sockets, in batches or one at a time, up to a
 * limit, and again after descriptors have run out. */

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
    unsigned core;        /* its index */
    const uint32_t *open; /* how many connections the core has */
    uint32_t max;         /* that it may have */
    uint32_t backlog;     /* connections that wait in a listening queue at most */
    void (*admit)(struct acceptor *a, int fd); /* takes a connection over */
    struct listener listener[LISTEN_MAX];
    uint32_t n_listeners;
    bool accepting;
    bool singly;           /* so near the limit that it is to be met exactly */
    bool stopped;          /* for good */
    int early[LISTEN_MAX]; /* taken when the last place had just gone: one for each listener */
    uint32_t n_early;
    uint64_t refused; /* accepts that ended as descriptors had run out */
};

/* Adds a listening socket, which acceptor_close closes. Before the start. */
void acceptor_listen(struct acceptor *a, int fd);

/* On the core's thread, as all that follow but the last. */
void acceptor_start(struct acceptor *a, struct io *io, const uint32_t *open);

/* A connection has gone: there may be room for another. */
void acceptor_has_room(struct acceptor *a);

/* No connection from here on. */
void acceptor_stop(struct acceptor *a);

/* Once stopped: nothing is in flight any more. */
bool acceptor_idle(const struct acceptor *a);

/* Closes the listening sockets; the core's thread has ended. */
void acceptor_close(struct acceptor *a);
