#pragma once
/* Handlers on the engine in memory: one route, one client, and what it gets. */

#include "lab_core.h"

#include "http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig {
    struct lab_core core;
    struct router *router;
    struct mem_client *m;
    char out[64 * 1024]; /* what the client got, NUL-terminated */
};

/* A core whose one route is `handler`, for GET, HEAD and POST of "/". */
static inline void rig_open(struct rig *r, torc_handler *handler, void *arg)
{
    lab_core_open(&r->core);
    r->router = router_new();
    assert_int_equal(router_add(r->router, HTTP_GET, SLICE("/"), handler, arg, NULL), 0);
    assert_int_equal(router_add(r->router, HTTP_POST, SLICE("/"), handler, arg, NULL), 0);
    router_freeze(r->router);
    r->core.http.router = r->router;
}

static inline void rig_close(struct rig *r)
{
    assert_null(lab_core_leak(&r->core));
    assert_int_equal(r->core.http.owned, 0);
    lab_core_close(&r->core);
    router_free(r->router);
}

static inline void rig_run(struct rig *r)
{
    while (!mem_run(&r->core.io, 1000)) continue;
}

/* Sends `request` and the end of the stream, and waits until the connection is closed. */
static inline const char *rig_send(struct rig *r, slice request)
{
    size_t n;
    struct mem_client *m = mem_connect(&r->core.io);
    mem_push(m, request.ptr, request.len);
    mem_push_end(m);
    rig_run(r);
    const char *out = mem_out(m, &n);
    snprintf(r->out, sizeof r->out, "%.*s", (int)n, out);
    assert_true(mem_ended(m));
    mem_free(&r->core.io, m);
    return r->out;
}

static inline const char *rig_ask(struct rig *r, const char *request)
{
    return rig_send(r, slice_str(request));
}

/* The same on a core of its own. */
static inline const char *ask_handler(struct rig *r, torc_handler *handler, void *arg,
                                      const char *request)
{
    rig_open(r, handler, arg);
    rig_ask(r, request);
    rig_close(r);
    return r->out;
}

static inline void must_have(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no '%s' in:\n%s", part, text);
}

static inline void must_lack(const char *text, const char *part)
{
    if (strstr(text, part)) fail_msg("'%s' in:\n%s", part, text);
}
