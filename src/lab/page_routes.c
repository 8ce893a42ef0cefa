#include "page_routes.h"

#include "backend_routes.h"

#include <string.h>

/* ---- the files ---- */

/* The page loads its own files and nothing else, and stands in no frame. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static int set(torc_req *rq, const char *name, const char *value)
{
    return torc_set_header(rq, (torc_slice){name, strlen(name)},
                           (torc_slice){value, strlen(value)});
}

/* By the weak comparison (RFC 9110, 13.1.2). No other tag of a list has ours, quotes included, in
 * it. */
static bool has_it(torc_req *rq, const struct page_file *f)
{
    torc_slice tags = torc_header(rq, "If-None-Match");
    return tags.ptr && ((tags.len == 1 && *tags.ptr == '*') ||
                        memmem(tags.ptr, tags.len, f->etag, strlen(f->etag)));
}

/* A browser asks each time whether it has the file of this build. */
static void file(torc_req *rq, void *arg)
{
    const struct page_file *f = arg;
    if (set(rq, "ETag", f->etag) < 0 || set(rq, "Cache-Control", "no-cache") < 0 ||
        set(rq, "Content-Security-Policy", policy) < 0 ||
        set(rq, "X-Content-Type-Options", "nosniff") < 0 ||
        set(rq, "Referrer-Policy", "no-referrer") < 0)
        return;
    if (has_it(rq, f))
        torc_reply(rq, 304, NULL, TORC_S(""));
    else
        torc_reply(rq, 200, f->type, (torc_slice){f->data, f->size});
}

/* ---- the measures ---- */

/* With the names of /stats.json, which only the admin side has. */
static void measures(torc_req *rq, void *s)
{
    torc_measures m;
    if (torc_server_measures(s, &m) < 0) {
        torc_reply_error(rq, 503);
        return;
    }
    if (set(rq, "Content-Type", "application/json") < 0 || set(rq, "Cache-Control", "no-store") < 0)
        return;
    torc_replyf(rq, 200,
                "{\"engine\":\"%s\",\"cores\":%u,\"upstream\":%s,\"pg\":%s,\"wall_seconds\":%.9f,"
                "\"request_lifetime_seconds\":%.9f,\"request_oncore_seconds\":%.9f,"
                "\"request_held_seconds\":%.9f}\n",
                m.engine, m.cores, fetch_routes_given() ? "true" : "false",
                pg_routes_given() ? "true" : "false", m.wall, m.lifetime, m.on_core, m.held);
}

int page_routes_mount(torc_server *s)
{
    int err = torc_route(s, "GET", "/measures", measures, s);
    for (const struct page_file *f = page_files; f->route && err == 0; f++)
        err = torc_route(s, "GET", f->route, file, (void *)(uintptr_t)f);
    return err;
}
