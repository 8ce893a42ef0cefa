#include "router_check.h"

static void static_paths(void **state)
{
    (void)state;
    FOR_BOTH(r, {"GET", "/"}, {"GET", "/a"}, {"GET", "/a/"}, {"GET", "/a/b"}, {"GET", "/a/c/d"},
             {"GET", "/plaintext"}, {"GET", "/sixteen/bytes/xx"}, {"GET", "/a/long/path/of/more"},
             {"GET", "/%7Ea"}, {"GET", "/x:y*z"})
    {
        expect_find(r, HTTP_GET, "/", "/");
        expect_find(r, HTTP_GET, "/a", "/a");
        expect_find(r, HTTP_GET, "/a/", "/a/");
        expect_find(r, HTTP_GET, "/a/b", "/a/b");
        expect_find(r, HTTP_GET, "/a/c/d", "/a/c/d");
        expect_find(r, HTTP_GET, "/plaintext", "/plaintext");
        expect_find(r, HTTP_GET, "/sixteen/bytes/xx", "/sixteen/bytes/xx");
        expect_find(r, HTTP_GET, "/a/long/path/of/more", "/a/long/path/of/more");
        expect_find(r, HTTP_GET, "/%7Ea", "/%7Ea");
        expect_find(r, HTTP_GET, "/%7ea", "/%7Ea");
        expect_find(r, HTTP_GET, "/~a", "/%7Ea");
        expect_find(r, HTTP_GET, "/x:y*z", "/x:y*z");
        static const char *const missing[] = {
            "",    "a",    "*",          "//",          "/b",           "/A",
            "/aa", "/a//", "/a/b/",      "/a/c",        "/a/c/",        "/a/c/d/e",
            "/~b", "/%7",  "/plaintexT", "/plaintext/", "/plaintex",    "/plaintextt",
            "//a", "/a/B", "/xlaintext", "/plainText",  "plaintext",    "/plaintext//",
            "/c",  "/x",   "/x:y*",      "/:y",         "/a/long/path", "/a/long/pith/of/more",
        };
        for (size_t i = 0; i < ARRAY_LEN(missing); i++) expect_find(r, HTTP_GET, missing[i], "404");
        struct route_match match;
        assert_false(router_find(r, HTTP_GET, (slice){NULL, 0}, &match));
        assert_false(router_find(r, HTTP_GET, SLICE("/a\0"), &match));
    }
}

static void parameters(void **state)
{
    (void)state;
    FOR_BOTH(r, {"GET", "/users/:id"}, {"GET", "/users/:id/posts"},
             {"GET", "/users/:id/posts/:post_2"}, {"GET", "/delay/:ms"}, {"GET", "/:a/:b/"})
    {
        expect_find(r, HTTP_GET, "/users/7", "/users/:id id=7");
        expect_find(r, HTTP_GET, "/users/%2F", "/users/:id id=%2F");
        expect_find(r, HTTP_GET, "/users/:id", "/users/:id id=:id");
        expect_find(r, HTTP_GET, "/users/7/posts", "/users/:id/posts id=7");
        expect_find(r, HTTP_GET, "/users/posts/posts", "/users/:id/posts id=posts");
        expect_find(r, HTTP_GET, "/users/7/posts/x", "/users/:id/posts/:post_2 id=7 post_2=x");
        expect_find(r, HTTP_GET, "/delay/20", "/delay/:ms ms=20");
        expect_find(r, HTTP_GET, "/x/y/", "/:a/:b/ a=x b=y");
        expect_find(r, HTTP_GET, "/users/7/", "/:a/:b/ a=users b=7");
        expect_find(r, HTTP_GET, "/users/", "404"); /* a parameter is not empty */
        expect_find(r, HTTP_GET, "/users", "404");
        expect_find(r, HTTP_GET, "/users//posts", "404");
        expect_find(r, HTTP_GET, "/users/7/posts/", "404");
        expect_find(r, HTTP_GET, "/users/7/post", "404");
        expect_find(r, HTTP_GET, "/users/7/posts/x/y", "404");
        expect_find(r, HTTP_GET, "/x/y", "404");
        expect_find(r, HTTP_GET, "/x//", "404");
        expect_find(r, HTTP_GET, "///", "404");
    }
}

static void rest(void **state)
{
    (void)state;
    FOR_BOTH(r, {"GET", "/static/*path"}, {"GET", "/api/:v/*rest"}, {"GET", "/api/:v/"})
    {
        expect_find(r, HTTP_GET, "/static/", "/static/*path path=");
        expect_find(r, HTTP_GET, "/static/a", "/static/*path path=a");
        expect_find(r, HTTP_GET, "/static/a/b//c/", "/static/*path path=a/b//c/");
        expect_find(r, HTTP_GET, "/static//", "/static/*path path=/");
        expect_find(r, HTTP_GET, "/static/../x", "/static/*path path=../x");
        expect_find(r, HTTP_GET, "/api/1/x/y", "/api/:v/*rest v=1 rest=x/y");
        expect_find(r, HTTP_GET, "/api/1/", "/api/:v/ v=1"); /* static precedes "*rest" */
        expect_find(r, HTTP_GET, "/static", "404");
        expect_find(r, HTTP_GET, "/statics/a", "404");
        expect_find(r, HTTP_GET, "/api/1", "404");
        expect_find(r, HTTP_GET, "/api//x", "404");
        expect_find(r, HTTP_GET, "/", "404");
    }
    FOR_BOTH(r, {"GET", "/*rest"})
    {
        expect_find(r, HTTP_GET, "/", "/*rest rest=");
        expect_find(r, HTTP_GET, "/a/b", "/*rest rest=a/b");
        expect_find(r, HTTP_GET, "//", "/*rest rest=/");
        expect_find(r, HTTP_GET, "*", "404");
        expect_find(r, HTTP_GET, "", "404");
        expect_find(r, HTTP_POST, "/a", "404");
    }
}

static void precedence_and_backtracking(void **state)
{
    (void)state;
    FOR_BOTH(r, {"GET", "/a/b/c"}, {"GET", "/a/:x/d"}, {"GET", "/:y/b/e"}, {"GET", "/a/b/*z"},
             {"GET", "/a/*w"}, {"GET", "/:y"}, {"GET", "/q"})
    {
        expect_find(r, HTTP_GET, "/a/b/c", "/a/b/c");
        expect_find(r, HTTP_GET, "/a/b/d", "/a/b/*z z=d"); /* static "b" first, then its children */
        expect_find(r, HTTP_GET, "/a/x/d", "/a/:x/d x=x");
        expect_find(r, HTTP_GET, "/a/x/c", "/a/*w w=x/c");
        expect_find(r, HTTP_GET, "/x/b/e", "/:y/b/e y=x");
        expect_find(r, HTTP_GET, "/a/b/e", "/a/b/*z z=e");
        expect_find(r, HTTP_GET, "/a/b", "/a/*w w=b");
        expect_find(r, HTTP_GET, "/a/", "/a/*w w=");
        expect_find(r, HTTP_GET, "/a", "/:y y=a");
        expect_find(r, HTTP_GET, "/q", "/q");
        expect_find(r, HTTP_GET, "/q/b/e", "/:y/b/e y=q");
        expect_find(r, HTTP_GET, "/x/b/c", "404");
    }
    FOR_BOTH(r, {"GET", "/:a/:b/:c/x"}, {"GET", "/s/:b2/:c2/y"}, {"GET", "/s/t/:c3/z"})
    {
        expect_find(r, HTTP_GET, "/s/t/u/z", "/s/t/:c3/z c3=u");
        expect_find(r, HTTP_GET, "/s/t/u/y", "/s/:b2/:c2/y b2=t c2=u");
        expect_find(r, HTTP_GET, "/s/t/u/x", "/:a/:b/:c/x a=s b=t c=u");
        expect_find(r, HTTP_GET, "/s/t/u/w", "404");
    }
}

static void methods(void **state)
{
    (void)state;
    FOR_BOTH(r, {"GET", "/get"}, {"POST", "/post"}, {"GET", "/both"}, {"POST", "/both"},
             {"HEAD", "/head"}, {"GET", "/own"}, {"HEAD", "/own"}, {"OPTIONS", "/options"},
             {"PUT", "/x/:id"}, {"DELETE", "/x/:id"}, {"PATCH", "/x/:id"})
    {
        expect_find(r, HTTP_GET, "/get", "/get");
        expect_find(r, HTTP_HEAD, "/get", "/get");
        expect_find(r, HTTP_POST, "/get", "405 GET, HEAD, OPTIONS");
        expect_find(r, HTTP_OPTIONS, "/get", "405 GET, HEAD, OPTIONS");
        expect_find(r, HTTP_GET, "/post", "405 POST, OPTIONS");
        expect_find(r, HTTP_HEAD, "/post", "405 POST, OPTIONS");
        expect_find(r, HTTP_POST, "/post", "/post");
        expect_find(r, HTTP_GET, "/both", "/both");
        expect_find(r, HTTP_POST, "/both", "/both");
        expect_find(r, HTTP_PUT, "/both", "405 GET, HEAD, POST, OPTIONS");
        expect_find(r, HTTP_GET, "/head", "405 HEAD, OPTIONS");
        expect_find(r, HTTP_HEAD, "/head", "/head");
        expect_find(r, HTTP_HEAD, "/own", "/own");
        expect_find(r, HTTP_OPTIONS, "/options", "/options");
        expect_find(r, HTTP_GET, "/options", "405 OPTIONS");
        expect_find(r, HTTP_PUT, "/x/1", "/x/:id id=1");
        expect_find(r, HTTP_GET, "/x/1", "405 PUT, DELETE, PATCH, OPTIONS");
        expect_find(r, HTTP_GET, "/none", "404");
        expect_find(r, HTTP_OPTIONS, "/x/", "404");
    }
}

static void head_uses_its_own_route(void **state)
{
    (void)state;
    struct router *r = router_new();
    static int get, head;
    assert_int_equal(router_add(r, HTTP_GET, SLICE("/a"), handler, &get, NULL), 0);
    assert_int_equal(router_add(r, HTTP_HEAD, SLICE("/a"), handler, &head, NULL), 0);
    router_freeze(r);
    struct route_match match;
    assert_true(router_find(r, HTTP_HEAD, SLICE("/a"), &match));
    assert_ptr_equal(match.route->arg, &head);
    assert_true(router_find(r, HTTP_GET, SLICE("/a"), &match));
    assert_ptr_equal(match.route->arg, &get);
    router_free(r);
}

/* A pattern without the method does not hide a more general one that has it. */
static void methods_across_patterns(void **state)
{
    (void)state;
    FOR_BOTH(r, {"POST", "/users/new"}, {"GET", "/users/:id"}, {"DELETE", "/users/:id"},
             {"PUT", "/*rest"})
    {
        expect_find(r, HTTP_POST, "/users/new", "/users/new");
        expect_find(r, HTTP_GET, "/users/new", "/users/:id id=new");
        expect_find(r, HTTP_HEAD, "/users/new", "/users/:id id=new");
        expect_find(r, HTTP_PUT, "/users/new", "/*rest rest=users/new");
        expect_find(r, HTTP_PUT, "/users/1", "/*rest rest=users/1");
        expect_find(r, HTTP_PATCH, "/users/new", "405 GET, HEAD, POST, PUT, DELETE, OPTIONS");
        expect_find(r, HTTP_PATCH, "/users/1", "405 GET, HEAD, PUT, DELETE, OPTIONS");
        expect_find(r, HTTP_POST, "/users/1", "405 GET, HEAD, PUT, DELETE, OPTIONS");
        expect_find(r, HTTP_PATCH, "/x", "404"); /* only the catch-all matches it */
        expect_find(r, HTTP_OPTIONS, "/x", "405 PUT, OPTIONS");
    }
}

/* A catch-all of one method leaves the answers to others as they were. */
static void a_catch_all_makes_no_path_known(void **state)
{
    (void)state;
    FOR_BOTH(r, {"POST", "/api"}, {"POST", "/api/:id"}, {"GET", "/*rest"}, {"PUT", "/up/*rest"},
             {"POST", "/up/*rest"})
    {
        expect_find(r, HTTP_GET, "/other", "/*rest rest=other");
        expect_find(r, HTTP_HEAD, "/other/1", "/*rest rest=other/1");
        expect_find(r, HTTP_POST, "/other", "404");
        expect_find(r, HTTP_DELETE, "/", "404");
        expect_find(r, HTTP_POST, "/api", "/api");
        expect_find(r, HTTP_PUT, "/api", "405 GET, HEAD, POST, OPTIONS");
        expect_find(r, HTTP_PUT, "/api/1", "405 GET, HEAD, POST, OPTIONS");
        expect_find(r, HTTP_PUT, "/api/1/2", "404");
        expect_find(r, HTTP_POST, "/up/a", "/up/*rest rest=a");
        expect_find(r, HTTP_GET, "/up/a", "/*rest rest=up/a");
        expect_find(r, HTTP_DELETE, "/up/a", "404");
        expect_find(r, HTTP_OPTIONS, "/up/a", "405 GET, HEAD, POST, PUT, OPTIONS");
        expect_find(r, HTTP_OPTIONS, "/other", "405 GET, HEAD, OPTIONS");
    }
}

static void a_claimed_catch_all_makes_them_known(void **state)
{
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        struct router *r = make_router(
            2, (const char *const[][2]){{"GET", "/files/*path"}, {"GET", "/*rest"}}, false);
        router_claim(r, slice_str(frozen ? "/fil%65s/*path" : "/files/*path"));
        if (frozen) router_freeze(r);
        expect_find(r, HTTP_GET, "/files/a", "/files/*path path=a");
        expect_find(r, HTTP_POST, "/files/a", "405 GET, HEAD, OPTIONS");
        expect_find(r, HTTP_POST, "/files", "404");
        expect_find(r, HTTP_POST, "/other", "404");
        router_free(r);
    }
}

/* RFC 3986, 6.2.2.2: an escaped unreserved character is that character, and no other is. */
static void escapes(void **state)
{
    (void)state;
    FOR_BOTH(r, {"GET", "/me"}, {"POST", "/me"}, {"GET", "/me/"}, {"GET", "/users/:id"},
             {"GET", "/users/new"}, {"POST", "/users/:id"}, {"GET", "/:kind/:id/e-._~/Z9"},
             {"GET", "/files/*path"}, {"GET", "/caf%C3%a9/x%2fy"}, {"GET", "/a%21"}, {"GET", "/%"},
             {"GET", "/50%/%4"})
    {
        expect_find(r, HTTP_GET, "/m%65", "/me");
        expect_find(r, HTTP_POST, "/%6d%65", "/me");
        expect_find(r, HTTP_HEAD, "/%6D%65", "/me");
        expect_find(r, HTTP_GET, "/%6De/", "/me/");
        expect_find(r, HTTP_GET, "/users/%6eew", "/users/new");
        expect_find(r, HTTP_POST, "/users/%6eew", "/users/:id id=%6eew");
        expect_find(r, HTTP_GET, "/%75sers/a%2Fb%65", "/users/:id id=a%2Fb%65");
        expect_find(r, HTTP_GET, "/x/%37/%65%2D%2e%5F%7e/%5A%39",
                    "/:kind/:id/e-._~/Z9 kind=x id=%37");
        expect_find(r, HTTP_GET, "/%66iles/%61/b", "/files/*path path=%61/b");
        expect_find(r, HTTP_GET, "/caf%c3%A9/x%2Fy", "/caf%C3%a9/x%2fy");
        expect_find(r, HTTP_GET, "/c%61f%C3%A9/%78%2f%79", "/caf%C3%a9/x%2fy");
        expect_find(r, HTTP_GET, "/%", "/%");
        expect_find(r, HTTP_GET, "/%25", "404");
        expect_find(r, HTTP_GET, "/5%30%/%4", "/50%/%4");

        expect_find(r, HTTP_PUT, "/m%65", "405 GET, HEAD, POST, OPTIONS");
        expect_find(r, HTTP_OPTIONS, "/m%65", "405 GET, HEAD, POST, OPTIONS");
        expect_find(r, HTTP_POST, "/m%65/", "405 GET, HEAD, OPTIONS");
        static const char *const missing[] = {
            "%2Fme",      "/%2Fme",   "/m%45",      "/me%2F",         "/me%2f",     "/m%6",
            "/m%6g",      "/m%2565",  "/me%00",     "/users%2Fnew",   "/users%2F7", "/users/7%65/",
            "/a!",        "/%61!",    "/files%2Fa", "/caf%C3%A9/x/y", "/%25",       "/50%/%34",
            "/%E6%AD%A5", "/m%C3%A5", "/%6d%65%65", "/%6d",           "/m%e5",
        };
        for (size_t i = 0; i < ARRAY_LEN(missing); i++) expect_find(r, HTTP_GET, missing[i], "404");
    }
}

/* Paths of all lengths through the index of static routes, each with similar neighbours. */
static void many_static(void **state)
{
    (void)state;
    struct router *r = router_new();
    static char patterns[600][40];
    for (int i = 0; i < 600; i++) {
        size_t n = (size_t)snprintf(patterns[i], 40, "/%d", i);
        for (size_t len = n; len < (size_t)(i % 30 + 4) && n < 38; len++) patterns[i][n++] = 'x';
        snprintf(patterns[i] + n, 40 - n, "%c", 'a' + i % 7);
        assert_int_equal(
            router_add(r, HTTP_GET, slice_str(patterns[i]), handler, patterns[i], NULL), 0);
    }
    for (int frozen = 0; frozen < 2; frozen++, router_freeze(r)) {
        for (int i = 0; i < 600; i++) {
            expect_find(r, HTTP_GET, patterns[i], patterns[i]);
            char other[40];
            for (size_t at = 0; at < strlen(patterns[i]); at++) {
                strcpy(other, patterns[i]);
                other[at] = '~';
                expect_find(r, HTTP_GET, other, "404");
            }
        }
    }
    router_free(r);
}

/* The largest pattern, matched after backtracking from a static sibling at each parameter. */
static void eight_parameters_at_full_depth(void **state)
{
    (void)state;
    struct router *r = router_new();
    char patterns[ROUTE_PARAMS + 1][400], path[128] = "";
    for (int k = 0; k <= ROUTE_PARAMS; k++) {
        size_t n = 0;
        for (int i = 0; i < ROUTE_SEGMENTS - 1; i++)
            n += (size_t)sprintf(patterns[k] + n, i < k ? "/:p%d" : "/a", i);
        n += (size_t)sprintf(patterns[k] + n, "/end%d", k);
        assert_int_equal(
            router_add(r, HTTP_GET, slice_of(patterns[k], n), handler, patterns[k], NULL), 0);
    }
    for (int i = 0; i < ROUTE_SEGMENTS - 1; i++) strcat(path, "/a");
    for (int frozen = 0; frozen < 2; frozen++, router_freeze(r)) {
        for (int k = 0; k <= ROUTE_PARAMS; k++) {
            char full[256], want[4096];
            sprintf(full, "%s/end%d", path, k);
            size_t n = (size_t)sprintf(want, "%s", patterns[k]);
            for (int i = 0; i < k; i++) n += (size_t)sprintf(want + n, " p%d=a", i);
            expect_find(r, HTTP_GET, full, want);
            strcat(full, "/a");
            expect_find(r, HTTP_GET, full, "404");
        }
    }
    char deeper[20000] = "";
    for (size_t i = 0; i + 1 < sizeof deeper; i++) deeper[i] = "/a"[i % 2];
    expect_find(r, HTTP_GET, deeper, "404");
    router_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_paths),
        cmocka_unit_test(parameters),
        cmocka_unit_test(rest),
        cmocka_unit_test(precedence_and_backtracking),
        cmocka_unit_test(methods),
        cmocka_unit_test(head_uses_its_own_route),
        cmocka_unit_test(methods_across_patterns),
        cmocka_unit_test(a_catch_all_makes_no_path_known),
        cmocka_unit_test(a_claimed_catch_all_makes_them_known),
        cmocka_unit_test(escapes),
        cmocka_unit_test(many_static),
        cmocka_unit_test(eight_parameters_at_full_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
