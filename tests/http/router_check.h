#pragma once
/* Builds routers from tables and formats lookups as text. */

#include "http/router.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static inline void handler(torc_req *rq, void *arg)
{
    (void)rq;
    (void)arg;
}

/* Each route's argument is its pattern, which identifies a match. */
static inline struct router *make_router(size_t n, const char *const routes[][2], bool freeze)
{
    struct router *r = router_new();
    assert_non_null(r);
    for (size_t i = 0; i < n; i++) {
        const char *why = "";
        int m = http_method_of(slice_str(routes[i][0]));
        assert_true(m >= 0);
        int rc = router_add(r, (enum http_method)m, slice_str(routes[i][1]), handler,
                            (void *)(uintptr_t)routes[i][1], &why);
        if (rc) fail_msg("%s: %d, %s", routes[i][1], rc, why);
    }
    if (freeze) router_freeze(r);
    return r;
}

/* Checks a lookup: "pattern name=value name=value", "405 allowed methods" or "404". */
static inline void expect_find(const struct router *r, enum http_method m, const char *path,
                               const char *want)
{
    struct route_match match;
    char got[512];
    slice s = exact(slice_str(path));
    memset(&match, 0xa5, sizeof match);
    if (!router_find(r, m, s, &match)) {
        strcpy(got, "404");
    } else if (!match.route) {
        size_t n = (size_t)sprintf(got, "405 ");
        n += http_allow(match.allow, got + n, sizeof got - n);
        got[n] = 0;
        assert_int_equal(match.n, 0);
    } else {
        assert_true(match.route->fn == handler);
        size_t n = (size_t)sprintf(got, "%s", (const char *)match.route->arg);
        for (uint32_t i = 0; i < match.n; i++) {
            assert_true(inside(match.param[i].value, s));
            n += (size_t)sprintf(got + n, " %.*s=%.*s", (int)match.param[i].name.len,
                                 match.param[i].name.ptr, (int)match.param[i].value.len,
                                 match.param[i].value.ptr);
        }
        assert_true(match.allow & 1u << HTTP_OPTIONS);
    }
    free((char *)s.ptr);
    if (strcmp(got, want) != 0) fail_msg("%s: '%s', not '%s'", path, got, want);
}

/* Runs a block before and after freezing; results must be the same. */
#define FOR_BOTH(r, ...)                                                                           \
    for (int frozen = 0; frozen < 2; frozen++)                                                     \
        for (struct router *r = make_router(ARRAY_LEN(((const char *const[][2]){__VA_ARGS__})),    \
                                            (const char *const[][2]){__VA_ARGS__}, frozen);        \
             r; router_free(r), r = NULL)
