#pragma once
/* State of the epoll engine, shared by its files: epoll.c runs it, epoll_call.c does the operations
 * with one completion. */

#include "io/readiness.h"

#include <errno.h>
#include <sys/epoll.h>

enum { EPOLL_BATCH = 512 }; /* events per epoll_wait */

/* engine_bits of an operation */
enum {
    QUEUED = 1, /* accept stream is in the list of those with pending connections, or a send in
                   that of those to go on */
    /* READY_DONE = 2 */
};

/* Type of the object in an event's data, in the low bits of the pointer. */
enum { TAG_SOCK, TAG_ACCEPT, TAG_CALL, TAG_CORE, TAG_MASK = 3 };

struct ep {
    int fd;
    int timer_fd;        /* negative if the system refuses it: a wait then has a timeout */
    uint64_t brief;      /* waits in a row that were */
    uint64_t timer;      /* expiry of timer_fd in ns; WHEEL_NEVER when it is not set */
    struct list ready;   /* readable sockets with a recv stream */
    struct fifo accepts; /* accept streams with pending connections */
    struct fifo sends;   /* that have had their share of a turn: no edge tells when to go on */
    struct epoll_event events[EPOLL_BATCH];
};

static inline struct ep *ep_of(struct io *io)
{
    return io->state;
}

/* epoll_ctl(2): 0 or negative errno. */
static inline int epoll_control(struct io *io, int op, int fd, uint32_t events, const void *ptr,
                                int tag)
{
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)(uintptr_t)ptr | (uint64_t)tag};
    counter_add(&io->stats.syscalls, 1);
    return epoll_ctl(ep_of(io)->fd, op, fd, &e) < 0 ? -errno : 0;
}

/* ---- epoll_call.c ---- */

void epoll_call(struct io *io, struct io_call *c);

/* The descriptor of a poll or a connect is ready. */
void epoll_call_ready(struct io *io, struct io_call *c, uint32_t events);

/* Of a poll or a connect that has not completed. */
void epoll_call_cancel(struct io *io, struct io_call *c);
