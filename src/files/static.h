#pragma once
/* Serves static files below one directory. */

#include "files/cache.h"
#include "torc.h"

struct static_root; /* shared by all cores, read-only after static_open */

/* Opens the directory; NULL and errno on failure. `cores` is the number of cores that will serve
 * from it. */
struct static_root *static_open(const char *dir, const struct file_cache_limits *limits,
                                uint32_t cores);

/* Frees everything; every core must have ended, and thereby emptied its cache. */
void static_close(struct static_root *root);

/* The handler for GET of a route "PREFIX*path"; `arg` is the struct static_root. */
void static_serve(torc_req *rq, void *arg);

/* A handler that redirects to the same path with a trailing slash. */
void static_redirect(torc_req *rq, void *arg);
