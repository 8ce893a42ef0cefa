#pragma once
/* The two ways of doing a thing n times: `mode` of a request. */

#include "torc.h"

/* WAITS. Runs fn(rq, item) for each of `n` items of `size` bytes, concurrently or one after
 * another, which ends with the first that fails. 0, or the first error: -EUSERS, which is none of a
 * call to another server, where each_spawn returned it. */
int each(torc_req *rq, bool concurrent, torc_task *fn, void *items, size_t size, int64_t n);

/* torc_spawn, but -EUSERS where --max-requests leaves no room: -EAGAIN is also what a full queue of
 * a backend returns. */
int each_spawn(torc_group *g, torc_task *fn, void *arg);

/* Replies with 503 after -EUSERS. */
void each_no_room(torc_req *rq);
