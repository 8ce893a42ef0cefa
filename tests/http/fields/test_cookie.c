#include "http/fields/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void is(slice got, const char *want)
{
    if (!slice_eq(got, slice_str(want))) fail_msg("'%.*s', not '%s'", (int)got.len, got.ptr, want);
}

/* The pairs of `field`, which are as listed. */
static void reads_as(const char *field, const char *const (*want)[2], size_t n)
{
    slice rest = slice_str(field), name, value;
    for (size_t i = 0; i < n; i++) {
        assert_true(cookie_next(&rest, &name, &value));
        is(name, want[i][0]);
        is(value, want[i][1]);
    }
    assert_false(cookie_next(&rest, &name, &value));
    assert_false(cookie_next(&rest, &name, &value));
}

#define READS(field, ...)                                                                          \
    reads_as(field, (const char *const[][2])__VA_ARGS__,                                           \
             sizeof((const char *const[][2])__VA_ARGS__) / sizeof(char *[2]))

static void pairs(void **state)
{
    (void)state;
    READS("a=1", {{"a", "1"}});
    READS("a=1; b=2", {{"a", "1"}, {"b", "2"}});
    READS("a=1;b=2", {{"a", "1"}, {"b", "2"}});
    READS("a=1; a=2", {{"a", "1"}, {"a", "2"}});
    READS("a=", {{"a", ""}});
    READS("a=b=c==", {{"a", "b=c=="}});
    READS("a=\"q\"", {{"a", "\"q\""}});
    READS("a=\"x; b=y\"", {{"a", "\"x"}, {"b", "y\""}}); /* quotes hide no semicolon */
    READS(" \t a \t= 1\t; b = 2 3 ", {{"a", "1"}, {"b", "2 3"}});
    READS("a=\xc3\xa4", {{"a", "\xc3\xa4"}});
}

static void what_is_no_pair_is_passed_over(void **state)
{
    slice absent = {NULL, 0}, name, value;
    (void)state;
    READS("a; b=2", {{"b", "2"}});
    READS("=1; b=2", {{"b", "2"}});
    READS(" =1; b=2", {{"b", "2"}});
    READS(";;; b=2;;", {{"b", "2"}});
    reads_as("", NULL, 0);
    reads_as("a", NULL, 0);
    reads_as(";", NULL, 0);
    reads_as("=", NULL, 0);
    assert_false(cookie_next(&absent, &name, &value));
}

static void values_that_may_be_set(void **state)
{
    static const char *const good[] = {"",     "a",         "a=b", "!#$%&'()*+-./:<=>?@[]^_`{|}~",
                                       "\"\"", "\"quoted\""};
    static const char *const bad[] = {" ",        "a b",    "a,b",     "a;b",   "a\\b",
                                      "\"",       "a\"",    "\"a",     "a\tb",  "\x7f",
                                      "\xc3\xa4", "a\r\nb", "\"a b\"", "\"\"\""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(cookie_value_valid(slice_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (cookie_value_valid(slice_str(bad[i]))) fail_msg("'%s' is valid", bad[i]);
    assert_false(cookie_value_valid(slice_of("a\0b", 3)));
    assert_true(cookie_value_valid((slice){NULL, 0}));
}

static void attributes_that_may_be_set(void **state)
{
    static const char *const bad[] = {"a;b", "a\nb", "\t", "\x7f", "\xc3"};
    (void)state;
    assert_true(cookie_attribute_valid(SLICE("")));
    assert_true(cookie_attribute_valid(SLICE("/a path, \"quoted\"=\\")));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(cookie_attribute_valid(slice_str(bad[i])));
    assert_false(cookie_attribute_valid(slice_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(what_is_no_pair_is_passed_over),
        cmocka_unit_test(values_that_may_be_set),
        cmocka_unit_test(attributes_that_may_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
