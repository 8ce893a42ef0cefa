/* Mounts the routes of torc-lab on a router of our own, with stand-ins for the public functions
 * that it calls. */

#include "lab_routes.h"

#include "http/request.h"
#include "lab/lab.h"

#include <errno.h>
#include <stdio.h>

int torc_route(torc_server *s, const char *method, const char *pattern, torc_handler *handler,
               void *arg)
{
    int m = http_method_of(slice_str(method));
    ASSERT(m >= 0);
    return router_add((struct router *)s, (enum http_method)m, slice_str(pattern), handler, arg,
                      NULL);
}

static void no_root(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_error(rq, 404);
}

int torc_server_option(torc_server *s, const char *name, const char *takes, const char *help,
                       const char **value)
{
    (void)s, (void)name, (void)takes, (void)help;
    *value = NULL;
    return 0;
}

int torc_static(torc_server *s, const char *prefix)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s*path", prefix);
    return torc_route(s, "GET", pattern, no_root, NULL);
}

struct router *lab_routes(struct middleware *around)
{
    struct router *router = router_new();
    int err = router ? lab_mount((torc_server *)router) : -ENOMEM;
    if (err == 0) err = torc_route((torc_server *)router, "GET", "/", no_root, NULL); /* the page */
    if (err == 0 && around) err = middleware_wrap(around, router);
    ASSERT(err == 0);
    router_freeze(router);
    return router;
}
