#pragma once
/* The two ways of doing a thing n times: `mode` of a request. */

#include "torc.h"

/* WAITS. Runs fn(rq, item) for each of `n` items of `size` bytes, concurrently or one after
 * another, which ends with the first that fails. 0, or the first error. */
int each(torc_req *rq, bool concurrent, torc_task *fn, void *items, size_t size, int64_t n);
