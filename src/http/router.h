#pragma once
/* Which handler serves a path. Patterns are those of torc_route: segments that are static, ":name"
 * (one segment, not empty) or, last, "*name" (what is left, slashes included, may be empty). Paths
 * are compared as sent, without decoding, and a slash at the end counts.
 *
 * Of the patterns that match a path, the first in this order that has the method serves it: at each
 * segment from the left static wins over ":name", that over "*name". So POST /users/new does not
 * hide GET /users/:id from a GET of /users/new.
 *
 * Filled by one thread; after router_freeze any number of threads may find. */

#include "base/slice.h"
#include "http/method.h"
#include "torc.h"

enum {
    ROUTE_PARAMS = 8,    /* per pattern */
    ROUTE_SEGMENTS = 32, /* per pattern */
};

struct router;

struct route {
    torc_handler *fn;
    void *arg;
};

struct route_match {
    const struct route *route; /* of the method asked for, or NULL; lives as long as the router */
    uint32_t allow;            /* where route is NULL: a bit (1 << enum http_method) per method that
                                * the path has; HEAD where GET is, and OPTIONS always. Otherwise
                                * those of the patterns looked at, the matching one included */
    uint32_t n;                /* parameters; those after it are not written */
    struct {
        slice name;  /* without ':' or '*'; the router's memory */
        slice value; /* raw part of the path */
    } param[ROUTE_PARAMS];
};

/* NULL when memory is out. */
struct router *router_new(void);

/* NULL is allowed. */
void router_free(struct router *r);

/* 0; -EINVAL for what is no pattern or contradicts another one, -EEXIST where the pair of method
 * and pattern is taken, -EBUSY once frozen, -ENOMEM. On error the routes are as before and *why
 * (static memory; `why` may be NULL) says it in words. The pattern is copied. */
int router_add(struct router *r, enum http_method m, slice pattern, torc_handler *fn, void *arg,
               const char **why);

/* Moves all routes into one block of read-only memory with an index of the static ones. Where
 * memory is out they stay where they are, and finding is slower. */
void router_freeze(struct router *r);

/* False: no pattern matches the path (404). True with out->route NULL: some do, but not with this
 * method (405). HEAD is served by GET's route where there is none of its own. Visits each node of
 * the tree at most once, whatever the path. */
bool router_find(const struct router *r, enum http_method m, slice path, struct route_match *out);
