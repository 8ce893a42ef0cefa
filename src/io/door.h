#pragma once
/* A listening socket that many threads share, each of which takes one connection at a time. One of
 * those that wait leads: it alone waits for the socket, so that a connection wakes one thread. When
 * it goes to serve, it makes the one that came last lead, whose memory is most likely still in the
 * caches (leader and followers). */

#include "base/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct io;
struct door;

/* A thread's place at a door. */
struct door_place {
    struct list link;
    struct door *door;
    struct io *io;
    bool waits;
    _Atomic bool leads; /* changed under the lock, by whichever thread */
};

/* Opens the door of the listener, or joins those who have. 0 or -ENOMEM. Everything here is called
 * on the thread of `io`, and does not wait. */
int door_open(struct door_place *p, struct io *io, int listener);
void door_close(struct door_place *p);

/* Without effect if it waits, or does not. A leader that leaves wakes the next by io_wake. */
void door_wait(struct door_place *p);
void door_leave(struct door_place *p);

/* Whether a thread waits for the socket, which accepts what is queued there. */
bool door_is_attended(int listener);

/* Nobody waits for the socket before `until` (ns, of clock_ns; 0: the rest is over): whoever leads
 * looks then, rather than all in turn. */
void door_rest(struct door_place *p, uint64_t until);

/* Without effect if the door does not rest. Wakes the leader. */
void door_end_rest(struct door_place *p);

/* 0: it does not rest. */
uint64_t door_rests_until(const struct door_place *p);

static inline bool door_leads(struct door_place *p)
{
    return atomic_load_explicit(&p->leads, memory_order_acquire);
}
