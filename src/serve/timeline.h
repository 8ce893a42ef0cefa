#pragma once
/* /timeline.json of the admin listener: what --timeline has recorded of the last while. */

#include "torc.h"

/* `arg` is the server, whose cores have started. */
void timeline_reply(torc_req *rq, void *arg);
