#include "serve/routing.h"

#include "http/error_handler.h"
#include "http/own_stack.h"
#include "serve/mount.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_MIN = 16 * 1024, STACK_MAX = 64 * 1024 * 1024 };

/* What torc_route_limit has set for a route. */
struct route_plan {
    struct route_plan *next;
    struct own_stack *stack; /* or NULL */
    struct route_limits limits;
};

static void plans_free(struct torc_server *s)
{
    for (struct route_plan *p = s->route_plans, *next; p; p = next) {
        next = p->next;
        free(p->stack);
        free(p);
    }
}

bool routing_init(struct torc_server *s)
{
    s->router = router_new();
    s->middleware = middleware_new();
    return s->router && s->middleware;
}

void routing_end(struct torc_server *s)
{
    router_free(s->router);
    middleware_free(s->middleware);
    error_handlers_free(s->error_handlers);
    free(s->ends);
    plans_free(s);
}

bool routing_freeze(struct torc_server *s)
{
    if (s->routes_frozen) return true;
    s->routes_closed = true;
    if (!mounts_redirect(s)) return false;
    if (middleware_wrap(s->middleware, s->router) < 0) return false;
    router_freeze(s->router);
    s->routes_frozen = true;
    return true;
}

/* A start that fails late has closed them: some of the middleware may stand in front of them. */
static bool may_add(const struct torc_server *s)
{
    return s->phase == SERVER_SETUP && !s->routes_closed;
}

static int fail_started(struct torc_server *s, const char *what)
{
    return server_fail(s, -EBUSY, "%s must be added before the server starts", what);
}

enum { NO_METHOD = ROUTE_ANY_METHOD - 1 };

static int method_of(const char *name)
{
    if (strcmp(name, "*") == 0) return ROUTE_ANY_METHOD;
    int m = http_method_of(slice_str(name));
    return m < 0 ? NO_METHOD : m;
}

static int fail_method(struct torc_server *s, const char *method)
{
    char capital[16];
    size_t n = 0;
    for (; n < sizeof capital && method[n]; n++)
        capital[n] = (char)toupper((unsigned char)method[n]);
    int m = method[n] ? -1 : http_method_of(slice_of(capital, n));
    if (m < 0) return server_fail(s, -EINVAL, "unsupported method %s", method);
    return server_fail(s, -EINVAL, "unsupported method %s: methods are case-sensitive, %.*s?",
                       method, (int)n, capital);
}

int torc_route(torc_server *s, const char *method, const char *pattern, torc_handler *handler,
               void *arg)
{
    const char *why = "";
    int m = method_of(method);
    if (m == NO_METHOD) return fail_method(s, method);
    if (!may_add(s)) return fail_started(s, "routes");
    int err = router_add(s->router, m, slice_str(pattern), handler, arg, &why);
    s->has_handlers |= err == 0;
    return err < 0 ? server_fail(s, err, "route %s %s: %s", method, pattern, why) : 0;
}

int torc_route_limit(torc_server *s, const char *method, const char *pattern,
                     const torc_route_limits *limits)
{
    const size_t stack = limits->stack_size;
    if (!may_add(s)) return fail_started(s, "limits of a route");
    struct route *route = router_added(s->router, method_of(method), slice_str(pattern));
    if (!route) return server_fail(s, -ENOENT, "there is no route %s %s", method, pattern);
    if (route->limits) return server_fail(s, -EEXIST, "route %s %s has limits", method, pattern);
    if (stack && (stack < STACK_MIN || stack > STACK_MAX))
        return server_fail(s, -EINVAL, "route %s %s: a stack has 16 KiB to 64 MiB", method,
                           pattern);
    struct route_plan *p = calloc(1, sizeof *p);
    if (!p) return server_fail(s, -ENOMEM, "out of memory");
    p->next = s->route_plans;
    s->route_plans = p;
    if (stack && !(p->stack = own_stack_put(route, stack)))
        return server_fail(s, -ENOMEM, "out of memory");
    p->limits.max_body = limits->max_body;
    p->limits.body_timeout = limits->body_timeout_ms * NS_PER_MS;
    route->limits = &p->limits;
    return 0;
}

int torc_fallback(torc_server *s, torc_handler *handler, void *arg)
{
    if (!may_add(s)) return fail_started(s, "a fallback");
    int err = router_set_fallback(s->router, handler, arg);
    s->has_handlers |= err == 0;
    const char *why = err == -EEXIST ? "there is one already" : "it needs a handler";
    return err < 0 ? server_fail(s, err, "fallback: %s", why) : 0;
}

int torc_use(torc_server *s, const char *prefix, torc_handler *handler, void *arg)
{
    const char *why = "";
    if (!may_add(s)) return fail_started(s, "middleware");
    int err = middleware_add(s->middleware, slice_str(prefix), handler, arg, &why);
    s->has_handlers |= err == 0;
    return err < 0 ? server_fail(s, err, "middleware for %s: %s", prefix, why) : 0;
}

int torc_errors(torc_server *s, const char *prefix, torc_error_fn *fn, void *arg)
{
    const char *why = "";
    if (!may_add(s)) return fail_started(s, "a function for errors");
    int err = error_handler_add(&s->error_handlers, slice_str(prefix), fn, arg, &why);
    s->has_handlers |= err == 0;
    return err < 0 ? server_fail(s, err, "errors of %s: %s", prefix, why) : 0;
}

int torc_on_end(torc_server *s, torc_end_fn *fn, void *arg)
{
    if (!may_add(s)) return fail_started(s, "a function for ends");
    if (!fn) return server_fail(s, -EINVAL, "a function for ends is missing");
    struct end_fn *ends = realloc(s->ends, (s->n_ends + 1) * sizeof *ends);
    if (!ends) return server_fail(s, -ENOMEM, "out of memory");
    ends[s->n_ends++] = (struct end_fn){fn, arg};
    s->ends = ends;
    s->has_handlers = true;
    return 0;
}
