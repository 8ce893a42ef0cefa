/* A server whose handlers tell who their client is. */

#include "torc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void peer(torc_req *rq, void *arg)
{
    torc_slice p = torc_peer(rq);
    (void)arg;
    torc_replyf(rq, 200, "%.*s", (int)p.len, p.ptr ? p.ptr : "");
}

static void client(torc_req *rq, void *arg)
{
    torc_slice p = torc_peer(rq), scheme = torc_scheme(rq);
    (void)arg;
    torc_replyf(rq, 200, "%.*s %.*s", (int)scheme.len, scheme.ptr, (int)p.len, p.ptr);
}

/* Told once the client has reset the connection. */
static void late(torc_req *rq, void *arg)
{
    (void)arg;
    fprintf(stderr, "handler: waits\n");
    int err = torc_sleep(rq, 60 * 1000);
    torc_slice p = torc_peer(rq);
    fprintf(stderr, "handler: woke with %d from %.*s.\n", err, (int)p.len, p.ptr ? p.ptr : "");
}

static void slow(torc_req *rq, void *arg)
{
    (void)arg;
    fprintf(stderr, "handler: begins\n");
    torc_sleep(rq, 1000);
    torc_reply(rq, 200, NULL, TORC_S("slow"));
}

static void large(torc_req *rq, void *arg)
{
    enum { SIZE = 4 << 20 };
    char *body = calloc(1, SIZE);
    (void)arg;
    if (body) torc_reply(rq, 200, "text/plain", (torc_slice){body, SIZE});
    free(body);
}

static void environment(torc_req *rq, void *arg)
{
    bool some = getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES");
    (void)arg;
    torc_replyf(rq, 200, some ? "some" : "none");
}

static int in_group(torc_req *rq, void *arg)
{
    *(torc_slice *)arg = torc_peer(rq);
    return 0;
}

/* From two functions of a group, and again. */
static void group(torc_req *rq, void *arg)
{
    torc_slice a = {0}, b = {0}, c;
    torc_group *g = torc_group_open(rq);
    (void)arg;
    torc_spawn(g, in_group, &a);
    torc_spawn(g, in_group, &b);
    torc_group_join(g);
    c = torc_peer(rq);
    torc_replyf(rq, a.ptr == b.ptr && b.ptr == c.ptr ? 200 : 500, "%.*s", (int)c.len, c.ptr);
}

static void every(torc_req *rq, void *arg)
{
    static atomic_bool told; /* threads ask, too */
    (void)arg;
    if (atomic_exchange(&told, true)) return;
    fprintf(stderr, "every: %s by %s\n", torc_peer(rq).ptr ? "somebody" : "nobody",
            torc_scheme(rq).ptr);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {{"/peer", peer},   {"/client", client}, {"/late", late},
                  {"/group", group}, {"/large", large},   {"/environment", environment},
                  {"/slow", slow}};
    torc_server *s = torc_server_new("peers 1.0");
    for (size_t i = 0; s && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, "GET", routes[i].path, routes[i].fn, NULL) < 0) return 1;
    if (s) torc_every(s, 10, every, NULL);
    int status = s ? torc_server_main(s, argc, argv) : 1;
    torc_server_free(s);
    return status;
}
