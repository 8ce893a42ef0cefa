/* A server for test_layers.c: middleware, functions for errors and ends, a fallback, any method. */

#include <torc.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char seen; /* a key of torc_set: the names of the middleware that ran */

static const char *seen_by(const torc_req *rq)
{
    const char *names = torc_get(rq, &seen);
    return names ? names : "";
}

static void note(torc_req *rq, const char *name)
{
    const char *before = seen_by(rq);
    size_t size = strlen(before) + strlen(name) + 1;
    char *names = torc_alloc(rq, size);
    if (!names) return;
    snprintf(names, size, "%s%s", before, name);
    torc_set(rq, &seen, names);
}

/* ---- middleware ---- */

static void outer(torc_req *rq, void *arg)
{
    note(rq, arg);
    if (!torc_path(rq).ptr) torc_hint(rq, TORC_S("</a.css>; rel=preload")); /* to nobody */
    torc_set_header(rq, TORC_S("X-Outer"), TORC_S("yes"));
    int status = torc_next(rq), again = torc_next(rq);
    fprintf(stderr, "outer %d %d\n", status, again);
}

static void waiting(torc_req *rq, void *arg)
{
    note(rq, arg);
    torc_sleep(rq, 5);
    torc_next(rq);
    torc_sleep(rq, 5);
}

static void guard(torc_req *rq, void *arg)
{
    note(rq, arg);
    torc_slice key = torc_header(rq, "Key");
    if (key.len == 4 && memcmp(key.ptr, "open", 4) == 0)
        torc_next(rq);
    else
        torc_replyf(rq, 401, "no key\n");
}

static void silent(torc_req *rq, void *arg)
{
    note(rq, arg);
}

static int call_next(torc_req *rq, void *arg)
{
    *(int *)arg = torc_next(rq);
    return 0;
}

/* Functions of a group are not the middleware. */
static void spawning(torc_req *rq, void *arg)
{
    int result = 0;
    note(rq, arg);
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, call_next, &result);
    torc_group_join(g);
    fprintf(stderr, "spawned %d\n", result);
    torc_next(rq);
}

static void preflight(torc_req *rq, void *arg)
{
    note(rq, arg);
    torc_set_header(rq, TORC_S("Access-Control-Allow-Origin"), TORC_S("*"));
    torc_next(rq);
}

/* ---- handlers ---- */

static void names(torc_req *rq, void *arg)
{
    torc_slice method = torc_method(rq);
    torc_replyf(rq, 200, "%s %.*s %s next=%d", (const char *)arg, (int)method.len, method.ptr,
                seen_by(rq), torc_next(rq));
}

static void nothing(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
}

static void stream(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "in parts", 8);
}

static void conflict(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_error(rq, 409);
}

static void read_all(torc_req *rq, void *arg)
{
    torc_slice body;
    (void)arg;
    if (torc_body_all(rq, &body) == 0) torc_replyf(rq, 200, "%zu", body.len);
}

/* More than the usual stack holds. */
static void deep(torc_req *rq, void *arg)
{
    volatile char room[256 * 1024];
    (void)arg;
    room[0] = 1;
    room[sizeof room - 1] = 2;
    int slept = torc_sleep(rq, 2);
    torc_replyf(rq, 200, "deep %d %d next=%d", room[0] + room[sizeof room - 1], slept,
                torc_next(rq));
}

/* ---- errors and ends ---- */

static void json_error(torc_req *rq, int status, void *arg)
{
    char text[64];
    int n = snprintf(text, sizeof text, "{\"%s\":%d,\"nested\":%d}", (const char *)arg, status,
                     torc_sleep(rq, 0));
    torc_reply(rq, status, "application/json", (torc_slice){text, (size_t)n});
}

static int nap(torc_req *rq, void *arg)
{
    (void)arg;
    torc_sleep(rq, 20);
    fprintf(stderr, "napped\n");
    return 0;
}

/* Opens what it does not close, and does not respond. */
static void leaving_error(torc_req *rq, int status, void *arg)
{
    torc_file *file;
    (void)arg;
    int opened = torc_file_open(rq, "/proc/self/exe", &file);
    torc_group *g = torc_group_open(rq);
    fprintf(stderr, "error %d: %d, %d\n", status, opened, torc_spawn(g, nap, NULL));
}

/* No error at all. */
static void fine(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_error(rq, 202);
}

/* Asks for torc's own response. */
static void own_error(torc_req *rq, int status, void *arg)
{
    (void)arg;
    torc_reply_error(rq, status);
}

static void no_error(torc_req *rq, int status, void *arg)
{
    (void)rq, (void)status, (void)arg;
}

static void on_end(torc_req *rq, const torc_summary *end, void *arg)
{
    torc_slice path = torc_path(rq), param = torc_param(rq, "path");
    int replied = torc_reply(rq, 200, NULL, TORC_S("late"));
    (void)arg;
    fprintf(stderr, "end '%.*s' status=%d outcome=%d bytes=%" PRIu64 " seen='%s'%s%.*s%s\n",
            (int)path.len, path.ptr ? path.ptr : "", end->status, end->outcome, end->body_bytes,
            seen_by(rq), param.ptr ? " path=" : "", (int)param.len, param.ptr ? param.ptr : "",
            end->duration_ns < UINT64_C(3600000000000) && replied < 0 ? "" : " late");
}

/* ---- set-up ---- */

static int refused(torc_server *s, int err, int want)
{
    if (err == want) return 0;
    fprintf(stderr, "%d in place of %d: %s\n", err, want, torc_server_error(s));
    return -1;
}

/* What must not be added. */
static int try_wrong(torc_server *s)
{
    int err = refused(s, torc_use(s, "x", outer, NULL), -22);
    err |= refused(s, torc_use(s, "", outer, NULL), -22);
    err |= refused(s, torc_use(s, "/:id", outer, NULL), -22);
    err |= refused(s, torc_use(s, "/a//b", outer, NULL), -22);
    err |= refused(s, torc_use(s, "/a/../b", outer, NULL), -22);
    err |= refused(s, torc_use(s, "/a/./b", outer, NULL), -22);
    err |= refused(s, torc_use(s, "/%4", outer, NULL), -22);
    err |= refused(s, torc_use(s, "/a", NULL, NULL), -22);
    err |= refused(s, torc_errors(s, "/api/", json_error, "again"), -17);
    err |= refused(s, torc_errors(s, "/x", NULL, NULL), -22);
    err |= refused(s, torc_on_end(s, NULL, NULL), -22);
    err |= refused(s, torc_fallback(s, NULL, NULL), -22);
    err |= refused(s, torc_fallback(s, names, "twice"), -17);
    err |= refused(s, torc_route(s, "TRACE", "/x", names, NULL), -22);
    err |= refused(s, torc_route(s, "*", "/any", names, NULL), -17);
    const torc_route_limits tiny = {.stack_size = 1};
    err |= refused(s, torc_route_limit(s, "GET", "/plain", &tiny), -22);
    err |= refused(s, torc_route_limit(s, "GET", "/nobody", &tiny), -2);
    err |= refused(s, torc_route_limit(s, "GET", "/missing/:id", &tiny), -2);
    err |=
        refused(s, torc_route(s, "GET", "/missing/:name", names, NULL), 0); /* that left nothing */
    err |= refused(s, torc_route_limit(s, "TRACE", "/plain", &tiny), -2);
    err |= refused(s, torc_route_limit(s, "GET", "/deep", &tiny), -17);
    return err;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *method, *path;
        torc_handler *fn;
        const char *arg;
    } routes[] = {
        {"GET", "/plain", names, "plain"},
        {"GET", "/admin/x", names, "admin"},
        {"GET", "/admin", names, "admin root"},
        {"GET", "/administrator", names, "another"},
        {"GET", "/files/*path", names, "files"},
        {"GET", "/:name/x", names, "named"},
        {"GET", "/api/nothing", nothing, NULL},
        {"GET", "/api/stream", stream, NULL},
        {"GET", "/api/conflict", conflict, NULL},
        {"GET", "/own/conflict", conflict, NULL},
        {"GET", "/none/conflict", conflict, NULL},
        {"GET", "/leaving/nothing", nothing, NULL},
        {"GET", "/api/fine", fine, NULL},
        {"POST", "/api/body", read_all, NULL},
        {"GET", "/silent", names, "never"},
        {"GET", "/spawning", names, "spawning"},
        {"*", "/any", names, "any"},
        {"PUT", "/any", names, "put"},
        {"PROPFIND", "/dav", names, "dav"},
        {"POST", "/small", read_all, NULL},
        {"POST", "/large", read_all, NULL},
        {"POST", "/late", read_all, NULL},
        {"GET", "/deep", deep, NULL},
        {"GET", "/api/deep", deep, NULL},
    };
    torc_server *s = torc_server_new("layers");
    if (!s) return 1;
    int err = 0;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        err |= torc_route(s, routes[i].method, routes[i].path, routes[i].fn,
                          (void *)(uintptr_t)routes[i].arg);
    err |= torc_route_limit(s, "POST", "/small", &(torc_route_limits){.max_body = 4});
    err |= torc_route_limit(s, "POST", "/large", &(torc_route_limits){.max_body = 1 << 20});
    err |= torc_route_limit(s, "POST", "/late", &(torc_route_limits){.body_timeout_ms = 100});
    err |= torc_route_limit(s, "GET", "/deep", &(torc_route_limits){.stack_size = 512 * 1024});
    err |= torc_route_limit(s, "GET", "/api/deep", &(torc_route_limits){.stack_size = 512 * 1024});
    err |= torc_use(s, "/api", outer, "o");
    err |= torc_use(s, "/api/", waiting, "w");
    err |= torc_use(s, "/admin", guard, "g");
    err |= torc_use(s, "/files/private", guard, "p");
    err |= torc_use(s, "/silent", silent, "s");
    err |= torc_use(s, "/spawning", spawning, "f");
    err |= torc_use(s, "/any", preflight, "c");
    err |= torc_errors(s, "/", json_error, "all");
    err |= torc_errors(s, "/api", json_error, "api");
    err |= torc_errors(s, "/own", own_error, NULL);
    err |= torc_errors(s, "/none", no_error, NULL);
    err |= torc_errors(s, "/leaving", leaving_error, NULL);
    err |= torc_on_end(s, on_end, NULL);
    if (argc > 1 && strcmp(argv[argc - 1], "fallback") == 0) {
        err |= torc_use(s, "/", outer, "O");
        err |= torc_fallback(s, names, "fallback");
        err |= try_wrong(s);
        argc--;
    }
    if (err) {
        fprintf(stderr, "layers: %s\n", torc_server_error(s));
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
