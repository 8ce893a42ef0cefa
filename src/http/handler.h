#pragma once
/* Running the handler of a request. */

#include "http/request.h"

/* Runs the route's handler on a fiber, makes sure that there is a response, and then calls the
 * exchange's handler_returned: before this returns where the handler never waits, else later.
 * 0; negative errno where no fiber is to be had, and then nothing has run. */
int handler_start(struct torc_req *rq);
