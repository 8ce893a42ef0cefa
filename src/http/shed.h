#pragma once
/* Sheds requests of a core that has more to do than it can (--shed adaptive), so that those which
 * it takes up are answered in time.
 *
 * What it measures is the delay of a request from its arrival until its handler would start. A
 * handler that computes holds its core, so requests pile up before their handlers: in the sockets
 * while a turn runs, and in the turn behind those that the same look at the sockets brought. When
 * exactly bytes came nobody tells, but they came after the look before: if the core has not slept
 * since, all that this turn brought may have waited since then, and else it came just now.
 *
 * The time that a handler waits for others is not measured: a core with a thousand requests that
 * wait for an hour each is not overloaded, and what they wait for (the pool for work, connections
 * to other servers) has queues with limits of its own. Once their waits have ended they are work of
 * the core like any other, and the turns that do it are longer.
 *
 * As CoDel does, it tells a standing queue from a burst: it begins to shed when, over an interval,
 * the core has hardly slept and requests were late, and it ends when the core sleeps again. While
 * it sheds, a request that is late gets 503. Late is what waited longer than SHED_LEAST, or than
 * two requests hold the core, whichever is more: so those that are accepted take about three times
 * as long as alone at most. How long one holds it is averaged over the core's time, not over
 * requests: behind a slow one, many quick ones are not late. The first request of a turn is never
 * shed. */

#include "base/clock.h"

#include <stdbool.h>

#define SHED_LEAST (2 * NS_PER_MS)

struct shed {
    /* How often the thread has waited for something: a turn in which this grew has slept. */
    long (*sleeps)(void);

    /* The turn under way. */
    bool begun;      /* shed_begin_turn was called */
    uint64_t came;   /* ns: since when what it brought may have waited */
    uint32_t served; /* requests taken up in it, */
    uint64_t at;     /* the last of them at this time; 0: its end has been seen */

    /* The turn before; ns. */
    uint64_t looked, ended;
    long slept_then; /* `sleeps` at its end; -1: it was too short to make anybody late */

    /* The interval under way. */
    uint64_t since, slept; /* ns */
    double held, squares; /* sums of the times that requests held the core, ns, and their squares */
    bool late;            /* a request was late */

    uint64_t service; /* ns that a request holds the core, averaged; 0: not known yet */
    bool active;      /* late requests are shed */
};

void shed_init(struct shed *s, uint64_t now);

/* A turn that looked at the sockets at `now`, ns. Only the first call in a turn counts. */
void shed_begin_turn(struct shed *s, uint64_t now);

/* Whether a request is to be shed that would be taken up `now`, in a turn that has begun. One that
 * is `exempt` never is. */
bool shed_request(struct shed *s, uint64_t now, bool exempt);

/* The end of the turn, begun or not, that looked at the sockets at `looked`. */
void shed_end_turn(struct shed *s, uint64_t looked, uint64_t now);

/* The delay in ns from which on a request is late. */
static inline uint64_t shed_delay(const struct shed *s)
{
    uint64_t two = s->service * 9 / 4; /* and a little, as no two take the same */
    return two > SHED_LEAST ? two : SHED_LEAST;
}
