/* A server of files below several directories of its working directory, as test_roots.c needs it:
 * "one" and "two" at prefixes, "one" once more by handlers. */

#include <torc.h>

#include <stdio.h>

/* The path is the end of the request's own. */
static void on_path(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_file(rq, "one", torc_param(rq, "path"));
}

/* The path is a parameter. */
static void on_query(torc_req *rq, void *arg)
{
    (void)arg;
    torc_slice dir = torc_query_param(rq, "dir"), path = torc_query_param(rq, "path");
    char name[64];
    snprintf(name, sizeof name, "%.*s", dir.ptr ? (int)dir.len : 3, dir.ptr ? dir.ptr : "one");
    torc_reply_file(rq, name, path);
}

/* With fields of its own. */
static void on_fields(torc_req *rq, void *arg)
{
    (void)arg;
    torc_set_header(rq, TORC_S("Cache-Control"), TORC_S("no-cache"));
    torc_set_header(rq, TORC_S("Content-Type"), TORC_S("text/x-own"));
    torc_set_header(rq, TORC_S("ETag"), TORC_S("\"not this\""));
    int first = torc_reply_file(rq, "one", torc_param(rq, "path"));
    int second = torc_reply_file(rq, "one", torc_param(rq, "path"));
    fprintf(stderr, "handler: %d %d\n", first, second);
}

/* From a handler, as from any thread. */
static void on_reload(torc_req *rq, void *arg)
{
    torc_server_reload(arg);
    torc_replyf(rq, 200, "asked\n");
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("roots 1.0");
    if (!s || torc_static_dir(s, "/one/", "one") < 0 || torc_static_dir(s, "/two/", "two") < 0 ||
        torc_static(s, "/root/") < 0 || torc_route(s, "GET", "/reply/*path", on_path, NULL) < 0 ||
        torc_route(s, "POST", "/reply/*path", on_path, NULL) < 0 ||
        torc_route(s, "GET", "/query", on_query, NULL) < 0 ||
        torc_route(s, "GET", "/fields/*path", on_fields, NULL) < 0 ||
        torc_route(s, "GET", "/reload", on_reload, s) < 0)
        return 1;
    int taken = torc_static_dir(s, "/one/", "two"), wrong = torc_static_dir(s, "/three", "two");
    fprintf(stderr, "refused: %d %d %d\n", taken, wrong, torc_static_dir(s, "/four/", ""));
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
