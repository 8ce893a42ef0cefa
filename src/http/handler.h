#pragma once
/* Runs the handler of a request. */

#include "http/request.h"

/* Starts the route's handler on a fiber. When the handler returns, makes sure that there is a
 * response and calls the exchange's handler_returned, possibly before this function returns. 0;
 * negative errno if no fiber is available: then nothing has run. */
int handler_start(struct torc_req *rq);

/* The same, rarely: `run` is http_context.run, or run_late for a request that has waited. */
int handler_start_as(struct torc_req *rq, fiber_fn *run);

/* What every handler owes: its groups have returned and the request has its response. For a part of
 * what a route runs. On the handler's fiber. */
void handler_complete(struct torc_req *rq);

/* What runs on the fiber; `arg` is the request. For http_context.run. */
void handler_run(void *arg);
