#include "load/pipeline.h"

#include <stdlib.h>

bool pipeline_init(struct pipeline *p, uint32_t depth, uint64_t limit,
                   void (*run)(struct io_task *))
{
    uint32_t n = 1;
    while (n < depth) n *= 2;
    *p = (struct pipeline){
        .task = {.fn = run},
        .ring = calloc(n, sizeof *p->ring),
        .mask = n - 1,
        .depth = depth,
        .limit = limit ? limit : UINT64_MAX,
    };
    list_init(&p->link);
    return p->ring != NULL;
}

void pipeline_free(struct pipeline *p)
{
    free(p->ring);
}

void pipeline_open(struct pipeline *p)
{
    p->head = p->sent = p->tail = 0;
    p->assigned = 0;
    p->accepting = true;
}

void pipeline_stop(struct pipeline *p)
{
    p->accepting = false;
    list_unlink(&p->link);
}

void pipeline_add(struct pipeline *p, const struct pending *request, struct io *io)
{
    struct pending *added = pipeline_at(p, p->tail++);
    *added = *request;
    added->sent = io->now;
    p->assigned++;
    io_defer(io, &p->task);
}
