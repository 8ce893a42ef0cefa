#pragma once
/* Middleware: handlers that run around others, chosen by the prefix of the path. See torc_use.
 *
 * One thread adds them; once middleware_wrap has built them into the routes, any number of threads
 * may serve these. A route without middleware runs as if there were none. */

#include "http/router.h"

struct middleware;

/* NULL if out of memory. */
struct middleware *middleware_new(void);

/* NULL is allowed. Call when the routes are no longer served. */
void middleware_free(struct middleware *m);

/* Adds one, inside of those before it. 0; -EINVAL for a malformed prefix or without `fn`, -ENOMEM.
 * On error *why (static memory) describes it. `prefix` is copied. */
int middleware_add(struct middleware *m, slice prefix, torc_handler *fn, void *arg,
                   const char **why);

/* Puts the middleware in front of the routes of `r`, which is about to be frozen, and in front of
 * what torc answers itself. 0 or
 * -ENOMEM: then it may be called again. */
int middleware_wrap(struct middleware *m, struct router *r);
