#pragma once
/* /requests.json of the admin listener: the requests in progress. */

#include "torc.h"

/* `arg` is the server. WAITS for every core to say what it serves, up to a second. */
void inflight_reply(torc_req *rq, void *arg);
