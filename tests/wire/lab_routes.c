/* The routes of torc-lab in a router of our own: its source as it is, between stand-ins for the few
 * calls by which it sets up its server. */

#include "lab_routes.h"

#define main lab_main
#include "lab/lab.c"
#undef main

#include "http/request.h"

static struct router *router;

torc_server *torc_server_new(const char *name)
{
    (void)name;
    router = router_new();
    return (torc_server *)router;
}

void torc_server_free(torc_server *s)
{
    (void)s;
}

const char *torc_server_error(const torc_server *s)
{
    (void)s;
    return "";
}

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

int torc_server_about(torc_server *s, const char *text)
{
    (void)s, (void)text;
    return 0;
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

int torc_server_main(torc_server *s, int argc, char **argv)
{
    (void)argc, (void)argv;
    router_freeze((struct router *)s);
    return 0;
}

struct router *lab_routes(void)
{
    char *argv[] = {(char *)(uintptr_t) "torc-lab", NULL};
    int status = lab_main(1, argv);
    ASSERT(status == 0);
    return router;
}
