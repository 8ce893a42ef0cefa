#include "each.h"

#include <errno.h>

int each_spawn(torc_group *g, torc_task *fn, void *arg)
{
    int err = torc_spawn(g, fn, arg);
    return err == -EAGAIN ? -EUSERS : err;
}

void each_no_room(torc_req *rq)
{
    torc_set_header(rq, TORC_S("Retry-After"), TORC_S("1"));
    torc_replyf(rq, 503, "too many requests are in progress (--max-requests)\n");
}

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
    int refused = 0;
    for (int64_t i = 0; i < n && refused == 0; i++)
        refused = each_spawn(g, fn, items + (size_t)i * size);
    int err = torc_group_join(g); /* returns what torc_spawn has, too */
    return refused == -EUSERS ? refused : err;
}

int each(torc_req *rq, bool concurrent, torc_task *fn, void *items, size_t size, int64_t n)
{
    return (concurrent ? together : one_by_one)(rq, fn, items, size, n);
}
