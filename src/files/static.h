#pragma once
/* Serves static files below directories. */

#include "files/cache.h"
#include "torc.h"

struct static_core;
struct static_files; /* those of all cores */

/* `cores` is the number of cores that will serve files. NULL without memory. */
struct static_files *static_open(const struct file_cache_limits *limits, uint32_t cores);

/* Frees everything; every core must have ended, and thereby emptied its cache. */
void static_close(struct static_files *files);

/* What core `i` has open, for its http_context.files. */
struct static_core *static_core_of(struct static_files *files, uint32_t i);

/* Whether the directory can be opened and searched now: 0 or negative errno. Cores open it again
 * and again; this is to fail early. */
int static_check(const char *dir);

/* WAITS. Responds with the file `path`, as torc_reply_file does, but leaves the response to be
 * ended by the handler's return. */
int static_reply(torc_req *rq, const char *dir, torc_slice path);

/* The handler for GET of a route "PREFIX*path"; `arg` is the name of the directory. */
void static_serve(torc_req *rq, void *arg);

/* A handler that redirects to the same path with a trailing slash. */
void static_redirect(torc_req *rq, void *arg);
