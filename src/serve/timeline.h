#pragma once
/* /timeline.json of the admin listener: what --timeline has recorded of the last while. */

#include "base/json.h"
#include "serve/response_writer.h"
#include "torc.h"

/* Writes what was recorded in the last `ms` milliseconds, from any thread. Cores for which there is
 * no memory are counted. */
void timeline_put(struct json *j, const struct response_writer *to, const struct torc_server *s,
                  uint64_t ms);

/* `arg` is the server, whose cores have started. */
void timeline_reply(torc_req *rq, void *arg);
