#include "each.h"

#include <errno.h>

static int one_by_one(torc_req *rq, torc_task *fn, char *items, size_t size, int64_t n)
{
    int err = 0;
    for (int64_t i = 0; i < n && err == 0; i++) err = fn(rq, items + (size_t)i * size);
    return err;
}

static int together(torc_req *rq, torc_task *fn, char *items, size_t size, int64_t n)
{
    torc_group *g = torc_group_open(rq);
    if (!g) return -ENOMEM;
    for (int64_t i = 0; i < n && torc_spawn(g, fn, items + (size_t)i * size) == 0; i++) continue;
    return torc_group_join(g); /* returns what torc_spawn has, too */
}

int each(torc_req *rq, bool concurrent, torc_task *fn, void *items, size_t size, int64_t n)
{
    return (concurrent ? together : one_by_one)(rq, fn, items, size, n);
}
