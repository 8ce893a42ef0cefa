#pragma once
/* Requests that wait to be sent again, first in, first out. */

#include "load/pipeline.h"

struct queue {
    struct pending *at; /* [head, tail) */
    uint32_t head, tail, cap;
};

/* False without memory. */
bool queue_push(struct queue *q, const struct pending *p);
void queue_free(struct queue *q);

static inline bool queue_empty(const struct queue *q)
{
    return q->head == q->tail;
}

/* Of a queue that is not empty. */
static inline const struct pending *queue_oldest(const struct queue *q)
{
    return &q->at[q->head];
}

static inline struct pending queue_pop(struct queue *q)
{
    return q->at[q->head++];
}
