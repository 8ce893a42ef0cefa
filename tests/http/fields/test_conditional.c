#include "http/fields/conditional.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const slice absent = {NULL, 0};

static bool weak(const char *field, const char *etag)
{
    return etag_match(slice_str(field), slice_str(etag), true);
}

static bool strong(const char *field, const char *etag)
{
    return etag_match(slice_str(field), slice_str(etag), false);
}

/* The table of RFC 9110, 8.8.3.2. */
static void comparison(void **state)
{
    (void)state;
    assert_false(strong("W/\"1\"", "W/\"1\""));
    assert_true(weak("W/\"1\"", "W/\"1\""));
    assert_false(strong("W/\"1\"", "W/\"2\""));
    assert_false(weak("W/\"1\"", "W/\"2\""));
    assert_false(strong("W/\"1\"", "\"1\""));
    assert_true(weak("W/\"1\"", "\"1\""));
    assert_false(strong("\"1\"", "W/\"1\""));
    assert_true(weak("\"1\"", "W/\"1\""));
    assert_true(strong("\"1\"", "\"1\""));
    assert_true(weak("\"1\"", "\"1\""));
}

static void star(void **state)
{
    (void)state;
    assert_true(strong("*", "\"1\""));
    assert_true(strong(" *\t", "W/\"1\""));
    assert_true(etag_match(SLICE("*"), absent, false));
    assert_false(weak("*, \"1\"", "\"1\""));
    assert_false(weak("\"1\", *", "\"1\""));
    assert_false(weak("**", "\"1\""));
    assert_true(weak("\"*\"", "\"*\""));
    assert_false(weak("\"*\"", "\"1\""));
}

static void lists(void **state)
{
    (void)state;
    assert_true(weak("\"a\", \"b\", \"c\"", "\"a\""));
    assert_true(weak("\"a\", \"b\", \"c\"", "\"b\""));
    assert_true(weak("\"a\",\"b\",W/\"c\"", "\"c\""));
    assert_false(strong("\"a\",\"b\",W/\"c\"", "\"c\""));
    assert_true(weak(" \t\"a\" \t,\t \"b\"\t ", "\"b\""));
    assert_true(weak(",, ,\"a\",,\"b\", ,", "\"b\""));
    assert_false(weak("\"a\", \"b\"", "\"c\""));
    assert_true(strong("\"a,b\", \"c\"", "\"a,b\""));
    assert_false(strong("\"a,b\"", "\"a\""));
    assert_true(strong("\"a\\\"", "\"a\\\"")); /* no quoted-pair in an entity-tag */
    assert_true(strong("\"\"", "\"\""));
    assert_true(strong("\"!#~\"", "\"!#~\""));
    assert_true(strong("\"\xc3\xa9\"", "\"\xc3\xa9\""));
    assert_false(strong("\"A\"", "\"a\""));
    assert_false(weak("", "\"a\""));
    assert_false(weak(",", "\"a\""));
    assert_false(etag_match(absent, SLICE("\"a\""), true));
    assert_false(etag_match(SLICE("\"a\""), absent, true));
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a",           "\"a",        "a\"",
        "\"a\" \"a\"", "\"a\"\"a\"", "w/\"a\"",
        "W/a",         "W/",         "W",
        "W /\"a\"",    "W/ \"a\"",   "\"a\";",
        "\"a\", b",    "\"a\", \"b", "b, \"a\"",
        "\"a\", W/",   "\"a b\"",    "\"a\", \"b c\"",
        "\"a\"x",      "'a'",        "\"a\", \"\t\"",
        "\"a\"\r\n",   "\"a\x7f\"",  "\"",
        "W/W/\"a\"",   "\"a\",W/*",  "\"a\", *",
        "\"a\"/W",
    };
    static const char *const etags[] = {"\"a\"", "a", "\"a b\"", "\"", "W/", "\"a", "\"a\x7f\""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (size_t j = 0; j < ARRAY_LEN(etags); j++)
            if (weak(bad[i], etags[j])) fail_msg("'%s' matches %s", bad[i], etags[j]);
    assert_false(etag_match(SLICE("\"a\0\""), SLICE("\"a\0\""), true));
}

static bool names(slice field, slice etag)
{
    for (size_t i = 0; i + etag.len <= field.len; i++)
        if (slice_starts(slice_skip(field, i), etag)) return true;
    return false;
}

/* A match is listed in the field, and a strong match is also a weak one. */
static void mutations(void **state)
{
    (void)state;
    size_t matched = 0;
    for (int i = 0; i < 200000; i++) {
        slice s = mutate(SLICE("W/\"ab\", \"cd\" ,\"ab\""), SLICE("W/\"\",,* abcd"));
        bool is_strong = etag_match(s, SLICE("\"ab\""), false);
        bool is_weak = etag_match(s, SLICE("\"ab\""), true);
        assert_true(is_weak || !is_strong);
        if (is_weak) assert_true(names(s, SLICE("\"ab\"")) || slice_eq(slice_trim(s), SLICE("*")));
        matched += is_weak;
        free((char *)s.ptr);
    }
    assert_in_range(matched, 1000, 199000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparison), cmocka_unit_test(star),      cmocka_unit_test(lists),
        cmocka_unit_test(malformed),  cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
