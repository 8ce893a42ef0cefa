#pragma once
/* The supply of requests of one core: which is next, when it is due, and which connection gets
 * it. */

#include "load/queue.h"
#include "load/record.h"
#include "load/schedule.h"

struct supply {
    const struct plan *plan;
    struct record *record;
    struct io *io;
    uint32_t core; /* its index */
    uint32_t next_request;
    struct schedule schedule;
    struct list idle;      /* of an open loop: pipelines with room, longest idle first */
    struct queue returned; /* of an open loop: to be sent again at once */
    struct queue retries;  /* of an open loop: whose clients gave up and will try again */
    uint64_t measure_from, measure_to; /* ns, by this core's clock */
    uint64_t late;                     /* ns; by what the core fell behind while measuring */
    /* Of the requests that were due while measuring, those without reply or error in the end. */
    uint64_t unsent;     /* never sent, or given back by a server that closed; in no closed loop */
    uint64_t unanswered; /* sent: still in flight, or about to be sent again */
};

void supply_init(struct supply *s, struct record *record, struct io *io, uint32_t core);
void supply_free(struct supply *s);

/* Enters a phase, in the record too. */
void supply_enter(struct supply *s, enum phase phase);

/* Whether there are requests for new connections, now or later. */
bool supply_continues(const struct supply *s);

/* The pipeline has room: fills it in a closed loop; in an open one it gets the next request that is
 * due, as its turn comes. */
void supply_fill(struct supply *s, struct pipeline *p);

/* Gives the requests that are due to idle pipelines, and sets the engine's alarm to the next. */
void supply_dispatch(struct supply *s);

/* A request that was issued goes back unanswered, and that is no error: a server that closes after
 * a response has not processed the requests after it (RFC 9112, 9.6). An open loop sends this one
 * again, a closed loop issues another in its place. */
void supply_return(struct supply *s, const struct pending *p);

/* The reply to `p` did not come within the deadline. True where its client tries again, after
 * plan->retry_pause and on whichever connection is free then; false where it gives up for good. */
bool supply_retry(struct supply *s, const struct pending *p);

/* `p` is still its connection's when all is closed: by an interruption, as others time out before
 * that. `sent`: by that connection; what was never sent is not issued after all. Its latency is at
 * least the time until the end of the measurement. */
void supply_abandon(struct supply *s, const struct pending *p, bool sent);

/* Counts the requests that no connection has and that were due while measuring: those that wait to
 * be sent again, and those that were never sent; of a number of requests no more than that. When
 * all is closed. */
void supply_count_left(struct supply *s);
