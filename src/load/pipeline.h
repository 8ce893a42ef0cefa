#pragma once
/* The requests of one connection, oldest first: those in flight, then those to be sent. */

#include "base/list.h"
#include "io/io.h"

/* A request that is to be sent, or whose reply is awaited. */
struct pending {
    uint64_t intended; /* ns, when it was due; 0 in a closed loop until it is sent */
    uint64_t sent;     /* ns; until it is sent, when the connection got it; of one that is to be
                          tried again, when */
    uint32_t request;  /* which of plan->request */
    uint16_t retries;  /* attempts so far, but for the first */
    bool counted;      /* in load_counts.issued */
};

struct pipeline {
    struct list link;     /* in supply->idle */
    struct io_task task;  /* the connection's work at the end of the turn */
    struct pending *ring; /* `depth` of them, rounded up to a power of 2 */
    uint32_t mask, depth;
    uint32_t head, sent, tail; /* in flight [head, sent), to be sent [sent, tail) */
    bool accepting;            /* gets more requests */
    uint64_t assigned, limit;  /* requests of this connection so far, and at most */
};

/* `limit` 0: any number. False without memory. */
bool pipeline_init(struct pipeline *p, uint32_t depth, uint64_t limit,
                   void (*run)(struct io_task *));
void pipeline_free(struct pipeline *p);

/* For a new connection. */
void pipeline_open(struct pipeline *p);

/* No more requests; those that it has stay. */
void pipeline_stop(struct pipeline *p);

/* Adds a request, to be sent at the end of the turn. For a pipeline with room. */
void pipeline_add(struct pipeline *p, const struct pending *request, struct io *io);

static inline bool pipeline_has_room(const struct pipeline *p)
{
    return p->accepting && p->tail - p->head < p->depth && p->assigned < p->limit;
}

static inline bool pipeline_empty(const struct pipeline *p)
{
    return p->head == p->tail;
}

static inline struct pending *pipeline_at(struct pipeline *p, uint32_t i)
{
    return &p->ring[i & p->mask];
}

static inline struct pending *pipeline_oldest(struct pipeline *p)
{
    return pipeline_at(p, p->head);
}
