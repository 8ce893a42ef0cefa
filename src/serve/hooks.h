#pragma once
/* Functions of the program that run on each core before it serves, and after its last request
 * (torc_server_each_core). Those of one core run one after the other, each on the fiber of an
 * errand; what was started first is stopped last. */

#include "http/errand.h"
#include "serve/signals.h"

struct core_hook {
    torc_task *start;   /* or NULL */
    torc_handler *stop; /* or NULL */
    void *arg;
};

/* Of one core. */
struct hooks {
    const struct core_hook *list;
    uint32_t n;
    const struct server_signals *asked; /* to stop: then no further start function runs; NULL in a
                                           trial, which nobody stops */
    uint32_t n_started;                 /* those whose start function has returned 0 */
    int error;                          /* of the one that has failed; 0: none */
    bool stopping, aborted;
    void (*started)(struct hooks *h); /* the last start function has run, or one has failed */
    struct route route;               /* of the errand under way */
    struct errand errand;
};

/* Runs the start functions, on the core; `started` may be called before this returns. */
void hooks_start(struct hooks *h, struct http_context *ctx, void (*started)(struct hooks *h));

/* Cancels the start function that runs, if one does. */
void hooks_drain(struct hooks *h);

/* Likewise, and the stop functions, too. */
void hooks_abort(struct hooks *h);

/* Runs the stop functions; true once none is left. Called until then, after the last request. */
bool hooks_stop(struct hooks *h, struct http_context *ctx);
