/* Which patterns are valid, and which contradict others. */
#include "router_check.h"

#include <errno.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static int granted = -1; /* so many allocations succeed, and one fails; negative: all succeed */

static bool is_refused(void)
{
    return granted >= 0 && granted-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : __real_calloc(n, size);
}

static void expect_add(struct router *r, const char *pattern, int want)
{
    const char *why = NULL;
    int rc = router_add(r, HTTP_GET, slice_str(pattern), handler, NULL, &why);
    if (rc != want) fail_msg("%s: %d, not %d", pattern, rc, want);
    assert_int_equal(why != NULL && strlen(why) > 8, want != 0);
}

static void expect_conflict(struct router *r, const char *pattern, const char *want)
{
    const char *why = "";
    assert_int_equal(router_add(r, HTTP_GET, slice_str(pattern), handler, NULL, &why), -EINVAL);
    assert_string_equal(why, want);
}

static void the_other_route_is_named(void **state)
{
    (void)state;
    char text[300], deep[200] = "/";
    struct router *r = router_new();
    expect_add(r, "/user/:id", 0);
    expect_add(r, "/file/*path", 0);
    expect_conflict(r, "/user/:name", "another route has /user/:id there");
    expect_conflict(r, "/user/:name/mail", "another route has /user/:id there");
    expect_conflict(r, "/file/*name", "another route has /file/*path there");
    memset(deep + 1, 'd', 150);
    snprintf(text, sizeof text, "%s/:a", deep);
    expect_add(r, text, 0);
    snprintf(text, sizeof text, "%s/:b", deep);
    assert_int_equal(router_add(r, HTTP_GET, slice_str(text), handler, NULL, NULL), -EINVAL);
    snprintf(text, sizeof text, "another route has %.100s... there", deep);
    char pattern[300];
    snprintf(pattern, sizeof pattern, "%s/:b", deep);
    expect_conflict(r, pattern, text);
    router_free(r);
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "a",
        "a/b",
        ":a",
        "*a",
        "*",
        "//",
        "//a",
        "/a//b",
        "/a//",
        "/:",
        "/*",
        "/:/a",
        "/:1a",
        "/:a-b",
        "/:a.b",
        "/:a:b",
        "/:\xc3",
        "/*1",
        "/*a-b",
        "/*a/",
        "/*a/b",
        "/a/*b/c",
        "/:a/:a",
        "/:a/*a",
        "/:a/b/:a",
        "/a b",
        "/a?",
        "/a?b=c",
        "/a#b",
        "/a\t",
        "/\x7f",
        "/caf\xc3\xa9",
        "/a/*b/*c",
        "/:a/ ",
        "/:a/:b/:c/:d/:e/:f/:g/:h/:i",
        "/:a/:b/:c/:d/:e/:f/:g/:h/*i",
    };
    struct router *r = router_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) expect_add(r, bad[i], -EINVAL);
    assert_int_equal(router_add(r, HTTP_GET, SLICE("/a\0"), handler, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, HTTP_GET, (slice){NULL, 0}, handler, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, HTTP_GET, SLICE("/a"), NULL, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, HTTP_METHODS, SLICE("/a"), handler, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, -2, SLICE("/a"), handler, NULL, NULL), -EINVAL);

    char deep[2 * (ROUTE_SEGMENTS + 1) + 1] = "";
    for (int i = 0; i < ROUTE_SEGMENTS; i++) strcat(deep, "/a");
    expect_add(r, deep, 0);
    strcat(deep, "/a");
    expect_add(r, deep, -EINVAL);

    /* None of the rejected patterns has left anything behind. */
    expect_find(r, HTTP_GET, "/a", "404");
    expect_find(r, HTTP_GET, "/x/y", "404");
    expect_add(r, "/:z/:y/:x/:w/:v/:u/:t/:s", 0);
    expect_add(r, "/_/:A9_/*__", 0);
    expect_add(r, "/~!$&'()+,;=@/:Zz/*a0", 0);
    router_free(r);
}

static void contradictions(void **state)
{
    (void)state;
    struct router *r = router_new();
    expect_add(r, "/users/:id", 0);
    expect_add(r, "/users/:id", -EEXIST);
    expect_add(r, "/users/:name", -EINVAL);
    expect_add(r, "/users/:name/posts", -EINVAL);
    expect_add(r, "/users/:id/posts", 0);
    expect_add(r, "/users/*id", 0);
    expect_add(r, "/users/*id", -EEXIST);
    expect_add(r, "/users/*rest", -EINVAL);
    expect_add(r, "/%75sers/:id", -EEXIST);
    expect_add(r, "/users/:%69d", -EINVAL);
    expect_add(r, "/p%65ople/:name", 0);
    expect_add(r, "/people/:name", -EEXIST);
    expect_add(r, "/people/:id", -EINVAL);
    expect_add(r, "/a%2fb", 0);
    expect_add(r, "/a%2Fb", -EEXIST);
    expect_add(r, "/a/b", 0);
    expect_add(r, "/%3aid", 0); /* no parameter */
    expect_add(r, "/users", 0);
    expect_add(r, "/users", -EEXIST);
    expect_add(r, "/users/", 0);
    expect_add(r, "/users/", -EEXIST);
    expect_add(r, "/", 0);
    expect_add(r, "/", -EEXIST);
    assert_int_equal(router_add(r, HTTP_PUT, SLICE("/users/:id"), handler, NULL, NULL), 0);
    assert_int_equal(router_add(r, HTTP_PUT, SLICE("/users/:x"), handler, NULL, NULL), -EINVAL);

    router_freeze(r);
    expect_add(r, "/new", -EBUSY);
    expect_add(r, "bad", -EBUSY);
    router_freeze(r); /* a second freeze has no effect */
    struct route_match match;
    assert_false(router_find(r, HTTP_GET, SLICE("/new"), &match));
    assert_true(router_find(r, HTTP_GET, SLICE("/users/"), &match) && match.route);
    router_free(r);
}

static void a_lookup_changes_nothing(void **state)
{
    (void)state;
    struct router *r = router_new();
    expect_add(r, "/users/:id", 0);
    expect_add(r, "/caf%c3%a9/%41/*rest", 0);
    static const char *const none[] = {"/users",
                                       "/users/",
                                       "/users/:name",
                                       "/users/:id/:x",
                                       "/users/*all",
                                       "/other/:id",
                                       "/:id",
                                       "/*all",
                                       "/",
                                       "/caf%C3%A9/A/*path",
                                       "//",
                                       ""};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_null(router_added(r, HTTP_GET, slice_str(none[i])));
    assert_null(router_added(r, HTTP_POST, SLICE("/users/:id")));
    assert_null(router_added(r, ROUTE_ANY_METHOD, SLICE("/users/:id")));
    assert_null(router_added(r, HTTP_METHODS, SLICE("/users/:id")));
    assert_null(router_added(r, -2, SLICE("/users/:id")));
    assert_non_null(router_added(r, HTTP_GET, SLICE("/users/:id")));
    assert_non_null(router_added(r, HTTP_GET, SLICE("/%75sers/:id")));
    assert_non_null(router_added(r, HTTP_GET, SLICE("/caf%C3%A9/A/*rest")));
    expect_add(r, "/other/:name", 0);
    expect_add(r, "/users/:id/:y", 0);
    expect_add(r, "/users/*rest", 0);
    expect_add(r, "/:name", 0);
    expect_add(r, "/*rest", 0);
    router_freeze(r);
    router_free(r);
}

/* Neither does a pattern for which there is no memory. */
static void a_refused_allocation_changes_nothing(void **state)
{
    enum { ALLOCATIONS = 6 }; /* one for the pattern, and one for each new segment */
    (void)state;
    for (int i = 0; i <= ALLOCATIONS; i++) {
        struct router *r = router_new();
        expect_add(r, "/m", 0);
        granted = i;
        int rc = router_add(r, HTTP_GET, SLICE("/b/:id/a/:x/*all"), handler, "/b", NULL);
        granted = -1;
        assert_int_equal(rc, i < ALLOCATIONS ? -ENOMEM : 0);
        assert_int_equal(
            router_add(r, HTTP_GET, SLICE("/b/:name/c/*rest"), handler, "/b/:name/c/*rest", NULL),
            i < ALLOCATIONS ? 0 : -EINVAL);
        router_freeze(r);
        if (i < ALLOCATIONS) expect_find(r, HTTP_GET, "/b/1/c/2", "/b/:name/c/*rest name=1 rest=2");
        router_free(r);
    }
}

static void empty(void **state)
{
    (void)state;
    router_free(NULL);
    FOR_BOTH(r, {"GET", "/:only_a_parameter"})
    {
        expect_find(r, HTTP_GET, "/x", "/:only_a_parameter only_a_parameter=x");
        expect_find(r, HTTP_GET, "/", "404");
    }
    struct router *r = router_new();
    expect_find(r, HTTP_GET, "/", "404");
    router_freeze(r);
    expect_find(r, HTTP_GET, "/", "404");
    expect_find(r, HTTP_GET, "*", "404");
    router_free(r);
}

/* The pattern is copied; a match writes only the parameters it uses. */
static void pattern_is_copied(void **state)
{
    (void)state;
    char pattern[] = "/users/:id";
    struct router *r = router_new();
    assert_int_equal(router_add(r, HTTP_GET, slice_str(pattern), handler, NULL, NULL), 0);
    memset(pattern, '#', sizeof pattern);
    for (int frozen = 0; frozen < 2; frozen++, router_freeze(r)) {
        struct route_match match;
        memset(&match, 0xa5, sizeof match);
        struct route_match before = match;
        assert_true(router_find(r, HTTP_GET, SLICE("/users/1"), &match));
        assert_int_equal(match.n, 1);
        assert_true(slice_eq(match.param[0].name, SLICE("id")));
        assert_memory_equal(&match.param[1], &before.param[1],
                            sizeof match.param - sizeof match.param[0]);
    }
    router_free(r);
}

/* After freezing, writing to a route faults. */
static void frozen_memory_is_read_only(void **state)
{
    (void)state;
    struct router *r = make_router(1, (const char *const[][2]){{"GET", "/a"}}, false);
    struct route_match match;
    assert_true(router_find(r, HTTP_GET, SLICE("/a"), &match));
    const struct route *before = match.route;
    router_freeze(r);
    assert_true(router_find(r, HTTP_GET, SLICE("/a"), &match));
    assert_ptr_not_equal(match.route, before);

    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(fds[0], (void *)(uintptr_t)match.route, 1), -1);
    assert_int_equal(errno, EFAULT);
    close(fds[0]);
    close(fds[1]);
    router_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed),
        cmocka_unit_test(the_other_route_is_named),
        cmocka_unit_test(contradictions),
        cmocka_unit_test(a_lookup_changes_nothing),
        cmocka_unit_test(a_refused_allocation_changes_nothing),
        cmocka_unit_test(empty),
        cmocka_unit_test(pattern_is_copied),
        cmocka_unit_test(frozen_memory_is_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
