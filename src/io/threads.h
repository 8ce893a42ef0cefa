#pragma once
/* The parts of the engine of the classic model: threads.c, and threads_accept.c for its accept
 * streams. */

#include "io/engine.h"
#include "io/poll_set.h"

/* What a polled descriptor is of. */
enum { OF_WAKE, OF_SOCK, OF_CALL, OF_ENTRANCE };

struct threads {
    struct list socks; /* that receive, are watched, or wait to send */
    struct fifo calls; /* polls and connects */
    struct list entrances;
    uint32_t n_accepted; /* accepted connections that are open */
    struct poll_set polled;
};

static inline struct threads *threads_of(struct io *io)
{
    return io->state;
}

void threads_poll(struct io *io, int fd, int events, void *ptr, int kind);

/* Of struct io_engine. */
void threads_accept(struct io *io, struct io_accept *a);
void threads_discard(struct io *io, int fd);

void threads_cancel_accept(struct io *io, struct io_accept *a);

/* An accepted socket was closed. */
void threads_closed(struct io *io);

/* Polls the listeners that are this thread's to wait for. The time of io->now by which it has to
 * look again, or WHEEL_NEVER. */
uint64_t threads_poll_entrances(struct io *io);

/* Of one that was polled; it may have gone since. */
void threads_entrance_ready(struct io *io, void *entrance);

/* Has other threads wait for the listeners: this one does something else for a while. */
void threads_leave_doors(struct io *io);
