/* A server that gives large responses: as a whole, by torc_reply and torc_replyf, or in pieces. */

#include "torc.h"

#include <stdio.h>
#include <string.h>

enum { LARGE = 4 << 20, MEDIUM = 60 << 10, TINY = 1000, ALL_PIECES = 6000 << 10 };

static char body[LARGE];

static void large(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", (torc_slice){body, LARGE});
}

static void medium(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", (torc_slice){body, MEDIUM});
}

static void text(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%.*s", LARGE, body);
}

static void own(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_own(rq, 200, "text/plain", (torc_slice){body, LARGE}, NULL, NULL);
}

static void small(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("small"));
}

/* Pieces of `arg` bytes; in chunks, unless they are tiny. */
static void pieces(torc_req *rq, void *arg)
{
    size_t size = (size_t)(uintptr_t)arg;
    if (torc_start(rq, 200, "text/plain", size == TINY ? ALL_PIECES : -1) < 0) return;
    for (size_t n = 0; n < ALL_PIECES; n += size)
        if (torc_write(rq, body, size) < 0) return;
    torc_end(rq);
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("whole 1.0");
    memset(body, 'x', sizeof body);
    if (!s || torc_server_set(s, "request-memory", "8m") < 0 ||
        torc_route(s, "GET", "/large", large, NULL) < 0 ||
        torc_route(s, "GET", "/medium", medium, NULL) < 0 ||
        torc_route(s, "GET", "/text", text, NULL) < 0 ||
        torc_route(s, "GET", "/own", own, NULL) < 0 ||
        torc_route(s, "GET", "/pieces", pieces, (void *)(uintptr_t)MEDIUM) < 0 ||
        torc_route(s, "GET", "/tiny", pieces, (void *)(uintptr_t)TINY) < 0 ||
        torc_route(s, "GET", "/small", small, NULL) < 0 || torc_static(s, "/static/") < 0) {
        fprintf(stderr, "whole_server: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
