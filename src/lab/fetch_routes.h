#pragma once
/* What asks --upstream, for routes that do so. */

#include "torc.h"

struct fetch {
    const char *url;
    int status;
    int64_t bytes; /* of the response's body */
};

/* Whether there is an upstream, and what its URL with the query parameter `path` is. If not,
 * replies and returns false. */
bool fetch_url(torc_req *rq, const char **url);

/* WAITS. Asks for the `struct fetch`. 0, or negative errno; -EREMOTEIO for another status than 2xx.
 */
int fetch_one(torc_req *rq, void *arg);

/* Replies for what fetch_one has returned of one of these. */
void fetch_failed(torc_req *rq, int err, const struct fetch *f, int64_t n);
