#pragma once
/* Finds the handler for a path. Patterns are those of torc_route: segments that are static, ":name"
 * (one non-empty segment) or, last, "*name" (the remainder, slashes included, possibly empty).
 * A static segment matches what has the same normal form (path_normalize): no escape stands for a
 * slash, and a trailing slash counts.
 *
 * Among the patterns that match a path, the first one that has the method is used, in this order:
 * at each segment from the left, static before ":name" before "*name". So POST /users/new does not
 * hide GET /users/:id from a GET of /users/new.
 *
 * One thread adds routes; after router_freeze any number of threads may find them. */

#include "http/method.h"
#include "http/route.h"

enum {
    ROUTE_PARAMS = 8,    /* per pattern */
    ROUTE_SEGMENTS = 32, /* per pattern */
    ROUTE_ANY_METHOD = -1,
};

struct router;

struct route_match {
    const struct route *route; /* route for the method, or NULL; lives as long as the router */
    uint32_t allow; /* if route is NULL: a bit (1 << enum http_method) per method of the path; HEAD
                       if GET is, OPTIONS always. Otherwise the methods of the patterns visited.
                       Above these bits is the router's own */
    uint32_t n;     /* number of parameters; later entries are not written */
    struct {
        slice name;  /* without ':' or '*'; the router's memory */
        slice value; /* part of the path, not decoded */
    } param[ROUTE_PARAMS];
};

/* NULL if out of memory. */
struct router *router_new(void);

/* NULL is allowed. */
void router_free(struct router *r);

/* `m` is an enum http_method, or ROUTE_ANY_METHOD for those that have no route of their own there.
 * 0; -EINVAL for a malformed pattern or one that contradicts another, -EEXIST if method and pattern
 * are taken, -EBUSY once frozen, -ENOMEM. On error the routes are unchanged and *why (static
 * memory; `why` may be NULL) describes it. The pattern is copied. */
int router_add(struct router *r, int m, slice pattern, torc_handler *fn, void *arg,
               const char **why);

/* The route that was added for that method and pattern, or NULL. Before they are frozen. */
struct route *router_added(struct router *r, int m, slice pattern);

/* Whether any route may have the method. */
bool router_knows(const struct router *r, enum http_method m);

/* Those that any route may have, as in struct route_match. */
uint32_t router_methods(const struct router *r);

/* Declares the paths that the last route of `pattern`, which ends with "*name", matches as known:
 * other methods of them are 405. `pattern` has a route. */
void router_claim(struct router *r, slice pattern);

/* The route of a path that no pattern matches, with any method; none of it is 404 or 405 then. 0,
 * -EINVAL without a handler, or -EEXIST if there is one. */
int router_set_fallback(struct router *r, torc_handler *fn, void *arg);

/* The route of a request that is refused (torc_req.refused), in place of a plain response. */
void router_set_refusal(struct router *r, torc_handler *fn, void *arg);

/* That route; NULL: a plain response. */
const struct route *router_refusal(const struct router *r);

/* Has `fn` change each route, before they are frozen. The pattern of the two above is "/" followed
 * by "*". 0, or what `fn` returned where that was not 0. */
int router_each(struct router *r, int (*fn)(struct route *route, slice pattern, void *arg),
                void *arg);

/* Moves all routes into one block of read-only memory with an index of the static ones. Without
 * memory they stay where they are, and lookups are slower. */
void router_freeze(struct router *r);

/* The pattern of a route that router_find returned, normalized; in the router's memory. Visits all
 * nodes: for messages. */
slice router_pattern(const struct router *r, const struct route *route);

/* False: no pattern matches the path (404). True with out->route NULL: one matches, but not with
 * this method (405). HEAD uses the route of GET unless it has its own. Visits each node of the tree
 * at most once.
 *
 * A pattern that ends with "*name" makes no path known: it says what to do with a method where
 * nothing else is said, not that all the paths exist. So a path that only such patterns match, and
 * none with this method, is 404; OPTIONS of it names their methods nevertheless. router_claim makes
 * an exception. */
bool router_find(const struct router *r, enum http_method m, slice path, struct route_match *out);
