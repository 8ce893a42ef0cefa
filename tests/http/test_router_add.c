/* What is a pattern, and what contradicts another. */
#include "router_check.h"

#include <errno.h>
#include <unistd.h>

static void add_is(struct router *r, const char *pattern, int want)
{
    const char *why = NULL;
    int rc = router_add(r, HTTP_GET, slice_str(pattern), handler, NULL, &why);
    if (rc != want) fail_msg("%s: %d, not %d", pattern, rc, want);
    assert_int_equal(why != NULL && strlen(why) > 8, want != 0);
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
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) add_is(r, bad[i], -EINVAL);
    assert_int_equal(router_add(r, HTTP_GET, SLICE("/a\0"), handler, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, HTTP_GET, (slice){NULL, 0}, handler, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, HTTP_GET, SLICE("/a"), NULL, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, HTTP_METHODS, SLICE("/a"), handler, NULL, NULL), -EINVAL);
    assert_int_equal(router_add(r, (enum http_method) - 1, SLICE("/a"), handler, NULL, NULL),
                     -EINVAL);

    char deep[2 * (ROUTE_SEGMENTS + 1) + 1] = "";
    for (int i = 0; i < ROUTE_SEGMENTS; i++) strcat(deep, "/a");
    add_is(r, deep, 0);
    strcat(deep, "/a");
    add_is(r, deep, -EINVAL);

    /* None of the refused has left anything behind. */
    finds(r, HTTP_GET, "/a", "404");
    finds(r, HTTP_GET, "/x/y", "404");
    add_is(r, "/:z/:y/:x/:w/:v/:u/:t/:s", 0);
    add_is(r, "/_/:A9_/*__", 0);
    add_is(r, "/~!$&'()+,;=@/:Zz/*a0", 0);
    router_free(r);
}

static void contradictions(void **state)
{
    (void)state;
    struct router *r = router_new();
    add_is(r, "/users/:id", 0);
    add_is(r, "/users/:id", -EEXIST);
    add_is(r, "/users/:name", -EINVAL);
    add_is(r, "/users/:name/posts", -EINVAL);
    add_is(r, "/users/:id/posts", 0);
    add_is(r, "/users/*id", 0);
    add_is(r, "/users/*id", -EEXIST);
    add_is(r, "/users/*rest", -EINVAL);
    add_is(r, "/people/:name", 0);
    add_is(r, "/users", 0);
    add_is(r, "/users", -EEXIST);
    add_is(r, "/users/", 0);
    add_is(r, "/users/", -EEXIST);
    add_is(r, "/", 0);
    add_is(r, "/", -EEXIST);
    assert_int_equal(router_add(r, HTTP_PUT, SLICE("/users/:id"), handler, NULL, NULL), 0);
    assert_int_equal(router_add(r, HTTP_PUT, SLICE("/users/:x"), handler, NULL, NULL), -EINVAL);

    router_freeze(r);
    add_is(r, "/new", -EBUSY);
    add_is(r, "bad", -EBUSY);
    router_freeze(r); /* again is nothing */
    struct route_match match;
    assert_false(router_find(r, HTTP_GET, SLICE("/new"), &match));
    assert_true(router_find(r, HTTP_GET, SLICE("/users/"), &match) && match.route);
    router_free(r);
}

static void empty(void **state)
{
    (void)state;
    router_free(NULL);
    FOR_BOTH(r, {"GET", "/:only_a_parameter"})
    {
        finds(r, HTTP_GET, "/x", "/:only_a_parameter only_a_parameter=x");
        finds(r, HTTP_GET, "/", "404");
    }
    struct router *r = router_new();
    finds(r, HTTP_GET, "/", "404");
    router_freeze(r);
    finds(r, HTTP_GET, "/", "404");
    finds(r, HTTP_GET, "*", "404");
    router_free(r);
}

/* The pattern is copied, and a match writes only the parameters it fills. */
static void copies_and_leaves_alone(void **state)
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

/* The kernel refuses to write there, and routes have moved to it. */
static void frozen_memory_is_read_only(void **state)
{
    (void)state;
    struct router *r = router_of(1, (const char *const[][2]){{"GET", "/a"}}, false);
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
        cmocka_unit_test(contradictions),
        cmocka_unit_test(empty),
        cmocka_unit_test(copies_and_leaves_alone),
        cmocka_unit_test(frozen_memory_is_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
