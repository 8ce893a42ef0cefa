#include "http/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool has(const char *prefix, const char *path)
{
    struct prefix p;
    char room[64];
    assert_null(prefix_fault(slice_str(prefix)));
    prefix_init(&p, slice_str(prefix), room);
    return prefix_has(&p, path ? slice_str(path) : (slice){NULL, 0});
}

static void paths(void **state)
{
    (void)state;
    static const char *const below[] = {
        "/a/b",   "/a/b/",    "/a/b/c", "//a/b",         "/a//b",    "/%61/b",
        "/a%2fb", "/a/b%2Fc", "/a/b//", "/%2F/a/b",      "/a/%62/c", "/a/./b",
        "/./a/b", "/a/%2e/b", "/a/b/.", "/a/././/./b/c", "/a/.%2Fb"};
    static const char *const beside[] = {"/",      "/a",   "/a/",     "/a/bc",    "/a/b%",
                                         "/a/c",   "/A/b", "/a/%62c", "a/b",      "",
                                         "/x/a/b", "/a/%", "/a%25/b", "/a/.b",    "/a./b",
                                         "/a/..b", "/a/.", "/.",      "/a/.../b", "/a/b."};
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        assert_true(has("/a/b", below[i]));
        assert_true(has("/a/b/", below[i]));
        assert_true(has("/%61/b", below[i]));
        assert_true(has("/", below[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        assert_false(has("/a/b", beside[i]));
        assert_true(has("/", beside[i]));
    }
    assert_true(has("/", NULL));
    assert_false(has("/a", NULL));
}

static void faults(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "a",    "/a b",     "/:a",       "/a/*b", "/a//b",  "/a?",      "/a#b",
        "/%",   "/%4",  "/a/../",   "/..",       "/%2E.", "/%00",   "//",       "/\x7f",
        "/./a", "/a/.", "/a/%2e/b", "/a%2F%2Fb", "/%2Fa", "/a%2f.", "/a%2F./b", "/a/%2F"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_non_null(prefix_fault(slice_str(bad[i])));
}

static enum prefix_match match(const char *prefix, const char *pattern)
{
    struct prefix p;
    char room[64];
    prefix_init(&p, slice_str(prefix), room);
    return prefix_of_pattern(&p, slice_str(pattern));
}

static void patterns(void **state)
{
    (void)state;
    static const char *const always[] = {"/a/b", "/a/b/", "/a/b/:id", "/a/b/*rest", "/a/b/c/d"};
    static const char *const never[] = {"/", "/a", "/a/", "/a/bc", "/b/:a", "/c/*rest", "/A/b"};
    static const char *const sometimes[] = {"/*rest",   "/:a/b",  "/a/:b",
                                            "/a/*rest", "/a/%2F", "/a/./b"};
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        assert_int_equal(match("/a/b", always[i]), PREFIX_ALWAYS);
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_int_equal(match("/a/b", never[i]), PREFIX_NEVER);
    for (size_t i = 0; i < ARRAY_LEN(sometimes); i++)
        assert_int_equal(match("/a/b", sometimes[i]), PREFIX_SOMETIMES);
    assert_int_equal(match("/", "/x"), PREFIX_ALWAYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(faults),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
