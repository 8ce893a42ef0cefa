#include "load/queue.h"

#include <stdlib.h>
#include <string.h>

/* Moves what waits to the start of a larger array. */
static bool grow(struct queue *q)
{
    uint32_t n = q->tail - q->head, cap = n < 32 ? 64 : 2 * n;
    struct pending *more = calloc(cap, sizeof *more);
    if (!more) return false;
    if (n) memcpy(more, q->at + q->head, n * sizeof *more);
    free(q->at);
    q->at = more;
    q->head = 0;
    q->tail = n;
    q->cap = cap;
    return true;
}

bool queue_push(struct queue *q, const struct pending *p)
{
    if (q->tail == q->cap && !grow(q)) return false;
    q->at[q->tail++] = *p;
    return true;
}

void queue_free(struct queue *q)
{
    free(q->at);
}
