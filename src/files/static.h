#pragma once
/* Static files below one directory. */

#include "files/cache.h"
#include "torc.h"

struct static_root; /* shared by all cores, read-only after static_open */

/* Opens the directory; NULL and errno where that fails. `cores` is how many will serve from it. */
struct static_root *static_open(const char *dir, const struct file_cache_limits *limits,
                                uint32_t cores);

/* Every core has ended, and with it what its cache held. */
void static_close(struct static_root *root);

/* The handler for GET of a route "PREFIX*path"; `arg` is the struct static_root. */
void static_serve(torc_req *rq, void *arg);

/* The handler that sends a client on to the same path with a slash at its end. */
void static_redirect(torc_req *rq, void *arg);
