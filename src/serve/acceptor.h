#pragma once
/* Accepts connections for one core from its listening sockets, up to a limit. Far from the limit it
 * accepts in batches, near it one connection at a time. At the limit it accepts on, a few at a
 * time: each waits until a connection has closed, and one that can be spared is made to. Which it
 * is, the core decides. Where none can be spared for admit_timeout, the core is overloaded: until
 * there is room, it refuses clients rather than have them wait, as the next attempt may reach
 * another core. When descriptors run out it retries later.
 *
 * At a drain, the clients that the kernel has accepted by then are accepted still: closing the
 * listening socket would reset them. They wait for room for a short time only; where a connection
 * holds its thread, they wait in the accept queue until there is a thread or the server stops. A
 * listening socket that another process keeps is left at once, and as it is: its queue is for who
 * accepts from it next. */

#include "io/io.h"

#include <stdatomic.h>

enum {
    LISTEN_MAX = 16,
    ACCEPTOR_SPARE = 3 * LISTEN_MAX, /* sockets beyond the limit: waiting, refused, and closing */
};

struct acceptor;

struct listener {
    struct io_accept accept;
    struct acceptor *acceptor;
    uint32_t queue; /* connections that its accept queue can hold; UINT32_MAX: unknown */
    bool local;     /* a Unix socket */
    bool shared;    /* another acceptor closes it */
    bool kept;      /* another process has it, too, and serves who comes from the drain on */
    struct wheel_timer retry;     /* after descriptors ran out */
    _Atomic uint64_t own_warning; /* io time; */
    _Atomic uint64_t *warned_at;  /* of the last one: its own, or of the listener that it shares */
};

struct acceptor {
    struct io *io;
    unsigned core;                              /* its index */
    const uint32_t *n_open;                     /* the core's connections */
    const uint32_t *n_refused;                  /* of these, those that come on top of the limit */
    uint32_t max_conns;                         /* limit of the others */
    uint32_t backlog;                           /* the `queue` of listeners that are added */
    uint64_t batch;                             /* connections that may be accepted at once */
    uint64_t admit_timeout;                     /* ns */
    void (*admit)(struct acceptor *a, int fd);  /* takes over an accepted socket */
    void (*refuse)(struct acceptor *a, int fd); /* likewise, beyond the limit */
    bool (*make_room)(struct acceptor *a); /* begins to close a connection; false: none to spare */
    /* That listener accepts no more: somebody has shut it down, perhaps a core that stops already.
     */
    void (*lost)(struct acceptor *a, uint32_t index);
    struct listener listener[LISTEN_MAX];
    uint32_t n_listeners;
    struct acceptor *owner; /* whose listeners it shares, and who closes them; or NULL */
    _Atomic uint32_t
        owed; /* of the owner: 1 + what a drain has to accept yet, at most; 0: unknown */
    bool accepting;
    bool single;             /* one connection per accept, so that the limit is kept exactly */
    bool draining;           /* accepts what waits in the accept queues, then no more */
    bool closed;             /* accepts no more; what was accepted before may still come */
    bool stopped;            /* nor does that become a connection */
    bool overloaded;         /* clients have waited for admit_timeout, and there is no room yet */
    int waiting[LISTEN_MAX]; /* sockets accepted at the limit, the longest waiting first */
    uint32_t n_waiting;
    uint64_t waits_until;      /* io time at which the first of them is refused */
    uint64_t drains_until;     /* io time */
    uint32_t n_leaving;        /* connections that make_room is closing for those that wait */
    uint32_t n_late;           /* likewise for clients that were refused meanwhile */
    struct wheel_timer search; /* looks for room again, and ends the wait */
    uint64_t failures;         /* accepts that failed because descriptors ran out */
};

/* Adds a listening socket, which acceptor_close closes. Call before acceptor_start. */
struct listener *acceptor_add_listener(struct acceptor *a, int fd);

/* Adds that of another acceptor, which closes it. Before either starts. */
void acceptor_add_shared(struct acceptor *a, struct listener *of);

/* Accepts from another's listening sockets, which that one closes. Before either starts. */
void acceptor_share_listeners(struct acceptor *a, struct acceptor *owner);

/* This and the functions below, except acceptor_close, are called on the core's thread. */
void acceptor_start(struct acceptor *a, struct io *io, const uint32_t *n_open,
                    const uint32_t *n_refused);

/* Changes the limit of connections, and how long a client waits for room. */
void acceptor_set_limits(struct acceptor *a, uint32_t max_conns, uint64_t admit_timeout);

/* Looks for what no accept tells; called every few seconds. */
void acceptor_check(struct acceptor *a);

/* Tells the acceptor that a connection has closed: it may accept another one. `evicted`: it was one
 * of make_room's. */
void acceptor_conn_closed(struct acceptor *a, bool evicted);

/* Accepts the connections that have been made by now, and no more. */
void acceptor_drain(struct acceptor *a);

/* Likewise, without them. */
void acceptor_stop(struct acceptor *a);

/* Whether clients wait in the accept queue while this core has a connection. */
bool acceptor_is_awaited(const struct acceptor *a);

/* After one of these: no more connections come. */
bool acceptor_idle(const struct acceptor *a);

/* Closes the listening sockets; with `leave_kept`, not those that are kept. Call when the core's
 * thread has ended. */
void acceptor_close(struct acceptor *a, bool leave_kept);
